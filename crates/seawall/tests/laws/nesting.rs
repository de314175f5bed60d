//! Law 14: nesting does not multiply.

use crate::common::{Calls, Outcome, S, fail};
use seawall::{
    CircuitBreaker, Error, ExhaustedReason, Pipeline, Rejection, RetryBudget, RetryExecutor,
    RetryPolicy,
};
use std::{sync::Arc, time::Duration};

const FOUR: RetryPolicy = RetryPolicy::builder().max_attempts(4).base_delay(Duration::ZERO).build();
const FOUR_EACH: RetryPolicy = FOUR.to_builder().retry_on_exhausted().build();

/// Law 14: sixty-four elsewhere.
#[test]
fn three_layers_of_four_attempts_make_four_calls() {
    let calls = Calls::new();
    let stack = Pipeline::new((FOUR, FOUR, FOUR));
    let Err(Error::RetryExhausted(exhausted)) = stack.run_blocking(|| calls.fail()) else {
        panic!("it never succeeds");
    };
    assert_eq!(calls.get(), 4);
    assert_eq!(exhausted.attempts(), 4);
    assert!(matches!(exhausted.last(), Error::Operation(_)), "and nothing is wrapped twice");
}

/// Law 14: the same in async code, through functions that do not know of each other.
#[tokio::test(start_paused = true)]
async fn three_layers_of_four_attempts_in_three_functions_make_four_calls() {
    async fn database(calls: &Calls) -> Result<u32, Error<crate::common::Down>> {
        FOUR.run(async || calls.fail()).await
    }
    async fn service(calls: &Calls) -> Result<u32, Error<crate::common::Down>> {
        FOUR.call(|| database(calls)).await
    }
    let calls = Calls::new();
    assert!(FOUR.call(|| service(&calls)).await.is_err());
    assert_eq!(calls.get(), 4);
}

/// Law 14: a retry that is told to does multiply.
#[test]
fn retries_told_to_repeat_exhausted_ones_multiply() {
    let calls = Calls::new();
    let stack = Pipeline::new((FOUR_EACH, FOUR_EACH, FOUR));
    assert!(stack.run_blocking(|| calls.fail()).is_err());
    assert_eq!(calls.get(), 64);
}

/// Law 14: also when a fallback or a breaker stands between the layers.
#[test]
fn an_exhausted_retry_is_known_through_the_layers_around_it() {
    let calls = Calls::new();
    let breaker = CircuitBreaker::new();
    let failing = seawall::FallbackChain::new().call(|| Outcome::Err(crate::common::Down(9)));
    let stack = Pipeline::new((FOUR, failing, &breaker, Some(FOUR)));
    assert!(stack.run_blocking(|| calls.fail()).is_err());
    assert_eq!(calls.get(), 4);
    assert_eq!(breaker.counters().consecutive_failures, 1, "one call, for the breaker");
}

/// Law 14: nor is what an open breaker rejects tried again.
#[tokio::test(start_paused = true)]
async fn a_retry_does_not_knock_at_an_open_breaker() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    fail(&breaker);
    let calls = Calls::new();
    let before = tokio::time::Instant::now();
    let outcome = Pipeline::new((RetryPolicy::new(), &breaker)).run(async || calls.fail()).await;
    assert!(matches!(outcome, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))));
    assert_eq!((calls.get(), breaker.counters().rejected), (0, 1));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// Law 14: one that is told to comes back when the breaker has said, not before.
#[tokio::test(start_paused = true)]
async fn a_retry_told_to_repeat_rejections_waits_as_long_as_the_breaker_says() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(30 * S).build();
    fail(&breaker);
    let retry = RetryPolicy::builder().max_attempts(2).base_delay(S).retry_on_open().build();
    let before = tokio::time::Instant::now();
    assert_eq!(Pipeline::new((retry, &breaker)).run(async || Outcome::Ok(1)).await, Ok(1));
    assert!(before.elapsed() >= 30 * S);
    assert_eq!(breaker.counters().rejected, 1);
}

/// Law 14: one budget for all layers, even of those that multiply.
#[test]
fn one_shared_budget_bounds_every_layer_of_a_process() {
    let budget = Arc::new(RetryBudget::new(0.1, 6));
    let layer = || RetryExecutor::new(FOUR_EACH).budget(Arc::clone(&budget));
    let calls = Calls::new();
    let stack = Pipeline::new((layer(), layer(), layer()));
    let Err(Error::RetryExhausted(exhausted)) = stack.run_blocking(|| calls.fail()) else {
        panic!("it never succeeds");
    };
    assert_eq!(calls.get(), 1 + 6, "the first, and what the budget pays");
    assert_eq!(exhausted.reason(), ExhaustedReason::Budget);
    assert!(stack.run_blocking(|| calls.fail()).is_err());
    assert_eq!(calls.get(), 1 + 6 + 1);
}
