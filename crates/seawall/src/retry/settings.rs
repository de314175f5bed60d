//! The settings of a retry, how they are given and what makes no sense.

use super::{BackoffStrategy, Jitter, RetryPolicy, backoff::Backoff};
use crate::{
    setting::{InvalidSetting, Refusal},
    time::Moment,
    verdict::{AnyError, RetryAfter, When, WhenResult},
};
use std::time::Duration;

/// The settings of a policy, checked and complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub(crate) name: Option<&'static str>,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) max_retry_after: Duration,
    pub(crate) retry_on_open: bool,
    pub(crate) retry_on_exhausted: bool,
    pub(crate) keep_errors: u16,
}

impl Settings {
    /// When a call begins, if a decision needs it: the good path reads no clock.
    #[inline]
    pub(crate) fn started(&self) -> Option<Moment> {
        self.total_timeout.map(|_| Moment::now())
    }
}

/// Collects the settings of a [`RetryPolicy`]. Setters store; `build` checks all together.
///
/// A hook (`when`, `when_result`, `retry_after`) may be a closure that captures. Hooks that are
/// followed by another hook must be `Copy`: put the one that captures last, or write a
/// [`Classify`](crate::Classify).
///
/// A setting that makes no sense fails the build where the policy is a constant:
///
/// ```compile_fail
/// use seawall::RetryPolicy;
///
/// const NEVER: RetryPolicy = RetryPolicy::builder().max_attempts(0).build();
/// # fn main() { let _ = NEVER; }
/// ```
///
/// A `static` with a predicate names the function's type; an alias keeps that readable:
///
/// ```
/// use seawall::{RetryPolicy, When};
///
/// #[derive(Debug)]
/// enum ApiError { Busy, NotFound }
///
/// impl ApiError {
///     fn is_busy(&self) -> bool { matches!(self, ApiError::Busy) }
/// }
///
/// type Predicate = fn(&ApiError) -> bool;
///
/// static RETRY: RetryPolicy<When<Predicate>> =
///     RetryPolicy::builder().when(ApiError::is_busy as Predicate).build();
///
/// fn find() -> Result<u32, ApiError> {
///     Err(ApiError::NotFound)
/// }
///
/// assert!(RETRY.run_blocking(find).is_err());
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "call `build` to get the policy"]
pub struct RetryPolicyBuilder<C = AnyError> {
    pub(crate) given: Given,
    pub(crate) classify: C,
}

/// What was set, as it was set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Given {
    pub(crate) name: Option<&'static str>,
    pub(crate) max_attempts: u32,
    pub(crate) strategy: BackoffStrategy,
    pub(crate) multiplier: Option<f64>,
    pub(crate) base_delay: Option<Duration>,
    pub(crate) max_delay: Option<Duration>,
    pub(crate) jitter: Jitter,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) max_retry_after: Option<Duration>,
    pub(crate) retry_on_open: bool,
    pub(crate) retry_on_exhausted: bool,
    pub(crate) keep_errors: u16,
}

impl Given {
    pub(super) const NOTHING: Self = Self {
        name: None,
        max_attempts: 3,
        strategy: BackoffStrategy::Exponential,
        multiplier: None,
        base_delay: None,
        max_delay: None,
        jitter: Jitter::PlusMinus,
        total_timeout: None,
        max_retry_after: None,
        retry_on_open: false,
        retry_on_exhausted: false,
        keep_errors: 0,
    };
}

