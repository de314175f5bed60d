//! The part to copy: an operation, its error, and the policies that guard it.

use super::live::Live;
use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use seawall::{
    CircuitBreaker, Error, Expect, Rejection, circuit_breaker, fallback, retry, timeout,
};
use std::{fmt, time::Duration};

pub(super) const MAX_ATTEMPTS: u32 = 3;
pub(super) const RECOVERY_TIMEOUT: Duration = Duration::from_millis(500);

/// The type of a `static` has to be written out, which a function pointer can be.
type Predicate = fn(&ApiError) -> bool;

/// One breaker for one callee: a `static`, so that every caller in the process shares it.
pub(super) static BREAKER: CircuitBreaker<Expect<Predicate>> = CircuitBreaker::builder()
    .failure_threshold(3)
    .recovery_timeout(RECOVERY_TIMEOUT)
    .expected_exception(ApiError::is_outage as Predicate)
    .build();

/// What the callers want, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) amount: String,
    pub(super) source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Server,
    /// The fallback's, with the breaker open: no attempt was made.
    LastKnownRejected,
    /// The fallback's, after attempts that failed, and how.
    LastKnownFailed(String),
}

impl Price {
    /// The fallback. A real one would look into a cache.
    pub(super) fn last_known(error: &Error<ApiError>) -> Self {
        let source = match error.rejection() {
            Some(Rejection::CircuitBreakerOpen(_)) => Source::LastKnownRejected,
            _ => Source::LastKnownFailed(format!("{error:#}")),
        };
        Self { amount: "41.90".to_owned(), source }
    }
}

/// Asks the server for prices.
#[derive(Debug, Clone)]
pub(super) struct PriceApi {
    http: Client,
    url: String,
}

impl PriceApi {
    pub(super) fn new(http: Client, url: String) -> Self {
        Self { http, url }
    }

    /// What the callers call. Outermost first: the fallback has the last word, the breaker counts
    /// calls rather than attempts, and the timeout limits each attempt by itself.
    #[fallback([|error| Price::last_known(error)])]
    #[circuit_breaker(policy = BREAKER)]
    #[retry(
        max_attempts = MAX_ATTEMPTS,
        base_delay = "10ms",
        total_timeout = "5s",
        when = ApiError::is_transient,
        retry_after = ApiError::retry_after,
        on_retry = |retry| live.retry(&retry),
    )]
    #[timeout("60ms")]
    pub(super) async fn guarded_price(
        &self,
        item: u64,
        live: &Live,
    ) -> Result<Price, Error<ApiError>> {
        Ok(self.price(item).await?)
    }

    /// The operation itself.
    pub(super) async fn price(&self, item: u64) -> Result<Price, ApiError> {
        let response = self.http.get(format!("{}/{item}", self.url)).send().await?;
        match response.status() {
            StatusCode::OK => Ok(Price { amount: response.text().await?, source: Source::Server }),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(ApiError::TooManyRequests { retry_after: asked_wait(&response) })
            }
            status => Err(ApiError::Status(status)),
        }
    }
}

/// The header in seconds. Its other form, a date, counts as none: the backoff does for that.
fn asked_wait(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What an attempt can end in instead of a price.
#[derive(Debug)]
pub(super) enum ApiError {
    TooManyRequests { retry_after: Option<Duration> },
    Status(StatusCode),
    Transport(reqwest::Error),
}

impl ApiError {
    /// Whether another attempt may work.
    fn is_transient(&self) -> bool {
        matches!(self, Self::TooManyRequests { .. }) || self.is_outage()
    }

    /// Whether the server is unwell. With a 429 it is not: it answers, and asks for patience.
    fn is_outage(&self) -> bool {
        match self {
            Self::TooManyRequests { .. } => false,
            Self::Status(status) => status.is_server_error(),
            Self::Transport(_) => true,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after } => *retry_after,
            Self::Status(_) | Self::Transport(_) => None,
        }
    }
}

impl From<reqwest::Error> for ApiError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyRequests { retry_after: Some(wait) } => {
                write!(f, "429 Too Many Requests, Retry-After {wait:?}")
            }
            Self::TooManyRequests { retry_after: None } => f.write_str("429 Too Many Requests"),
            Self::Status(status) => status.fmt(f),
            Self::Transport(error) if error.is_connect() => f.write_str("no connection"),
            Self::Transport(_) => f.write_str("connection lost"),
        }
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transport(error) => Some(error),
            Self::TooManyRequests { .. } | Self::Status(_) => None,
        }
    }
}
