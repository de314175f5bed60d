//! What the crate offers to tests, as tests use it.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

use common::{
    Alive, AliveGuard, Calls as Count, Down, Log, MS, Outcome, PATIENCE, S, fail, pending_once,
    poll_once, succeed, together,
};
use seawall::{
    CircuitBreaker, CircuitState, DynPolicy, Error, Event, FallbackChain, Jitter, Layer, Name,
    Observe, Pipeline, Policy, Rejection, RetryExecutor, RetryPolicy, SettingValue, Timeout,
    Verdict,
    breaker::Mode,
    retry::RetryPolicyBuilder,
    testing::{Chaos, Entered, ManualClock, Recorder, Scope, chaos::Calls},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
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
mod inspection;
mod recorder;
