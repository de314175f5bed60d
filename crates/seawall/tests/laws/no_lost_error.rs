//! Law 10: the operation's error reaches the caller with its own type; all attempts' errors on
//! request.

use crate::common::{Calls, Down, MS, Outcome};
use seawall::{
    CircuitBreaker, Classify, Describe, DynBlockingPolicy, DynPolicy, Error, ExhaustedReason,
    FallbackChain, Jitter, Pipeline, Rejection, RetryExecutor, RetryPolicy, Timeout, Verdict,
};
use std::{error, sync::Arc, time::Duration};

type Layer = Arc<dyn DynPolicy<u32, Down>>;
type BlockingLayer = Arc<dyn DynBlockingPolicy<u32, Down>>;

const RETRY: RetryPolicy = RetryPolicy::builder().base_delay(MS).build();

fn fails() -> Outcome {
    Err(Down(99))
}

/// One of each kind, and an executor. The fallbacks fail too, or serve another error.
fn layers() -> Vec<Layer> {
    vec![
        Arc::new(FallbackChain::new().call(fails)),
        Arc::new(
            FallbackChain::new()
                .value(1)
                .only_if(|error: &Error<Down>| error.operation().is_none()),
        ),
        Arc::new(CircuitBreaker::new()),
        Arc::new(RETRY),
        Arc::new(RetryExecutor::new(RETRY)),
        Arc::new(Timeout::new(Duration::from_secs(60))),
    ]
}

fn blocking_layers() -> Vec<BlockingLayer> {
    let zero = RetryPolicy::builder().base_delay(Duration::ZERO).build();
    vec![
        Arc::new(FallbackChain::new().call(fails)),
        Arc::new(
            FallbackChain::new()
                .value(1)
                .only_if(|error: &Error<Down>| error.operation().is_none()),
        ),
        Arc::new(CircuitBreaker::new()),
        Arc::new(zero),
        Arc::new(RetryExecutor::new(zero)),
    ]
}

/// Every order of `count` of the indices below `of`, without repetition.
fn orders(of: usize, count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(of, count - 1);
    let longer = |order: Vec<usize>| {
        (0..of).filter(move |n| !order.contains(n)).collect::<Vec<_>>().into_iter()
    };
    shorter
        .into_iter()
        .flat_map(|order| longer(order.clone()).map(move |n| [order.clone(), vec![n]].concat()))
        .collect()
}

/// The number in the first `Down` of the chain of sources.
fn in_sources(error: &(dyn error::Error + 'static)) -> Option<u32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Down(number)) = error.downcast_ref() {
            return Some(*number);
        }
        next = error.source();
    }
    None
}

fn assert_reachable(outcome: Result<u32, Error<Down>>, stack: &impl std::fmt::Display) {
    let error = outcome.unwrap_err();
    assert!(matches!(error.operation(), Some(Down(1..=99))), "{stack}: {error:?}");
    let Some(Down(number)) = error.operation().copied() else { panic!("{stack}: {error:?}") };
    assert_ne!(number, 99, "{stack}: the operation's own, not the fallback's");
    assert_eq!(in_sources(&error), Some(number), "{stack}: {error:?}");
    assert!(format!("{error:#}").contains(&format!("down ({number})")), "{stack}: {error:#}");
    assert_eq!(error.into_operation(), Ok(Down(number)), "{stack}");
}

/// Law 10: every order of up to four layers.
#[tokio::test(start_paused = true)]
async fn the_operations_error_is_reachable_through_every_order_of_layers() {
    let mut stacks = 0;
    for count in 1..=4 {
        for order in orders(6, count) {
            let layers = layers();
            let inner: Layer = Arc::new(None::<Timeout>);
            let stack = order
                .iter()
                .rev()
                .fold(inner, |inner, n| Arc::new((Arc::clone(&layers[*n]), inner)) as Layer);
            let stack = Pipeline::new(stack);
            let calls = Calls::new();
            assert_reachable(stack.run(async || calls.fail()).await, &stack);
            stacks += 1;
        }
    }
    assert_eq!(stacks, 6 + 30 + 120 + 360);
}

/// Law 10: the same in blocking code.
#[test]
fn the_operations_error_is_reachable_through_every_order_of_blocking_layers() {
    for count in 1..=4 {
        for order in orders(5, count) {
            let layers = blocking_layers();
            let inner: BlockingLayer = Arc::new(None::<RetryPolicy>);
            let stack = order.iter().rev().fold(inner, |inner, n| {
                Arc::new((Arc::clone(&layers[*n]), inner)) as BlockingLayer
            });
            let stack = Pipeline::new(stack);
            let calls = Calls::new();
            assert_reachable(stack.run_blocking(|| calls.fail()), &stack);
        }
    }
}

