//! Circuit breaker: stop calling what keeps failing, and find out when it is well again.
//!
//! While *closed*, calls pass and are counted. When the trip rule is met it *opens*: calls are
//! rejected at once, which spares the callee and answers the caller in nanoseconds. After the
//! recovery timeout it is *half-open*: a few probes are let through, and their outcomes close it or
//! open it again. *Isolated* is open by hand.
//!
//! # When not to use it
//! For what cannot be overloaded and fails fast by itself; and not one breaker for many callees: one
//! dead shard of ten would close the way to the other nine. A breaker belongs to one callee.
//!
//! ```
//! use seawall::{CircuitBreaker, CircuitState, Error, Rejection};
//! use std::time::Duration;
//!
//! static PAYMENTS: CircuitBreaker = CircuitBreaker::builder()
//!     .name("payments")
//!     .failure_threshold(2)
//!     .recovery_timeout(Duration::from_secs(30))
//!     .build();
//!
//! async fn pay() -> Result<(), String> {
//!     Err("down".to_owned())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! for _ in 0..2 {
//!     let _ = PAYMENTS.run(pay).await;
//! }
//! assert_eq!(PAYMENTS.state(), CircuitState::Open);
//! let rejected = PAYMENTS.run(pay).await; // `pay` is not called
//! assert!(matches!(rejected, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))));
//! # }
//! ```
//!
//! # Trip rules
//! - [`failure_threshold`](CircuitBreakerBuilder::failure_threshold): failures in a row. The default.
//! - [`failure_rate`](CircuitBreakerBuilder::failure_rate) over the last N calls
//!   ([`over_calls`](CircuitBreakerBuilder::over_calls), exact) or the last T
//!   ([`over_time`](CircuitBreakerBuilder::over_time), in ten buckets).
//! - [`slow_call_rate`](CircuitBreakerBuilder::slow_call_rate), beside them, over the same window.
//!
//! # Defaults
//! Failure threshold 5, recovery timeout 60 s without growth or jitter, one probe, one success to
//! close, a lease as long as the recovery timeout but at least 60 s. With a rate: minimum calls 10,
//! or the window's size if that is smaller.
//!
//! # Cancellation, panics, sharing
//! A call that is dropped counts neither way, and a probe's slot is free again at once. A panic of
//! the operation is a failure and passes on. A probe that hangs for ever loses its slot when all
//! slots are taken, another caller needs one, and no probe was admitted for a lease. A breaker is
//! shared by reference or `Arc`: it has no clones.
//!
//! # Time
//! States are derived from the clock when a call arrives: there are no timers and no tasks. The clock
//! is coarse ([`Tick`]), so a recovery timeout may end up to one of its steps early.
//!
//! # Events
//! [`CircuitBreakerTransition`](crate::Event::CircuitBreakerTransition),
//! [`CircuitBreakerRejected`](crate::Event::CircuitBreakerRejected),
//! [`ProbeAbandoned`](crate::Event::ProbeAbandoned), [`StaleOutcome`](crate::Event::StaleOutcome).

pub(crate) mod held;
mod history;
mod keyed;
mod permit;
pub(crate) mod run;
mod settings;
mod succession;
mod window;
mod word;

#[cfg(all(test, seawall_loom))]
mod loom_tests;

pub use keyed::CircuitBreakers;
pub use permit::{Counters, Permit};
pub use settings::CircuitBreakerBuilder;

use crate::{
    describe::{Describe, Layer},
    error::CircuitBreakerOpenError,
    event::Observe,
    policy::inherent_ways_to_run,
    setting::Name,
    sync::const_unless_loom,
    time::Tick,
    verdict::AnyError,
};
pub(crate) use permit::Core;
use std::{fmt, sync::Arc, time::Duration};
use word::Input;
#[cfg(feature = "foreign")]
pub(crate) use word::same_generation;

/// Stops calling an operation that keeps failing. See the [module](self).
#[derive(Debug)]
pub struct CircuitBreaker<C = AnyError> {
    pub(crate) core: Core,
    chosen: CircuitBreakerBuilder<C>,
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// Calls are rejected until the recovery timeout is over.
    Open,
    /// A few probes pass, other calls are rejected.
    HalfOpen,
    /// Held open by hand, until closed or reset by hand.
    Isolated,
}

