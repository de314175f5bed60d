//! Scenario files through the public API: what is read, what is refused and where, what is laid over.

use seawall::config::Format;
use seawall_sim::{Arrivals, Draft, FaultKind, Findings, Ready, Span, Study};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn read(text: &str) -> Study {
    Draft::text(text, Format::Toml).and_then(|draft| draft.study()).expect(text)
}

fn wrong(text: &str) -> Vec<String> {
    let read = Draft::text(text, Format::Toml).and_then(|draft| draft.study());
    let error = read.expect_err(text);
    error.problems().iter().map(ToString::to_string).collect()
}

fn names(findings: &Findings) -> Vec<&str> {
    findings.findings.iter().map(|finding| finding.name.as_str()).collect()
}

const WHOLE: &str = r#"
name = "checkout"
about = "what a payment costs"
length = "3s"
seeds = 2
seed = 7
bin = "500ms"
per_shard = ["payments"]
compare = ["none", "payments", "aws"]

[load]
rate = 50
clients = 3
steps = [{ from = "1s", factor = 0.5 }, { from = "2s", factor = 1 }]

[network]
delay = { uniform = ["1ms", "3ms"] }

[[tier]]
name = "front"
workers = 4
time = { p50 = "5ms", p99 = "50ms" }
queue = 100
shed_after = "1s"

[[tier]]
name = "db"
shards = 3
workers = 2
time = { normal = ["4ms", "1ms"] }
slowdown = 0.01
pushback = true

[[fault]]
kind = "errors"
from = "1s"
for = "500ms"
share = 0.5
tier = "db"
shard = 2

[[fault]]
kind = "latency"
for = 0.25
from = 1
delay = "20ms"

[policies.payments]
extends = "base"
timeout = "1s"

[policies.base]
retry = { max_attempts = 3, base_delay = "10ms", budget = "shared" }

[policies.budgets.shared]
ratio = 0.1
floor = 5
"#;

#[test]
fn a_file_says_all_that_a_scenario_has() {
    let study = read(WHOLE);
    let found = study.run();
    let scenario = &found.scenario;
    assert_eq!((scenario.name.as_str(), scenario.length), ("checkout", 3 * S));
    assert_eq!((found.seeds, found.first_seed, found.bin), (2, 7, 0.5));
    assert_eq!((&scenario.load.arrivals, scenario.load.clients), (&Arrivals::Rate(50.0), 3));
    assert_eq!(scenario.load.steps, [(S, 0.5), (2 * S, 1.0)]);
    assert_eq!(scenario.network.delay, Span::Uniform(MS, 3 * MS));
    let [front, db] = scenario.tiers.as_slice() else { unreachable!("two: {scenario:?}") };
    assert_eq!(front.service, Span::LogNormal { p50: 5 * MS, p99: 50 * MS });
    assert_eq!((front.queue, front.shed_after, front.pushback), (Some(100), Some(S), false));
    assert_eq!((db.shards, db.workers, db.slowdown, db.pushback), (3, 2, 0.01, true));
    let [errors, latency] = scenario.faults.as_slice() else { unreachable!("two: {scenario:?}") };
    assert_eq!(errors.kind, FaultKind::Errors(0.5));
    assert_eq!(
        (errors.tier, errors.shard, errors.from, errors.lasts),
        (Some(1), Some(2), S, S / 2)
    );
    assert_eq!((latency.kind, latency.lasts), (FaultKind::Latency(20 * MS), S / 4));
    assert_eq!(names(&found), ["none", "payments", "aws"]);
    assert_eq!(found.findings[1].about, "retry \"payments\"(3) > timeout(1s)");
}

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = "load: {rate: 5}\nlength: 2s\nservice: {workers: 1, time: {exponential: 1ms}}\n";
    let json = r#"{"load": {"rate": 5}, "length": 2, "service": {"workers": 1, "time": {"exponential": "1ms"}}}"#;
    let toml =
        "load.rate = 5\nlength = 2\nservice = { workers = 1, time = { exponential = 0.001 } }";
    let scenario = |text, format| {
        let draft = Draft::text(text, format).expect("in order");
        draft.study().expect("in order").seeds(1).run().scenario
    };
    let first = scenario(toml, Format::Toml);
    assert_eq!(scenario(yaml, Format::Yaml), first);
    assert_eq!(scenario(json, Format::Json), first);
}

