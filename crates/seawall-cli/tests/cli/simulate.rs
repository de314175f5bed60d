//! `seawall simulate`: the real binary, on worlds so small that they take no time.

use crate::bench::{Bench, Done, finish, wait};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
};

/// A world of a few hundred calls.
const SMALL: &str = "--rps 100 --workers 2 --length 12s --seeds 2";

fn simulate(bench: &Bench, args: &str) -> Command {
    let mut command = bench.seawall("simulate");
    command.args(args.split_whitespace());
    command
}

fn done(bench: &Bench, args: &str) -> Done {
    finish(simulate(bench, args))
}

/// With arguments that have spaces in them.
fn with(bench: &Bench, args: &str, more: &[&str]) -> Done {
    let mut command = simulate(bench, args);
    command.args(more);
    finish(command)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

const POLICIES: &str = "[payments]\ntimeout = \"1s\"\nretry = { max_attempts = 4, base_delay = \"50ms\" }\n\
                        [stock]\nextends = \"payments\"\ncircuit_breaker = { recovery_timeout = \"1s\" }\n";

#[test]
fn policies_of_a_file_are_tried_without_a_scenario_file() {
    let bench = Bench::new();
    bench.write("prod.toml", POLICIES);
    let args = "--policy prod.toml#payments --policy none --rps 200 --latency p50=2ms,p99=20ms \
                --workers 4 --outage 2s --length 40s --seeds 1 --no-search";
    let done = done(&bench, args);
    assert_eq!((done.status, done.stderr.as_str()), (Some(0), ""), "{}", done.text());
    let text = done.text();
    assert!(
        text.contains("200 calls a second from 20 clients; 40 s; stall from 30 s to 32 s"),
        "{text}"
    );
    assert!(text.contains("retry \"payments\"(4) > timeout(1s)"), "{text}");
}

#[test]
fn a_policy_file_by_itself_means_all_that_are_in_it() {
    let bench = Bench::new();
    bench.write("prod.toml", POLICIES);
    let done = done(&bench, &format!("{SMALL} --policy prod.toml --no-search --json -"));
    let names: Vec<Value> = json(done.text())["policies"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|policy| policy["name"].clone())
        .collect();
    assert_eq!(names, ["payments", "stock"]);
}

#[test]
fn the_environment_is_laid_over_policy_files_as_elsewhere() {
    let bench = Bench::new();
    bench.write("prod.toml", POLICIES);
    let mut command = simulate(&bench, &format!("{SMALL} --policy prod.toml#payments --no-search"));
    command.env("SEAWALL__PAYMENTS__RETRY__MAX_ATTEMPTS", "7");
    assert!(finish(command).text().contains("retry \"payments\"(7)"));
}

#[test]
fn a_scenario_file_names_policy_files_beside_it() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("sub")).expect("a folder");
    bench.write("sub/prod.toml", POLICIES);
    bench.write(
        "sub/mine.toml",
        "length = 5\nseeds = 1\npolicies = [\"none\", \"prod.toml#stock\"]\nload.rate = 50\n",
    );
    let found = done(&bench, "sub/mine.toml --no-search --csv -");
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    assert!(found.text().contains("stock") && found.text().contains("none"), "{}", found.text());
    let replaced =
        done(&bench, "sub/mine.toml --no-search --csv - --policy sub/prod.toml#payments");
    assert!(!replaced.text().contains("stock"), "{}", replaced.text());
}

#[test]
fn ready_made_scenarios_are_listed_and_printed_as_files_to_start_from() {
    let bench = Bench::new();
    let list = done(&bench, "--list");
    assert!(list.text().lines().any(|line| line.starts_with("retry-storm")), "{}", list.text());
    for line in list.text().lines() {
        let name = line.split_whitespace().next().expect("a name");
        let printed = done(&bench, &format!("{name} --print"));
        bench.write("mine.toml", printed.text());
        let again = done(&bench, "mine.toml --print");
        assert_eq!((again.status, again.text()), (Some(0), printed.text()), "{}", again.stderr);
    }
}

