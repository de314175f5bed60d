//! What each policy adds to a call, on the good path. `cargo bench` prints the table.
//!
//! The operation is one real call that is not inlined. `bare` is that call alone; what another row
//! takes beyond it is what the policy costs. Rows with `threads = 2` share one breaker: the time of
//! one call must not grow.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use divan::{Bencher, black_box, counter::ItemsCount};
use seawall::{
    CircuitBreaker, Error, FallbackChain, Pipeline, RetryBudget, RetryExecutor, RetryPolicy,
    Timeout, circuit_breaker, fallback, retry, timeout,
};
use std::{
    pin::pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

fn main() {
    divan::main();
}

#[derive(Debug, Clone, Copy)]
struct Failed;

#[inline(never)]
fn work(x: u64) -> Result<u64, Failed> {
    let y = black_box(x);
    if y == u64::MAX { Err(Failed) } else { Ok(y + 1) }
}

async fn work_async(x: u64) -> Result<u64, Failed> {
    work(x)
}

/// Polls a future that is ready at once.
#[inline(always)]
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the operation is ready at once"),
    }
}

const CALLS: u64 = 1000;

/// A thousand calls an iteration, so that the clock of the harness does not matter.
fn calls<T>(bencher: Bencher<'_, '_>, call: impl Fn(u64) -> T + Copy + Send + Sync) {
    bencher.counter(ItemsCount::new(CALLS)).bench(move || {
        for x in 0..CALLS {
            black_box(call(x));
        }
    });
}

macro_rules! rows {
    ($($name:ident: |$x:ident| $call:expr;)+) => {$(
        #[divan::bench(sample_count = 300)]
        fn $name(bencher: Bencher<'_, '_>) {
            calls(bencher, |$x| $call);
        }
    )+};
}

macro_rules! shared_rows {
    ($($name:ident: |$x:ident| $call:expr;)+) => {$(
        #[divan::bench(sample_count = 300, threads = [1, 2])]
        fn $name(bencher: Bencher<'_, '_>) {
            calls(bencher, |$x| $call);
        }
    )+};
}

static RETRY: RetryPolicy = RetryPolicy::new();
static BUDGET: RetryBudget = RetryBudget::new(0.1, 10);
static CONSECUTIVE: CircuitBreaker = CircuitBreaker::new();
static COUNT: CircuitBreaker = CircuitBreaker::builder().failure_rate(0.5).over_calls(100).build();
static TIME: CircuitBreaker =
    CircuitBreaker::builder().failure_rate(0.5).over_time(Duration::from_secs(10)).build();
static TIMEOUT: Timeout = Timeout::new(Duration::from_secs(1));
static EXECUTOR: LazyLock<RetryExecutor> =
    LazyLock::new(|| RetryExecutor::new(RetryPolicy::new()).budget(&BUDGET));

/// A count window that always holds failures, and never trips.
static TROUBLED: LazyLock<CircuitBreaker> = LazyLock::new(|| {
    let breaker = CircuitBreaker::builder().failure_rate(1.0).over_calls(1_000_000).build();
    let _ = breaker.run_blocking(|| Ok::<_, Failed>(0));
    let _ = breaker.run_blocking(|| Err::<u64, _>(Failed));
    breaker
});

static OPEN: LazyLock<CircuitBreaker> = LazyLock::new(|| {
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    let _ = breaker.run_blocking(|| Err::<u64, _>(Failed));
    breaker
});

/// Functions under an attribute, and the same ones written out with the policy.
mod attribute {
    use super::*;

    #[retry]
    pub(super) fn retry(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work(x)?)
    }

    #[circuit_breaker]
    pub(super) fn breaker(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work(x)?)
    }

    #[fallback([0])]
    #[circuit_breaker]
    #[retry]
    pub(super) fn stack(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work(x)?)
    }

    #[retry]
    pub(super) async fn retry_async(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work_async(x).await?)
    }

    #[circuit_breaker]
    pub(super) async fn breaker_async(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work_async(x).await?)
    }

    #[timeout(1)]
    pub(super) async fn timeout_async(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work_async(x).await?)
    }

    #[fallback([0])]
    #[circuit_breaker]
    #[retry]
    pub(super) async fn stack_async(x: u64) -> Result<u64, Error<Failed>> {
        Ok(work_async(x).await?)
    }
}

mod written_out {
    use super::*;

    pub(super) fn retry(x: u64) -> Result<u64, Error<Failed>> {
        RETRY.call_blocking(|| Ok(work(x)?))
    }

