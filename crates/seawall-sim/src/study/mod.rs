//! Several policies, many seeds: one experiment, and what it finds.

mod estimate;
mod metric;
mod verdict;

use crate::{
    measure::{Bin, Seen},
    model::scenario::Scenario,
    run::Plan,
    stack::Contender,
};
use serde::Serialize;
use std::{
    panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

pub(crate) use metric::{Figures, figures};

pub use estimate::Estimate;
pub use metric::{Metric, Summary, Unit, UnknownMetric};
pub use verdict::{Outlook, Verdict};

/// An experiment: one scenario, the policies that are compared in it, and how often each runs.
///
/// ```
/// use seawall::RetryPolicy;
/// use seawall_sim::{Contender, Metric, Scenario, Study};
/// use std::time::Duration;
///
/// let mut scenario = Scenario::default();
/// scenario.length = Duration::from_secs(10);
/// let found = Study::new(scenario)
///     .contender(Contender::policy("none", |_| ()))
///     .contender(Contender::policy("retry", |_| RetryPolicy::new()))
///     .seeds(3)
///     .run();
/// let amplification = found.findings[0].summary.get(Metric::Amplification).unwrap();
/// assert_eq!(amplification.value, 1.0);
/// ```
#[derive(Debug, Clone)]
#[must_use = "call `run`"]
pub struct Study {
    pub(crate) plan: Plan,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) seeds: u32,
    pub(crate) first_seed: u64,
    pub(crate) threads: usize,
    pub(crate) verdicts: bool,
}

/// How far an experiment is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Runs that have ended.
    pub done: usize,
    /// All that there will be; searches for a verdict are counted as they are planned, at most.
    pub all: usize,
    /// Attempts that were simulated so far.
    pub attempts: u64,
}

/// What an experiment has found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// The world that it was found in.
    pub scenario: Scenario,
    /// What the model takes for granted, in a few lines.
    pub assumptions: Vec<String>,
    /// How long a bin of the series is, in seconds.
    pub bin: f64,
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds there are, one after the other.
    pub seeds: u32,
    /// One for each policy, in the order in which they were given.
    pub findings: Vec<Finding>,
    /// False if the experiment was stopped before its end: what is there is of the runs that ended.
    pub complete: bool,
}

/// What was found of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The policy's name.
    pub name: String,
    /// Its layers, outermost first.
    pub about: String,
    /// How many runs this is of.
    pub runs: u32,
    /// The figures, each with its interval over the seeds.
    pub summary: Summary,
    /// What it comes to, in plain words.
    pub verdict: Verdict,
    /// Over time: the means over all seeds.
    pub series: Vec<Point>,
    /// All runs together.
    pub total: Bin,
}

/// A stretch of time, as the mean over all runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// When it begins, in seconds.
    pub at: f64,
    /// Calls a second that began: the offered load.
    pub calls: f64,
    /// Requests a second that clients sent.
    pub attempts: f64,
    /// Requests a second to the last tier: the load at the service.
    pub backend: f64,
    /// Requests a second that it did the work for.
    pub served: f64,
    /// Those a second whose caller had gone.
    pub wasted: f64,
    /// Calls a second that ended well: the goodput.
    pub good: f64,
    /// Calls a second that ended with a fallback.
    pub degraded: f64,
    /// Calls a second that failed.
    pub failed: f64,
    /// Those a second that a circuit breaker rejected.
    pub rejected: f64,
    /// Requests that waited at the end.
    pub waiting: f64,
    /// Breakers that were open at the end.
    pub open: f64,
    /// Breakers that were half-open at the end.
    pub half_open: f64,
    /// The median of the good calls' latency, in seconds; none where there were none.
    pub p50: Option<f64>,
    /// Its 99th percentile.
    pub p99: Option<f64>,
}

impl Study {
    /// An experiment in this world. Five seeds from 1 on, as many threads as there are cores.
    pub fn new(scenario: Scenario) -> Self {
        Self {
            plan: Plan::new(scenario),
            contenders: Vec::new(),
            seeds: 5,
            first_seed: 1,
            threads: thread::available_parallelism().map_or(1, usize::from),
            verdicts: true,
        }
    }

