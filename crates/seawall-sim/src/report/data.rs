//! The numbers for programs: JSON and CSV.

use super::words::{number, rounded};
use crate::{
    measure::Bin,
    model::scenario::{Fault, FaultKind, Scenario},
    study::{Estimate, Finding, Findings, Outlook, Point, Summary},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::time::Duration;

type Column = (&'static str, fn(&Point) -> Option<f64>);

/// The columns of a series, in order.
pub(super) const COLUMNS: [Column; 15] = [
    ("at", |point| Some(point.at)),
    ("calls", |point| Some(point.calls)),
    ("attempts", |point| Some(point.attempts)),
    ("backend", |point| Some(point.backend)),
    ("served", |point| Some(point.served)),
    ("wasted", |point| Some(point.wasted)),
    ("good", |point| Some(point.good)),
    ("degraded", |point| Some(point.degraded)),
    ("failed", |point| Some(point.failed)),
    ("rejected", |point| Some(point.rejected)),
    ("waiting", |point| Some(point.waiting)),
    ("open", |point| Some(point.open)),
    ("half_open", |point| Some(point.half_open)),
    ("p50", |point| point.p50),
    ("p99", |point| point.p99),
];

pub(super) fn json(found: &Findings) -> String {
    let document = Document {
        schema: "seawall.simulation",
        version: 1,
        complete: found.complete,
        bin: Number(found.bin),
        first_seed: found.first_seed,
        seeds: found.seeds,
        scenario: World::of(&found.scenario),
        assumptions: &found.assumptions,
        policies: found.findings.iter().map(Policy::of).collect(),
    };
    serde_json::to_string(&document).expect("plain data with names for keys")
}

/// Six digits; whole numbers without a point; null where it is none.
struct Number(f64);

impl Serialize for Number {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and less than 2^53")]
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match rounded(self.0) {
            value if !value.is_finite() => to.serialize_none(),
            value if value.fract() == 0.0 && value.abs() < 9e15 => to.serialize_i64(value as i64),
            value => to.serialize_f64(value),
        }
    }
}

fn time(length: Duration) -> Number {
    Number(length.as_secs_f64())
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: u32,
    complete: bool,
    bin: Number,
    first_seed: u64,
    seeds: u32,
    scenario: World<'a>,
    assumptions: &'a [String],
    policies: Vec<Policy<'a>>,
}

#[derive(Serialize)]
struct World<'a> {
    name: &'a str,
    about: &'a str,
    length: Number,
    clients: u32,
    rate: Option<Number>,
    steps: Vec<(Number, Number)>,
    network_delay: Number,
    tiers: Vec<Tier<'a>>,
    faults: Vec<Trouble>,
}

#[derive(Serialize)]
struct Tier<'a> {
    name: &'a str,
    shards: u32,
    workers: u32,
    service: Number,
    capacity: Number,
    queue: Option<u32>,
    shed_after: Option<Number>,
    slowdown: Number,
    pushback: bool,
}

#[derive(Serialize)]
struct Trouble {
    kind: &'static str,
    amount: Option<Number>,
    from: Number,
    lasts: Number,
    tier: Option<usize>,
    shard: Option<u32>,
}

impl<'a> World<'a> {
    fn of(scenario: &'a Scenario) -> Self {
        let tier = |tier: &'a crate::Tier| Tier {
            name: &tier.name,
            shards: tier.shards,
            workers: tier.workers,
            service: time(tier.service.mean()),
            capacity: Number(tier.capacity()),
            queue: tier.queue,
            shed_after: tier.shed_after.map(time),
            slowdown: Number(tier.slowdown),
            pushback: tier.pushback,
        };
        let steps = scenario.load.steps.iter();
        Self {
            name: &scenario.name,
            about: &scenario.about,
            length: time(scenario.length),
            clients: scenario.load.clients,
            rate: scenario.rate().map(Number),
            steps: steps.map(|(at, share)| (time(*at), Number(*share))).collect(),
            network_delay: time(scenario.network.delay.mean()),
            tiers: scenario.tiers.iter().map(tier).collect(),
            faults: scenario.faults.iter().map(Trouble::of).collect(),
        }
    }
}