impl CircuitState {
    /// The state in one word: `closed`, `open`, `half_open`, `isolated`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Isolated => "isolated",
        }
    }

    /// Whether calls pass.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Whether calls are rejected until the recovery timeout is over.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of a breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The state before.
    pub from: CircuitState,
    /// The state after.
    pub to: CircuitState,
    /// Why.
    pub cause: TransitionCause,
    /// When, by the breaker's clock.
    pub at: Tick,
    /// How long it rejects calls, where it has opened.
    pub open_for: Option<Duration>,
    /// It happened in a dry run: calls are let through whatever the state is.
    pub dry_run: bool,
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransitionCause {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// The failure rate was reached.
    FailureRate,
    /// The rate of slow calls was reached.
    SlowCallRate,
    /// The recovery timeout was over, and a caller came to probe.
    RecoveryTimeout,
    /// A probe failed.
    ProbeFailed,
    /// As many probes succeeded as are needed.
    ProbeSucceeded,
    /// All probes hung past their lease, and lost their slots. Still half-open.
    LeaseEnded,
    /// Isolated or closed by hand.
    Manual,
    /// Reset by hand.
    Reset,
}

impl TransitionCause {
    /// The cause as in events: `consecutive_failures`, `failure_rate`, and so on.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
            Self::RecoveryTimeout => "recovery_timeout",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeSucceeded => "probe_succeeded",
            Self::LeaseEnded => "lease_ended",
            Self::Manual => "manual",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for TransitionCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a breaker rejects calls, or only tells which ones it would reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Calls are rejected.
    Enforce,
    /// Calls that would be rejected pass, and are counted and told of. Their outcomes count for
    /// nothing.
    DryRun,
}

impl CircuitBreaker {
    const_unless_loom! {
        /// The defaults.
        pub const fn new() -> Self {
            Self::builder().build()
        }
    }

    /// Starts from the defaults.
    pub const fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new()
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> CircuitBreaker<C> {
    /// Gives the breaker a name made at run time.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.core.history.rename(name.into());
        self
    }

    /// Adds an observer of this breaker's events.
    pub fn observe(&self, observer: impl Observe + 'static) {
        self.core.observe(Arc::new(observer));
    }

    /// What reads the outcomes.
    pub(crate) const fn classifier(&self) -> &C {
        &self.chosen.classify
    }

    /// Asks to make a call now, for those who hold the decision themselves.
    ///
    /// # Errors
    /// The breaker lets no call through.
    pub fn try_acquire(&self) -> Result<Permit<'_>, CircuitBreakerOpenError> {
        let mut permit = self.core.ask();
        if !permit.is_free() {
            permit.acquire().map_err(|retry_after| self.core.open_error(retry_after))?;
        }
        Ok(permit)
    }

    /// The state. An open breaker whose recovery timeout is over stays open until a call arrives.
    pub fn state(&self) -> CircuitState {
        self.core.here(|core| core.word().state())
    }

    /// The name in events and errors.
    pub fn name(&self) -> Option<&Name> {
        self.core.name()
    }

    /// The figures that the breaker decides by.
    pub fn counters(&self) -> Counters {
        self.core.here(Core::counters)
    }

    /// The share of failures in the window, while closed; none without a window, or without calls.
    pub fn failure_rate(&self) -> Option<f64> {
        self.core.here(Core::failure_rate)
    }

    /// How long until a call is let through to probe; zero if one may come at once. While all probes
    /// are in flight: until their lease ends, at the latest. None while closed or isolated.
    pub fn time_until_probe(&self) -> Option<Duration> {
        self.core.here(Core::time_until_probe)
    }

    /// The latest change of state, and its cause.
    pub fn last_transition(&self) -> Option<Transition> {
        self.core.here(|core| core.history.last())
    }

    /// Holds the breaker open by hand. Calls in flight count no more.
    pub fn isolate(&self) {
        self.core.by_hand(Input::Isolate);
    }

    /// Closes the breaker by hand. Its window starts empty. One that is closed is left as it is; see
    /// [`reset`](Self::reset).
    pub fn close(&self) {
        self.core.by_hand(Input::Close);
    }

    /// Makes the breaker as new: closed, nothing on record. Calls in flight count no more.
    ///
    /// Totals (`rejected`, `opened`) and observers stay.
    pub fn reset(&self) {
        self.core.by_hand(Input::Reset);
    }

    /// Whether the breaker rejects calls.
    pub fn mode(&self) -> Mode {
        self.core.here(Core::mode)
    }

    /// Changes whether the breaker rejects calls, or only tells which ones it would reject.
    pub fn set_mode(&self, mode: Mode) {
        self.core.here(|core| core.set_mode(mode));
    }
}

impl<C> Describe for CircuitBreaker<C> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        layers.push(self.chosen.layer(self.name().cloned(), &self.core));
    }
}

inherent_ways_to_run!([] run call run_blocking call_blocking, impl [C] CircuitBreaker<C>);

#[cfg(feature = "serde")]
mod words {
    use super::{CircuitState, TransitionCause};
    use serde::{Serialize, Serializer};

    impl Serialize for CircuitState {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }

    impl Serialize for TransitionCause {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
}
