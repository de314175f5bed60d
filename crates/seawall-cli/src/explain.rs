//! `seawall explain`: a policy as a tree, its delays as a table and a plot, its worst case.

use crate::{
    papers,
    run::policy::{get, load},
    words::{Refusal, show},
};
use clap::ArgMatches;
use seawall::{
    Random, Verdict,
    config::{Explanation, LayerKind, PlannedDelay, PolicySpec},
    foreign::Decisions,
    retry::Next,
};
use serde_json::{Value, json};
use std::{ffi::OsString, fmt::Write as _, time::Duration};

/// How many delays a table shows.
const SHOWN: usize = 20;
/// How wide the longest bar is.
const WIDTH: f64 = 40.0;

pub(crate) fn run(given: &ArgMatches) -> Result<u8, Refusal> {
    let spec = load(&get::<OsString>(given, "policy").unwrap_or_default())?;
    let explained = spec.explain();
    let drawn = get(given, "seed").map(|seed| (seed, draw(&spec, seed)));
    let text = if given.get_flag("json") {
        format!("{:#}\n", as_json(&spec, &explained, drawn.as_ref()))
    } else if given.get_flag("mermaid") {
        mermaid(&explained)
    } else {
        as_text(&spec, &explained, drawn.as_ref())
    };
    papers::print(text.as_bytes())
}

/// The delays of a call that never succeeds.
fn draw(spec: &PolicySpec, seed: u64) -> Vec<Duration> {
    let Some(retry) = spec.retry() else { return Vec::new() };
    let mut decisions = Decisions::new(&retry, Random::seeded(seed));
    let mut delays = Vec::new();
    let mut at = Duration::ZERO;
    while let Next::RetryAfter(delay) = decisions.next(Verdict::TRANSIENT, at) {
        at += delay;
        delays.push(delay);
        if delays.len() == 100 {
            break;
        }
    }
    delays
}

fn as_text(spec: &PolicySpec, told: &Explanation, drawn: Option<&(u64, Vec<Duration>)>) -> String {
    let mut text = format!("{}: {spec}\n", told.policy);
    let extends: Vec<&str> = spec.extends().collect();
    if !extends.is_empty() {
        let _ = writeln!(text, "extends {}", extends.join(", "));
    }
    text.push('\n');
    for (depth, (kind, layer)) in told.layers.iter().enumerate() {
        let indent = "   ".repeat(depth);
        let name = layer.name().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let _ = writeln!(text, "{indent}└─ {kind}{name}");
        let is_last = depth + 1 == told.layers.len();
        let bar = if is_last { "   " } else { "│  " };
        for (field, value) in layer.settings() {
            let _ = writeln!(text, "{indent}   {bar}{field} = {value}");
        }
    }
    let _ = writeln!(text, "{}└─ your operation", "   ".repeat(told.layers.len()));
    if !told.schedule.is_empty() {
        text.push('\n');
        table(&mut text, &told.schedule, told.delays);
    }
    if let Some((seed, delays)) = drawn {
        let delays: Vec<String> = delays.iter().map(|delay| show(*delay)).collect();
        let _ = writeln!(text, "\nseed {seed} draws {}", delays.join(", "));
    }
    let time = told.worst_time.map_or_else(|| "without end: no limit".to_owned(), show);
    let _ = writeln!(text, "\nworst case");
    let _ = writeln!(text, "  attempts  {}", told.worst_attempts);
    let _ = writeln!(text, "  delays    {}", show(told.worst_backoff));
    let _ = writeln!(text, "  time      {time}");
    text
}

