//! Panics, cancellation and what is left of a call.

use crate::{
    Calls, Down, Rich,
    common::{Alive, HOUR, S, pending_once, poll_once, quiet_panic},
};
use seawall::{
    CircuitBreaker, circuit_breaker, fallback, retry, testing::MockRetryExecutor, timeout,
};
use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    time::Duration,
};

static PANICS: CircuitBreaker = CircuitBreaker::builder().failure_threshold(2).build();
static PANICS_LATER: CircuitBreaker = CircuitBreaker::builder().failure_threshold(2).build();

#[fallback([|| 7])]
#[circuit_breaker(policy = PANICS)]
#[retry(base_delay = 0)]
fn panics(calls: &Calls) -> Rich<u32> {
    if calls.count() < 99 {
        quiet_panic();
    }
    Err(Down(1))?
}

#[fallback([|| 7])]
#[circuit_breaker(policy = PANICS_LATER)]
#[retry(base_delay = 0)]
#[timeout(1)]
async fn panics_later(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    if calls.count() < 99 {
        quiet_panic();
    }
    Err(Down(1))?
}

#[test]
fn a_panic_is_a_failure_for_a_breaker_and_passes_on() {
    let calls = Calls::new();
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| panics(&calls))).is_err());
    }
    assert!(PANICS.state().is_open());
    assert_eq!((panics(&calls), calls.get()), (Ok(7), 2), "not retried, not answered");
}

#[tokio::test]
async fn a_panic_in_a_future_is_one_as_well() {
    let calls = Calls::new();
    for _ in 0..2 {
        let mut future = pin!(panics_later(&calls));
        assert!(poll_once(future.as_mut()).is_pending());
        let polled = catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut())));
        assert!(polled.is_err());
    }
    assert!(PANICS_LATER.state().is_open());
    assert_eq!((panics_later(&calls).await, calls.get()), (Ok(7), 2));
}

static CANCELLED: CircuitBreaker = CircuitBreaker::builder().failure_threshold(1).build();

#[circuit_breaker(policy = CANCELLED)]
#[retry(base_delay = 1)]
#[timeout(10)]
async fn hangs(alive: &Alive, fails_first: u32, calls: &Calls) -> Rich<u32> {
    let _guard = alive.guard();
    calls.fail_first(fails_first)?;
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_counts_neither_way_and_leaves_nothing_alive() {
    let (alive, calls) = (Alive::default(), Calls::new());
    {
        let mut future = pin!(hangs(&alive, 0, &calls));
        assert!(poll_once(future.as_mut()).is_pending());
        assert_eq!(alive.count(), 1);
    }
    assert_eq!(alive.count(), 0);
    let in_a_delay = tokio::time::timeout(S / 10, hangs(&alive, 9, &calls));
    assert!(in_a_delay.await.is_err(), "it waits to be tried again");
    assert_eq!((alive.count(), calls.get()), (0, 2));
    drop(hangs(&alive, 0, &calls));
    assert_eq!((alive.count(), calls.get()), (0, 2), "it was never polled");
    assert_eq!(CANCELLED.counters(), CircuitBreaker::new().counters());
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_timed_out_is_gone_before_the_next_one() {
    #[retry(base_delay = 0)]
    #[timeout(1)]
    async fn alone(alive: &Alive) -> Rich<u32> {
        assert_eq!(alive.count(), 0);
        let _guard = alive.guard();
        pending().await
    }
    let alive = Alive::default();
    assert!(alone(&alive).await.is_err());
    assert_eq!(alive.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn tests_can_fail_attempts_of_a_protected_function_without_waiting() {
    #[fallback([|| 7])]
    #[retry(max_attempts = 3, base_delay = "1h", max_delay = "2h", jitter = false)]
    async fn remote(calls: &Calls) -> Rich<u32> {
        Ok(calls.count())
    }
    let mock = MockRetryExecutor::new();
    mock.configure_failures(2);
    let before = tokio::time::Instant::now();
    assert_eq!(remote(&Calls::new()).await, Ok(1));
    assert_eq!((mock.attempt_count(), mock.delays()), (3, vec![HOUR, 2 * HOUR]));
    mock.configure_failures(3);
    assert_eq!(remote(&Calls::new()).await, Ok(7));
    assert_eq!(before.elapsed(), Duration::ZERO);
}
