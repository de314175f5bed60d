//! Circuit breakers as their callers and operators see them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

use common::{Calls, Down, HOUR, Log, MS, Outcome, S, fail, succeed, together, transitions};
use proptest::prelude::*;
use seawall::{
    CircuitBreaker, CircuitBreakers, CircuitState, Classify, Error, Event, Permit, Pipeline,
    Rejection, SettingValue, Timeout, Verdict,
    breaker::{CircuitBreakerBuilder, Counters, Mode, TransitionCause},
    testing::{Entered, ManualClock, Scope},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

fn virtual_time() -> (ManualClock, Entered) {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone()).enter();
    (clock, scope)
}

/// Opens at the first failure, for ten seconds.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder().failure_threshold(1).recovery_timeout(10 * S)
}

/// A permit by hand, over `time`.
fn takes<C>(breaker: &CircuitBreaker<C>, clock: &ManualClock, time: Duration, verdict: Verdict) {
    let permit = breaker.try_acquire().unwrap();
    clock.advance(time);
    permit.record(verdict);
}

mod by_hand;
mod defaults;
mod dry_run;
mod figures;
mod half_open;
mod keeping;
mod keyed;
mod recovery;
mod rejections;
mod sharing;
mod slow_calls;
mod verdicts;
mod windows;
