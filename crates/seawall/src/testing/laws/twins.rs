//! Laws 3 and 16: two lives are led side by side, and nothing may tell them apart.

use super::{
    lab::Lab,
    life::{Life, Seen},
    probes::{DOES_NOT_OPEN, opens},
    report::{Broken, Checked, Law, Violation},
    schedule::{How, Step, explore, explore_where},
    subject::{BreakerUnderTest, Rules},
};
use crate::testing::ManualClock;

const DEPTH: usize = 4;

/// Leads a life, and gives what was seen of it, and its story should it not do.
fn live<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    lead: impl FnOnce(&mut Life<'_, B>) -> Result<(), Broken>,
) -> Result<(Vec<Seen>, Broken), Broken> {
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let mut life = Life::new(&breaker, &lab);
    lead(&mut life)?;
    Ok((life.observations(), life.broken("", "")))
}

/// Brings out what cannot be seen: how many failures open it, and whether a success closes it then.
fn show<B: BreakerUnderTest>(life: &mut Life<'_, B>, rules: &Rules) -> Result<(), Broken> {
    for _ in 0..=rules.trip.failures() {
        life.calls(1, How::Failure)?;
    }
    life.act(Step::Wait(rules.longest_wait()))?;
    life.calls(1, How::Success).map(drop)
}

/// Law 3: a call that was admitted before a change of state changes nothing after it, however it
/// ends: all that follows is as if it still went on.
///
/// Where the open time is spread, chance has to come from [`Random::new`](crate::Random::new), or
/// from a seed: two runs of one schedule are compared.
///
/// # Errors
/// A schedule in which such a call made a difference.
pub fn no_stale_result<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::NoStaleResult, DOES_NOT_OPEN));
    }
    let mut letters = vec![Step::Acquire];
    letters.extend(How::ALL.map(Step::Late));
    letters.extend(How::ALL.map(|how| Step::Settle(how, 0)));
    letters.push(Step::Wait(rules.first_recovery()));
    let is_asked = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::Late(_)));
    explore_where(Law::NoStaleResult, &letters, DEPTH, is_asked, |steps| {
        [false, true].into_iter().try_for_each(|wait| stale_is_dropped(&make, rules, steps, wait))
    })
}

fn stale_is_dropped<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    steps: &[Step],
    wait: bool,
) -> Result<(), Broken> {
    let lead = |life: &mut Life<'_, B>| {
        life.act_all(&[Step::Acquire, Step::Acquire])?;
        life.open(rules)?;
        if wait {
            life.act(Step::Wait(rules.first_recovery()))?;
        }
        life.act_all(steps)?;
        show(life, rules)
    };
    let (went_on, _) = live(make, |life| {
        life.keep_stale();
        lead(life)
    })?;
    let (ended, told) = live(make, lead)?;
    match difference(&ended, &went_on) {
        None => Ok(()),
        Some((seen, allowed)) => Err(Broken {
            seen,
            allowed: format!("{allowed}, as if the late call still went on"),
            ..told
        }),
    }
}

/// Where two lives first differ, in words.
fn difference(one: &[Seen], other: &[Seen]) -> Option<(String, String)> {
    let (one, other) = one.iter().zip(other).find(|(one, other)| one != other)?;
    Some((words(one), words(other)))
}

fn words(seen: &Seen) -> String {
    match seen.admitted {
        Some(true) => format!("{} with a call let through", seen.state),
        Some(false) => format!("{} with a call rejected", seen.state),
        None => seen.state.to_string(),
    }
}

/// Law 16: a panic of the operation is a failure and passes on; a permit that a panic drops is worth
/// what a permit dropped otherwise is, or a failure, and is not lost.
///
/// # Errors
/// A schedule in which a panic is something else.
pub fn panics<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::Panics, DOES_NOT_OPEN));
    }
    let mut letters = vec![Step::Acquire];
    letters.extend(How::ALL.map(|how| Step::Settle(how, 0)));
    letters.push(Step::Wait(rules.first_recovery()));
    let unwound = explore(Law::Panics, &letters, DEPTH - 1, |steps| {
        [false, true].into_iter().try_for_each(|open| unwinds(&make, rules, steps, open))
    })?;
    if !has_a_way_to_run(&make) {
        return Ok(unwound);
    }
    letters.push(Step::Panic);
    let is_asked = |steps: &[Step]| steps.contains(&Step::Panic);
    let run = explore_where(Law::Panics, &letters, DEPTH, is_asked, |steps| {
        fails_by_panic(&make, rules, steps)
    })?;
    Ok(unwound.and(run))
}

fn has_a_way_to_run<B: BreakerUnderTest>(make: &impl Fn(&ManualClock) -> B) -> bool {
    let lab = Lab::new();
    make(&lab.clock).run(|| {}).is_some()
}

fn unwinds<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    steps: &[Step],
    open: bool,
) -> Result<(), Broken> {
    let lead = |life: &mut Life<'_, B>, how: Option<How>| {
        if open {
            life.open_and_wait(rules)?;
        }
        life.act_all(steps)?;
        match how {
            Some(how) => life.calls(1, how)?,
            None => life.call_unwound()?,
        };
        show(life, rules)
    };
    let (unwound, told) = live(make, |life| lead(life, None))?;
    let (dropped, _) = live(make, |life| lead(life, Some(How::Drop)))?;
    if unwound == dropped {
        return Ok(());
    }
    let (failed, _) = live(make, |life| lead(life, Some(How::Failure)))?;
    match (difference(&unwound, &failed), difference(&unwound, &dropped)) {
        (Some((seen, _)), Some((_, allowed))) => Err(Broken {
            seen,
            allowed: format!("{allowed}, as if the call had been dropped (or as if it had failed)"),
            ..told
        }),
        _ => Ok(()),
    }
}

fn fails_by_panic<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    steps: &[Step],
) -> Result<(), Broken> {
    let (panicked, told) = live(make, |life| {
        life.act_all(steps)?;
        show(life, rules)
    })?;
    let (failed, _) = live(make, |life| {
        for step in steps {
            match step {
                Step::Panic => life.calls(1, How::Failure)?,
                step => life.act(*step)?,
            };
        }
        show(life, rules)
    })?;
    match difference(&panicked, &failed) {
        None => Ok(()),
        Some((seen, allowed)) => {
            let allowed = format!("{allowed}, as if the call had failed");
            Err(Broken { seen, allowed, ..told })
        }
    }
}
