//! Histories out of bytes, played to the breaker and to the naive one, and compared at each step.
//!
//! Made from bytes, so that chance (proptest) and a fuzzer can both bring them, and any cut of a
//! history is one too.

use super::naive::{Ending, Figures, Moved, Naive, Over, Reading, Settings, Told};
use seawall::{
    CircuitBreaker, Classify, Error, Event, Permit, Rejection, Verdict,
    breaker::{CircuitBreakerBuilder, Mode, Transition},
    testing::{ManualClock, Scope},
};
use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// How many calls may hang at a time.
const MOST_HELD: usize = 12;
const DAY: u64 = 24 * 3_600_000;

/// What the operation of a call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Well,
    Down,
    /// An error that does not count.
    NotOurs,
    Panics,
}

impl Answer {
    fn ending(self) -> Ending {
        match self {
            Self::Well => Ending::Success,
            Self::Down | Self::Panics => Ending::Failure,
            Self::NotOurs => Ending::Nothing,
        }
    }

    fn give(self) -> Result<(), Self> {
        match self {
            Self::Well => Ok(()),
            Self::Panics => resume_unwind(Box::new("a panic on purpose")),
            down => Err(down),
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    /// A permit by hand, kept.
    Ask,
    /// `run`, polled once: its operation hangs.
    Begin,
    /// `run_blocking`, from its begin to its end.
    Whole(Answer),
    /// A call that hangs, counted from the oldest, comes to its end.
    End(usize, Answer),
    /// A call that hangs is dropped.
    Drop(usize),
    Forward(Duration),
    Back(Duration),
    Isolate,
    Close,
    Reset,
    SetMode(Mode),
}

/// Settings that are valid, out of any bytes.
pub(crate) fn settings(bytes: [u8; 8]) -> Settings {
    let [rule, threshold, window, rates, minimum, recovery, probes, lease] = bytes.map(u64::from);
    let calls = if window < 200 { 1 + window % 12 } else { 64 + window % 5 };
    let time = 10 + window * window % 3000;
    let over = match rule % 8 {
        0 | 1 => Over::Nothing,
        2..=4 => Over::Calls(usize::try_from(calls).expect("small")),
        _ => Over::Time(time),
    };
    let windowed = over != Over::Nothing;
    let has_slow = windowed && matches!(rates / 4 % 4, 1 | 2);
    let has_failures = windowed && (!has_slow || rates / 16 % 2 == 0);
    let rate = |at| [0.0, 0.25, 0.5, 1.0][usize::try_from(at % 4).expect("below four")];
    let most = if let Over::Calls(calls) = over { calls as u64 } else { 12 };
    let recovery_ms = [0, 1, 7, 100, 64_000, 3 * DAY][usize::try_from(recovery % 6).expect("< 6")];
    let multiplier = [1.0, 1.5, 2.0, 1e30][usize::try_from(recovery / 6 % 4).expect("below four")];
    Settings {
        threshold: (!windowed || rule / 8 % 2 == 0)
            .then(|| u32::try_from(1 + threshold % 4).expect("small")),
        failure_rate: has_failures.then(|| rate(rates)),
        slow: has_slow.then(|| (rate(rates / 32), [0, 1, 20][(rates / 64 % 3) as usize])),
        over,
        minimum_calls: 1 + minimum % most,
        recovery: recovery_ms,
        multiplier,
        longest: (recovery_ms * (1 + recovery / 24 % 8)).min(3 * DAY),
        probes: usize::try_from(1 + probes % 3).expect("small"),
        successes: 1 + probes / 3 % 3,
        lease: [1, 10, 130, 60_000, 3 * DAY][usize::try_from(lease % 5).expect("below five")],
    }
}

/// An operation out of any two bytes. Times are near those that the settings name.
pub(crate) fn op(settings: &Settings, [kind, detail]: [u8; 2]) -> Op {
    let at = usize::from(detail) % MOST_HELD;
    let answer = match detail / 16 % 8 {
        0..=2 => Answer::Well,
        3..=5 => Answer::Down,
        6 => Answer::Panics,
        _ => Answer::NotOurs,
    };
    match kind % 32 {
        0..=3 => Op::Ask,
        4..=6 => Op::Begin,
        7..=11 => Op::Whole(answer),
        12..=18 => Op::End(at, answer),
        19..=20 => Op::Drop(at),
        21..=25 => Op::Forward(time(settings, detail)),
        26..=27 => Op::Back(time(settings, detail)),
        28 if detail < 128 => Op::Isolate,
        28 | 29 => Op::Close,
        30 => Op::Reset,
        _ if detail < 96 => Op::SetMode(Mode::DryRun),
        _ => Op::SetMode(Mode::Enforce),
    }
}

fn time(settings: &Settings, detail: u8) -> Duration {
    let of = match detail / 32 {
        0 => return Duration::from_micros(u64::from(detail) * 250),
        1 | 2 => settings.recovery,
        3 | 4 => settings.lease,
        5 => settings.longest,
        6 => match settings.over {
            Over::Time(time) => time,
            _ => settings.slow.map_or(1, |(_, from)| from),
        },
        // Long enough for a time of 30 bits to wrap, now and then.
        _ => DAY * u64::from(detail % 32) / 2,
    };
    // From none of it to twice as much, with the edge itself and a ms on either side of it.
    let near = |eighths: u64| of / 8 * eighths + of % 8 * eighths / 8;
    Duration::from_millis(match detail % 8 {
        0 => of.saturating_sub(1),
        1 | 2 => of,
        3 => of + 1,
        4 => of * 2,
        eighths => near(u64::from(eighths) - 4),
    })
}

/// What a history came to, so that one can tell whether all was tried.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Played {
    pub(crate) steps: u64,
    pub(crate) transitions: u64,
    pub(crate) rejections: u64,
    pub(crate) stale: u64,
    pub(crate) abandoned: u64,
}

/// Plays a history to both. Settings first, then two bytes an operation.
///
/// # Panics
/// If they differ, with the history up to there.
pub(crate) fn play(setup: [u8; 8], codes: &[[u8; 2]]) -> Played {
    let settings = settings(setup);
    let clock = ManualClock::new();
    let _entered = Scope::new(clock.clone()).enter();
    let breaker = build(&settings);
    let heard = listen(&breaker);
    let naive = Naive::new(settings.clone(), micros(&clock));
    let mut both =
        Both { breaker: &breaker, naive, clock: &clock, heard: &heard, held: Vec::new(), made: 0 };
    let mut history = History { settings: &settings, ops: Vec::new() };
    let mut played = Played::default();
    for code in codes {
        let op = op(&settings, *code);
        history.ops.push(op);
        both.step(op, &history);
        both.compare(&history, &mut played);
    }
    played
}

/// What is said where both differ.
struct History<'a> {
    settings: &'a Settings,
    ops: Vec<Op>,
}

