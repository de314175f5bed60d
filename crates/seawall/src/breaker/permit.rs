//! DRIVE: the swap around the decision, and leave to make one call.

use super::{
    CircuitState, Mode, Transition, TransitionCause,
    held::{Held, HeldWindow},
    history::History,
    succession::Heir,
    window::{Outcome, Window},
    word::{Answer, Input, Rules, Step, Word},
};
#[cfg(feature = "foreign")]
use crate::foreign::Leave;
use crate::{
    error::CircuitBreakerOpenError,
    event::Event,
    random::Random,
    scope::{self, BreakerMock},
    setting::Name,
    sync::{AtomicU64, Ordering, Padded, const_unless_loom, fence},
    time::{Moment, Tick},
    verdict::Verdict,
};
use std::{cell::Cell, fmt, sync::atomic::AtomicBool, time::Duration};

/// A breaker without its classifier: state, window, history.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) word: Padded<AtomicU64>,
    pub(super) rules: Rules,
    pub(super) window: Window,
    /// Calls at least this long are slow. Two readings of the exact clock are paid only where set.
    slow_call: Option<Duration>,
    pub(super) dry_run: AtomicBool,
    pub(crate) history: History,
    /// Who has taken over, once the word is retired.
    pub(super) heir: Heir,
}

impl Core {
    const_unless_loom! {
        pub(crate) const fn new(
            rules: Rules,
            window: Window,
            slow_call: Option<Duration>,
            name: Option<&'static str>,
        ) -> Self {
            Self {
                word: Padded(AtomicU64::new(Word::NEW.0)),
                rules,
                window,
                slow_call,
                dry_run: AtomicBool::new(false),
                history: History::new(name),
                heir: Heir::new(),
            }
        }
    }

