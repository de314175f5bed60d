use crate::bench::{Bench, finish};
use serde_json::Value;

fn events(bench: &Bench) -> Vec<Value> {
    bench.read("events").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn events_tell_the_whole_story_in_lines_of_json() {
    let bench = Bench::new();
    bench.done("--events events --base-delay 1ms --seed 1", "[ $SEAWALL_ATTEMPT = 2 ]");
    let told = events(&bench);
    let names: Vec<&str> = told.iter().filter_map(|event| event["event"].as_str()).collect();
    let story = [
        "attempt_started",
        "attempt_ended",
        "retry_scheduled",
        "attempt_started",
        "attempt_ended",
        "call_ended",
    ];
    assert_eq!(names, story);
    assert_eq!(told[1]["exit"], 1);
    assert_eq!(told[1]["outcome"], "failed");
    assert_eq!(told[2]["delay_ms"], 1);
    assert_eq!(told[5]["attempts"], 2);
    assert_eq!(told[5]["exit"], 0);
    assert!(told.iter().all(|event| event["time"].as_f64().is_some_and(|time| time > 1.5e9)));
}

#[test]
fn events_of_a_breaker_and_a_fallback_are_told() {
    let bench = Bench::new();
    let args = "--events events --breaker b --failure-threshold 1 --max-attempts 1 --fallback true";
    bench.done(args, "exit 1");
    bench.done(args, "exit 1");
    let told = events(&bench);
    let of = |name: &str| {
        told.iter().filter(|event| event["event"] == name).cloned().collect::<Vec<_>>()
    };
    let moved = of("circuit_breaker_transition");
    assert_eq!(moved.len(), 1);
    assert_eq!((&moved[0]["from"], &moved[0]["to"]), (&"closed".into(), &"open".into()));
    assert_eq!(moved[0]["cause"], "consecutive_failures");
    assert_eq!(of("circuit_breaker_rejected").len(), 1);
    assert_eq!(of("fallback_used").len(), 2);
}

#[test]
fn events_go_to_a_descriptor_as_well() {
    let bench = Bench::new();
    let done = bench.done("--events fd:1", "exit 0");
    assert!(done.text().contains("\"event\":\"call_ended\""), "{}", done.text());
}

#[test]
fn events_that_cannot_be_written_stop_nothing() {
    let bench = Bench::new();
    bench.pipe("unheard");
    for place in ["/dev/full", "no/such/place", "unheard", "fd:99"] {
        let done = bench.done(&format!("--events {place}"), "echo ran");
        assert_eq!((done.status, done.text()), (Some(0), "ran\n"), "{place}");
        assert!(done.stderr.contains("events are written"), "{place}: {}", done.stderr);
    }
}

#[test]
fn a_call_that_goes_well_at_once_says_nothing() {
    let bench = Bench::new();
    let done = bench.done("--breaker b --budget c", "exit 0");
    assert_eq!(done.stderr, "");
}

#[test]
fn quiet_is_quiet_but_for_problems_of_our_own() {
    let bench = Bench::new();
    assert_eq!(bench.done("-q --base-delay 1ms", "exit 1").stderr, "");
    let mut command = bench.seawall("run -q");
    command.args(["--", "./nowhere"]);
    assert!(finish(command).stderr.contains("nowhere"));
}

#[test]
fn the_last_line_sums_up() {
    let bench = Bench::new();
    let done = bench.done("--base-delay 1ms", "exit 75");
    let last = done.stderr.lines().last().expect("a line").to_owned();
    assert!(
        last.starts_with("seawall: 3 attempts in ") && last.ends_with(", last exit 75"),
        "{last}"
    );
}

#[test]
fn help_needs_no_other_documentation() {
    let bench = Bench::new();
    let done = finish(bench.seawall("run --help"));
    assert_eq!(done.status, Some(0));
    for word in ["--until-success", "SEAWALL_ATTEMPT", "124", "128 + n", "SIGKILL", "while read"] {
        assert!(done.text().contains(word), "help says nothing of {word}");
    }
}
