use super::*;
use seawall::{CircuitBreakerOpenError, circuit_breaker, fallback, retry};
use std::{error, fmt};

/// A plain error, as an application has it.
#[derive(Debug, Clone, PartialEq)]
enum ApiError {
    Busy,
    Gone,
    Open(CircuitBreakerOpenError),
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl error::Error for ApiError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open(open) => Some(open),
            Self::Busy | Self::Gone => None,
        }
    }
}

impl From<CircuitBreakerOpenError> for ApiError {
    fn from(open: CircuitBreakerOpenError) -> Self {
        Self::Open(open)
    }
}

type Boxed = Box<dyn error::Error + Send + Sync>;

#[retry(base_delay = "1h", max_delay = "1h", jitter = false)]
async fn rich(calls: &Count) -> Result<u32, Error<ApiError>> {
    Ok(calls.count())
}

#[retry(base_delay = "1h", max_delay = "1h", jitter = false)]
fn rich_blocking(calls: &Count) -> Result<u32, Error<ApiError>> {
    Ok(calls.count())
}

#[retry(base_delay = "1h", max_delay = "1h", jitter = false)]
async fn plain(calls: &Count) -> Result<u32, ApiError> {
    Ok(calls.count())
}

#[retry(base_delay = "1h", max_delay = "1h", jitter = false)]
fn plain_blocking(calls: &Count) -> Result<u32, ApiError> {
    Ok(calls.count())
}

#[retry(base_delay = "1h", max_delay = "1h", jitter = false)]
fn boxed(calls: &Count) -> Result<u32, Boxed> {
    Ok(calls.count())
}

#[tokio::test]
async fn two_attempts_fail_without_the_body_in_every_kind_of_function() {
    let mock = MockRetryExecutor::new().max_attempts(3);
    let calls = Count::new();
    mock.configure_failures(2);
    assert_eq!(rich(&calls).await, Ok(1));
    mock.configure_failures(2);
    assert_eq!(rich_blocking(&calls), Ok(2));
    mock.configure_failures(2);
    assert_eq!(plain(&calls).await, Ok(3));
    mock.configure_failures(2);
    assert_eq!(plain_blocking(&calls), Ok(4));
    mock.configure_failures(2);
    assert_eq!(boxed(&calls).unwrap(), 5);
    assert_eq!((mock.attempt_count(), mock.call_count(), mock.failure_count()), (15, 5, 10));
    assert_eq!(mock.delays(), [HOUR; 10]);
}

#[tokio::test]
async fn values_are_given_to_rich_and_plain_functions_alike() {
    let mock = MockRetryExecutor::new();
    let calls = Count::new();
    mock.fail_with(|| ApiError::Busy);
    mock.configure_failures(12);
    assert_eq!(plain(&calls).await, Err(ApiError::Busy));
    assert_eq!(plain_blocking(&calls), Err(ApiError::Busy));
    let Err(Error::RetryExhausted(ended)) = rich(&calls).await else { panic!() };
    assert_eq!(ended.last_operation(), Some(&ApiError::Busy));
    let Err(Error::RetryExhausted(ended)) = rich_blocking(&calls) else { panic!() };
    assert_eq!(ended.last_operation(), Some(&ApiError::Busy));
    mock.fail_with(|| Boxed::from("by closure"));
    mock.configure_failures(3);
    assert_eq!(boxed(&calls).unwrap_err().to_string(), "by closure");
    mock.fail_with_each([ApiError::Busy, ApiError::Gone]);
    assert_eq!(boxed(&calls).unwrap(), 1, "none of its own are left");
    assert_eq!(plain(&calls).await, Ok(2));
}

#[tokio::test]
async fn the_last_failure_without_a_value_is_a_rejection_for_rich_errors() {
    let mock = MockRetryExecutor::new();
    let calls = Count::new();
    mock.configure_failures(6);
    for ended in [rich(&calls).await, rich_blocking(&calls)] {
        let Err(Error::RetryExhausted(ended)) = ended else { panic!("{ended:?}") };
        assert_eq!(ended.last(), &Error::Rejected(Rejection::Injected));
    }
}

#[tokio::test]
async fn the_last_failure_without_a_value_panics_for_plain_errors_and_asks_for_one() {
    let mock = MockRetryExecutor::new();
    mock.fail_with(|| "of another type");
    mock.configure_failures(u64::MAX);
    let calls = Count::new();
    let blocking = panic_text(|| drop(plain_blocking(&calls)));
    let mock = &mock;
    let task = tokio::spawn(mock.attach(async { plain(&Count::new()).await }));
    let awaited = text_of(&*task.await.unwrap_err().into_panic());
    for text in [blocking, awaited] {
        assert!(text.contains("mock.fail_with(|| ..)") && text.contains("ApiError"), "{text}");
    }
    mock.configure_failures(0);
    assert_eq!(plain_blocking(&calls), Ok(1), "and the mock is as it was");
}

