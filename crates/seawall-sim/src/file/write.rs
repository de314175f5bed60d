//! A world as a scenario file, which reads back as the same world.

use super::{
    read::World,
    span::{length_written, written},
};
use crate::model::scenario::{Arrivals, Fault, FaultKind, Load, Tier};
use std::fmt::Write as _;

/// TOML, without policies.
pub(super) fn world(world: &World) -> String {
    let World { scenario, seeds, seed, bin } = world;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name} = {value}");
    };
    line("name", quoted(&scenario.name));
    if !scenario.about.is_empty() {
        line("about", quoted(&scenario.about));
    }
    line("length", length_written(scenario.length));
    line("bin", length_written(*bin));
    line("seeds", seeds.to_string());
    line("seed", seed.to_string());
    load(&mut text, &scenario.load);
    let _ = writeln!(text, "\n[network]\ndelay = {}", written(&scenario.network.delay));
    let heading = if scenario.tiers.len() == 1 { "[service]" } else { "[[tier]]" };
    for one in &scenario.tiers {
        let _ = writeln!(text, "\n{heading}");
        tier(&mut text, one);
    }
    for one in &scenario.faults {
        let _ = writeln!(text, "\n[[fault]]");
        fault(&mut text, one);
    }
    text
}

/// As TOML has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", letter as u32);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn load(text: &mut String, load: &Load) {
    let _ = writeln!(text, "\n[load]");
    let _ = match &load.arrivals {
        Arrivals::Share(share) => writeln!(text, "share = {share:?}"),
        Arrivals::Rate(rate) => writeln!(text, "rate = {rate:?}"),
        Arrivals::Users { think } => {
            writeln!(text, "users = {}\nthink = {}", load.clients, written(think))
        }
        Arrivals::Recorded(times) => {
            let times: Vec<String> = times.iter().map(|time| length_written(*time)).collect();
            writeln!(text, "recorded = [{}]", times.join(", "))
        }
    };
    if !matches!(load.arrivals, Arrivals::Users { .. }) {
        let _ = writeln!(text, "clients = {}", load.clients);
    }
    if !load.steps.is_empty() {
        let step = |(from, factor): &(_, f64)| {
            format!("{{ from = {}, factor = {factor:?} }}", length_written(*from))
        };
        let steps: Vec<String> = load.steps.iter().map(step).collect();
        let _ = writeln!(text, "steps = [{}]", steps.join(", "));
    }
}

fn tier(text: &mut String, tier: &Tier) {
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name} = {value}");
    };
    line("name", quoted(&tier.name));
    if tier.shards != 1 {
        line("shards", tier.shards.to_string());
    }
    line("workers", tier.workers.to_string());
    line("time", written(&tier.service));
    if let Some(queue) = tier.queue {
        line("queue", queue.to_string());
    }
    if let Some(after) = tier.shed_after {
        line("shed_after", length_written(after));
    }
    if tier.slowdown > 0.0 {
        line("slowdown", format!("{:?}", tier.slowdown));
    }
    if tier.contended {
        line("contended", "true".to_owned());
    }
    if tier.pushback {
        line("pushback", "true".to_owned());
    }
}

fn fault(text: &mut String, fault: &Fault) {
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name} = {value}");
    };
    line("kind", quoted(fault.kind.as_str()));
    line("from", length_written(fault.from));
    line("for", length_written(fault.lasts));
    match fault.kind {
        FaultKind::Errors(share) | FaultKind::Capacity(share) | FaultKind::Loss(share) => {
            line("share", format!("{share:?}"));
        }
        FaultKind::Slow(factor) => line("factor", format!("{factor:?}")),
        FaultKind::Latency(more) => line("delay", length_written(more)),
        FaultKind::Stall | FaultKind::Refuse | FaultKind::Dead | FaultKind::Restart => {}
    }
    if let Some(tier) = fault.tier {
        line("tier", tier.to_string());
    }
    if let Some(shard) = fault.shard {
        line("shard", shard.to_string());
    }
}
