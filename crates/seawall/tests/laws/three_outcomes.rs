//! Law 9: the caller's cancel, a timeout and a failure are three different outcomes everywhere.

use crate::common::{Calls, Down, MS, Outcome, S, fail, poll_once};
use seawall::{
    CircuitBreaker, CircuitState, Error, FallbackChain, Pipeline, Rejection, RetryPolicy, Timeout,
};
use std::{future::pending, pin::pin, time::Duration};

const LIMIT: Timeout = Timeout::new(S);
const RECOVERY: Duration = Duration::from_secs(10);

/// Breakers of every trip rule.
fn breakers() -> [CircuitBreaker; 3] {
    let builder = || CircuitBreaker::builder().recovery_timeout(RECOVERY);
    [
        builder().failure_threshold(3).build(),
        builder().failure_rate(0.5).over_calls(10).minimum_calls(3).build(),
        builder().failure_rate(0.5).over_time(3600 * S).minimum_calls(3).build(),
    ]
}

/// Law 9: a cancelled call says nothing of the callee.
#[tokio::test(start_paused = true)]
async fn a_hundred_calls_that_their_callers_cancel_leave_every_counter_as_it_was() {
    for breaker in breakers() {
        fail(&breaker);
        let before = (breaker.counters(), breaker.failure_rate());
        for _ in 0..100 {
            let mut call = pin!(breaker.run(pending::<Outcome>));
            assert!(poll_once(call.as_mut()).is_pending());
        }
        assert_eq!((breaker.counters(), breaker.failure_rate()), before);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 9: a timeout inside the breaker tells of the callee.
#[tokio::test(start_paused = true)]
async fn timeouts_inside_the_breaker_are_failures() {
    for breaker in breakers() {
        let stack = Pipeline::new((&breaker, LIMIT));
        for _ in 0..3 {
            assert_eq!(breaker.state(), CircuitState::Closed);
            let outcome = stack.run(pending::<Outcome>).await;
            assert_eq!(outcome, Err(Error::Rejected(Rejection::TimedOut { limit: S })));
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

/// Law 9: a timeout outside it is the caller's own patience, so the permit is given up.
#[tokio::test(start_paused = true)]
async fn timeouts_outside_the_breaker_are_given_up_permits() {
    for breaker in breakers() {
        let stack = Pipeline::new((LIMIT, &breaker));
        let before = breaker.counters();
        for _ in 0..100 {
            assert!(stack.run(pending::<Outcome>).await.is_err());
        }
        assert_eq!(breaker.counters(), before);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

/// Law 9: the same three, for a probe.
#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_is_given_up_and_one_that_times_out_inside_has_failed() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(RECOVERY).build();
    fail(&breaker);
    tokio::time::advance(RECOVERY).await;
    let outside = Pipeline::new((LIMIT, &breaker));
    assert!(outside.run(pending::<Outcome>).await.is_err());
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.counters().probes_in_flight, 0);
    let inside = Pipeline::new((&breaker, LIMIT));
    assert!(inside.run(pending::<Outcome>).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Law 9: a timeout is a failure whatever error the breaker expects of the operation.
#[tokio::test(start_paused = true)]
async fn timeouts_are_failures_for_a_breaker_that_expects_certain_errors_only() {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .expected_exception(|error: &Down| error.0 == 500)
        .build();
    let stack = Pipeline::new((&breaker, LIMIT));
    assert!(stack.run(async || Outcome::Err(Down(404))).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert!(stack.run(pending::<Outcome>).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Law 9: a retry that ended in a timeout is one more timeout for the breaker around it.
#[tokio::test(start_paused = true)]
async fn a_breaker_sees_what_the_last_attempt_of_a_retry_inside_ended_in() {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .expected_exception(|error: &Down| error.0 == 500)
        .build();
    let retry = RetryPolicy::builder().base_delay(MS).build();
    let stack = Pipeline::new((&breaker, retry, LIMIT));
    assert!(stack.run(async || Outcome::Err(Down(404))).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Closed, "404 is the callee's answer");
    assert!(stack.run(pending::<Outcome>).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Law 9 for a retry: cancelled during an attempt.
#[tokio::test(start_paused = true)]
async fn a_call_cancelled_during_an_attempt_makes_no_other() {
    let (retry, calls) = (RetryPolicy::builder().base_delay(MS).build(), Calls::new());
    {
        let mut call = pin!(retry.run(|| {
            calls.count();
            pending::<Outcome>()
        }));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    tokio::time::sleep(3600 * S).await;
    assert_eq!(calls.get(), 1);
}

/// Law 9 for a retry: cancelled during the wait.
#[tokio::test(start_paused = true)]
async fn a_call_cancelled_during_a_wait_makes_no_further_attempt() {
    let (retry, calls) = (RetryPolicy::builder().base_delay(S).build(), Calls::new());
    {
        let mut call = pin!(retry.run(async || calls.fail()));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    tokio::time::sleep(3600 * S).await;
    assert_eq!(calls.get(), 1);
}

/// Law 9 for a retry: a timeout inside is a transient failure.
#[tokio::test(start_paused = true)]
async fn attempts_that_time_out_are_retried() {
    let calls = Calls::new();
    let retry = RetryPolicy::builder().base_delay(MS).build();
    let operation = async || {
        if calls.count() < 3 {
            pending().await
        }
        Outcome::Ok(calls.get())
    };
    assert_eq!(Pipeline::new((retry, LIMIT)).run(operation).await, Ok(3));
}

/// Law 9 for a fallback: it answers failures and timeouts, and no one answers a cancelled call.
#[tokio::test(start_paused = true)]
async fn a_fallback_answers_failures_and_timeouts_and_not_cancelled_calls() {
    let answers = Calls::new();
    let chain = FallbackChain::new().call(|| answers.count());
    let stack = Pipeline::new((chain, LIMIT));
    assert_eq!(stack.run(async || Outcome::Err(Down(1))).await, Ok(1));
    assert_eq!(stack.run(pending::<Outcome>).await, Ok(2));
    {
        let mut call = pin!(stack.run(pending::<Outcome>));
        assert!(poll_once(call.as_mut()).is_pending());
    }
    tokio::time::sleep(3600 * S).await;
    assert_eq!(answers.get(), 2);
}
