//! Schedules: what is done to a subject, all short ones and many long ones.

use super::report::{Broken, Checked, Law, Violation};
use crate::random::Random;
use std::{fmt, time::Duration};

/// A step of a schedule. Steps that find nothing to act on do nothing, so that any step may be left
/// out of a schedule and the rest still makes sense.
pub(super) trait Letter: Copy {
    /// Whether a shorter schedule, or one in another order, does the same.
    fn is_idle(schedule: &[Self]) -> bool {
        let _ = schedule;
        false
    }

    /// The step, or one of its kind.
    fn varied(self, random: &mut Random) -> Self {
        let _ = random;
        self
    }
}

/// How many long schedules are drawn, and how long they are at most.
const LONG: (u64, u64) = (300, 40);

/// Tries all schedules of up to `depth` letters, the shorter ones first, then long ones drawn by
/// chance. What breaks the law is cut down until every step of it is needed.
pub(super) fn explore<L: Letter>(
    law: Law,
    letters: &[L],
    depth: usize,
    check: impl Fn(&[L]) -> Result<(), Broken>,
) -> Result<Checked, Violation> {
    explore_where(law, letters, depth, |_| true, check)
}

/// As [`explore`], for schedules that the law is about.
pub(super) fn explore_where<L: Letter>(
    law: Law,
    letters: &[L],
    depth: usize,
    is_asked: impl Fn(&[L]) -> bool,
    check: impl Fn(&[L]) -> Result<(), Broken>,
) -> Result<Checked, Violation> {
    let mut tried = 0;
    for length in 0..=depth {
        let mut places = vec![0; length];
        loop {
            let schedule: Vec<L> = places.iter().map(|at: &usize| letters[*at]).collect();
            if is_asked(&schedule) && !L::is_idle(&schedule) {
                tried += 1;
                check(&schedule).map_err(|broken| broken.of(law))?;
            }
            if !next(&mut places, letters.len()) {
                break;
            }
        }
    }
    for seed in 0..LONG.0 {
        let schedule = drawn(letters, &mut Random::seeded(seed));
        if !is_asked(&schedule) {
            continue;
        }
        tried += 1;
        if let Err(broken) = check(&schedule) {
            return Err(shrunk(schedule, broken, &check).of(law));
        }
    }
    Ok(Checked::kept(law, tried))
}

/// Counts on, the last place first; false after the last number.
fn next(places: &mut [usize], base: usize) -> bool {
    for place in places.iter_mut().rev() {
        *place += 1;
        if *place < base {
            return true;
        }
        *place = 0;
    }
    false
}

fn drawn<L: Letter>(letters: &[L], random: &mut Random) -> Vec<L> {
    let length = 6 + random.next_u64() % (LONG.1 - 5);
    (0..length)
        .filter_map(|_| {
            let letter = letters.get(below(letters.len(), random))?;
            Some(letter.varied(random))
        })
        .collect()
}

/// A number below `limit`; 0 if there is none.
#[expect(clippy::cast_possible_truncation, reason = "smaller than the limit")]
pub(super) fn below(limit: usize, random: &mut Random) -> usize {
    (random.next_u64() % (limit as u64).max(1)) as usize
}

/// Leaves out step after step for as long as the law stays broken.
fn shrunk<L: Letter>(
    mut schedule: Vec<L>,
    mut broken: Broken,
    check: &impl Fn(&[L]) -> Result<(), Broken>,
) -> Broken {
    let mut at = 0;
    while at < schedule.len() {
        let mut shorter = schedule.clone();
        shorter.remove(at);
        match check(&shorter) {
            Ok(()) => at += 1,
            Err(still) => {
                (schedule, broken) = (shorter, still);
                // What was needed before may be needless now.
                at = 0;
            }
        }
    }
    broken
}

/// Rounded up: whoever reckons in whole ms may take a part of one for all of it.
pub(super) fn whole_ms(time: Duration) -> Duration {
    Duration::from_millis(crate::time::millis_up(time))
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Success,
    Failure,
    Drop,
}

