//! DECIDE: the breaker's whole state in one word, and what each event makes of it.
//!
//! ```text
//!  63 62 | 61 .. 34   | 33 .. 30   | 29 .. 0
//!  state | generation | reopenings | payload
//!
//!  closed     consecutive failures                                            30
//!  open       end of the open time, ms                                        30
//!  half-open  probes in flight 8 | successes 8 | lease end, 64ths of a lease  14
//!  isolated   nothing; or 1 in a breaker that another one has taken over from: it is retired
//! ```
//!
//! The generation counts transitions, resets, and ends of leases. A permit keeps the word that it
//! saw; an outcome whose generation is not the word's changes nothing. The driver is a
//! compare-and-swap loop around [`Rules::step`], which is pure: it is checked over every reachable
//! state in the tests below.
//!
//! Times are kept modulo their width. An end is *live* while it lies at most two spans ahead: a clock
//! that steps back does not end it early by much, and a breaker that is not asked for so long that
//! time wraps rejects for two spans at most. That takes 2^30 ms (12.4 days) less two spans for an
//! open time, and 256 leases less two for a lease.

use super::{CircuitState, TransitionCause};
use crate::time::Tick;
use std::fmt;

/// The state of a breaker.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Word(pub(crate) u64);

const GENERATION: u64 = (1 << 28) - 1;
const REOPENINGS: u64 = (1 << 4) - 1;
const PAYLOAD: u64 = (1 << 30) - 1;
const LEASE: u64 = (1 << 14) - 1;
const RETIRED: u64 = 1;

/// The most consecutive failures that the word can count to.
pub(crate) const MAX_THRESHOLD: u32 = (1 << 30) - 1;

impl Word {
    /// Closed, nothing on record, generation 0.
    pub(crate) const NEW: Self = Self(0);

    const fn new(state: CircuitState, generation: u64, reopenings: u64, payload: u64) -> Self {
        let state = match state {
            CircuitState::Closed => 0,
            CircuitState::Open => 1,
            CircuitState::HalfOpen => 2,
            CircuitState::Isolated => 3,
        };
        let reopenings = if reopenings > REOPENINGS { REOPENINGS } else { reopenings };
        Self(state << 62 | (generation & GENERATION) << 34 | reopenings << 30 | (payload & PAYLOAD))
    }

    const fn half_open(generation: u64, reopenings: u64, probes: Probes) -> Self {
        let payload = probes.in_flight << 22 | probes.successes << 14 | (probes.lease & LEASE);
        Self::new(CircuitState::HalfOpen, generation, reopenings, payload)
    }

    pub(crate) const fn state(self) -> CircuitState {
        match self.0 >> 62 {
            0 => CircuitState::Closed,
            1 => CircuitState::Open,
            2 => CircuitState::HalfOpen,
            _ => CircuitState::Isolated,
        }
    }

    pub(crate) const fn generation(self) -> u64 {
        self.0 >> 34 & GENERATION
    }

    pub(crate) const fn reopenings(self) -> u64 {
        self.0 >> 30 & REOPENINGS
    }

    const fn payload(self) -> u64 {
        self.0 & PAYLOAD
    }

    /// Failures in a row, while closed.
    #[expect(clippy::cast_possible_truncation, reason = "30 bits")]
    pub(crate) const fn failures(self) -> u32 {
        if self.is_closed() { self.payload() as u32 } else { 0 }
    }

    /// What a half-open word holds.
    pub(crate) const fn probes(self) -> Probes {
        let payload = self.payload();
        Probes { in_flight: payload >> 22, successes: payload >> 14 & 255, lease: payload & LEASE }
    }

    pub(crate) const fn is_closed(self) -> bool {
        self.0 >> 62 == 0
    }

    /// The last word of a breaker that hands over: whoever has seen another one looks for its heir.
    pub(crate) const fn retired(self) -> Self {
        Self::new(CircuitState::Isolated, self.generation() + 1, 0, RETIRED)
    }

    pub(crate) const fn is_retired(self) -> bool {
        self.0 >> 62 == 3 && self.payload() == RETIRED
    }

    /// Closed with nothing on record: a success changes nothing that can be seen.
    #[inline]
    pub(crate) const fn is_clean(self) -> bool {
        self.0 >> 62 == 0 && self.payload() == 0
    }

