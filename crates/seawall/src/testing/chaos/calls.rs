//! DECIDE: which calls a fault hits.

use crate::{
    random::Random,
    setting::{InvalidSetting, Refusal},
};
use std::{
    fmt,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// Which calls a fault hits, by their number: the first call is 1.
///
/// ```
/// use seawall::testing::chaos::Calls;
///
/// Calls::all();
/// Calls::first(2); // 1 and 2
/// Calls::every(3); // 3, 6, 9 ..
/// Calls::range(5..=7); // 5, 6 and 7
/// Calls::only([2, 3, 5]);
/// Calls::cycle([true, false, false]); // 1, 4, 7 ..
/// Calls::rate(0.1); // one of ten, by the seed
/// Calls::when(|call| call.is_power_of_two());
/// ```
#[derive(Clone)]
pub struct Calls(Which);

#[derive(Clone)]
enum Which {
    All,
    Every(u64),
    Range(Bound<u64>, Bound<u64>),
    Only(Vec<u64>),
    Cycle(Vec<bool>),
    Rate(f64),
    When(Arc<dyn Fn(u64) -> bool + Send + Sync>),
}

impl Calls {
    /// Every call.
    pub const fn all() -> Self {
        Self(Which::All)
    }

    /// The first `n` calls.
    pub const fn first(n: u64) -> Self {
        Self(Which::Range(Bound::Unbounded, Bound::Included(n)))
    }

    /// Every `n`th call.
    ///
    /// # Panics
    /// If `n` is 0; [`try_every`](Self::try_every) gives an error instead.
    #[track_caller]
    pub const fn every(n: u64) -> Self {
        match valid_every(n) {
            Ok(()) => Self(Which::Every(n)),
            Err(refusal) => refusal.panic(),
        }
    }

    /// As [`every`](Self::every), for values from outside.
    ///
    /// # Errors
    /// The value, if it is 0.
    pub fn try_every(n: u64) -> Result<Self, InvalidSetting> {
        valid_every(n)?;
        Ok(Self(Which::Every(n)))
    }

    /// The calls whose number is in `range`, such as `3..=5` or `10..`.
    pub fn range(range: impl RangeBounds<u64>) -> Self {
        Self(Which::Range(range.start_bound().cloned(), range.end_bound().cloned()))
    }

    /// The calls with these numbers.
    pub fn only(numbers: impl Into<Vec<u64>>) -> Self {
        Self(Which::Only(numbers.into()))
    }

    /// The calls for which `hits` says so, again from its start after its end. An empty one hits none.
    pub fn cycle(hits: impl Into<Vec<bool>>) -> Self {
        Self(Which::Cycle(hits.into()))
    }

    /// This share of the calls, spread by the chaos' seed.
    ///
    /// # Panics
    /// If the rate is not within 0..=1; [`try_rate`](Self::try_rate) gives an error instead.
    #[track_caller]
    pub const fn rate(rate: f64) -> Self {
        match valid_rate(rate) {
            Ok(()) => Self(Which::Rate(rate)),
            Err(refusal) => refusal.panic(),
        }
    }

    /// As [`rate`](Self::rate), for values from outside.
    ///
    /// # Errors
    /// The rate, if it is not within 0..=1.
    pub fn try_rate(rate: f64) -> Result<Self, InvalidSetting> {
        valid_rate(rate)?;
        Ok(Self(Which::Rate(rate)))
    }

    /// The calls for whose number `hits` holds.
    pub fn when(hits: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        Self(Which::When(Arc::new(hits)))
    }

    /// Whether call number `call` is hit, where rates draw from `stream`.
    pub(super) fn hit(&self, call: u64, stream: u64) -> bool {
        match &self.0 {
            Which::All => true,
            Which::Every(n) => call % n == 0,
            Which::Range(start, end) => (*start, *end).contains(&call),
            Which::Only(numbers) => numbers.contains(&call),
            Which::Cycle(hits) => {
                // Calls count from 1. On 32 bits too: the remainder of a length fits.
                let at = (call - 1).checked_rem(hits.len() as u64);
                at.and_then(|at| hits.get(usize::try_from(at).ok()?)).is_some_and(|hit| *hit)
            }
            // By number, not one after the other: threads that race change nothing.
            Which::Rate(rate) => Random::seeded(stream.wrapping_add(call)).next_unit() < *rate,
            Which::When(hits) => hits(call),
        }
    }
}

const fn valid_every(n: u64) -> Result<(), Refusal> {
    match n {
        0 => Err(Refusal::integer("every", 0, "`every` must be 1 or more")),
        _ => Ok(()),
    }
}

const fn valid_rate(rate: f64) -> Result<(), Refusal> {
    // Written so that NaN is refused too.
    if rate >= 0.0 && rate <= 1.0 {
        return Ok(());
    }
    Err(Refusal::number("rate", rate, "`rate` must be within 0..=1"))
}

/// In a few words: `every 3`.
impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Which::All => f.write_str("all"),
            Which::Every(n) => write!(f, "every {n}"),
            Which::Range(Bound::Unbounded, Bound::Included(n)) => write!(f, "first {n}"),
            Which::Range(start, end) => {
                match start {
                    Bound::Included(first) => write!(f, "{first}")?,
                    Bound::Excluded(before) => write!(f, "{}", before.saturating_add(1))?,
                    Bound::Unbounded => {}
                }
                match end {
                    Bound::Included(last) => write!(f, "..={last}"),
                    Bound::Excluded(after) => write!(f, "..{after}"),
                    Bound::Unbounded => f.write_str(".."),
                }
            }
            Which::Only(numbers) => write!(f, "only {numbers:?}"),
            Which::Cycle(hits) => {
                let hits: String = hits.iter().map(|hit| if *hit { 'x' } else { '.' }).collect();
                write!(f, "cycle {hits}")
            }
            Which::Rate(rate) => write!(f, "rate {rate}"),
            Which::When(_) => f.write_str("by function"),
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calls({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(calls: &Calls) -> Vec<u64> {
        (1..=10).filter(|call| calls.hit(*call, 0)).collect()
    }

    #[test]
    fn calls_are_hit_by_their_number() {
        let table: [(Calls, &str, &[u64]); 12] = [
            (Calls::all(), "all", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (Calls::first(0), "first 0", &[]),
            (Calls::first(2), "first 2", &[1, 2]),
            (Calls::every(1), "every 1", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
            (Calls::every(3), "every 3", &[3, 6, 9]),
            (Calls::range(3..=5), "3..=5", &[3, 4, 5]),
            (Calls::range(..3), "..3", &[1, 2]),
            (Calls::range(9..), "9..", &[9, 10]),
            (Calls::only([7, 2]), "only [7, 2]", &[2, 7]),
            (Calls::cycle([true, false, false]), "cycle x..", &[1, 4, 7, 10]),
            (Calls::cycle([]), "cycle ", &[]),
            (Calls::when(|call| call % 4 == 1), "by function", &[1, 5, 9]),
        ];
        for (calls, text, hit) in table {
            assert_eq!((calls.to_string().as_str(), hits(&calls).as_slice()), (text, hit));
        }
        let after_seven = Calls::range((Bound::Excluded(7), Bound::Unbounded));
        assert_eq!((after_seven.to_string(), hits(&after_seven)), ("8..".into(), vec![8, 9, 10]));
    }

    #[test]
    fn the_last_number_of_all_is_hit_like_any_other() {
        for calls in [Calls::every(u64::MAX), Calls::cycle([true]), Calls::range(2..)] {
            assert!(calls.hit(u64::MAX, u64::MAX), "{calls}");
        }
    }

    #[test]
    fn a_rate_hits_the_same_calls_of_a_stream_in_every_release() {
        let calls = Calls::rate(0.3);
        let stream = |stream| (1..=20).filter(|call| calls.hit(*call, stream)).collect::<Vec<_>>();
        assert_eq!(stream(1), [2, 9, 17, 19, 20]);
        assert_eq!(stream(1000), [12, 13, 18]);
    }
}
