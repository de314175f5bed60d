//! How each contender is set up: as fast as its documentation tells to, without logs, metrics or
//! listeners, and with the same settings throughout: 5 failures in a row, or 50 % of the last 100 calls
//! or 10 s, open for an hour; 3 retries.

use crate::{
    harness::{Refuses, drive},
    operation::Failed,
};
use std::{
    future::{Ready, ready},
    iter::{Repeat, repeat},
    time::Duration,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// Shared by every thread, for as long as the program runs.
pub(crate) fn leak<T>(state: T) -> &'static T {
    Box::leak(Box::new(state))
}

impl Refuses for Failed {
    fn is_rejection(&self) -> bool {
        *self == Self::Rejected
    }
}

pub(crate) mod seawall {
    use super::{Duration, Failed, HOUR, Refuses};
    use seawall::{CircuitBreaker, Error, FallbackChain, Pipeline, RetryPolicy, fallback};

    impl Refuses for Error<Failed> {
        fn is_rejection(&self) -> bool {
            matches!(self, Self::Rejected(_))
        }
    }

    pub(crate) fn retry() -> RetryPolicy {
        RetryPolicy::builder().max_attempts(4).build()
    }

    pub(crate) fn eager_retry() -> RetryPolicy {
        RetryPolicy::builder().max_attempts(4).base_delay(Duration::ZERO).build()
    }

    pub(crate) fn consecutive() -> CircuitBreaker {
        CircuitBreaker::builder().failure_threshold(5).recovery_timeout(HOUR).build()
    }

    pub(crate) fn count(calls: u32) -> CircuitBreaker {
        let builder = CircuitBreaker::builder().failure_rate(0.5).over_calls(calls);
        builder.minimum_calls(100).recovery_timeout(HOUR).build()
    }

    pub(crate) fn time(window: Duration) -> CircuitBreaker {
        let builder = CircuitBreaker::builder().failure_rate(0.5).over_time(window);
        builder.minimum_calls(100).recovery_timeout(HOUR).build()
    }

    pub(crate) fn open() -> CircuitBreaker {
        let breaker = consecutive();
        for _ in 0..5 {
            let _ = breaker.run_blocking(|| Err::<u64, _>(Failed::Upstream));
        }
        assert!(breaker.state().is_open());
        breaker
    }

    type Chain = FallbackChain<fallback::Then<FallbackChain, fallback::Value<u64>>>;

    pub(crate) fn stack() -> Pipeline<(Chain, CircuitBreaker, RetryPolicy)> {
        Pipeline::new((FallbackChain::new().value(0), consecutive(), retry()))
    }
}

pub(crate) mod tower_resilience {
    use super::{Duration, Failed, HOUR, Refuses, drive};
    use crate::operation::{FAIL, work_async};
    use tower::{Layer, Service, ServiceExt, service_fn};
    use tower_resilience_circuitbreaker::{
        CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier, SlidingWindowType,
    };
    use tower_resilience_fallback::{FallbackError, FallbackLayer};
    use tower_resilience_retry::RetryLayer;
    use tower_resilience_timelimiter::{FixedTimeout, TimeLimiterError, TimeLimiterLayer};

    impl<E: Refuses> Refuses for CircuitBreakerError<E> {
        fn is_rejection(&self) -> bool {
            match self {
                Self::OpenCircuit => true,
                Self::Inner(error) => error.is_rejection(),
            }
        }
    }

    impl<E: Refuses> Refuses for FallbackError<E> {
        fn is_rejection(&self) -> bool {
            match self {
                Self::Inner(error) | Self::FallbackFailed(error) => error.is_rejection(),
            }
        }
    }

    impl Refuses for TimeLimiterError<Failed> {
        fn is_rejection(&self) -> bool {
            matches!(self, Self::Timeout)
        }
    }

    type Breaker = CircuitBreakerLayer<DefaultClassifier>;

