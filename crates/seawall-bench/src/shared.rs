//! One breaker, one thread and then two: whether a second processor is of any use.
//!
//! Contention does not only add to a time: a thread that is taken off its processor leaves the other one
//! alone with the breaker, and that one gets faster. So rounds in which a thread was preempted do not
//! count, and what is quoted is the median.

use crate::{
    cases::{BARE, SHARED_ROWS},
    harness::{Case, Effort, Runner, Shared, Spread},
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::{
    fs,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) struct Pair {
    pub(crate) row: &'static str,
    pub(crate) contender: &'static str,
    /// Calls a second, in millions, by one thread and by two together.
    pub(crate) one: f64,
    pub(crate) two: f64,
}

impl Pair {
    pub(crate) fn ratio(&self) -> f64 {
        self.two / self.one
    }
}

/// Measures every case of the shared rows, or nothing on a machine with one processor.
pub(crate) fn measure(cases: &[Case], effort: Effort) -> Vec<Pair> {
    let processors = processors();
    if processors.len() < 2 {
        return Vec::new();
    }
    let is_shared = |case: &&Case| {
        let row =
            SHARED_ROWS.contains(&case.row) || (case.row, case.contender) == ("bare/async", BARE);
        // A batch has to be long enough for both threads to be in it.
        row && case.longest >= 1 << 20
    };
    cases.iter().filter(is_shared).map(|case| pair(case, effort, &processors)).collect()
}

fn processors() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()
}

/// How often this thread was taken off its processor against its will.
fn preemptions() -> Option<u64> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

fn pair(case: &Case, effort: Effort, processors: &[usize]) -> Pair {
    let shared = (case.fresh)();
    let calls = batch(&mut shared(), effort.batch * 8);
    let mut times = [Vec::new(), Vec::new()];
    let mut disturbed = [Vec::new(), Vec::new()];
    let rounds = effort.rounds / 5;
    // Two threads that hand a lock to and fro can take a second for a round: enough is enough.
    let began = Instant::now();
    while times[1].len() < rounds.max(3) && began.elapsed() < effort.batch * 20_000 {
        for threads in [1, 2] {
            let (took, clean) = round(&shared, &processors[..threads], calls);
            let kept = if clean { &mut times } else { &mut disturbed };
            kept[threads - 1].push(took);
        }
    }
    let [one, two] = [0, 1].map(|threads| {
        let mut times = std::mem::take(&mut times[threads]);
        if times.len() < 3 {
            times.append(&mut disturbed[threads]);
        }
        Spread::of(times).median
    });
    Pair { row: case.row, contender: case.contender, one: 1e3 / one, two: 2e3 / two }
}

/// How many calls take about that long.
fn batch(runner: &mut Runner, target: Duration) -> u64 {
    let mut calls = 100;
    loop {
        let began = Instant::now();
        (runner.batch)(calls);
        if began.elapsed() * 2 >= target {
            return calls;
        }
        calls *= 2;
    }
}

/// The time of a call in ns, by the slower thread, and whether nothing came between.
fn round(shared: &Shared, processors: &[usize], calls: u64) -> (f64, bool) {
    let (gate, ready) = (Barrier::new(processors.len()), AtomicUsize::new(0));
    let run = |processor: usize| {
        let mut set = CpuSet::new();
        set.set(processor);
        let _ = sched_setaffinity(None, &set);
        let mut runner = shared();
        (runner.batch)(100);
        gate.wait();
        // Both are awake before either starts.
        ready.fetch_add(1, Relaxed);
        while ready.load(Relaxed) < processors.len() {
            std::hint::spin_loop();
        }
        let before = preemptions();
        let began = Instant::now();
        (runner.batch)(calls);
        let took = began.elapsed();
        #[expect(clippy::cast_precision_loss, reason = "a time in ns")]
        (took.as_nanos() as f64 / calls as f64, before == preemptions())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = processors.iter().map(|at| scope.spawn(|| run(*at))).collect();
        threads.into_iter().fold((0.0, true), |(slowest, clean), thread| {
            let (took, undisturbed) = thread.join().expect("no case panics");
            (f64::max(slowest, took), clean && undisturbed)
        })
    })
}
