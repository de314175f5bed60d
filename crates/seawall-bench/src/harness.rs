//! Cases, and how they are timed: in small batches, all contenders in turn, over many rounds.
//!
//! What disturbs a batch (another process, an interrupt) only ever makes it longer, and it comes in
//! bursts. So batches are short enough for most of them to go undisturbed, the contenders take turns, so
//! that a burst falls on all of them, and what is quoted is the tenth percentile: low, since noise only
//! adds, and not the minimum, which is one batch's luck.

use crate::operation::{COUNTED, FAIL, starts};
use std::{
    cell::LazyCell,
    time::{Duration, Instant},
};

/// How a call went, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered,
    Failed,
    Rejected,
}

/// A contender's result, read.
pub(crate) trait Tells {
    fn ended(&self) -> Ended;
}

/// A contender's error, read.
pub(crate) trait Refuses {
    fn is_rejection(&self) -> bool;
}

impl<E: Refuses> Tells for Result<u64, E> {
    fn ended(&self) -> Ended {
        match self {
            Ok(_) => Ended::Answered,
            Err(error) if error.is_rejection() => Ended::Rejected,
            Err(_) => Ended::Failed,
        }
    }
}

/// What a stack with a fallback gives where the caller adds the fallback by hand.
impl Tells for u64 {
    fn ended(&self) -> Ended {
        Ended::Answered
    }
}

/// One thread's use of a case.
pub(crate) struct Runner {
    /// Makes so many calls.
    pub(crate) batch: Box<dyn FnMut(u64)>,
    /// Makes one marked call.
    pub(crate) once: Box<dyn FnMut(u64) -> Ended>,
    /// Bytes of the future that the caller holds, where there is one.
    pub(crate) future: Option<usize>,
}

/// Gives each thread its runner, over state that they share.
pub(crate) type Shared = Box<dyn Fn() -> Runner + Send + Sync>;

/// What a row promises of each of its cases; it is checked before and after measuring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    /// How often one call starts the operation.
    pub(crate) starts: u32,
    pub(crate) ended: Ended,
    /// A breaker that is closed has to open if calls go on to fail: at the latest after so many.
    pub(crate) opens_within: Option<u32>,
}

pub(crate) struct Case {
    pub(crate) row: &'static str,
    pub(crate) contender: &'static str,
    /// Calls made before measuring, which the window then holds.
    pub(crate) holds: u64,
    /// Makes the state anew.
    pub(crate) fresh: Box<dyn Fn() -> Shared>,
    pub(crate) promise: Promise,
    /// Before each batch one call fails, so that the breaker's window holds failures throughout.
    pub(crate) fails_first: bool,
    /// What shows that it opens, where that takes time and not calls: the same with a window that has
    /// gone by after the pause.
    pub(crate) proof: Option<(Box<dyn Fn() -> Shared>, Duration)>,
    /// The longest batch, in calls, where the state sets a limit.
    pub(crate) longest: u64,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.row, self.contender)
    }

    /// Holds the case to its row's promise.
    fn check(&self, runner: &mut Runner) {
        let (ended, starts) = starts(|| (runner.once)(COUNTED));
        assert_eq!(ended, self.promise.ended, "{}: how a call ends", self.name());
        assert_eq!(starts, self.promise.starts, "{}: starts of the operation", self.name());
    }

    /// Whether it opens as promised, on state of its own: how many failing calls it takes after a
    /// thousand good ones.
    fn opens_after(&self) -> Option<u32> {
        let limit = self.promise.opens_within?;
        let (fresh, pause) = match &self.proof {
            Some((fresh, pause)) => (fresh, *pause),
            None => (&self.fresh, Duration::ZERO),
        };
        let mut runner = fresh()();
        for _ in 0..1000 {
            (runner.once)(COUNTED);
        }
        std::thread::sleep(pause);
        let calls = (0..=limit).find(|_| starts(|| (runner.once)(FAIL)).1 == 0);
        assert!(calls.is_some(), "{}: closed after {limit} failing calls", self.name());
        assert_eq!((runner.once)(COUNTED), Ended::Rejected, "{}: once open", self.name());
        calls
    }
}

thread_local! {
    static RUNTIME: LazyCell<tokio::runtime::Runtime> = const { LazyCell::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }) };
}

/// Runs a future on this thread's runtime, outside of its cooperative budget.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(tokio::task::unconstrained(future)))
}

/// Makes what asks for a runtime to be there.
pub(crate) fn inside<R>(make: impl FnOnce() -> R) -> R {
    RUNTIME.with(|runtime| {
        let _inside = runtime.enter();
        make()
    })
}

