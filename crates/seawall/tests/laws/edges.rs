//! Law 11, first half: thresholds hold at their edges.

use crate::common::{MS, Outcome, S, fail, succeed, together};
use seawall::{
    CircuitBreaker, CircuitState, Permit, Verdict,
    breaker::{CircuitBreakerBuilder, TransitionCause},
    testing::{Entered, ManualClock, Scope},
};
use std::time::Duration;

fn virtual_time() -> (ManualClock, Entered) {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone()).enter();
    (clock, scope)
}

/// A breaker by rate, over a count window of `size` or over an hour.
fn by_rate(rate: f64, minimum: u32, size: Option<u32>) -> CircuitBreaker {
    let builder = CircuitBreaker::builder().failure_rate(rate).minimum_calls(minimum);
    over(builder, size).build()
}

fn over(builder: CircuitBreakerBuilder, size: Option<u32>) -> CircuitBreakerBuilder {
    match size {
        Some(calls) => builder.over_calls(calls),
        None => builder.over_time(3600 * S),
    }
}

fn is_open(breaker: &CircuitBreaker) -> bool {
    breaker.state() == CircuitState::Open
}

/// Law 11: of consecutive failures.
#[test]
fn a_threshold_opens_at_exactly_as_many_failures_in_a_row() {
    for threshold in [1, 2, 5, 1000] {
        let breaker = CircuitBreaker::builder().failure_threshold(threshold).build();
        for failures in 1..=threshold {
            assert!(!is_open(&breaker), "after {} of {threshold}", failures - 1);
            fail(&breaker);
        }
        assert!(is_open(&breaker), "{threshold}");
    }
}

/// Law 11: in a row, so that a success starts over.
#[test]
fn a_success_between_failures_starts_the_count_over() {
    let breaker = CircuitBreaker::builder().failure_threshold(3).build();
    for _ in 0..1000 {
        fail(&breaker);
        fail(&breaker);
        succeed(&breaker);
    }
    assert!(!is_open(&breaker));
    assert_eq!(breaker.counters().consecutive_failures, 0);
}

/// Law 11: a minimum of calls is met by whatever call comes, so a success can open.
#[test]
fn the_success_that_meets_the_minimum_of_calls_opens_if_the_rate_is_reached() {
    let _scope = virtual_time();
    for size in [Some(10), Some(100), None] {
        let breaker = by_rate(0.5, 10, size);
        for n in 0..5 {
            fail(&breaker);
            assert!(!is_open(&breaker), "failure {n}, {size:?}");
        }
        for n in 0..4 {
            succeed(&breaker);
            assert!(!is_open(&breaker), "success {n}, {size:?}");
        }
        succeed(&breaker);
        assert!(is_open(&breaker), "5 of 10 have failed, {size:?}");
        assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::FailureRate);
    }
}

/// Law 11: one below.
#[test]
fn the_success_that_meets_the_minimum_below_the_rate_leaves_it_closed() {
    let _scope = virtual_time();
    for size in [Some(10), Some(100), None] {
        let breaker = by_rate(0.5, 10, size);
        for _ in 0..4 {
            fail(&breaker);
        }
        for _ in 0..6 {
            succeed(&breaker);
        }
        assert!(!is_open(&breaker), "{size:?}");
        assert_eq!(breaker.failure_rate(), Some(0.4));
    }
}

/// Law 11: the minimum exactly met by a failure.
#[test]
fn the_failure_that_meets_the_minimum_of_calls_opens_if_the_rate_is_reached() {
    let _scope = virtual_time();
    for size in [Some(10), Some(100), None] {
        let breaker = by_rate(0.1, 10, size);
        for _ in 0..9 {
            succeed(&breaker);
        }
        assert!(!is_open(&breaker));
        fail(&breaker);
        assert!(is_open(&breaker), "1 of 10, {size:?}");
    }
}

