//! The figures of all policies, one row for each figure.

use super::words::{digits, with_digits};
use crate::study::{Estimate, Finding, Findings, Metric, Unit};

/// A figure of every policy.
pub(super) struct Row {
    pub(super) metric: Metric,
    /// What it is, in a word or two.
    pub(super) label: &'static str,
    /// What it is counted in: `%`, `ms`, or nothing.
    pub(super) unit: &'static str,
    pub(super) cells: Vec<Cell>,
}

/// A figure of one policy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// In the row's unit; none where no run has it.
    pub(super) figure: Option<Estimate>,
    /// No other policy is better in this row, and some are worse.
    pub(super) best: bool,
}

/// What is shown where there is little room.
pub(super) const SHORT: [Metric; 8] = [
    Metric::Amplification,
    Metric::PeakLoad,
    Metric::Goodput,
    Metric::Success,
    Metric::Wasted,
    Metric::Recovery,
    Metric::P50,
    Metric::P99,
];

/// What it is called, and what that means.
pub(super) const fn words(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::Amplification => ("amplification", "requests to the service for each call"),
        Metric::PeakAmplification => ("peak amplification", "the most of that in any five seconds"),
        Metric::PeakLoad => ("peak load", "the most requests a second, of what it can serve"),
        Metric::Goodput => ("goodput", "calls that ended with the service's own answer"),
        Metric::Success => ("success", "the share of calls that ended so"),
        Metric::Availability => ("availability", "as success, fallbacks counted too"),
        Metric::Rejected => ("rejected", "the share of calls that a breaker rejected"),
        Metric::Wasted => ("wasted work", "the share of the work that nobody waited for any more"),
        Metric::Recovery => {
            ("recovery", "from the end of the trouble until 95 % of calls are good")
        }
        Metric::P50 => ("median latency", "of good calls"),
        Metric::P99 => ("99th percentile", "of good calls' latency"),
        Metric::P999 => ("99.9th percentile", "of good calls' latency"),
        Metric::Opened => ("breakers opened", "how often, in all clients together"),
        Metric::PeakProbes => ("peak probes", "the most breakers that began to probe in one bin"),
        Metric::Makespan => ("last call ended", "since the beginning"),
    }
}

/// Whether it tells anything good of the policy to be ahead in this. Who has no breaker rejects no call;
/// and who lets most calls fail can have the rest fast.
fn competes(found: &Findings, metric: Metric, n: usize) -> bool {
    let success = |finding: &Finding| finding.summary.get(Metric::Success).map(|one| one.value);
    match metric {
        Metric::Rejected | Metric::Opened | Metric::PeakProbes | Metric::Makespan => false,
        Metric::P50 | Metric::P99 | Metric::P999 => {
            let best = found.findings.iter().filter_map(success).fold(0.0, f64::max);
            success(&found.findings[n]).is_none_or(|own| own >= 0.9 * best)
        }
        _ => true,
    }
}

/// A row for each of these that any policy has.
pub(super) fn rows(found: &Findings, metrics: &[Metric]) -> Vec<Row> {
    metrics.iter().filter_map(|metric| row(found, *metric)).collect()
}

