//! Real threads on each thing that they share. Natively a few rounds; under Miri (`ci/miri`) each
//! round in many orders, with its eye on data races and on what weak memory allows.
#![cfg(not(any(seawall_loom, seawall_shuttle)))]
#![allow(clippy::unwrap_used, reason = "tests")]

use seawall::{
    CircuitBreaker, CircuitBreakers, CircuitState, RetryBudget, Verdict, breaker::Counters,
};
use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::Duration,
};

const THREADS: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

fn on_threads(each: impl Fn(usize) + Sync) {
    let rounds = if cfg!(miri) { 1 } else { 50 };
    for _ in 0..rounds {
        thread::scope(|scope| {
            for n in 0..THREADS {
                let each = &each;
                scope.spawn(move || each(n));
            }
        });
    }
}

fn once(each: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for n in 0..THREADS {
            let each = &each;
            scope.spawn(move || each(n));
        }
    });
}

#[test]
fn threads_trip_probe_and_close_without_a_slot_lost() {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(2)
        .recovery_timeout(Duration::ZERO)
        .probes(2)
        .build();
    on_threads(|n| {
        for turn in 0..4 {
            let Ok(permit) = breaker.try_acquire() else { continue };
            match (n + turn) % 3 {
                0 => permit.record(Verdict::Success),
                1 => permit.record(Verdict::TRANSIENT),
                _ => drop(permit),
            }
        }
    });
    assert_eq!(breaker.counters().probes_in_flight, 0);
    assert!(breaker.try_acquire().is_ok(), "wedged");
}

#[test]
fn threads_fill_windows_exactly() {
    let rate = CircuitBreaker::builder().failure_rate(1.0).recovery_timeout(HOUR);
    for builder in [rate.over_calls(20), rate.over_time(HOUR)] {
        let breaker = builder.build();
        once(|n| {
            let permit = breaker.try_acquire().unwrap();
            permit.record(if n == 0 { Verdict::Success } else { Verdict::TRANSIENT });
        });
        let Counters { calls, failures, .. } = breaker.counters();
        assert_eq!((calls, failures), (3, 2));
    }
    for builder in [rate.over_calls(3), rate.over_time(HOUR).minimum_calls(3)] {
        let breaker = builder.build();
        once(|_| breaker.try_acquire().unwrap().record(Verdict::TRANSIENT));
        assert_eq!(breaker.state(), CircuitState::Open, "the last failure was lost");
    }
}

#[test]
fn threads_spend_a_budget_once() {
    let budget = RetryBudget::new(0.5, 2);
    let (before, retries) = (budget.available(), AtomicU64::new(0));
    once(|_| {
        while budget.try_retry() {
            retries.fetch_add(1, SeqCst);
        }
    });
    assert_eq!(retries.load(SeqCst), before);
}

#[test]
fn threads_share_the_breaker_of_a_key() {
    let breakers = CircuitBreakers::new(CircuitBreaker::builder().failure_threshold(3)).max_keys(2);
    once(|n| {
        breakers.get("one").try_acquire().unwrap().record(Verdict::TRANSIENT);
        let _ = breakers.get(&n);
    });
    assert!(breakers.get("one").state().is_open());
    assert!(breakers.len() <= 2);
}