#[test]
fn the_same_bytes_come_out_of_one_thread_and_of_three() {
    let bench = Bench::new();
    let world = "--rps 40 --workers 1 --set network.delay=1ms --set service.time=exponential=20ms \
                 --fault stall,from=3s,for=2s --length 15s --seeds 2 --policy none --policy aws";
    for more in [
        "--html page.html --svg picture.svg --json numbers.json --csv series.csv",
        "--no-search --sweep retry.max_attempts=1..3 --sweep load=0.5,0.9 --json sweep.json --csv sweep.csv",
    ] {
        let files: Vec<&str> = more.split(' ').filter(|word| word.contains('.')).collect();
        let files = files.into_iter().filter(|name| !name.contains('=')).collect::<Vec<_>>();
        let run = |threads: u32| {
            let done = done(&bench, &format!("{world} {more} --threads {threads}"));
            assert_eq!(done.status, Some(0), "{}", done.stderr);
            let written: Vec<String> = files.iter().map(|name| bench.read(name)).collect();
            assert!(written.iter().all(|text| !text.is_empty()));
            (done.stdout, written)
        };
        assert!(run(1) == run(3), "{more}");
    }
}

#[test]
fn a_shorter_file_takes_the_place_of_a_longer_one() {
    let bench = Bench::new();
    bench.write("out.json", &"x".repeat(1 << 20));
    let args = format!("{SMALL} --policy none --no-search --quiet --json out.json");
    let done = done(&bench, &args);
    assert_eq!((done.status, done.text(), done.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(json(&bench.read("out.json"))["complete"], true);
}

#[test]
fn claims_decide_the_exit_status_at_the_worse_end_of_the_interval() {
    let bench = Bench::new();
    let args = format!("{SMALL} --policy none --no-search");
    let holds =
        with(&bench, &args, &["--assert", "amplification <= 1", "--assert", "success >= 90%"]);
    assert_eq!((holds.status, holds.stderr.as_str()), (Some(0), ""), "{}", holds.text());
    assert!(holds.text().contains("holds: none: amplification <= 1: 1.00\n"), "{}", holds.text());

    let fails =
        with(&bench, &args, &["--quiet", "--assert", "goodput>=500", "--assert", "p99 < 10s"]);
    assert_eq!((fails.status, fails.text()), (Some(1), ""));
    let [line] = fails.stderr.lines().collect::<Vec<_>>()[..] else {
        unreachable!("one line: {}", fails.stderr)
    };
    assert!(line.starts_with("seawall: does not hold: none: goodput >= 500: "), "{line}");
    assert!(line.contains("/s ("), "with its interval: {line}");
}

#[test]
fn a_claim_may_be_about_one_policy_and_a_figure_that_nobody_has_fails() {
    let bench = Bench::new();
    let dead = "--rps 20 --fault dead,from=0s,for=20s --length 5s --seeds 1 --no-search --quiet";
    let dead = format!("{dead} --policy none --policy aws");
    let of_one = with(&bench, &dead, &["--assert", "none: amplification <= 1"]);
    assert_eq!((of_one.status, of_one.stderr.as_str()), (Some(0), ""));
    let unknown = with(&bench, &dead, &["--assert", "none: p99 <= 1h"]);
    assert_eq!(unknown.status, Some(1));
    assert!(
        unknown.stderr.contains("none: p99 <= 1h: no run has this figure"),
        "{}",
        unknown.stderr
    );
    let nobody = with(&bench, &dead, &["--assert", "nine: p99 <= 1h"]);
    assert_eq!(nobody.status, Some(2));
    assert!(
        nobody
            .stderr
            .contains("no policy `nine` takes part: there is none, aws; did you mean `none`?"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn a_sweep_is_a_table_of_every_combination_and_claims_are_judged_at_each() {
    let bench = Bench::new();
    let args = "--workers 2 --length 4s --seeds 2 --fault errors,share=0.5,from=0s,for=4s --policy aws \
                --sweep retry.max_attempts=1..2 --sweep load=0.1,0.2";
    let swept = with(&bench, args, &["--assert", "amplification <= 1.2"]);
    assert_eq!(swept.status, Some(1), "{}", swept.stderr);
    let firsts: Vec<String> = swept
        .text()
        .lines()
        .take(5)
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        firsts,
        ["retry.max_attempts load policy", "1 0.1 aws", "1 0.2 aws", "2 0.1 aws", "2 0.2 aws"]
    );
    let told: Vec<&str> = swept.stderr.lines().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    let first =
        "seawall: does not hold: aws at retry.max_attempts=2, load=0.1: amplification <= 1.2: ";
    assert!(told[0].starts_with(first), "{told:?}");
    assert_eq!(swept.text().lines().filter(|line| line.starts_with("holds: ")).count(), 2);
    let csv = done(&bench, &format!("{args} --csv -"));
    assert_eq!(csv.text().lines().count(), 5);
    assert!(
        csv.text().starts_with("retry.max_attempts,load,policy,runs,amplification,"),
        "{}",
        csv.text()
    );
}

#[test]
fn what_makes_no_sense_is_told_by_field_value_and_what_is_allowed() {
    let bench = Bench::new();
    bench.write("bad.toml", "[load]\nrate = 0\n[service]\nwokers = 5\n");
    bench.write("prod.toml", POLICIES);
    for (args, told) in [
        (
            "bad.toml",
            "bad.toml:2:8: load.rate: `rate` must be a number above 0 and at most 1000000000, but is 0\nseawall: bad.toml:4:1: service.wokers: unknown field `wokers`",
        ),
        ("nowhere.toml", "seawall: nowhere.toml: cannot be read"),
        (
            "retry-strm",
            "there is no scenario `retry-strm`, and no such file: ready-made are retry-storm",
        ),
        ("retry-strm", "did you mean `retry-storm`?"),
        (
            "retry-storm --workers 0",
            "seawall: --workers 0: service.workers: `workers` must be a whole number within 1..=1000000, but is \"0\"",
        ),
        ("retry-storm --rps nan", "--rps nan: load.rate: `rate` must be a number above 0"),
        (
            "retry-storm --latency p50=20ms,p99=2ms",
            "--latency p50=20ms,p99=2ms: service.time: `p99` must not be shorter than `p50`, 20ms, but is 2ms",
        ),
        ("retry-storm --outage soon", "--outage soon: fault.0.for: `for` must be a duration"),
        (
            "retry-storm --fault flood,for=1s",
            "--fault flood,for=1s: fault.0.kind: `kind` must be one of stall",
        ),
        (
            "retry-storm --fault stall,1s",
            "--fault stall,1s: a fault is written KIND,from=TIME,for=TIME",
        ),
        ("retry-storm --set length", "--set length: a value is laid over a field by FIELD=VALUE"),
        (
            "retry-storm --seeds 0",
            "--seeds 0: seeds: `seeds` must be a whole number within 1..=10000",
        ),
        (
            "retry-storm --policy prod.toml#payment",
            "--policy prod.toml#payment: prod.toml has no policy `payment`: there is payments, stock; did you mean `payments`?",
        ),
        (
            "retry-storm --policy nobody",
            "--policy nobody: there is no policy `nobody`: there is none, standard, aws, grpc, or one of a file",
        ),
        (
            "retry-storm --sweep retry.max_attempts=1..3",
            "no policy has `retry`: give one of a file or a preset to change",
        ),
        (
            "retry-storm --policy aws --sweep retry.max_attempts=0..1",
            "--sweep retry.max_attempts=0: preset aws.retry.max_attempts: `max_attempts` must be 1 or more",
        ),
        ("retry-storm --sweep load=6..1", "the range begins at 6 and ends below, at 1"),
        ("retry-storm --assert amplifcation<=1", "did you mean `amplification`?"),
        ("retry-storm --threads 0", "0 is not in 1..=1024"),
        ("retry-storm --sweep load=1..2 --html x.html", "cannot be used with"),
        ("--frob", "unexpected argument"),
    ] {
        let done = done(&bench, args);
        assert_eq!(done.status, Some(2), "{args}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{args}\n{told}\n{}", done.stderr);
        assert_eq!(done.text(), "", "{args}");
    }
}

#[test]
fn a_load_that_no_fault_is_needed_for_is_told() {
    let bench = Bench::new();
    let done =
        done(&bench, "--rps 1000 --workers 2 --length 2s --seeds 1 --policy none --no-search");
    let told = "seawall: the load is 500 % of what service can serve (1000 of 200 calls a second)";
    assert!(done.stderr.starts_with(told), "{}", done.stderr);
}

#[test]
fn ctrl_c_ends_with_what_there_is_and_says_that_it_is_not_all() {
    let bench = Bench::new();
    let pipe = bench.pipe("numbers");
    // Minutes of work, if it were done.
    let args = "--rps 900 --length 9000s --seeds 50 --policy none --no-search --json numbers";
    let child = with_claim(&bench, args).spawn().expect("started");
    // It opens the pipe when it is ready to be ended.
    let mut numbers = File::open(pipe).expect("opened");
    let id = Pid::from_raw(i32::try_from(child.id()).expect("an id"));
    kill(id, Signal::SIGINT).expect("told");
    let mut text = String::new();
    numbers.read_to_string(&mut text).expect("written");
    let done = wait(child);
    assert_eq!(done.status, Some(130), "{}", done.stderr);
    assert_eq!(json(&text)["complete"], false);
    assert_eq!(
        done.stderr,
        "seawall: stopped before the end: this is not complete, and no claim is judged\n"
    );
    assert!(!done.text().is_empty());
}

fn with_claim(bench: &Bench, args: &str) -> Command {
    let mut command = simulate(bench, args);
    command.args(["--assert", "success >= 2"]);
    command
}

#[test]
fn a_full_disk_is_told_and_a_reader_that_has_seen_enough_is_no_failure() {
    let bench = Bench::new();
    let args = format!("{SMALL} --policy none --no-search");
    let mut command = simulate(&bench, &args);
    command.stdout(File::options().write(true).open("/dev/full").expect("it is there"));
    let full = finish(command);
    assert_eq!(full.status, Some(125));
    assert!(full.stderr.contains("stdout: No space left on device"), "{}", full.stderr);

    let full = done(&bench, &format!("{args} --json /dev/full"));
    assert_eq!(full.status, Some(125));
    assert!(full.stderr.contains("/dev/full: No space left on device"), "{}", full.stderr);
    let nowhere = done(&bench, &format!("{args} --csv no/such/folder.csv"));
    assert_eq!(nowhere.status, Some(125));
    assert!(nowhere.stderr.contains("no/such/folder.csv: No such file"), "{}", nowhere.stderr);

    let mut child = simulate(&bench, &args).stdout(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let closed = wait(child);
    assert_eq!((closed.status, closed.stderr.as_str()), (Some(0), ""));
}

#[test]
fn help_completions_and_man_page_know_it() {
    let bench = Bench::new();
    let help = done(&bench, "--help");
    for word in ["--policy", "--assert", "--sweep", "--outage", "Exit status", "Examples:"] {
        assert!(help.text().contains(word), "{word}: {}", help.text());
    }
    let completions = finish(bench.seawall("completions bash"));
    assert!(
        completions.text().contains("seawall__subcmd__simulate")
            || completions.text().contains("seawall__simulate")
    );
    assert!(finish(bench.seawall("man")).text().contains("seawall\\-simulate(1)"));
}