fn row(found: &Findings, metric: Metric) -> Option<Row> {
    let figures: Vec<Option<Estimate>> =
        found.findings.iter().map(|finding| finding.summary.get(metric)).collect();
    let greatest = figures.iter().flatten().map(|figure| figure.value).filter(|v| v.is_finite());
    let greatest = greatest.fold(0.0, f64::max);
    figures.iter().flatten().next()?;
    let (factor, unit) = match metric.unit() {
        Unit::Times => (1.0, "x"),
        Unit::Share => (100.0, "%"),
        Unit::PerSecond => (1.0, "/s"),
        Unit::Seconds if greatest < 10.0 && metric != Metric::Recovery => (1e3, "ms"),
        Unit::Seconds => (1.0, "s"),
        Unit::Count => (1.0, ""),
    };
    let scaled = |figure: Estimate| Estimate {
        value: figure.value * factor,
        low: figure.low * factor,
        high: figure.high * factor,
    };
    let figures: Vec<Option<Estimate>> = figures.into_iter().map(|one| one.map(scaled)).collect();
    // What is shown alike is as good.
    let shown = |one: &Option<Estimate>| one.map(value);
    let rank = |one: &Estimate| if metric.is_better_low() { one.value } else { -one.value };
    let takes_part: Vec<bool> = (0..figures.len()).map(|n| competes(found, metric, n)).collect();
    let numbers = figures.iter().zip(&takes_part).filter_map(|(one, takes)| one.filter(|_| *takes));
    let numbers = numbers.filter(|figure| !figure.value.is_nan());
    let best = numbers.min_by(|a, b| rank(a).total_cmp(&rank(b)));
    let all_alike = figures.iter().all(|one| shown(one) == shown(&figures[0]));
    let is_contest = takes_part.iter().filter(|takes| **takes).count() > 1;
    let cells = figures.iter().zip(takes_part).map(|(figure, takes)| Cell {
        figure: *figure,
        best: takes
            && is_contest
            && !all_alike
            && figure.is_some()
            && shown(figure) == shown(&best),
    });
    Some(Row { metric, label: words(metric).0, unit, cells: cells.collect() })
}

/// The figure alone.
pub(super) fn value(figure: Estimate) -> String {
    with_digits(figure.value, digits(figure.value))
}

/// How far it may be off: the two ends of the interval, with the figure's digits. None where that shows
/// nothing more than the figure.
pub(super) fn interval(figure: Estimate) -> Option<(String, String)> {
    let figures = if figure.value.is_finite() { figure.value } else { figure.low };
    let digits = digits(figures);
    // None of the figures can be less than nothing; the interval's formula does not know that.
    let end = |end: f64| with_digits(end.max(0.0), digits);
    let (low, high) = (end(figure.low), end(figure.high));
    (low != high || low != value(figure)).then_some((low, high))
}

/// Half of the interval, where it lies evenly around the figure.
pub(super) fn spread(figure: Estimate) -> Option<String> {
    let half = (figure.high - figure.low) / 2.0;
    let shown = with_digits(half, digits(figure.value));
    let is_nothing = shown.chars().all(|letter| matches!(letter, '0' | '.'));
    (half.is_finite() && !is_nothing).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(low: f64, value: f64, high: f64) -> Estimate {
        Estimate { value, low, high }
    }

    #[test]
    fn an_interval_is_shown_where_it_says_more_than_the_figure() {
        let some = estimate(2.70, 2.73, 2.76);
        assert_eq!(value(some), "2.73");
        assert_eq!(interval(some), Some(("2.70".into(), "2.76".into())));
        assert_eq!(spread(some), Some("0.03".into()));
        let exact = estimate(1.0, 1.0, 1.0);
        assert_eq!((interval(exact), spread(exact)), (None, None));
    }

    #[test]
    fn what_never_ends_is_said_so() {
        let never = f64::INFINITY;
        assert_eq!(value(estimate(never, never, never)), "never");
        assert_eq!(interval(estimate(never, never, never)), None);
        assert_eq!(interval(estimate(9.0, 12.0, never)), Some(("9.0".into(), "never".into())));
        assert_eq!(interval(estimate(9.0, never, never)), Some(("9.00".into(), "never".into())));
        assert_eq!(spread(estimate(9.0, 12.0, never)), None);
        assert_eq!(value(estimate(f64::NAN, f64::NAN, f64::NAN)), "none");
    }

    #[test]
    fn an_interval_does_not_go_below_nothing() {
        assert_eq!(interval(estimate(-0.4, 0.5, 1.4)), Some(("0.00".into(), "1.40".into())));
    }
}
