//! What `seawall run` costs over the command itself, beside `timeout`: whole processes, in turn.
//!
//! `cargo bench -p seawall-cli`. Fails if the overhead without a breaker is more than twice that of
//! `timeout`, or more than 5 ms with one.
#![allow(clippy::print_stdout, clippy::panic, reason = "a program that talks to a person")]

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 400;
const LIMIT_WITH_BREAKER: Duration = Duration::from_millis(5);

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state.db");
    let seawall = env!("CARGO_BIN_EXE_seawall");
    let run = |args: &[&str]| {
        let mut line = vec![seawall, "run"];
        line.extend(args);
        line.extend(["--", "true"]);
        line.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = [
        vec!["true".to_owned()],
        ["timeout", "10", "true"].map(str::to_owned).to_vec(),
        run(&[]),
        run(&["--timeout", "10"]),
        run(&["--breaker", "b"]),
        run(&["--breaker", "b", "--budget", "c", "--timeout", "10"]),
    ];
    let mut times = vec![Vec::with_capacity(ROUNDS); lines.len()];
    for round in 0..ROUNDS + 20 {
        for (line, times) in lines.iter().zip(&mut times) {
            let time = once(line, &state);
            // The first ones find nothing in the caches.
            if round >= 20 {
                times.push(time);
            }
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    let over = |at: usize| medians[at].saturating_sub(medians[0]);
    println!("{:>9}  {:>9}  {:>12}", "median", "over true", "over timeout");
    for (at, line) in lines.iter().enumerate() {
        let ratio = over(at).as_secs_f64() / over(1).as_secs_f64();
        let line = line.join(" ").replace(seawall, "seawall");
        println!(
            "{:>6} us  {:>6} us  {ratio:>10.2} x  {line}",
            medians[at].as_micros(),
            over(at).as_micros()
        );
    }
    let ratio = over(2).as_secs_f64() / over(1).as_secs_f64();
    assert!(ratio <= 2.0, "seawall run costs {ratio:.2} times what timeout costs");
    assert!(over(4) <= LIMIT_WITH_BREAKER, "a breaker costs {:?}", over(4));
}

fn once(line: &[String], state: &Path) -> Duration {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).env("SEAWALL_STATE", state).stdin(Stdio::null()).stdout(Stdio::null());
    let since = Instant::now();
    let status = command.status().expect("started");
    let time = since.elapsed();
    assert!(status.success(), "{line:?}");
    time
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
