//! One breaker under one schedule: does the steps, and keeps the story.

use super::{
    lab::Lab,
    report::Broken,
    schedule::{How, Step},
    subject::{BreakerUnderTest, Rules},
};
use crate::{CircuitState, testing::ManualClock};
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

/// What can be seen after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether a call was let through, where one asked.
    pub(super) admitted: Option<bool>,
    pub(super) state: CircuitState,
}

struct Held<P> {
    permit: P,
    /// How many changes of state had been seen when it was admitted.
    epoch: u64,
    /// When it was admitted, if it is a probe.
    probe_since: Option<Duration>,
}

/// A breaker, what is held of it, and how it came to that.
pub(super) struct Life<'a, B: BreakerUnderTest> {
    breaker: &'a B,
    clock: &'a ManualClock,
    held: Vec<Held<B::Permit<'a>>>,
    /// Stale permits that are kept back, in a life that others are compared with.
    kept_back: Option<Vec<B::Permit<'a>>>,
    epoch: u64,
    state: CircuitState,
    story: Vec<(What, Seen)>,
}

/// A line of the story.
#[derive(Clone, Copy)]
enum What {
    Step(Step),
    Calls(u32, How),
    Knocks(u32, Duration),
    Unwound,
}

impl<'a, B: BreakerUnderTest> Life<'a, B> {
    pub(super) fn new(breaker: &'a B, lab: &'a Lab) -> Self {
        breaker.clock_moved(&lab.clock);
        Self {
            breaker,
            clock: &lab.clock,
            held: Vec::new(),
            kept_back: None,
            epoch: 0,
            state: breaker.state(),
            story: Vec::new(),
        }
    }

    /// From now on nothing becomes of stale permits: they are kept, as if their calls went on.
    pub(super) fn keep_stale(&mut self) {
        self.kept_back = Some(Vec::new());
    }

    pub(super) fn state(&self) -> CircuitState {
        self.state
    }

    /// Does one step.
    pub(super) fn act(&mut self, step: Step) -> Result<Seen, Broken> {
        let before = self.clock.now();
        let admitted = match step {
            Step::Acquire => Some(self.acquire()?),
            Step::Settle(how, nth) => {
                let current = self.current();
                if let Some(at) = current.get(nth.min(current.len().saturating_sub(1))) {
                    let permit = self.held.remove(*at).permit;
                    self.settle(permit, how, What::Step(step))?;
                }
                None
            }
            Step::Late(how) => {
                let stale = self.held.iter().position(|held| held.epoch != self.epoch);
                if let Some(at) = stale {
                    let permit = self.held.remove(at).permit;
                    match &mut self.kept_back {
                        Some(kept) => kept.push(permit),
                        None => self.settle(permit, how, What::Step(step))?,
                    }
                }
                None
            }
            Step::Wait(time) => {
                self.clock.advance(time);
                None
            }
            Step::Back(time) => {
                self.clock.go_back(time);
                None
            }
            Step::Panic => self.panicking_call()?,
        };
        if self.clock.now() != before {
            self.breaker.clock_moved(self.clock);
        }
        self.see(What::Step(step), admitted)
    }

    /// Does all of them.
    pub(super) fn act_all(&mut self, steps: &[Step]) -> Result<(), Broken> {
        steps.iter().try_for_each(|step| self.act(*step).map(drop))
    }

