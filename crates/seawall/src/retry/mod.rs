//! Retry: try again after transient failures, with growing, spread delays.
//!
//! For operations that may fail now and work in a moment, and that are safe to repeat.
//!
//! # When not to use it
//! For what is not idempotent, unless the error says that nothing was done: an unanswered payment
//! may have been made. And not at every layer: three layers of four attempts are sixty-four calls.
//! An inner `RetryExhausted` is therefore not retried, and a [`RetryBudget`] can be shared by all.
//!
//! ```
//! use seawall::{BackoffStrategy, RetryPolicy};
//! use std::time::Duration;
//!
//! const RETRY: RetryPolicy = RetryPolicy::builder()
//!     .max_attempts(5)
//!     .backoff_strategy(BackoffStrategy::Exponential)
//!     .base_delay(Duration::from_millis(1))
//!     .max_delay(Duration::from_millis(5))
//!     .build();
//!
//! async fn get_data() -> Result<&'static str, String> {
//!     Ok("data")
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! assert_eq!(RETRY.run(get_data).await, Ok("data"));
//! # }
//! ```
//!
//! # Defaults
//! 3 attempts, exponential backoff by 2 from 1 s to at most 60 s, jitter of plus/minus 25 %, every
//! error transient, no total timeout, `retry_after` up to the cap, no budget.
//!
//! # Cancellation, panics, clones
//! Dropping the future drops the running attempt and ends the call; no further attempt is made, and
//! a retry that a budget has paid is not paid back. A panic of the operation is not retried and
//! passes on. Policies are plain data: a copy behaves alike and shares nothing. Clones of an
//! executor share its budget, observers and seed.
//!
//! # Runtime
//! With the feature `tokio` async retries wait on tokio's timer, which panics outside a tokio runtime
//! (a first attempt that succeeds needs none). For other runtimes give a
//! [`RetryExecutor`] a [`sleeper`](RetryExecutor::sleeper).
//!
//! # Events
//! [`RetryScheduled`](crate::Event::RetryScheduled), [`RetryExhausted`](crate::Event::RetryExhausted).

mod attempts;
mod backoff;
mod budget;
mod executor;
mod run;
#[cfg(feature = "serde")]
mod serde_words;

pub use attempts::{Attempts, Delays, Next};
pub use backoff::{BackoffStrategy, Jitter};
pub use budget::{RetryBudget, SharedBudget};
pub use executor::{DefaultSleeper, NoListener, OnRetry, RetryExecutor, Retrying, Sleeper};

pub(crate) use executor::{Extras, NOTHING_ATTACHED};

use crate::{
    describe::{Describe, Facts, Layer},
    policy::inherent_ways_to_run,
    setting::{InvalidSetting, Name, Refusal, SettingValue},
    verdict::{AnyError, RetryAfter, When, WhenResult},
};
use backoff::Backoff;
use std::time::Duration;

/// How often and when to try again: plain data that runs an operation by itself.
///
/// See the [module](self) for defaults and behaviour. What needs state or a listener is attached by
/// a [`RetryExecutor`].
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy<C = AnyError> {
    /// Checked and complete.
    pub(crate) settings: Settings,
    pub(crate) chosen: RetryPolicyBuilder<C>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: Option<&'static str>,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) max_retry_after: Duration,
    pub(crate) retry_on_open: bool,
    pub(crate) retry_on_exhausted: bool,
    pub(crate) keep_errors: u16,
}

impl RetryPolicy {
    /// The defaults.
    pub const fn new() -> Self {
        Self::builder().build()
    }

    /// Starts from the defaults.
    pub const fn builder() -> RetryPolicyBuilder {
        RetryPolicyBuilder { given: Given::NOTHING, classify: AnyError }
    }

    /// Microsoft's standard resilience handler: 4 attempts, exponential by 2 from 2 s, jitter, 30 s
    /// in total.
    ///
    /// Source: "Build resilient HTTP apps: key development patterns", .NET documentation.
    pub const fn standard() -> Self {
        Self::builder()
            .max_attempts(4)
            .base_delay(Duration::from_secs(2))
            .total_timeout(Duration::from_secs(30))
            .build()
    }

