use crate::{policy, toml};
use seawall::config::{Level, Policies, rules};
use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "config", "rules"].iter().collect()
}

fn found(rule: &str, file: &str) -> Vec<&'static str> {
    let path = folder().join(rule).join(file);
    match Policies::loader().load(&path) {
        Ok(policies) => policies.lint().iter().map(|finding| finding.rule().id).collect(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn each_rule_has_a_file_that_breaks_it_and_one_that_does_not() {
    for rule in rules() {
        assert!(found(rule.id, "found.toml").contains(&rule.id), "{} is not found", rule.id);
        assert!(!found(rule.id, "passed.toml").contains(&rule.id), "{} is found", rule.id);
    }
}

#[test]
fn each_file_is_of_a_rule() {
    let known: BTreeSet<String> = rules().iter().map(|rule| rule.id.to_owned()).collect();
    let files = fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("an id"));
    assert_eq!(files.collect::<BTreeSet<_>>(), known);
}

#[test]
fn each_rule_of_stacks_is_in_the_table_or_beyond_files() {
    // A file has one of each layer, and its fallback has at most one entry.
    let beyond = [
        "empty-fallback",
        "fallback-inside-fallback",
        "retries-multiply",
        "retry-inside-retry",
        "unreachable-fallback",
    ];
    let source = include_str!("../../src/lint.rs");
    let ids = source.split('"').skip(1).step_by(2).filter(|text| {
        text.contains('-') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    });
    let mut count = 0;
    for id in ids {
        count += 1;
        let known = rules().iter().any(|rule| rule.id == id);
        assert!(known != beyond.contains(&id), "{id}");
    }
    assert!(count > 10, "the ids are found");
}

#[test]
fn a_finding_names_the_line_that_it_is_about() {
    let text = "[p]\ntimeout = '1s'\n\n[p.retry]\nbudget = 'aws'\njitter = 'none'\n";
    let [finding] = &policy(text).lint()[..] else { panic!("one finding") };
    assert_eq!(
        finding.to_string(),
        "p.toml:6:10: advice: p: callers who fail together come back together: set `jitter` [retry-without-jitter]"
    );
    assert_eq!((finding.level(), finding.policy()), (Level::Advice, "p"));
}

#[test]
fn a_finding_in_what_a_preset_says_names_the_policy_that_extends_it() {
    let found = policy("[q]\n[p]\nextends = 'standard'\n").lint();
    let budget = found.iter().find(|finding| finding.rule().id == "retry-without-budget");
    assert_eq!(budget.expect("it has none").place().line(), Some(2));
}

#[test]
fn what_is_allowed_is_told_apart_with_its_reason() {
    let text = "[p]\nretry.budget = 'aws'\nallow.attempt-without-timeout = 'the client has one'\n";
    let policy = policy(text);
    assert!(policy.lint().is_empty());
    let [finding] = &policy.findings()[..] else { panic!("one finding") };
    assert_eq!(finding.allowed(), Some("the client has one"));
}

#[test]
fn what_is_inherited_may_be_allowed_in_vain() {
    let text = "[base]\nretry = {jitter = 'none', budget = 'aws'}\ntimeout = 1\nallow.retry-without-jitter = 'tests'\n[p]\nextends = 'base'\nretry.jitter = 'full'\n";
    assert_eq!(toml(text).expect("in order").lint(), []);
}

#[test]
fn the_schedule_has_the_range_of_jitter() {
    let explained = policy("[p.retry]\nmax_attempts = 4\njitter = 'full'\n").explain();
    let delays: Vec<(u64, u64, u64, u64)> = explained
        .schedule
        .iter()
        .map(|d| (d.after_attempt, d.delay.as_secs(), d.shortest.as_secs(), d.longest.as_secs()))
        .collect();
    assert_eq!(delays, [(1, 1, 0, 1), (2, 2, 0, 2), (3, 4, 0, 4)]);
}

#[test]
fn the_worst_case_goes_through_the_layers() {
    let plain = "[p.retry]\nmax_attempts = 4\njitter = 'none'\n";
    for (text, attempts, seconds) in [
        // Nothing limits an attempt.
        (plain.to_owned(), 4, None),
        // Four attempts of 2 s, and 1 + 2 + 4 s between them.
        (format!("p.timeout = 2\n{plain}"), 4, Some(15)),
        (format!("p.timeout = 2\np.total_timeout = 9\n{plain}"), 4, Some(9)),
        // 1 + 2 s fit, 4 more do not.
        (format!("p.timeout = 2\np.total_timeout = 5\n{plain}"), 3, Some(5)),
        (format!("p.total_timeout = 5\n{plain}"), 3, Some(5)),
        // No delay ends past 5 s; an attempt may begin then.
        (format!("p.timeout = 2\n{plain}total_timeout = 5\n"), 3, Some(7)),
        ("[p]\ntimeout = 3\n".to_owned(), 1, Some(3)),
        ("[p]\ncircuit_breaker = true\n".to_owned(), 1, None),
    ] {
        let explained = policy(&text).explain();
        assert_eq!(explained.worst_attempts, attempts, "{text}");
        assert_eq!(explained.worst_time, seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn jitter_is_in_the_worst_case() {
    let explained = policy("[p]\ntimeout = 1\nretry.max_attempts = 3\n").explain();
    assert_eq!(explained.worst_backoff, Duration::from_millis(3750));
    assert_eq!(explained.worst_time, Some(Duration::from_millis(6750)));
}

#[test]
fn schedules_without_end_are_explained_at_once() {
    let most = u64::from(u32::MAX);
    for (retry, seconds) in [
        ("backoff = 'fixed'", most - 1),
        // 1, 2, 4, .. 32, then 60 each.
        ("", 63 + (most - 1 - 6) * 60),
        // What grows slowly is taken to be at its cap: the figure is a bound.
        ("backoff = 'linear', base_delay = '1ns'", (most - 1 - 10_000) * 60),
    ] {
        let text = format!(
            "[p]\ntimeout = 1\nretry = {{max_attempts = {most}, jitter = 'none', {retry}}}\n"
        )
        .replace(", }", "}");
        let explained = policy(&text).explain();
        assert_eq!(explained.worst_backoff.as_secs(), seconds, "{text}");
        assert_eq!((explained.delays, explained.schedule.len()), (most - 1, 100), "{text}");
    }
    let limited = "[p]\ntotal_timeout = '1h'\nretry = {max_attempts = 4294967295, backoff = 'fixed', jitter = 'none'}\n";
    assert_eq!(policy(limited).explain().worst_attempts, 3601);
}
