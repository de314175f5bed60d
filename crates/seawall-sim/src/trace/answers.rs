//! Which recorded attempt answers one of a replay.

use super::{Data, NEAR, Row};
use crate::model::nanos;
use seawall::{Random, trace::Outcome};

/// How many recorded attempts are near, on each side.
const SIDE: usize = 8;

/// Whose answer it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// The same attempt of the same call.
    Own,
    /// One that began within [`NEAR`].
    Near,
    /// The nearest, further off than that.
    Far,
}

impl Data {
    /// The answer to the attempt of this number, counted from 0, of a call.
    pub(super) fn answer(&self, call: u32, attempt: u32, now: u64, seed: u64) -> (Row, Source) {
        let of = &self.calls[call as usize];
        let own = &self.rows[of.first as usize..of.last as usize];
        let mut made = own.iter().filter(|row| row.outcome != Outcome::Rejected);
        if let Some(row) = made.nth(attempt as usize) {
            if row.at.abs_diff(now) <= nanos(NEAR) {
                return (*row, Source::Own);
            }
        }
        let known = &self.answers[of.key as usize];
        let known = if known.is_empty() { &self.all } else { known };
        let row = |at: usize| self.rows[known[at] as usize];
        let middle = known.partition_point(|at| self.rows[*at as usize].at < now);
        let (mut from, mut to) = (middle, middle);
        while from > 0 && middle - from < SIDE && now - row(from - 1).at <= nanos(NEAR) {
            from -= 1;
        }
        while to < known.len() && to - middle < SIDE && row(to).at - now <= nanos(NEAR) {
            to += 1;
        }
        let near = to - from;
        if near == 0 {
            let before = middle.checked_sub(1).map(row);
            let after = (middle < known.len()).then(|| row(middle));
            let nearest =
                [before, after].into_iter().flatten().min_by_key(|one| one.at.abs_diff(now));
            return (nearest.expect("a trace has an answer"), Source::Far);
        }
        // By call and attempt, so that policies which are compared draw alike.
        let number = u64::from(call) << 32 | u64::from(attempt);
        let mut mixed = Random::seeded(seed ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03));
        let mut random = Random::seeded(mixed.next_u64());
        let drawn = usize::try_from(random.next_u64() % near as u64).unwrap_or_default();
        (row(from + drawn), Source::Near)
    }

    /// How long the caller of this call waited before going away, if that is how it ended.
    pub(super) fn patience(&self, call: u32) -> Option<u64> {
        let of = &self.calls[call as usize];
        let last = &self.rows[of.first as usize..of.last as usize].last()?;
        (last.outcome == Outcome::Cancelled).then(|| last.ends() - of.at)
    }
}