/// Law 10: a policy's own reason is as easy to find.
#[tokio::test(start_paused = true)]
async fn a_rejection_is_reachable_through_every_order_of_layers_around_it() {
    let limit = Duration::from_secs(1);
    for order in orders(6, 3) {
        let layers = layers();
        let inner: Layer = Arc::new(Timeout::new(limit));
        let stack = order
            .iter()
            .rev()
            .fold(inner, |inner, n| Arc::new((Arc::clone(&layers[*n]), inner)) as Layer);
        let stack = Pipeline::new(stack);
        let outcome = stack.run(std::future::pending::<Outcome>).await;
        // One of the fallbacks serves rejections: then there is nothing to find.
        if let Err(error) = outcome {
            assert_eq!(error.rejection(), Some(&Rejection::TimedOut { limit }), "{stack}");
            assert_eq!(error.operation(), None, "{stack}");
        }
    }
}

/// Law 10: an operation's error that is no `std::error::Error`, nor `Clone`, nor `Debug`.
#[test]
fn errors_need_no_trait_at_all() {
    struct Bare(u32);
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO).build();
    let stack = Pipeline::new((FallbackChain::new(), CircuitBreaker::new(), retry));
    let outcome = stack.run_blocking(|| Err::<(), _>(Bare(7)));
    let Err(Ok(error)) = outcome.map_err(Error::into_operation) else { panic!("it was lost") };
    assert_eq!(error.0, 7);
}

fn errors_kept(most: u16, attempts: u32) -> Vec<u32> {
    let policy = RetryPolicy::builder()
        .max_attempts(attempts)
        .base_delay(Duration::ZERO)
        .keep_errors(most)
        .build();
    let calls = Calls::new();
    let Err(Error::RetryExhausted(exhausted)) = policy.run_blocking(|| calls.fail()) else {
        panic!("it never succeeds");
    };
    exhausted.errors().map(|error| error.operation().unwrap().0).collect()
}

/// Law 10: on request, and the latest ones.
#[test]
fn keep_errors_keeps_the_latest_errors_in_order_and_the_last_one_always() {
    assert_eq!(errors_kept(0, 5), [5]);
    assert_eq!(errors_kept(2, 5), [3, 4, 5]);
    assert_eq!(errors_kept(4, 5), [1, 2, 3, 4, 5]);
    assert_eq!(errors_kept(u16::MAX, 5), [1, 2, 3, 4, 5]);
    assert_eq!(errors_kept(3, 1), [1]);
}

/// Law 10: the same of the async driver, with rejections among them.
#[tokio::test(start_paused = true)]
async fn kept_errors_tell_rejections_from_failures() {
    let policy = RetryPolicy::builder().base_delay(MS).keep_errors(9).build();
    let calls = Calls::new();
    let operation = async || match calls.count() {
        2 => std::future::pending().await,
        call => Outcome::Err(Down(call)),
    };
    let limit = Duration::from_secs(1);
    let stack = Pipeline::new((policy, Timeout::new(limit)));
    let Err(Error::RetryExhausted(exhausted)) = stack.run(operation).await else {
        panic!("it never succeeds");
    };
    let errors: Vec<Error<Down>> = exhausted.errors().cloned().collect();
    let timed_out = Error::Rejected(Rejection::TimedOut { limit });
    assert_eq!(errors, [Error::Operation(Down(1)), timed_out, Error::Operation(Down(3))]);
}

/// Law 10: the errors before the one that ended the call, on request.
#[test]
fn kept_errors_survive_a_breaker_that_opens_midway() {
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO);
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    let calls = Calls::new();
    let stack = Pipeline::new((retry.keep_errors(9).build(), &breaker));
    let error = stack.run_blocking(|| calls.fail()).unwrap_err();
    assert!(matches!(error.rejection(), Some(Rejection::CircuitBreakerOpen(_))), "{error:?}");
    let Error::RetryExhausted(ended) = &error else { panic!("nothing was kept: {error:?}") };
    assert_eq!((ended.reason(), ended.attempts()), (ExhaustedReason::Permanent, 2));
    let errors: Vec<Option<Down>> = ended.errors().map(|e| e.operation().copied()).collect();
    assert_eq!(errors, [Some(Down(1)), None]);
    // Without the request the end of the call is what it is.
    breaker.close();
    let stack = Pipeline::new((retry.build(), &breaker));
    let bare = stack.run_blocking(|| calls.fail()).unwrap_err();
    assert!(matches!(bare, Error::Rejected(Rejection::CircuitBreakerOpen(_))), "{bare:?}");
}

