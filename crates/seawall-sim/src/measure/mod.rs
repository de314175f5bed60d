//! What is seen of a run.

mod histogram;

use crate::model::{Answer, Failure, nanos};
use seawall::{CircuitState, Error, Rejection, breaker::Transition};
use serde::Serialize;
use std::time::Duration;

pub use histogram::Latencies;

/// What happened in one stretch of time, as long as [`Seen::bin`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bin {
    /// Calls that began.
    pub calls: u64,
    /// Requests that clients sent: one for each attempt.
    pub attempts: u64,
    /// Requests that were sent to the last tier. The same as `attempts` where there is one tier.
    pub backend: u64,
    /// Requests that the last tier did the work for.
    pub served: u64,
    /// Those of them whose caller had gone.
    pub wasted: u64,
    /// Calls that ended with the service's own answer.
    pub good: u64,
    /// Calls that ended with a fallback's answer.
    pub degraded: u64,
    /// Calls that ended with an error, the two following included.
    pub failed: u64,
    /// Calls that a circuit breaker rejected.
    pub rejected: u64,
    /// Calls that a timeout ended, as the last word.
    pub timed_out: u64,
    /// Breakers that became half-open, and let a probe through.
    pub probed: u64,
    /// How many requests waited in queues at the end.
    pub waiting: u64,
    /// How many breakers were open at the end, or isolated.
    pub open: u32,
    /// How many were half-open at the end.
    pub half_open: u32,
    /// How long the good calls took that ended here.
    #[serde(skip)]
    pub latencies: Latencies,
}

/// What was seen of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Seen {
    /// How long a bin is.
    pub bin: Duration,
    /// From the beginning, one after the other.
    pub bins: Vec<Bin>,
    /// All of them together. Of what waits and what is open: the most at the end of a bin.
    pub total: Bin,
    /// When the last call ended, in ns since the beginning.
    pub last_end: u64,
    /// How long all calls took together, in ns, that ended in whatever way.
    pub time_in_calls: u128,
    /// How often a breaker opened.
    pub opened: u64,
    #[serde(skip)]
    breakers: Breakers,
    #[serde(skip)]
    current: Bin,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Breakers {
    open: u32,
    half_open: u32,
}

impl Seen {
    pub(crate) fn new(bin: Duration, length: Duration) -> Self {
        let bin = bin.max(Duration::from_micros(1));
        let count = usize::try_from(length.as_nanos() / bin.as_nanos()).unwrap_or(0).min(1 << 20);
        Self {
            bin,
            bins: Vec::with_capacity(count),
            total: Bin::default(),
            last_end: 0,
            time_in_calls: 0,
            opened: 0,
            breakers: Breakers::default(),
            current: Bin::default(),
        }
    }

    /// When the current bin ends.
    pub(crate) fn bin_ends(&self) -> u64 {
        nanos(self.bin).saturating_mul(self.bins.len() as u64 + 1)
    }

    pub(crate) fn called(&mut self) {
        self.current.calls += 1;
    }

    pub(crate) fn sent(&mut self, is_first_tier: bool, is_last_tier: bool) {
        self.current.attempts += u64::from(is_first_tier);
        self.current.backend += u64::from(is_last_tier);
    }

    pub(crate) fn served(&mut self, wasted: bool) {
        self.current.served += 1;
        self.current.wasted += u64::from(wasted);
    }

    pub(crate) fn ended(
        &mut self,
        now: u64,
        started: u64,
        outcome: &Result<Answer, Error<Failure>>,
    ) {
        self.last_end = now;
        self.time_in_calls += u128::from(now - started);
        let bin = &mut self.current;
        match outcome {
            Ok(Answer::Full) => {
                bin.good += 1;
                bin.latencies.add(now - started);
            }
            Ok(Answer::Degraded) => bin.degraded += 1,
            Err(error) => {
                bin.failed += 1;
                match rejection(error) {
                    Some(Rejection::CircuitBreakerOpen(_)) => bin.rejected += 1,
                    Some(Rejection::TimedOut { .. }) => bin.timed_out += 1,
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn hear(&mut self, transition: &Transition) {
        let breakers = &mut self.breakers;
        match transition.from {
            CircuitState::Open | CircuitState::Isolated => breakers.open -= 1,
            CircuitState::HalfOpen => breakers.half_open -= 1,
            CircuitState::Closed => {}
        }
        match transition.to {
            CircuitState::Open | CircuitState::Isolated => {
                breakers.open += 1;
                self.opened += 1;
            }
            CircuitState::HalfOpen => {
                breakers.half_open += 1;
                self.current.probed += 1;
            }
            CircuitState::Closed => {}
        }
    }

    pub(crate) fn close_bin(&mut self, waiting: u64) {
        let mut bin = std::mem::take(&mut self.current);
        bin.waiting = waiting;
        bin.open = self.breakers.open;
        bin.half_open = self.breakers.half_open;
        self.total.add(&bin);
        self.bins.push(bin);
    }

    /// The last bin, if the run did not end with a full one.
    pub(crate) fn close(&mut self, now: u64, waiting: u64) {
        let begun = nanos(self.bin).saturating_mul(self.bins.len() as u64);
        if now > begun {
            self.close_bin(waiting);
        }
    }
}

impl Bin {
    /// Adds another one: sums, and of what is counted at the end the larger.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.attempts += other.attempts;
        self.backend += other.backend;
        self.served += other.served;
        self.wasted += other.wasted;
        self.good += other.good;
        self.degraded += other.degraded;
        self.failed += other.failed;
        self.rejected += other.rejected;
        self.timed_out += other.timed_out;
        self.probed += other.probed;
        self.waiting = self.waiting.max(other.waiting);
        self.open = self.open.max(other.open);
        self.half_open = self.half_open.max(other.half_open);
        self.latencies.merge(&other.latencies);
    }
}

/// The rejection that a call ended with, also inside an exhausted retry.
fn rejection(error: &Error<Failure>) -> Option<&Rejection> {
    match error {
        Error::Rejected(rejection) => Some(rejection),
        Error::RetryExhausted(exhausted) => rejection(exhausted.last()),
        Error::FallbackExhausted(exhausted) => rejection(exhausted.primary()),
        _ => None,
    }
}
