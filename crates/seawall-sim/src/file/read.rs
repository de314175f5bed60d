//! A file's values to a world: every one is checked, and what the whole would cost.

use super::{
    fields::{Fields, Numbers, wrong},
    span,
};
use crate::model::scenario::{Arrivals, Fault, FaultKind, Load, Network, Scenario, Tier};
use seawall::config::{
    ProblemKind,
    door::{Problems, Told, Tree, Value},
};
use std::{collections::HashMap, time::Duration};

/// What a file may hold.
pub(super) const TOP: [&str; 15] = [
    "name",
    "about",
    "length",
    "seeds",
    "seed",
    "bin",
    "load",
    "network",
    "service",
    "tier",
    "fault",
    "policies",
    "compare",
    "per_shard",
    "$schema",
];
const LOAD: [&str; 7] = ["share", "rate", "users", "think", "recorded", "clients", "steps"];
/// What says how calls come: one of them.
pub(super) const ARRIVALS: [&str; 4] = ["share", "rate", "users", "recorded"];
const TIER: [&str; 9] = [
    "name",
    "shards",
    "workers",
    "time",
    "queue",
    "shed_after",
    "slowdown",
    "contended",
    "pushback",
];
const FAULT: [&str; 8] = ["kind", "from", "for", "tier", "shard", "share", "factor", "delay"];
const KINDS: [&str; 9] =
    ["stall", "refuse", "dead", "errors", "capacity", "slow", "latency", "loss", "restart"];

const MOST_CLIENTS: u32 = 2_000_000;
const MOST_WORKERS: u32 = 1_000_000;
const MOST_SHARDS: u32 = 10_000;
const MOST_TIERS: usize = 16;
const MOST_FAULTS: usize = 200;
const MOST_STEPS: usize = 1000;
const MOST_SEEDS: u32 = 10_000;
/// What every reader of JSON can hold.
const MOST_SEED: u64 = 1 << 53;
/// Calls of one run: each may wait in a queue without bound, and all take their time.
const MOST_CALLS: f64 = 1e8;
/// Bins of one run, each of which holds a histogram.
const MOST_BINS: u128 = 10_000;
const MOST_RATE: f64 = 1e9;
const MS: Duration = Duration::from_millis(1);
const US: Duration = Duration::from_micros(1);
const DAYS_30: Duration = Duration::from_secs(30 * 24 * 3600);
/// What is simulated after the last fault where no length is given.
const AFTER: Duration = Duration::from_secs(100);
/// When a fault begins where that is not given.
const FAULT_FROM: Duration = Duration::from_secs(30);

/// What a file says of the world and of the experiment in it, but for the policies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct World {
    pub(super) scenario: Scenario,
    pub(super) seeds: u32,
    pub(super) seed: u64,
    pub(super) bin: Duration,
}

/// The top of a file.
pub(super) fn top<'a>(tree: &'a Tree, problems: &mut Problems) -> Fields<'a> {
    Fields::of_members(tree.members(), "", tree.place(), &TOP, problems)
}

/// `name` is what it is called where it says nothing of that.
pub(super) fn world(top: &Fields<'_>, name: &str, problems: &mut Problems) -> World {
    let tiers = tiers(top, problems);
    let faults = faults(top, &tiers, problems);
    let last = faults.iter().map(Fault::ends).max().unwrap_or_default();
    let length =
        top.length("length", (MS, DAYS_30), problems).unwrap_or(last.saturating_add(AFTER));
    let load = load(top, problems);
    let scenario = Scenario {
        name: top.text("name", problems).unwrap_or(name).to_owned(),
        about: top.text("about", problems).unwrap_or_default().to_owned(),
        length,
        load,
        network: network(top, problems),
        tiers,
        faults,
    };
    let world = World {
        scenario,
        seeds: top.count("seeds", (1, MOST_SEEDS), problems).unwrap_or(5),
        seed: top.whole("seed", (0, MOST_SEED), problems).unwrap_or(1),
        bin: top.length("bin", (MS, DAYS_30), problems).unwrap_or(Duration::from_secs(1)),
    };
    if problems.is_empty() {
        costs(top, &world, problems);
    }
    world
}