impl Trouble {
    fn of(fault: &Fault) -> Self {
        let amount = match fault.kind {
            FaultKind::Errors(amount)
            | FaultKind::Capacity(amount)
            | FaultKind::Slow(amount)
            | FaultKind::Loss(amount) => Some(amount),
            FaultKind::Latency(more) => Some(more.as_secs_f64()),
            _ => None,
        };
        Self {
            kind: fault.kind.as_str(),
            amount: amount.map(Number),
            from: time(fault.from),
            lasts: time(fault.lasts),
            tier: fault.tier,
            shard: fault.shard,
        }
    }
}

#[derive(Serialize)]
struct Policy<'a> {
    name: &'a str,
    about: &'a str,
    runs: u32,
    verdict: Verdict<'a>,
    summary: Figures<'a>,
    total: &'a Bin,
    series: Series<'a>,
}

#[derive(Serialize)]
struct Verdict<'a> {
    text: &'a str,
    outlook: Outlook,
    load: Option<Interval>,
}

#[derive(Serialize)]
struct Interval {
    value: Number,
    low: Number,
    high: Number,
}

struct Figures<'a>(&'a Summary);

struct Series<'a>(&'a [Point]);

impl<'a> Policy<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            name: &finding.name,
            about: &finding.about,
            runs: finding.runs,
            verdict: Verdict {
                text: &finding.verdict.text,
                outlook: finding.verdict.outlook,
                load: finding.verdict.load.map(Interval::of),
            },
            summary: Figures(&finding.summary),
            total: &finding.total,
            series: Series(&finding.series),
        }
    }
}

impl Interval {
    const fn of(estimate: Estimate) -> Self {
        let Estimate { value, low, high } = estimate;
        Self { value: Number(value), low: Number(low), high: Number(high) }
    }
}

impl Serialize for Figures<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (metric, estimate) in self.0.iter() {
            map.serialize_entry(metric.as_str(), &Interval::of(estimate))?;
        }
        map.end()
    }
}

impl Serialize for Series<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(COLUMNS.len()))?;
        for (name, of) in COLUMNS {
            let column: Vec<Option<Number>> =
                self.0.iter().map(|point| of(point).map(Number)).collect();
            map.serialize_entry(name, &column)?;
        }
        map.end()
    }
}

pub(super) fn csv(found: &Findings) -> String {
    let mut lines = String::from("n,policy");
    COLUMNS.iter().for_each(|(name, _)| lines.extend([",", name]));
    lines.push_str("\r\n");
    for (n, finding) in found.findings.iter().enumerate() {
        let who = format!("{},{}", n + 1, field(&finding.name));
        for point in &finding.series {
            lines.push_str(&who);
            for (_, of) in COLUMNS {
                lines.push(',');
                lines.push_str(&of(point).map(number).unwrap_or_default());
            }
            lines.push_str("\r\n");
        }
    }
    lines
}

pub(super) fn csv_summary(found: &Findings) -> String {
    let mut lines = String::from("n,policy,runs,outlook,figure,value,low,high\r\n");
    for (n, finding) in found.findings.iter().enumerate() {
        let outlook = match finding.verdict.outlook {
            Outlook::Calm => "calm",
            Outlook::Throughout => "throughout",
            Outlook::Recovers => "recovers",
            Outlook::Unsure => "unsure",
            Outlook::Lasting => "lasting",
        };
        let who = format!("{},{},{},{outlook}", n + 1, field(&finding.name), finding.runs);
        for (metric, Estimate { value, low, high }) in finding.summary.iter() {
            let [value, low, high] = [value, low, high].map(number);
            lines.push_str(&format!("{who},{metric},{value},{low},{high}\r\n"));
        }
    }
    lines
}

/// Quoted where it has to be.
fn field(text: &str) -> String {
    match text.contains(['"', ',', '\r', '\n']) || text.trim() != text {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
