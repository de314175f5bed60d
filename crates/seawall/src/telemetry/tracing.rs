//! Events as `tracing` records, with structured fields (feature `tracing`).
//!
//! Every policy emits them, without set-up. The target is `seawall`; fields that have no value are
//! left out.
//!
//! | message | level | fields |
//! |---|---|---|
//! | `retry scheduled` | DEBUG | `policy`, `name`, `attempt`, `max_attempts`, `delay_ms`, `error_type`, `error` |
//! | `retry exhausted` | WARN | `policy`, `name`, `attempts`, `max_attempts`, `elapsed_ms`, `reason`, `error_type`, `error` |
//! | `circuit breaker opened` | WARN | `policy`, `name`, `from`, `to`, `cause`, `dry_run` |
//! | `circuit breaker changed` | INFO | `policy`, `name`, `from`, `to`, `cause`, `dry_run` |
//! | `circuit breaker rejected` | off | `policy`, `name`, `retry_after_ms`, `dry_run` |
//! | `probe abandoned` | DEBUG | `policy`, `name` |
//! | `stale outcome` | DEBUG | `policy`, `name` |
//! | `timed out` | DEBUG | `policy`, `limit_ms` |
//! | `fallback used` | INFO | `policy`, `name`, `entry`, `error_type` |
//! | `fallback exhausted` | WARN | `policy`, `name`, `tried`, `error_type` |
//! | `fault injected` | INFO | `policy`, `fault`, `call` |
//! | `policy file reloaded` | INFO | `policy`, `name`, `policies` |
//! | `policy file refused` | WARN | `policy`, `name`, `error` |
//!
//! The field `error` of a retry, the error's text, is there only where
//! [`RetryExecutor::error_text`](crate::RetryExecutor::error_text) asks for it: texts may hold
//! secrets. Rejections are off unless switched on, since an open breaker would flood the log.

use crate::{event::Event, setting::Name};
use std::{
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::Duration,
};
use tracing::Level;

/// At which level each kind of event is recorded; none switches it off.
///
/// ```
/// use seawall::telemetry::tracing::{Levels, set_levels};
///
/// set_levels(Levels { retry_scheduled: None, ..Levels::default() });
/// # set_levels(Levels::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// `retry scheduled`. Default: DEBUG.
    pub retry_scheduled: Option<Level>,
    /// `retry exhausted`. Default: WARN.
    pub retry_exhausted: Option<Level>,
    /// `circuit breaker opened`. Default: WARN.
    pub opened: Option<Level>,
    /// `circuit breaker changed`. Default: INFO.
    pub changed: Option<Level>,
    /// `circuit breaker rejected`. Default: off.
    pub rejected: Option<Level>,
    /// `probe abandoned`. Default: DEBUG.
    pub probe_abandoned: Option<Level>,
    /// `stale outcome`. Default: DEBUG.
    pub stale_outcome: Option<Level>,
    /// `timed out`. Default: DEBUG.
    pub timed_out: Option<Level>,
    /// `fallback used`. Default: INFO.
    pub fallback_used: Option<Level>,
    /// `fallback exhausted`. Default: WARN.
    pub fallback_exhausted: Option<Level>,
    /// `fault injected`. Default: INFO.
    pub fault_injected: Option<Level>,
    /// `policy file reloaded`. Default: INFO.
    pub file_reloaded: Option<Level>,
    /// `policy file refused`. Default: WARN.
    pub file_refused: Option<Level>,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            retry_scheduled: Some(Level::DEBUG),
            retry_exhausted: Some(Level::WARN),
            opened: Some(Level::WARN),
            changed: Some(Level::INFO),
            rejected: None,
            probe_abandoned: Some(Level::DEBUG),
            stale_outcome: Some(Level::DEBUG),
            timed_out: Some(Level::DEBUG),
            fallback_used: Some(Level::INFO),
            fallback_exhausted: Some(Level::WARN),
            fault_injected: Some(Level::INFO),
            file_reloaded: Some(Level::INFO),
            file_refused: Some(Level::WARN),
        }
    }
}

impl Levels {
    const fn all(self) -> [Option<Level>; KINDS] {
        [
            self.retry_scheduled,
            self.retry_exhausted,
            self.opened,
            self.changed,
            self.rejected,
            self.probe_abandoned,
            self.stale_outcome,
            self.timed_out,
            self.fallback_used,
            self.fallback_exhausted,
            self.fault_injected,
            self.file_reloaded,
            self.file_refused,
        ]
    }
}

/// Sets the levels for the whole process.
pub fn set_levels(levels: Levels) {
    for (slot, level) in LEVELS.iter().zip(levels.all()) {
        slot.store(encode(level), Relaxed);
    }
}

/// The kinds of events, in the order of [`Levels`].
#[derive(Clone, Copy)]
enum Kind {
    RetryScheduled,
    RetryExhausted,
    Opened,
    Changed,
    Rejected,
    ProbeAbandoned,
    StaleOutcome,
    TimedOut,
    FallbackUsed,
    FallbackExhausted,
    FaultInjected,
    FileReloaded,
    FileRefused,
}

