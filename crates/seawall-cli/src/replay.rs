//! `seawall replay`: what other policies would have made of a recorded trace.

use crate::{
    papers,
    run::policy::{get, load},
    words::Refusal,
};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use seawall_sim::{Contender, Trace, replay};
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

const LONG_ABOUT: &str = "\
Says what policies would have made of a recorded trace: whether a breaker would have tripped, when, and
what callers would have seen, beside what was recorded.

The policies run for real, under virtual time; the answers to their attempts come from the trace.";

const AFTER: &str = "\
A trace is a CSV with a header. The library writes one (seawall::trace::TraceWriter), or you do:

  at_ms,took_ms,outcome,call,key
  0,12.5,success,1,eu
  40,1000,timed_out,2,eu
  1060,9.1,success,2,eu

  at_ms    when the attempt began, in ms since any time
  took_ms  how long it took until its outcome
  outcome  success, transient (another attempt may work), permanent, ignored (says nothing of the
           service's health), timed_out, cancelled (the caller went away), panicked, or rejected (the
           call came to no attempt)
  call     a number that the attempts of one call share; may be left out: each is then a call
  key      what was called, such as a host; may be left out

What is assumed: the service is as well or ill as recorded, whatever load a policy puts on it. An
attempt at another time than the recorded one gets the answer of one that began within 1 s. What timed
out or was cancelled gives no answer, however long one waits.

Exit status: 0, whether or not a breaker would have tripped; 125 if a file is not in order.

Examples:
  seawall replay calls.csv --policy prod.toml#payments
  seawall replay calls.csv --policy prod.toml#payments --policy next.toml#payments --json out.json
  zcat calls.csv.gz | seawall replay - --policy prod.toml --json - | jq '.policies[].tripped'";

pub(crate) fn command() -> Command {
    Command::new("replay")
        .about("Says what policies would have made of a recorded trace")
        .long_about(LONG_ABOUT)
        .after_help(AFTER)
        .args([
            Arg::new("trace")
                .value_name("TRACE")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The trace, as CSV; - for stdin"),
            Arg::new("policy")
                .long("policy")
                .value_name("FILE#NAME")
                .required(true)
                .action(ArgAction::Append)
                .value_parser(value_parser!(OsString))
                .help("A policy of a file; may be repeated, to compare")
                .long_help(
                    "A policy of a file (TOML, YAML or JSON), with the environment laid over it; may be \
                     repeated, to compare. #NAME may be left out where there is one policy.",
                ),
            Arg::new("per-key")
                .long("per-key")
                .action(ArgAction::SetTrue)
                .help("Each key has a policy of its own, with its own breaker and budget"),
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .default_value("1")
                .value_parser(value_parser!(u64))
                .help("What jitter and answers are drawn from: the same seed, the same result"),
            Arg::new("json")
                .long("json")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Also write all numbers as JSON; - for stdout, in place of the report"),
        ])
}

pub(crate) fn run(given: &ArgMatches) -> Result<u8, Refusal> {
    let places: Vec<&OsString> = given.get_many("policy").unwrap_or_default().collect();
    let contenders = contenders(&places, given.get_flag("per-key"))?;
    let trace = read(&get::<PathBuf>(given, "trace").unwrap_or_default())?;
    let replayed = replay(&trace, &contenders, get(given, "seed").unwrap_or(1));
    if let Some(place) = get::<PathBuf>(given, "json") {
        let mut json = serde_json::to_string_pretty(&replayed)
            .map_err(|error| Refusal::new(format!("no JSON could be made: {error}")))?;
        json.push('\n');
        if place == Path::new("-") {
            return papers::print(json.as_bytes());
        }
        fs::write(&place, json)
            .map_err(|error| Refusal::new(format!("{}: {error}", place.display())))?;
    }
    papers::print(replayed.to_string().as_bytes())
}

/// By their names; by file and name where two have the same.
fn contenders(places: &[&OsString], per_key: bool) -> Result<Vec<Contender>, Refusal> {
    let specs = places.iter().map(|place| load(place)).collect::<Result<Vec<_>, _>>()?;
    let named = |spec: &seawall::config::PolicySpec, place: &OsString| {
        let is_only = specs.iter().filter(|other| other.name() == spec.name()).count() == 1;
        let one = Contender::file(spec);
        let one = if is_only { one } else { one.named(place.to_string_lossy()) };
        if per_key { one.per_shard() } else { one }
    };
    Ok(specs.iter().zip(places).map(|(spec, place)| named(spec, place)).collect())
}

fn read(place: &Path) -> Result<Trace, Refusal> {
    let refused = |why: String| Refusal::new(format!("{}: {why}", place.display()));
    let trace = if place == Path::new("-") {
        Trace::read(io::stdin().lock())
    } else {
        Trace::read(File::open(place).map_err(|error| refused(error.to_string()))?)
    };
    trace.map_err(|error| refused(error.to_string()))
}
