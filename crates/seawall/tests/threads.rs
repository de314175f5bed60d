//! Real threads on each thing that they share. Natively a few rounds; under Miri (`ci/miri`) each
//! round in many orders, with its eye on data races and on what weak memory allows.
#![cfg(not(any(seawall_loom, seawall_shuttle)))]
#![allow(clippy::unwrap_used, reason = "tests")]

use seawall::{
    CircuitBreaker, CircuitBreakers, CircuitState, RetryBudget, Verdict, breaker::Counters,
};
use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
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

/// The breaker of now, for those who ask for it at each call.
type Now = RwLock<Arc<CircuitBreaker>>;

/// Threads make calls while another one hands over, a thousand times and until they are done: half of
/// them by the breaker of now, half by the first one that there was.
fn while_handing_over(
    make: impl Fn(u32) -> CircuitBreaker,
    call: impl Fn(&CircuitBreaker, usize) + Sync,
) -> Arc<CircuitBreaker> {
    let (handovers, calls) = if cfg!(miri) { (5, 5) } else { (1000, 1000) };
    let first = Arc::new(make(0));
    let now = Now::new(Arc::clone(&first));
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for n in 0..THREADS {
            let (first, now, done, call) = (&first, &now, &done, &call);
            scope.spawn(move || {
                for turn in 0..calls {
                    let breaker = if (turn + n) % 2 == 0 {
                        Arc::clone(first)
                    } else {
                        Arc::clone(&now.read().unwrap())
                    };
                    call(&breaker, turn + n);
                    thread::yield_now();
                }
                done.fetch_add(1, SeqCst);
            });
        }
        for n in 1.. {
            if n > handovers && done.load(SeqCst) == THREADS as u64 {
                break;
            }
            let next = make(n).keeping(&now.read().unwrap());
            *now.write().unwrap() = next;
            thread::yield_now();
        }
    });
    let last = Arc::clone(&now.read().unwrap());
    assert_eq!(last.counters(), first.counters());
    last
}

const MADE: u64 = if cfg!(miri) { 5 } else { 1000 } * THREADS as u64;

#[test]
fn no_handover_loses_or_doubles_a_failure_in_a_row() {
    let of = |n| CircuitBreaker::builder().failure_threshold(1_000_000 + n).build();
    let breaker = while_handing_over(of, |breaker, _| {
        breaker.try_acquire().unwrap().record(Verdict::TRANSIENT);
    });
    assert_eq!(u64::from(breaker.counters().consecutive_failures), MADE);
}

#[test]
fn no_handover_loses_or_doubles_a_call_in_a_window() {
    let of = |builder: seawall::breaker::CircuitBreakerBuilder, n: u32| {
        // Rates that nothing reaches: a third is good.
        builder.failure_rate(1.0 - f64::from(n % 7) / 1e6).minimum_calls(1000).build()
    };
    // Windows of one size hand over what they are, those of two are copied.
    let same_calls = |n| of(CircuitBreaker::builder().over_calls(5000), n);
    let other_calls = |n| of(CircuitBreaker::builder().over_calls(4000 + n % 3), n);
    let same_time = |n| of(CircuitBreaker::builder().over_time(HOUR), n);
    let makes: [&dyn Fn(u32) -> CircuitBreaker; 3] = [&same_calls, &other_calls, &same_time];
    for (kind, make) in makes.into_iter().enumerate() {
        let bad = AtomicU64::new(0);
        let breaker = while_handing_over(make, |breaker, turn| {
            let verdict = if turn % 3 == 0 { Verdict::Success } else { Verdict::TRANSIENT };
            bad.fetch_add(u64::from(turn % 3 > 0), SeqCst);
            breaker.try_acquire().unwrap().record(verdict);
        });
        let Counters { calls, failures, .. } = breaker.counters();
        assert_eq!((calls, failures), (MADE, bad.into_inner()), "kind {kind}");
    }
}

#[test]
fn no_handover_loses_a_probe_or_wedges_a_breaker() {
    let of = |n: u32| {
        CircuitBreaker::builder()
            .failure_threshold(1 + n % 3)
            .recovery_timeout(Duration::ZERO)
            .probe_lease(HOUR)
            .probes(2)
            .build()
    };
    let breaker = while_handing_over(of, |breaker, turn| {
        let Ok(permit) = breaker.try_acquire() else { return };
        match turn % 3 {
            0 => permit.record(Verdict::Success),
            1 => permit.record(Verdict::TRANSIENT),
            _ => drop(permit),
        }
    });
    assert_eq!(breaker.counters().probes_in_flight, 0);
    assert!(breaker.try_acquire().is_ok(), "wedged");
}
