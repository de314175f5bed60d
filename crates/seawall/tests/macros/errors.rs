//! A function's error type says what its caller gets.

use crate::{Calls, Down, Rich};
use seawall::{
    CircuitBreakerOpenError, Error, Rejection, circuit_breaker, fallback, retry, timeout,
};
use std::{error, fmt, future::pending, io};

type BoxError = Box<dyn error::Error + Send + Sync>;

mod rich {
    use super::*;

    type Alias<T, E = Down> = Result<T, Error<E>>;
    type Failure = Error<Down>;

    #[retry(base_delay = 0)]
    async fn by_name(calls: &Calls) -> Result<u32, Error<Down>> {
        calls.fail()?;
        unreachable!("it fails")
    }

    #[retry(base_delay = 0)]
    async fn by_alias(calls: &Calls) -> Alias<u32> {
        Ok(calls.fail()?)
    }

    #[retry(base_delay = 0)]
    fn by_alias_of_the_error(calls: &Calls) -> Result<u32, Failure> {
        Ok(calls.fail()?)
    }

    #[retry(base_delay = 0)]
    fn generic<E: 'static>(calls: &Calls, error: impl Fn(u32) -> E) -> Alias<u32, E> {
        Ok(calls.fail().map_err(|Down(n)| error(n))?)
    }

    trait Call {
        type Outcome;
    }

    impl Call for Calls {
        type Outcome = Alias<u32>;
    }

    #[retry(base_delay = 0)]
    fn by_projection(calls: &Calls) -> <Calls as Call>::Outcome {
        Ok(calls.fail()?)
    }

    #[tokio::test]
    async fn a_rich_error_says_that_the_retry_is_exhausted() {
        let calls = Calls::new();
        let Err(Error::RetryExhausted(error)) = by_name(&calls).await else { panic!() };
        assert_eq!((error.attempts(), calls.get()), (3, 3));
        assert_eq!(error.name().unwrap(), "by_name");
        assert_eq!(error.last_operation(), Some(&Down(3)));
    }

    #[tokio::test]
    async fn a_rich_error_is_known_under_any_name() {
        let new = Calls::new;
        assert!(matches!(by_alias(&new()).await, Err(Error::RetryExhausted(_))));
        assert!(matches!(by_alias_of_the_error(&new()), Err(Error::RetryExhausted(_))));
        assert!(matches!(generic(&new(), |n| n), Err(Error::RetryExhausted(_))));
        assert!(matches!(by_projection(&new()), Err(Error::RetryExhausted(_))));
    }

    #[fallback([|| Err(Down(8)), || Err(Error::Operation(Down(9)))])]
    fn no_answer() -> Alias<u32> {
        Err(Down(1))?
    }

    #[test]
    fn a_rich_error_has_what_each_entry_failed_with() {
        let Err(Error::FallbackExhausted(error)) = no_answer() else { panic!() };
        assert_eq!(error.primary(), &Error::Operation(Down(1)));
        assert_eq!(error.fallbacks(), [Error::Operation(Down(8)), Error::Operation(Down(9))]);
    }

    #[retry(base_delay = 0)]
    #[retry(base_delay = 0)]
    fn nested(calls: &Calls) -> Alias<u32> {
        Ok(calls.fail()?)
    }

    #[test]
    fn an_exhausted_retry_is_not_retried() {
        let calls = Calls::new();
        let Err(Error::RetryExhausted(error)) = nested(&calls) else { panic!() };
        assert_eq!((calls.get(), error.attempts()), (3, 3));
        assert!(matches!(error.last(), Error::Operation(_)), "and nothing is wrapped twice");
    }
}

mod plain {
    use super::*;

    #[retry(base_delay = 0)]
    async fn own(calls: &Calls) -> Result<u32, Down> {
        calls.fail()
    }

    #[retry(base_delay = 0)]
    #[fallback([|| Err(Down(9)), || Err(Down(10))])]
    fn text(calls: &Calls) -> Result<u32, Down> {
        calls.fail()
    }

    #[retry(base_delay = 0)]
    fn not_an_error(calls: &Calls) -> Result<u32, u32> {
        Err(calls.count())
    }

    #[retry(base_delay = 0)]
    fn dynamic(calls: &Calls) -> Result<u32, Box<dyn error::Error>> {
        Ok(calls.fail()?)
    }

    #[retry(base_delay = 0)]
    async fn with_context(calls: &Calls) -> anyhow::Result<u32> {
        use anyhow::Context as _;
        calls.fail().context("no luck")
    }

    #[retry(base_delay = 0)]
    fn by_alias(calls: &Calls) -> io::Result<u32> {
        calls.fail().map_err(io::Error::other)
    }

    #[retry(base_delay = 0)]
    fn generic<T, E: 'static>(calls: &Calls, error: impl Fn(u32) -> Result<T, E>) -> Result<T, E> {
        error(calls.count())
    }

    #[tokio::test]
    async fn a_plain_error_is_the_last_one() {
        assert_eq!(own(&Calls::new()).await, Err(Down(3)));
        assert_eq!(not_an_error(&Calls::new()), Err(3));
        assert_eq!(generic(&Calls::new(), Err::<(), _>), Err(3));
    }

    #[test]
    fn a_plain_error_of_a_fallback_without_answer_is_the_primarys() {
        let calls = Calls::new();
        assert_eq!(text(&calls), Err(Down(3)));
    }

    #[tokio::test]
    async fn errors_of_any_type_are_given_back_as_they_were() {
        assert_eq!(dynamic(&Calls::new()).unwrap_err().downcast_ref(), Some(&Down(3)));
        let error = with_context(&Calls::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "no luck");
        assert_eq!(error.downcast_ref(), Some(&Down(3)));
        assert_eq!(by_alias(&Calls::new()).unwrap_err().to_string(), "down (3)");
    }
}