    #[inline]
    pub(crate) const fn same_generation(self, other: Self) -> bool {
        (self.0 ^ other.0) >> 34 & GENERATION == 0
    }
}

/// Whether two words, as numbers, are of one generation.
#[cfg(feature = "foreign")]
pub(crate) const fn same_generation(one: u64, other: u64) -> bool {
    Word(one).same_generation(Word(other))
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Word");
        out.field("state", &self.state()).field("generation", &self.generation());
        match self.state() {
            CircuitState::HalfOpen => out.field("probes", &self.probes()),
            _ => out.field("payload", &self.payload()),
        };
        out.field("reopenings", &self.reopenings()).finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probes {
    pub(crate) in_flight: u64,
    pub(crate) successes: u64,
    /// When the last admitted probe's lease ends, in units of a 64th.
    lease: u64,
}

/// Something that happens to a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// A caller asks for a permit.
    Acquire,
    /// A call ended well. `trip` is the window's reading, taken before.
    Success { seen: Word, trip: Option<TransitionCause> },
    /// A call failed.
    Failure { seen: Word, trip: Option<TransitionCause> },
    /// A permit came back without an outcome.
    Abandon { seen: Word },
    /// By hand: hold open.
    Isolate,
    /// By hand: let calls through.
    Close,
    /// By hand: as new.
    Reset,
    /// By hand: whatever a test wants.
    #[cfg(feature = "testing")]
    Force(CircuitState),
}

/// What an [`Input`] made of the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) word: Word,
    pub(crate) answer: Answer,
    /// Set exactly if the generation has moved on.
    pub(crate) cause: Option<TransitionCause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The caller may go on; the permit keeps the new word.
    Admit,
    /// Not now; after this many ms, if that is known.
    Reject(Option<u64>),
    /// Taken note of.
    Noted,
    /// The outcome belongs to another generation and was dropped.
    Stale,
    /// Nothing was decided: the breaker is retired, and its heir decides.
    Retired,
}

/// The settings that the decision needs, checked and complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    /// Consecutive failures that open it; 0 where windows alone decide.
    pub(crate) threshold: u32,
    /// The first open time, in ms.
    pub(crate) recovery: u64,
    /// By what each reopening multiplies it.
    pub(crate) growth: f64,
    /// Where it stops growing, in ms.
    pub(crate) longest: u64,
    /// How far the open time is spread beyond that, as a share of it.
    pub(crate) jitter: f64,
    /// Probes at a time.
    pub(crate) probes: u8,
    /// Successes that close it.
    pub(crate) successes: u8,
    /// How long a probe keeps its slot when others need it, in ms.
    pub(crate) lease: u64,
    /// No open time is longer, in ms; see [`Rules::bounded`].
    pub(crate) bound: u64,
}

impl Rules {
    /// What `input` at `now` makes of `word`. `random` in `0.0..1.0` spreads the open time.
    pub(crate) fn step(&self, word: Word, input: Input, now: Tick, random: f64) -> Step {
        match input {
            _ if word.is_retired() => Step { word, answer: Answer::Retired, cause: None },
            Input::Acquire => self.acquire(word, now),
            Input::Success { seen, .. } | Input::Failure { seen, .. } | Input::Abandon { seen }
                if !seen.same_generation(word) =>
            {
                Step { word, answer: Answer::Stale, cause: None }
            }
            Input::Success { trip, .. } => self.success(word, trip, now, random),
            Input::Failure { trip, .. } => self.failure(word, trip, now, random),
            Input::Abandon { .. } => noted(match word.state() {
                CircuitState::HalfOpen => give_back(word, 0),
                _ => word,
            }),
            Input::Isolate if word.state() == CircuitState::Isolated => noted(word),
            Input::Isolate => moved(word, CircuitState::Isolated, 0, TransitionCause::Manual),
            Input::Close if word.is_closed() => noted(word),
            Input::Close => moved(word, CircuitState::Closed, 0, TransitionCause::Manual),
            Input::Reset => moved(word, CircuitState::Closed, 0, TransitionCause::Reset),
            #[cfg(feature = "testing")]
            Input::Force(CircuitState::Open) => {
                self.open(word, 0, TransitionCause::Manual, now, random)
            }
            #[cfg(feature = "testing")]
            // No slot taken, and so no lease to speak of: half-open with an empty payload.
            Input::Force(state) => moved(word, state, 0, TransitionCause::Manual),
        }
    }

