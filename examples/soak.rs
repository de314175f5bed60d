//! `cargo run --release --example soak`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a person")]

use seawall_examples::soak;
use std::{env, process::ExitCode, time::Duration};

const HELP: &str = "\
Puts load on a real HTTP server on loopback that is well, failing, busy, hanging and gone in turn:
calls through breaker, retry and timeout, some of them dropped midway, panicking or hanging. At the
end the sums must come out: one outcome a call, no slot lost, no memory grown, the breaker closed.

Usage: cargo run --release --example soak [-- OPTIONS]

Options:
      --seconds N  How long. Default: 300
      --seed N     What the phases and the calls are drawn from. Default: 1
  -h, --help       Print this

Exit code: 0 if every promise holds, 1 if not, 2 for wrong options.";

#[tokio::main]
async fn main() -> ExitCode {
    let (mut seconds, mut seed) = (300, 1);
    let mut options = env::args().skip(1);
    while let Some(option) = options.next() {
        let mut number = || options.next().and_then(|number| number.parse().ok());
        let (place, given) = match option.as_str() {
            "--seconds" => (&mut seconds, number()),
            "--seed" => (&mut seed, number()),
            "-h" | "--help" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            unknown => {
                eprintln!("error: unknown option `{unknown}`: there are --seconds, --seed, --help");
                return ExitCode::from(2);
            }
        };
        match given {
            Some(number) => *place = number,
            None => {
                eprintln!("error: `{option}` needs a number");
                return ExitCode::from(2);
            }
        }
    }
    match soak::run(Duration::from_secs(seconds), seed).await {
        Ok(report) => {
            println!("{report}");
            if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