    /// Relaxed: the word is all the state there is. What lies beside it (the window) is tagged with
    /// the word's generation and synchronises by itself.
    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word(self.word.0.load(Ordering::Relaxed))
    }

    /// The one way to the settings, off the healthy path.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn mode(&self) -> Mode {
        if self.dry_run.load(Ordering::Relaxed) { Mode::DryRun } else { Mode::Enforce }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.dry_run.store(mode == Mode::DryRun, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `retire`. Whoever takes over sees this, or `here` sees the heir.
        fence(Ordering::SeqCst);
    }

    /// A permit by the word as it is, to be checked: made in place, since moving it about costs more
    /// than all the rest of a healthy call.
    #[inline(always)]
    pub(crate) fn ask(&self) -> Permit<'_> {
        let mock = scope::breaker_mock();
        let core = mock.as_ref().map_or(self, BreakerMock::core);
        let started = core.slow_call.map(|_| Moment::now());
        let seen = core.word();
        Permit { real: self, mock, seen, started, kind: Kind::Call, settled: false }
    }

    /// Looks at this one, or at the mock that stands in for it here; at the one that has taken over, if one
    /// has.
    pub(crate) fn here<R>(&self, look: impl Fn(&Self) -> R) -> R {
        match scope::breaker_mock() {
            Some(mock) => look(mock.core()),
            None => self.at_present(look),
        }
    }

    /// Leave to go on, or when to come back: in ms, if that is known. The error is made by whoever
    /// returns it, since handing it up through several calls costs more than all of this.
    ///
    /// Inlined into its callers: see [`reject`](Self::reject).
    #[inline(always)]
    fn acquire(&self) -> Result<(Word, Kind), Option<u32>> {
        let word = self.word();
        // The common rejection, by the very decision that `step` would take: to go through all of it
        // would double its cost.
        if word.state() == CircuitState::Open {
            if let Some(wait) = self.rules.open_for(word, Tick::now()) {
                return self.reject(word, Some(wait));
            }
        }
        let Step { word, answer, .. } = self.step(Input::Acquire);
        match answer {
            Answer::Reject(wait) => self.reject(word, wait),
            Answer::Retired => self.acquire_of_heir(),
            _ => Ok((word, if word.is_closed() { Kind::Call } else { Kind::Probe })),
        }
    }

    /// Apart, so that a rejection has no registers to save for it.
    #[cold]
    #[inline(never)]
    fn acquire_of_heir(&self) -> Result<(Word, Kind), Option<u32>> {
        self.heir().core().acquire()
    }

    /// Counts a rejection and tells of it; none in a dry run. Inlined, since its result would come
    /// through memory.
    #[inline(always)]
    fn reject(&self, word: Word, wait: Option<u64>) -> Result<(Word, Kind), Option<u32>> {
        // One step more: a coarse clock may lag that far behind the caller's.
        let ms = wait.map(|ms| u32::try_from(ms + Tick::step()).unwrap_or(u32::MAX));
        self.history.rejected();
        if self.history.rejections_are_heard() {
            self.tell_of_rejection(ms);
        }
        if self.mode() == Mode::DryRun { Ok((word, Kind::Passed)) } else { Err(ms) }
    }

    #[cold]
    fn tell_of_rejection(&self, ms: Option<u32>) {
        let retry_after = ms.map(|ms| Duration::from_millis(ms.into()));
        let dry_run = self.mode() == Mode::DryRun;
        self.history.tell(|name| Event::CircuitBreakerRejected { name, retry_after, dry_run });
    }

    /// The error of a call that is not let through.
    #[inline]
    pub(crate) fn open_error(&self, retry_after: Option<u32>) -> CircuitBreakerOpenError {
        CircuitBreakerOpenError::new(self.history.name().cloned(), retry_after)
    }

    /// Whether a fast success of a call admitted at `seen` decides nothing: it leaves all that can be
    /// seen as it is, or is taken in by the window without further ado.
    #[inline(always)]
    fn passes_over_success(&self, seen: Word) -> bool {
        seen.is_clean()
            && self.word() == seen
            && (self.window.is_unmoved_by_success(seen.generation())
                || self.window.takes_success(seen.generation()))
    }

    /// Takes the outcome of a call that was admitted at `seen`.
    fn record(&self, seen: Word, kind: Kind, outcome: Outcome) {
        if kind == Kind::Passed {
            return;
        }
        let word = self.word();
        let trip = if word.is_closed() && word.same_generation(seen) {
            let refused = Cell::new(false);
            let trip = self.window.record(seen.generation(), Tick::now, outcome, || {
                let current = self.word().same_generation(seen);
                refused.set(!current);
                current
            });
            if refused.get() {
                // The breaker has moved on since the line above, or is retired.
                return self.record(seen, kind, outcome);
            }
            let counts = outcome.is_failure() && self.rules.threshold > 0;
            if trip.is_none() && !counts && word.is_clean() {
                return;
            }
            trip
        } else if word.is_retired() {
            return self.record_at_heir(seen, kind, outcome);
        } else {
            None
        };
        // A slow probe shows that the callee is still slow, which is what slow calls are counted for.
        let failed = outcome.is_failure() || (outcome.is_slow() && kind == Kind::Probe);
        let input =
            if failed { Input::Failure { seen, trip } } else { Input::Success { seen, trip } };
        self.settle(input);
    }

    #[cold]
    #[inline(never)]
    fn record_at_heir(&self, seen: Word, kind: Kind, outcome: Outcome) {
        self.heir().core().record(seen, kind, outcome);
    }

    #[cold]
    fn abandon(&self, seen: Word) {
        if self.settle(Input::Abandon { seen }) {
            self.history.tell(|name| Event::ProbeAbandoned { name });
        }
    }

    /// True if the outcome was taken note of, false if it was stale.
    pub(super) fn settle(&self, input: Input) -> bool {
        match self.step(input).answer {
            Answer::Stale => {
                self.history.tell(|name| Event::StaleOutcome { name });
                false
            }
            Answer::Retired => self.heir().core().settle(input),
            _ => true,
        }
    }

    /// Swaps the word for what `input` makes of it, and tells of a transition.
    pub(crate) fn step(&self, input: Input) -> Step {
        let random = match input {
            // What may open it; the rest has no use for chance.
            Input::Success { .. } | Input::Failure { .. } if self.rules.jitter > 0.0 => {
                Random::new().next_unit()
            }
            _ => 0.0,
        };
        let mut word = self.word();
        loop {
            let now = Tick::now();
            let step = self.rules.step(word, input, now, random);
            if step.word == word {
                return step;
            }
            // AcqRel: a transition is seen together with what its thread did before, so that the
            // calls of the new generation find their window no older than it is.
            match self.word.0.compare_exchange(
                word.0,
                step.word.0,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    if let Some(cause) = step.cause {
                        self.tell_of_move(word, step.word, cause, now);
                    }
                    return step;
                }
                Err(seen) => word = Word(seen),
            }
        }
    }
}