    fn acquire(&self, word: Word, now: Tick) -> Step {
        match word.state() {
            CircuitState::Closed => Step { word, answer: Answer::Admit, cause: None },
            CircuitState::Isolated => Step { word, answer: Answer::Reject(None), cause: None },
            CircuitState::Open => match self.open_for(word, now) {
                Some(wait) => Step { word, answer: Answer::Reject(Some(wait)), cause: None },
                None => self.probe(word, 0, TransitionCause::RecoveryTimeout, now),
            },
            CircuitState::HalfOpen => {
                let Probes { in_flight, successes, .. } = word.probes();
                if in_flight < u64::from(self.probes) {
                    let lease = self.lease_end(now);
                    let probes = Probes { in_flight: in_flight + 1, successes, lease };
                    let word = Word::half_open(word.generation(), word.reopenings(), probes);
                    Step { word, answer: Answer::Admit, cause: None }
                } else if self.leased_for(word, now).is_some() {
                    Step { word, answer: Answer::Reject(None), cause: None }
                } else {
                    // The probes hang: they lose their slots and, by the generation, their voice.
                    self.probe(word, successes, TransitionCause::LeaseEnded, now)
                }
            }
        }
    }

    /// A new generation with one probe in flight.
    fn probe(&self, word: Word, successes: u64, cause: TransitionCause, now: Tick) -> Step {
        let probes = Probes { in_flight: 1, successes, lease: self.lease_end(now) };
        let word = Word::half_open(word.generation() + 1, word.reopenings(), probes);
        Step { word, answer: Answer::Admit, cause: Some(cause) }
    }

    fn success(&self, word: Word, trip: Option<TransitionCause>, now: Tick, random: f64) -> Step {
        match (word.state(), trip) {
            (CircuitState::Closed, Some(cause)) => self.open(word, 0, cause, now, random),
            (CircuitState::Closed, None) => {
                noted(Word::new(CircuitState::Closed, word.generation(), 0, 0))
            }
            (CircuitState::HalfOpen, _) => {
                if word.probes().successes + 1 < u64::from(self.successes) {
                    noted(give_back(word, 1))
                } else {
                    moved(word, CircuitState::Closed, 0, TransitionCause::ProbeSucceeded)
                }
            }
            (CircuitState::Open | CircuitState::Isolated, _) => noted(word),
        }
    }

    fn failure(&self, word: Word, trip: Option<TransitionCause>, now: Tick, random: f64) -> Step {
        match (word.state(), trip) {
            (CircuitState::Closed, Some(cause)) => self.open(word, 0, cause, now, random),
            (CircuitState::Closed, None) if self.threshold == 0 => noted(word),
            (CircuitState::Closed, None) => {
                let failures = word.payload() + 1;
                if failures < u64::from(self.threshold) {
                    noted(Word::new(CircuitState::Closed, word.generation(), 0, failures))
                } else {
                    self.open(word, 0, TransitionCause::ConsecutiveFailures, now, random)
                }
            }
            (CircuitState::HalfOpen, _) => {
                let reopenings = word.reopenings() + 1;
                self.open(word, reopenings, TransitionCause::ProbeFailed, now, random)
            }
            (CircuitState::Open | CircuitState::Isolated, _) => noted(word),
        }
    }

    fn open(
        &self,
        word: Word,
        reopenings: u64,
        cause: TransitionCause,
        now: Tick,
        random: f64,
    ) -> Step {
        let until = now.as_millis().wrapping_add(self.open_time(reopenings, random));
        let word = Word::new(CircuitState::Open, word.generation() + 1, reopenings, until);
        Step { word, answer: Answer::Noted, cause: Some(cause) }
    }