    pub(crate) fn retry() -> RetryLayer<u64, u64, Failed> {
        RetryLayer::builder().max_attempts(4).fixed_backoff(Duration::ZERO).build()
    }

    pub(crate) fn consecutive() -> Breaker {
        let builder = CircuitBreakerLayer::builder().consecutive_failures(5);
        builder.wait_duration_in_open(HOUR).build().expect("good settings")
    }

    pub(crate) fn count(calls: usize) -> Breaker {
        let builder = CircuitBreakerLayer::builder().failure_rate_threshold(0.5);
        let builder = builder.sliding_window_size(calls).minimum_number_of_calls(100);
        builder.wait_duration_in_open(HOUR).build().expect("good settings")
    }

    pub(crate) fn time(window: Duration) -> Breaker {
        let builder = CircuitBreakerLayer::builder().failure_rate_threshold(0.5);
        let builder = builder.sliding_window_type(SlidingWindowType::TimeBased);
        let builder = builder.sliding_window_duration(window).minimum_number_of_calls(100);
        builder.wait_duration_in_open(HOUR).build().expect("good settings")
    }

    pub(crate) fn timeout() -> TimeLimiterLayer<FixedTimeout> {
        TimeLimiterLayer::builder().timeout_duration(HOUR).build()
    }

    /// The services' own type, of which each thread takes a clone.
    pub(crate) trait Calls:
        Service<u64, Response = u64, Future: Send> + Clone + Send + Sync + 'static
    {
    }

    impl<S> Calls for S where
        S: Service<u64, Response = u64, Future: Send> + Clone + Send + Sync + 'static
    {
    }

    pub(crate) fn open() -> impl Calls<Error = CircuitBreakerError<Failed>> {
        let mut service = consecutive().layer_fn(service_fn(work_async));
        for _ in 0..5 {
            let _ = drive(async { service.ready().await?.call(FAIL).await });
        }
        service
    }

    pub(crate) fn stack() -> impl Calls<Error = FallbackError<CircuitBreakerError<Failed>>> {
        let fallback = FallbackLayer::<u64, u64, CircuitBreakerError<Failed>>::value(0);
        fallback.layer(consecutive().layer_fn(retry().layer(service_fn(work_async))))
    }
}

pub(crate) mod seatbelt {
    use super::{Duration, Failed, HOUR, drive};
    use crate::operation::{FAIL, work_async};
    use layered::{Execute, Service, Stack};
    use seatbelt::{
        RecoveryInfo, ResilienceContext, breaker::Breaker, fallback::Fallback, retry::Retry,
        timeout::Timeout,
    };
    use tick::Clock;

    type Outcome = Result<u64, Failed>;

    pub(crate) trait Calls: Service<u64, Out = Outcome> + 'static {}

    impl<S: Service<u64, Out = Outcome> + 'static> Calls for S {}

    fn context() -> ResilienceContext<u64, Outcome> {
        ResilienceContext::new(Clock::new_tokio().with_fast_instant(true))
    }

    fn recovery(outcome: &Outcome) -> RecoveryInfo {
        if outcome.is_ok() { RecoveryInfo::never() } else { RecoveryInfo::retry() }
    }

    macro_rules! retry {
        ($context:expr, $delay:expr) => {
            Retry::layer("retry", $context)
                .clone_input()
                .recovery_with(|outcome: &Outcome, _| recovery(outcome))
                .max_retry_attempts(3)
                .use_jitter(false)
                .base_delay($delay)
        };
    }

    macro_rules! breaker {
        ($context:expr, $window:expr) => {
            Breaker::layer("breaker", $context)
                .recovery_with(|outcome: &Outcome, _| recovery(outcome))
                .rejected_input_error(|_, _| Failed::Rejected)
                .failure_threshold(0.5)
                .min_throughput(100)
                .sampling_duration($window)
                .break_duration(HOUR)
        };
    }

    pub(crate) fn retry() -> impl Calls {
        let context = context();
        (retry!(&context, Duration::from_millis(10)), Execute::new(work_async)).into_service()
    }

