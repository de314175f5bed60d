//! A breaker as its documentation has it, written a second time: plain fields, no atomics, no
//! packing, and a list of all calls with whether they are still listened to. Slow and obvious.

use seawall::{
    CircuitState,
    breaker::{Mode, TransitionCause},
};
use std::collections::VecDeque;

/// What the documentation calls settings, in ms and plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) threshold: Option<u32>,
    pub(crate) failure_rate: Option<f64>,
    /// The rate, and from how many ms a call is slow.
    pub(crate) slow: Option<(f64, u64)>,
    pub(crate) over: Over,
    pub(crate) minimum_calls: u64,
    pub(crate) recovery: u64,
    pub(crate) multiplier: f64,
    pub(crate) longest: u64,
    pub(crate) probes: usize,
    pub(crate) successes: u64,
    pub(crate) lease: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Over {
    Nothing,
    Calls(usize),
    /// In ms.
    Time(u64),
}

/// What an observer hears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Told {
    Moved(Moved),
    Rejected { retry_after: Option<u64>, dry_run: bool },
    Abandoned,
    Stale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moved {
    pub(crate) from: CircuitState,
    pub(crate) to: CircuitState,
    pub(crate) cause: TransitionCause,
    pub(crate) at: u64,
    pub(crate) open_for: Option<u64>,
    pub(crate) dry_run: bool,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    Failure,
    /// Dropped, cancelled, or ignored.
    Nothing,
}

/// All that can be read off a breaker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    pub(crate) state: CircuitState,
    pub(crate) mode: Mode,
    pub(crate) consecutive_failures: u32,
    pub(crate) window: Reading,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) probes_in_flight: u64,
    pub(crate) probe_successes: u64,
    pub(crate) reopenings: u64,
    pub(crate) rejected: u64,
    pub(crate) opened: u64,
    pub(crate) until_probe: Option<u64>,
    pub(crate) last: Option<Moved>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

/// A call that has been let through and not ended.
#[derive(Debug)]
struct Call {
    number: u64,
    kind: Kind,
    began_at_micros: u64,
    /// A change of the breaker ends that for all that are under way.
    listened_to: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Probe,
    /// Let through by a dry run.
    Passed,
}

#[derive(Debug)]
pub(crate) struct Naive {
    settings: Settings,
    now_in_micros: u64,
    state: CircuitState,
    mode: Mode,
    in_a_row: u32,
    lately: Lately,
    /// Failed probes since it last opened from closed.
    reopenings: u64,
    open_until: u64,
    successes: u64,
    /// In 64ths of a lease.
    leased_until: u64,
    calls: Vec<Call>,
    rejected: u64,
    opened: u64,
    last: Option<Moved>,
    told: Vec<Told>,
}

impl Naive {
    pub(crate) fn new(settings: Settings, now_in_micros: u64) -> Self {
        Self {
            lately: Lately::new(settings.over),
            settings,
            now_in_micros,
            state: CircuitState::Closed,
            mode: Mode::Enforce,
            in_a_row: 0,
            reopenings: 0,
            open_until: 0,
            successes: 0,
            leased_until: 0,
            calls: Vec::new(),
            rejected: 0,
            opened: 0,
            last: None,
            told: Vec::new(),
        }
    }

    pub(crate) fn set_clock(&mut self, micros: u64) {
        self.now_in_micros = micros;
    }

    pub(crate) fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// What was told since this was asked last.
    pub(crate) fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// A caller comes: whether it is let through, or when to come back if that is known.
    pub(crate) fn ask(&mut self, number: u64) -> Result<(), Option<u64>> {
        match self.state {
            CircuitState::Closed => self.let_through(number, Kind::Ordinary),
            CircuitState::Isolated => return self.reject(number, None),
            CircuitState::Open => {
                if let Some(left) = self.open_for() {
                    return self.reject(number, Some(left));
                }
                self.move_to(CircuitState::HalfOpen, TransitionCause::RecoveryTimeout);
                self.successes = 0;
                self.probe(number);
            }
            CircuitState::HalfOpen => {
                if self.in_flight() < self.settings.probes {
                    self.probe(number);
                } else if self.leased_for().is_some() {
                    return self.reject(number, None);
                } else {
                    self.move_to(CircuitState::HalfOpen, TransitionCause::LeaseEnded);
                    self.probe(number);
                }
            }
        }
        Ok(())
    }

    fn probe(&mut self, number: u64) {
        self.leased_until = (self.now() + self.settings.lease).div_ceil(self.unit());
        self.let_through(number, Kind::Probe);
    }

    fn let_through(&mut self, number: u64, kind: Kind) {
        let began_at_micros = self.now_in_micros;
        self.calls.push(Call { number, kind, began_at_micros, listened_to: true });
    }

