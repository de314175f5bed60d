//! Law 5: for all settings, 0 <= delay <= cap, finite, no panic, no overflow; jitter has the
//! distribution that its name says.

use crate::common::{Down, Log, MS, Outcome, S};
use proptest::prelude::*;
use seawall::{BackoffStrategy, Jitter, RetryExecutor, RetryPolicy};
use std::time::Duration;

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        (0..1_000_000_u64).prop_map(Duration::from_micros),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
    ]
}

fn any_strategy() -> impl Strategy<Value = BackoffStrategy> {
    use BackoffStrategy::{Custom, Decorrelated, Exponential, Fibonacci, Fixed, Linear};
    prop_oneof![
        Just(Fixed),
        Just(Linear),
        Just(Exponential),
        Just(Fibonacci),
        Just(Decorrelated),
        Just(Custom(|_| Duration::MAX)),
    ]
}

fn any_jitter() -> impl Strategy<Value = Jitter> {
    use Jitter::{Equal, Full, None, PlusMinus};
    prop_oneof![Just(None), Just(PlusMinus), Just(Full), Just(Equal)]
}

fn any_multiplier() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        Just(Some(0.0)),
        Just(Some(f64::MIN_POSITIVE)),
        Just(Some(1e30)),
        Just(Some(f64::MAX)),
        (0.0..4.0).prop_map(Some),
    ]
}

proptest! {
    /// Law 5: whatever the settings, and for each of the first thousands of attempts.
    #[test]
    fn no_delay_is_longer_than_the_cap(
        strategy in any_strategy(),
        multiplier in any_multiplier(),
        (base, cap) in (any_duration(), any_duration()),
        jitter in any_jitter(),
        attempts in prop_oneof![1..70_u32, Just(2000)],
        seed: u64,
    ) {
        let builder = RetryPolicy::builder()
            .backoff_strategy(strategy)
            .base_delay(base.min(cap))
            .max_delay(cap)
            .jitter(jitter)
            .max_attempts(attempts);
        let policy = match multiplier {
            Some(multiplier) => builder.multiplier(multiplier),
            None => builder,
        }
        .build();
        let delays: Vec<Duration> = policy.delays().seeded(seed).collect();
        prop_assert_eq!(delays.len(), attempts as usize - 1);
        prop_assert!(delays.iter().all(|delay| *delay <= cap));
    }

    /// Law 5: the same in what a driver really waits, where a given base may leave out the cap.
    #[test]
    fn no_wait_of_a_driver_is_longer_than_the_cap(
        strategy in any_strategy(),
        jitter in any_jitter(),
        base in any_duration(),
    ) {
        let policy = RetryPolicy::builder()
            .backoff_strategy(strategy)
            .base_delay(base)
            .jitter(jitter)
            .max_attempts(9)
            .build();
        let waits = Log::default();
        let retry = RetryExecutor::new(policy).blocking_sleeper({
            let waits = waits.clone();
            move |delay| waits.push(delay)
        });
        prop_assert!(retry.run_blocking(|| Outcome::Err(Down(1))).is_err());
        prop_assert!(waits.all().iter().all(|wait| *wait <= base.max(60 * S)));
    }
}

/// Ten thousand draws for a middle of `delay`, under a cap of 10 s.
fn draws(jitter: Jitter, delay: Duration) -> Vec<f64> {
    let policy = RetryPolicy::builder()
        .backoff_strategy(BackoffStrategy::Fixed)
        .base_delay(delay)
        .max_delay(10 * S)
        .jitter(jitter)
        .max_attempts(10_001)
        .build();
    policy.delays().seeded(7).map(|delay| delay.as_secs_f64()).collect()
}

/// Asserts that `draws` are spread evenly over `low..=high`: bounds, mean, and each tenth.
fn assert_even(draws: &[f64], (low, high): (f64, f64), what: &str) {
    let count = draws.len() as f64;
    assert!(draws.iter().all(|d| (low - 1e-9..=high + 1e-9).contains(d)), "{what}: bounds");
    let mean = draws.iter().sum::<f64>() / count;
    let error = (high - low) / (12.0 * count).sqrt();
    assert!((mean - f64::midpoint(low, high)).abs() < 4.0 * error, "{what}: mean {mean}");
    for tenth in 0..10 {
        let from = low + (high - low) * f64::from(tenth) / 10.0;
        let inside = |d: &&f64| **d >= from && **d < from + (high - low) / 10.0;
        let share = draws.iter().filter(inside).count() as f64 / count;
        assert!((0.08..0.12).contains(&share), "{what}: tenth {tenth} holds {share}");
    }
}

/// Law 5: away from the cap.
#[test]
fn jitter_is_spread_evenly_over_the_interval_that_its_name_says() {
    for (jitter, low, high) in
        [(Jitter::PlusMinus, 3.0, 5.0), (Jitter::Full, 0.0, 4.0), (Jitter::Equal, 2.0, 4.0)]
    {
        assert_even(&draws(jitter, 4 * S), (low, high), jitter.as_str());
    }
    assert!(draws(Jitter::None, 4 * S).iter().all(|delay| *delay == 4.0));
}

/// Law 5: at the cap, where clamped delays would all be one.
#[test]
fn jitter_is_spread_evenly_at_the_cap_too() {
    for (jitter, low) in [(Jitter::PlusMinus, 7.5), (Jitter::Full, 0.0), (Jitter::Equal, 5.0)] {
        assert_even(&draws(jitter, 10 * S), (low, 10.0), jitter.as_str());
    }
}

/// Law 5: the middle between the two, where the upper part is cut off.
#[test]
fn jitter_that_reaches_past_the_cap_is_spread_evenly_below_it() {
    assert_even(&draws(Jitter::PlusMinus, 9 * S), (6.75, 10.0), "plus_minus of 9 s");
}

/// Law 5: no sequence of a growing strategy falls, and none wraps around.
#[test]
fn growing_delays_never_fall_over_ten_thousand_attempts() {
    use BackoffStrategy::{Exponential, Fibonacci, Linear};
    for strategy in [Exponential, Fibonacci, Linear] {
        for cap in [60 * S, Duration::MAX] {
            let policy = RetryPolicy::builder()
                .backoff_strategy(strategy)
                .base_delay(MS)
                .max_delay(cap)
                .jitter(Jitter::None)
                .max_attempts(10_000)
                .build();
            let delays: Vec<Duration> = policy.delays().collect();
            assert!(delays.is_sorted(), "{strategy} up to {cap:?}");
            assert_eq!(delays[0], MS);
            if strategy != Linear {
                assert_eq!(*delays.last().unwrap(), cap, "{strategy}");
            }
        }
    }
}

/// Law 5: the first delay is held to the cap like any other.
#[test]
fn a_cap_below_the_default_base_cuts_the_first_delay() {
    let policy = RetryPolicy::builder().max_delay(100 * MS).build();
    assert!(policy.delays().all(|delay| delay <= 100 * MS));
}