impl How {
    pub(super) const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Drop];

    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Success => "succeeds",
            Self::Failure => "fails",
            Self::Drop => "is dropped",
        }
    }
}

/// Something done to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Asks for a permit, and keeps it.
    Acquire,
    /// Settles a permit admitted since the last change of state, counted from the oldest.
    Settle(How, usize),
    /// Settles the oldest permit that was admitted before it.
    Late(How),
    /// Time goes on.
    Wait(Duration),
    /// Time goes back.
    Back(Duration),
    /// A whole call whose operation panics.
    Panic,
}

impl Letter for Step {
    /// Nothing to settle, or two waits that could change places.
    fn is_idle(schedule: &[Self]) -> bool {
        let mut held = 0_u32;
        let settles_nothing = schedule.iter().any(|step| {
            match step {
                Self::Acquire => held += 1,
                Self::Settle(..) if held == 0 => return true,
                Self::Settle(..) => held -= 1,
                _ => {}
            }
            false
        });
        let changes_places = |pair: &[Self]| match pair {
            [Self::Wait(one), Self::Wait(other)] => one > other,
            _ => false,
        };
        settles_nothing || schedule.windows(2).any(changes_places)
    }

    fn varied(self, random: &mut Random) -> Self {
        match self {
            Self::Settle(how, _) => Self::Settle(how, below(4, random)),
            Self::Wait(time) => Self::Wait(match below(3, random) {
                0 => whole_ms(time / 4),
                1 => time,
                _ => time + Duration::from_millis(1),
            }),
            // Calls are what most laws are about.
            Self::Panic if below(2, random) == 0 => Self::Acquire,
            step => step,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire => f.write_str("a call asks"),
            Self::Settle(how, 0) => write!(f, "the oldest call {}", how.verb()),
            Self::Settle(how, _) => write!(f, "another call {}", how.verb()),
            Self::Late(how) => {
                write!(f, "a call admitted before the last change of state {}", how.verb())
            }
            Self::Wait(time) => write!(f, "{time:?} pass"),
            Self::Back(time) => write!(f, "the clock goes back by {time:?}"),
            Self::Panic => f.write_str("a call panics"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const MS: Duration = Duration::from_millis(1);
    const LETTERS: [Step; 3] =
        [Step::Acquire, Step::Settle(How::Success, 0), Step::Wait(Duration::from_millis(8))];

    #[test]
    fn every_short_schedule_is_tried_once_and_the_shorter_ones_first() {
        let tried = RefCell::new(Vec::new());
        let checked = explore(Law::NoWedge, &LETTERS, 2, |steps| {
            tried.borrow_mut().push(steps.to_vec());
            Ok(())
        });
        let tried = tried.into_inner();
        assert_eq!(checked.map(|checked| checked.schedules), Ok(tried.len() as u64));
        // Nothing, two letters that find something to do, and their pairs.
        let short: Vec<_> = tried.iter().filter(|steps| steps.len() <= 2).collect();
        assert_eq!(short.len(), 1 + 2 + 5);
        assert!(short.is_sorted_by_key(|steps| steps.len()));
    }

    #[test]
    fn what_breaks_a_law_is_cut_down_to_the_steps_that_are_needed() {
        let check = |steps: &[Step]| {
            let asks = steps.iter().filter(|step| **step == Step::Acquire).count();
            if asks < 7 {
                return Ok(());
            }
            let story = steps.iter().map(Step::to_string).collect();
            Err(Broken { story, ..Broken::default() })
        };
        let violation = explore(Law::NoWedge, &LETTERS, 3, check).expect_err("seven calls ask");
        assert_eq!(violation.story, ["a call asks"; 7]);
    }

    #[test]
    fn two_waits_are_tried_in_one_order_and_parts_of_a_ms_never() {
        let (short, long) = (Step::Wait(MS), Step::Wait(2 * MS));
        assert!(Step::is_idle(&[long, short]) && !Step::is_idle(&[short, long]));
        assert_eq!(whole_ms(MS / 4), MS);
    }
}