/// Law 11: 100 %.
#[test]
fn a_rate_of_one_opens_when_every_call_failed_and_not_before() {
    let _scope = virtual_time();
    for size in [Some(10), None] {
        let breaker = by_rate(1.0, 10, size);
        for _ in 0..9 {
            fail(&breaker);
        }
        assert!(!is_open(&breaker), "{size:?}");
        fail(&breaker);
        assert!(is_open(&breaker), "{size:?}");

        let breaker = by_rate(1.0, 10, size);
        succeed(&breaker);
        for _ in 0..9 {
            fail(&breaker);
        }
        assert!(!is_open(&breaker), "one of ten was well, {size:?}");
    }
}

/// Law 11: a count window forgets the one success with the call that pushes it out.
#[test]
fn a_full_count_window_of_failures_reaches_a_rate_of_one() {
    let breaker = by_rate(1.0, 10, Some(10));
    succeed(&breaker);
    for _ in 0..9 {
        fail(&breaker);
    }
    assert!(!is_open(&breaker));
    fail(&breaker);
    assert!(is_open(&breaker));
}

/// Law 11: a minimum and a window of one.
#[test]
fn a_window_of_one_call_opens_at_the_first_failure() {
    let _scope = virtual_time();
    for size in [Some(1), None] {
        let breaker = by_rate(1.0, 1, size);
        for _ in 0..100 {
            if size.is_some() {
                succeed(&breaker);
            }
        }
        fail(&breaker);
        assert!(is_open(&breaker), "{size:?}");
    }
}

/// Law 11: 0 %. Nothing bad is still nothing.
#[test]
fn a_rate_of_zero_opens_at_the_first_failure_and_not_at_successes() {
    let _scope = virtual_time();
    for size in [Some(10), None] {
        let breaker = by_rate(0.0, 1, size);
        for _ in 0..100 {
            succeed(&breaker);
        }
        assert!(!is_open(&breaker), "{size:?}");
        fail(&breaker);
        assert!(is_open(&breaker), "{size:?}");
    }
}

/// Law 11: quotients that binary fractions do not hold.
#[test]
fn every_percentage_of_a_hundred_calls_is_reached_at_its_number() {
    for percent in 1..=100 {
        let breaker = by_rate(f64::from(percent) / 100.0, 100, Some(100));
        for n in 0..100 {
            assert!(!is_open(&breaker));
            if n < percent { fail(&breaker) } else { succeed(&breaker) }
        }
        assert!(is_open(&breaker), "{percent} of 100");

        let breaker = by_rate(f64::from(percent) / 100.0, 100, Some(100));
        for n in 0..100 {
            if n < percent - 1 { fail(&breaker) } else { succeed(&breaker) }
        }
        assert!(!is_open(&breaker), "one less than {percent} of 100");
    }
}

/// Law 11: with both rules, whichever comes first.
#[test]
fn a_rate_and_a_threshold_each_open_by_themselves() {
    let both = || CircuitBreaker::builder().failure_threshold(3).failure_rate(0.5).over_calls(4);
    let breaker = both().build();
    for _ in 0..3 {
        fail(&breaker);
    }
    assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::ConsecutiveFailures);
    let breaker = both().build();
    for _ in 0..2 {
        fail(&breaker);
        succeed(&breaker);
    }
    assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::FailureRate);
}

/// Law 11: a call as long as the limit is slow, one a bit shorter is not.
#[test]
fn a_call_is_slow_from_exactly_the_limit_on() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder().slow_call_rate(0.5, S).over_calls(4).build();
    let takes = |time: Duration, verdict| {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(time);
        permit.record(verdict);
    };
    takes(S - MS, Verdict::Success);
    takes(S - Duration::from_nanos(1), Verdict::TRANSIENT);
    assert_eq!(breaker.counters().slow_calls, 0);
    takes(S, Verdict::Success);
    assert_eq!(breaker.counters().slow_calls, 1);
    assert!(!is_open(&breaker));
    takes(S, Verdict::TRANSIENT);
    assert!(is_open(&breaker), "2 of 4 were slow, however they ended");
    assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::SlowCallRate);
}