/// What only the whole can tell: whether it ends, and fits.
fn costs(top: &Fields<'_>, world: &World, problems: &mut Problems) {
    let scenario = &world.scenario;
    let length = scenario.length;
    for fault in scenario.faults.iter().filter(|fault| fault.from >= length) {
        let message = format!(
            "the {} begins {:?} after the start, but the run is over at {length:?}",
            fault.kind.as_str(),
            fault.from
        );
        let why = "a longer `length`, or an earlier `from`";
        let told = Told::new(ProblemKind::InvalidValue, top.place("fault"), message);
        problems.add(told.field(top.path("fault")).note(why));
    }
    let bins = length.as_nanos().div_ceil(world.bin.as_nanos().max(1));
    if bins > MOST_BINS {
        let message = format!(
            "a `length` of {length:?} makes {bins} bins of {:?}, and at most {MOST_BINS} are kept: \
             make `bin` longer, or `length` shorter",
            world.bin
        );
        let field = if top.has("bin") { "bin" } else { "length" };
        top.refuse(field, message, problems);
    }
    let highest = scenario.load.steps.iter().map(|(_, factor)| *factor).fold(1.0, f64::max);
    let (calls, how) = match (&scenario.load.arrivals, scenario.rate()) {
        (Arrivals::Users { think }, _) => {
            let cycle = think.mean() + 2 * scenario.network.delay.mean();
            let users = scenario.load.clients;
            let each = length.as_secs_f64() / cycle.as_secs_f64();
            (f64::from(users) * each, format!("{users} users who think for {:?}", think.mean()))
        }
        (_, Some(rate)) => {
            (rate * highest * length.as_secs_f64(), format!("{:.0} a second", rate * highest))
        }
        _ => return,
    };
    // Not `>`, which lets NaN through.
    if !matches!(calls.partial_cmp(&MOST_CALLS), Some(std::cmp::Ordering::Less)) {
        let message = format!(
            "{how} for {length:?} come to up to {calls:.0} calls, and a run has less than \
             {MOST_CALLS:.0}: make the load less, or `length` shorter"
        );
        let told = Told::new(ProblemKind::InvalidValue, top.place("load"), message);
        problems.add(told.field(top.path("load")));
    }
}

fn load(top: &Fields<'_>, problems: &mut Problems) -> Load {
    let mut load = Load::default();
    let Some(value) = top.get("load") else { return load };
    let share = Numbers::above_zero(100.0);
    if value.members().is_none() {
        // `load = 0.8` is short for its share.
        if let Some(share) = top.number("load", share, problems) {
            load.arrivals = Arrivals::Share(share);
        }
        return load;
    }
    let Some(fields) = Fields::of(value, "load", &LOAD, problems) else { return load };
    let one = fields.only_one(&ARRIVALS, problems);
    if one != Some("users") {
        fields.none_of(&["think"], "an open loop: it is how long `users` wait", problems);
    }
    let clients = fields.count("clients", (1, MOST_CLIENTS), problems);
    load.clients = clients.unwrap_or(load.clients);
    let arrivals = match one {
        Some("rate") => {
            fields.number("rate", Numbers::above_zero(MOST_RATE), problems).map(Arrivals::Rate)
        }
        Some("users") => {
            fields.none_of(&["clients", "steps"], "`users`, who are the clients", problems);
            let users = fields.count("users", (1, MOST_CLIENTS), problems);
            load.clients = users.unwrap_or(load.clients);
            if !fields.has("think") {
                fields.missing("think", "how long a user waits before the next call", problems);
            }
            span::read(&fields, "think", US, problems).map(|think| Arrivals::Users { think })
        }
        Some("recorded") => {
            fields.none_of(&["steps"], "recorded times", problems);
            recorded(&fields, problems).map(Arrivals::Recorded)
        }
        Some(_) => fields.number("share", share, problems).map(Arrivals::Share),
        None => None,
    };
    if let Some(arrivals) = arrivals {
        load.arrivals = arrivals;
    }
    load.steps = steps(&fields, problems);
    load
}

fn recorded(fields: &Fields<'_>, problems: &mut Problems) -> Option<Vec<Duration>> {
    let times = span::lengths(fields, "recorded", problems)?;
    if times.is_empty() || !times.is_sorted() {
        let message = "`recorded` must hold the times of calls since the start, the earliest first";
        fields.refuse("recorded", message, problems);
        return None;
    }
    Some(times)
}

/// A list of tables, each of which may hold `known`.
fn tables<'a>(
    fields: &Fields<'a>,
    name: &str,
    most: usize,
    known: &[&str],
    problems: &mut Problems,
) -> Vec<Fields<'a>> {
    let Some(value) = fields.get(name) else { return Vec::new() };
    let path = fields.path(name);
    let Some(list) = value.list() else {
        wrong(value, &path, name, "a list of tables", problems);
        return Vec::new();
    };
    let list: Vec<Value<'_>> = list.collect();
    if list.len() > most {
        let message = format!("`{name}` must have at most {most} members, but has {}", list.len());
        fields.refuse(name, message, problems);
        return Vec::new();
    }
    let table =
        |(n, value): (usize, Value<'a>)| Fields::of(value, &format!("{path}.{n}"), known, problems);
    list.into_iter().enumerate().filter_map(table).collect()
}

