//! Retries as their callers see them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

use common::{
    Calls, Down, Log, MS, Outcome, S, event_name, heard, pending_once, poll_once, quiet_panic,
};
use seawall::{
    AnyError, BackoffStrategy, CircuitBreaker, Classify, Error, Event, ExhaustedReason, Jitter,
    Pipeline, Rejection, RetryBudget, RetryExecutor, RetryExhaustedError, RetryPolicy, Retrying,
    Timeout, Verdict,
    retry::{Next, RetryPolicyBuilder},
    testing::{ManualClock, Scope, Seed},
};
use std::{
    future::Future,
    ops::ControlFlow,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

/// No jitter, so that waits are exact.
fn exact() -> RetryPolicyBuilder {
    RetryPolicy::builder().jitter(Jitter::None)
}

fn at_once() -> RetryPolicyBuilder {
    RetryPolicy::builder().base_delay(Duration::ZERO)
}

fn exhausted<T: std::fmt::Debug>(outcome: Result<T, Error<Down>>) -> RetryExhaustedError<Down> {
    match outcome {
        Err(Error::RetryExhausted(exhausted)) => exhausted,
        outcome => panic!("not exhausted: {outcome:?}"),
    }
}

/// Runs on tokio's paused clock; gives the waits between the attempts of a call that never succeeds.
async fn waits(run: impl AsyncFn(&Log<Instant>)) -> Vec<Duration> {
    let log = Log::default();
    run(&log).await;
    log.all().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The same of a policy.
async fn waits_of<C: Classify<u32, Down>>(policy: RetryPolicy<C>) -> Vec<Duration> {
    waits(async |log| {
        let operation = async || {
            log.push(Instant::now());
            Outcome::Err(Down(1))
        };
        assert!(policy.run(operation).await.is_err());
    })
    .await
}

/// The waits of a blocking executor that never succeeds, as its sleeper hears them.
fn blocking_waits<C: Classify<u32, Down>>(executor: RetryExecutor<C>) -> Vec<Duration> {
    let log = Log::default();
    let executor = executor.blocking_sleeper({
        let log = log.clone();
        move |delay| log.push(delay)
    });
    assert!(executor.run_blocking(|| Outcome::Err(Down(1))).is_err());
    log.all()
}

fn settings(policy: RetryPolicy) -> Vec<String> {
    let layer = Pipeline::new(policy).layers().remove(0);
    layer.settings().iter().map(|(name, value)| format!("{name} {value}")).collect()
}

mod budgets;
mod defaults;
mod listeners;
mod loops;
mod others;
mod outcomes;
mod presets;
mod seeds;
mod waiting;
