//! The order written is the order of nesting, outermost first.

use crate::{
    Calls, Down, Rich,
    common::{S, pending_once, quiet_panic},
};
use seawall::{Error, Rejection, circuit_breaker, fallback, retry, testing::Recorder, timeout};
use std::{future::pending, time::Duration};
use tokio::time::Instant;

/// How long `call` took on the paused clock, and what it told of.
async fn told(call: impl Future<Output = Rich<u32>>) -> (Rich<u32>, Duration, Vec<String>) {
    let events = Recorder::new();
    let _listening = events.enter();
    let before = Instant::now();
    let outcome = call.await;
    let first_words = |line: String| line.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let lines = events.all().iter().map(|event| first_words(event.to_string())).collect();
    (outcome, before.elapsed(), lines)
}

#[retry(max_attempts = 2, base_delay = 0)]
#[circuit_breaker(failure_threshold = 3)]
async fn retry_over_breaker(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[circuit_breaker(failure_threshold = 3)]
#[retry(max_attempts = 2, base_delay = 0)]
async fn breaker_over_retry(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[tokio::test(start_paused = true)]
async fn a_breaker_inside_a_retry_counts_attempts_and_one_outside_counts_calls() {
    let calls = Calls::new();
    assert!(matches!(retry_over_breaker(&calls).await, Err(Error::RetryExhausted(_))));
    let opens = retry_over_breaker(&calls).await;
    assert!(matches!(opens, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))), "{opens:?}");
    assert_eq!(calls.get(), 3);

    let calls = Calls::new();
    for _ in 0..3 {
        assert!(matches!(breaker_over_retry(&calls).await, Err(Error::RetryExhausted(_))));
    }
    assert!(matches!(breaker_over_retry(&calls).await, Err(Error::Rejected(_))));
    assert_eq!(calls.get(), 6);
}

