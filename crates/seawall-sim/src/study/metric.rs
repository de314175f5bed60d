//! The figures of a run.

use super::Estimate;
use crate::{measure::Seen, model::scenario::Scenario};
use serde::{Serialize, ser::SerializeMap};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// A figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Requests to the last tier for each call.
    Amplification,
    /// The most of that in any five seconds.
    PeakAmplification,
    /// The most requests a second to the last tier, as a share of what it can serve.
    PeakLoad,
    /// Calls a second that ended with the service's own answer.
    Goodput,
    /// The share of calls that ended so.
    Success,
    /// The share of calls that ended with an answer, a fallback's too.
    Availability,
    /// The share of calls that a circuit breaker rejected.
    Rejected,
    /// The share of the last tier's work that nobody waited for any more.
    Wasted,
    /// Seconds from the end of the last fault until 95 % of the calls of five seconds are good. Infinite
    /// where that never happens. Zero without a fault, and where the fault goes on to the end.
    Recovery,
    /// The median latency of good calls, in seconds.
    P50,
    /// Their 99th percentile.
    P99,
    /// Their 99.9th percentile.
    P999,
    /// How often breakers opened.
    Opened,
    /// The most breakers that began to probe in one bin.
    PeakProbes,
    /// When the last call ended, in seconds.
    Makespan,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Amplification,
        Self::PeakAmplification,
        Self::PeakLoad,
        Self::Goodput,
        Self::Success,
        Self::Availability,
        Self::Rejected,
        Self::Wasted,
        Self::Recovery,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Opened,
        Self::PeakProbes,
        Self::Makespan,
    ];

    /// Its name, as in `--assert 'amplification <= 1.3'`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amplification => "amplification",
            Self::PeakAmplification => "peak_amplification",
            Self::PeakLoad => "peak_load",
            Self::Goodput => "goodput",
            Self::Success => "success",
            Self::Availability => "availability",
            Self::Rejected => "rejected",
            Self::Wasted => "wasted",
            Self::Recovery => "recovery",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Opened => "opened",
            Self::PeakProbes => "peak_probes",
            Self::Makespan => "makespan",
        }
    }

    /// What it is counted in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Amplification | Self::PeakAmplification => Unit::Times,
            Self::PeakLoad | Self::Success | Self::Availability | Self::Rejected | Self::Wasted => {
                Unit::Share
            }
            Self::Goodput => Unit::PerSecond,
            Self::Recovery | Self::P50 | Self::P99 | Self::P999 | Self::Makespan => Unit::Seconds,
            Self::Opened | Self::PeakProbes => Unit::Count,
        }
    }

    /// What it can be.
    fn range(self) -> (f64, f64) {
        match self.unit() {
            Unit::Share if self != Self::PeakLoad => (0.0, 1.0),
            _ => (0.0, f64::INFINITY),
        }
    }

    /// Whether less of it is better.
    pub const fn is_better_low(self) -> bool {
        !matches!(self, Self::Goodput | Self::Success | Self::Availability)
    }

    /// Of one run; none where the run has nothing to take it from.
    pub(crate) fn of(self, scenario: &Scenario, run: &Seen) -> Option<f64> {
        let total = &run.total;
        let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
        let length = scenario.length.as_secs_f64();
        let latency = |at| total.latencies.quantile(at).map(|span: Duration| span.as_secs_f64());
        match self {
            Self::Amplification => share(total.backend, total.calls),
            Self::PeakAmplification => windows(run)
                .filter_map(|bins| {
                    let sum = |of: fn(&crate::Bin) -> u64| bins.iter().map(of).sum::<u64>();
                    share(sum(|bin| bin.backend), sum(|bin| bin.calls))
                })
                .max_by(f64::total_cmp),
            Self::PeakLoad => {
                let capacity = scenario.tiers.last()?.capacity() * run.bin.as_secs_f64();
                let most = run.bins.iter().map(|bin| bin.backend).max()?;
                (capacity.is_finite() && capacity > 0.0).then(|| most as f64 / capacity)
            }
            Self::Goodput => Some(total.good as f64 / length),
            Self::Success => share(total.good, total.calls),
            Self::Availability => share(total.good + total.degraded, total.calls),
            Self::Rejected => share(total.rejected, total.calls),
            Self::Wasted => share(total.wasted, total.served),
            Self::Recovery => Some(recovery(scenario, run)),
            Self::P50 => latency(0.5),
            Self::P99 => latency(0.99),
            Self::P999 => latency(0.999),
            Self::Opened => Some(run.opened as f64),
            Self::PeakProbes => Some(run.bins.iter().map(|bin| bin.probed).max()? as f64),
            Self::Makespan => Some(run.last_end as f64 / 1e9),
        }
    }
}

