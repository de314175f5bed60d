use crate::{policy, toml, wrong};
use seawall::{RetryPolicy, config::LayerKind};
use std::{fmt::Write as _, time::Duration};

#[test]
fn presets_are_those_of_the_library() {
    for (name, preset) in [
        ("standard", RetryPolicy::standard()),
        ("aws", RetryPolicy::aws()),
        ("grpc", RetryPolicy::grpc()),
    ] {
        let policy = policy(&format!("[p]\nextends = '{name}'\n"));
        assert_eq!(policy.retry(), Some(preset), "{name}");
    }
    let standard = seawall::CircuitBreaker::builder().standard().build().named("p");
    let breaker = policy("[p]\nextends = 'standard'\n").circuit_breaker().cloned();
    let told = |breaker| format!("{:#}", seawall::Pipeline::new(breaker));
    assert_eq!(told(breaker.expect("it has one")), told(standard.into()));
    for (name, budget) in
        [("aws", seawall::RetryBudget::aws()), ("grpc", seawall::RetryBudget::grpc())]
    {
        let policy = policy(&format!("[p]\nextends = '{name}'\n"));
        assert_eq!(policy.retry_budget().map(|b| b.available()), Some(budget.available()));
    }
}

#[test]
fn fields_are_inherited_one_by_one_and_the_nearest_wins() {
    let text = "
        [a.retry]
        max_attempts = 7
        base_delay = '2s'
        [b]
        extends = 'a'
        timeout = '1s'
        retry.max_attempts = 4
        [p]
        extends = 'b'
        retry.jitter = 'full'";
    let policy = policy(text);
    let built = RetryPolicy::builder()
        .max_attempts(4)
        .base_delay(Duration::from_secs(2))
        .jitter(seawall::Jitter::Full)
        .build();
    assert_eq!(policy.retry(), Some(built));
    assert_eq!(policy.timeout().map(|t| t.limit()), Some(Duration::from_secs(1)));
}

#[test]
fn the_later_of_two_that_are_extended_wins() {
    let retry = policy("[p]\nextends = ['grpc', 'aws']\n").retry();
    assert_eq!(retry, Some(RetryPolicy::aws()));
}

#[test]
fn a_field_takes_the_place_of_what_it_excludes() {
    let policy = policy("[p]\nextends = 'standard'\ncircuit_breaker = {over_calls = 200}\n");
    let breaker = format!("{policy:#}");
    assert!(breaker.contains("over_calls = 200") && !breaker.contains("over_time"), "{breaker}");
}

#[test]
fn the_usual_order_holds_where_none_is_given() {
    let text = "[p]\ntimeout = 1\nretry = true\ncircuit_breaker = true\ntotal_timeout = 9\nfallback = true\n";
    assert_eq!(policy(text).order().collect::<Vec<_>>(), LayerKind::USUAL_ORDER);
}

#[test]
fn a_layer_is_left_out_by_false_or_by_the_order() {
    for own in ["circuit_breaker = false", "order = ['retry', 'timeout']"] {
        let policy = policy(&format!("[p]\nextends = 'standard'\n{own}\n"));
        assert_eq!(
            policy.order().collect::<Vec<_>>(),
            [LayerKind::Retry, LayerKind::Timeout],
            "{own}"
        );
        assert!(policy.circuit_breaker().is_none());
    }
}

#[test]
fn a_layer_that_is_on_again_begins_anew() {
    let text = "[a]\nretry.max_attempts = 9\n[b]\nextends = 'a'\nretry = false\n[p]\nextends = 'b'\nretry = true\n";
    assert_eq!(policy(text).retry(), Some(RetryPolicy::new()));
}

#[test]
fn a_layer_that_the_order_leaves_out_is_not_set_in_vain() {
    assert_eq!(
        wrong(toml("[p]\norder = ['retry']\ntimeout = 5\n")),
        [
            "p.toml:3:1: p.timeout: `timeout` is set, but `order` leaves it out (the order at p.toml:2:9)"
        ]
    );
}

#[test]
fn a_circle_is_told_where_it_closes() {
    assert_eq!(
        wrong(toml(
            "[a]\nextends = 'b'\n[b]\nextends = 'c'\n[c]\nextends = 'a'\n[d]\nextends = 'd'\n"
        )),
        [
            "p.toml:6:11: c.extends: `a` extends this policy in turn: a circle has no beginning",
            "p.toml:8:11: d.extends: `d` extends itself",
        ]
    );
}

#[test]
fn a_chain_of_policies_has_an_end() {
    let mut text = String::from("[p0]\nretry = true\n");
    for n in 1..=40 {
        let _ = writeln!(text, "[p{n}]\nextends = 'p{}'", n - 1);
    }
    // Read from the first one on, each finds the one before it ready.
    assert!(toml(&text).is_ok());
    let mut turned = String::new();
    for n in 0..40 {
        let _ = writeln!(turned, "[p{n}]\nextends = 'p{}'", n + 1);
    }
    turned.push_str("[p40]\nretry = true\n");
    let problems = wrong(toml(&turned));
    assert!(
        problems[0].contains("more than 32 policies extend one another in a row"),
        "{problems:?}"
    );
}

#[test]
fn a_mistake_that_is_inherited_is_told_once() {
    let text = "[a]\nretry.max_attempts = 0\n[b]\nextends = 'a'\n[c]\nextends = 'b'\n";
    assert_eq!(wrong(toml(text)).len(), 1);
}

#[test]
fn a_value_that_does_not_fit_an_inherited_one_names_both() {
    assert_eq!(
        wrong(toml("[p]\nextends = 'standard'\nretry.max_delay = '1s'\n")),
        [
            "p.toml:3:19: p.retry.max_delay: `max_delay` must not be shorter than `base_delay`, but is \"1s\" (`base_delay` is \"2s\" at preset standard)"
        ]
    );
}

#[test]
fn part_of_an_inherited_budget_may_be_changed() {
    let text = "[a]\nretry.budget = {ratio = 0.5, floor = 20}\n[p]\nextends = 'a'\nretry.budget.floor = 3\n";
    assert_eq!(policy(text).retry_budget().map(|budget| budget.available()), Some(3));
}