#[test]
fn an_empty_file_is_the_usual_world_with_the_usual_policies() {
    let found = read("length = \"2s\"").run();
    assert_eq!(names(&found), ["none", "standard"]);
    assert_eq!(found.scenario.tiers[0].workers, 10);
}

#[test]
fn all_policies_of_a_file_take_part_where_it_does_not_say_which() {
    let found = read("length = 1\n[policies.b]\ntimeout = 1\n[policies.a]\nretry = true").run();
    assert_eq!(names(&found), ["b", "a"]);
}

#[test]
fn every_value_is_checked_and_told_with_its_place() {
    for (text, told) in [
        (
            "lenth = 1",
            "<text>:1:1: lenth: unknown field `lenth`: there is name, about, length, seeds, seed, bin, load, network, service, tier, fault, policies, compare, per_shard, $schema; did you mean `length`?",
        ),
        (
            "length = nan",
            "<text>:1:10: length: `length` must be a duration such as \"250ms\" or \"1m30s\", or a number of seconds, but is nan",
        ),
        (
            "length = -1",
            "<text>:1:10: length: `length` must be a duration such as \"250ms\" or \"1m30s\", or a number of seconds, but is -1",
        ),
        (
            "length = \"40 days\"",
            "<text>:1:10: length: `length` must be within 1ms..=2592000s, but is \"40 days\"",
        ),
        (
            "length = \"30 days\"\nload.rate = 1",
            "<text>:1:10: length: a `length` of 2592000s makes 2592000 bins of 1s, and at most 10000 are kept: make `bin` longer, or `length` shorter",
        ),
        (
            "seeds = 0",
            "<text>:1:9: seeds: `seeds` must be a whole number within 1..=10000, but is 0",
        ),
        (
            "seeds = 10000",
            "<text>:1:9: seeds: 10000 seeds of 2 policies in 100 bins each are 2000000 bins",
        ),
        (
            "load = \"much\"",
            "<text>:1:8: load: `load` must be a number above 0 and at most 100, but is \"much\", text",
        ),
        (
            "load.rate = 0",
            "<text>:1:13: load.rate: `rate` must be a number above 0 and at most 1000000000, but is 0",
        ),
        (
            "load.rate = nan",
            "<text>:1:13: load.rate: `rate` must be a number above 0 and at most 1000000000, but is nan",
        ),
        (
            "load.share = inf",
            "<text>:1:14: load.share: `share` must be a number above 0 and at most 100, but is inf",
        ),
        (
            "load = { rate = 1, share = 1 }",
            "load.rate: `rate` stands in place of `share`: give one of them (the other at <text>:1:28)",
        ),
        ("load = { rate = 1, think = 1 }", "load.think: `think` means nothing for an open loop"),
        (
            "load = { users = 3 }",
            "load.think: `think` must be given: how long a user waits before the next call",
        ),
        (
            "load = { users = 3, think = 0 }",
            "load.think: `think` must be within 1µs..=86400s on average, but is 0ns",
        ),
        (
            "load.clients = 1_000_000_000_000_000_000",
            "load.clients: `clients` must be a whole number within 1..=2000000, but is 1_000_000_000_000_000_000",
        ),
        (
            "load.rate = 2_000_000",
            "<text>:1:1: load: 2000000 a second for 100s come to up to 200000000 calls, and a run has less than 100000000: make the load less, or `length` shorter",
        ),
        (
            "load.recorded = [2, 1]",
            "load.recorded: `recorded` must hold the times of calls since the start, the earliest first",
        ),
        (
            "load.steps = [{ from = 5 }]",
            "load.steps.0.factor: `factor` must be given: a step is { from = \"60s\", factor = 0.5 }",
        ),
        (
            "load.steps = [{ from = 5, factor = 1 }, { from = 5, factor = 2 }]",
            "load.steps.1.from: `from` must be later than that of the step before",
        ),
        (
            "network.delay = 0",
            "network.delay: `delay` must be within 1µs..=86400s on average, but is 0ns",
        ),
        (
            "service.workers = 0",
            "<text>:1:19: service.workers: `workers` must be a whole number within 1..=1000000, but is 0",
        ),
        (
            "service.workers = 1.5",
            "service.workers: `workers` must be a whole number within 1..=1000000, but is 1.5",
        ),
        ("service.wokers = 5", "did you mean `workers`?"),
        (
            "service.time = { p50 = \"20ms\", p99 = \"2ms\" }",
            "<text>:1:38: service.time.p99: `p99` must not be shorter than `p50`, 20ms, but is 2ms",
        ),
        (
            "service.time = { p50 = \"20ms\" }",
            "service.time.p99: `p99` must be given: the two say how latencies are spread",
        ),
        (
            "service.time = { p50 = 0, p99 = 1 }",
            "service.time.p50: `p50` must be above 0, but is 0",
        ),
        (
            "service.time = { uniform = [2, 1] }",
            "service.time.uniform: `uniform` must go from the shorter to the longer, but is 2s to 1s",
        ),
        (
            "service.time = { uniform = [2] }",
            "service.time.uniform: `uniform` must be two durations, from and to",
        ),
        (
            "service.time = { normal = 2 }",
            "service.time.normal: `normal` must be a list of durations",
        ),
        (
            "service.time = { recorded = [] }",
            "service.time.recorded: `recorded` must hold a duration at least",
        ),
        (
            "service.time = {}",
            "service.time: `service.time` must be a duration, which is then always the same, or one of",
        ),
        (
            "service.time = { exponential = 0 }",
            "service.time: `time` must be within 1µs..=86400s on average, but is 0ns",
        ),
        (
            "service.time = { exponential = 1, constant = 1 }",
            "service.time.exponential: `exponential` stands in place of `constant`",
        ),
        (
            "service.queue = \"long\"",
            "service.queue: `queue` must be a whole number, how many may wait, or \"unbounded\", but is \"long\"",
        ),
        (
            "service.queue = -1",
            "service.queue: `queue` must be a whole number within 0..=4294967295, but is -1",
        ),
        (
            "service.slowdown = -0.1",
            "service.slowdown: `slowdown` must be a number within 0..=1000, but is -0.1",
        ),
        (
            "service = {}\ntier = [{}]",
            "tier: `tier` stands in place of `service`: give one of them",
        ),
        ("tier = []", "tier: `tier` must have one member at least"),
        (
            "tier = [{ name = \"a\" }, { name = \"a\" }]",
            "tier.1.name: `a` is the name of tier 0 as well",
        ),
        ("fault = { kind = \"stall\" }", "fault: `fault` must be a list of tables, but is a table"),
        (
            "fault = [{ kind = \"stal\", for = 1 }]",
            "<text>:1:19: fault.0.kind: `kind` must be one of stall, refuse, dead, errors, capacity, slow, latency, loss, restart, but is \"stal\"; did you mean `stall`?",
        ),
        (
            "fault = [{ kind = \"stall\" }]",
            "fault.0.for: `for` must be given: how long the fault lasts",
        ),
        (
            "fault = [{ kind = \"errors\", for = 1 }]",
            "fault.0.share: `share` must be given: the share of requests that fail",
        ),
        (
            "fault = [{ kind = \"errors\", for = 1, share = 1.5 }]",
            "fault.0.share: `share` must be a number within 0..=1, but is 1.5",
        ),
        (
            "fault = [{ kind = \"stall\", for = 1, share = 0.5 }]",
            "fault.0.share: `share` means nothing for `stall`",
        ),
        (
            "length = 30\nfault = [{ kind = \"stall\", for = 1 }]",
            "<text>:2:9: fault: the stall begins 30s after the start, but the run is over at 30s (a longer `length`, or an earlier `from`)",
        ),
        (
            "fault = [{ kind = \"stall\", for = 1, tier = \"db\" }]",
            "fault.0.tier: there is no tier \"db\": there is service",
        ),
        (
            "fault = [{ kind = \"stall\", for = 1, shard = 1 }]",
            "fault.0.shard: `shard` must be a whole number within 0..=0, but is 1",
        ),
        (
            "fault = [{ kind = \"loss\", for = 1, share = 0.1, shard = 0 }]",
            "fault.0.shard: `shard` means nothing for the network, which is one",
        ),
        (
            "compare = [\"nobody\"]",
            "<text>:1:12: compare: there is no policy `nobody`: there is none, standard, aws, grpc, or one of a file, FILE.toml#NAME",
        ),
        ("compare = []", "compare: `compare` must name a policy at least"),
        ("policies = 5", "policies: `policies` must be a list of policies"),
        ("policies = [\"nowhere.toml#p\"]", "nowhere.toml: cannot be read"),
        ("per_shard = [\"x\"]", "per_shard: no policy `x` takes part: there is none, standard"),
        (
            "[policies.p.retry]\nmax_attempts = 0",
            "<text>:2:16: policies.p.retry.max_attempts: `max_attempts` must be 1 or more: the first attempt counts, but is 0",
        ),
        ("[policies.p.retri]\nx = 0", "<text>:1:13: policies.p.retri: a policy has no `retri`"),
        ("length = ", "<text>:1:10: "),
    ] {
        let all = wrong(text);
        assert!(all.iter().any(|line| line.contains(told)), "{text}\n{told}\n{all:#?}");
    }
}