/// Permits as plain numbers: the word that was seen, which tells a probe by its state.
#[cfg(feature = "foreign")]
impl Core {
    pub(crate) fn acquire_ticket(&self) -> Leave {
        let word = self.word();
        if word.is_closed() {
            return Leave::Admitted(word.0);
        }
        match self.acquire() {
            Ok((_, Kind::Passed)) => Leave::Passed,
            Ok((word, _)) => Leave::Admitted(word.0),
            Err(ms) => Leave::Rejected(ms.map(|ms| Duration::from_millis(ms.into()))),
        }
    }

    /// Rejects, unless that takes a decision: then nothing has happened. Whoever asks tells of it.
    pub(crate) fn reject_ticket(&self) -> Option<Leave> {
        let word = self.word();
        let wait = match word.state() {
            CircuitState::Open => Some(self.rules.open_for(word, Tick::now())?),
            CircuitState::Isolated if word.is_retired() => return None,
            CircuitState::Isolated => None,
            CircuitState::Closed | CircuitState::HalfOpen => return None,
        };
        if self.mode() == Mode::DryRun {
            return None;
        }
        self.history.rejected();
        Some(Leave::Rejected(wait.map(|ms| Duration::from_millis(ms + Tick::step()))))
    }

    pub(crate) fn record_ticket(&self, ticket: u64, verdict: Verdict, took: Option<Duration>) {
        let outcome = match verdict {
            Verdict::Success => Outcome::Success,
            Verdict::Transient { .. } | Verdict::Permanent => Outcome::Failure,
            Verdict::Ignored => return self.abandon_ticket(ticket),
        };
        let outcome = match (took, self.slow_call) {
            (Some(took), Some(limit)) if took >= limit => outcome.slow(),
            _ => outcome,
        };
        self.record(Word(ticket), Self::kind_of(ticket), outcome);
    }

    pub(crate) fn abandon_ticket(&self, ticket: u64) {
        // Only a probe holds anything that has to be given back.
        if Self::kind_of(ticket) == Kind::Probe {
            self.abandon(Word(ticket));
        }
    }

    pub(crate) fn closed_ticket(&self) -> Option<(u64, bool)> {
        let word = self.word();
        let quiet = word.is_clean() && self.window.is_unmoved_by_success(word.generation());
        (word.is_closed() && self.slow_call.is_none()).then_some((word.0, quiet))
    }

    /// What it remembers, as plain data.
    pub(crate) fn hold(&self) -> Held {
        self.at_present(|core| {
            let (word, now) = (core.word(), Tick::now());
            let window = match word.state() {
                CircuitState::Closed => core.window.hold(word.generation(), now),
                _ => HeldWindow::Nothing,
            };
            Held { window, ..core.held(word, now) }
        })
    }

    /// Takes in what another one has held.
    pub(crate) fn remember(&self, held: &Held) {
        let now = Tick::now();
        let word = self.rules.word_of(held, now);
        self.window.remember(word.generation(), now, &held.window);
        // Release: pairs with the AcqRel of `step`, as a transition would.
        self.word.0.store(word.0, Ordering::Release);
    }

    fn kind_of(ticket: u64) -> Kind {
        match Word(ticket).state() {
            CircuitState::HalfOpen => Kind::Probe,
            _ => Kind::Call,
        }
    }
}

impl Core {
    /// What `word` says, without a window.
    pub(super) fn held(&self, word: Word, now: Tick) -> Held {
        let (in_flight, successes) = match word.state() {
            CircuitState::HalfOpen => (word.probes().in_flight, word.probes().successes),
            _ => (0, 0),
        };
        Held {
            state: word.state(),
            generation: word.generation(),
            reopenings: word.reopenings(),
            failures: word.failures(),
            probes_in_flight: in_flight,
            probe_successes: successes,
            left: self.rules.left(word, now),
            window: HeldWindow::Nothing,
        }
    }

