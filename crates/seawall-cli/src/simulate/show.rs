//! What was found, as text.

use rustix::termios::tcgetwinsize;
use seawall_sim::{Estimate, Findings, Metric, Scenario, Swept, Tier, Unit, report};
use std::{
    env,
    io::{self, IsTerminal},
};

/// The report for whatever stdout is.
pub(super) fn report(found: &Findings) -> String {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let is_terminal = io::stdout().is_terminal();
    let colour =
        is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb");
    let size = if is_terminal { tcgetwinsize(io::stdout()).ok() } else { None };
    let width = size.map_or(0, |size| usize::from(size.ws_col));
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    // Into a file or a pipe go the same bytes everywhere.
    let unicode = !is_terminal
        || locale.is_some_and(|locale| {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
    report::terminal(found, if width == 0 { 100 } else { width }, colour, unicode)
}

/// What one should know before one believes it.
pub(super) fn notes(found: &Findings) -> Vec<String> {
    let scenario: &Scenario = &found.scenario;
    let narrow =
        scenario.tiers.iter().min_by(|one, other| one.capacity().total_cmp(&other.capacity()));
    let (Some(rate), Some(tier)) = (scenario.rate(), narrow) else { return Vec::new() };
    let load = rate / Tier::capacity(tier);
    if load < 1.0 {
        return Vec::new();
    }
    vec![format!(
        "the load is {:.0} % of what {} can serve ({:.0} of {:.0} calls a second): it is overloaded \
         with no fault at all",
        load * 100.0,
        tier.name,
        rate,
        tier.capacity()
    )]
}

/// A figure as people write it.
fn figure(unit: Unit, value: f64) -> String {
    if !value.is_finite() {
        return "never".to_owned();
    }
    match unit {
        Unit::Times => format!("{value:.2}"),
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::Seconds if value >= 10.0 => format!("{value:.0} s"),
        Unit::Seconds if value >= 1.0 || value == 0.0 => format!("{value:.1} s"),
        Unit::Seconds => format!("{:.1} ms", value * 1e3),
        _ => format!("{value:.1}"),
    }
}

/// `1.32 (1.30 to 1.35)`
pub(super) fn interval(unit: Unit, of: Estimate) -> String {
    let [value, low, high] = [of.value, of.low, of.high].map(|value| figure(unit, value));
    if low == high { value } else { format!("{value} ({low} to {high})") }
}

/// What a table of a sweep shows; the rest is in its CSV and JSON.
const SHOWN: [Metric; 5] =
    [Metric::Amplification, Metric::Goodput, Metric::Success, Metric::Recovery, Metric::P99];

/// A sweep as a table.
pub(super) fn table(swept: &Swept) -> String {
    let heads = swept.fields.iter().cloned().chain(["policy".to_owned()]);
    let heads = heads.chain(SHOWN.map(|metric| metric.to_string()));
    let mut rows: Vec<Vec<String>> = vec![heads.collect()];
    for row in &swept.rows {
        let figures = SHOWN.map(|metric| match row.summary.get(metric) {
            Some(of) => interval(metric.unit(), of),
            None => "-".to_owned(),
        });
        let cells = row.values.iter().chain([&row.policy]).cloned();
        rows.push(cells.chain(figures).collect());
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..swept.fields.len() + 1 + SHOWN.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn sweep_json(swept: &Swept) -> String {
    // Numbers and text alone: nothing in it can fail.
    let text = serde_json::to_string_pretty(swept).unwrap_or_default();
    format!("{text}\n")
}