#[retry(base_delay = "1h", when = |error: &ApiError| *error == ApiError::Busy)]
fn picky(calls: &Count) -> Result<u32, ApiError> {
    Ok(calls.count())
}

#[test]
fn a_mocked_error_is_read_by_the_functions_own_predicate() {
    let mock = MockRetryExecutor::new();
    mock.fail_with_each([ApiError::Busy, ApiError::Gone, ApiError::Busy]);
    assert_eq!(picky(&Count::new()), Err(ApiError::Gone));
    assert_eq!(mock.attempt_count(), 2);
}

static BREAKER: CircuitBreaker = CircuitBreaker::builder().name("api").build();

#[circuit_breaker(policy = BREAKER)]
async fn guarded_rich() -> Result<u32, Error<ApiError>> {
    Ok(7)
}

#[circuit_breaker(policy = BREAKER)]
fn guarded_rich_blocking() -> Result<u32, Error<ApiError>> {
    Ok(7)
}

#[circuit_breaker(policy = BREAKER)]
async fn guarded_plain() -> Result<u32, ApiError> {
    Ok(7)
}

#[circuit_breaker(failure_threshold = 1, name = "api")]
fn guarded_plain_blocking(outcome: Result<u32, ApiError>) -> Result<u32, ApiError> {
    outcome
}

#[tokio::test]
async fn a_mocked_breaker_rejects_in_every_kind_of_function() {
    let mock = MockCircuitBreaker::new();
    mock.force_open();
    for rejected in [guarded_rich().await, guarded_rich_blocking()] {
        let Err(Error::Rejected(Rejection::CircuitBreakerOpen(open))) = rejected else { panic!() };
        assert_eq!(open.name().unwrap(), "api");
    }
    for rejected in [guarded_plain().await, guarded_plain_blocking(Ok(7))] {
        let Err(ApiError::Open(open)) = rejected else { panic!() };
        assert_eq!(open.name().unwrap(), "api");
    }
    assert_eq!(mock.rejection_count(), 4);
    mock.force_half_open();
    assert_eq!(guarded_plain().await, Ok(7));
    assert_eq!((mock.state(), guarded_rich().await), (CircuitState::Closed, Ok(7)));
    drop(mock);
    assert_eq!(BREAKER.counters(), CircuitBreaker::new().counters());
}

#[test]
fn a_functions_own_breaker_hears_nothing_of_what_happens_under_the_mock() {
    let mock = MockCircuitBreaker::new();
    assert!(guarded_plain_blocking(Err(ApiError::Busy)).is_err());
    assert_eq!(mock.counters().consecutive_failures, 1);
    mock.force_open();
    assert!(matches!(guarded_plain_blocking(Ok(7)), Err(ApiError::Open(_))));
    drop(mock);
    assert_eq!(guarded_plain_blocking(Ok(7)), Ok(7));
}

#[fallback([|| 1])]
#[circuit_breaker]
#[retry(max_attempts = 2, base_delay = "1h")]
async fn all() -> Result<u32, Error<ApiError>> {
    Ok(7)
}

#[tokio::test]
async fn stacked_attributes_use_both_mocks() {
    let retries = MockRetryExecutor::new();
    let breaker = MockCircuitBreaker::with(CircuitBreaker::builder().failure_threshold(1));
    retries.configure_failures(1);
    assert_eq!((all().await, retries.attempt_count()), (Ok(7), 2));
    retries.configure_failures(2);
    assert_eq!((all().await, breaker.state()), (Ok(1), CircuitState::Open));
    assert_eq!((all().await, breaker.rejection_count()), (Ok(1), 1));
    assert_eq!(retries.call_count(), 2);
}

#[test]
fn a_blocking_call_ends_under_the_mock_it_began_under() {
    let mock = RefCell::new(Some(MockRetryExecutor::new()));
    let calls = Count::new();
    #[retry(base_delay = "1h", max_attempts = 9)]
    fn drops(mock: &RefCell<Option<MockRetryExecutor>>, calls: &Count) -> Outcome {
        mock.borrow_mut().take();
        calls.fail_first(4)
    }
    assert_eq!(drops(&mock, &calls), Ok(5));
}

#[tokio::test]
async fn an_async_call_ends_under_the_mock_it_began_under() {
    #[retry(base_delay = "1h", max_attempts = 9)]
    async fn slow(calls: &Count) -> Outcome {
        pending_once().await;
        calls.fail_first(4)
    }
    let calls = Count::new();
    let mock = MockRetryExecutor::new();
    mock.configure_failures(1);
    let mut call = pin!(slow(&calls));
    assert!(poll_once(call.as_mut()).is_pending());
    drop(mock);
    assert_eq!(call.await, Ok(5));
}
