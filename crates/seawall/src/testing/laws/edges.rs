//! Law 11: thresholds at their edges, and clocks that go back, jump and stop.

use super::{
    lab::Lab,
    life::Life,
    probes::{DOES_NOT_OPEN, never_wedges, opens},
    report::{Broken, Checked, Law, Violation},
    schedule::{How, Step, explore, whole_ms},
    subject::{BreakerUnderTest, Rules, Trip},
};
use crate::{CircuitState, testing::ManualClock};
use std::time::Duration;

/// Law 11, first half: it opens by the very call that its trip rule names, lets a probe through when
/// its open time is over and not before, and closes by the last success, or opens by the last failure,
/// that it needs.
///
/// # Errors
/// A schedule after which it opens, probes or closes too early or too late.
pub fn edges<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    let tried = opens_as_told(&make, rules)
        .and_then(|tried| {
            probes_in_time(&make, rules)?;
            closes_by_the_last(&make, rules)?;
            Ok(tried + 2)
        })
        .map_err(|broken| broken.of(Law::Edges))?;
    Ok(Checked::kept(Law::Edges, tried))
}

/// Every row of outcomes that comes near the edge, against the rule itself. The clock stands still.
fn opens_as_told<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<u64, Broken> {
    /// So many outcomes are tried in all ways.
    const TAIL: u32 = 7;
    let mut tried = 0;
    for before in befores(rules) {
        for tail in 0..1_u32 << TAIL {
            let mut failed = before.clone();
            // Failures first, so that the shortest story is found first.
            failed.extend((0..TAIL).rev().map(|n| tail >> n & 1 == 0));
            tried += 1;
            let lab = Lab::new();
            let breaker = make(&lab.clock);
            let mut life = Life::new(&breaker, &lab);
            for last in 1..=failed.len() {
                let how = if failed[last - 1] { How::Failure } else { How::Success };
                let closed = life.calls(1, how)?.state == CircuitState::Closed;
                let opens = rules.trip.opens(&failed[..last]);
                if closed == opens {
                    let allowed = if opens { "open by this call" } else { "closed" };
                    let allowed = format!("{allowed}: it {}", rules.trip);
                    return Err(life.broken(&format!("it is {}", life.state()), &allowed));
                }
                if opens {
                    break;
                }
            }
        }
    }
    Ok(tried)
}

/// What comes before the edge: failures, successes, both by turns, and a window full of successes.
fn befores(rules: &Rules) -> Vec<Vec<bool>> {
    let near = (rules.trip.failures() as usize).saturating_sub(3);
    let mut befores =
        vec![vec![true; near], vec![false; near], (0..near).map(|n| n % 2 == 0).collect()];
    if let Trip::Rate { over_calls: Some(calls), .. } = rules.trip {
        befores.push(vec![false; calls as usize]);
    }
    befores.dedup();
    befores
}

/// Open until the recovery timeout, the first time and after a failed probe; not much longer.
fn probes_in_time<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<(), Broken> {
    let moment = Duration::from_millis(1);
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let mut life = Life::new(&breaker, &lab);
    if !life.open(rules)? {
        return Err(life.broken(&format!("it is {}", life.state()), "open"));
    }
    for latest in [rules.first_recovery(), rules.longest_recovery.max(rules.first_recovery())] {
        let early = rules.recovery_timeout.saturating_sub(moment);
        if early > Duration::ZERO {
            life.act(Step::Wait(early))?;
            if life.act(Step::Acquire)?.admitted == Some(true) {
                let allowed = format!("the first after {:?}", rules.recovery_timeout);
                return Err(life.broken(&format!("a probe after {early:?}"), &allowed));
            }
        }
        life.act(Step::Wait(latest - early))?;
        if life.act(Step::Acquire)?.admitted != Some(true) {
            let allowed = format!("one after {latest:?} at the latest");
            return Err(life.broken(&format!("no probe after {latest:?}"), &allowed));
        }
        life.act(Step::Settle(How::Failure, 0))?;
        reopens_by_the_last(&mut life, rules)?;
    }
    Ok(())
}