    fn reject(&mut self, number: u64, wait: Option<u64>) -> Result<(), Option<u64>> {
        // Rounded up by one step of the clock.
        let retry_after = wait.map(|wait| wait + 1);
        let dry_run = self.mode == Mode::DryRun;
        self.rejected += 1;
        self.told.push(Told::Rejected { retry_after, dry_run });
        if dry_run {
            self.let_through(number, Kind::Passed);
            Ok(())
        } else {
            Err(retry_after)
        }
    }

    /// A call ends.
    pub(crate) fn end(&mut self, number: u64, ending: Ending) {
        let at = self.calls.iter().position(|call| call.number == number).expect("it was let in");
        let call = self.calls.remove(at);
        match (call.kind, ending) {
            (Kind::Passed, _) | (Kind::Ordinary, Ending::Nothing) => {}
            _ if !call.listened_to => self.told.push(Told::Stale),
            (Kind::Probe, Ending::Nothing) => self.told.push(Told::Abandoned),
            (Kind::Probe, Ending::Success) if !self.is_slow(&call) => self.probe_succeeded(),
            (Kind::Probe, _) => self.probe_failed(),
            (Kind::Ordinary, _) => self.ordinary_ended(&call, ending == Ending::Failure),
        }
    }

    fn is_slow(&self, call: &Call) -> bool {
        let took = self.now_in_micros.saturating_sub(call.began_at_micros);
        self.settings.slow.is_some_and(|(_, from)| took >= from * 1000)
    }

