//! Law 4: one event per transition, in order.

use super::{
    lab::Lab,
    life::{Life, OnPurpose},
    probes::letters,
    report::{Broken, Checked, Law, Violation},
    schedule::{below, explore},
    subject::{BreakerUnderTest, Rules},
};
use crate::{CircuitState, random::Random, testing::ManualClock};
use std::{
    panic::resume_unwind,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

const DEPTH: usize = 4;
const THREADS: u64 = 3;
const ROUNDS: u64 = 20;
const SLOW_ROUNDS: u64 = 4;

/// What was told, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(CircuitState, CircuitState)>>>);

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<(CircuitState, CircuitState)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it hear `breaker`, panicking each time if it `panics`; false if nothing is told.
    fn hear<B: BreakerUnderTest>(&self, breaker: &B, panics: bool) -> bool {
        let log = self.clone();
        breaker.on_transition(Box::new(move |from, to| {
            log.lock().push((from, to));
            if panics {
                // Past the panic hook: this panic is no news.
                resume_unwind(Box::new(OnPurpose));
            }
        }))
    }

    /// What is wrong with it, for a breaker that began closed and is in `state` now.
    fn fault(&self, state: CircuitState) -> Option<(String, String)> {
        let mut at = CircuitState::Closed;
        for (from, to) in self.lock().iter() {
            if *from != at {
                let told = format!("told of {from} to {to} while it was {at}");
                return Some((told, format!("a transition from {at}, and each one once")));
            }
            at = *to;
        }
        (at != state).then(|| {
            (format!("it is {state}, and what was told ends {at}"), "each change is told".into())
        })
    }
}

/// Law 4: each change of state is told once, and in order, also where many threads change it, where
/// the one who is told takes a while, and where he panics.
///
/// # Errors
/// A schedule after which what was told is not what happened.
pub fn one_event<B: BreakerUnderTest>(
    make: impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<Checked, Violation> {
    if !tells(&make) {
        return Ok(Checked::not_asked(Law::OneEvent, "it tells of no transition"));
    }
    let alone = explore(Law::OneEvent, &letters(rules), DEPTH, |steps| {
        [false, true].into_iter().try_for_each(|panics| {
            let lab = Lab::new();
            let breaker = make(&lab.clock);
            let log = Log::default();
            log.hear(&breaker, panics);
            let mut life = Life::new(&breaker, &lab);
            life.open_and_wait(rules)?;
            for step in steps {
                life.act(*step)?;
                if let Some((seen, allowed)) = log.fault(life.state()) {
                    return Err(life.broken(&seen, &allowed));
                }
            }
            Ok(())
        })
    })?;
    for seed in 0..ROUNDS {
        by_threads(&make, rules, seed).map_err(|broken| broken.of(Law::OneEvent))?;
    }
    for _ in 0..SLOW_ROUNDS {
        to_one_who_is_slow(&make, rules).map_err(|broken| broken.of(Law::OneEvent))?;
    }
    Ok(alone.and(Checked::kept(Law::OneEvent, ROUNDS + SLOW_ROUNDS)))
}

fn tells<B: BreakerUnderTest>(make: &impl Fn(&ManualClock) -> B) -> bool {
    let lab = Lab::new();
    Log::default().hear(&make(&lab.clock), false)
}

/// Threads that call at random, fail mostly, and move the clock.
fn by_threads<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
    seed: u64,
) -> Result<(), Broken> {
    const CALLS: usize = 60;
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let log = Log::default();
    log.hear(&breaker, false);
    let call_on = |mut random: Random| {
        let _here = lab.enter();
        for _ in 0..CALLS {
            let permit = breaker.acquire();
            match (permit, below(8, &mut random)) {
                (Some(permit), 0) => breaker.success(permit),
                (Some(permit), 1) => drop(permit),
                (Some(permit), _) => breaker.failure(permit),
                (None, _) => {
                    lab.clock.advance(rules.recovery_timeout / 4);
                    breaker.clock_moved(&lab.clock);
                }
            }
        }
    };
    let panicked = thread::scope(|scope| {
        let start = |n| scope.spawn(move || call_on(Random::seeded(seed * THREADS + n)));
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().filter_map(|thread| thread.join().err()).count()
    });
    let story = vec![format!("{THREADS} threads make {CALLS} calls each, at random")];
    let (seen, allowed) = match log.fault(breaker.state()) {
        _ if panicked > 0 => (format!("{panicked} threads panicked"), "no panic".to_owned()),
        Some(fault) => fault,
        None => return Ok(()),
    };
    Err(Broken { story, seen, allowed })
}

/// One who is told that it opened takes until a probe of another thread has been let through and has
/// answered, or for a while: some hold a lock meanwhile, and let nobody through.
fn to_one_who_is_slow<B: BreakerUnderTest>(
    make: &impl Fn(&ManualClock) -> B,
    rules: &Rules,
) -> Result<(), Broken> {
    const A_WHILE: u32 = 20_000;
    let lab = Lab::new();
    let breaker = make(&lab.clock);
    let log = Log::default();
    let [told, answered] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let wait_for = |flag: &AtomicBool| {
        for _ in 0..A_WHILE {
            if flag.load(SeqCst) {
                return;
            }
            thread::yield_now();
        }
    };
    let (hears, is_told, has_answered) = (log.clone(), told.clone(), answered.clone());
    breaker.on_transition(Box::new(move |from, to| {
        if !is_told.swap(true, SeqCst) {
            wait_for(&has_answered);
        }
        hears.lock().push((from, to));
    }));
    let probe = || {
        let _here = lab.enter();
        wait_for(&told);
        lab.clock.advance(rules.first_recovery());
        breaker.clock_moved(&lab.clock);
        if let Some(permit) = breaker.acquire() {
            breaker.success(permit);
        }
        answered.store(true, SeqCst);
    };
    thread::scope(|scope| {
        scope.spawn(probe);
        for _ in 0..rules.trip.plenty() {
            match breaker.acquire() {
                Some(permit) if breaker.state() == CircuitState::Closed => breaker.failure(permit),
                _ => break,
            }
        }
    });
    match log.fault(breaker.state()) {
        None => Ok(()),
        Some((seen, allowed)) => {
            let story = vec![
                "calls fail -> open".to_owned(),
                "before who is told of that is done, a probe of another thread succeeds".to_owned(),
            ];
            Err(Broken { story, seen, allowed })
        }
    }
}
