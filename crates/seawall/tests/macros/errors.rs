use crate::common::{Calls, Down};
use seawall::{CircuitBreakerOpenError, Error, circuit_breaker, fallback, retry, timeout};
use std::io;

#[retry(max_attempts = 3, backoff = "exponential")]
async fn rich(calls: &Calls) -> Result<u32, Error<Down>> {
    calls.fail()?;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_rich_error_says_that_the_retry_is_exhausted() {
    let calls = Calls::new();
    let Err(Error::RetryExhausted(error)) = rich(&calls).await else { panic!() };
    assert_eq!((error.attempts(), calls.get()), (3, 3));
    assert_eq!(error.name().unwrap(), "rich");
}

#[retry]
async fn plain(calls: &Calls) -> Result<u32, Down> {
    calls.fail()?;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_plain_error_is_the_last_one() {
    let calls = Calls::new();
    assert_eq!(plain(&calls).await, Err(Down(3)));
}

#[retry(base_delay = 0)]
fn sync_rich(calls: &Calls) -> Result<u32, Error<Down>> {
    if calls.get() == 2 {
        return Ok(7);
    }
    calls.fail()?;
    Ok(1)
}

#[test]
fn blocking() {
    let calls = Calls::new();
    assert_eq!(sync_rich(&calls), Ok(7));
}

#[circuit_breaker(failure_threshold = 2, recovery_timeout = 30)]
fn boxed() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Err(io::Error::other("x"))?;
    Ok(1)
}

#[test]
fn dyn_errors_work() {
    assert_eq!(boxed().unwrap_err().to_string(), "x");
    assert_eq!(boxed().unwrap_err().to_string(), "x");
    assert!(boxed().unwrap_err().is::<CircuitBreakerOpenError>());
}

fn from_cache() -> Result<u32, Down> {
    Err(Down(5))
}
async fn backup() -> u32 {
    9
}

#[fallback([from_cache, backup, || 4])]
async fn user(_id: &str) -> Result<u32, Error<Down>> {
    Err(Down(1))?
}

#[fallback([|| 1, 2])]
#[circuit_breaker(failure_threshold = 3)]
#[retry(max_attempts = 2, backoff = "linear")]
#[timeout("1s")]
async fn all(_id: &str) -> Result<u32, Error<Down>> {
    Err(Down(1))?
}

#[tokio::test(start_paused = true)]
async fn entries() {
    assert_eq!(user("x").await, Ok(9));
    assert_eq!(all("x").await, Ok(1));
}
