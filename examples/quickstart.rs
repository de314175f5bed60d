//! `cargo run --release --example quickstart`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a person")]

use seawall_examples::quickstart::{Live, Plan, run};
use std::{env, process::ExitCode};

const HELP: &str = "\
Calls a real HTTP server on loopback while it is well, failing, busy, hanging, gone, and back:
once through Seawall (fallback > breaker > retry > timeout) and, beside it, without. Shows what
the policies do as they do it, then a table of both.

Usage: cargo run --release --example quickstart [-- OPTIONS]

Options:
      --fast  Fewer calls at a quicker pace: about 4 s in place of 20
  -h, --help  Print this

Exit code: 0 if every promise in the last line of the output holds, 1 if not, 2 for wrong options.
Colours: only on a terminal, and not where NO_COLOR is set.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut plan = Plan::FULL;
    for option in env::args().skip(1) {
        match option.as_str() {
            "--fast" => plan = Plan::FAST,
            "-h" | "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            unknown => {
                eprintln!("error: unknown option `{unknown}`: there are --fast and --help");
                return ExitCode::from(2);
            }
        }
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
