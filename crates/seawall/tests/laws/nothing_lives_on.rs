//! Law 8: after a timeout returns, no attempt of that call is alive.

use crate::common::{Alive, Calls, Down, MS, Outcome, S, poll_once};
use seawall::{
    CircuitBreaker, DynPolicy, Error, FallbackChain, Pipeline, Rejection, RetryPolicy, Timeout,
};
use std::{future::Future, pin::pin, sync::Arc};

const LIMIT: Timeout = Timeout::new(S);

/// An operation that holds a guard, and never ends.
fn hangs(alive: &Alive) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> {
    let alive = alive.clone();
    move || {
        let alive = alive.clone();
        Box::pin(async move {
            let _guard = alive.guard();
            std::future::pending().await
        })
    }
}

fn is_timeout(outcome: &Result<u32, Error<Down>>) -> bool {
    let rejection = outcome.as_ref().err().and_then(Error::rejection);
    matches!(rejection, Some(Rejection::TimedOut { .. }))
}

/// Law 8: alone.
#[tokio::test(start_paused = true)]
async fn nothing_of_an_operation_lives_after_its_timeout() {
    let alive = Alive::default();
    let mut call = pin!(LIMIT.run(hangs(&alive)));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(alive.count(), 1);
    assert!(is_timeout(&call.as_mut().await));
    // The future itself is still there: what it held is not.
    assert_eq!(alive.count(), 0);
}

/// Law 8: at every place in a stack.
#[tokio::test(start_paused = true)]
async fn nothing_of_an_operation_lives_after_a_timeout_at_any_place_in_a_stack() {
    let breaker = Arc::new(CircuitBreaker::new());
    let retry = RetryPolicy::builder().base_delay(MS).build();
    let fallback = FallbackChain::new().call(|| Outcome::Err(Down(2)));
    let stacks: Vec<Pipeline<Arc<dyn DynPolicy<u32, Down>>>> = vec![
        Pipeline::new((LIMIT, retry)).into_dyn(),
        Pipeline::new((retry, LIMIT)).into_dyn(),
        Pipeline::new((LIMIT, fallback, Arc::clone(&breaker), retry)).into_dyn(),
        Pipeline::new((fallback, Arc::clone(&breaker), retry, LIMIT)).into_dyn(),
        Pipeline::new((Arc::clone(&breaker), LIMIT, Pipeline::new((retry, fallback)))).into_dyn(),
        Pipeline::new((LIMIT, Timeout::new(2 * S), Some(retry), None::<Timeout>)).into_dyn(),
    ];
    for stack in stacks {
        let alive = Alive::default();
        let outcome = stack.run(hangs(&alive)).await;
        assert!(is_timeout(&outcome), "{stack}: {outcome:?}");
        assert_eq!(alive.count(), 0, "{stack}");
    }
}

/// Law 8: one attempt at a time, whatever ends it.
#[tokio::test(start_paused = true)]
async fn no_attempt_begins_while_an_earlier_one_lives() {
    let (alive, most) = (Alive::default(), Calls::new());
    let retry = RetryPolicy::builder().max_attempts(4).base_delay(MS).build();
    let operation = async || {
        assert_eq!(alive.count(), 0, "the attempt before is still there");
        let _guard = alive.guard();
        if most.count() % 2 == 0 {
            return Outcome::Err(Down(1));
        }
        std::future::pending().await
    };
    let outcome = Pipeline::new((retry, LIMIT)).run(operation).await;
    assert!(outcome.is_err());
    assert_eq!((most.get(), alive.count()), (4, 0));
}

/// Law 8: while a retry waits, the failed attempt is gone.
#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_gone_before_the_wait_begins() {
    let alive = Alive::default();
    let retry = RetryPolicy::builder().base_delay(S).build();
    // Holds its guard until it is dropped, not only until it is done.
    let operation = || {
        let guard = alive.guard();
        let mut attempt = Box::pin(async { Outcome::Err(Down(1)) });
        std::future::poll_fn(move |cx| {
            let _held = &guard;
            attempt.as_mut().poll(cx)
        })
    };
    let mut call = pin!(retry.run(operation));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(alive.count(), 0);
}

/// Law 8: a timeout during the wait between two attempts.
#[tokio::test(start_paused = true)]
async fn a_timeout_during_a_wait_ends_the_retry_with_it() {
    let (alive, calls) = (Alive::default(), Calls::new());
    let retry = RetryPolicy::builder().max_attempts(9).base_delay(60 * S).build();
    let operation = async || {
        let _guard = alive.guard();
        tokio::time::sleep(MS).await;
        calls.fail()
    };
    let before = tokio::time::Instant::now();
    let outcome = Pipeline::new((LIMIT, retry)).run(operation).await;
    assert!(is_timeout(&outcome));
    assert_eq!((before.elapsed(), alive.count()), (S, 0));
    tokio::time::sleep(3600 * S).await;
    assert_eq!(calls.get(), 1, "no attempt comes later");
}

/// Law 8: a call that its caller drops takes all with it, at every depth.
#[tokio::test(start_paused = true)]
async fn nothing_of_an_operation_lives_after_its_call_is_dropped() {
    let alive = Alive::default();
    let retry = RetryPolicy::builder().base_delay(MS).build();
    let stack = Pipeline::new((LIMIT, CircuitBreaker::new(), retry, FallbackChain::new().value(1)));
    {
        let mut call = pin!(stack.run(hangs(&alive)));
        assert!(poll_once(call.as_mut()).is_pending());
        assert_eq!(alive.count(), 1);
    }
    assert_eq!(alive.count(), 0);
}