/// Every five seconds in a row, or the whole run where it is shorter.
fn windows(run: &Seen) -> impl Iterator<Item = &[crate::Bin]> {
    run.bins.windows(window(run).min(run.bins.len()).max(1))
}

/// How many bins five seconds are.
fn window(run: &Seen) -> usize {
    let bins = Duration::from_secs(5).as_nanos() / run.bin.as_nanos().max(1);
    usize::try_from(bins).unwrap_or(usize::MAX).max(1)
}

/// How many seconds after the last fault 95 % of the calls of five seconds are good.
pub(crate) fn recovery(scenario: &Scenario, run: &Seen) -> f64 {
    match scenario.trouble() {
        Some((_, end)) if end < scenario.length => recovery_from(end, run),
        _ => 0.0,
    }
}

/// As [`recovery`], from `end` on.
pub(crate) fn recovery_from(end: Duration, run: &Seen) -> f64 {
    let bin = run.bin.as_secs_f64();
    let first = (end.as_secs_f64() / bin).ceil();
    let (length, found) = (window(run), run.bins.iter().enumerate());
    for (from, _) in found.filter(|(from, _)| *from as f64 >= first) {
        let Some(bins) = run.bins.get(from..from + length) else { break };
        let good: u64 = bins.iter().map(|bin| bin.good).sum();
        let calls: u64 = bins.iter().map(|bin| bin.calls).sum();
        if good as f64 >= 0.95 * calls as f64 {
            return from as f64 * bin - end.as_secs_f64();
        }
    }
    f64::INFINITY
}

/// In its own words.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No figure has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMetric(String);

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no figure is called `{}`; there are ", self.0)?;
        for (n, metric) in Metric::ALL.iter().enumerate() {
            write!(f, "{}{metric}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownMetric {}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        let found = Self::ALL.into_iter().find(|metric| metric.as_str() == name);
        found.ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Times something else: `1.3`.
    Times,
    /// A share of 1.
    Share,
    /// So many a second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
}

/// All figures of one run, in the order of [`Metric::ALL`].
pub(crate) type Figures = [Option<f64>; Metric::ALL.len()];

pub(crate) fn figures(scenario: &Scenario, run: &Seen) -> Figures {
    Metric::ALL.map(|metric| metric.of(scenario, run))
}

/// The figures of several runs of one policy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary(BTreeMap<Metric, Estimate>);

impl Summary {
    pub(crate) fn of(scenario: &Scenario, runs: &[&Seen]) -> Self {
        let runs: Vec<Figures> = runs.iter().map(|run| figures(scenario, run)).collect();
        Self::of_figures(&runs)
    }

    pub(crate) fn of_figures(runs: &[Figures]) -> Self {
        let all = Metric::ALL.into_iter().enumerate();
        Self(
            all.filter_map(|(n, metric)| {
                let figures: Vec<f64> = runs.iter().filter_map(|run| run[n]).collect();
                Some((metric, Estimate::of(&figures)?.within(metric.range())))
            })
            .collect(),
        )
    }

    /// One of them; none where no run has it: there is no latency where no call was good.
    pub fn get(&self, metric: Metric) -> Option<Estimate> {
        self.0.get(&metric).copied()
    }

    /// All that there are.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, Estimate)> + '_ {
        self.0.iter().map(|(metric, estimate)| (*metric, *estimate))
    }
}

impl Serialize for Summary {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (metric, estimate) in &self.0 {
            map.serialize_entry(metric.as_str(), estimate)?;
        }
        map.end()
    }
}
