//! Memory: nothing is allocated on the good path, and nothing grows with calls.
//!
//! Allocations are counted by thread, so these tests do not disturb each other.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use allocation_counter::{AllocationInfo, measure};
use common::{Down, Outcome, S, pending_once, poll_once};
use seawall::{
    BlockingPolicy, CircuitBreaker, CircuitBreakers, Event, FallbackChain, Pipeline, Policy,
    RetryBudget, RetryExecutor, RetryPolicy, Retrying, Timeout, breaker::CircuitBreakerBuilder,
};
use std::{future::Future, pin::pin, task::Poll, time::Duration};

const HOUR: Timeout = Timeout::new(Duration::from_secs(3600));
const RETRY: RetryPolicy = RetryPolicy::new();

/// Polls `future` until it is ready.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

fn a_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// What a thousand calls allocate, after a few have made what is made on first use.
fn counted(call: impl Fn()) -> AllocationInfo {
    (0..100).for_each(|_| call());
    measure(|| (0..1000).for_each(|_| call()))
}

fn assert_none(what: &str, call: impl Fn()) {
    let counted = counted(call);
    assert_eq!(counted.count_total, 0, "{what}: {counted:?}");
}

/// Asserts that no call allocates: ready at once, pending once, and already protected.
fn assert_free(policy: &impl Policy<u32, Down>) {
    let runtime = a_runtime();
    let _entered = runtime.enter();
    let what = Pipeline::new(policy).to_string();
    let what = what.as_str();
    assert_none(what, || assert_eq!(finish(policy.run(async || Outcome::Ok(1))), Ok(1)));
    assert_none(&format!("{what}, pending"), || {
        let operation = async || {
            pending_once().await;
            Outcome::Ok(1)
        };
        assert_eq!(finish(policy.run(operation)), Ok(1));
    });
    assert_none(&format!("{what}, protected"), || {
        assert_eq!(finish(policy.call(async || Ok(1))), Ok(1));
    });
}

fn assert_free_blocking(policy: &impl BlockingPolicy<u32, Down>) {
    let what = Pipeline::new(policy).to_string();
    assert_none(&what, || assert_eq!(policy.run_blocking(|| Outcome::Ok(1)), Ok(1)));
    assert_none(&what, || assert_eq!(policy.call_blocking(|| Ok(1)), Ok(1)));
}