impl<C> RetryPolicyBuilder<C> {
    /// The name in events and errors. Default: none.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.given.name = Some(name);
        self
    }

    /// The most attempts that a call makes, the first included: 1 never retries. Default: 3.
    pub const fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.given.max_attempts = max_attempts;
        self
    }

    /// How delays grow. Default: exponential.
    pub const fn backoff_strategy(mut self, strategy: BackoffStrategy) -> Self {
        self.given.strategy = strategy;
        self
    }

    /// What the strategy multiplies by, finite, 0 or more. Default: 2 for exponential, 1 for linear,
    /// 3 for decorrelated.
    pub const fn multiplier(mut self, multiplier: f64) -> Self {
        self.given.multiplier = Some(multiplier);
        self
    }

    /// The first delay. Default: 1 s, or `max_delay` if that is shorter.
    pub const fn base_delay(mut self, base_delay: Duration) -> Self {
        self.given.base_delay = Some(base_delay);
        self
    }

    /// The longest delay that backoff and jitter make. Not shorter than a given `base_delay`.
    /// Default: 60 s, or `base_delay` if that is longer.
    pub const fn max_delay(mut self, max_delay: Duration) -> Self {
        self.given.max_delay = Some(max_delay);
        self
    }

    /// How delays are spread. Default: plus/minus 25 %.
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.given.jitter = jitter;
        self
    }

    /// The age past which a call sleeps no more: a delay that would end later is not begun, and the
    /// call ends at once with its last error. Running attempts are not cut short; a
    /// timeout around the retry does that. Default: none.
    pub const fn total_timeout(mut self, limit: Duration) -> Self {
        self.given.total_timeout = Some(limit);
        self
    }

    /// The longest `retry_after` that is waited for; beyond it the call ends at once with its last
    /// error. Default: `max_delay`.
    pub const fn max_retry_after(mut self, limit: Duration) -> Self {
        self.given.max_retry_after = Some(limit);
        self
    }

    /// Retries when a circuit breaker further in rejects the call, not before its `retry_after`.
    /// Default: such a call ends at once.
    pub const fn retry_on_open(mut self) -> Self {
        self.given.retry_on_open = true;
        self
    }

    /// Retries when a retry further in gave up, which multiplies the attempts. Default: such a call
    /// ends at once.
    pub const fn retry_on_exhausted(mut self) -> Self {
        self.given.retry_on_exhausted = true;
        self
    }

    /// Keeps the errors of up to `most` earlier attempts for
    /// [`RetryExhaustedError::errors`](crate::RetryExhaustedError::errors), the latest ones. A call
    /// that ends on a permanent error, or on a breaker that opened midway, then gives
    /// `RetryExhausted` too, if there were errors before. A loop of your own has seen them and keeps
    /// what it likes. Default: 0.
    pub const fn keep_errors(mut self, most: u16) -> Self {
        self.given.keep_errors = most;
        self
    }

    pub(crate) const fn checked(&self) -> Result<Settings, Refusal> {
        let given = &self.given;
        if given.max_attempts == 0 {
            let rule = "`max_attempts` must be 1 or more: the first attempt counts";
            return Err(Refusal::integer("max_attempts", 0, rule));
        }
        let backoff = match Backoff::checked(
            given.strategy,
            given.multiplier,
            given.base_delay,
            given.max_delay,
            given.jitter,
        ) {
            Ok(backoff) => backoff,
            Err(refusal) => return Err(refusal),
        };
        Ok(Settings {
            name: given.name,
            max_attempts: given.max_attempts,
            backoff,
            total_timeout: given.total_timeout,
            max_retry_after: match given.max_retry_after {
                Some(limit) => limit,
                None => backoff.cap,
            },
            retry_on_open: given.retry_on_open,
            retry_on_exhausted: given.retry_on_exhausted,
            keep_errors: given.keep_errors,
        })
    }

    /// The policy. In const evaluation a setting that makes no sense fails the build.
    ///
    /// # Panics
    /// If a setting makes no sense; the message names it and its value.
    /// [`try_build`](Self::try_build) gives an error instead.
    #[track_caller]
    pub const fn build(self) -> RetryPolicy<C> {
        match self.checked() {
            Ok(settings) => RetryPolicy { settings, chosen: self },
            Err(refusal) => refusal.panic(),
        }
    }

    /// The policy.
    ///
    /// # Errors
    /// The first setting that makes no sense, with its value.
    pub fn try_build(self) -> Result<RetryPolicy<C>, InvalidSetting> {
        Ok(RetryPolicy { settings: self.checked()?, chosen: self })
    }
}

impl RetryPolicyBuilder {
    /// Reads outcomes with `classify`, for what the hooks cannot say.
    pub const fn classify_with<C>(self, classify: C) -> RetryPolicyBuilder<C> {
        RetryPolicyBuilder { given: self.given, classify }
    }
}

impl<C: Copy> RetryPolicyBuilder<C> {
    /// Retries only errors for which `is_transient` holds. Default: every error.
    ///
    /// A closure must name the error's type, a method path need not: `.when(ApiError::is_busy)`.
    pub const fn when<E, P>(self, is_transient: P) -> RetryPolicyBuilder<When<P, C>>
    where
        P: Fn(&E) -> bool,
    {
        RetryPolicyBuilder { given: self.given, classify: When(is_transient, self.classify) }
    }

    /// Also retries an `Ok` for which `is_failure` holds. One that is still refused at the end is
    /// returned as the `Ok` it is.
    pub const fn when_result<T, P>(self, is_failure: P) -> RetryPolicyBuilder<WhenResult<P, C>>
    where
        P: Fn(&T) -> bool,
    {
        RetryPolicyBuilder { given: self.given, classify: WhenResult(is_failure, self.classify) }
    }

    /// Takes from the error how long the callee asks to wait. It is a floor under the backoff, and
    /// jitter never shortens it.
    pub const fn retry_after<E, P>(self, retry_after: P) -> RetryPolicyBuilder<RetryAfter<P, C>>
    where
        P: Fn(&E) -> Option<Duration>,
    {
        RetryPolicyBuilder { given: self.given, classify: RetryAfter(retry_after, self.classify) }
    }
}
