//! DECIDE: what the calls of late say about the callee.
//!
//! A window lives beside the word and is tagged with the word's generation: a writer writes only
//! into what is of its own generation or older, so closing needs no pass that clears. Its reading
//! is part of the event that the word's transition takes.

mod count;
mod time;

pub(crate) use count::{CountWindow, MAX_CALLS};
pub(crate) use time::{BUCKETS, TimeWindow};

use super::TransitionCause;
#[cfg(feature = "foreign")]
use super::held::HeldWindow;
use crate::time::Tick;

/// How a call ended, as windows count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    SlowSuccess,
    Failure,
    SlowFailure,
}

impl Outcome {
    #[inline]
    pub(crate) const fn slow(self) -> Self {
        match self {
            Self::Success | Self::SlowSuccess => Self::SlowSuccess,
            Self::Failure | Self::SlowFailure => Self::SlowFailure,
        }
    }

    /// By what a ring keeps of it: bit 0 is set if it failed, bit 1 if it was slow.
    const fn of_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Success,
            1 => Self::Failure,
            2 => Self::SlowSuccess,
            _ => Self::SlowFailure,
        }
    }

    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::SlowFailure)
    }

    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::SlowSuccess | Self::SlowFailure)
    }
}

/// What a window holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

/// When a reading opens the breaker, checked and complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) minimum_calls: u64,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_call_rate: Option<f64>,
}

impl Rates {
    fn trip(&self, reading: Reading) -> Option<TransitionCause> {
        let Reading { calls, failures, slow } = reading;
        if calls < self.minimum_calls {
            return None;
        }
        if reaches(failures, calls, self.failure_rate) {
            return Some(TransitionCause::FailureRate);
        }
        reaches(slow, calls, self.slow_call_rate).then_some(TransitionCause::SlowCallRate)
    }
}

/// The share of `part` in `calls`; none without calls.
#[expect(clippy::cast_precision_loss, reason = "a share is no more exact than that")]
pub(crate) fn rate(part: u64, calls: u64) -> Option<f64> {
    (calls > 0).then(|| part as f64 / calls as f64)
}

/// The quotient is rounded as the literal was, so 7 of 100 reaches 0.07. Nothing bad reaches no
/// limit, not even 0.
#[expect(clippy::cast_precision_loss, reason = "counts of calls, compared with one to spare")]
fn reaches(part: u64, calls: u64, limit: Option<f64>) -> bool {
    match limit {
        // A product is cheaper than a quotient, and tells for all but the last call.
        Some(limit) if part > 0 && (part + 1) as f64 > limit * calls as f64 => {
            rate(part, calls).is_some_and(|rate| rate >= limit)
        }
        _ => false,
    }
}

/// The window of a breaker, if its rule needs one.
#[derive(Debug)]
pub(crate) enum Window {
    Nothing,
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    /// Whether one more fast success in `generation` leaves all that can be seen as it is.
    #[inline]
    pub(crate) fn is_unmoved_by_success(&self, generation: u64) -> bool {
        match self {
            Self::Nothing => true,
            Self::Count(window) => window.is_quiet(generation),
            Self::Time(_) => false,
        }
    }

    /// Takes in one more fast success of `generation` if that decides nothing; false if it may.
    #[inline]
    pub(crate) fn takes_success(&self, generation: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::Count(window) => window.takes_success(generation),
            Self::Time(window) => window.takes_success(generation, Tick::now),
        }
    }

    /// Takes an outcome of `generation` in; gives the cause if it reaches a rate.
    ///
    /// `current` tells whether that is the word's generation still: a window that seems to be of a
    /// newer one is then so only since generations have wrapped.
    #[inline]
    pub(crate) fn record(
        &self,
        generation: u64,
        now: impl FnOnce() -> Tick,
        outcome: Outcome,
        current: impl Fn() -> bool,
    ) -> Option<TransitionCause> {
        match self {
            Self::Nothing => None,
            Self::Count(window) => window.record(generation, outcome, current),
            Self::Time(window) => window.record(generation, now(), outcome, current),
        }
    }

    /// What the window holds of `generation`.
    pub(crate) fn reading(&self, generation: u64, now: impl FnOnce() -> Tick) -> Reading {
        match self {
            Self::Nothing => Reading::default(),
            Self::Count(window) => window.reading(generation),
            Self::Time(window) => window.reading(generation, now()),
        }
    }
}

