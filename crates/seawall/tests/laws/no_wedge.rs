//! Law 1: from half-open, with any mix of lost probes, a permit is available again within a bounded
//! time.

use crate::common::{Calls, Down, MS, Outcome, S, fail, poll_once, quiet_panic, succeed};
use proptest::prelude::*;
use seawall::{
    CircuitBreaker, CircuitState, Permit, Verdict,
    testing::{ManualClock, Scope},
};
use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

const RECOVERY: Duration = Duration::from_secs(10);

/// Opens at the first failure, for ten seconds; then one probe, which may hang for sixty.
fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(1).recovery_timeout(RECOVERY).build()
}

/// An open breaker whose time is over, on tokio's clock.
async fn ready_to_probe() -> CircuitBreaker {
    let breaker = breaker();
    fail(&breaker);
    tokio::time::advance(RECOVERY).await;
    breaker
}

async fn closes_by_a_probe(breaker: &CircuitBreaker) {
    assert_eq!(breaker.run(async || Outcome::Ok(1)).await, Ok(1));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 1: a future dropped at its await.
#[tokio::test(start_paused = true)]
async fn a_probe_whose_future_is_dropped_lets_the_next_caller_probe() {
    let breaker = ready_to_probe().await;
    {
        let mut probe = pin!(breaker.run(pending::<Outcome>));
        assert!(poll_once(probe.as_mut()).is_pending());
        assert!(breaker.try_acquire().is_err(), "the probe holds the one slot");
    }
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    closes_by_a_probe(&breaker).await;
}

/// Law 1: a future that is never polled asks for nothing.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_takes_no_slot() {
    let breaker = ready_to_probe().await;
    drop(breaker.run(pending::<Outcome>));
    assert_eq!(breaker.state(), CircuitState::Open);
    closes_by_a_probe(&breaker).await;
}

/// Law 1: a task aborted.
#[tokio::test(start_paused = true)]
async fn a_probe_whose_task_is_aborted_lets_the_next_caller_probe() {
    let breaker = Arc::new(ready_to_probe().await);
    let task = tokio::spawn({
        let breaker = Arc::clone(&breaker);
        async move { breaker.run(pending::<Outcome>).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(breaker.counters().probes_in_flight, 1);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    closes_by_a_probe(&breaker).await;
}

/// Law 1: a panic in the operation. It is a failed probe, so the breaker waits once more.
#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_lets_another_one_through_after_the_recovery_timeout() {
    let breaker = Arc::new(ready_to_probe().await);
    let task = tokio::spawn({
        let breaker = Arc::clone(&breaker);
        async move { breaker.run(async || -> Outcome { quiet_panic() }).await }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(breaker.state(), CircuitState::Open);
    tokio::time::advance(RECOVERY).await;
    closes_by_a_probe(&breaker).await;
}

/// Law 1: the same in blocking code.
#[test]
fn a_blocking_probe_that_panics_lets_another_one_through_after_the_recovery_timeout() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let breaker = breaker();
    fail(&breaker);
    clock.advance(RECOVERY);
    let probe = || breaker.run_blocking(|| -> Outcome { quiet_panic() });
    assert!(catch_unwind(AssertUnwindSafe(probe)).is_err());
    assert_eq!(breaker.state(), CircuitState::Open);
    clock.advance(RECOVERY);
    assert_eq!(breaker.run_blocking(|| Outcome::Ok(1)), Ok(1));
}

/// Law 1: an outcome that says nothing gives the slot back.
#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_ignored_lets_the_next_caller_probe() {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(RECOVERY)
        .ignore(|error: &Down| error.0 == 7)
        .build();
    fail(&breaker);
    tokio::time::advance(RECOVERY).await;
    assert!(breaker.run(async || Outcome::Err(Down(7))).await.is_err());
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.run(async || Outcome::Ok(1)).await, Ok(1));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 1: a rejection by a breaker further in is an ignored outcome.
#[tokio::test(start_paused = true)]
async fn a_probe_that_an_inner_breaker_rejects_lets_the_next_caller_probe() {
    let (outer, inner) = (ready_to_probe().await, breaker());
    inner.isolate();
    let stack = (&outer, &inner);
    let rejected = seawall::Pipeline::new(stack).run(async || Outcome::Ok(1)).await;
    assert!(rejected.unwrap_err().rejection().is_some());
    assert_eq!(outer.state(), CircuitState::HalfOpen);
    inner.close();
    closes_by_a_probe(&outer).await;
}

/// Law 1: a permit held by hand and dropped.
#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_lets_the_next_caller_probe() {
    let breaker = ready_to_probe().await;
    for _ in 0..1000 {
        let permit = breaker.try_acquire().unwrap();
        assert!(permit.is_probe());
        drop(permit);
    }
    closes_by_a_probe(&breaker).await;
}

/// Law 1: a probe that hangs for ever keeps its slot for a lease, and no longer.
#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_loses_its_slot_after_its_lease() {
    let breaker = ready_to_probe().await;
    let mut hung = pin!(breaker.run(pending::<Outcome>));
    assert!(poll_once(hung.as_mut()).is_pending());

    tokio::time::advance(60 * S - MS).await;
    assert!(breaker.try_acquire().is_err(), "the lease is not over");
    let wait = breaker.time_until_probe().unwrap();
    assert!(wait <= 2 * S, "{wait:?}: the lease ends within a 64th of itself");
    tokio::time::advance(wait).await;
    closes_by_a_probe(&breaker).await;
    assert!(poll_once(hung.as_mut()).is_pending(), "it hangs still");
}