    /// Lets one more policy take part.
    pub fn contender(mut self, contender: Contender) -> Self {
        self.contenders.push(contender);
        self
    }

    /// Lets these take part as well.
    pub fn contenders(mut self, contenders: impl IntoIterator<Item = Contender>) -> Self {
        self.contenders.extend(contenders);
        self
    }

    /// How many times each policy runs, each with a seed of its own. Default: 5. At least 1.
    pub fn seeds(mut self, seeds: u32) -> Self {
        self.seeds = seeds.max(1);
        self
    }

    /// The first seed; the others follow. Default: 1.
    pub const fn first_seed(mut self, seed: u64) -> Self {
        self.first_seed = seed;
        self
    }

    /// On how many threads. What is found does not depend on it.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How long a bin of the measurement is. Default: 1 s.
    pub fn bin(mut self, bin: Duration) -> Self {
        self.plan = self.plan.bin(bin);
        self
    }

    /// The names of the policies, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contenders.iter().map(Contender::name)
    }

    /// Leaves out the search for a verdict's numbers: the runs themselves are all there is.
    pub const fn without_search(mut self) -> Self {
        self.verdicts = false;
        self
    }

    /// The world.
    pub fn scenario(&self) -> &Scenario {
        self.plan.scenario()
    }

    /// The same with a world that is changed a little.
    pub fn with_scenario(mut self, change: impl FnOnce(&mut Scenario)) -> Self {
        self.plan = self.plan.with_scenario(change);
        self
    }

    /// Calls its scenario so.
    pub(crate) fn describe(&mut self, name: &str, about: &str) {
        self.plan = self.plan.clone().with_scenario(|scenario| {
            name.clone_into(&mut scenario.name);
            about.clone_into(&mut scenario.about);
        });
    }

    /// Runs it.
    ///
    /// # Panics
    /// If a policy does.
    pub fn run(&self) -> Findings {
        self.run_with(&AtomicBool::new(false), &|_| ())
    }

    /// Runs it; tells how far it is after each run, and ends early where `stop` is set: with what there
    /// is.
    ///
    /// # Panics
    /// If a policy does.
    pub fn run_with(&self, stop: &AtomicBool, progress: &(dyn Fn(Progress) + Sync)) -> Findings {
        let seeds = self.seeds as usize;
        let pool = Pool::new(self.threads, stop, progress);
        pool.plan(self.contenders.len() * seeds);
        let runs = pool.all(self.contenders.len() * seeds, |job| {
            let (contender, seed) = (&self.contenders[job / seeds], job % seeds);
            self.plan.run_until(contender, self.first_seed + seed as u64, &|_| pool.is_stopped())
        });
        let mut complete = runs.iter().all(Option::is_some);
        let mut findings = Vec::new();
        for (contender, runs) in self.contenders.iter().zip(runs.chunks(seeds)) {
            let runs: Vec<&Seen> = runs.iter().flatten().collect();
            if runs.is_empty() {
                complete = false;
                continue;
            }
            let summary = Summary::of(self.plan.scenario(), &runs);
            findings.push(Finding {
                name: contender.name().to_owned(),
                about: contender.about().to_owned(),
                runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
                verdict: Verdict::without_search(self.plan.scenario(), &summary),
                summary,
                series: series(&runs),
                total: total(&runs),
            });
        }
        if self.verdicts && complete {
            complete = verdict::search(self, &pool, &mut findings);
        }
        Findings {
            scenario: self.plan.scenario().clone(),
            assumptions: verdict::assumptions(self.plan.scenario()),
            bin: self.plan.bin_length().as_secs_f64(),
            first_seed: self.first_seed,
            seeds: self.seeds,
            findings,
            complete,
        }
    }
}

