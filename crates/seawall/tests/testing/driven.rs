//! A scope that an executor of its own drives.

use crate::{CircuitBreaker, S, Scope, catch_unwind, fail, quiet_panic};
use seawall::{Tick, testing::ManualClock};
use std::panic::AssertUnwindSafe;

fn millis() -> u64 {
    Tick::now().as_millis()
}

#[test]
fn a_driven_scope_is_around_all_others_of_its_thread() {
    let (outer, inner) = (ManualClock::new(), ManualClock::new());
    let before = millis();
    outer.advance(S);
    inner.advance(2 * S);
    Scope::new(outer.clone()).drive(|| {
        let driven = millis();
        let entered = Scope::new(inner.clone()).enter();
        assert_eq!(millis(), driven + 1000);
        drop(entered);
        assert_eq!(millis(), driven);
        outer.advance(S);
        assert_eq!(millis(), driven + 1000);
        // Another thread does not see it.
        let elsewhere = std::thread::scope(|scope| scope.spawn(millis).join().unwrap());
        assert!(elsewhere < before + 3_600_000, "{elsewhere}");
    });
    assert!(millis() >= before);
}

#[test]
fn a_driven_scope_ends_when_its_body_panics() {
    let (outer, inner) = (Scope::new(ManualClock::new()), ManualClock::new());
    outer.drive(|| {
        let driven = millis();
        inner.advance(S);
        let within = catch_unwind(AssertUnwindSafe(|| {
            Scope::new(inner.clone()).drive(|| {
                assert_eq!(millis(), driven + 1000);
                quiet_panic()
            })
        }));
        assert!(within.is_err());
        assert_eq!(millis(), driven);
    });
}

#[test]
fn a_breaker_takes_its_time_from_the_driven_scope() {
    let clock = ManualClock::new();
    Scope::new(clock.clone()).drive(|| {
        let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(S).build();
        fail(&breaker);
        assert!(breaker.try_acquire().is_err());
        clock.advance(S);
        assert!(breaker.try_acquire().is_ok());
    });
}