/// From settings to other settings.
impl Window {
    /// Forgets all: for one that is to take over.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Count(window) => window.clear(),
            Self::Time(window) => window.clear(),
        }
    }

    /// Takes over what `old` holds of `generation`, whose breaker is retired. A window of another kind
    /// cannot say it: the new one begins empty.
    pub(crate) fn take_over(&self, generation: u64, now: Tick, old: &Self) {
        match (self, old) {
            (Self::Count(window), Self::Count(old)) => window.take_over(generation, old),
            (Self::Time(window), Self::Time(old)) => window.take_over(generation, now, old),
            _ => {}
        }
    }
}

/// Windows as plain data.
#[cfg(feature = "foreign")]
impl Window {
    pub(crate) fn hold(&self, generation: u64, now: Tick) -> HeldWindow {
        match self {
            Self::Nothing => HeldWindow::Nothing,
            Self::Count(window) => HeldWindow::Calls(window.hold(generation)),
            Self::Time(window) => HeldWindow::Buckets(window.hold(generation, now)),
        }
    }

    /// Takes in what a window of its kind has held. It has just been made: nothing is decided.
    pub(crate) fn remember(&self, generation: u64, now: Tick, held: &HeldWindow) {
        match (self, held) {
            (Self::Count(window), HeldWindow::Calls(calls)) => {
                for call in calls {
                    let _ = window.record(generation, Outcome::of_bits(*call), || true);
                }
            }
            (Self::Time(window), HeldWindow::Buckets(buckets)) => {
                window.remember(generation, now, buckets);
            }
            _ => {}
        }
    }
}