impl fmt::Display for History<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "after {:?}", self.settings)?;
        self.ops.iter().try_for_each(|op| writeln!(f, "  {op:?}"))
    }
}

struct Both<'a, C> {
    breaker: &'a CircuitBreaker<C>,
    naive: Naive,
    clock: &'a ManualClock,
    heard: &'a Mutex<Vec<Told>>,
    held: Vec<Held<'a>>,
    made: u64,
}

/// A call under way, with the naive one's number for it.
struct Held<'a> {
    number: u64,
    call: Call<'a>,
}

type Slot = Arc<Mutex<Option<Answer>>>;
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Error<Answer>>> + 'a>>;

enum Call<'a> {
    Permit(Permit<'a>),
    /// Ends when the answer is there and it is polled.
    Future(Running<'a>, Slot),
}

impl<'a, C: Classify<(), Answer>> Both<'a, C> {
    fn step(&mut self, op: Op, history: &History<'_>) {
        match op {
            Op::Ask | Op::Begin if self.held.len() >= MOST_HELD => {}
            Op::Ask => self.ask(history),
            Op::Begin => self.begin(history),
            Op::Whole(answer) => self.whole(answer, history),
            Op::End(at, answer) if at < self.held.len() => self.end(at, answer),
            Op::Drop(at) if at < self.held.len() => {
                let Held { number, call } = self.held.remove(at);
                drop(call);
                self.naive.end(number, Ending::Nothing);
            }
            Op::End(..) | Op::Drop(_) => {}
            Op::Forward(time) => self.clock.advance(time),
            Op::Back(time) => self.clock.go_back(time),
            Op::Isolate => (self.breaker.isolate(), self.naive.isolate()).1,
            Op::Close => (self.breaker.close(), self.naive.close()).1,
            Op::Reset => (self.breaker.reset(), self.naive.reset()).1,
            Op::SetMode(mode) => (self.breaker.set_mode(mode), self.naive.set_mode(mode)).1,
        }
        self.naive.set_clock(micros(self.clock));
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn ask(&mut self, history: &History<'_>) {
        let number = self.number();
        let expected = self.naive.ask(number);
        let asked = self.breaker.try_acquire().map_err(|error| error.retry_after());
        let refused = asked.as_ref().err().copied();
        same("a call refused", refused, expected.map_err(in_ms).err(), history);
        if let Ok(permit) = asked {
            self.held.push(Held { number, call: Call::Permit(permit) });
        }
    }

    fn begin(&mut self, history: &History<'_>) {
        let number = self.number();
        let expected = self.naive.ask(number);
        let answer = Slot::default();
        let mut running: Running<'a> = Box::pin(hang(self.breaker, Arc::clone(&answer)));
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                same("a call begun", Ok(()), expected, history);
                self.held.push(Held { number, call: Call::Future(running, answer) });
            }
            Poll::Ready(outcome) => {
                same("a call refused", rejection(outcome), expected.map_err(in_ms), history);
            }
        }
    }

    fn whole(&mut self, answer: Answer, history: &History<'_>) {
        let number = self.number();
        let expected = self.naive.ask(number);
        let called = Cell::new(0);
        let run = || {
            self.breaker.run_blocking(|| {
                called.set(called.get() + 1);
                answer.give()
            })
        };
        let outcome = catch_unwind(AssertUnwindSafe(run));
        same("calls of the operation", called.get(), u32::from(expected.is_ok()), history);
        if expected.is_ok() {
            self.naive.end(number, answer.ending());
            same("a panic that passes on", outcome.is_err(), answer == Answer::Panics, history);
        } else if let Ok(outcome) = outcome {
            same("a call refused", rejection(outcome), expected.map_err(in_ms), history);
        }
    }

    fn end(&mut self, at: usize, answer: Answer) {
        let Held { number, call } = self.held.remove(at);
        match call {
            Call::Permit(permit) => {
                // A panic in foreign hands is a drop; here a permanent error takes its place.
                permit.record(match answer {
                    Answer::Well => Verdict::Success,
                    Answer::Down => Verdict::TRANSIENT,
                    Answer::Panics => Verdict::Permanent,
                    Answer::NotOurs => Verdict::Ignored,
                });
            }
            Call::Future(mut running, slot) => {
                *slot.lock().expect("no panic") = Some(answer);
                let poll = || running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                let ended = catch_unwind(AssertUnwindSafe(poll));
                assert!(!matches!(ended, Ok(Poll::Pending)), "an answered call goes on");
            }
        }
        self.naive.end(number, answer.ending());
    }
}