fn steps(fields: &Fields<'_>, problems: &mut Problems) -> Vec<(Duration, f64)> {
    let mut steps: Vec<(Duration, f64)> = Vec::new();
    for step in tables(fields, "steps", MOST_STEPS, &["from", "factor"], problems) {
        for name in ["from", "factor"].into_iter().filter(|name| !step.has(name)) {
            step.missing(name, "a step is { from = \"60s\", factor = 0.5 }", problems);
        }
        let from = step.length("from", (Duration::ZERO, DAYS_30), problems);
        let factor = step.number("factor", Numbers::within(0.0, 1000.0), problems);
        let (Some(from), Some(factor)) = (from, factor) else { continue };
        if steps.last().is_some_and(|(before, _)| *before >= from) {
            let message = "`from` must be later than that of the step before".to_owned();
            step.refuse("from", message, problems);
        }
        steps.push((from, factor));
    }
    steps
}

fn network(top: &Fields<'_>, problems: &mut Problems) -> Network {
    let mut network = Network::default();
    let Some(value) = top.get("network") else { return network };
    if let Some(fields) = Fields::of(value, "network", &["delay"], problems) {
        // Where nothing takes any time, a call that fails at once is made without end in one instant.
        if let Some(delay) = span::read(&fields, "delay", US, problems) {
            network.delay = delay;
        }
    }
    network
}

fn tiers(top: &Fields<'_>, problems: &mut Problems) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = Vec::new();
    match top.only_one(&["service", "tier"], problems) {
        Some("service") => {
            let fields =
                top.get("service").and_then(|value| Fields::of(value, "service", &TIER, problems));
            tiers.extend(fields.map(|fields| tier(&fields, 0, problems)));
        }
        Some(_) => {
            let mut names: HashMap<String, usize> = HashMap::new();
            for (n, fields) in
                tables(top, "tier", MOST_TIERS, &TIER, problems).into_iter().enumerate()
            {
                let tier = tier(&fields, n, problems);
                if let Some(other) = names.insert(tier.name.clone(), n) {
                    let message = format!("`{}` is the name of tier {other} as well", tier.name);
                    fields.refuse("name", message, problems);
                }
                tiers.push(tier);
            }
            if tiers.is_empty() && problems.is_empty() {
                top.refuse("tier", "`tier` must have one member at least", problems);
            }
        }
        None => tiers.push(Tier::default()),
    }
    tiers
}

fn tier(fields: &Fields<'_>, number: usize, problems: &mut Problems) -> Tier {
    let mut tier = Tier::default();
    if number > 0 {
        tier.name = format!("tier {number}");
    }
    if let Some(name) = fields.text("name", problems) {
        name.clone_into(&mut tier.name);
    }
    if let Some(shards) = fields.count("shards", (1, MOST_SHARDS), problems) {
        tier.shards = shards;
    }
    if let Some(workers) = fields.count("workers", (1, MOST_WORKERS), problems) {
        tier.workers = workers;
    }
    if let Some(time) = span::read(fields, "time", US, problems) {
        tier.service = time;
    }
    tier.queue = match fields.get("queue").and_then(Value::text) {
        Some("unbounded") => None,
        Some(word) if word.trim().parse::<f64>().is_err() => {
            let message = format!(
                "`queue` must be a whole number, how many may wait, or \"unbounded\", but is \
                 \"{word}\""
            );
            fields.refuse("queue", message, problems);
            None
        }
        _ => fields.count("queue", (0, u32::MAX), problems),
    };
    tier.shed_after = fields.length("shed_after", (US, DAYS_30), problems);
    if let Some(slowdown) = fields.number("slowdown", Numbers::within(0.0, 1000.0), problems) {
        tier.slowdown = slowdown;
    }
    if let Some(contended) = fields.flag("contended", problems) {
        tier.contended = contended;
    }
    if let Some(pushback) = fields.flag("pushback", problems) {
        tier.pushback = pushback;
    }
    tier
}

fn faults(top: &Fields<'_>, tiers: &[Tier], problems: &mut Problems) -> Vec<Fault> {
    let mut faults = Vec::new();
    for fields in tables(top, "fault", MOST_FAULTS, &FAULT, problems) {
        let from = match fields.has("from") {
            true => fields.length("from", (Duration::ZERO, DAYS_30), problems),
            false => Some(FAULT_FROM),
        };
        if !fields.has("for") {
            fields.missing("for", "how long the fault lasts", problems);
        }
        let lasts = fields.length("for", (US, DAYS_30), problems);
        let kind = fault_kind(&fields, problems);
        let tier = place_in(&fields, tiers, problems);
        let shard = shard(&fields, tier, tiers, problems);
        let network = matches!(kind, Some(FaultKind::Latency(_) | FaultKind::Loss(_)));
        if network {
            fields.none_of(&["tier", "shard"], "the network, which is one", problems);
        }
        let (Some(from), Some(lasts), Some(kind)) = (from, lasts, kind) else { continue };
        faults.push(Fault { tier, shard, ..Fault::new(kind, from, lasts) });
    }
    faults
}