    pub(crate) fn eager_retry<F, Fut>(op: F) -> impl Calls
    where
        F: Fn(u64) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let context = context();
        (retry!(&context, Duration::ZERO), Execute::new(op)).into_service()
    }

    pub(crate) fn time(window: Duration) -> impl Calls {
        let context = context();
        (breaker!(&context, window), Execute::new(work_async)).into_service()
    }

    pub(crate) fn open() -> impl Calls {
        let service = time(HOUR);
        drive(async {
            for _ in 0..100 {
                let _ = service.execute(FAIL).await;
            }
        });
        service
    }

    pub(crate) fn timeout() -> impl Calls {
        let context = context();
        let timeout =
            Timeout::layer("timeout", &context).timeout(HOUR).timeout_error(|_| Failed::Rejected);
        (timeout, Execute::new(work_async)).into_service()
    }

    pub(crate) fn stack() -> impl Calls {
        let context = context();
        let fallback = Fallback::layer("fallback", &context)
            .should_fallback(|outcome: &Outcome| outcome.is_err())
            .fallback(|_, _| Ok(0));
        let breaker = breaker!(&context, super::WINDOW);
        let retry = retry!(&context, Duration::from_millis(10));
        (fallback, breaker, retry, Execute::new(work_async)).into_service()
    }
}

pub(crate) mod failsafe {
    use super::{Duration, Failed, HOUR, Refuses, Repeat, repeat};
    use failsafe::{
        CircuitBreaker, Config, Error, StateMachine,
        failure_policy::{
            ConsecutiveFailures, SuccessRateOverTimeWindow, consecutive_failures,
            success_rate_over_time_window,
        },
    };

    impl Refuses for Error<Failed> {
        fn is_rejection(&self) -> bool {
            matches!(self, Self::Rejected)
        }
    }

    type Waits = Repeat<Duration>;

    pub(crate) fn consecutive() -> StateMachine<ConsecutiveFailures<Waits>, ()> {
        Config::new().failure_policy(consecutive_failures(5, repeat(HOUR))).instrument(()).build()
    }

    pub(crate) fn time(window: Duration) -> StateMachine<SuccessRateOverTimeWindow<Waits>, ()> {
        let policy = success_rate_over_time_window(0.5, 100, window, repeat(HOUR));
        Config::new().failure_policy(policy).instrument(()).build()
    }

    pub(crate) fn open() -> StateMachine<ConsecutiveFailures<Waits>, ()> {
        let breaker = consecutive();
        for _ in 0..5 {
            let _ = breaker.call(|| Err::<u64, _>(Failed::Upstream));
        }
        assert!(!breaker.is_call_permitted());
        breaker
    }
}

pub(crate) mod recloser {
    use super::{Failed, HOUR, Refuses};
    use recloser::{Error, Recloser};

    impl Refuses for Error<Failed> {
        fn is_rejection(&self) -> bool {
            matches!(self, Self::Rejected)
        }
    }

    pub(crate) fn count(calls: usize) -> Recloser {
        Recloser::custom().error_rate(0.5).closed_len(calls).open_wait(HOUR).build()
    }

    pub(crate) fn open() -> Recloser {
        let breaker = count(100);
        // Its window has to be full before it opens.
        for _ in 0..101 {
            let _ = breaker.call(|| Err::<u64, _>(Failed::Upstream));
        }
        breaker
    }
}

/// tower's own retry: as many attempts as are left, and no wait.
#[derive(Debug, Clone)]
pub(crate) struct Retries(pub(crate) u32);

impl tower::retry::Policy<u64, u64, Failed> for Retries {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, outcome: &mut Result<u64, Failed>) -> Option<Ready<()>> {
        if outcome.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

impl Refuses for tower::BoxError {
    fn is_rejection(&self) -> bool {
        self.is::<tower::timeout::error::Elapsed>()
    }
}
