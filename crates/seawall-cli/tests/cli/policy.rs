use crate::bench::{Bench, finish};
use seawall::{RetryPolicy, Verdict, config::Policies, retry::Next};
use serde_json::Value;
use std::process::Command;

const FILE: &str = r#"
[budgets.shared]
ratio = 0.5
floor = 2

[fetch]
timeout = "10s"
[fetch.retry]
max_attempts = 4
base_delay = "20ms"
jitter = "full"

[guarded]
fallback = { command = "echo instead" }
[guarded.circuit_breaker]
failure_rate = 0.5
over_calls = 4
minimum_calls = 4
recovery_timeout = "1h"

[paid.retry]
max_attempts = 9
base_delay = "1ms"
budget = "shared"

[also_paid.retry]
max_attempts = 9
base_delay = "1ms"
budget = "shared"

[backwards]
order = ["retry", "circuit_breaker"]
"#;

fn with_file() -> Bench {
    let bench = Bench::new();
    bench.write("p.toml", FILE);
    bench
}

fn run(bench: &Bench, args: &str) -> crate::bench::Done {
    finish(bench.seawall(args))
}

#[test]
fn a_policy_of_a_file_runs_a_command() {
    let bench = with_file();
    bench.done("--policy p.toml#fetch", "echo x >> tries; exit 1");
    assert_eq!(bench.read("tries").lines().count(), 4);
    bench.done("--policy p.toml#fetch --max-attempts 2", "echo x >> fewer; exit 1");
    assert_eq!(bench.read("fewer").lines().count(), 2, "options come last");
    let mut command = bench.run("--policy p.toml#fetch", "echo x >> fewest; exit 1");
    command.env("SEAWALL__FETCH__RETRY__MAX_ATTEMPTS", "1");
    finish(command);
    assert_eq!(bench.read("fewest").lines().count(), 1, "the environment lies over the file");
}

#[test]
fn one_file_gives_the_library_and_the_command_the_same_delays() {
    let bench = with_file();
    let policies = Policies::load(bench.path("p.toml")).expect("in order");
    let policy: RetryPolicy = policies.get("fetch").and_then(|spec| spec.retry()).expect("there");
    let mut attempts = policy.attempts().seeded(11);
    let mut expected = Vec::new();
    while let Next::RetryAfter(delay) = attempts.next(Verdict::TRANSIENT) {
        expected.push(u64::try_from(delay.as_millis()).expect("small"));
    }
    assert_eq!(expected.len(), 3);

    bench.done("--policy p.toml#fetch --seed 11 --events events", "exit 1");
    let told = bench.read("events");
    let told = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let waited: Vec<u64> = told.filter_map(|event| event["delay_ms"].as_u64()).collect();
    assert_eq!(waited, expected);

    let done = run(&bench, "explain p.toml#fetch --seed 11 --json");
    let explained: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let drawn = explained["drawn"]["delays"].as_array().expect("a list").iter();
    let drawn: Vec<u64> = drawn
        .map(|delay| std::time::Duration::from_secs_f64(delay.as_f64().expect("seconds")))
        .map(|delay| u64::try_from(delay.as_millis()).expect("small"))
        .collect();
    assert_eq!(drawn, expected);
}

#[test]
fn a_breaker_of_a_file_keeps_its_window_between_processes() {
    let bench = with_file();
    let args = "--policy p.toml#guarded";
    for exit in [1, 0, 0] {
        let done = bench.done(args, &format!("echo ran; exit {exit}"));
        assert_eq!(done.text(), if exit == 0 { "ran\n" } else { "instead\n" });
    }
    let listed = run(&bench, "breakers").text().to_owned();
    assert!(listed.contains("guarded") && listed.contains("1/3"), "{listed}");
    let done = bench.done(args, "exit 1");
    assert!(done.stderr.contains("breaker \"guarded\" is open"), "half of four: {}", done.stderr);
    let done = bench.done(args, "echo ran");
    assert_eq!((done.status, done.text()), (Some(0), "instead\n"));
}

#[test]
fn a_budget_of_a_file_is_shared_by_its_policies() {
    let bench = with_file();
    bench.done("--policy p.toml#paid", "echo x >> tries; exit 1");
    bench.done("--policy p.toml#also_paid", "echo x >> tries; exit 1");
    assert_eq!(bench.read("tries").lines().count(), 4, "two calls, and two retries for both");
}

#[test]
fn what_a_file_asks_for_in_vain_is_refused() {
    let bench = with_file();
    bench.write("broken.toml", "[a.retry]\nmax_atempts = 3\n");
    for (place, words) in [
        ("p.toml", ["which policy", "guarded"]),
        ("p.toml#fetsh", ["`fetsh`", "did you mean `fetch`"]),
        ("p.toml#backwards", ["backwards", "circuit_breaker > retry"]),
        ("none.toml#a", ["none.toml", "cannot be read"]),
        ("broken.toml#a", ["broken.toml:2:1", "max_attempts"]),
    ] {
        let done = bench.done(&format!("--policy {place}"), "echo ran");
        assert_eq!((done.status, done.text()), (Some(125), ""), "{place}");
        for word in words {
            assert!(done.stderr.contains(word), "{place} says nothing of {word}: {}", done.stderr);
        }
    }
}

