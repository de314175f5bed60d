//! What an experiment has found, shown: on a terminal, as one page, as a picture, as data.
//!
//! | | what for |
//! |---|---|
//! | [`terminal`] | a report to read at once, at any width, with or without colour and Unicode |
//! | [`html`] | one file for a colleague: pictures, verdicts, figures, and the numbers themselves |
//! | [`svg`] | the comparison alone, for a README |
//! | [`json`], [`csv`], [`csv_summary`] | the numbers, in shapes that stay |
//!
//! The same findings give the same bytes, on every machine: no clock, no locale, no chance.
//!
//! ```
//! use seawall::RetryPolicy;
//! use seawall_sim::{Contender, Scenario, Study, report};
//! use std::time::Duration;
//!
//! let mut scenario = Scenario::default();
//! scenario.length = Duration::from_secs(20);
//! let found = Study::new(scenario)
//!     .contender(Contender::policy("none", |_| ()))
//!     .contender(Contender::policy("retry", |_| RetryPolicy::new()))
//!     .seeds(2)
//!     .run();
//! let shown = report::terminal(&found, 80, false, true);
//! assert!(shown.lines().any(|line| line.starts_with("amplification")));
//! assert!(report::html(&found).starts_with("<!DOCTYPE html>"));
//! ```

mod chart;
mod comparison;
mod data;
mod page;
mod palette;
mod plot;
mod table;
mod terminal;
mod words;

use crate::study::Findings;

/// A report for a terminal, `width` columns wide (held to 40..=160), in lines that end with `\n`.
///
/// `colour`: ANSI colours, which never say anything that the text does not. `unicode`: block characters
/// and names as they are; else ASCII alone, in which other letters of a name become `?`. Control
/// characters in names never reach the terminal.
pub fn terminal(found: &Findings, width: usize, colour: bool, unicode: bool) -> String {
    terminal::report(found, width, terminal::Style { colour, unicode })
}

/// One self-contained page: it loads nothing, and works offline and without scripts.
///
/// Verdicts, the policies in one picture, each policy in detail, all figures with their intervals, what
/// the model takes for granted, how to make it again, and the numbers as [`json`]. With scripts on, a
/// slider and the pointer read values off the pictures, series can be hidden, and the numbers saved.
pub fn html(found: &Findings) -> String {
    page::page(found)
}

/// The comparison alone, as an SVG file: goodput and load at the service over time, the trouble shaded.
/// It follows the reader's light or dark colours.
pub fn svg(found: &Findings) -> String {
    comparison::file(found)
}

/// The numbers, as one JSON object in a line:
///
/// ```text
/// schema       "seawall.simulation"
/// version      1; a change that could break a reader makes it 2
/// complete     false if the experiment was stopped before its end
/// bin          seconds that a point of the series stands for
/// first_seed, seeds
/// scenario     name, about, length, clients, rate (calls a second, or null), steps ([[second, share]]),
///              network_delay, tiers ([{name, shards, workers, service, capacity, queue, shed_after,
///              slowdown, pushback}]), faults ([{kind, amount, from, lasts, tier, shard}])
/// assumptions  [line]
/// policies     [{name, about, runs, verdict, summary, total, series}], in the order given
///   verdict    {text, outlook: "calm" | "recovers" | "unsure" | "lasting", load: estimate or null}
///   summary    {name of a figure: estimate}; a figure that no run has is left out
///   total      counts over all runs, and how many of them ended in which way
///   series     {at: [..], calls: [..], ..}: one list for each column of [`csv`], all as long
/// estimate     {value, low, high}; null in it: without end
/// ```
///
/// Times are in seconds, rates by the second. A fault's amount is a share, a factor, or seconds, as its
/// kind has it. Numbers have six significant digits; one that is none (no call was good, so there is no
/// latency) is null.
pub fn json(found: &Findings) -> String {
    data::json(found)
}

/// The series as CSV (RFC 4180, lines end with CR LF): a row for each policy and point in time.
///
/// Columns: `n` (the policy's place, from 1), `policy`, then `at` (seconds), `calls`, `attempts`,
/// `backend`, `served`, `wasted`, `good`, `degraded`, `failed`, `rejected` (all by the second), `waiting`,
/// `open`, `half_open` (how many at the end of the stretch), `p50`, `p99` (seconds; empty where no call
/// was good), as [`Point`](crate::Point) has them.
pub fn csv(found: &Findings) -> String {
    data::csv(found)
}

/// The figures as CSV (RFC 4180): a row for each policy and figure.
///
/// Columns: `n`, `policy`, `runs`, `outlook`, `figure` (as in [`Metric`](crate::Metric)), `value`, `low`,
/// `high`; `inf` where there is no end.
pub fn csv_summary(found: &Findings) -> String {
    data::csv_summary(found)
}