const KINDS: usize = 13;
const OFF: u8 = 0;
const DEBUG: u8 = 2;
const INFO: u8 = 3;
const WARN: u8 = 4;

static LEVELS: [AtomicU8; KINDS] = [
    AtomicU8::new(DEBUG),
    AtomicU8::new(WARN),
    AtomicU8::new(WARN),
    AtomicU8::new(INFO),
    AtomicU8::new(OFF),
    AtomicU8::new(DEBUG),
    AtomicU8::new(DEBUG),
    AtomicU8::new(DEBUG),
    AtomicU8::new(INFO),
    AtomicU8::new(WARN),
    AtomicU8::new(INFO),
    AtomicU8::new(INFO),
    AtomicU8::new(WARN),
];

const fn encode(level: Option<Level>) -> u8 {
    match level {
        None => OFF,
        Some(Level::TRACE) => 1,
        Some(Level::DEBUG) => DEBUG,
        Some(Level::INFO) => INFO,
        Some(Level::WARN) => WARN,
        Some(Level::ERROR) => 5,
    }
}

#[inline]
pub(crate) fn hears_rejections() -> bool {
    LEVELS[Kind::Rejected as usize].load(Relaxed) != OFF
}

/// A record at a level that is known at run time: tracing wants a call site for each.
macro_rules! record {
    ($kind:expr, $($field:tt)+) => {
        match LEVELS[$kind as usize].load(Relaxed) {
            OFF => {}
            1 => tracing::trace!(target: "seawall", $($field)+),
            DEBUG => tracing::debug!(target: "seawall", $($field)+),
            INFO => tracing::info!(target: "seawall", $($field)+),
            WARN => tracing::warn!(target: "seawall", $($field)+),
            _ => tracing::error!(target: "seawall", $($field)+),
        }
    };
}

/// Whether there is a bridge in this build.
pub(crate) const IS_THERE: bool = true;

pub(crate) fn emit(event: &Event<'_>) {
    match event {
        Event::RetryScheduled { name, attempt, max_attempts, delay, error_type, error } => record!(
            Kind::RetryScheduled,
            policy = "retry",
            name = text(*name),
            attempt,
            max_attempts,
            delay_ms = ms(*delay),
            error_type,
            error,
            "retry scheduled"
        ),
        Event::RetryExhausted {
            name,
            attempts,
            max_attempts,
            elapsed,
            reason,
            error_type,
            error,
        } => record!(
            Kind::RetryExhausted,
            policy = "retry",
            name = text(*name),
            attempts,
            max_attempts,
            elapsed_ms = ms(*elapsed),
            reason = reason.as_str(),
            error_type,
            error,
            "retry exhausted"
        ),
        Event::CircuitBreakerTransition { name, transition } if transition.to.is_open() => record!(
            Kind::Opened,
            policy = "circuit_breaker",
            name = text(*name),
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            cause = transition.cause.as_str(),
            dry_run = transition.dry_run,
            "circuit breaker opened"
        ),
        Event::CircuitBreakerTransition { name, transition } => record!(
            Kind::Changed,
            policy = "circuit_breaker",
            name = text(*name),
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            cause = transition.cause.as_str(),
            dry_run = transition.dry_run,
            "circuit breaker changed"
        ),
        Event::CircuitBreakerRejected { name, retry_after, dry_run } => record!(
            Kind::Rejected,
            policy = "circuit_breaker",
            name = text(*name),
            retry_after_ms = retry_after.map(ms),
            dry_run,
            "circuit breaker rejected"
        ),
        Event::ProbeAbandoned { name } => record!(
            Kind::ProbeAbandoned,
            policy = "circuit_breaker",
            name = text(*name),
            "probe abandoned"
        ),
        Event::StaleOutcome { name } => record!(
            Kind::StaleOutcome,
            policy = "circuit_breaker",
            name = text(*name),
            "stale outcome"
        ),
        Event::TimedOut { limit } => {
            record!(Kind::TimedOut, policy = "timeout", limit_ms = ms(*limit), "timed out");
        }
        Event::FallbackUsed { name, entry, error_type } => record!(
            Kind::FallbackUsed,
            policy = "fallback",
            name = text(*name),
            entry,
            error_type,
            "fallback used"
        ),
        Event::FallbackExhausted { name, tried, error_type } => record!(
            Kind::FallbackExhausted,
            policy = "fallback",
            name = text(*name),
            tried,
            error_type,
            "fallback exhausted"
        ),
        Event::FaultInjected { fault, call } => {
            record!(Kind::FaultInjected, policy = "chaos", fault, call, "fault injected");
        }
        Event::PolicyFileReloaded { name, policies } => record!(
            Kind::FileReloaded,
            policy = "file",
            name = text(*name),
            policies,
            "policy file reloaded"
        ),
        Event::PolicyFileRefused { name, error } => record!(
            Kind::FileRefused,
            policy = "file",
            name = text(*name),
            error,
            "policy file refused"
        ),
    }
}

fn text(name: Option<&Name>) -> Option<&str> {
    name.map(Name::as_str)
}

fn ms(duration: Duration) -> u64 {
    crate::time::millis(duration)
}
