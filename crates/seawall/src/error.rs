//! What a protected call can give instead of a value.

use crate::setting::Name;
use std::{error, fmt, time::Duration};

/// Why a protected call gave no value.
///
/// The operation's own error is always in here with its own type: [`operation`](Self::operation)
/// finds it wherever it sits, and [`flatten`](Self::flatten) turns the whole into that type.
///
/// Printed with `{}` an error is one short line; with `{:#}` its causes follow. `source()` leads
/// from the outermost policy's reason to the operation's error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The operation failed, and no policy had anything to add: this is its error, as it is.
    Operation(E),
    /// A retry gave up: out of attempts, time or budget; or it ended on a permanent error and was
    /// asked to keep those before it.
    RetryExhausted(RetryExhaustedError<E>),
    /// The operation failed, and so did every fallback that applied.
    FallbackExhausted(FallbackExhaustedError<E>),
    /// A policy refused to start the operation, or ended it.
    Rejected(Rejection),
}

impl<E> Error<E> {
    /// The operation's last error, wherever a policy has put it.
    ///
    /// None if the call ended in a rejection. For exhausted fallbacks it is the primary's error.
    pub fn operation(&self) -> Option<&E> {
        match self {
            Self::Operation(error) => Some(error),
            Self::RetryExhausted(exhausted) => exhausted.last_operation(),
            Self::FallbackExhausted(exhausted) => exhausted.primary().operation(),
            Self::Rejected(_) => None,
        }
    }

    /// As [`operation`](Self::operation), by value; the error itself comes back if there is none.
    ///
    /// # Errors
    /// The whole error, where no operation's error is inside.
    pub fn into_operation(self) -> Result<E, Self> {
        match self {
            Self::Operation(error) => Ok(error),
            Self::RetryExhausted(exhausted) => exhausted.into_last().into_operation(),
            Self::FallbackExhausted(exhausted) => exhausted.into_primary().into_operation(),
            rejected @ Self::Rejected(_) => Err(rejected),
        }
    }

    /// The rejection that ended the call, wherever a policy has put it.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Operation(_) => None,
            Self::RetryExhausted(exhausted) => exhausted.last().rejection(),
            Self::FallbackExhausted(exhausted) => exhausted.primary().rejection(),
            Self::Rejected(rejection) => Some(rejection),
        }
    }

    /// Turns the whole into the operation's own error type, for callers that keep using theirs.
    ///
    /// ```
    /// use seawall::{Error, Rejection};
    ///
    /// #[derive(Debug, PartialEq)]
    /// enum ApiError {
    ///     Busy,
    ///     Unavailable(Rejection),
    /// }
    ///
    /// impl From<Rejection> for ApiError {
    ///     fn from(rejection: Rejection) -> Self {
    ///         ApiError::Unavailable(rejection)
    ///     }
    /// }
    ///
    /// let error: Error<ApiError> = Error::from(ApiError::Busy);
    /// assert_eq!(error.flatten(), ApiError::Busy);
    /// ```
    pub fn flatten(self) -> E
    where
        E: From<Rejection>,
    {
        match self {
            Self::Operation(error) => error,
            Self::RetryExhausted(exhausted) => exhausted.into_last().flatten(),
            Self::FallbackExhausted(exhausted) => exhausted.into_primary().flatten(),
            Self::Rejected(rejection) => rejection.into(),
        }
    }
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Operation(error)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(error) => error.fmt(f),
            Self::RetryExhausted(exhausted) => exhausted.fmt(f),
            Self::FallbackExhausted(exhausted) => exhausted.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl<E: error::Error + 'static> error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            // The text repeats in the chain, but `downcast_ref` finds the error by its type. So it is
            // with a rejection.
            Self::Operation(error) => Some(error),
            Self::RetryExhausted(exhausted) => exhausted.source(),
            Self::FallbackExhausted(exhausted) => exhausted.source(),
            Self::Rejected(rejection) => Some(rejection),
        }
    }
}

/// A retry gave up, with what its attempts ended in.
///
/// Boxed inside: a `Result` that may hold it stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryExhaustedError<E>(Box<Exhausted<E>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Exhausted<E> {
    name: Option<Name>,
    attempts: u64,
    elapsed: Duration,
    reason: ExhaustedReason,
    last: Error<E>,
    earlier: Vec<Error<E>>,
}

impl<E> RetryExhaustedError<E> {
    pub(crate) fn new(
        name: Option<Name>,
        (attempts, elapsed, reason): (u64, Duration, ExhaustedReason),
        last: Error<E>,
        earlier: Vec<Error<E>>,
    ) -> Self {
        Self(Box::new(Exhausted { name, attempts, elapsed, reason, last, earlier }))
    }