fn table(text: &mut String, schedule: &[PlannedDelay], delays: u64) {
    let longest = schedule.iter().map(|planned| planned.longest).max().unwrap_or_default();
    let _ = writeln!(text, "after attempt  {:>12}  {:>12}  {:>12}", "shortest", "delay", "longest");
    for planned in schedule.iter().take(SHOWN) {
        let PlannedDelay { after_attempt, delay, shortest, longest: most, .. } = planned;
        // What is certain, what is likely to be waited, and what may be.
        let share = |time: Duration| cells(time, longest);
        let (sure, may) = (share(*shortest), share(*most));
        let bar = format!("{}{}", "█".repeat(sure), "░".repeat(may.saturating_sub(sure)));
        let (shortest, delay, most) = (show(*shortest), show(*delay), show(*most));
        let _ =
            writeln!(text, "{after_attempt:>13}  {shortest:>12}  {delay:>12}  {most:>12}  {bar}");
    }
    let more = delays.saturating_sub(SHOWN.min(schedule.len()) as u64);
    if more > 0 {
        let _ = writeln!(text, "{:>13}  and {more} more", "...");
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the width, not negative"
)]
fn cells(time: Duration, longest: Duration) -> usize {
    if longest.is_zero() {
        return 0;
    }
    (time.as_secs_f64() / longest.as_secs_f64() * WIDTH).round() as usize
}

/// Seconds, as the file has them.
fn seconds(time: Duration) -> Value {
    json!(time.as_secs_f64())
}

fn as_json(spec: &PolicySpec, told: &Explanation, drawn: Option<&(u64, Vec<Duration>)>) -> Value {
    let layers = told.layers.iter().map(|(kind, layer)| {
        let settings = layer.settings().iter();
        let settings = settings.map(|(field, value)| ((*field).to_owned(), value_of(value)));
        json!({
            "kind": kind.as_str(),
            "name": layer.name().map(ToString::to_string),
            "settings": settings.collect::<serde_json::Map<_, _>>(),
        })
    });
    let schedule = told.schedule.iter().map(|planned| {
        json!({
            "after_attempt": planned.after_attempt,
            "delay": seconds(planned.delay),
            "shortest": seconds(planned.shortest),
            "longest": seconds(planned.longest),
        })
    });
    let drawn = drawn.map(|(seed, delays)| {
        json!({ "seed": seed, "delays": delays.iter().copied().map(seconds).collect::<Vec<_>>() })
    });
    json!({
        "policy": told.policy,
        "stack": spec.to_string(),
        "extends": spec.extends().collect::<Vec<_>>(),
        "layers": layers.collect::<Vec<_>>(),
        "delays": told.delays,
        "schedule": schedule.collect::<Vec<_>>(),
        "drawn": drawn,
        "worst_case": {
            "attempts": told.worst_attempts,
            "backoff": seconds(told.worst_backoff),
            "time": told.worst_time.map(seconds),
        },
    })
}

fn value_of(value: &seawall::SettingValue) -> Value {
    use seawall::SettingValue::{Duration, Flag, Integer, Number};
    match value {
        Integer(whole) => json!(whole),
        Number(number) => json!(number),
        Duration(time) => seconds(*time),
        Flag(flag) => json!(flag),
        other => json!(other.to_string()),
    }
}

/// What each layer does to a call.
fn mermaid(told: &Explanation) -> String {
    let mut text = String::from("flowchart LR\n    call([call])\n");
    let mut from = "call".to_owned();
    for (kind, layer) in &told.layers {
        let label = layer.to_string().replace('"', "&quot;");
        let _ = writeln!(text, "    {kind}[\"{label}\"]\n    {from} --> {kind}");
        from = kind.to_string();
    }
    let _ = writeln!(text, "    operation([operation])\n    {from} --> operation");
    for (kind, _) in &told.layers {
        let _ = match kind {
            LayerKind::Retry => writeln!(text, "    operation -. failed .-> retry"),
            LayerKind::CircuitBreaker => {
                writeln!(text, "    circuit_breaker -. open .-> rejected([rejected])")
            }
            LayerKind::Fallback => {
                writeln!(text, "    fallback -. all failed .-> answer([fallback's answer])")
            }
            _ => Ok(()),
        };
    }
    text
}
