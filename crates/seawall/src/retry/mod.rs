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
pub(crate) mod executor;
pub(crate) mod run;
#[cfg(feature = "serde")]
mod serde_words;
pub(crate) mod settings;

pub use attempts::{Attempts, Delays, Next};
pub use backoff::{BackoffStrategy, Jitter};
pub use budget::{RetryBudget, SharedBudget};
pub use executor::{DefaultSleeper, NoListener, OnRetry, RetryExecutor, Retrying, Sleeper};
pub use settings::RetryPolicyBuilder;

#[cfg(feature = "foreign")]
pub(crate) use attempts::State;
pub(crate) use executor::{Extras, NOTHING_ATTACHED};
pub(crate) use settings::Settings;

use crate::{
    describe::{Describe, Facts, Layer},
    policy::inherent_ways_to_run,
    setting::{Name, SettingValue},
    verdict::AnyError,
};
use settings::Given;
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