    fn probe_succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= self.settings.successes {
            self.move_to(CircuitState::Closed, TransitionCause::ProbeSucceeded);
        }
    }

    fn probe_failed(&mut self) {
        self.reopenings = (self.reopenings + 1).min(15);
        self.open(TransitionCause::ProbeFailed);
    }

    fn ordinary_ended(&mut self, call: &Call, failed: bool) {
        let slow = self.is_slow(call);
        if let Some(reading) = self.lately.note(self.now(), self.minimum(), failed, slow) {
            if reading.calls >= self.minimum() {
                if reaches(reading.failures, reading.calls, self.settings.failure_rate) {
                    return self.open(TransitionCause::FailureRate);
                }
                let rate = self.settings.slow.map(|(rate, _)| rate);
                if reaches(reading.slow, reading.calls, rate) {
                    return self.open(TransitionCause::SlowCallRate);
                }
            }
        }
        if let Some(threshold) = self.settings.threshold {
            self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
            if self.in_a_row >= threshold {
                self.open(TransitionCause::ConsecutiveFailures);
            }
        }
    }

    pub(crate) fn isolate(&mut self) {
        if self.state != CircuitState::Isolated {
            self.move_to(CircuitState::Isolated, TransitionCause::Manual);
        }
    }

    pub(crate) fn close(&mut self) {
        if self.state != CircuitState::Closed {
            self.move_to(CircuitState::Closed, TransitionCause::Manual);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.move_to(CircuitState::Closed, TransitionCause::Reset);
    }

    fn open(&mut self, cause: TransitionCause) {
        let wait = self.open_time();
        self.open_until = self.now() + wait;
        self.opened += 1;
        self.move_to(CircuitState::Open, cause);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn open_time(&self) -> u64 {
        let mut wait = self.settings.recovery as f64;
        for _ in 0..self.reopenings {
            wait = (wait * self.settings.multiplier).min(self.settings.longest as f64);
        }
        wait.round() as u64
    }

    fn move_to(&mut self, to: CircuitState, cause: TransitionCause) {
        let from = std::mem::replace(&mut self.state, to);
        for call in &mut self.calls {
            call.listened_to = false;
        }
        if matches!(to, CircuitState::Closed | CircuitState::Isolated) {
            self.reopenings = 0;
        }
        self.in_a_row = 0;
        self.lately = Lately::new(self.settings.over);
        let open_for = (to == CircuitState::Open).then(|| self.open_time());
        let dry_run = self.mode == Mode::DryRun;
        let moved = Moved { from, to, cause, at: self.now(), open_for, dry_run };
        self.last = Some(moved);
        self.told.push(Told::Moved(moved));
    }

    fn now(&self) -> u64 {
        self.now_in_micros / 1000
    }

    fn minimum(&self) -> u64 {
        self.settings.minimum_calls
    }

    /// Slots belong to probes that are still listened to.
    fn in_flight(&self) -> usize {
        self.calls.iter().filter(|call| call.kind == Kind::Probe && call.listened_to).count()
    }

    /// How long it rejects yet. An end lives while it lies at most two of the longest open times
    /// ahead; ends are kept modulo 2^30 ms.
    fn open_for(&self) -> Option<u64> {
        let grows = self.settings.multiplier > 1.0;
        let span = if grows { self.settings.longest } else { self.settings.recovery } + 1;
        ahead(self.open_until, self.now(), 30, span)
    }

    /// How many 64ths of a lease the latest probe has left; ends are kept modulo 2^14 of them.
    fn leased_for(&self) -> Option<u64> {
        let span = self.settings.lease.div_ceil(self.unit()) + 1;
        ahead(self.leased_until, self.now() / self.unit(), 14, span)
    }

    fn unit(&self) -> u64 {
        (self.settings.lease / 64).max(1)
    }

    pub(crate) fn figures(&self) -> Figures {
        let closed = self.state == CircuitState::Closed;
        let half_open = self.state == CircuitState::HalfOpen;
        let window = if closed { self.lately.reading(self.now()) } else { Reading::default() };
        let free = self.in_flight() < self.settings.probes;
        Figures {
            state: self.state,
            mode: self.mode,
            consecutive_failures: self.in_a_row,
            window,
            failure_rate: share(window.failures, window.calls),
            probes_in_flight: if half_open { self.in_flight() as u64 } else { 0 },
            probe_successes: if half_open { self.successes } else { 0 },
            reopenings: self.reopenings,
            rejected: self.rejected,
            opened: self.opened,
            until_probe: match self.state {
                CircuitState::Closed | CircuitState::Isolated => None,
                CircuitState::Open => Some(self.open_for().unwrap_or(0)),
                CircuitState::HalfOpen if free => Some(0),
                CircuitState::HalfOpen => Some(self.leased_for().unwrap_or(0) * self.unit()),
            },
            last: self.last,
        }
    }
}

fn ahead(end: u64, now: u64, bits: u32, span: u64) -> Option<u64> {
    let width = 1_i128 << bits;
    let left = (i128::from(end) - i128::from(now)).rem_euclid(width);
    let left = u64::try_from(left).expect("not negative");
    (1..=2 * span).contains(&left).then(|| left.min(span))
}

#[allow(clippy::cast_precision_loss)]
fn share(part: u64, calls: u64) -> Option<f64> {
    (calls > 0).then(|| part as f64 / calls as f64)
}

/// Nothing bad reaches no rate, not even 0.
fn reaches(part: u64, calls: u64, rate: Option<f64>) -> bool {
    part > 0 && rate.is_some_and(|rate| share(part, calls).is_some_and(|share| share >= rate))
}

/// The calls of late.
#[derive(Debug)]
enum Lately {
    Nothing,
    /// The last so many: failed, slow.
    Calls(usize, VecDeque<(bool, bool)>),
    Time(Box<Buckets>),
}

impl Lately {
    fn new(over: Over) -> Self {
        match over {
            Over::Nothing => Self::Nothing,
            Over::Calls(most) => Self::Calls(most, VecDeque::new()),
            Over::Time(time) => Self::Time(Box::new(Buckets::new(time))),
        }
    }

    /// Takes a call in; gives the reading if it is to be judged.
    fn note(&mut self, now: u64, minimum: u64, failed: bool, slow: bool) -> Option<Reading> {
        match self {
            Self::Nothing => None,
            Self::Calls(most, calls) => {
                calls.push_back((failed, slow));
                if calls.len() > *most {
                    calls.pop_front();
                }
                Some(self.reading(now))
            }
            Self::Time(buckets) => buckets.note(now, minimum, failed, slow),
        }
    }

    fn reading(&self, now: u64) -> Reading {
        match self {
            Self::Nothing => Reading::default(),
            Self::Calls(_, calls) => Reading {
                calls: calls.len() as u64,
                failures: calls.iter().filter(|(failed, _)| *failed).count() as u64,
                slow: calls.iter().filter(|(_, slow)| *slow).count() as u64,
            },
            Self::Time(buckets) => buckets.reading(now / buckets.length),
        }
    }
}

/// Ten buckets of equal length, each with the number that it stands for.
#[derive(Debug)]
struct Buckets {
    length: u64,
    held: [Option<(u64, Reading)>; 10],
    /// In this bucket the minimum of calls was seen met: successes are judged no more.
    met: Option<u64>,
}

impl Buckets {
    fn new(time: u64) -> Self {
        Self { length: time.div_ceil(10), held: [None; 10], met: None }
    }

    fn note(&mut self, now: u64, minimum: u64, failed: bool, slow: bool) -> Option<Reading> {
        let number = now / self.length;
        let held = &mut self.held[usize::try_from(number % 10).expect("below ten")];
        match held {
            Some((of, _)) if *of == number => {}
            _ => {
                *held = Some((number, Reading::default()));
                self.met = None;
            }
        }
        let (_, counts) = held.as_mut().expect("just put there");
        counts.calls += 1;
        counts.failures += u64::from(failed);
        counts.slow += u64::from(slow);
        if !failed && !slow && self.met == Some(number) {
            return None;
        }
        let reading = self.reading(number);
        if reading.calls >= minimum {
            self.met = Some(number);
        }
        Some(reading)
    }

    /// What is less than ten buckets old, or less than ten ahead if the clock has gone back.
    fn reading(&self, number: u64) -> Reading {
        let mut sum = Reading::default();
        for (_, counts) in self.held.iter().flatten().filter(|(of, _)| of.abs_diff(number) < 10) {
            sum.calls += counts.calls;
            sum.failures += counts.failures;
            sum.slow += counts.slow;
        }
        sum
    }
}