/// Threads that take one job after the other. What comes out does not depend on how many there are.
pub(crate) struct Pool<'a> {
    threads: usize,
    stop: &'a AtomicBool,
    tell: &'a (dyn Fn(Progress) + Sync),
    progress: Mutex<Progress>,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(
        threads: usize,
        stop: &'a AtomicBool,
        tell: &'a (dyn Fn(Progress) + Sync),
    ) -> Self {
        let progress = Mutex::new(Progress { done: 0, all: 0, attempts: 0 });
        Self { threads, stop, tell, progress }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// So many runs more are to come.
    pub(crate) fn plan(&self, runs: usize) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).all += runs;
    }

    fn done(&self, seen: &Seen) {
        let now = {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.done += 1;
            progress.attempts += seen.total.attempts;
            *progress
        };
        (self.tell)(now);
    }

    /// What each job gives, in order; none for those that were not begun or not ended before the stop.
    pub(crate) fn all(&self, jobs: usize, run: impl Fn(usize) -> Seen + Sync) -> Vec<Option<Seen>> {
        self.each(jobs, |job| {
            let seen = run(job);
            self.done(&seen);
            seen
        })
    }

    /// As [`all`](Self::all), for jobs of several runs, which they tell of by themselves.
    pub(crate) fn each<R: Send>(
        &self,
        jobs: usize,
        run: impl Fn(usize) -> R + Sync,
    ) -> Vec<Option<R>> {
        let next = AtomicUsize::new(0);
        let results: Vec<Mutex<Option<R>>> = (0..jobs).map(|_| Mutex::new(None)).collect();
        let work = || {
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs || self.is_stopped() {
                    return;
                }
                let result = run(job);
                if !self.is_stopped() {
                    *results[job].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            }
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads.min(jobs)).map(|_| scope.spawn(work)).collect();
            work();
            for other in others {
                // The policy's own panic, not one about threads.
                other.join().unwrap_or_else(|payload| panic::resume_unwind(payload));
            }
        });
        let unlocked =
            |result: Mutex<Option<R>>| result.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().map(unlocked).collect()
    }

    pub(crate) fn tell(&self, seen: &Seen) {
        self.done(seen);
    }

    /// So many planned runs were not needed.
    pub(crate) fn spare(&self, runs: usize) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.all = progress.all.saturating_sub(runs).max(progress.done);
    }
}

fn total(runs: &[&Seen]) -> Bin {
    let mut total = Bin::default();
    runs.iter().for_each(|run| total.add(&run.total));
    total
}

fn series(runs: &[&Seen]) -> Vec<Point> {
    let longest = runs.iter().map(|run| run.bins.len()).max().unwrap_or_default();
    (0..longest)
        .map(|n| {
            let bins: Vec<&Bin> = runs.iter().filter_map(|run| run.bins.get(n)).collect();
            let count = bins.len() as f64;
            let seconds = runs[0].bin.as_secs_f64();
            let sum = |of: fn(&Bin) -> u64| bins.iter().map(|bin| of(bin)).sum::<u64>() as f64;
            let rate = |of| sum(of) / count / seconds;
            let mut latencies = crate::measure::Latencies::default();
            bins.iter().for_each(|bin| latencies.merge(&bin.latencies));
            let quantile = |share| latencies.quantile(share).map(|span| span.as_secs_f64());
            Point {
                at: n as f64 * seconds,
                calls: rate(|bin| bin.calls),
                attempts: rate(|bin| bin.attempts),
                backend: rate(|bin| bin.backend),
                served: rate(|bin| bin.served),
                wasted: rate(|bin| bin.wasted),
                good: rate(|bin| bin.good),
                degraded: rate(|bin| bin.degraded),
                failed: rate(|bin| bin.failed),
                rejected: rate(|bin| bin.rejected),
                waiting: sum(|bin| bin.waiting) / count,
                open: sum(|bin| u64::from(bin.open)) / count,
                half_open: sum(|bin| u64::from(bin.half_open)) / count,
                p50: quantile(0.5),
                p99: quantile(0.99),
            }
        })
        .collect()
}