    /// Lets time go on without a word in the story, as a part of what is told by
    /// [`knock`](Self::knock).
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.breaker.clock_moved(self.clock);
    }

    /// Whether a call was let through; its permit is held then.
    fn acquire(&mut self) -> Result<bool, Broken> {
        self.acquire_as(What::Step(Step::Acquire))
    }

    /// As a part of `what`, should it panic.
    fn acquire_as(&mut self, what: What) -> Result<bool, Broken> {
        let breaker = self.breaker;
        let permit = self.guarded(what, || breaker.acquire())?;
        let admitted = permit.is_some();
        self.look();
        if let Some(permit) = permit {
            let probes = self.state != CircuitState::Closed;
            let probe_since = probes.then(|| self.clock.now());
            self.held.push(Held { permit, epoch: self.epoch, probe_since });
        }
        Ok(admitted)
    }

    fn settle(&mut self, permit: B::Permit<'a>, how: How, what: What) -> Result<(), Broken> {
        let breaker = self.breaker;
        self.guarded(what, || match how {
            How::Success => breaker.success(permit),
            How::Failure => breaker.failure(permit),
            How::Drop => drop(permit),
        })
    }

    /// Where the permits of the current epoch are, the oldest first.
    fn current(&self) -> Vec<usize> {
        (0..self.held.len()).filter(|at| self.held[*at].epoch == self.epoch).collect()
    }

    /// Calls that begin and end at once, in one line; until one of them changes the state.
    pub(super) fn calls(&mut self, count: u32, how: How) -> Result<Seen, Broken> {
        let mut admitted = None;
        let (epoch, mut made) = (self.epoch, 0);
        while made < count && self.epoch == epoch {
            made += 1;
            let what = What::Calls(made, how);
            let let_through = self.acquire_as(what)?;
            admitted = Some(let_through);
            if let Some(held) = if let_through { self.held.pop() } else { None } {
                self.settle(held.permit, how, what)?;
            }
            self.look();
        }
        self.see(What::Calls(made, how), admitted)
    }

    /// One call dropped by a panic that goes through its caller.
    pub(super) fn call_unwound(&mut self) -> Result<Seen, Broken> {
        let admitted = self.acquire()?;
        if let Some(held) = if admitted { self.held.pop() } else { None } {
            let unwound = catch_unwind(AssertUnwindSafe(move || {
                let _permit = held.permit;
                // Past the panic hook: this panic is no news.
                resume_unwind(Box::new(OnPurpose));
            }));
            drop(unwound);
        }
        self.see(What::Unwound, Some(admitted))
    }

    /// By the breaker's own way to run, where the panic must come out again.
    fn panicking_call(&mut self) -> Result<Option<bool>, Broken> {
        let breaker = self.breaker;
        let operation = || resume_unwind(Box::new(OnPurpose));
        match catch_unwind(AssertUnwindSafe(|| breaker.run(operation))) {
            Ok(Some(true)) => {
                let told = (What::Step(Step::Panic), self.seen(Some(true)));
                self.story.push(told);
                Err(self.broken("no panic came out of that call", "it passes on to the caller"))
            }
            Ok(let_through) => Ok(let_through),
            Err(payload) if payload.is::<OnPurpose>() => Ok(Some(true)),
            Err(payload) => Err(self.panicked(What::Step(Step::Panic), &*payload)),
        }
    }

    /// Opens it by failing calls; false if it stays closed.
    pub(super) fn open(&mut self, rules: &Rules) -> Result<bool, Broken> {
        self.calls(rules.trip.plenty(), How::Failure)?;
        Ok(self.state == CircuitState::Open)
    }

    /// Opens it, and lets the open time pass.
    pub(super) fn open_and_wait(&mut self, rules: &Rules) -> Result<bool, Broken> {
        let opened = self.open(rules)?;
        self.act(Step::Wait(rules.first_recovery()))?;
        Ok(opened)
    }

    /// Asks again and again over `time`; true as soon as a call is let through.
    pub(super) fn knock(&mut self, time: Duration) -> Result<bool, Broken> {
        const KNOCKS: u32 = 16;
        let (mut knocks, mut admitted) = (1, self.acquire()?);
        while !admitted && knocks <= KNOCKS {
            self.pass(time / KNOCKS);
            knocks += 1;
            admitted = self.acquire()?;
        }
        self.see(What::Knocks(knocks, time / KNOCKS * (knocks - 1)), Some(admitted))?;
        Ok(admitted)
    }

    /// The callee is well: knocks and succeeds until it is closed. False if that took more than
    /// `rounds`, each of up to `time`.
    pub(super) fn recovers(&mut self, rounds: u32, time: Duration) -> Result<bool, Broken> {
        for _ in 0..rounds {
            if self.state == CircuitState::Closed {
                break;
            }
            if !self.knock(time)? {
                return Ok(false);
            }
            self.act(Step::Settle(How::Success, usize::MAX))?;
        }
        Ok(self.state == CircuitState::Closed)
    }

    /// Every call that is out is dropped.
    pub(super) fn drop_all(&mut self) -> Result<(), Broken> {
        let what = What::Step(Step::Settle(How::Drop, 0));
        while let Some(held) = self.held.pop() {
            self.settle(held.permit, How::Drop, what)?;
            self.see(what, None)?;
        }
        Ok(())
    }

    /// Probes in flight by what can be seen: admitted half-open, since the last change of state, and
    /// not for as long as a lease.
    pub(super) fn probes_in_flight(&self, rules: &Rules) -> usize {
        let now = self.clock.now();
        let holds_a_slot = |held: &&Held<B::Permit<'a>>| {
            let leased =
                |since: Duration| rules.lease.is_none_or(|lease| now.saturating_sub(since) < lease);
            held.epoch == self.epoch && held.probe_since.is_some_and(leased)
        };
        self.held.iter().filter(holds_a_slot).count()
    }

    /// How many calls are out, of whatever age.
    pub(super) fn in_flight(&self) -> usize {
        self.held.len()
    }

    /// What was seen, step by step.
    pub(super) fn observations(&self) -> Vec<Seen> {
        self.story.iter().map(|(_, seen)| *seen).collect()
    }

    fn seen(&self, admitted: Option<bool>) -> Seen {
        Seen { admitted, state: self.state }
    }

    fn see(&mut self, what: What, admitted: Option<bool>) -> Result<Seen, Broken> {
        self.look();
        let seen = self.seen(admitted);
        self.story.push((what, seen));
        Ok(seen)
    }

    /// Each change of state begins an epoch.
    fn look(&mut self) {
        let state = self.breaker.state();
        if state != self.state {
            self.state = state;
            self.epoch += 1;
        }
    }

    /// Does what a breaker must never panic in.
    fn guarded<R>(&mut self, what: What, act: impl FnOnce() -> R) -> Result<R, Broken> {
        catch_unwind(AssertUnwindSafe(act)).map_err(|payload| self.panicked(what, &*payload))
    }

    fn panicked(&mut self, what: What, payload: &(dyn Any + Send)) -> Broken {
        self.look();
        let told = (what, self.seen(None));
        self.story.push(told);
        if payload.is::<OnPurpose>() {
            let seen = "the panic of one who was told comes out of the breaker";
            return self.broken(seen, "whoever calls hears nothing of it");
        }
        let said = said(payload);
        self.broken(&format!("the breaker panics: {said}"), "it panics never")
    }

    /// The story so far, as that of a broken law.
    pub(super) fn broken(&self, seen: &str, allowed: &str) -> Broken {
        let mut lines: Vec<(What, Seen)> = Vec::new();
        for (what, seen) in &self.story {
            match (lines.last_mut(), what) {
                // Like calls with like ends are told together.
                (Some((What::Calls(made, how), before)), What::Calls(more, again))
                    if how == again && before == seen =>
                {
                    *made += more;
                }
                _ => lines.push((*what, *seen)),
            }
        }
        Broken {
            story: lines.iter().map(|(what, seen)| format!("{what}{seen}")).collect(),
            seen: seen.to_owned(),
            allowed: allowed.to_owned(),
        }
    }
}

/// The payload of a panic that the kit made.
pub(super) struct OnPurpose;

/// What a panic said.
pub(super) fn said(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => step.fmt(f),
            Self::Calls(1, how) => write!(f, "a call {}", how.verb()),
            Self::Calls(count, how) => {
                let verb = match how {
                    How::Success => "succeed",
                    How::Failure => "fail",
                    How::Drop => "are dropped",
                };
                write!(f, "{count} calls {verb}")
            }
            Self::Knocks(1, _) => f.write_str("a call asks"),
            Self::Knocks(knocks, time) => write!(f, "calls ask {knocks} times over {time:?}"),
            Self::Unwound => f.write_str("a panic drops a call's permit"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.admitted {
            Some(true) => f.write_str(": let through")?,
            Some(false) => f.write_str(": rejected")?,
            None => {}
        }
        write!(f, " -> {}", self.state)
    }
}
