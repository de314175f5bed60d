//! What it comes to, in plain words, with numbers from a search over runs.

use super::{Estimate, Finding, Metric, Pool, Study, Summary, metric::recovery_from};
use crate::{
    measure::Seen,
    model::scenario::{Arrivals, Scenario, Tier},
    run::Plan,
    stack::Contender,
};
use serde::Serialize;
use std::time::Duration;

/// How a policy fares in a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// In a sentence or two.
    pub text: String,
    /// In a word.
    pub outlook: Outlook,
    /// What the search found: for [`Lasting`](Outlook::Lasting) the load, as a share of capacity, below
    /// which the service comes back; for [`Recovers`](Outlook::Recovers) the load up to which it still
    /// does. None where nothing was searched for.
    pub load: Option<Estimate>,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outlook {
    /// Nothing went wrong in this scenario.
    Calm,
    /// What goes wrong goes on to the end of the run.
    Throughout,
    /// The service comes back by itself.
    Recovers,
    /// In some runs it does, in others not.
    Unsure,
    /// What the fault began goes on without it.
    Lasting,
}

/// How far a search goes: to this share of capacity.
const FINEST: f64 = 0.01;
/// At most so many runs for each seed of a search.
const STEPS: usize = 8;
/// A world in which more calls would be made at full load is not searched: it would take minutes.
const MOST_CALLS: f64 = 2e6;
/// How long a relieved service is watched.
const WATCHED: Duration = Duration::from_secs(60);

impl Verdict {
    /// From the runs alone.
    pub(super) fn without_search(scenario: &Scenario, summary: &Summary) -> Self {
        let trouble = scenario.trouble();
        let Some((from, to)) = trouble.filter(|(_, to)| *to < scenario.length) else {
            let text = match summary.get(Metric::Availability) {
                Some(answered) => format!("{} of calls get an answer.", percent(answered)),
                None => "No calls were made.".to_owned(),
            };
            let outlook = if trouble.is_some() { Outlook::Throughout } else { Outlook::Calm };
            return Self { text, outlook, load: None };
        };
        let lasted = seconds(to.saturating_sub(from).as_secs_f64());
        let recovery = summary.get(Metric::Recovery);
        let (outlook, text) = match recovery {
            Some(recovery) if recovery.high.is_finite() => (
                Outlook::Recovers,
                format!("Comes back {} the {lasted} of trouble.", after(recovery)),
            ),
            Some(recovery) if recovery.low.is_finite() => (
                Outlook::Unsure,
                format!("Comes back in some runs after {lasted} of trouble, and in others not."),
            ),
            _ => (
                Outlook::Lasting,
                format!("Does not come back within {} after {lasted} of trouble.", rest(scenario)),
            ),
        };
        Self { text, outlook, load: None }
    }
}

/// Looks for the load at which it tips, for each policy. False if it was stopped.
pub(super) fn search(study: &Study, pool: &Pool<'_>, findings: &mut [Finding]) -> bool {
    let scenario = study.plan.scenario();
    let now = share(scenario);
    let (Some((from, to)), Some(_)) = (scenario.trouble(), now) else { return true };
    let most = scenario.tiers.iter().map(Tier::capacity).fold(0.0, f64::max);
    if !scenario.load.steps.is_empty() || most * scenario.length.as_secs_f64() > MOST_CALLS {
        return true;
    }
    let seeds = study.seeds.min(5) as usize;
    let searched: Vec<usize> = (0..findings.len())
        .filter(|n| !matches!(findings[*n].verdict.outlook, Outlook::Calm | Outlook::Throughout))
        .collect();
    pool.plan(searched.len() * seeds * STEPS);
    let found = pool.each(searched.len() * seeds, |job| {
        let n = searched[job / seeds];
        let seed = study.first_seed + (job % seeds) as u64;
        let lasting = findings[n].verdict.outlook == Outlook::Lasting;
        let search = Search { study, contender: &study.contenders[n], seed, pool };
        if lasting { search.relief(to) } else { search.limit() }
    });
    if found.iter().any(Option::is_none) {
        return false;
    }
    let trouble = seconds(to.saturating_sub(from).as_secs_f64());
    for (n, loads) in searched.into_iter().zip(found.chunks(seeds)) {
        let loads: Vec<f64> = loads.iter().flatten().flatten().copied().collect();
        let verdict = &mut findings[n].verdict;
        let Some(load) = Estimate::of(&loads) else { continue };
        verdict.load = Some(load);
        verdict.text = match verdict.outlook {
            Outlook::Lasting if load.high <= FINEST => format!(
                "With this policy the outage of {trouble} does not end, however far the load falls."
            ),
            Outlook::Lasting if now.is_some_and(|now| load.low >= now) => {
                verdict.outlook = Outlook::Unsure;
                verdict.load = None;
                format!(
                    "Comes back later than {} after the {trouble} of trouble: this run is too short \
                     to say when.",
                    rest(scenario)
                )
            }
            Outlook::Lasting => format!(
                "With this policy the outage of {trouble} lasts until load falls below {} of \
                 capacity.",
                percent(load)
            ),
            _ if load.low >= MOST => {
                format!("{} It does so at any load up to capacity.", verdict.text)
            }
            _ => format!(
                "{} Up to a load of {} of capacity it does so within {}.",
                verdict.text,
                percent(load),
                rest(scenario)
            ),
        };
    }
    true
}

/// The highest load that is tried, as a share of capacity.
const MOST: f64 = 0.99;

/// The load as a share of what the first tier can serve.
fn share(scenario: &Scenario) -> Option<f64> {
    let capacity = scenario.tiers.first()?.capacity();
    let share = scenario.rate()? / capacity;
    share.is_finite().then_some(share)
}