/// Law 1: many slots, all of them hung.
#[test]
fn probes_that_all_hang_lose_their_slots_together() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(RECOVERY)
        .probes(3)
        .probe_lease(5 * S)
        .build();
    fail(&breaker);
    clock.advance(RECOVERY);
    let hung: Vec<Permit<'_>> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    assert!(breaker.try_acquire().is_err());
    clock.advance(6 * S);
    let again: Vec<Permit<'_>> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    assert!(breaker.try_acquire().is_err());
    drop((hung, again));
    succeed(&breaker);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 1: without a caller that needs the slot, a slow probe keeps it, and its word.
#[test]
fn a_probe_past_its_lease_still_counts_if_nobody_asked_for_its_slot() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let breaker = breaker();
    fail(&breaker);
    clock.advance(RECOVERY);
    let slow = breaker.try_acquire().unwrap();
    clock.advance(3600 * S);
    slow.record(Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 1: cancelled, failing and hanging callers by turns never use up the retries of a whole run.
#[tokio::test(start_paused = true)]
async fn a_thousand_cancelled_probes_leave_the_next_one_its_slot() {
    let breaker = ready_to_probe().await;
    let calls = Calls::new();
    for _ in 0..1000 {
        let mut probe = pin!(breaker.run(|| {
            calls.count();
            pending::<Outcome>()
        }));
        assert!(poll_once(probe.as_mut()).is_pending());
    }
    assert_eq!(calls.get(), 1000, "each of them was let through");
    closes_by_a_probe(&breaker).await;
}

/// What can become of a permit.
#[derive(Debug, Clone, Copy)]
enum Step {
    Acquire,
    Succeed(usize),
    Fail(usize),
    Ignore(usize),
    Drop(usize),
    Hang(usize),
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Acquire),
        1 => any::<usize>().prop_map(Step::Succeed),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Ignore),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Hang),
        3 => (0..30_000_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Law 1: whatever became of the probes, the wait that the breaker names is enough, and short.
    #[test]
    fn after_any_mix_of_lost_probes_a_permit_is_there_within_the_time_named(
        steps in prop::collection::vec(any_step(), 1..60),
        probes in 1..4_u32,
        successes in 1..4_u32,
        growth in prop_oneof![Just(1.0), Just(2.0)],
    ) {
        let clock = ManualClock::new();
        let _scope = Scope::new(clock.clone()).enter();
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .recovery_timeout(RECOVERY)
            .recovery_multiplier(growth)
            .max_recovery_timeout(4 * RECOVERY)
            .probes(probes)
            .successes_to_close(successes)
            .probe_lease(20 * S)
            .build();
        fail(&breaker);
        clock.advance(RECOVERY);
        let (mut held, mut hung) = (Vec::new(), Vec::new());
        for step in steps {
            let mut take = |at: usize| {
                (!held.is_empty()).then(|| held.swap_remove(at % held.len()))
            };
            match step {
                Step::Acquire => held.extend(breaker.try_acquire()),
                Step::Succeed(at) => if let Some(permit) = take(at) { Permit::record(permit, Verdict::Success) },
                Step::Fail(at) => if let Some(permit) = take(at) { permit.record(Verdict::TRANSIENT) },
                Step::Ignore(at) => if let Some(permit) = take(at) { permit.record(Verdict::Ignored) },
                Step::Drop(at) => drop(take(at)),
                Step::Hang(at) => hung.extend(take(at)),
                Step::Wait(ms) => clock.advance(Duration::from_millis(ms)),
            }
        }
        // Those that are still out hang as well.
        let wait = breaker.time_until_probe().unwrap_or_default();
        let longest = if breaker.state() == CircuitState::Open { 4 * RECOVERY } else { 21 * S };
        prop_assert!(wait <= longest, "{wait:?} while {}", breaker.state());
        clock.advance(wait);
        let permit = breaker.try_acquire();
        prop_assert!(permit.is_ok(), "{permit:?} after {wait:?}");
    }
}
