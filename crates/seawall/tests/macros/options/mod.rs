//! Every option reaches the policy: a function with it does what that policy does.

use crate::{
    Calls, Down, Rich,
    common::{HOUR, Log, MS, Outcome, S, pending_once, poll_once},
};
use seawall::{
    BackoffStrategy, CircuitBreaker, CircuitBreakers, Error, Jitter, RetryBudget, RetryExecutor,
    RetryPolicy, Retrying, When, circuit_breaker, retry,
    retry::RetryPolicyBuilder,
    testing::{Entered, ManualClock, MockRetryExecutor, Recorder, Scope, Seed},
    timeout,
};
use std::{
    fmt::Debug,
    future::{pending, poll_fn},
    pin::pin,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The same world for each: a clock that only moves when told, one seed, and a recorder.
fn world() -> (Recorder, ManualClock, [Entered; 3]) {
    let (events, clock) = (Recorder::new(), ManualClock::new());
    let seed = Scope::new(Seed::new(3)).enter();
    let entered = [seed, events.enter(), Scope::new(clock.clone()).enter()];
    (events, clock, entered)
}

mod breakers;
mod retries;
mod timeouts;