/// Law 10: the same of an error that is not worth a retry, in the async driver.
#[tokio::test(start_paused = true)]
async fn kept_errors_survive_a_permanent_error() {
    let retry = RetryPolicy::builder().base_delay(MS).when(|error: &Down| error.0 < 3);
    let ended_by = async |keep| {
        let calls = Calls::new();
        let policy = retry.keep_errors(keep).build();
        policy.run(async || calls.fail()).await.unwrap_err()
    };
    assert_eq!(ended_by(0).await, Error::Operation(Down(3)));
    let error = ended_by(1).await;
    let text = error.to_string();
    assert!(text.ends_with("the last error is not worth a retry"), "{text}");
    let Error::RetryExhausted(ended) = error else { panic!("nothing was kept: {error:?}") };
    assert_eq!(ended.reason(), ExhaustedReason::Permanent);
    let errors: Vec<_> = ended.errors().map(|error| error.operation().copied()).collect();
    assert_eq!(errors, [Some(Down(2)), Some(Down(3))]);
    // One attempt has nothing before it: the error is as it is.
    let first = RetryPolicy::builder().keep_errors(9).when(|_: &Down| false).build();
    assert_eq!(first.run(async || Outcome::Err(Down(7))).await, Err(Error::Operation(Down(7))));
}

/// Law 10: and how long it took, whatever a classifier calls the last one.
#[tokio::test(start_paused = true)]
async fn kept_errors_come_with_the_calls_age() {
    struct ByNumber;
    impl Classify<u32, Down> for ByNumber {
        fn classify(&self, outcome: Result<&u32, &Down>) -> Verdict {
            match outcome {
                Err(Down(1)) => Verdict::TRANSIENT,
                _ => Verdict::Success,
            }
        }
    }
    let retry = RetryPolicy::builder().base_delay(MS).jitter(Jitter::None).keep_errors(9);
    let policy = retry.classify_with(ByNumber).build();
    let calls = Calls::new();
    let Err(Error::RetryExhausted(ended)) = policy.run(async || calls.fail()).await else {
        panic!("the second error ends it");
    };
    assert_eq!((ended.attempts(), ended.elapsed()), (2, MS));
}

/// Law 10: asking for the errors changes nothing else.
#[test]
fn kept_errors_do_not_make_a_permanent_error_worth_a_retry_further_out() {
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO);
    for keep in [0, 9] {
        let inner = retry.keep_errors(keep).when(|error: &Down| error.0 == 1).build();
        let outer = retry.retry_on_exhausted().when(|error: &Down| error.0 != 2).build();
        let calls = Calls::new();
        let error = Pipeline::new((outer, inner)).run_blocking(|| calls.fail()).unwrap_err();
        assert_eq!((calls.get(), error.operation()), (2, Some(&Down(2))), "keep {keep}");
    }
}

/// Law 10: callers that keep to their own error type lose nothing by it.
#[test]
fn flatten_gives_the_callers_own_error_type_through_every_wrapping() {
    #[derive(Debug, PartialEq)]
    enum Own {
        Operation(u32),
        Refused(Rejection),
    }
    impl From<Rejection> for Own {
        fn from(rejection: Rejection) -> Self {
            Self::Refused(rejection)
        }
    }
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO).build();
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    let chain = FallbackChain::new().call(|| Err::<(), _>(Own::Operation(2)));
    let stack = Pipeline::new((chain, retry, &breaker));
    let run = || stack.run_blocking(|| Err::<(), _>(Own::Operation(1))).map_err(Error::flatten);
    assert!(matches!(run(), Err(Own::Refused(Rejection::CircuitBreakerOpen(_)))), "opened midway");
    breaker.close();
    let lone = RetryPolicy::builder().max_attempts(1).build();
    let stack = Pipeline::new((chain, lone, &breaker));
    let failed = stack.run_blocking(|| Err::<(), _>(Own::Operation(1))).map_err(Error::flatten);
    assert_eq!(failed, Err(Own::Operation(1)));
}

/// The layers are told apart in what the tests above print.
#[test]
fn stacks_of_dyn_layers_print_what_they_are() {
    let mut described = Vec::new();
    for layer in layers() {
        layer.describe(&mut described);
    }
    let kinds: Vec<&str> = described.iter().map(seawall::Layer::kind).collect();
    assert_eq!(kinds, ["fallback", "fallback", "breaker", "retry", "retry", "timeout"]);
}