impl<C> Both<'_, C> {
    fn compare(&mut self, history: &History<'_>, played: &mut Played) {
        let heard = std::mem::take(&mut *self.heard.lock().expect("no panic"));
        played.steps += 1;
        for told in &heard {
            match told {
                Told::Moved(_) => played.transitions += 1,
                Told::Rejected { .. } => played.rejections += 1,
                Told::Stale => played.stale += 1,
                Told::Abandoned => played.abandoned += 1,
            }
        }
        same("what is told", heard, self.naive.take_told(), history);
        same("the figures", figures(self.breaker), self.naive.figures(), history);
    }
}

/// `run` with an operation that hangs until its answer is there.
fn hang<C: Classify<(), Answer>>(
    breaker: &CircuitBreaker<C>,
    answer: Slot,
) -> impl Future<Output = Result<(), Error<Answer>>> {
    breaker.run(move || {
        let answer = Arc::clone(&answer);
        poll_fn(move |_| match *answer.lock().expect("no panic") {
            Some(answer) => Poll::Ready(answer.give()),
            None => Poll::Pending,
        })
    })
}

fn same<T: PartialEq + fmt::Debug>(what: &str, ours: T, naive: T, history: &History<'_>) {
    assert!(ours == naive, "{what} differs:\n  breaker {ours:?}\n  naive   {naive:?}\n{history}");
}

