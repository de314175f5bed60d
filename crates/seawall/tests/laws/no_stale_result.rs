//! Law 3: a call admitted in generation g changes nothing once the generation is not g.

use crate::common::{Calls, Down, MS, Outcome, S, event_names, fail, succeed};
use seawall::{
    CircuitBreaker, CircuitState, Permit, Verdict,
    breaker::Counters,
    testing::{Entered, ManualClock, Scope},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

const RECOVERY: Duration = Duration::from_secs(10);

fn virtual_time() -> (ManualClock, Entered) {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone()).enter();
    (clock, scope)
}

/// Breakers of every trip rule. Each opens at three failures.
fn breakers() -> Vec<(&'static str, CircuitBreaker)> {
    let builder = || CircuitBreaker::builder().recovery_timeout(RECOVERY);
    vec![
        ("consecutive failures", builder().failure_threshold(3).build()),
        ("count window", builder().failure_rate(0.5).over_calls(20).minimum_calls(3).build()),
        ("time window", builder().failure_rate(0.5).over_time(3600 * S).minimum_calls(3).build()),
    ]
}

fn trip(breaker: &CircuitBreaker) {
    for _ in 0..3 {
        fail(breaker);
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

fn held(breaker: &CircuitBreaker, calls: usize) -> Vec<Permit<'_>> {
    (0..calls).map(|_| breaker.try_acquire().unwrap()).collect()
}

/// What tells two states apart, but for the totals.
fn seen(breaker: &CircuitBreaker) -> (CircuitState, Counters, Option<f64>) {
    (breaker.state(), breaker.counters(), breaker.failure_rate())
}

/// Ends each permit with `verdict`, and expects that nothing of the breaker moves.
fn end_without_effect(breaker: &CircuitBreaker, permits: Vec<Permit<'_>>, verdict: Verdict) {
    let before = (seen(breaker), breaker.last_transition());
    for permit in permits {
        permit.record(verdict);
        assert_eq!((seen(breaker), breaker.last_transition()), before);
    }
}

/// Law 3, first half: stale successes must not close what is failing still.
#[test]
fn calls_held_over_a_trip_and_ended_while_it_probes_change_nothing() {
    let (clock, _scope) = virtual_time();
    for verdict in [Verdict::Success, Verdict::TRANSIENT, Verdict::Permanent, Verdict::Ignored] {
        for (rule, breaker) in breakers() {
            let (while_open, while_probing) = (held(&breaker, 4), held(&breaker, 4));
            trip(&breaker);
            end_without_effect(&breaker, while_open, verdict);
            clock.advance(RECOVERY);
            let probe = breaker.try_acquire().unwrap();
            end_without_effect(&breaker, while_probing, verdict);
            probe.record(Verdict::TRANSIENT);
            assert_eq!(breaker.state(), CircuitState::Open, "{rule}: the probe alone decides");
        }
    }
}

/// Law 3, second half: stale failures must not burden what has recovered.
#[test]
fn calls_held_over_a_trip_and_ended_after_the_recovery_change_nothing() {
    let (clock, _scope) = virtual_time();
    for verdict in [Verdict::Success, Verdict::TRANSIENT, Verdict::Permanent, Verdict::Ignored] {
        for (rule, breaker) in breakers() {
            let stale = held(&breaker, 8);
            trip(&breaker);
            clock.advance(RECOVERY);
            succeed(&breaker);
            assert_eq!(breaker.state(), CircuitState::Closed, "{rule}");
            succeed(&breaker);
            end_without_effect(&breaker, stale, verdict);
        }
    }
}

/// Law 3: not only the generation before.
#[test]
fn calls_held_over_a_thousand_rounds_change_nothing() {
    let (clock, _scope) = virtual_time();
    for (rule, breaker) in breakers() {
        let (failures, successes) = (held(&breaker, 8), held(&breaker, 8));
        for _ in 0..1000 {
            trip(&breaker);
            clock.advance(RECOVERY);
            succeed(&breaker);
        }
        assert_eq!(breaker.state(), CircuitState::Closed, "{rule}");
        end_without_effect(&breaker, failures, Verdict::TRANSIENT);
        end_without_effect(&breaker, successes, Verdict::Success);
    }
}

/// Law 3: resets and hands on the switch begin new generations too.
#[test]
fn calls_held_over_a_move_by_hand_change_nothing() {
    let _scope = virtual_time();
    for (_, breaker) in breakers() {
        let stale = held(&breaker, 8);
        breaker.reset();
        end_without_effect(&breaker, stale, Verdict::TRANSIENT);
        let stale = held(&breaker, 8);
        breaker.isolate();
        breaker.close();
        end_without_effect(&breaker, stale, Verdict::TRANSIENT);
    }
}

/// Law 3: probes are held to the round in which they began.
#[test]
fn a_probe_of_an_earlier_round_does_not_speak_for_a_later_one() {
    let (clock, _scope) = virtual_time();
    for verdict in [Verdict::Success, Verdict::TRANSIENT] {
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .recovery_timeout(RECOVERY)
            .probes(2)
            .build();
        fail(&breaker);
        clock.advance(RECOVERY);
        let late = breaker.try_acquire().unwrap();
        fail(&breaker);
        clock.advance(RECOVERY);
        let current = breaker.try_acquire().unwrap();
        end_without_effect(&breaker, vec![late], verdict);
        assert_eq!(breaker.counters().probes_in_flight, 1);
        current.record(Verdict::Success);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 3: whichever of two probes comes first, its word stands.
#[test]
fn a_success_that_races_a_failed_probe_does_not_undo_it() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(RECOVERY)
        .recovery_multiplier(2.0)
        .probes(2)
        .build();
    fail(&breaker);
    clock.advance(RECOVERY);
    let (fails, succeeds) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    fails.record(Verdict::TRANSIENT);
    succeeds.record(Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(breaker.time_until_probe(), Some(2 * RECOVERY), "and its longer wait stands");
}

/// Law 3: the other order.
#[test]
fn a_failure_that_comes_after_the_probe_that_closed_does_not_open_again() {
    let (clock, _scope) = virtual_time();
    let breaker =
        CircuitBreaker::builder().failure_threshold(1).recovery_timeout(RECOVERY).probes(2).build();
    fail(&breaker);
    clock.advance(RECOVERY);
    let (fails, succeeds) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    succeeds.record(Verdict::Success);
    fails.record(Verdict::TRANSIENT);
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.counters().consecutive_failures, 0);
}

/// Laws 1 and 3: a hung probe that has lost its slot has lost its word.
#[test]
fn a_probe_whose_lease_has_ended_changes_nothing_when_it_ends_at_last() {
    let (clock, _scope) = virtual_time();
    for verdict in [Verdict::Success, Verdict::TRANSIENT, Verdict::Ignored] {
        let (_, breaker) = breakers().swap_remove(0);
        trip(&breaker);
        clock.advance(RECOVERY);
        let hung = breaker.try_acquire().unwrap();
        clock.advance(62 * S);
        let current = breaker.try_acquire().unwrap();
        end_without_effect(&breaker, vec![hung], verdict);
        assert!(breaker.try_acquire().is_err(), "nor does it give a slot back");
        current.record(Verdict::Success);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 3 through `run`, where the calls are futures.
#[tokio::test(start_paused = true)]
async fn running_calls_that_end_after_trip_and_recovery_change_nothing() {
    let breaker =
        Arc::new(CircuitBreaker::builder().failure_threshold(3).recovery_timeout(RECOVERY).build());
    let started = Arc::new(Calls::new());
    let mut running = Vec::new();
    for _ in 0..8 {
        let (end, ended) = oneshot::channel::<Outcome>();
        let ended = Arc::new(tokio::sync::Mutex::new(Some(ended)));
        let (breaker, started) = (Arc::clone(&breaker), Arc::clone(&started));
        let task = tokio::spawn(async move {
            let operation = async || {
                started.count();
                ended.lock().await.take().unwrap().await.unwrap()
            };
            breaker.run(operation).await
        });
        running.push((end, task));
    }
    tokio::time::sleep(MS).await;
    assert_eq!(started.get(), 8);
    trip(&breaker);
    tokio::time::advance(RECOVERY).await;
    succeed(&breaker);
    let before = seen(&breaker);
    for (n, (end, task)) in running.into_iter().enumerate() {
        let outcome = if n % 2 == 0 { Ok(1) } else { Err(Down(1)) };
        end.send(outcome).unwrap();
        assert_eq!(task.await.unwrap().is_ok(), n % 2 == 0, "the caller gets its outcome");
        assert_eq!(seen(&breaker), before);
    }
}

/// Law 3: dropped, but not in silence.
#[test]
fn an_outcome_that_comes_too_late_is_told_as_stale() {
    let (clock, _scope) = virtual_time();
    let (_, breaker) = breakers().swap_remove(0);
    let stale = held(&breaker, 2);
    trip(&breaker);
    clock.advance(RECOVERY);
    succeed(&breaker);
    let events = event_names(&breaker);
    for permit in stale {
        permit.record(Verdict::TRANSIENT);
    }
    assert_eq!(events.all(), ["StaleOutcome", "StaleOutcome"]);
}
