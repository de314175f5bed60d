use crate::bench::{Bench, Done, finish};
use serde_json::Value;
use std::fmt::Write as _;

const POLICIES: &str = "\
[careful.circuit_breaker]
failure_threshold = 5
recovery_timeout = \"10s\"

[plain.retry]
max_attempts = 2
base_delay = \"100ms\"
jitter = \"none\"
";

/// A call each 100 ms for a minute; those from second 20 to 30 fail.
fn bench() -> Bench {
    let bench = Bench::new();
    let mut trace = "at_ms,took_ms,outcome\n".to_owned();
    for n in 0..600 {
        let outcome = if (200..300).contains(&n) { "transient" } else { "success" };
        writeln!(trace, "{},5,{outcome}", n * 100).expect("text");
    }
    bench.write("calls.csv", &trace);
    bench.write("p.toml", POLICIES);
    bench
}

fn replay(bench: &Bench, args: &str) -> Done {
    finish(bench.seawall(&format!("replay {args}")))
}

#[test]
fn a_replay_says_which_policy_would_have_tripped_and_when() {
    let bench = bench();
    let done =
        replay(&bench, "calls.csv --policy p.toml#careful --policy p.toml#plain --json out.json");
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    for line in [
        "600 calls in 59.9 s, 600 attempts recorded; seed 1",
        "  would have tripped at 20.4 s (consecutive failures), once in all, and been open for 10.1 s",
        "      20.405 s  closed -> open: consecutive failures, for 10 s",
        "      30.505 s  half_open -> closed: probe succeeded",
        "  would not have tripped",
    ] {
        assert!(done.text().lines().any(|one| one.starts_with(line)), "`{line}`: {}", done.text());
    }
    let json: Value = serde_json::from_str(&bench.read("out.json")).expect("JSON");
    let (careful, plain) = (&json["policies"][0], &json["policies"][1]);
    assert_eq!((&careful["name"], &plain["name"]), (&"careful".into(), &"plain".into()));
    assert_eq!(careful["tripped"], 20.405);
    assert_eq!(careful["total"]["rejected"], 100);
    assert_eq!((&plain["tripped"], &plain["opened"]), (&Value::Null, &0.into()));
    assert!(plain["total"]["attempts"].as_u64() > Some(690), "{}", plain["total"]);
    assert_eq!(json["recorded"]["total"]["failed"], 100);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bench = bench();
    let json = |seed: u32| {
        let args = format!("calls.csv --policy p.toml#plain --seed {seed} --json -");
        replay(&bench, &args).stdout
    };
    assert_eq!(json(4), json(4));
    assert_ne!(json(4), json(5));
}

#[test]
fn policies_of_one_name_are_told_apart_by_their_files() {
    let bench = bench();
    bench.write("q.toml", &POLICIES.replace("threshold = 5", "threshold = 1000"));
    let done = replay(&bench, "calls.csv --policy p.toml#careful --policy q.toml#careful");
    for start in ["p.toml#careful: ", "q.toml#careful: "] {
        assert!(done.text().lines().any(|line| line.starts_with(start)), "{}", done.text());
    }
}

#[test]
fn what_is_not_in_order_is_told_with_its_place() {
    let bench = bench();
    bench.write("bad.csv", "at_ms,took_ms,outcome\n0,5,success\n1,5,great\n");
    let done = replay(&bench, "bad.csv --policy p.toml#plain");
    assert_eq!(done.status, Some(125));
    let told = "bad.csv: line 3, column 3 (`outcome`): `great` is not an outcome: one of success, ";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    for (args, told) in [
        ("none.csv --policy p.toml#plain", "none.csv: No such file"),
        ("calls.csv --policy p.toml#plane", "did you mean `plain`?"),
        ("calls.csv", "--policy <FILE#NAME>"),
    ] {
        let done = replay(&bench, args);
        assert_eq!(done.status, Some(125), "{args}");
        assert!(done.stderr.contains(told), "{args}: {}", done.stderr);
    }
}
