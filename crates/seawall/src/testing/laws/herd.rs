//! Law 15: no herd.

use super::{
    lab::Lab,
    probes::{DOES_NOT_OPEN, opens},
    report::{Broken, Checked, Law, Violation},
    subject::{BreakerUnderTest, Rules},
};
use crate::{
    CircuitState,
    testing::{ManualClock, Scope, Seed},
};
use std::time::Duration;

const FLEET: usize = 50;
const SEEDS: u64 = 4;

/// Law 15: of fifty breakers that opened in one instant no more than half begin to probe within one
/// tenth of the time that they are spread over, and none outside it.
///
/// # Errors
/// How many probed together, or when one probed that should not.
pub fn no_herd<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if rules.spread <= 0.0 {
        return Ok(Checked::not_asked(Law::NoHerd, "its open time is not spread"));
    }
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::NoHerd, DOES_NOT_OPEN));
    }
    for seed in 0..SEEDS {
        is_spread(&make, rules, seed).map_err(|broken| broken.of(Law::NoHerd))?;
    }
    Ok(Checked::kept(Law::NoHerd, SEEDS))
}

fn is_spread<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    seed: u64,
) -> Result<(), Broken> {
    let lab = Lab::new();
    let _chance = Scope::new(Seed::new(seed * 1000)).enter();
    let mut waiting: Vec<B> = (0..FLEET).map(|_| make(&lab.clock)).collect();
    for breaker in &waiting {
        let mut calls = 0;
        while breaker.state() == CircuitState::Closed && calls < rules.trip.plenty() {
            calls += 1;
            if let Some(permit) = breaker.acquire() {
                breaker.failure(permit);
            }
        }
    }
    let story = vec![format!("{FLEET} breakers open in one instant")];
    let told = |seen: String, allowed: String| Broken { story: story.clone(), seen, allowed };
    let probing = |waiting: &mut Vec<B>| {
        waiting.iter().for_each(|breaker| breaker.clock_moved(&lab.clock));
        let before = waiting.len();
        waiting.retain(|breaker| breaker.acquire().is_none());
        before - waiting.len()
    };
    let moment = Duration::from_millis(1);
    lab.clock.advance(rules.recovery_timeout.saturating_sub(moment));
    match probing(&mut waiting) {
        0 => {}
        early => {
            let after = rules.recovery_timeout;
            return Err(told(format!("{early} probe before {after:?}"), "none".to_owned()));
        }
    }
    lab.clock.advance(moment);
    let width = rules.first_recovery().saturating_sub(rules.recovery_timeout);
    let mut by_tenth = Vec::new();
    for tenth in 0..=10 {
        by_tenth.push(probing(&mut waiting));
        if tenth < 10 {
            lab.clock.advance(width / 10);
        }
    }
    // Parts of a division.
    lab.clock.advance(moment);
    probing(&mut waiting);
    let most = by_tenth.iter().max().copied().unwrap_or_default();
    if most > FLEET / 2 {
        let seen = format!("{most} of them probe within {:?}", width / 10);
        return Err(told(seen, format!("{} at most", FLEET / 2)));
    }
    match waiting.len() {
        0 => Ok(()),
        late => {
            let seen = format!("{late} have not probed after {:?}", rules.first_recovery());
            Err(told(seen, "none".to_owned()))
        }
    }
}
