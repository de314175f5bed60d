//! What the laws need to know of a circuit breaker.

use super::schedule::whole_ms;
use crate::{
    CircuitBreaker, CircuitState, Classify, Error, Event, Permit, Verdict, testing::ManualClock,
};
use std::time::Duration;

/// Hears a change of state: from, to.
pub type Told = Box<dyn Fn(CircuitState, CircuitState) + Send + Sync>;

/// A circuit breaker, as the laws see it: by its decisions.
///
/// Four methods are needed. The others open the door to more laws; what is left out is not asked.
pub trait BreakerUnderTest: Sync {
    /// Leave to make one call. Dropping it abandons the call.
    type Permit<'a>
    where
        Self: 'a;

    /// Asks to make a call now; none if it is rejected.
    fn acquire(&self) -> Option<Self::Permit<'_>>;

    /// The call went well.
    fn success(&self, permit: Self::Permit<'_>);

    /// The call failed.
    fn failure(&self, permit: Self::Permit<'_>);

    /// The state. It need not move by itself when a time is over.
    fn state(&self) -> CircuitState;

    /// Has `told` hear every change of state from now on; false if this breaker tells of none.
    /// `told` may panic.
    fn on_transition(&self, told: Told) -> bool {
        drop(told);
        false
    }

    /// Runs `operation` as one call, in the way that users would; true if it was let through, none if
    /// there is no such way. `operation` may panic.
    fn run(&self, operation: fn()) -> Option<bool> {
        let _ = operation;
        None
    }

    /// The kit has moved its clock. For breakers whose own clock has to be set by hand.
    fn clock_moved(&self, clock: &ManualClock) {
        let _ = clock;
    }
}

impl<C: Classify<(), ()>> BreakerUnderTest for CircuitBreaker<C> {
    type Permit<'a>
        = Permit<'a>
    where
        C: 'a;

    fn acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire().ok()
    }

    fn success(&self, permit: Permit<'_>) {
        permit.record(Verdict::Success);
    }

    fn failure(&self, permit: Permit<'_>) {
        permit.record(Verdict::TRANSIENT);
    }

    fn state(&self) -> CircuitState {
        self.state()
    }

    fn on_transition(&self, told: Told) -> bool {
        self.observe(move |event: &Event<'_>| {
            if let Event::CircuitBreakerTransition { transition, .. } = event {
                told(transition.from, transition.to);
            }
        });
        true
    }

    fn run(&self, operation: fn()) -> Option<bool> {
        let outcome = self.run_blocking(|| {
            operation();
            Ok(())
        });
        Some(!matches!(outcome, Err(Error::Rejected(_))))
    }
}

/// What a breaker was set to, for the laws to hold it to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What opens it.
    pub trip: Trip,
    /// How long it stays open the first time, before any spread.
    pub recovery_timeout: Duration,
    /// By what share of itself the open time may be spread upwards; 0 if it is not.
    pub spread: f64,
    /// The longest that it stays open, growth and spread included.
    pub longest_recovery: Duration,
    /// Probes at a time.
    pub probes: u32,
    /// Successes that close it.
    pub successes_to_close: u32,
    /// Failed probes that open it again.
    pub failures_to_reopen: u32,
    /// How long a probe that hangs keeps its slot; none if for ever, and then no law asks about
    /// probes that hang.
    pub lease: Option<Duration>,
}

impl Rules {
    /// Opens after `failures` in a row, for `recovery_timeout`; then one probe, whose success closes
    /// it and whose failure opens it again. No growth, no spread, no lease.
    pub const fn consecutive(failures: u32, recovery_timeout: Duration) -> Self {
        Self {
            trip: Trip::Failures(failures),
            recovery_timeout,
            spread: 0.0,
            longest_recovery: recovery_timeout,
            probes: 1,
            successes_to_close: 1,
            failures_to_reopen: 1,
            lease: None,
        }
    }

    /// When a breaker that has opened once lets a probe through at the latest.
    pub(super) fn first_recovery(&self) -> Duration {
        if self.spread > 0.0 {
            // One more for whoever rounds up.
            whole_ms(self.recovery_timeout.mul_f64(1.0 + self.spread)) + Duration::from_millis(1)
        } else {
            self.recovery_timeout
        }
    }

    /// In this time a permit is there whatever became of those before, with some room: a lease may be
    /// kept in steps.
    pub(super) fn longest_wait(&self) -> Duration {
        let longest = self.longest_recovery.max(self.lease.unwrap_or_default());
        longest + longest / 16 + Duration::from_millis(4)
    }
}

/// What opens a breaker that is closed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Trip {
    /// This many failures in a row.
    Failures(u32),
    /// This share of failures among the calls in the window. The kit makes its calls in one instant,
    /// so a window of time holds them all.
    Rate {
        /// The share, within 0..=1. It is enough to reach it.
        rate: f64,
        /// The calls since it closed before the rate says anything; more than the window holds, for a
        /// breaker that decides once a full window has moved on.
        minimum_calls: u32,
        /// How many calls the window holds; none for a window of time.
        over_calls: Option<u32>,
    },
}

impl Trip {
    /// Whether a breaker that has stayed closed so far opens by the last of `failed`.
    pub(super) fn opens(&self, failed: &[bool]) -> bool {
        match *self {
            Self::Failures(failures) => {
                let row = failed.iter().rev().take_while(|failed| **failed).count();
                row > 0 && row >= failures as usize
            }
            Self::Rate { rate, minimum_calls, over_calls } => {
                let size = over_calls.map_or(failed.len(), |calls| calls as usize);
                let window = &failed[failed.len().saturating_sub(size)..];
                let failures = window.iter().filter(|failed| **failed).count();
                failed.len() >= minimum_calls as usize
                    && failures > 0
                    && failures as f64 / window.len() as f64 >= rate
            }
        }
    }

    /// How many failing calls open it.
    pub(super) const fn failures(&self) -> u32 {
        match *self {
            Self::Failures(failures) => failures,
            Self::Rate { minimum_calls, .. } => minimum_calls,
        }
    }

    /// How many failing calls are enough, also for one that counts wrong, or has seen successes.
    pub(super) const fn plenty(&self) -> u32 {
        self.failures().saturating_mul(2).saturating_add(50)
    }
}

impl std::fmt::Display for Trip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failures(failures) => write!(f, "opens after {failures} failures in a row"),
            Self::Rate { rate, minimum_calls, over_calls } => {
                write!(f, "opens where {rate} of at least {minimum_calls} calls failed")?;
                match over_calls {
                    Some(calls) => write!(f, ", of the last {calls}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_looks_at_the_window_and_speaks_after_the_minimum_of_calls() {
        let trip = |minimum_calls| Trip::Rate { rate: 0.5, minimum_calls, over_calls: Some(4) };
        let failed = [true, false, true, false];
        assert!(trip(4).opens(&failed));
        // Not by the call that fills the window, but by the next, over the last four.
        assert!(!trip(5).opens(&failed));
        assert!(trip(5).opens(&[false, false, false, true, true]));
        assert!(!trip(5).opens(&[true, true, false, false, false]));
    }
}