/// A blocking call: `$state` is shared, each thread has a clone of it as `$s`.
macro_rules! blocking {
    ($state:expr, |$s:ident, $x:ident| $call:expr) => {
        Box::new(|| {
            let state = $state;
            Box::new(move || {
                let (mut state, mut other) = (Clone::clone(&state), Clone::clone(&state));
                Runner {
                    batch: Box::new(move |calls| {
                        let $s = &mut state;
                        for $x in 1..=calls {
                            let _ = black_box($call);
                        }
                    }),
                    once: Box::new(move |$x| {
                        let $s = &mut other;
                        $call.ended()
                    }),
                    future: None,
                }
            }) as Shared
        })
    };
}

/// The same for a call that makes a future.
macro_rules! awaited {
    ($state:expr, |$s:ident, $x:ident| $call:expr) => {
        Box::new(|| {
            let state = inside(|| $state);
            Box::new(move || {
                let (mut state, mut other) = (Clone::clone(&state), Clone::clone(&state));
                let future = {
                    let ($s, $x) = (&mut state, black_box(1u64));
                    Some(drive(async { size_of_val(&$call) }))
                };
                Runner {
                    batch: Box::new(move |calls| {
                        let $s = &mut state;
                        drive(async {
                            for $x in 1..=calls {
                                let _ = black_box($call.await);
                            }
                        })
                    }),
                    once: Box::new(move |$x| {
                        let $s = &mut other;
                        drive(async { $call.await.ended() })
                    }),
                    future,
                }
            }) as Shared
        })
    };
}

pub(crate) use {awaited, blocking};

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) batch: Duration,
}

impl Effort {
    pub(crate) const FULL: Self = Self { rounds: 300, batch: Duration::from_micros(150) };
    pub(crate) const QUICK: Self = Self { rounds: 5, batch: Duration::from_micros(50) };
}

/// Times of a call, in ns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// The tenth percentile: what is quoted.
    pub(crate) low: f64,
    pub(crate) median: f64,
    /// The ninetieth percentile.
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        Self { low: at(10), median: at(50), high: at(90) }
    }
}

pub(crate) struct Measured {
    pub(crate) row: &'static str,
    pub(crate) contender: &'static str,
    pub(crate) ns: Spread,
    pub(crate) allocations: f64,
    pub(crate) heap: f64,
    pub(crate) future: Option<usize>,
    /// Failing calls that it took to open, after a thousand good ones.
    pub(crate) opens_after: Option<u32>,
}

/// A case with its state, ready to be timed.
struct Contest<'a> {
    case: &'a Case,
    runner: Runner,
    calls: u64,
    times: Vec<f64>,
}

impl<'a> Contest<'a> {
    /// Warms the case up, and finds how many calls make a batch.
    fn new(case: &'a Case, effort: Effort) -> Self {
        let mut runner = (case.fresh)()();
        case.check(&mut runner);
        (runner.batch)(case.holds);
        let mut calls = 1;
        loop {
            let began = Instant::now();
            (runner.batch)(calls);
            let took = began.elapsed();
            if took * 2 >= effort.batch || calls * 2 > case.longest {
                break;
            }
            calls *= 2;
        }
        Self { case, runner, calls, times: Vec::with_capacity(effort.rounds) }
    }

    fn round(&mut self) {
        if self.case.fails_first {
            assert_eq!((self.runner.once)(FAIL), Ended::Failed, "{}", self.case.name());
        }
        let began = Instant::now();
        (self.runner.batch)(self.calls);
        #[expect(clippy::cast_precision_loss, reason = "a time in ns")]
        self.times.push(began.elapsed().as_nanos() as f64 / self.calls as f64);
    }

    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn end(mut self) -> Measured {
        let calls = self.calls.min(1000);
        let heap = allocation_counter::measure(|| (self.runner.batch)(calls));
        self.case.check(&mut self.runner);
        Measured {
            row: self.case.row,
            contender: self.case.contender,
            ns: Spread::of(self.times),
            allocations: heap.count_total as f64 / calls as f64,
            heap: heap.bytes_total as f64 / calls as f64,
            future: self.runner.future,
            opens_after: self.case.opens_after(),
        }
    }
}

/// Measures the cases side by side.
pub(crate) fn measure(cases: &[Case], effort: Effort) -> Vec<Measured> {
    let mut contests: Vec<_> = cases.iter().map(|case| Contest::new(case, effort)).collect();
    for _ in 0..effort.rounds {
        contests.iter_mut().for_each(Contest::round);
    }
    contests.into_iter().map(Contest::end).collect()
}