/// Law 11: not a tick earlier, and not one later.
#[test]
fn an_open_breaker_lets_a_probe_through_at_exactly_its_recovery_timeout() {
    let (clock, _scope) = virtual_time();
    for recovery in [MS, S, 3 * 24 * 3600 * S] {
        let breaker =
            CircuitBreaker::builder().failure_threshold(1).recovery_timeout(recovery).build();
        fail(&breaker);
        clock.advance(recovery - MS);
        assert_eq!(breaker.time_until_probe(), Some(MS), "{recovery:?}");
        assert!(breaker.try_acquire().is_err());
        clock.advance(MS);
        assert_eq!(breaker.time_until_probe(), Some(Duration::ZERO));
        assert!(breaker.try_acquire().is_ok());
    }
}

/// Law 11: the most that can be set.
#[test]
fn as_many_successes_as_set_close_it_and_one_less_does_not() {
    let (clock, _scope) = virtual_time();
    for (probes, successes) in [(1, 1), (1, 255), (255, 1), (255, 255), (3, 10), (10, 3)] {
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .recovery_timeout(S)
            .probes(probes)
            .successes_to_close(successes)
            .build();
        fail(&breaker);
        clock.advance(S);
        for n in 1..successes {
            succeed(&breaker);
            assert_eq!(breaker.state(), CircuitState::HalfOpen, "{n} of {successes}");
            assert_eq!(breaker.counters().probe_successes, u64::from(n));
        }
        succeed(&breaker);
        assert_eq!(breaker.state(), CircuitState::Closed, "{successes}");
    }
}

/// Law 11 and fault class 7: no minimum protects a failed probe.
#[test]
fn a_single_failed_probe_opens_again_whatever_the_minimum_of_calls() {
    let (clock, _scope) = virtual_time();
    for size in [Some(100), None] {
        let builder = CircuitBreaker::builder().failure_rate(1.0).minimum_calls(100);
        let breaker = over(builder, size).recovery_timeout(S).successes_to_close(9).build();
        for _ in 0..100 {
            fail(&breaker);
        }
        clock.advance(S);
        succeed(&breaker);
        fail(&breaker);
        assert!(is_open(&breaker), "{size:?}");
    }
}

/// Law 11 under contention: sixty-four failures at once.
#[test]
fn no_failure_is_lost_when_sixty_four_come_at_once() {
    let breakers = || {
        [
            CircuitBreaker::builder().failure_threshold(64).build(),
            by_rate(1.0, 64, Some(64)),
            by_rate(1.0, 64, Some(1000)),
            by_rate(1.0, 64, None),
        ]
    };
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone());
    for _ in 0..20 {
        for breaker in breakers() {
            let all: Vec<Permit<'_>> = (0..64).map(|_| breaker.try_acquire().unwrap()).collect();
            let all: Vec<_> = all.into_iter().map(|p| std::sync::Mutex::new(Some(p))).collect();
            together(64, |n| {
                let _scope = scope.enter();
                all[n].lock().unwrap().take().unwrap().record(Verdict::TRANSIENT);
            });
            assert!(
                is_open(&breaker),
                "{}: {:?}",
                seawall::Pipeline::new(&breaker),
                breaker.counters()
            );
        }
    }
}

/// Law 11 under contention: whoever comes last decides, also if it is a success.
#[test]
fn the_minimum_met_at_once_by_failures_and_successes_opens() {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone());
    for round in 0..40 {
        let breaker = by_rate(0.5, 64, if round % 2 == 0 { Some(64) } else { None });
        together(64, |n| {
            let _scope = scope.enter();
            let fails = n % 2 == 0;
            let _ = breaker
                .run_blocking(|| if fails { Outcome::Err(crate::common::Down(1)) } else { Ok(1) });
        });
        assert!(is_open(&breaker), "{:?}", breaker.counters());
    }
}