#[test]
fn one_run_tells_of_all_that_is_wrong() {
    let text = "seeds = 0\n[load]\nrate = -1\n[service]\nworkers = 0\ntime = \"fast\"\n\
                [policies.p]\ntimeout = \"soon\"\n[[fault]]\nkind = \"flood\"\n";
    let lines: Vec<u32> = Draft::text(text, Format::Toml)
        .and_then(|draft| draft.study())
        .expect_err("it is full of them")
        .problems()
        .iter()
        .filter_map(|problem| problem.place().line())
        .collect();
    assert_eq!(lines, [1, 3, 5, 6, 8, 9, 10]);
}

fn changed(text: &str, sets: &[(&str, &str)]) -> Result<Study, String> {
    let mut draft = Draft::text(text, Format::Toml).expect(text);
    for (path, value) in sets {
        draft.set(path, value, &format!("--set {path}={value}")).map_err(|e| e.to_string())?;
    }
    draft.study().map_err(|error| error.to_string())
}

#[test]
fn what_is_laid_over_takes_the_place_of_what_it_excludes() {
    let scenario = |text, sets| changed(text, sets).expect("in order").seeds(1).run().scenario;
    let users = "length = 1\nload = { users = 5, think = \"1s\" }";
    let found = scenario(users, &[("load.rate", "20"), ("load.clients", "4")]);
    assert_eq!((found.load.arrivals, found.load.clients), (Arrivals::Rate(20.0), 4));
    let found = scenario("length = 1\nload = 0.9", &[("load.clients", "4")]);
    assert_eq!(found.load.clients, 4);
    let found = scenario("length = 1\nload.clients = 4", &[("load", "0.5")]);
    assert_eq!((found.load.arrivals, found.load.clients), (Arrivals::Share(0.5), 4));
    let logs = "length = 1\nservice.time = { p50 = \"1ms\", p99 = \"5ms\" }";
    let found = scenario(logs, &[("service.time.p99", "7ms")]);
    assert_eq!(found.tiers[0].service, Span::LogNormal { p50: MS, p99: 7 * MS });
    let found = scenario(logs, &[("service.time.exponential", "7ms")]);
    assert_eq!(found.tiers[0].service, Span::Exponential(7 * MS));
    let found = scenario(logs, &[("tier.0.time", "uniform=1ms..2ms")]);
    assert_eq!(found.tiers[0].service, Span::Uniform(MS, 2 * MS));
    let tiers =
        "length = 1\ntier = [{ name = \"a\", time = { p50 = 1, p99 = 2 } }, { name = \"b\" }]";
    let sets = [("tier.a.time.constant", "3ms"), ("service.workers", "3"), ("tier.b.queue", "7")];
    let found = scenario(tiers, &sets);
    assert_eq!((&found.tiers[0].service, found.tiers[0].workers), (&Span::Constant(3 * MS), 10));
    assert_eq!((found.tiers[1].workers, found.tiers[1].queue), (3, Some(7)));
}

