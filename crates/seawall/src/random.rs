//! The source of jitter: seedable, so that a run can be repeated.

use crate::scope;
use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

/// A stream of random numbers for jitter. Not for secrets.
///
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
/// The same seed gives the same stream in every release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

thread_local! {
    // `RandomState` is std's only source of entropy; it is asked once a thread.
    static STREAM: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
}

impl Random {
    /// The stream that belongs to `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own: from the scope where one is active, else from the thread's entropy.
    pub fn new() -> Self {
        if let Some(seed) = scope::seed() {
            return Self(seed);
        }
        // A thread that is being torn down has no stream any more; any seed will do.
        Self(STREAM.try_with(step_cell).unwrap_or(0))
    }

    /// Has this thread draw from the stream of `seed` from here on.
    #[cfg(feature = "foreign")]
    pub(crate) fn reseed(seed: u64) {
        let _ = STREAM.try_with(|stream| stream.set(seed));
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number, evenly spread over `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
    pub fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

fn step_cell(stream: &Cell<u64>) -> u64 {
    let mut random = Random(stream.get());
    let seed = random.next_u64();
    stream.set(random.0);
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        // The reference implementation's first numbers for seed 1234567.
        let mut random = Random::seeded(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn two_calls_draw_different_streams() {
        assert_ne!(Random::new(), Random::new());
    }

    #[test]
    fn units_stay_below_one_and_spread() {
        let mut random = Random::seeded(7);
        let draws: Vec<f64> = (0..10_000).map(|_| random.next_unit()).collect();
        assert!(draws.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "mean {mean}");
    }
}