#[test]
fn check_tells_of_findings_and_of_files_that_are_not_in_order() {
    let bench = Bench::new();
    bench.write("good.toml", seawall::config::STARTING_FILE);
    bench.write(
        "bad.toml",
        "[a]\ntimeout = \"1s\"\nretry = { max_attempts = 1, budget = \"aws\" }\n",
    );
    bench.write("advice.toml", "[a]\ntimeout = \"1s\"\n[a.retry]\nmax_attempts = 2\n");
    bench.write(
        "allowed.toml",
        "[a]\ntimeout = \"1s\"\n[a.retry]\nmax_attempts = 2\n[a.allow]\nretry-without-budget = \"rare\"\n",
    );
    bench.write("broken.json", "{ \"a\": { \"tymeout\": 1 } }");
    for (args, status, words) in [
        ("good.toml", 0, "good.toml: in order"),
        ("bad.toml", 1, "bad.toml:3:"),
        ("bad.toml", 1, "[retry-without-retries]"),
        ("advice.toml", 0, "[retry-without-budget]"),
        ("advice.toml --strict", 1, "[retry-without-budget]"),
        ("allowed.toml --strict", 0, "in order (1 allowed)"),
        ("allowed.toml --allowed", 0, "allowed: rare"),
        ("broken.json", 1, "did you mean `timeout`"),
        ("good.toml bad.toml", 1, "good.toml: in order"),
        ("good.toml none.toml", 1, "cannot be read"),
        ("--rules", 0, "worst-case-over-limit"),
    ] {
        let done = run(&bench, &format!("check {args}"));
        assert_eq!(done.status, Some(status), "{args}: {}", done.text());
        assert!(done.text().contains(words), "{args} says nothing of {words}: {}", done.text());
    }
}

#[test]
fn check_speaks_to_github_and_to_code_scanners() {
    let bench = Bench::new();
    bench.write(
        "a,b.toml",
        "[a]\ntimeout = \"1s\"\nretry = { max_attempts = 1, budget = \"aws\" }\n",
    );
    let done = finish({
        let mut command = bench.seawall("check --format github");
        command.arg("a,b.toml");
        command
    });
    let line = done.text().lines().next().expect("an annotation");
    let start = "::warning file=a%2Cb.toml,line=3,col=";
    assert!(line.starts_with(start) && line.contains("title=retry-without-retries::"), "{line}");

    bench.write(
        "two.toml",
        "[a]\ntimeout = \"1s\"\n[a.retry]\nmax_attempts = 1\n[a.allow]\nretry-without-budget = \"rare\"\n",
    );
    let done = run(&bench, "check --format sarif two.toml");
    let sarif: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().expect("a list");
    let of = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).expect("found");
    let found = of("retry-without-retries");
    assert_eq!(found["level"], "warning");
    let place = &found["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "two.toml");
    assert_eq!(place["region"]["startLine"], 4);
    assert!(found.get("suppressions").is_none());
    assert!(sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("a list").len() > 10);
}

#[test]
fn explain_shows_layers_delays_and_the_worst_case() {
    let bench = with_file();
    let done = run(&bench, "explain p.toml#fetch");
    for words in
        ["└─ retry", "max_attempts = 4", "20 ms", "80 ms", "attempts  4", "time      40.1 s"]
    {
        assert!(done.text().contains(words), "no {words:?} in\n{}", done.text());
    }
    let done = run(&bench, "explain p.toml#guarded --mermaid");
    assert!(done.text().starts_with("flowchart") && done.text().contains("circuit_breaker"));
    let done = run(&bench, "explain p.toml#fetch --json");
    let explained: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(explained["worst_case"]["attempts"], 4);
    assert_eq!(explained["schedule"].as_array().map(Vec::len), Some(3));
}

#[test]
fn init_writes_a_file_that_is_in_order_and_overwrites_none() {
    let bench = Bench::new();
    assert_eq!(run(&bench, "init new.toml").status, Some(0));
    assert_eq!(run(&bench, "check --strict new.toml").status, Some(0));
    bench.write("new.toml", "mine");
    let done = run(&bench, "init new.toml");
    assert_eq!(done.status, Some(125));
    assert_eq!(bench.read("new.toml"), "mine");
    assert_eq!(run(&bench, "init --force new.toml").status, Some(0));
    assert_eq!(run(&bench, "init -").text(), bench.read("new.toml"));
}

#[test]
fn shells_and_man_know_every_option() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            run(&bench, &format!("completions {shell}")).text().contains("until-success"),
            "{shell}"
        );
    }
    std::fs::create_dir(bench.path("man")).expect("made");
    assert_eq!(run(&bench, "man man").status, Some(0));
    assert!(bench.read("man/seawall-run.1").contains("until\\-success"));
    bench.write("completions", run(&bench, "completions bash").text());
    let mut bash = Command::new("bash");
    bench.at_home(&mut bash);
    bash.args(["-n", "completions"]);
    assert_eq!(finish(bash).status, Some(0), "bash can read it");
}

#[test]
fn the_schema_is_json() {
    let bench = Bench::new();
    let schema: Value = serde_json::from_slice(&run(&bench, "schema").stdout).expect("JSON");
    assert!(schema["$schema"].as_str().is_some_and(|draft| draft.contains("json-schema.org")));
}
