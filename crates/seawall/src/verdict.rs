//! What an outcome means to the policies.

use std::time::Duration;

/// What an outcome means to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The call worked.
    Success,
    /// The call failed, and another attempt may work.
    Transient {
        /// The callee's own word on when: the next attempt does not start earlier.
        retry_after: Option<Duration>,
    },
    /// The call failed, and trying again cannot mend it.
    Permanent,
    /// Says nothing of the callee's health: not retried, and counted neither way by a breaker.
    Ignored,
}

impl Verdict {
    /// A transient failure without a word on when to come back.
    pub const TRANSIENT: Self = Self::Transient { retry_after: None };

    /// Whether the call failed, transiently or for good.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Transient { .. } | Self::Permanent)
    }
}

/// Reads an outcome of the operation.
///
/// The policies' setters (`when`, `when_result`, `retry_after`, `expected_exception`, `ignore`)
/// make classifiers from closures and functions. Implement it where those do not say enough; one
/// classifier serves retries and breakers alike.
///
/// ```
/// use seawall::{Classify, RetryPolicy, Verdict};
///
/// struct ByStatus;
///
/// impl<E> Classify<u16, E> for ByStatus {
///     fn classify(&self, outcome: Result<&u16, &E>) -> Verdict {
///         match outcome {
///             Ok(500..) | Err(_) => Verdict::TRANSIENT,
///             Ok(400..) => Verdict::Permanent,
///             Ok(_) => Verdict::Success,
///         }
///     }
/// }
///
/// const RETRY: RetryPolicy<ByStatus> = RetryPolicy::builder().classify_with(ByStatus).build();
///
/// fn not_found() -> Result<u16, String> {
///     Ok(404)
/// }
///
/// assert_eq!(RETRY.run_blocking(not_found), Ok(404));
/// ```
///
/// A panic in a classifier passes on to the caller like one of the operation.
pub trait Classify<T, E>: Send + Sync {
    /// Says what `outcome` means.
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict;
}

impl<T, E, C: Classify<T, E>> Classify<T, E> for &C {
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        (**self).classify(outcome)
    }
}

/// The default: `Ok` is success, every error transient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnyError;

impl<T, E> Classify<T, E> for AnyError {
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::TRANSIENT,
        }
    }
}

/// Errors that do not fulfil the predicate are permanent; the rest is up to the classifier inside.
#[derive(Clone, Copy)]
pub struct When<P, C = AnyError>(pub(crate) P, pub(crate) C);

impl<T, E, P, C> Classify<T, E> for When<P, C>
where
    P: Fn(&E) -> bool + Send + Sync,
    C: Classify<T, E>,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Err(error) if !(self.0)(error) => Verdict::Permanent,
            outcome => self.1.classify(outcome),
        }
    }
}

/// An `Ok` that fulfils the predicate counts as a transient failure.
#[derive(Clone, Copy)]
pub struct WhenResult<P, C = AnyError>(pub(crate) P, pub(crate) C);

impl<T, E, P, C> Classify<T, E> for WhenResult<P, C>
where
    P: Fn(&T) -> bool + Send + Sync,
    C: Classify<T, E>,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(value) if (self.0)(value) => Verdict::TRANSIENT,
            outcome => self.1.classify(outcome),
        }
    }
}

/// Transient errors carry the wait that the callee asked for.
#[derive(Clone, Copy)]
pub struct RetryAfter<P, C = AnyError>(pub(crate) P, pub(crate) C);

impl<T, E, P, C> Classify<T, E> for RetryAfter<P, C>
where
    P: Fn(&E) -> Option<Duration> + Send + Sync,
    C: Classify<T, E>,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match (self.1.classify(outcome), outcome) {
            (Verdict::Transient { retry_after: None }, Err(error)) => {
                Verdict::Transient { retry_after: (self.0)(error) }
            }
            (verdict, _) => verdict,
        }
    }
}

/// Errors that do not fulfil the predicate count as success: the callee is well enough to answer.
#[derive(Clone, Copy)]
pub struct Expect<P, C = AnyError>(pub(crate) P, pub(crate) C);

impl<T, E, P, C> Classify<T, E> for Expect<P, C>
where
    P: Fn(&E) -> bool + Send + Sync,
    C: Classify<T, E>,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            // What is ignored stays so, in whatever order the hooks were set.
            Err(error) if !(self.0)(error) => match self.1.classify(outcome) {
                Verdict::Ignored => Verdict::Ignored,
                _ => Verdict::Success,
            },
            outcome => self.1.classify(outcome),
        }
    }
}

/// Errors that fulfil the predicate count neither way.
#[derive(Clone, Copy)]
pub struct Ignore<P, C = AnyError>(pub(crate) P, pub(crate) C);

impl<T, E, P, C> Classify<T, E> for Ignore<P, C>
where
    P: Fn(&E) -> bool + Send + Sync,
    C: Classify<T, E>,
{
    #[inline]
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Err(error) if (self.0)(error) => Verdict::Ignored,
            outcome => self.1.classify(outcome),
        }
    }
}

/// Closures have no `Debug`; what they stand in prints by its own name.
macro_rules! opaque_debug {
    ($($name:ident)+) => {$(
        impl<P, C: std::fmt::Debug> std::fmt::Debug for $name<P, C> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&format_args!("..")).field(&self.1).finish()
            }
        }
    )+};
}

opaque_debug!(When WhenResult RetryAfter Expect Ignore);

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(by: &impl Classify<u8, i32>, outcome: Result<u8, i32>) -> Verdict {
        by.classify(outcome.as_ref())
    }

    #[test]
    fn hooks_compose_in_any_order() {
        let wait = Duration::from_secs(2);
        let negative = |error: &i32| *error < 0;
        let hint = |error: &i32| (*error == -2).then_some(Duration::from_secs(2));
        let one = When(negative, RetryAfter(hint, AnyError));
        let other = RetryAfter(hint, When(negative, AnyError));
        for outcome in [Ok(1), Err(1), Err(-1), Err(-2)] {
            assert_eq!(verdict(&one, outcome), verdict(&other, outcome));
        }
        assert_eq!(verdict(&one, Err(1)), Verdict::Permanent);
        assert_eq!(verdict(&one, Err(-2)), Verdict::Transient { retry_after: Some(wait) });
    }

    #[test]
    fn an_unexpected_error_counts_as_success_and_an_ignored_one_as_nothing() {
        let by = Ignore(|error: &i32| *error == 0, Expect(|error: &i32| *error < 0, AnyError));
        assert_eq!(verdict(&by, Err(-1)), Verdict::TRANSIENT);
        assert_eq!(verdict(&by, Err(1)), Verdict::Success);
        assert_eq!(verdict(&by, Err(0)), Verdict::Ignored);
        let other = Expect(|error: &i32| *error < 0, Ignore(|error: &i32| *error == 0, AnyError));
        for outcome in [Ok(1), Err(-1), Err(0), Err(1)] {
            assert_eq!(verdict(&by, outcome), verdict(&other, outcome));
        }
    }

    #[test]
    fn an_ok_can_count_as_a_failure() {
        let by = WhenResult(|value: &u8| *value == 0, AnyError);
        assert_eq!(verdict(&by, Ok(0)), Verdict::TRANSIENT);
        assert_eq!(verdict(&by, Ok(1)), Verdict::Success);
    }
}
