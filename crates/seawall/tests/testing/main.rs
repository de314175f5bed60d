//! What the crate offers to tests, as tests use it.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

use common::{
    Alive, AliveGuard, Calls as Count, Down, HOUR, Log, MS, Meeting, Outcome, PATIENCE, S, fail,
    pending_once, poll_once, quiet_panic, succeed, together, transitions, watched,
};
use seawall::{
    CircuitBreaker, CircuitBreakers, CircuitState, DynPolicy, Error, Event, ExhaustedReason,
    FallbackChain, Jitter, Layer, Name, Observe, Permit, Pipeline, Policy, Rejection, RetryBudget,
    RetryExecutor, RetryPolicy, SettingValue, Timeout, Verdict,
    breaker::{Mode, TransitionCause},
    retry::RetryPolicyBuilder,
    testing::{
        Chaos, Entered, ManualClock, MockCircuitBreaker, MockRetryExecutor, Recorder, Scope,
        chaos::Calls,
    },
};
use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, mpsc},
    task::Poll,
    thread::{self, ThreadId},
    time::Duration,
};
use tokio::time::Instant;

fn at_once() -> RetryPolicyBuilder {
    RetryPolicy::builder().base_delay(Duration::ZERO)
}

async fn seven() -> Outcome {
    Ok(7)
}

/// The text of a panic.
fn panic_text(test: impl FnOnce()) -> String {
    text_of(&*catch_unwind(AssertUnwindSafe(test)).expect_err("it should panic"))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
}

mod chaos;
mod driven;
mod inspection;
mod mocks_breaker;
#[cfg(feature = "macros")]
mod mocks_in_macros;
mod mocks_retry;
mod mocks_side_by_side;
mod recorder;
