//! Laws 1, 2 and 7: what becomes of probes.

use super::{
    lab::Lab,
    life::{Life, said},
    report::{Broken, Checked, Law, Violation},
    schedule::{How, Step, explore, whole_ms},
    subject::{BreakerUnderTest, Rules},
};
use crate::{CircuitState, testing::ManualClock};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// All schedules of so many steps are tried.
const DEPTH: usize = 5;
const THREADS: usize = 4;
const ROUNDS: u64 = 25;

pub(super) const DOES_NOT_OPEN: &str = "failing calls do not open it";

/// Whether failing calls open it; nothing can be said of its probes otherwise.
pub(super) fn opens<B: BreakerUnderTest>(make: &impl Fn(&ManualClock) -> B, rules: &Rules) -> bool {
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    Life::new(&breaker, &lab).open(rules).is_ok_and(|opened| opened)
}

/// Calls that ask, end in each way, and times that pass.
pub(super) fn letters(rules: &Rules) -> Vec<Step> {
    let mut waits = vec![
        Duration::from_millis(1),
        whole_ms(rules.recovery_timeout / 2),
        rules.first_recovery(),
        rules.lease.unwrap_or_default(),
    ];
    waits.retain(|wait| !wait.is_zero());
    waits.sort();
    waits.dedup();
    let ends = How::ALL.map(|how| Step::Settle(how, 0));
    [Step::Acquire].into_iter().chain(ends).chain(waits.into_iter().map(Step::Wait)).collect()
}

/// Law 1: whatever became of the probes (answered, dropped, hung), a permit is there again within a
/// bounded time, and a callee that is well has the breaker closed.
///
/// # Errors
/// A schedule after which it lets nobody through, or does not close.
pub fn no_wedge<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::NoWedge, DOES_NOT_OPEN));
    }
    never_wedges(&make, rules, DEPTH)
}

/// As [`no_wedge`], in schedules of so many steps.
pub(super) fn never_wedges<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    depth: usize,
) -> Result<Checked, Violation> {
    explore(Law::NoWedge, &letters(rules), depth, |steps| {
        recovers_after(make, rules, steps, Lost::Dropped)?;
        match rules.lease {
            Some(_) => recovers_after(make, rules, steps, Lost::Hung),
            None => Ok(()),
        }
    })
}

/// How the calls that are still out at the end are lost.
#[derive(Clone, Copy, PartialEq)]
enum Lost {
    Dropped,
    Hung,
}

fn recovers_after<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    steps: &[Step],
    lost: Lost,
) -> Result<(), Broken> {
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let mut life = Life::new(&breaker, &lab);
    life.open_and_wait(rules)?;
    life.act_all(steps)?;
    if lost == Lost::Dropped {
        life.drop_all()?;
    }
    let hung = life.in_flight();
    let time = rules.longest_wait();
    if !life.knock(time)? {
        return Err(life.broken(
            &format!("nobody was let through in {time:?}, while {hung} calls hung"),
            "a permit is there again after a recovery timeout or a lease",
        ));
    }
    life.act(Step::Settle(How::Success, usize::MAX))?;
    let successes = rules.successes_to_close;
    if !life.recovers(successes + 1, time)? {
        return Err(life.broken(
            &format!("its callee is well again, and it stays {}", life.state()),
            &format!("{successes} successful probes close it"),
        ));
    }
    Ok(())
}

/// Law 2: half-open, it lets no more probes through at a time than it may; in any schedule, and on
/// threads that ask in one instant. A probe that was let through a lease ago holds no slot.
///
/// # Errors
/// A schedule in which more of them are in flight.
pub fn no_stampede<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::NoStampede, DOES_NOT_OPEN));
    }
    let alone = explore(Law::NoStampede, &letters(rules), DEPTH, |steps| {
        let lab = Lab::new();
        let breaker = make(&lab.clock);
        let mut life = Life::new(&breaker, &lab);
        life.open_and_wait(rules)?;
        for step in steps {
            life.act(*step)?;
            let in_flight = life.probes_in_flight(rules);
            if in_flight > rules.probes as usize {
                return Err(stampede(&life, in_flight, rules));
            }
        }
        Ok(())
    })?;
    for _ in 0..ROUNDS {
        storm(&make, rules).map_err(|broken| broken.of(Law::NoStampede))?;
    }
    Ok(alone.and(Checked::kept(Law::NoStampede, ROUNDS)))
}

fn stampede<B: BreakerUnderTest>(life: &Life<'_, B>, in_flight: usize, rules: &Rules) -> Broken {
    let allowed = format!("{} at a time", rules.probes);
    life.broken(&format!("{in_flight} probes in flight"), &allowed)
}

/// Threads ask in one instant; those that are let through wait for the others.
fn storm<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<(), Broken> {
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let mut life = Life::new(&breaker, &lab);
    life.open_and_wait(rules)?;
    let (start, end) = (Barrier::new(THREADS), Barrier::new(THREADS));
    let admitted = AtomicU32::new(0);
    let ask = || {
        let _here = lab.enter();
        start.wait();
        // Caught, so that the others do not wait for ever.
        let permit = catch_unwind(AssertUnwindSafe(|| breaker.acquire()));
        if let Ok(Some(_)) = &permit {
            admitted.fetch_add(1, SeqCst);
        }
        end.wait();
        permit.map(drop).map_err(|payload| said(&*payload).to_owned())
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for outcome in outcomes {
        let panicked = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(said)) => said,
            Err(payload) => said(&*payload).to_owned(),
        };
        return Err(life.broken(&format!("the breaker panics: {panicked}"), "it panics never"));
    }
    let admitted = admitted.into_inner();
    if admitted > rules.probes {
        let mut broken = stampede(&life, admitted as usize, rules);
        broken.story.push(format!("{THREADS} threads ask at once: {admitted} let through"));
        return Err(broken);
    }
    Ok(())
}

/// Law 7: a probe that is cancelled leaves as many permits as there were: dropped half-open, each is
/// there for another call at once.
///
/// # Errors
/// A schedule after which fewer probes are let through than could be.
pub fn permits_conserved<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if !opens(&make, rules) {
        return Ok(Checked::not_asked(Law::PermitsConserved, DOES_NOT_OPEN));
    }
    explore(Law::PermitsConserved, &letters(rules), DEPTH, |steps| {
        let lab = Lab::new();
        let breaker = make(&lab.clock);
        let mut life = Life::new(&breaker, &lab);
        life.open_and_wait(rules)?;
        let mut answered = 0;
        for step in steps {
            let before = life.in_flight();
            let seen = life.act(*step)?;
            answered = match step {
                _ if seen.state != CircuitState::HalfOpen => 0,
                Step::Settle(How::Success | How::Failure, _) if life.in_flight() < before => {
                    answered + 1
                }
                _ => answered,
            };
        }
        life.drop_all()?;
        if life.state() != CircuitState::HalfOpen {
            return Ok(());
        }
        // Some breakers let as many through in all as are needed for a verdict.
        let least = rules.probes.saturating_sub(answered).max(1);
        for there in 0..least {
            if life.act(Step::Acquire)?.admitted != Some(true) {
                return Err(life.broken(
                    &format!("permits left: {there}, though no call is out"),
                    &format!("{least} at a time, since a call that is dropped gives its own back"),
                ));
            }
        }
        Ok(())
    })
}