#[retry(max_attempts = 2, base_delay = 0)]
#[fallback([|| Err(Down(0)), 7])]
async fn retry_over_fallback(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[fallback([|| Err(Down(0)), 7])]
#[retry(max_attempts = 2, base_delay = 0)]
async fn fallback_over_retry(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[tokio::test(start_paused = true)]
async fn a_fallback_inside_a_retry_answers_first_and_one_outside_has_the_last_word() {
    let calls = Calls::new();
    assert_eq!(retry_over_fallback(&calls).await, Ok(7));
    assert_eq!(calls.get(), 1);
    let calls = Calls::new();
    let (outcome, _, told) = told(fallback_over_retry(&calls)).await;
    assert_eq!((outcome, calls.get()), (Ok(7), 2));
    assert_eq!(
        told,
        [
            "retry \"fallback_over_retry\" scheduled",
            "retry \"fallback_over_retry\" exhausted",
            "fallback \"fallback_over_retry\" used"
        ]
    );
}

#[retry(max_attempts = 3, base_delay = 0)]
#[timeout(1)]
async fn retry_over_timeout(calls: &Calls) -> Rich<u32> {
    calls.count();
    pending().await
}

#[timeout(1)]
#[retry(max_attempts = 3, base_delay = 0)]
async fn timeout_over_retry(calls: &Calls) -> Rich<u32> {
    calls.count();
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_a_retry_limits_attempts_and_one_outside_the_call() {
    let calls = Calls::new();
    let (outcome, took, _) = told(retry_over_timeout(&calls)).await;
    assert!(matches!(outcome, Err(Error::RetryExhausted(_))));
    assert_eq!((took, calls.get()), (3 * S, 3));
    let calls = Calls::new();
    let (outcome, took, _) = told(timeout_over_retry(&calls)).await;
    assert!(matches!(outcome, Err(Error::Rejected(Rejection::TimedOut { .. }))));
    assert_eq!((took, calls.get()), (S, 1));
}

#[circuit_breaker(failure_threshold = 1)]
#[fallback([|| 7])]
async fn breaker_over_fallback(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[fallback([|| 7])]
#[circuit_breaker(failure_threshold = 1)]
async fn fallback_over_breaker(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail()?)
}

#[tokio::test(start_paused = true)]
async fn a_fallback_inside_a_breaker_hides_failures_and_one_outside_answers_rejections() {
    let calls = Calls::new();
    for _ in 0..3 {
        assert_eq!(breaker_over_fallback(&calls).await, Ok(7));
    }
    assert_eq!(calls.get(), 3, "the breaker sees successes");
    let calls = Calls::new();
    for _ in 0..3 {
        assert_eq!(fallback_over_breaker(&calls).await, Ok(7));
    }
    assert_eq!(calls.get(), 1, "it has opened");
}

#[circuit_breaker(failure_threshold = 1)]
#[timeout(1)]
async fn breaker_over_timeout(calls: &Calls) -> Rich<u32> {
    calls.count();
    pending().await
}

#[timeout(1)]
#[circuit_breaker(failure_threshold = 1)]
async fn timeout_over_breaker(calls: &Calls) -> Rich<u32> {
    calls.count();
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_a_breaker_is_a_failure_and_one_outside_is_never_heard_of() {
    let calls = Calls::new();
    for _ in 0..3 {
        assert!(matches!(breaker_over_timeout(&calls).await, Err(Error::Rejected(_))));
    }
    assert_eq!(calls.get(), 1);
    let calls = Calls::new();
    for _ in 0..3 {
        let outcome = timeout_over_breaker(&calls).await;
        assert!(matches!(outcome, Err(Error::Rejected(Rejection::TimedOut { .. }))));
    }
    assert_eq!(calls.get(), 3);
}

async fn slow() -> Rich<u32> {
    tokio::time::sleep(5 * S).await;
    Ok(7)
}

#[fallback([slow])]
#[timeout(1)]
async fn fallback_over_timeout() -> Rich<u32> {
    pending().await
}

#[timeout(1)]
#[fallback([slow])]
async fn timeout_over_fallback() -> Rich<u32> {
    Err(Down(1))?
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_a_fallback_is_answered_and_one_outside_limits_the_answer() {
    let (outcome, took, _) = told(fallback_over_timeout()).await;
    assert_eq!((outcome, took), (Ok(7), 6 * S));
    let (outcome, took, _) = told(timeout_over_fallback()).await;
    assert!(matches!(outcome, Err(Error::Rejected(Rejection::TimedOut { .. }))));
    assert_eq!(took, S);
}

/// The same without a runtime, where there is no timeout.
mod blocking {
    use super::*;

    #[retry(max_attempts = 2, base_delay = 0)]
    #[circuit_breaker(failure_threshold = 3)]
    fn retry_over_breaker(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    #[circuit_breaker(failure_threshold = 3)]
    #[retry(max_attempts = 2, base_delay = 0)]
    fn breaker_over_retry(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    #[retry(max_attempts = 2, base_delay = 0)]
    #[fallback([|| Err(Down(0)), 7])]
    fn retry_over_fallback(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    #[fallback([|| Err(Down(0)), 7])]
    #[retry(max_attempts = 2, base_delay = 0)]
    fn fallback_over_retry(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    #[circuit_breaker(failure_threshold = 1)]
    #[fallback([|| 7])]
    fn breaker_over_fallback(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    #[fallback([|| 7])]
    #[circuit_breaker(failure_threshold = 1)]
    fn fallback_over_breaker(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    /// How many attempts the first calls of `function` make.
    fn attempts(function: fn(&Calls) -> Rich<u32>) -> [u32; 4] {
        let calls = Calls::new();
        std::array::from_fn(|_| {
            let before = calls.get();
            let _ = function(&calls);
            calls.get() - before
        })
    }

    #[test]
    fn blocking_functions_nest_as_asynchronous_ones_do() {
        assert_eq!(attempts(retry_over_breaker), [2, 1, 0, 0]);
        assert_eq!(attempts(breaker_over_retry), [2, 2, 2, 0]);
        assert_eq!(attempts(retry_over_fallback), [1, 1, 1, 1]);
        assert_eq!(attempts(fallback_over_retry), [2, 2, 2, 2]);
        assert_eq!(attempts(breaker_over_fallback), [1, 1, 1, 1]);
        assert_eq!(attempts(fallback_over_breaker), [1, 0, 0, 0]);
    }
}

/// Attributes under other names, by path, and twice.
mod names {
    use super::*;
    use seawall::{circuit_breaker as fuse, fallback as or_else, retry as again, timeout as limit};

    #[again(max_attempts = 2, base_delay = 0)]
    #[fuse(failure_threshold = 3)]
    async fn renamed(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    #[fuse(failure_threshold = 3)]
    #[seawall::retry(max_attempts = 2, base_delay = 0)]
    async fn by_path(calls: &Calls) -> Rich<u32> {
        Ok(calls.fail()?)
    }

    const TIMED_OUT: &str = "timed out after";

    #[limit("4500ms")]
    #[retry(max_attempts = 3, base_delay = 0)]
    #[or_else([slow])]
    #[seawall::timeout(2)]
    #[again(max_attempts = 2, base_delay = 0, retry_on_open)]
    #[limit(1)]
    async fn deep(calls: &Calls) -> Rich<u32> {
        calls.count();
        pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn renamed_attributes_keep_their_order() {
        let calls = Calls::new();
        for expected in [2, 3, 3] {
            assert!(renamed(&calls).await.is_err());
            assert_eq!(calls.get(), expected);
        }
        let calls = Calls::new();
        for expected in [2, 4, 6, 6] {
            assert!(by_path(&calls).await.is_err());
            assert_eq!(calls.get(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attribute_can_stand_at_several_places_of_one_stack() {
        let calls = Calls::new();
        let (outcome, took, told) = told(deep(&calls)).await;
        assert!(matches!(outcome, Err(Error::Rejected(Rejection::TimedOut { .. }))));
        assert_eq!((took, calls.get()), (4500 * crate::common::MS, 2));
        assert_eq!(told[1..4], ["retry \"deep\" scheduled", TIMED_OUT, "retry \"deep\" exhausted"]);
        assert_eq!([&*told[0], &*told[4]], [TIMED_OUT; 2]);
    }
}

#[fallback([|| 7])]
#[circuit_breaker(failure_threshold = 2)]
#[retry(max_attempts = 3, base_delay = 1, jitter = false, backoff = "fixed")]
#[timeout(2)]
async fn usual(calls: &Calls) -> Rich<u32> {
    match calls.count() {
        1 => pending().await,
        2 => Err(Down(2))?,
        3 => {
            pending_once().await;
            Ok(3)
        }
        4 => quiet_panic(),
        call => Err(Down(call))?,
    }
}

#[tokio::test(start_paused = true)]
async fn the_usual_stack_does_what_it_says() {
    let calls = Calls::new();
    let (outcome, took, _) = told(usual(&calls)).await;
    assert_eq!((outcome, took, calls.get()), (Ok(3), 4 * S, 3));
}
