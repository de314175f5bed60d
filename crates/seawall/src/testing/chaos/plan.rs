//! DECIDE: what happens to a call.

use super::Calls;
use crate::random::Random;
use std::time::Duration;

/// The faults, in the order in which a call goes through them.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) faults: Vec<(Calls, Kind)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Rejection,
    Latency(Duration),
    Hang,
    Panic,
    WrongResult,
}

impl Kind {
    /// As its setter is called.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Rejection => "rejection",
            Self::Latency(_) => "latency",
            Self::Hang => "hang",
            Self::Panic => "panic",
            Self::WrongResult => "wrong_result",
        }
    }
}

/// What happens to one call: it waits, and then is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) call: u64,
    /// How many latencies hit.
    pub(super) latencies: u64,
    /// All of them together.
    pub(super) delay: Duration,
    /// The fault that hits after them: its place in the plan, and its kind.
    pub(super) hit: Option<(usize, Kind)>,
}

impl Plan {
    /// Adds a fault; gives its place.
    pub(super) fn add(&mut self, calls: Calls, kind: Kind) -> usize {
        self.faults.push((calls, kind));
        self.faults.len() - 1
    }

    /// What happens to call number `call`.
    pub(super) fn fate(&self, call: u64) -> Fate {
        let mut fate = Fate { call, latencies: 0, delay: Duration::ZERO, hit: None };
        for (at, (calls, kind)) in self.faults.iter().enumerate() {
            // A stream for each fault: one more behind it changes nothing for those before.
            let stream = Random::seeded(self.seed.wrapping_add(at as u64)).next_u64();
            if !calls.hit(call, stream) {
                continue;
            }
            if let Kind::Latency(delay) = kind {
                fate.latencies += 1;
                fate.delay = fate.delay.saturating_add(*delay);
            } else {
                fate.hit = Some((at, *kind));
                break;
            }
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn plan(faults: impl IntoIterator<Item = (Calls, Kind)>) -> Plan {
        Plan { seed: 7, faults: faults.into_iter().collect() }
    }

    #[test]
    fn latencies_add_up_until_a_fault_of_another_kind_hits() {
        let plan = plan([
            (Calls::every(2), Kind::Latency(S)),
            (Calls::every(3), Kind::Latency(2 * S)),
            (Calls::every(4), Kind::Panic),
            (Calls::all(), Kind::Error),
            (Calls::all(), Kind::Latency(9 * S)),
        ]);
        let fates = [1, 2, 6, 12].map(|call| plan.fate(call));
        let panic = Some((2, Kind::Panic));
        let error = Some((3, Kind::Error));
        assert_eq!(fates.map(|fate| fate.delay), [Duration::ZERO, S, 3 * S, 3 * S]);
        assert_eq!(fates.map(|fate| fate.latencies), [0, 1, 2, 2]);
        assert_eq!(fates.map(|fate| fate.hit), [error, error, error, panic]);
    }

    #[test]
    fn latencies_beyond_all_time_saturate() {
        let forever = (Calls::all(), Kind::Latency(Duration::MAX));
        assert_eq!(plan([forever.clone(), forever]).fate(1).delay, Duration::MAX);
    }

    #[test]
    fn a_rate_draws_its_own_stream_for_each_fault() {
        let half = |kind| (Calls::rate(0.5), kind);
        let hits = |plan: &Plan| (1..=100).map(|call| plan.fate(call).hit).collect::<Vec<_>>();
        let one = hits(&plan([half(Kind::Error)]));
        let first: Vec<_> = hits(&plan([half(Kind::Error), half(Kind::Panic)]));
        for (one, both) in one.iter().zip(&first) {
            assert!(one.is_none() || one == both);
        }
        let panics = first.iter().flatten().filter(|hit| hit.1 == Kind::Panic).count();
        assert!((10..40).contains(&panics), "a half of the other half: {panics}");
    }
}