/// An error of the kind that `thiserror` writes.
#[derive(Debug)]
enum ApiError {
    Io(io::Error),
    Open(CircuitBreakerOpenError),
    Ended(Rejection),
    Wrapped(Box<ApiError>),
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the api failed")
    }
}

impl error::Error for ApiError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Open(error) => Some(error),
            Self::Ended(error) => Some(error),
            Self::Wrapped(error) => Some(error),
        }
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CircuitBreakerOpenError> for ApiError {
    fn from(error: CircuitBreakerOpenError) -> Self {
        Self::Open(error)
    }
}

impl From<Rejection> for ApiError {
    fn from(error: Rejection) -> Self {
        Self::Ended(error)
    }
}

/// Law 14, for errors that are not ours: a retry stops knocking when the breaker inside opens, in
/// the same function or in one that it calls, and an outer breaker hears nothing of the callee.
macro_rules! stops_at_an_open_breaker {
    ($($name:ident: $error:ty, $fails:expr, $wrap:expr;)+) => {$(
        mod $name {
            use super::*;

            #[retry(max_attempts = 5, base_delay = 0)]
            #[circuit_breaker(failure_threshold = 2)]
            async fn stacked(calls: &Calls) -> Result<u32, $error> {
                calls.count();
                $fails
            }

            #[circuit_breaker(failure_threshold = 2)]
            fn inner(calls: &Calls) -> Result<u32, $error> {
                calls.count();
                $fails
            }

            #[retry(max_attempts = 5, base_delay = 0)]
            fn outer(calls: &Calls) -> Result<u32, $error> {
                inner(calls).map_err($wrap)
            }

            #[circuit_breaker(failure_threshold = 3)]
            fn breaker_over_breaker(calls: &Calls) -> Result<u32, $error> {
                if calls.get() == 99 {
                    return Ok(0);
                }
                inner(calls).map_err($wrap)
            }

            #[tokio::test]
            async fn a_retry_ends_when_the_breaker_inside_opens() {
                let calls = Calls::new();
                let tries = Calls::new();
                assert!(stacked(&calls).await.is_err());
                assert_eq!(calls.get(), 2);
                assert!(outer(&tries).is_err());
                assert_eq!(tries.get(), 2);
                let events = seawall::testing::Recorder::new();
                let _listening = events.enter();
                assert!(stacked(&calls).await.is_err());
                assert!(outer(&calls).is_err());
                assert_eq!((events.count("retry"), events.count("breaker")), (0, 2));
                for _ in 0..9 {
                    assert!(breaker_over_breaker(&calls).is_err());
                }
                assert_eq!(events.count("breaker \"breaker_over_breaker\""), 0);
            }
        }
    )+};
}

fn refused() -> io::Error {
    io::ErrorKind::ConnectionRefused.into()
}

stops_at_an_open_breaker! {
    an_enum: ApiError, Err(refused())?, |error| ApiError::Wrapped(Box::new(error));
    anyhow_error: anyhow::Error, Err(refused())?, |error| error.context("outside");
    boxed: Box<dyn error::Error>, Err(refused())?, |error| error;
    boxed_send_sync: BoxError, Err(refused())?, |error| io::Error::other(error).into();
    a_rejection: Rejection, Err(Rejection::Injected), |error| error;
}

#[circuit_breaker(failure_threshold = 1, name = "boxed")]
fn says_that_it_is_open() -> Result<u32, BoxError> {
    Err(refused())?
}

#[circuit_breaker(failure_threshold = 1)]
async fn opens_as_its_own_variant() -> Result<u32, ApiError> {
    Err(refused())?
}

#[tokio::test]
async fn a_breakers_rejection_becomes_the_functions_own_error() {
    assert!(says_that_it_is_open().unwrap_err().is::<io::Error>());
    let error = says_that_it_is_open().unwrap_err();
    let open = error.downcast_ref::<CircuitBreakerOpenError>().unwrap();
    assert_eq!(open.name().unwrap(), "boxed");
    assert!(opens_as_its_own_variant().await.is_err());
    assert!(matches!(opens_as_its_own_variant().await, Err(ApiError::Open(_))));
}

#[timeout("10ms")]
async fn times_out_as_its_own_variant() -> Result<u32, ApiError> {
    pending().await
}

#[timeout("10ms")]
async fn times_out_as_anyhow() -> anyhow::Result<u32> {
    pending().await
}

#[retry(base_delay = 0)]
#[timeout("10ms")]
async fn times_out_thrice(calls: &Calls) -> Result<u32, BoxError> {
    calls.count();
    pending().await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_becomes_the_functions_own_error_and_is_transient() {
    let outcome = times_out_as_its_own_variant().await;
    assert!(matches!(outcome, Err(ApiError::Ended(Rejection::TimedOut { .. }))));
    assert!(times_out_as_anyhow().await.unwrap_err().is::<Rejection>());
    let calls = Calls::new();
    assert!(times_out_thrice(&calls).await.unwrap_err().is::<Rejection>());
    assert_eq!(calls.get(), 3);
}

#[fallback([|error| plain_text(error).to_lowercase()])]
#[circuit_breaker(failure_threshold = 1)]
fn rescued() -> Rich<String> {
    Err(Down(1))?
}

fn plain_text(error: &Error<Down>) -> String {
    error.to_string()
}

#[test]
fn a_fallback_sees_rejections() {
    assert_eq!(rescued().unwrap(), "down (1)");
    assert!(rescued().unwrap().starts_with("circuit breaker"));
}