#[test]
fn a_policy_field_is_changed_in_one_policy_or_in_all_that_have_the_layer() {
    let text = "length = 1\ncompare = [\"none\", \"a\", \"b\", \"c\", \"aws\"]\n\
                [policies]\na.retry = true\nb.timeout = 1\nc.retry = { max_attempts = 9 }";
    let about = |sets| -> Vec<String> {
        let found = changed(text, sets).expect("in order").seeds(1).run();
        found.findings.into_iter().map(|finding| finding.about).collect()
    };
    let all = about(&[("retry.max_attempts", "2")]);
    assert_eq!(all[1..4], ["retry \"a\"(2)", "timeout(1s)", "retry \"c\"(2)"]);
    assert!(all[4].contains("(2)"), "{all:?}");
    let one = about(&[("policies.c.retry.max_attempts", "2"), ("b.timeout", "3s")]);
    assert_eq!(one[1..4], ["retry \"a\"(3)", "timeout(3s)", "retry \"c\"(2)"]);
}

#[test]
fn what_is_laid_over_is_checked_like_a_file_and_told_by_its_option() {
    let text = "length = 1\n[policies.p]\nretry = true";
    for (path, value, told) in [
        (
            "service.workers",
            "0",
            "--set service.workers=0: service.workers: `workers` must be a whole number within 1..=1000000, but is \"0\"",
        ),
        (
            "servce.workers",
            "1",
            "--set servce.workers=1: servce.workers: `servce` is neither a field of the scenario, nor a layer of a policy, nor a policy; did you mean `service`?",
        ),
        ("service.wrkers", "1", "did you mean `workers`?"),
        (
            "retry.max_attempts",
            "0",
            "--set retry.max_attempts=0: policies.p.retry.max_attempts: `max_attempts` must be 1 or more: the first attempt counts, but is \"0\"",
        ),
        ("retry.max_atempts", "1", "did you mean `max_attempts`?"),
        ("timeout", "1s", "--set timeout=1s: timeout: no policy has `timeout`: there is p"),
        (
            "service.time",
            "p50=9ms,p99=1ms",
            "--set service.time=p50=9ms,p99=1ms: service.time: `p99` must not be shorter than `p50`, 9ms, but is 1ms",
        ),
        ("service.time", "p50=9ms", "written like 10ms, exponential=10ms"),
        (
            "fault.3.for",
            "1s",
            "--set fault.3.for=1s: fault: `fault` must be a list of tables, but is a table",
        ),
    ] {
        let told_of = changed(text, &[(path, value)]).expect_err(path);
        assert!(told_of.contains(told), "{path}={value}\n{told}\n{told_of}");
    }
}

#[test]
fn a_ready_made_world_can_be_changed_and_its_own_policies_cannot() {
    let storm = Ready::find("retry-storm").expect("it is there");
    let mut draft = Draft::ready(storm).expect("a file can say it");
    draft.set("length", "2s", "--length 2s").expect("a path");
    draft.remove("fault");
    let found = draft.study().expect("in order").seeds(1).run();
    assert_eq!(found.findings.len(), storm.contenders().len());
    assert_eq!((found.scenario.length, found.scenario.faults.len()), (2 * S, 0));

    draft.set("retry.max_attempts", "2", "--set").expect("a path");
    let error = draft.study().expect_err("they are code").to_string();
    assert!(
        error.contains("give one of a file or a preset to change, such as `standard`"),
        "{error}"
    );
    draft.policy("aws", "--policy aws");
    let found = draft.study().expect("in order").seeds(1).run();
    assert_eq!(names(&found), ["aws"]);
    assert!(found.findings[0].about.contains("(2)"), "{}", found.findings[0].about);
}
