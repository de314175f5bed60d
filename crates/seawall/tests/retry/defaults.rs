use super::*;

#[test]
fn the_defaults_are_those_documented() {
    let expected = [
        "max_attempts 3",
        "backoff_strategy exponential",
        "base_delay 1s",
        "multiplier 2",
        "max_delay 60s",
        "jitter plus_minus",
        "max_retry_after 60s",
        "retry_on_open false",
        "retry_on_exhausted false",
        "keep_errors 0",
    ];
    assert_eq!(settings(RetryPolicy::new()), expected);
    assert_eq!(RetryPolicy::new(), RetryPolicy::default());
    assert_eq!(RetryPolicy::new(), RetryPolicy::builder().build());
}

#[tokio::test(start_paused = true)]
async fn three_attempts_are_made_about_one_and_two_seconds_apart() {
    for _ in 0..50 {
        let waits = waits_of(RetryPolicy::new()).await;
        assert_eq!(waits.len(), 2);
        // Tokio's timer goes by whole milliseconds, upwards.
        assert!((750 * MS..=1251 * MS).contains(&waits[0]), "{waits:?}");
        assert!((1500 * MS..=2501 * MS).contains(&waits[1]), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_error_is_retried_and_no_value_is() {
    let (errors, values) = (Calls::new(), Calls::new());
    assert!(RetryPolicy::new().run(async || errors.fail()).await.is_err());
    assert_eq!(RetryPolicy::new().run(async || Outcome::Ok(values.count())).await, Ok(1));
    assert_eq!((errors.get(), values.get()), (3, 1));
}

#[test]
fn the_multiplier_of_each_strategy_is_the_one_documented() {
    for (strategy, seconds) in [
        (BackoffStrategy::Fixed, [1, 1, 1, 1, 1]),
        (BackoffStrategy::Linear, [1, 2, 3, 4, 5]),
        (BackoffStrategy::Exponential, [1, 2, 4, 8, 16]),
        (BackoffStrategy::Fibonacci, [1, 1, 2, 3, 5]),
    ] {
        let policy = exact().max_attempts(6).backoff_strategy(strategy).build();
        let delays: Vec<u64> = policy.delays().map(|delay| delay.as_secs()).collect();
        assert_eq!(delays, seconds, "{strategy}");
    }
}

#[test]
fn decorrelated_delays_are_drawn_from_the_base_to_three_times_the_one_before() {
    let policy = exact().max_attempts(200).backoff_strategy(BackoffStrategy::Decorrelated).build();
    let mut previous = S;
    for delay in policy.delays().seeded(7) {
        assert!((S..=(previous * 3).min(60 * S)).contains(&delay), "{delay:?}");
        previous = delay;
    }
    assert!(policy.delays().seeded(7).any(|delay| delay > 40 * S), "and so they grow");
}

#[test]
fn a_base_beyond_the_default_cap_is_meant() {
    let policy = exact().base_delay(100 * S).build();
    assert_eq!(policy.delays().collect::<Vec<_>>(), [100 * S, 100 * S]);
}
