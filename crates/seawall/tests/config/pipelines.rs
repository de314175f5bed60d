use crate::{policy, toml, yaml};
use seawall::{
    CircuitBreaker, Error, FallbackChain, Pipeline, RetryExecutor, RetryPolicy, Timeout,
    config::{ConfigError, Data, Policies},
};
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Clone, PartialEq)]
struct Down;

async fn down() -> Result<u32, Down> {
    Err(Down)
}

#[tokio::test(start_paused = true)]
async fn a_file_and_the_same_in_code_wait_alike_for_the_same_seed() {
    let from_file = policy(
        "[p]\ntimeout = 2\nretry = {max_attempts = 5, base_delay = '250ms', jitter = 'full'}\n",
    );
    let from_file = from_file.stack::<u32, Down>().seed(7).build().expect("in order");
    let retry = RetryPolicy::builder()
        .max_attempts(5)
        .base_delay(Duration::from_millis(250))
        .jitter(seawall::Jitter::Full)
        .build();
    let limit = Timeout::new(Duration::from_secs(2));
    let in_code = Pipeline::new((RetryExecutor::new(retry).seed(7), limit));
    let begun = Instant::now();
    assert!(from_file.run(down).await.is_err());
    let first = begun.elapsed();
    assert!(in_code.run(down).await.is_err());
    assert_eq!(begun.elapsed(), first * 2);
    assert!(first > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn layers_nest_in_the_order_of_the_file() {
    let calls = AtomicU32::new(0);
    let count = || {
        calls.fetch_add(1, Ordering::Relaxed);
        down()
    };
    let inside = policy(
        "[p]\norder = ['circuit_breaker', 'retry']\ncircuit_breaker.failure_threshold = 2\nretry = {max_attempts = 3, base_delay = 0}\n",
    );
    let pipeline = inside.pipeline::<u32, Down>().expect("in order");
    for _ in 0..5 {
        let _ = pipeline.run(&count).await;
    }
    assert_eq!(calls.swap(0, Ordering::Relaxed), 6, "two calls of three attempts");

    let outside = policy(
        "[p]\norder = ['retry', 'circuit_breaker']\ncircuit_breaker.failure_threshold = 2\nretry = {max_attempts = 3, base_delay = 0}\n",
    );
    let pipeline = outside.pipeline::<u32, Down>().expect("in order");
    let _ = pipeline.run(&count).await;
    assert_eq!(calls.load(Ordering::Relaxed), 2, "two attempts open it");
}

#[tokio::test]
async fn pipelines_of_one_policy_share_its_breaker() {
    let policies = toml("[p]\ncircuit_breaker.failure_threshold = 1\n").expect("in order");
    let policy = policies.get("p").expect("it is there");
    let one = policy.pipeline::<u32, Down>().expect("in order");
    let other = policies
        .clone()
        .get("p")
        .expect("it is there")
        .pipeline::<&str, String>()
        .expect("in order");
    let _ = one.run(down).await;
    let rejected = other.run(async || Ok("well")).await;
    assert!(matches!(rejected, Err(Error::Rejected(_))), "{rejected:?}");
    let breaker: &Arc<CircuitBreaker> = policy.circuit_breaker().expect("it is on");
    assert!(breaker.state().is_open());
    assert_eq!(breaker.name().map(ToString::to_string).as_deref(), Some("p"));
}

#[tokio::test]
async fn policies_that_name_one_budget_share_it() {
    let text = "
        [budgets.own]
        ratio = 0.1
        floor = 3
        [a]
        retry = {max_attempts = 3, base_delay = 0, budget = 'own'}
        [b]
        extends = 'a'";
    let policies = toml(text).expect("in order");
    let run = |name: &str| policies.get(name).expect("it is there").pipeline().expect("in order");
    let _ = run("a").run(down).await;
    let _ = run("b").run(down).await;
    let left = policies.get("b").and_then(|b| b.retry_budget()).expect("it is named").available();
    assert_eq!(left, 0, "two retries of the one, and the last one of the other");
}

#[tokio::test(start_paused = true)]
async fn limits_hold_for_attempts_and_for_the_call() {
    let text =
        "[p]\ntimeout = 2\ntotal_timeout = '5s'\nretry = {max_attempts = 9, base_delay = 0}\n";
    let pipeline = policy(text).pipeline::<u32, Down>().expect("in order");
    let attempts = AtomicU32::new(0);
    let begun = Instant::now();
    let outcome = pipeline
        .run(|| {
            attempts.fetch_add(1, Ordering::Relaxed);
            pending::<Result<u32, Down>>()
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!((begun.elapsed(), attempts.into_inner()), (Duration::from_secs(5), 3));
}

#[tokio::test]
async fn a_fallback_is_the_programs_to_give() {
    let file = "p: {retry: {max_attempts: 1}, fallback: true}";
    let policies = yaml(file).expect("in order");
    let policy = policies.get("p").expect("it is there");
    let missing = policy.pipeline::<u32, Down>().expect_err("there is no answer").to_string();
    assert!(
        missing.starts_with("p.yaml:1:31: p.fallback: the program gives no answer"),
        "{missing}"
    );
    let given = policy.stack().fallback(FallbackChain::new().value(7)).build().expect("given");
    assert_eq!(given.run(down).await, Ok(7));
    assert_eq!(given.to_string(), "fallback > retry \"p\"(1)");
}

#[tokio::test]
async fn a_fallback_of_the_file_is_converted() -> Result<(), ConfigError> {
    let policies = yaml("p: {fallback: {value: [1, {a: null}]}}")?;
    let policy = policies.get("p").expect("it is there");
    let stack = policy.stack::<u32, Down>().fallback_value(|value| match value {
        Data::List(list) => Ok(u32::try_from(list.len()).unwrap_or(u32::MAX)),
        _ => Err("a list is wanted".to_owned()),
    })?;
    assert_eq!(stack.build()?.run(down).await, Ok(2));

    let refused = policy.stack::<u32, Down>().fallback_value(|_| Err("no number".to_owned()));
    let told = refused.expect_err("it does not convert").to_string();
    assert_eq!(told, "p.yaml:1:23: p.fallback.value: no number");
    Ok(())
}

#[test]
fn blocking_code_has_the_same_layers_but_no_timeouts() {
    let text = "[p]\nfallback = true\ncircuit_breaker = true\nretry = {max_attempts = 2, base_delay = 0}\n";
    let policy = policy(text);
    let chain = FallbackChain::new().value(3);
    let pipeline = policy.stack::<u32, Down>().fallback(chain).build_blocking().expect("in order");
    assert_eq!(pipeline.run_blocking(|| Err(Down)), Ok(3));
    let limited = crate::policy("[p]\nretry = true\ntimeout = 1\n");
    let told = limited.pipeline_blocking::<u32, Down>().expect_err("it cannot").to_string();
    assert!(
        told.starts_with("p.toml:3:1: p.timeout: `timeout` cannot end blocking code"),
        "{told}"
    );
}

#[test]
fn settings_are_there_to_add_code_to() {
    let policy =
        policy("[p]\nretry = {max_attempts = 9, base_delay = 0}\ncircuit_breaker = true\n");
    let retry = policy.retry().expect("it is on").to_builder().when(|_: &Down| false).build();
    let outcome: Result<u32, Error<Down>> = retry.run_blocking(|| Err(Down));
    assert_eq!(outcome, Err(Error::Operation(Down)));
    assert!(policy.circuit_breaker_builder().is_some());
}

#[test]
fn a_layer_may_have_a_name_of_its_own() {
    let policy = policy("[p]\nretry.name = 'charge'\ncircuit_breaker.name = 'bank'\n");
    assert_eq!(policy.to_string(), "breaker \"bank\"(5, 60s) > retry \"charge\"(3)");
}

#[tokio::test]
async fn a_file_that_is_read_again_keeps_what_is_on_record() {
    let read = |breaker: &str, retry: &str| {
        let text = format!(
            "
            [budgets.own]
            ratio = 0.1
            floor = 5
            [p]
            circuit_breaker = {{failure_threshold = {breaker}}}
            retry = {{max_attempts = {retry}, base_delay = 0, budget = 'own'}}
            [q]
            extends = 'p'
            [r.retry]
            max_attempts = {retry}
            base_delay = 0
            budget = {{ratio = 0.1, floor = 4}}"
        );
        toml(&text).expect("in order")
    };
    let left = |policies: &Policies, name: &str| {
        policies.get(name).and_then(|p| p.retry_budget()).expect("it has one").available()
    };
    let state = |policies: &Policies, name: &str| {
        policies.get(name).and_then(|p| p.circuit_breaker()).expect("it has one").state()
    };
    let old = read("1", "3");
    for name in ["p", "r"] {
        let _ = old.get(name).expect("it is there").pipeline().expect("in order").run(down).await;
    }
    assert_eq!((left(&old, "p"), left(&old, "r")), (3, 2));

    // Other attempts, the same breaker: its state stays, and one budget is still one.
    let new = read("1", "4").keeping(&old);
    assert!(state(&new, "p").is_open() && state(&new, "q").is_closed());
    assert_eq!((left(&new, "p"), left(&new, "q"), left(&new, "r")), (3, 3, 2));
    let q = new.get("q").expect("it is there");
    let _ = q.pipeline().expect("in order").run(down).await;
    assert_eq!((left(&new, "p"), left(&old, "p")), (0, 0));

    // Other settings, and the same breaker to those who call.
    let other = read("2", "4").keeping(&new);
    assert!(state(&other, "p").is_open() && state(&old, "p").is_open());
    assert_eq!(left(&other, "q"), 0);
}