struct Search<'a> {
    study: &'a Study,
    contender: &'a Contender,
    seed: u64,
    pool: &'a Pool<'a>,
}

impl Search<'_> {
    /// The share between `low`, where it comes back, and `high`, where it does not.
    /// `steps` have been made already.
    fn bisect(
        &self,
        mut steps: usize,
        (mut low, mut high): (f64, f64),
        comes_back: impl Fn(f64) -> bool,
    ) -> f64 {
        while high - low > FINEST && steps < STEPS && !self.pool.is_stopped() {
            let middle = f64::midpoint(low, high);
            if comes_back(middle) {
                low = middle;
            } else {
                high = middle;
            }
            steps += 1;
        }
        self.pool.spare(STEPS - steps);
        f64::midpoint(low, high)
    }

    /// The load to which an overloaded service must be relieved to come back.
    fn relief(&self, trouble_ends: Duration) -> Option<f64> {
        let scenario = self.study.plan.scenario();
        let now = share(scenario)?;
        // Time for the trouble to settle first.
        let relieved = trouble_ends + Duration::from_secs(20);
        let comes_back = |load: f64| {
            let mut eased = scenario.clone();
            eased.load.steps = vec![(relieved, load / now)];
            eased.length = relieved + WATCHED;
            let seen = self.seen(&Plan::new(eased));
            recovery_from(relieved, &seen).is_finite() || drains(&seen)
        };
        // A longer run alone may do.
        if comes_back(now) {
            self.pool.spare(STEPS - 1);
            return Some(now);
        }
        Some(self.bisect(1, (0.0, now), comes_back))
    }

    /// The load up to which a service comes back by itself.
    fn limit(&self) -> Option<f64> {
        let scenario = self.study.plan.scenario();
        let now = share(scenario)?;
        let (_, trouble_ends) = scenario.trouble()?;
        let found = self.bisect(0, (now.min(MOST), 1.0), |load| {
            let mut loaded = scenario.clone();
            loaded.load.arrivals = Arrivals::Share(load);
            recovery_from(trouble_ends, &self.seen(&Plan::new(loaded))).is_finite()
        });
        Some(found)
    }

    fn seen(&self, plan: &Plan) -> Seen {
        let seen = plan.run_until(self.contender, self.seed, &|_| self.pool.is_stopped());
        self.pool.tell(&seen);
        seen
    }
}

/// Whether what waits at the end gets less: such a service comes back, however long it takes.
fn drains(seen: &Seen) -> bool {
    let third = WATCHED.as_nanos() / 3 / seen.bin.as_nanos().max(1);
    let third = usize::try_from(third).unwrap_or(usize::MAX).max(1);
    let mut last =
        seen.bins.rchunks(third).map(|bins| bins.iter().map(|bin| bin.waiting).sum::<u64>());
    match (last.next(), last.next()) {
        (Some(after), Some(before)) => after < before,
        _ => false,
    }
}

/// How long a run goes on after the trouble.
fn rest(scenario: &Scenario) -> String {
    let ends = scenario.trouble().map_or(Duration::ZERO, |(_, ends)| ends);
    seconds(scenario.length.saturating_sub(ends).as_secs_f64())
}

/// What the model takes for granted.
pub(super) fn assumptions(scenario: &Scenario) -> Vec<String> {
    let mut lines = Vec::new();
    let (count, each) = (scenario.load.clients, "each with a policy of its own");
    lines.push(match &scenario.load.arrivals {
        Arrivals::Users { .. } => format!(
            "{count} users, {each}; a user waits for the outcome before the next call (closed loop)"
        ),
        Arrivals::Recorded(times) => {
            format!("{} calls at recorded times from {count} clients, {each}", times.len())
        }
        _ => format!(
            "calls come at random at {:.0} a second whatever becomes of the earlier ones (open loop, \
             Poisson), from {count} clients, {each}",
            scenario.rate().unwrap_or_default()
        ),
    });
    for tier in &scenario.tiers {
        let queue = match tier.queue {
            Some(most) => format!("at most {most} wait in one queue"),
            None => "any number wait in one queue".to_owned(),
        };
        lines.push(format!(
            "{}: {} x {} workers, {} on average; {queue}, first come, first served; it does not learn \
             that a caller has gone",
            tier.name,
            tier.shards,
            tier.workers,
            seconds(tier.service.mean().as_secs_f64()),
        ));
    }
    lines.push(format!(
        "the network takes {} each way; clients need no time of their own",
        seconds(scenario.network.delay.mean().as_secs_f64())
    ));
    lines
}

/// A length of time as one says it: `12 s`, `0.5 ms`.
pub(crate) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 || s == 0.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "us"),
    };
    let digits = usize::from(value < 9.95 && (value - value.round()).abs() > 0.05);
    format!("{value:.digits$} {unit}")
}

/// `12 s (10 to 14) after`, or `at once after`.
fn after(estimate: Estimate) -> String {
    if estimate.high < 0.5 {
        return "at once after".to_owned();
    }
    let value = seconds(estimate.value);
    let (low, high) = (estimate.low.max(0.0), estimate.high);
    if format!("{low:.0}") == format!("{high:.0}") {
        return format!("{value} after");
    }
    format!("{value} ({low:.0} to {high:.0}) after")
}

/// `25 % (22 to 27)`.
fn percent(estimate: Estimate) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high]
        .map(|share| format!("{:.0}", (share * 100.0).clamp(0.0, 100.0)));
    if low == high { format!("{value} %") } else { format!("{value} % ({low} to {high})") }
}