    #[cold]
    fn tell_of_move(&self, from: Word, to: Word, cause: TransitionCause, at: Tick) {
        let open_for = match to.state() {
            CircuitState::Open => self.rules.open_for(to, at).or(Some(0)),
            _ => None,
        };
        let transition = Transition {
            from: from.state(),
            to: to.state(),
            cause,
            at,
            open_for: open_for.map(Duration::from_millis),
            dry_run: self.mode() == Mode::DryRun,
        };
        self.history.moved(to.generation(), transition);
    }
}

/// How a permit came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The breaker was closed.
    Call,
    /// The breaker was half-open: the permit holds one of its slots.
    Probe,
    /// The breaker would have rejected the call, had it not been a dry run. It counts for nothing.
    Passed,
}

/// Leave to make one call. What became of it is told by [`record`](Self::record).
///
/// For those who hold the decision themselves; [`CircuitBreaker::run`] does all of this.
/// A permit that is dropped counts as abandoned: neither success nor failure, and a probe's slot is
/// free again. That holds for a drop by a panic as well, since a permit that is held by hand cannot
/// tell its own panic from a neighbour's; a panic inside `run` counts as a failure.
///
/// ```
/// use seawall::{CircuitBreaker, CircuitState, Verdict};
///
/// static BREAKER: CircuitBreaker = CircuitBreaker::builder().failure_threshold(1).build();
///
/// if let Ok(permit) = BREAKER.try_acquire() {
///     let answer: Result<u32, &str> = Err("down");
///     permit.record(match answer {
///         Ok(_) => Verdict::Success,
///         Err(_) => Verdict::TRANSIENT,
///     });
/// }
/// assert_eq!(BREAKER.state(), CircuitState::Open);
/// assert!(BREAKER.try_acquire().is_err());
/// ```
///
/// [`CircuitBreaker::run`]: super::CircuitBreaker::run
#[must_use = "a permit that is dropped counts as an abandoned call"]
pub struct Permit<'a> {
    real: &'a Core,
    /// What stands in for the real one, where tests put a mock in its place.
    mock: Option<BreakerMock>,
    seen: Word,
    started: Option<Moment>,
    kind: Kind,
    /// The outcome is known: a drop means nothing any more.
    settled: bool,
}

impl<'a> Permit<'a> {
    /// Tells the breaker how the call went. Transient and permanent both count as failure,
    /// [`Ignored`](Verdict::Ignored) as nothing.
    ///
    /// A call that ends after the breaker has moved on changes nothing.
    pub fn record(mut self, verdict: Verdict) {
        self.settle(verdict);
    }

    #[inline(always)]
    fn core(&self) -> &Core {
        self.mock.as_ref().map_or(self.real, BreakerMock::core)
    }

    /// Whether this is a probe, the call by which a breaker finds out if its callee is well again.
    pub fn is_probe(&self) -> bool {
        self.kind == Kind::Probe
    }

    /// Whether the breaker was closed: nothing needs to be acquired then.
    #[inline(always)]
    pub(crate) fn is_free(&self) -> bool {
        self.seen.is_closed()
    }

    /// Has the breaker's leave while it is not closed, or says when to come back.
    #[cold]
    pub(crate) fn acquire(&mut self) -> Result<(), Option<u32>> {
        (self.seen, self.kind) = self.core().acquire()?;
        Ok(())
    }

    /// Counts a panic as a failure, from here until [`Running::end`].
    #[inline(always)]
    pub(crate) fn running(&mut self) -> Running<'_, 'a> {
        Running(self)
    }

    /// [`record`](Self::record), in place.
    #[inline(always)]
    pub(crate) fn settle(&mut self, verdict: Verdict) {
        let fast = self.started.is_none() && verdict == Verdict::Success;
        if !(fast && self.core().passes_over_success(self.seen)) {
            self.settle_change(verdict);
        }
        self.settled = true;
    }

    #[inline(never)]
    fn settle_change(&mut self, verdict: Verdict) {
        let outcome = match verdict {
            Verdict::Success => Outcome::Success,
            Verdict::Transient { .. } | Verdict::Permanent => Outcome::Failure,
            Verdict::Ignored => return self.abandon(),
        };
        self.core().record(self.seen, self.kind, self.measured(outcome));
    }