fn executor() -> RetryExecutor<seawall::AnyError, impl Fn(Retrying<'_, Down>)> {
    RetryExecutor::new(RETRY)
        .on_retry(|_: Retrying<'_, Down>| panic!("nothing is retried"))
        .budget(RetryBudget::new(0.1, 10))
        .observe(|_: &Event<'_>| panic!("nothing happens"))
        .name(String::from("named"))
        .seed(7)
}

/// A budget that is not full, so that each success earns.
fn earning() -> RetryExecutor {
    let budget = RetryBudget::new(0.001, 1_000_000);
    (0..100_000).for_each(|_| assert!(budget.try_retry()));
    RetryExecutor::new(RETRY).budget(budget)
}

fn breakers() -> [(&'static str, CircuitBreakerBuilder); 6] {
    let builder = CircuitBreaker::builder();
    let rate = builder.failure_rate(0.9);
    [
        ("consecutive failures", builder),
        ("count window", rate.over_calls(100)),
        ("large count window", rate.over_calls(1_000_000)),
        ("time window", rate.over_time(60 * S)),
        ("slow calls by count", builder.slow_call_rate(0.9, S).over_calls(100)),
        ("slow calls by time", rate.slow_call_rate(0.9, S).over_time(60 * S)),
    ]
}

#[test]
fn what_does_allocate_is_counted() {
    assert_eq!(counted(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1000);
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO).build();
    assert!(counted(|| drop(retry.run_blocking(|| Outcome::Err(Down(1))))).count_total >= 1000);
}

#[test]
fn a_retry_whose_first_attempt_succeeds_allocates_nothing() {
    assert_free(&RETRY);
    assert_free_blocking(&RETRY);
    let timed = RetryPolicy::builder().total_timeout(S).keep_errors(9).build();
    assert_free(&timed);
    assert_free_blocking(&timed);
}

#[test]
fn a_retry_whose_first_failure_is_final_allocates_nothing() {
    let policy = RetryPolicy::builder().when(|_: &Down| false).build();
    let fails = || Outcome::Err(Down(1));
    let failed = || Err(seawall::Error::Operation(Down(1)));
    assert_none("async", || assert_eq!(finish(policy.run(async || fails())), failed()));
    assert_none("blocking", || assert_eq!(policy.run_blocking(fails), failed()));
}

#[test]
fn an_executor_with_budget_listener_and_observer_allocates_nothing() {
    for executor in [executor(), executor()] {
        assert_free(&executor);
        assert_free_blocking(&executor);
    }
    assert_free(&earning());
    assert_free_blocking(&earning());
}

#[test]
fn a_closed_breaker_allocates_nothing_whatever_its_trip_rule() {
    for (rule, builder) in breakers() {
        let breaker = builder.build().named(String::from(rule));
        breaker.observe(|_: &Event<'_>| panic!("nothing happens"));
        assert_free(&breaker);
        assert_free_blocking(&breaker);
        assert_none(rule, || breaker.try_acquire().unwrap().record(seawall::Verdict::Success));
    }
}

#[test]
fn a_window_with_failures_in_it_allocates_nothing() {
    for (rule, builder) in breakers() {
        let breaker = builder.failure_threshold(1_000_000).build();
        let operation = |n: u32| if n % 2 == 0 { Outcome::Ok(n) } else { Err(Down(n)) };
        assert_none(rule, || {
            for n in 0..10 {
                let _ = breaker.run_blocking(|| operation(n));
                let _ = finish(breaker.run(async || operation(n)));
            }
        });
    }
}

#[test]
fn an_open_breaker_rejects_without_allocating() {
    for (rule, builder) in breakers() {
        for breaker in
            [builder.name("literal").build(), builder.build().named(String::from("made"))]
        {
            breaker.isolate();
            assert_none(rule, || assert!(breaker.run_blocking(|| Outcome::Ok(1)).is_err()));
            assert_none(rule, || assert!(finish(breaker.run(async || Outcome::Ok(1))).is_err()));
            assert_none(rule, || assert!(breaker.try_acquire().is_err()));
        }
    }
    let tripped = CircuitBreaker::builder().failure_threshold(1).build();
    common::fail(&tripped);
    assert_none("tripped", || assert!(tripped.try_acquire().is_err()));
    let stack = Pipeline::new((&tripped, RETRY));
    assert_none("in a stack", || assert!(stack.run_blocking(|| Outcome::Ok(1)).is_err()));
    assert_none("in a stack", || assert!(finish(stack.run(async || Outcome::Ok(1))).is_err()));
}

#[test]
fn the_breaker_of_a_known_key_is_found_without_allocating() {
    static SHARDS: CircuitBreakers = CircuitBreakers::new(CircuitBreaker::builder().name("shards"));
    let tenants = CircuitBreakers::new(CircuitBreaker::builder()).max_keys(2);
    let name = String::from("a tenant with a longer name than most of them have");
    assert_none("by number", || {
        for shard in 0..10 {
            assert_eq!(SHARDS.get(&shard).run_blocking(|| Outcome::Ok(1)), Ok(1));
        }
    });
    assert_none("by text", || {
        for tenant in [name.as_str(), "another"] {
            assert_eq!(finish(tenants.get(tenant).run(async || Outcome::Ok(1))), Ok(1));
        }
    });
    assert_none("by what is printed", || {
        let address = std::net::Ipv4Addr::new(127, 0, 0, 1);
        drop(SHARDS.get(&address));
        drop(SHARDS.get(&format_args!("{address}:{}", 8080)));
    });
    SHARDS.get(&3).isolate();
    assert_none("open", || assert!(SHARDS.get(&3).try_acquire().is_err()));
}

/// Law 12 of DESIGN.md.
#[test]
fn a_hundred_thousand_keys_take_the_memory_of_so_many_as_are_kept() {
    let shards = CircuitBreakers::new(CircuitBreaker::builder().name("shards")).max_keys(16);
    let seen = |keys: std::ops::Range<u32>| keys.for_each(|key| drop(shards.get(&key)));
    seen(10_000..10_100);
    let counted = measure(|| seen(100_000..200_000));
    // The map may have grown once more.
    assert!(counted.count_current.abs() < 10, "{counted:?}");
    assert!(counted.bytes_current.abs() < 10_000, "{counted:?}");
    assert_eq!(shards.len(), 16);
}

#[test]
fn a_fallback_that_is_not_needed_allocates_nothing() {
    let chain = FallbackChain::new().call(|| Outcome::Err(Down(2))).value(7);
    assert_free(&chain);
    assert_free_blocking(&chain);
    assert_free(&chain.call_async(async || 8).name("named"));
}

#[test]
fn a_timeout_allocates_nothing_whether_its_operation_is_ready_at_once_or_not() {
    assert_free(&HOUR);
    assert_free(&Timeout::new(Duration::MAX));
}

#[test]
fn a_stack_of_four_allocates_nothing() {
    for (_, builder) in breakers() {
        let chain = FallbackChain::new().value(7);
        let breaker = builder.build();
        assert_free(&(HOUR, chain, &breaker, RETRY));
        assert_free(&Pipeline::new((chain, &breaker, executor(), HOUR)));
        assert_free(&(Some(chain), None::<Timeout>, Pipeline::new((HOUR, &breaker)), RETRY));
        assert_free_blocking(&(chain, &breaker, RETRY));
        assert_free_blocking(&(Some(chain), &breaker, executor(), RETRY));
    }
}

/// The time window is also led over two hundred of its buckets, by a clock that moves.
#[cfg(feature = "testing")]
/// Functions with attributes, in the place of policies.
#[cfg(feature = "macros")]
#[allow(clippy::cast_possible_truncation, reason = "short texts have short lengths")]
mod protected {
    use super::*;
    use seawall::{Error, circuit_breaker, fallback, retry, timeout};

    type Rich<T> = Result<T, Error<Down>>;

    static BUDGET: RetryBudget = RetryBudget::new(0.1, 10);
    static NAMED: CircuitBreaker = CircuitBreaker::builder().name("named").build();

    #[fallback([from_cache(id), || Err(Down(1)), |error| error.to_string().len() as u32])]
    #[circuit_breaker]
    #[retry(
        budget = BUDGET, total_timeout = 60, jitter = "full", when = |down| down.0 < 9,
        on_retry = |_| assert!(!id.is_empty())
    )]
    #[timeout(3600)]
    async fn stacked(id: &str, is_slow: bool) -> Rich<u32> {
        if is_slow {
            pending_once().await;
        }
        Ok(id.len() as u32)
    }

    fn from_cache(id: &str) -> u32 {
        String::from(id).len() as u32
    }

    #[fallback([from_cache(id), || Err(Down(1))])]
    #[circuit_breaker(policy = NAMED)]
    #[retry(when_result = |n| *n > 9, retry_after = |_| None)]
    fn blocking(id: &str) -> Rich<u32> {
        Ok(id.len() as u32)
    }

    #[retry]
    #[fallback([|| Err(Down(1))])]
    async fn plain(id: &str) -> Outcome {
        Ok(id.len() as u32)
    }

    #[circuit_breaker]
    #[retry]
    fn boxed(id: &str) -> Result<u32, Box<dyn std::error::Error>> {
        Ok(id.len() as u32)
    }

    #[circuit_breaker(key = host)]
    async fn keyed(host: &str) -> Rich<u32> {
        Ok(host.len() as u32)
    }

    #[test]
    fn a_protected_function_allocates_nothing_when_all_is_well() {
        let runtime = a_runtime();
        let _entered = runtime.enter();
        assert_none("stacked", || assert_eq!(finish(stacked("abc", false)), Ok(3)));
        assert_none("stacked, pending", || assert_eq!(finish(stacked("abc", true)), Ok(3)));
        assert_none("blocking", || assert_eq!(blocking("abc"), Ok(3)));
        assert_none("plain", || assert_eq!(finish(plain("abc")), Ok(3)));
        assert_none("boxed", || assert_eq!(boxed("abc").unwrap(), 3));
        assert_none("keyed", || assert_eq!(finish(keyed("abc")), Ok(3)));
    }
}

#[test]
fn windows_hold_no_more_memory_after_a_million_calls() {
    use seawall::testing::{ManualClock, Scope};
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    for (rule, builder) in breakers() {
        let breaker = builder.failure_threshold(1_000_000).build();
        let call = |n: u32| {
            let _ = breaker.run_blocking(|| if n % 3 == 0 { Outcome::Err(Down(n)) } else { Ok(n) });
            if n % 5000 == 0 {
                clock.advance(7 * S);
            }
        };
        (0..100).for_each(call);
        let counted = measure(|| (0..1_000_000).for_each(call));
        assert_eq!((counted.count_current, counted.bytes_current), (0, 0), "{rule}");
        assert!(counted.bytes_max < 2000, "{rule}: {counted:?}");
    }
}

#[test]
fn a_count_window_takes_a_quarter_of_a_byte_a_call_and_a_time_window_the_same_for_any_time() {
    let first_use = |builder: CircuitBreakerBuilder| {
        let breaker = builder.failure_rate(0.9).build();
        let counted = measure(|| common::fail(&breaker));
        counted.bytes_current
    };
    let count = first_use(CircuitBreaker::builder().over_calls(1_000_000));
    assert!((250_000..=251_000).contains(&count), "{count}");
    let short = first_use(CircuitBreaker::builder().over_time(S));
    let long = first_use(CircuitBreaker::builder().over_time(3 * 24 * 3600 * S));
    assert_eq!(short, long);
    assert!(long < 16_000, "{long}");
}

#[test]
fn a_hundred_thousand_fast_calls_under_a_timeout_of_an_hour_leave_memory_flat() {
    let runtime = a_runtime();
    let calls = |count: u32| {
        runtime.block_on(async {
            for n in 0..count {
                let operation = async || {
                    pending_once().await;
                    Outcome::Ok(n)
                };
                assert_eq!(HOUR.run(operation).await, Ok(n));
            }
        });
    };
    calls(100);
    let counted = measure(|| calls(100_000));
    assert_eq!(counted.bytes_current, 0, "{counted:?}");
    assert!(counted.bytes_max < 2000, "{counted:?}");
}

#[test]
fn retries_leave_no_memory_behind() {
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO).keep_errors(2).build();
    let stack =
        Pipeline::new((CircuitBreaker::builder().failure_threshold(1_000_000).build(), retry));
    let counted = counted(|| {
        assert!(stack.run_blocking(|| Outcome::Err(Down(1))).is_err());
        assert!(finish(stack.run(async || Outcome::Err(Down(1)))).is_err());
    });
    assert_eq!((counted.count_current, counted.bytes_current), (0, 0));
    assert!(counted.bytes_max < 4000, "{counted:?}");
}

/// The budget of DESIGN.md, section 6.
#[test]
fn the_future_of_a_stack_is_at_most_128_bytes_larger_than_the_operations_own() {
    let stack = Pipeline::new((FallbackChain::new().value(7), CircuitBreaker::new(), RETRY));
    let small = async || {
        pending_once().await;
        Outcome::Ok(1)
    };
    let large = async || {
        let kept = [7_u8; 1000];
        pending_once().await;
        Outcome::Ok(kept[500].into())
    };
    for (own, stacked) in [
        (size_of_val(&small()), size_of_val(&stack.run(small))),
        (size_of_val(&large()), size_of_val(&stack.run(large))),
    ] {
        assert!(stacked <= own + 128, "{stacked} bytes for an operation of {own}");
    }
}

#[cfg(feature = "config")]
#[test]
fn a_pipeline_of_a_file_allocates_no_more_than_one_behind_a_pointer() {
    let file = "p: {total_timeout: 30s, circuit_breaker: true, retry: true, timeout: 2s}";
    let policies =
        seawall::config::Policies::from_str(file, seawall::config::Format::Yaml).unwrap();
    let from_file = policies.get("p").unwrap().pipeline::<u32, Down>().unwrap();
    let in_code = Pipeline::new((HOUR, CircuitBreaker::new(), RETRY, HOUR)).into_dyn::<u32, Down>();
    let runtime = a_runtime();
    let _entered = runtime.enter();
    let [from_file, in_code] = [from_file, in_code].map(|pipeline| {
        counted(|| assert_eq!(finish(pipeline.run(async || Outcome::Ok(1))), Ok(1))).count_total
    });
    assert_eq!(from_file, in_code);
}