    /// The AWS SDKs' standard retry mode, rules of November 2026: 3 attempts, full jitter,
    /// exponential by 2 from 50 ms to at most 20 s. Its quota is [`RetryBudget::aws`].
    ///
    /// Those rules start throttled requests at 1 s: say so by a [`retry_after`] on such errors.
    /// Source: "Retry behavior", AWS SDKs and Tools reference guide.
    ///
    /// [`retry_after`]: RetryPolicyBuilder::retry_after
    pub const fn aws() -> Self {
        Self::builder()
            .max_attempts(3)
            .base_delay(Duration::from_millis(50))
            .max_delay(Duration::from_secs(20))
            .jitter(Jitter::Full)
            .build()
    }

    /// The retry policy of gRFC A6, with the figures given there: 4 attempts, exponential by 2 from
    /// 100 ms to at most 1 s. Its throttling is [`RetryBudget::grpc`].
    ///
    /// Delays are spread by 20 % either way, as A6 says since 2024 (it was full jitter before), though
    /// never past the cap. Source: gRPC proposal A6, "gRPC Retry Design".
    pub const fn grpc() -> Self {
        Self::builder()
            .max_attempts(4)
            .base_delay(Duration::from_millis(100))
            .max_delay(Duration::from_secs(1))
            .jitter(Jitter::PlusMinusPercent(20))
            .build()
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Copy> RetryPolicy<C> {
    /// The policy's settings, to change some: `RetryPolicy::aws().to_builder().max_attempts(5)`.
    pub const fn to_builder(self) -> RetryPolicyBuilder<C> {
        self.chosen
    }
}

impl<C> RetryPolicy<C> {
    /// The decisions of one call, for a loop of your own.
    pub fn attempts(&self) -> Attempts<'_, C> {
        Attempts::new(self, &NOTHING_ATTACHED, &DefaultSleeper)
    }

    /// The delays of a call that never succeeds.
    ///
    /// ```
    /// use seawall::{Jitter, RetryPolicy};
    ///
    /// let policy = RetryPolicy::builder().max_attempts(4).jitter(Jitter::None).build();
    /// let seconds: Vec<u64> = policy.delays().map(|delay| delay.as_secs()).collect();
    /// assert_eq!(seconds, [1, 2, 4]);
    /// ```
    pub fn delays(&self) -> Delays {
        Delays::new(self.settings)
    }

    /// The most attempts that a call makes, the first included.
    pub const fn max_attempts(&self) -> u32 {
        self.settings.max_attempts
    }

    /// The name in events and errors.
    pub const fn name(&self) -> Option<&'static str> {
        self.settings.name
    }
}

/// Two policies are equal if their settings and classifiers are.
impl<C: PartialEq> PartialEq for RetryPolicy<C> {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings && self.chosen.classify == other.chosen.classify
    }
}

impl<C> Describe for RetryPolicy<C> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        layers.push(self.layer(self.settings.name.map(Name::literal)));
    }
}

impl<C> RetryPolicy<C> {
    pub(crate) fn layer(&self, name: Option<Name>) -> Layer {
        let Settings { backoff, .. } = &self.settings;
        let facts = Facts::Retry {
            max_attempts: self.settings.max_attempts,
            first_delay: backoff.interval(1, None).0,
            total_timeout: self.settings.total_timeout,
            retries_open: self.settings.retry_on_open,
            retries_exhausted: self.settings.retry_on_exhausted,
            max_retry_after: self.settings.max_retry_after,
        };
        Layer::new("retry", facts)
            .named(name)
            .gist("max_attempts", SettingValue::Integer(self.settings.max_attempts.into()))
            .setting("backoff_strategy", SettingValue::Text(backoff.strategy.as_str().into()))
            .setting("base_delay", SettingValue::Duration(backoff.base))
            .setting("multiplier", SettingValue::Number(backoff.multiplier))
            .setting("max_delay", SettingValue::Duration(backoff.cap))
            .setting("jitter", SettingValue::Text(backoff.jitter.to_string().into()))
            .setting("max_retry_after", SettingValue::Duration(self.settings.max_retry_after))
            .maybe("total_timeout", self.settings.total_timeout.map(SettingValue::Duration))
            .setting("retry_on_open", SettingValue::Flag(self.settings.retry_on_open))
            .setting("retry_on_exhausted", SettingValue::Flag(self.settings.retry_on_exhausted))
            .setting("keep_errors", SettingValue::Integer(self.settings.keep_errors.into()))
    }
}

inherent_ways_to_run!([#[cfg(feature = "tokio")]] run call, impl [C] RetryPolicy<C>);
inherent_ways_to_run!([] run_blocking call_blocking, impl [C] RetryPolicy<C>);

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
    const NOTHING: Self = Self {
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

    /// The first delay. Default: 1 s.
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
