//! `cargo run --release --example quickstart`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a person")]

use seawall_examples::quickstart::{Live, Plan, run, run_by_policy};
use std::{env, io, process::ExitCode};

const HELP: &str = "\
Calls a real HTTP server on loopback while it is well, failing, busy, hanging, gone, and back:
once through Seawall (fallback > breaker > retry > timeout) and, beside it, without. Shows what
the policies do as they do it, then a table of both.

Usage: cargo run --release --example quickstart [-- OPTIONS]

Options:
      --fast              Fewer calls at a quicker pace: about 4 s in place of 20
      --policy FILE#NAME  Instead, one call to a server that is gone, under this policy of a file
                          (TOML, YAML, JSON): prints each delay as it is drawn
      --seed N            With --policy: draw the jitter from this seed. `seawall run --policy
                          FILE#NAME --seed N` and Python draw the same delays
  -h, --help              Print this

Exit code: 0 if every promise in the last line of the output holds, 1 if not, 2 for wrong options.
Colours: only on a terminal, and not where NO_COLOR is set.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut plan = Plan::FULL;
    let (mut policy, mut seed) = (None, None);
    let mut options = env::args().skip(1);
    while let Some(option) = options.next() {
        match option.as_str() {
            "--fast" => plan = Plan::FAST,
            "--policy" => match options.next() {
                Some(place) => policy = Some(place),
                None => return wrong("--policy needs its FILE#NAME"),
            },
            "--seed" => match options.next().map(|seed| seed.parse()) {
                Some(Ok(number)) => seed = Some(number),
                _ => return wrong("--seed needs a whole number, 0 to 18446744073709551615"),
            },
            "-h" | "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            unknown => {
                return wrong(&format!(
                    "unknown option `{unknown}`: there are --fast, --policy, --seed and --help"
                ));
            }
        }
    }
    match (&policy, seed) {
        (Some(place), _) => {
            return match run_by_policy(place, seed, io::stdout()).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {error}");
                    ExitCode::FAILURE
                }
            };
        }
        (None, Some(_)) => return wrong("--seed is for --policy"),
        (None, None) => {}
    }
    match run(&plan, Live::stdout()).await {
        Ok(report) if report.broken_promises().is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("error: {what}");
    ExitCode::from(2)
}
