//! Latencies, counted in bins that grow with them.

use std::time::Duration;

/// Each power of two is cut into so many parts: a value is off by 3 % at most.
const PARTS: u64 = 16;
const BITS: u32 = PARTS.trailing_zeros();

/// How many calls took how long, to 3 %.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// In us; as long as the largest asks for.
    counts: Vec<u64>,
    all: u64,
}

impl Latencies {
    /// One call more, in ns.
    pub(crate) fn add(&mut self, ns: u64) {
        let at = place(ns / 1000);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.all += 1;
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.all += other.all;
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.all
    }

    /// What so many take at most, as a share: 0.5 is the median. None if there are no calls.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `all`")]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((self.all as f64 * share).ceil() as u64).clamp(1, self.all.max(1));
        let mut before = 0;
        for (at, count) in self.counts.iter().enumerate() {
            before += count;
            if before >= rank {
                return Some(middle(at));
            }
        }
        None
    }
}

fn place(us: u64) -> usize {
    let at = if us < PARTS {
        us
    } else {
        let shift = us.ilog2() - BITS;
        (u64::from(shift) + 1) * PARTS + ((us >> shift) - PARTS)
    };
    usize::try_from(at).expect("less than 1024")
}

/// The middle of what is counted in one place.
fn middle(at: usize) -> Duration {
    let at = at as u64;
    if at < PARTS {
        return Duration::from_nanos(at * 1000 + 500);
    }
    let shift = at / PARTS - 1;
    let from = (PARTS + at % PARTS) << shift;
    Duration::from_nanos((from * 1000).saturating_add((1000 << shift) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_comes_back_to_three_percent() {
        let mut us = 1_u64;
        while us < 1 << 40 {
            let mut one = Latencies::default();
            one.add(us * 1000);
            let back = one.quantile(0.5).expect("one call");
            let off = (back.as_secs_f64() * 1e6 / us as f64 - 1.0).abs();
            assert!(off <= 0.5 / us as f64 + 0.032, "{us} us came back as {back:?}");
            us += 1 + us / 7;
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut some = Latencies::default();
        (1..=100).for_each(|ms| some.add(ms * 1_000_000));
        let near = |share: f64, ms: f64| {
            let found = some.quantile(share).expect("there are calls").as_secs_f64() * 1e3;
            assert!((found / ms - 1.0).abs() < 0.035, "{share}: {found} and not {ms}");
        };
        near(0.5, 50.0);
        near(0.99, 99.0);
        near(1.0, 100.0);
        near(0.0, 1.0);
        assert_eq!(Latencies::default().quantile(0.5), None);
    }

    #[test]
    fn merged_latencies_are_as_if_counted_together() {
        let (mut left, mut right, mut both) =
            (Latencies::default(), Latencies::default(), Latencies::default());
        for ns in [1, 5_000_000, 90_000_000_000] {
            left.add(ns);
            both.add(ns);
        }
        for ns in [2_000, 7_000_000] {
            right.add(ns);
            both.add(ns);
        }
        left.merge(&right);
        assert_eq!(left, both);
    }
}