    /// How long it stays open after `reopenings`, in ms.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "times are at most three days in ms, and the cast saturates"
    )]
    fn open_time(&self, reopenings: u64, random: f64) -> u64 {
        if self.recovery == 0 {
            // Nothing grows to nothing; times infinity it would be NaN.
            return 0;
        }
        let times = i32::try_from(reopenings.min(REOPENINGS)).unwrap_or_default();
        let grown = (self.recovery as f64 * self.growth.powi(times)).min(self.longest as f64);
        (grown * (1.0 + self.jitter * random)).round() as u64
    }

    /// With `bound` set from the other settings: worked out once, asked at each rejection.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "times are at most three days in ms, twice that with jitter"
    )]
    pub(crate) const fn bounded(mut self) -> Self {
        let longest = if self.growth > 1.0 { self.longest } else { self.recovery };
        self.bound = (longest as f64 * (1.0 + self.jitter)) as u64 + 1;
        self
    }

    /// How long an open breaker stays so, in ms; none if its time is over.
    pub(crate) fn open_for(&self, word: Word, now: Tick) -> Option<u64> {
        let left = word.payload().wrapping_sub(now.as_millis()) & PAYLOAD;
        let live = (1..=2 * self.bound).contains(&left);
        live.then_some(left.min(self.bound))
    }

    /// How long the lease of the last probe lasts, in ms; none if it is over.
    pub(crate) fn leased_for(&self, word: Word, now: Tick) -> Option<u64> {
        let unit = self.lease_unit();
        let left = word.probes().lease.wrapping_sub(now.as_millis() / unit) & LEASE;
        let span = self.lease.div_ceil(unit) + 1;
        (1..=2 * span).contains(&left).then_some(left.min(span) * unit)
    }

    fn lease_unit(&self) -> u64 {
        (self.lease / 64).max(1)
    }

    fn lease_end(&self, now: Tick) -> u64 {
        now.as_millis().saturating_add(self.lease).div_ceil(self.lease_unit())
    }
}

/// The word as plain data, and back.
impl Rules {
    /// How long the time in `word` has to run, in ms; zero if it is over, or there is none.
    pub(crate) fn left(&self, word: Word, now: Tick) -> u64 {
        match word.state() {
            CircuitState::Open => self.open_for(word, now).unwrap_or(0),
            CircuitState::HalfOpen => match self.leased_for(word, now) {
                // To the ms, so that handing it on does not lengthen it.
                Some(left) => left.saturating_sub(now.as_millis() % self.lease_unit()),
                None => 0,
            },
            CircuitState::Closed | CircuitState::Isolated => 0,
        }
    }

    /// The word that says the same under these rules.
    pub(crate) fn word_of(&self, held: &super::held::Held, now: Tick) -> Word {
        let (generation, reopenings) = (held.generation, held.reopenings);
        match held.state {
            CircuitState::HalfOpen => {
                let left = held.left.min(self.lease);
                let lease = now.as_millis().saturating_add(left).div_ceil(self.lease_unit());
                let lease = if left == 0 { now.as_millis() / self.lease_unit() } else { lease };
                let in_flight = held.probes_in_flight.min(255);
                let successes = held.probe_successes.min(u64::from(self.successes) - 1);
                Word::half_open(generation, reopenings, Probes { in_flight, successes, lease })
            }
            CircuitState::Open => {
                let until = now.as_millis().wrapping_add(held.left.min(self.bound));
                Word::new(CircuitState::Open, generation, reopenings, until)
            }
            CircuitState::Closed => {
                // One short of the threshold at most: what is closed has not opened yet.
                let most = self.threshold.saturating_sub(1);
                Word::new(
                    CircuitState::Closed,
                    generation,
                    reopenings,
                    held.failures.min(most).into(),
                )
            }
            CircuitState::Isolated => Word::new(CircuitState::Isolated, generation, reopenings, 0),
        }
    }
}

fn noted(word: Word) -> Step {
    Step { word, answer: Answer::Noted, cause: None }
}

fn moved(word: Word, to: CircuitState, payload: u64, cause: TransitionCause) -> Step {
    let word = Word::new(to, word.generation() + 1, 0, payload);
    Step { word, answer: Answer::Noted, cause: Some(cause) }
}

/// A probe gives its slot back, with or without a success.
fn give_back(word: Word, success: u64) -> Word {
    let Probes { in_flight, successes, lease } = word.probes();
    let probes =
        Probes { in_flight: in_flight.saturating_sub(1), successes: successes + success, lease };
    Word::half_open(word.generation(), word.reopenings(), probes)
}

#[cfg(test)]
mod tests;