fn in_ms(wait: Option<u64>) -> Option<Duration> {
    wait.map(Duration::from_millis)
}

/// How a call that was refused says when to come back.
fn rejection(outcome: Result<(), Error<Answer>>) -> Result<(), Option<Duration>> {
    match outcome {
        Err(Error::Rejected(Rejection::CircuitBreakerOpen(error))) => Err(error.retry_after()),
        _ => Ok(()),
    }
}

fn micros(clock: &ManualClock) -> u64 {
    u64::try_from(clock.now().as_micros()).expect("a time that tests reach")
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a time that tests reach")
}

fn build(settings: &Settings) -> CircuitBreaker<impl Classify<(), Answer> + use<>> {
    let mut builder: CircuitBreakerBuilder = CircuitBreaker::builder()
        .recovery_timeout(Duration::from_millis(settings.recovery))
        .recovery_multiplier(settings.multiplier)
        .max_recovery_timeout(Duration::from_millis(settings.longest))
        .probes(u32::try_from(settings.probes).expect("small"))
        .successes_to_close(u32::try_from(settings.successes).expect("small"))
        .probe_lease(Duration::from_millis(settings.lease));
    if let Some(threshold) = settings.threshold {
        builder = builder.failure_threshold(threshold);
    }
    if let Some(rate) = settings.failure_rate {
        builder = builder.failure_rate(rate);
    }
    if let Some((rate, from)) = settings.slow {
        builder = builder.slow_call_rate(rate, Duration::from_millis(from));
    }
    let minimum = u32::try_from(settings.minimum_calls).expect("small");
    match settings.over {
        Over::Nothing => {}
        Over::Calls(calls) => {
            let calls = u32::try_from(calls).expect("small");
            builder = builder.over_calls(calls).minimum_calls(minimum);
        }
        Over::Time(time) => {
            builder = builder.over_time(Duration::from_millis(time)).minimum_calls(minimum);
        }
    }
    builder.ignore(|answer: &Answer| *answer == Answer::NotOurs).build()
}

fn listen<C>(breaker: &CircuitBreaker<C>) -> Arc<Mutex<Vec<Told>>> {
    let heard: Arc<Mutex<Vec<Told>>> = Arc::default();
    breaker.observe({
        let heard = Arc::clone(&heard);
        move |event: &Event<'_>| {
            let told = match event {
                Event::CircuitBreakerTransition { transition, .. } => {
                    Told::Moved(moved(transition))
                }
                Event::CircuitBreakerRejected { retry_after, dry_run, .. } => {
                    Told::Rejected { retry_after: retry_after.map(ms), dry_run: *dry_run }
                }
                Event::ProbeAbandoned { .. } => Told::Abandoned,
                Event::StaleOutcome { .. } => Told::Stale,
                _ => return,
            };
            heard.lock().expect("no panic").push(told);
        }
    });
    heard
}

fn moved(transition: &Transition) -> Moved {
    Moved {
        from: transition.from,
        to: transition.to,
        cause: transition.cause,
        at: transition.at.as_millis(),
        open_for: transition.open_for.map(ms),
        dry_run: transition.dry_run,
    }
}

fn figures<C>(breaker: &CircuitBreaker<C>) -> Figures {
    let counters = breaker.counters();
    Figures {
        state: breaker.state(),
        mode: breaker.mode(),
        consecutive_failures: counters.consecutive_failures,
        window: Reading {
            calls: counters.calls,
            failures: counters.failures,
            slow: counters.slow_calls,
        },
        failure_rate: breaker.failure_rate(),
        probes_in_flight: counters.probes_in_flight,
        probe_successes: counters.probe_successes,
        reopenings: counters.reopenings,
        rejected: counters.rejected,
        opened: counters.opened,
        until_probe: breaker.time_until_probe().map(ms),
        last: breaker.last_transition().as_ref().map(moved),
    }
}