    fn measured(&self, outcome: Outcome) -> Outcome {
        match (self.started, self.core().slow_call) {
            (Some(started), Some(limit)) if started.elapsed() >= limit => outcome.slow(),
            _ => outcome,
        }
    }

    fn abandon(&self) {
        // Only a probe holds anything that has to be given back.
        if self.kind == Kind::Probe {
            self.core().abandon(self.seen);
        }
    }
}

impl Drop for Permit<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // A cancelled probe says nothing of the callee: let the next caller probe.
        if !self.settled {
            self.abandon();
        }
    }
}

/// Stands while the operation runs. Only unwinding can drop it: whose panic it is, is then known.
pub(crate) struct Running<'p, 'a>(&'p mut Permit<'a>);

impl Running<'_, '_> {
    /// The operation came back without a panic.
    #[inline(always)]
    pub(crate) fn end(self) {
        std::mem::forget(self);
    }
}

impl Drop for Running<'_, '_> {
    #[cold]
    fn drop(&mut self) {
        self.0.settle(Verdict::TRANSIENT);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What an operator reads off a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Failures in a row, while closed.
    pub consecutive_failures: u32,
    /// Calls in the window, while closed; 0 without a window.
    pub calls: u64,
    /// Failures among them.
    pub failures: u64,
    /// Slow calls among them.
    pub slow_calls: u64,
    /// Probes in flight, while half-open.
    pub probes_in_flight: u64,
    /// Probes that succeeded, while half-open.
    pub probe_successes: u64,
    /// How often a probe has failed since the breaker last opened from closed; counts to 15.
    pub reopenings: u64,
    /// Calls rejected since the breaker was made. In a dry run: that would have been.
    pub rejected: u64,
    /// How often it has opened since it was made.
    pub opened: u64,
    /// Transitions that no observer will hear of, since one of them hangs and 65 536 wait already.
    pub untold: u64,
}

impl Core {
    pub(crate) fn counters(&self) -> Counters {
        let word = self.word();
        let reading = match word.state() {
            CircuitState::Closed => self.window.reading(word.generation(), Tick::now),
            _ => Default::default(),
        };
        let (in_flight, successes) = match word.state() {
            CircuitState::HalfOpen => (word.probes().in_flight, word.probes().successes),
            _ => (0, 0),
        };
        Counters {
            consecutive_failures: word.failures(),
            calls: reading.calls,
            failures: reading.failures,
            slow_calls: reading.slow,
            probes_in_flight: in_flight,
            probe_successes: successes,
            reopenings: word.reopenings(),
            rejected: self.history.rejections(),
            opened: self.history.opened(),
            untold: self.history.untold(),
        }
    }

    pub(crate) fn time_until_probe(&self) -> Option<Duration> {
        let (word, now) = (self.word(), Tick::now());
        let ms = match word.state() {
            CircuitState::Open => self.rules.open_for(word, now).unwrap_or(0),
            CircuitState::HalfOpen if word.probes().in_flight < self.rules.probes.into() => 0,
            CircuitState::HalfOpen => self.rules.leased_for(word, now).unwrap_or(0),
            CircuitState::Closed | CircuitState::Isolated => return None,
        };
        Some(Duration::from_millis(ms))
    }

    /// Puts the breaker into `state`, from whatever it is in.
    #[cfg(feature = "testing")]
    pub(crate) fn force(&self, state: CircuitState) {
        self.moved_by_hand(Input::Force(state));
    }

    /// Moves the breaker, or the mock that stands in for it here, by hand.
    pub(crate) fn by_hand(&self, input: Input) {
        scope::breaker_mock().as_ref().map_or(self, BreakerMock::core).moved_by_hand(input);
    }

    fn moved_by_hand(&self, input: Input) {
        if self.step(input).answer == Answer::Retired {
            self.heir().core().moved_by_hand(input);
        }
    }

    pub(crate) fn failure_rate(&self) -> Option<f64> {
        let Counters { calls, failures, .. } = self.counters();
        super::window::rate(failures, calls)
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.history.name()
    }
}