/// As many failed probes as open it again, and not one fewer. The first has failed.
fn reopens_by_the_last<B: BreakerUnderTest>(
    life: &mut Life<'_, B>,
    rules: &Rules,
) -> Result<(), Broken> {
    for failure in 1..=rules.failures_to_reopen {
        if failure > 1 {
            life.calls(1, How::Failure)?;
        }
        if (life.state() == CircuitState::Open) != (failure == rules.failures_to_reopen) {
            return Err(life.broken(
                &format!("it is {} after {failure} failed probes", life.state()),
                &format!("{} of them open it again", rules.failures_to_reopen),
            ));
        }
    }
    Ok(())
}

/// As many successes as it needs, and not one fewer.
fn closes_by_the_last<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<(), Broken> {
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let mut life = Life::new(&breaker, &lab);
    life.open_and_wait(rules)?;
    for success in 1..=rules.successes_to_close {
        let closed = life.calls(1, How::Success)?.state == CircuitState::Closed;
        if closed != (success == rules.successes_to_close) {
            return Err(life.broken(
                &format!("it is {} after {success} successful probes", life.state()),
                &format!("{} of them close it", rules.successes_to_close),
            ));
        }
    }
    Ok(())
}

/// Law 11, second half: whatever the clock did (it may go back, jump, stand still), failing calls open
/// it, and a callee that is well has it closed within twelve times the longest wait, twice over.
///
/// # Errors
/// A schedule after which it does not open, or does not recover.
pub fn clocks<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    /// Depths for a breaker that is open already, and one that is not.
    const DEPTHS: [(bool, usize); 2] = [(true, 4), (false, 3)];
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::Clocks, DOES_NOT_OPEN));
    }
    if never_wedges(&make, rules, 3).is_err() {
        return Ok(Checked::not_asked(
            Law::Clocks,
            "it is wedged where the clock is right as well",
        ));
    }
    let mut checked = Checked::kept(Law::Clocks, 0);
    for (open, depth) in DEPTHS {
        checked = checked.and(explore(Law::Clocks, &clock_letters(rules), depth, |steps| {
            survives(&make, rules, steps, open)
        })?);
    }
    Ok(checked)
}

const HOUR: Duration = Duration::from_secs(3600);
/// Far enough for a count of ms to come round, in some.
const FAR: Duration = Duration::from_secs(13 * 24 * 3600);

fn clock_letters(rules: &Rules) -> Vec<Step> {
    let mut letters = vec![Step::Acquire];
    letters.extend(How::ALL.map(|how| Step::Settle(how, 0)));
    letters.extend([rules.first_recovery(), FAR].map(Step::Wait));
    letters.extend([whole_ms(rules.recovery_timeout / 2), HOUR, 4 * 24 * HOUR].map(Step::Back));
    letters
}

fn survives<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    steps: &[Step],
    open: bool,
) -> Result<(), Broken> {
    const ROUNDS: u32 = 12;
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let mut life = Life::new(&breaker, &lab);
    if open {
        life.open(rules)?;
    }
    life.act_all(steps)?;
    if life.state() == CircuitState::Closed {
        if !life.open(rules)? {
            return Err(life.broken("it stays closed", "failing calls open it"));
        }
        life.act(Step::Back(HOUR))?;
    }
    if rules.lease.is_none() {
        life.drop_all()?;
    }
    let time = 2 * rules.longest_wait();
    if !life.recovers(ROUNDS + rules.successes_to_close, time)? {
        let hung = life.in_flight();
        return Err(life.broken(
            &format!("its callee is well, it stays {}, while {hung} calls hang", life.state()),
            &format!("it recovers within a few times {time:?}, whatever the clock did"),
        ));
    }
    Ok(())
}