/// Whether generation `one` came after `other`: within half the range, so that it may wrap.
fn is_newer(one: u64, other: u64) -> bool {
    let ahead = one.wrapping_sub(other) & ((1 << 28) - 1);
    ahead != 0 && ahead < 1 << 27
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_hold_at_their_edges() {
        let rates = |failure_rate| Rates {
            minimum_calls: 1,
            failure_rate: Some(failure_rate),
            slow_call_rate: None,
        };
        let trips = |rate, failures, calls| {
            rates(rate).trip(Reading { calls, failures, slow: 0 }).is_some()
        };
        for percent in 1..=100_u32 {
            let rate = f64::from(percent) / 100.0;
            assert!(trips(rate, percent.into(), 100), "{percent} of 100");
            assert!(!trips(rate, u64::from(percent) - 1, 100), "one less than {percent} of 100");
        }
        assert!(!trips(0.0, 0, 100), "no failure reaches no rate");
        assert!(trips(0.0, 1, 100));
        assert!(trips(1.0, 3, 3) && !trips(1.0, 2, 3));
    }

    #[test]
    fn below_the_minimum_of_calls_nothing_trips_and_at_it_does() {
        let rates = Rates { minimum_calls: 10, failure_rate: Some(0.5), slow_call_rate: Some(0.5) };
        let reading = |calls| Reading { calls, failures: calls, slow: 0 };
        assert_eq!(rates.trip(reading(9)), None);
        assert_eq!(rates.trip(reading(10)), Some(TransitionCause::FailureRate));
        let slow = Reading { calls: 10, failures: 0, slow: 5 };
        assert_eq!(rates.trip(slow), Some(TransitionCause::SlowCallRate));
    }

    #[test]
    fn each_outcome_counts_as_its_name_says() {
        use Outcome::{Failure, SlowFailure, SlowSuccess, Success};
        for (outcome, is_failure, is_slow, slow) in [
            (Success, false, false, SlowSuccess),
            (SlowSuccess, false, true, SlowSuccess),
            (Failure, true, false, SlowFailure),
            (SlowFailure, true, true, SlowFailure),
        ] {
            assert_eq!((outcome.is_failure(), outcome.is_slow()), (is_failure, is_slow));
            assert_eq!(outcome.slow(), slow);
        }
    }

    #[test]
    fn a_rate_is_a_share_and_none_without_calls() {
        assert_eq!([rate(0, 0), rate(0, 4), rate(1, 4)], [None, Some(0.0), Some(0.25)]);
        assert_eq!(rate(4, 4), Some(1.0));
    }

    /// The short ways of a success: past all windows, past one that is quiet, or into one by itself.
    #[test]
    #[cfg(not(seawall_loom))]
    fn a_success_passes_a_window_that_it_does_not_move_and_goes_into_others_by_itself() {
        let rates = Rates { minimum_calls: 1, failure_rate: Some(1.0), slow_call_rate: None };
        let now = Tick::now;
        let none = Window::Nothing;
        assert!(none.is_unmoved_by_success(1) && !none.takes_success(1));
        assert_eq!(none.record(1, now, Outcome::Failure, || true), None);
        assert_eq!(none.reading(1, now), Reading::default());

        let count = Window::Count(CountWindow::new(3, rates));
        let success = |window: &Window| window.record(1, now, Outcome::Success, || true);
        assert!(!count.is_unmoved_by_success(1) && !count.takes_success(1));
        assert_eq!(success(&count), None);
        assert!(count.takes_success(1), "one more, and not the last of three");
        assert!(!count.is_unmoved_by_success(1) && !count.takes_success(1));
        assert_eq!(success(&count), None);
        assert!(count.is_unmoved_by_success(1) && !count.takes_success(1), "three successes");
        assert_eq!(count.reading(1, now), Reading { calls: 3, failures: 0, slow: 0 });

        // A bucket that no test outlives.
        let time = Window::Time(TimeWindow::new(1 << 40, rates));
        assert!(!time.is_unmoved_by_success(1) && !time.takes_success(1));
        assert_eq!(success(&time), None);
        assert!(time.takes_success(1) && !time.is_unmoved_by_success(1), "the minimum is met");
        assert_eq!(time.reading(1, now), Reading { calls: 2, failures: 0, slow: 0 });
        let failed = time.record(1, now, Outcome::Failure, || true);
        assert_eq!(failed, None, "one of three");
    }

    /// A window that seems newer, since half of all generations went by without an outcome.
    #[test]
    #[cfg(not(seawall_loom))]
    fn a_current_outcome_is_counted_however_many_generations_went_by() {
        let rates = Rates { minimum_calls: 2, failure_rate: Some(1.0), slow_call_rate: None };
        let later = 1 + (1 << 27) + 10;
        for window in
            [Window::Count(CountWindow::new(2, rates)), Window::Time(TimeWindow::new(100, rates))]
        {
            let record = |generation, current: bool| {
                let now = || Tick::from_millis(1000);
                let _ = window.record(generation, now, Outcome::Failure, || current);
                window.reading(later, now).calls
            };
            record(1, true);
            assert_eq!(record(later, false), 0, "what is stale stays out");
            assert_eq!(record(later, true), 1);
        }
    }

    #[test]
    fn generations_are_ordered_across_the_wrap() {
        let last = (1 << 28) - 1;
        assert!(is_newer(0, last) && !is_newer(last, 0));
        assert!(is_newer(6, 5) && !is_newer(5, 5) && !is_newer(5, 6));
        // Half the range ahead is half the range behind as well: not newer, whichever is asked.
        let half = 1 << 27;
        assert!(is_newer(half - 1, 0) && !is_newer(half, 0) && !is_newer(0, half));
    }
}