    pub(super) fn breaker(x: u64) -> Result<u64, Error<Failed>> {
        CONSECUTIVE.call_blocking(|| Ok(work(x)?))
    }

    pub(super) fn stack(x: u64) -> Result<u64, Error<Failed>> {
        let stack = Pipeline::new((FallbackChain::new().value(0), &CONSECUTIVE, &RETRY));
        stack.call_blocking(|| Ok(work(x)?))
    }

    pub(super) async fn retry_async(x: u64) -> Result<u64, Error<Failed>> {
        RETRY.call(|| async { Ok(work_async(x).await?) }).await
    }

    pub(super) async fn breaker_async(x: u64) -> Result<u64, Error<Failed>> {
        CONSECUTIVE.call(|| async { Ok(work_async(x).await?) }).await
    }

    pub(super) async fn timeout_async(x: u64) -> Result<u64, Error<Failed>> {
        TIMEOUT.call(|| async { Ok(work_async(x).await?) }).await
    }

    pub(super) async fn stack_async(x: u64) -> Result<u64, Error<Failed>> {
        let stack = Pipeline::new((FallbackChain::new().value(0), &CONSECUTIVE, &RETRY));
        stack.call(|| async { Ok(work_async(x).await?) }).await
    }
}

mod sync {
    use super::*;

    rows! {
        bare: |x| work(x);
        retry: |x| RETRY.run_blocking(|| work(x));
        retry_with_budget: |x| EXECUTOR.run_blocking(|| work(x));
        fallback: |x| FallbackChain::new().value(0).run_blocking(|| work(x));
        breaker_count_window_with_failures: |x| TROUBLED.run_blocking(|| work(x));
        open_rejection: |x| OPEN.run_blocking(|| work(x));
        function_retry_attribute: |x| attribute::retry(x);
        function_retry_written_out: |x| written_out::retry(x);
        function_breaker_attribute: |x| attribute::breaker(x);
        function_breaker_written_out: |x| written_out::breaker(x);
        function_stack_attribute: |x| attribute::stack(x);
        function_stack_written_out: |x| written_out::stack(x);
        fallback_breaker_retry: |x| {
            let stack = Pipeline::new((FallbackChain::new().value(0), &CONSECUTIVE, &RETRY));
            stack.run_blocking(|| work(x))
        };
    }

    shared_rows! {
        shared_bare: |x| work(x);
        shared_breaker_consecutive: |x| CONSECUTIVE.run_blocking(|| work(x));
        shared_breaker_count_window: |x| COUNT.run_blocking(|| work(x));
        shared_breaker_time_window: |x| TIME.run_blocking(|| work(x));
    }
}

mod asynchronous {
    use super::*;

    rows! {
        bare: |x| now(work_async(x));
        retry: |x| now(RETRY.run(|| work_async(x)));
        fallback: |x| now(FallbackChain::new().value(0).run(|| work_async(x)));
        timeout: |x| now(TIMEOUT.run(|| work_async(x)));
        open_rejection: |x| now(OPEN.run(|| work_async(x)));
        function_retry_attribute: |x| now(attribute::retry_async(x));
        function_retry_written_out: |x| now(written_out::retry_async(x));
        function_breaker_attribute: |x| now(attribute::breaker_async(x));
        function_breaker_written_out: |x| now(written_out::breaker_async(x));
        function_timeout_attribute: |x| now(attribute::timeout_async(x));
        function_timeout_written_out: |x| now(written_out::timeout_async(x));
        function_stack_attribute: |x| now(attribute::stack_async(x));
        function_stack_written_out: |x| now(written_out::stack_async(x));
        fallback_breaker_retry: |x| {
            let stack = Pipeline::new((FallbackChain::new().value(0), &CONSECUTIVE, &RETRY));
            now(stack.run(|| work_async(x)))
        };
        fallback_breaker_retry_timeout: |x| {
            let stack =
                Pipeline::new((FallbackChain::new().value(0), &CONSECUTIVE, &RETRY, &TIMEOUT));
            now(stack.run(|| work_async(x)))
        };
    }

    shared_rows! {
        shared_breaker_consecutive: |x| now(CONSECUTIVE.run(|| work_async(x)));
        shared_breaker_count_window: |x| now(COUNT.run(|| work_async(x)));
        shared_breaker_time_window: |x| now(TIME.run(|| work_async(x)));
    }
}
