//! `seawall breakers`: what the shared breakers are at, and moving one by hand.
#![allow(clippy::print_stdout, reason = "this is what was asked for")]

use crate::{
    run::policy::get,
    state::{self, Kept, Store},
    words::{Refusal, show},
};
use clap::ArgMatches;
use seawall::{
    CircuitBreaker, CircuitState,
    foreign::{HeldBucket, HeldWindow},
};
use serde_json::json;
use std::{path::PathBuf, time::Duration};

pub(crate) fn run(given: &ArgMatches) -> Result<u8, Refusal> {
    let inner = given.subcommand();
    let path = inner.and_then(|(_, inner)| get::<PathBuf>(inner, "state"));
    let path = state::place(path.or_else(|| get(given, "state")))
        .ok_or_else(|| Refusal::new(state::Problem::NoPlace.to_string()))?;
    let refused =
        |problem: state::Problem| Refusal::new(format!("state {}: {problem}", path.display()));
    let mut store = Store::open(&path).map_err(refused)?;
    let Some((act, inner)) = inner else {
        let all = state::list(&store).map_err(refused)?;
        if given.get_flag("json") {
            print_json(&all)
        } else {
            print(&all)
        }
        return Ok(0);
    };
    let name: String = get(inner, "name").unwrap_or_default();
    let by_hand: fn(&CircuitBreaker) = match act {
        "reset" => CircuitBreaker::reset,
        "isolate" => CircuitBreaker::isolate,
        _ => CircuitBreaker::close,
    };
    match state::by_hand(&mut store, &name, act == "isolate", by_hand).map_err(refused)? {
        Some(state) => println!("breaker {name:?} is {state}"),
        None => return Err(unknown(&name, &state::list(&store).map_err(refused)?)),
    }
    Ok(0)
}

fn unknown(name: &str, all: &[(String, Kept)]) -> Refusal {
    let names: Vec<String> = all.iter().map(|(name, _)| format!("{name:?}")).collect();
    let known = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
    Refusal::new(format!("there is no breaker {name:?}; known: {known}"))
}

/// When a call is let through next.
fn next_probe(kept: &Kept) -> Option<Duration> {
    let left = Duration::from_millis(kept.held.left);
    match kept.held.state {
        CircuitState::Open => Some(left),
        CircuitState::HalfOpen if kept.held.probes_in_flight == 0 => Some(Duration::ZERO),
        CircuitState::HalfOpen => Some(left),
        CircuitState::Closed | CircuitState::Isolated => None,
    }
}

/// Failures and calls in the window.
fn in_window(kept: &Kept) -> Option<(u64, u64)> {
    match &kept.held.window {
        HeldWindow::Nothing => None,
        HeldWindow::Calls(calls) => {
            let failures = calls.iter().filter(|call| **call & 1 == 1).count();
            Some((failures as u64, calls.len() as u64))
        }
        HeldWindow::Buckets(buckets) => {
            let sum = |of: fn(&HeldBucket) -> u64| buckets.iter().map(of).sum();
            Some((sum(|bucket| bucket.failures), sum(|bucket| bucket.calls)))
        }
    }
}

fn print(all: &[(String, Kept)]) {
    let width = all.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(4);
    println!(
        "{:width$}  STATE      IN A ROW  IN WINDOW  PROBES  OPENED  REJECTED  NEXT PROBE",
        "NAME"
    );
    for (name, kept) in all {
        let held = &kept.held;
        let window = in_window(kept)
            .map_or_else(|| "-".to_owned(), |(failures, calls)| format!("{failures}/{calls}"));
        let next = match next_probe(kept) {
            Some(Duration::ZERO) => "at once".to_owned(),
            Some(wait) => format!("in {}", show(wait)),
            None => "-".to_owned(),
        };
        println!(
            "{name:width$}  {:9}  {:8}  {window:>9}  {:6}  {:6}  {:8}  {next}",
            held.state.as_str(),
            held.failures,
            held.probes_in_flight,
            kept.opened,
            kept.rejected,
        );
    }
}

fn print_json(all: &[(String, Kept)]) {
    let all: Vec<_> = all
        .iter()
        .map(|(name, kept)| {
            json!({
                "name": name,
                "state": kept.held.state.as_str(),
                "consecutive_failures": kept.held.failures,
                "window": in_window(kept)
                    .map(|(failures, calls)| json!({ "failures": failures, "calls": calls })),
                "probes_in_flight": kept.held.probes_in_flight,
                "probe_successes": kept.held.probe_successes,
                "reopenings": kept.held.reopenings,
                "opened": kept.opened,
                "rejected": kept.rejected,
                "next_probe_ms": next_probe(kept).map(crate::tell::ms),
            })
        })
        .collect();
    println!("{}", json!(all));
}
