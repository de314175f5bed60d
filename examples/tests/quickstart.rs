//! The quickstart keeps its promises: one fast run, looked at from all sides.

use seawall::CircuitState;
use seawall_examples::quickstart::{Live, Phase, Plan, Report, Side, run};
use std::{
    io::{self, Write},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

struct Run {
    report: Report,
    text: String,
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let page = Page::default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = runtime.block_on(run(&Plan::FAST, Live::to(page.clone()))).expect("a port");
    Run { report, text: page.text() }
});

const MAX_ATTEMPTS: u64 = 3;

fn guarded() -> impl Iterator<Item = &'static Side> {
    RUN.report.phases.iter().map(|phase| &phase.guarded)
}

fn guarded_in(phase: Phase) -> &'static Side {
    &RUN.report.phase(phase).guarded
}

#[test]
fn every_phase_is_played_with_seawall_and_without() {
    let played: Vec<Phase> = RUN.report.phases.iter().map(|phase| phase.phase).collect();
    assert_eq!(played, Phase::ALL);
    for ((_, calls), played) in Plan::FAST.calls.iter().zip(&RUN.report.phases) {
        assert_eq!([played.guarded.calls, played.plain.calls], [*calls; 2], "{}", played.phase);
    }
}

#[test]
fn every_guarded_call_gets_an_answer() {
    for side in guarded() {
        assert_eq!(side.failed, 0);
        assert_eq!(side.succeeded + side.fallback, side.calls);
    }
}

#[test]
fn no_call_makes_more_attempts_than_the_policy_allows() {
    for side in guarded() {
        assert!(side.seen.most_for_one_call <= MAX_ATTEMPTS, "{side:?}");
        assert!(side.seen.attempts <= side.calls * MAX_ATTEMPTS, "{side:?}");
    }
}

#[test]
fn retries_get_the_servers_answer_where_a_plain_call_fails() {
    let flaky = RUN.report.phase(Phase::Flaky);
    assert!(flaky.plain.failed > 0);
    assert!(flaky.guarded.succeeded > flaky.plain.succeeded);
    assert!(flaky.guarded.seen.attempts > flaky.guarded.calls);
}

#[test]
fn no_attempt_comes_before_the_servers_retry_after() {
    let busy = guarded_in(Phase::Busy).seen;
    assert!(busy.waited > 0);
    assert_eq!(busy.too_early, 0);
}

#[test]
fn the_open_breaker_spares_a_server_that_hangs() {
    let hanging = guarded_in(Phase::Hanging);
    assert!(hanging.rejected > 0);
    assert!(hanging.seen.attempts < hanging.calls, "{hanging:?}");
}

#[test]
fn a_closed_port_is_really_closed() {
    let refused = RUN.report.phase(Phase::Refused);
    assert_eq!([refused.guarded.seen.attempts, refused.plain.seen.attempts], [0; 2]);
    assert_eq!(refused.plain.failed, refused.plain.calls);
    assert!(refused.guarded.rejected > 0);
}

#[test]
fn the_breaker_opens_probes_and_ends_closed() {
    assert!(RUN.report.opened > 0);
    assert_eq!(RUN.report.state, CircuitState::Closed);
    assert!(guarded_in(Phase::Recovered).succeeded > 0);
}

#[test]
fn what_happens_is_told_in_a_hundred_lines_at_most() {
    let told = [
        "fallback > circuit breaker > retry > timeout.",
        "attempt 1 of 3 failed (503 Service Unavailable), next in",
        "attempt 1 of 3 failed (429 Too Many Requests, Retry-After 1s), next in 1.00s",
        "attempt 1 of 3 failed (no answer within 60ms), next in",
        "last known price, since retry `guarded_price` gave up after 3 attempts",
        "opened (consecutive_failures): calls are rejected for 500ms",
        "rejected fast",
        "half-open (recovery_timeout): one call passes, as a probe",
        "opened again (probe_failed): calls are rejected for 500ms",
        "closed (probe_succeeded): calls pass",
        "All promises kept:",
    ];
    for line in told {
        assert!(RUN.text.contains(line), "`{line}` is not in:\n{}", RUN.text);
    }
    assert!(RUN.text.lines().count() <= 100, "{}", RUN.text);
    assert!(!RUN.text.contains('\x1b'), "colours in a file");
}

/// A page to write on, and to read afterwards.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
