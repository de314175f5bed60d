//! What holds for any bytes: they are refused with a place, or are a trace that can be replayed.

use seawall::{CircuitBreaker, RetryPolicy, Timeout};
use seawall_sim::{Contender, Trace, TraceProblem, replay};
use std::time::Duration;

/// # Panics
/// If it does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let trace = match Trace::read(bytes) {
        Ok(trace) => trace,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 2000, "{text}");
            match error.problem() {
                TraceProblem::Value { .. } => assert!(error.column().is_some(), "{text}"),
                TraceProblem::Line(_) => assert!(error.line().is_some(), "{text}"),
                _ => {}
            }
            return;
        }
    };
    let none = Contender::policy("none", |_| ());
    let guarded = Contender::policy("guarded", |_| {
        let breaker = CircuitBreaker::builder().failure_threshold(2).build();
        (breaker, RetryPolicy::new(), Timeout::new(Duration::from_secs(1)))
    });
    let all = [none, guarded.clone(), guarded.per_shard()];
    let replayed = replay(&trace, &all, 1);
    let calls = trace.calls() as u64;
    assert_eq!(replayed.recorded.total.calls, calls);
    assert_eq!(replayed.recorded.total.attempts, trace.attempts() as u64);
    for one in &replayed.policies {
        let total = &one.total;
        assert_eq!(total.calls, calls, "{}", one.name);
        let ended = total.good + total.degraded + total.failed;
        assert_eq!(ended + one.caught.left + one.unfinished, calls, "{}", one.name);
        let answered = one.answered.own + one.answered.near + one.answered.far;
        assert_eq!(answered, total.attempts, "{}", one.name);
        assert_eq!(one.tripped.is_some(), one.opened > 0, "{}", one.name);
    }
    let unguarded = &replayed.policies[0];
    assert_eq!((unguarded.opened, unguarded.total.attempts), (0, calls));
    assert_eq!(unguarded.total.timed_out, 0);
    for one in &replayed.policies[1..] {
        assert_eq!(one.unfinished, 0, "its timeout ends what has no answer");
    }
    assert!(!replayed.to_string().is_empty());
}