    /// The name of the policy that gave up, if it has one.
    pub fn name(&self) -> Option<&Name> {
        self.0.name.as_ref()
    }

    /// How many attempts were made, those that a policy further in rejected included.
    pub fn attempts(&self) -> u64 {
        self.0.attempts
    }

    /// How long the call took, from its first failure to its end.
    ///
    /// Where a total timeout is set, from the call's start: without one, the good path reads no
    /// clock.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// What ran out.
    pub fn reason(&self) -> ExhaustedReason {
        self.0.reason
    }

    /// What the last attempt ended in.
    pub fn last(&self) -> &Error<E> {
        &self.0.last
    }

    /// As [`last`](Self::last), by value.
    pub fn into_last(self) -> Error<E> {
        self.0.last
    }

    /// The operation's own last error, unless the last attempt ended in a rejection.
    pub fn last_operation(&self) -> Option<&E> {
        self.0.last.operation()
    }

    /// The errors of the attempts, oldest first, the last one included.
    ///
    /// Earlier ones are kept only where the policy asks for it with `keep_errors`.
    pub fn errors(&self) -> impl DoubleEndedIterator<Item = &Error<E>> {
        self.0.earlier.iter().chain(std::iter::once(&self.0.last))
    }
}

impl<E: fmt::Display> fmt::Display for RetryExhaustedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exhausted { name, attempts, elapsed, reason, last, .. } = &*self.0;
        f.write_str("retry")?;
        if let Some(name) = name {
            write!(f, " `{name}`")?;
        }
        let tries = if *attempts == 1 { "attempt" } else { "attempts" };
        write!(f, " gave up after {attempts} {tries} in {elapsed:.1?}: {reason}")?;
        if f.alternate() { write!(f, ": {last:#}") } else { Ok(()) }
    }
}

impl<E: error::Error + 'static> error::Error for RetryExhaustedError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        source_of(self.last())
    }
}

/// Why a retry gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExhaustedReason {
    /// `max_attempts` were made.
    Attempts,
    /// The next delay would have ended past `total_timeout`.
    TotalTimeout,
    /// The callee asked for a wait longer than `max_retry_after`.
    RetryAfter,
    /// The retry budget had nothing left.
    Budget,
    /// The last error was not worth a retry. A retry ends so only to hand over the errors before it,
    /// where `keep_errors` asks for them; otherwise such an error is returned as it is.
    Permanent,
}

impl ExhaustedReason {
    /// The reason as one word, as in events: `attempts`, `total_timeout`, `retry_after`, `budget`,
    /// `permanent`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::TotalTimeout => "total_timeout",
            Self::RetryAfter => "retry_after",
            Self::Budget => "budget",
            Self::Permanent => "permanent",
        }
    }
}

impl fmt::Display for ExhaustedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempts => "no attempts left",
            Self::TotalTimeout => "the next delay would pass the total timeout",
            Self::RetryAfter => "the callee asks for a wait past `max_retry_after`",
            Self::Budget => "the retry budget is used up",
            Self::Permanent => "the last error is not worth a retry",
        })
    }
}

/// The operation failed, and so did every fallback that applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FallbackExhaustedError<E>(Box<AllFailed<E>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct AllFailed<E> {
    primary: Error<E>,
    fallbacks: Vec<Error<E>>,
}

impl<E> FallbackExhaustedError<E> {
    pub(crate) fn new(primary: Error<E>, fallbacks: Vec<Error<E>>) -> Self {
        Self(Box::new(AllFailed { primary, fallbacks }))
    }

    /// What the protected operation ended in.
    pub fn primary(&self) -> &Error<E> {
        &self.0.primary
    }

    /// As [`primary`](Self::primary), by value.
    pub fn into_primary(self) -> Error<E> {
        self.0.primary
    }

    /// What each fallback that was tried ended in, in order.
    pub fn fallbacks(&self) -> &[Error<E>] {
        &self.0.fallbacks
    }
}

impl<E: fmt::Display> fmt::Display for FallbackExhaustedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.fallbacks().len();
        let plural = if failed == 1 { "" } else { "s" };
        write!(f, "the operation and {failed} fallback{plural} failed")?;
        if f.alternate() {
            write!(f, ": {:#}", self.primary())?;
            for (n, error) in (1..).zip(self.fallbacks()) {
                write!(f, "; fallback {n}: {error:#}")?;
            }
        }
        Ok(())
    }
}

impl<E: error::Error + 'static> error::Error for FallbackExhaustedError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        source_of(self.primary())
    }
}