fn fault_kind(fields: &Fields<'_>, problems: &mut Problems) -> Option<FaultKind> {
    let Some(value) = fields.get("kind") else {
        let all = format!("one of {}", KINDS.join(", "));
        fields.missing("kind", &all, problems);
        return None;
    };
    let kind = value.text().unwrap_or_default();
    let figure = match kind {
        "errors" | "capacity" | "loss" => Some("share"),
        "slow" => Some("factor"),
        "latency" => Some("delay"),
        _ if KINDS.contains(&kind) => None,
        _ => {
            let message =
                format!("`kind` must be one of {}, but is {}", KINDS.join(", "), value.shown());
            let told = Told::new(ProblemKind::UnknownName, value.place(), message);
            let told = told.field(fields.path("kind")).value(value.shown());
            problems.add(told.nearest(kind, KINDS));
            return None;
        }
    };
    for other in ["share", "factor", "delay"].into_iter().filter(|name| Some(*name) != figure) {
        fields.none_of(&[other], &format!("`{kind}`"), problems);
    }
    if let Some(figure) = figure.filter(|figure| !fields.has(figure)) {
        let why = match kind {
            "errors" => "the share of requests that fail",
            "capacity" => "the share of workers that is left",
            "loss" => "the share of messages that is lost",
            "slow" => "how many times as long the work takes",
            _ => "how much longer each way takes",
        };
        fields.missing(figure, why, problems);
    }
    let share =
        |problems: &mut Problems| fields.number("share", Numbers::within(0.0, 1.0), problems);
    match kind {
        "stall" => Some(FaultKind::Stall),
        "refuse" => Some(FaultKind::Refuse),
        "dead" => Some(FaultKind::Dead),
        "restart" => Some(FaultKind::Restart),
        "errors" => share(problems).map(FaultKind::Errors),
        "capacity" => share(problems).map(FaultKind::Capacity),
        "loss" => share(problems).map(FaultKind::Loss),
        "slow" => {
            fields.number("factor", Numbers::within(0.001, 1e6), problems).map(FaultKind::Slow)
        }
        _ => fields
            .length("delay", (US, Duration::from_secs(24 * 3600)), problems)
            .map(FaultKind::Latency),
    }
}

/// A tier by its name or its number from 0.
fn place_in(fields: &Fields<'_>, tiers: &[Tier], problems: &mut Problems) -> Option<usize> {
    let value = fields.get("tier")?;
    let by_name = value.text().and_then(|name| tiers.iter().position(|tier| tier.name == name));
    let number = value.whole().and_then(|number| usize::try_from(number).ok());
    let found = by_name.or(number).filter(|number| *number < tiers.len());
    if found.is_none() {
        let names: Vec<&str> = tiers.iter().map(|tier| &*tier.name).collect();
        let message = format!("there is no tier {}: there is {}", value.shown(), names.join(", "));
        let told = Told::new(ProblemKind::UnknownName, value.place(), message);
        let told = told.field(fields.path("tier")).value(value.shown());
        problems.add(told.nearest(value.text().unwrap_or_default(), names));
    }
    found
}

fn shard(
    fields: &Fields<'_>,
    tier: Option<usize>,
    tiers: &[Tier],
    problems: &mut Problems,
) -> Option<u32> {
    let tier = tiers.get(tier.unwrap_or(tiers.len().saturating_sub(1)))?;
    fields.count("shard", (0, tier.shards.saturating_sub(1)), problems)
}

/// What the experiment keeps until its end must fit into memory.
pub(super) fn kept(
    top: &Fields<'_>,
    world: &World,
    (policies, per_shard): (usize, bool),
    problems: &mut Problems,
) {
    /// Bins of all runs together.
    const MOST_KEPT: u128 = 1_000_000;
    let bins = world.scenario.length.as_nanos().div_ceil(world.bin.as_nanos().max(1));
    let all = bins * u128::from(world.seeds) * policies as u128;
    if all > MOST_KEPT {
        let message = format!(
            "{} seeds of {policies} policies in {bins} bins each are {all} bins, and at most \
             {MOST_KEPT} are kept: make `bin` longer, or `seeds` fewer",
            world.seeds
        );
        top.refuse("seeds", message, problems);
    }
    let shards = world.scenario.tiers.first().map_or(1, |tier| tier.shards);
    let each = u64::from(world.scenario.load.clients) * u64::from(shards);
    if per_shard && each > u64::from(MOST_CLIENTS) {
        let message = format!(
            "{} clients with a policy for each of {shards} shards are {each} policies, and at most \
             {MOST_CLIENTS} are kept",
            world.scenario.load.clients
        );
        top.refuse("per_shard", message, problems);
    }
}
