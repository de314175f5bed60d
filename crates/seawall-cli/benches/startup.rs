//! What `seawall run` costs over the command itself, beside `timeout`: whole processes, in turn.
//!
//! `cargo bench -p seawall-cli`. Fails if the overhead without a breaker is more than twice that of
//! `timeout`, or more than 5 ms with one, by the median of the wall clock. The processor's time stands beside
//! it: where that is much less, the machine was busy with something else.
#![allow(
    clippy::print_stdout,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a program that talks to a person"
)]

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike},
};
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
    let mut used = vec![Duration::ZERO; lines.len()];
    for round in 0..ROUNDS + 20 {
        for (at, line) in lines.iter().enumerate() {
            let before = processor();
            let time = once(line, &state);
            // The first ones find nothing in the caches.
            if round >= 20 {
                times[at].push(time);
                used[at] += processor().saturating_sub(before);
            }
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    let used: Vec<Duration> = used.into_iter().map(|sum| sum / ROUNDS as u32).collect();
    let over = |times: &[Duration], at: usize| times[at].saturating_sub(times[0]);
    let ratio = |times: &[Duration], at: usize| {
        over(times, at).as_secs_f64() / over(times, 1).as_secs_f64()
    };
    println!("median wall  over true  x timeout | mean processor  over true  x timeout");
    for (at, line) in lines.iter().enumerate() {
        let figures = |times: &[Duration]| {
            let (all, over) = (times[at].as_micros(), over(times, at).as_micros());
            format!("{all:>8} us  {over:>6} us  {:>9.2}", ratio(times, at))
        };
        let line = line.join(" ").replace(seawall, "seawall");
        println!("{} |    {}  {line}", figures(&medians), figures(&used));
    }
    let without = ratio(&medians, 2);
    assert!(without <= 2.0, "seawall run costs {without:.2} times what timeout costs");
    let with = over(&medians, 4);
    assert!(with <= LIMIT_WITH_BREAKER, "a breaker costs {with:?}");
}

/// What all children so far have used, and the kernel for them.
fn processor() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is known");
    let time = |time: TimeVal| {
        Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or_default())
    };
    time(usage.user_time()) + time(usage.system_time())
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