/// The next error of a chain: skips the enum, which prints just as what it holds.
fn source_of<E: error::Error + 'static>(error: &Error<E>) -> Option<&(dyn error::Error + 'static)> {
    Some(match error {
        Error::Operation(error) => error,
        Error::RetryExhausted(exhausted) => exhausted,
        Error::FallbackExhausted(exhausted) => exhausted,
        Error::Rejected(rejection) => rejection,
    })
}

/// A policy's own reason to end a call. Not generic: one `From<Rejection>` serves any error type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// A circuit breaker let no call through.
    CircuitBreakerOpen(CircuitBreakerOpenError),
    /// The operation was still running after `limit`, and was dropped.
    TimedOut {
        /// The timeout's setting.
        limit: Duration,
    },
    /// A test put this in the operation's place.
    Injected,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CircuitBreakerOpen(open) => open.fmt(f),
            Self::TimedOut { limit } => write!(f, "no answer within {limit:?}"),
            Self::Injected => f.write_str("injected by a test"),
        }
    }
}

impl error::Error for Rejection {}

impl From<CircuitBreakerOpenError> for Rejection {
    fn from(open: CircuitBreakerOpenError) -> Self {
        Self::CircuitBreakerOpen(open)
    }
}

/// A circuit breaker let no call through: it is open, isolated, or all its probes are in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreakerOpenError {
    name: Option<Name>,
    /// In ms, so that a rejection stays small.
    retry_after: Option<u32>,
}

impl CircuitBreakerOpenError {
    pub(crate) fn new(name: Option<Name>, retry_after: Option<u32>) -> Self {
        Self { name, retry_after }
    }

    /// The breaker's name, if it has one.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// When the breaker will let a probe through, rounded up by one step of its clock.
    ///
    /// None where it is not known: probes are in flight, or the breaker is isolated.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(|ms| Duration::from_millis(ms.into()))
    }
}

impl fmt::Display for CircuitBreakerOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("circuit breaker")?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        f.write_str(" is open")?;
        match self.retry_after() {
            Some(wait) => write!(f, ", next probe in {wait:?}"),
            None => Ok(()),
        }
    }
}

impl error::Error for CircuitBreakerOpenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{error::Error as _, io};

    fn exhausted(last: Error<io::Error>) -> Error<io::Error> {
        let end = (3, Duration::from_millis(1500), ExhaustedReason::Attempts);
        Error::RetryExhausted(RetryExhaustedError::new(None, end, last, Vec::new()))
    }

    #[test]
    fn the_source_chain_leads_to_the_operations_error_through_every_policy() {
        let busy = || Error::Operation(io::Error::other("busy"));
        let nested = Error::FallbackExhausted(FallbackExhaustedError::new(
            exhausted(busy()),
            vec![busy(), busy()],
        ));
        for error in [busy(), exhausted(busy()), nested] {
            let mut next: Option<&dyn error::Error> = Some(&error);
            let mut found = None;
            while let Some(error) = next {
                found = found.or(error.downcast_ref::<io::Error>());
                next = error.source();
            }
            assert_eq!(found.expect("in the chain").to_string(), "busy");
            assert_eq!(error.operation().expect("inside").to_string(), "busy");
        }
    }

    #[test]
    fn a_rejection_inside_an_exhausted_retry_is_found() {
        let limit = Duration::from_secs(1);
        let error = exhausted(Error::Rejected(Rejection::TimedOut { limit }));
        assert_eq!(error.rejection(), Some(&Rejection::TimedOut { limit }));
        assert!(error.operation().is_none());
        let source = error.source().expect("a rejection").downcast_ref::<Rejection>();
        assert_eq!(source, Some(&Rejection::TimedOut { limit }));
    }

    #[test]
    fn short_text_is_one_line_and_long_text_has_the_causes() {
        let error = exhausted(Error::Operation(io::Error::other("busy")));
        assert_eq!(error.to_string(), "retry gave up after 3 attempts in 1.5s: no attempts left");
        assert_eq!(
            format!("{error:#}"),
            "retry gave up after 3 attempts in 1.5s: no attempts left: busy"
        );
        let open = CircuitBreakerOpenError::new(Some("payments".into()), Some(1500));
        assert_eq!(
            Rejection::from(open).to_string(),
            "circuit breaker `payments` is open, next probe in 1.5s"
        );
    }

    #[test]
    fn results_stay_small() {
        assert!(size_of::<Result<u64, Error<u8>>>() <= 48);
        assert_eq!(size_of::<RetryExhaustedError<[u64; 8]>>(), size_of::<usize>());
    }
}
