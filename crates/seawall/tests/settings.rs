//! Every setting at its edges: refused by name, or harmless.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Calls, Down, HOUR, MS, Outcome, S, pending_once};
use seawall::{
    BackoffStrategy, CircuitBreaker, CircuitState, InvalidSetting, Jitter, Pipeline, RetryBudget,
    RetryExecutor, RetryPolicy, SettingValue, Timeout, Verdict,
    breaker::CircuitBreakerBuilder,
    retry::RetryPolicyBuilder,
    testing::{ManualClock, Scope},
};
use std::{
    any::Any,
    fmt::{Debug, Display},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const NANO: Duration = Duration::from_nanos(1);

const NUMBERS: [f64; 15] = [
    f64::NAN,
    f64::NEG_INFINITY,
    f64::MIN,
    -1.0,
    -f64::MIN_POSITIVE,
    -0.0,
    0.0,
    f64::MIN_POSITIVE,
    0.5,
    1.0,
    1.0 + f64::EPSILON,
    2.0,
    1e30,
    f64::MAX,
    f64::INFINITY,
];
const INTEGERS: [u32; 11] =
    [0, 1, 2, 3, 255, 256, 1_000_000, 1_000_001, (1 << 30) - 1, 1 << 30, u32::MAX];
const DURATIONS: [Duration; 14] = [
    Duration::ZERO,
    NANO,
    Duration::from_micros(999),
    MS,
    Duration::from_nanos(9_999_999),
    Duration::from_millis(10),
    S,
    Duration::from_secs(60),
    HOUR,
    Duration::from_secs(3 * 24 * 3600),
    Duration::from_nanos(3 * 24 * 3600 * 1_000_000_000 + 1),
    Duration::from_secs(365 * 24 * 3600),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

fn assert_refused<P: Debug>(built: Result<P, InvalidSetting>, field: &str, value: &dyn Display) {
    let refused = built.unwrap_err();
    let text = refused.to_string();
    assert_eq!(refused.field(), field, "{text}");
    assert_eq!(refused.value().to_string(), value.to_string(), "{text}");
    assert!(text.starts_with(refused.rule()), "{text}");
    assert!(text.contains(&format!("`{field}`")), "the text names the field: {text}");
    assert!(text.ends_with(&format!("but is {value}")), "the text names the value: {text}");
}

/// `build` is const: it writes the value by itself, durations in seconds.
fn assert_says_the_same(panicked: &(dyn Any + Send), refused: &InvalidSetting) {
    let message = panicked.downcast_ref::<String>().unwrap();
    let value = message.strip_prefix(refused.rule()).and_then(|m| m.strip_prefix(", but is "));
    let value = value.unwrap_or_else(|| panic!("{message:?} is not of {refused}"));
    match refused.value() {
        SettingValue::Duration(duration) => {
            let seconds: f64 = value.strip_suffix('s').unwrap().parse().unwrap();
            assert_eq!(seconds, duration.as_secs_f64(), "{message}");
        }
        SettingValue::Number(number) if number.is_finite() => {
            let written: f64 = value.parse().unwrap();
            let near = (written - number).abs() <= number.abs() * 1e-5;
            assert!(near || number.abs() > 1e308, "{message}, not {number}");
        }
        other => assert_eq!(value, other.to_string(), "{message}"),
    }
}

/// Virtual time on tokio's clock.
fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// As `{:?}` of a duration, in a `Display`.
fn text(duration: Duration) -> String {
    format!("{duration:?}")
}

mod retry {
    use super::*;

    /// Runs it to its end, and to a success, blocking and not.
    fn assert_harmless(policy: RetryPolicy) {
        let few = policy.to_builder().max_attempts(policy.max_attempts().min(6)).build();
        for failures in [0, 1, 5, 100] {
            let policy = if failures < 100 { policy } else { few };
            let expected = (failures < policy.max_attempts()).then_some(failures + 1);
            {
                let _scope = Scope::new(ManualClock::new()).enter();
                let calls = Calls::new();
                let outcome = policy.run_blocking(|| calls.fail_first(failures));
                assert!(outcome.is_err() || outcome.ok() == expected);
            }
            let calls = Calls::new();
            let outcome = paused().block_on(policy.run(async || calls.fail_first(failures)));
            assert!(outcome.is_err() || outcome.ok() == expected);
            assert!(calls.get() >= 1, "the operation is always called");
        }
        let pipeline = Pipeline::new(policy);
        let _ = (pipeline.to_string(), pipeline.lint(), format!("{policy:?}"));
        assert!(policy.delays().take(100).count() < policy.max_attempts() as usize);
    }

    fn check(builder: RetryPolicyBuilder, valid: bool, (field, value): (&str, &dyn Display)) {
        match valid {
            true => assert_harmless(builder.try_build().unwrap()),
            false => assert_refused(builder.try_build(), field, value),
        }
        // The const `build` refuses the same, in the same words.
        let built = catch_unwind(AssertUnwindSafe(|| builder.build()));
        assert_eq!(built.is_ok(), valid);
        if let Err(panicked) = built {
            assert_says_the_same(&*panicked, &builder.try_build().unwrap_err());
        }
    }

    #[test]
    fn max_attempts_of_zero_is_refused_and_any_other_is_harmless() {
        for attempts in INTEGERS {
            let builder = RetryPolicy::builder().max_attempts(attempts);
            check(builder, attempts > 0, ("max_attempts", &attempts));
        }
    }

    #[test]
    fn a_multiplier_that_is_no_finite_number_from_zero_is_refused_and_any_other_is_harmless() {
        use BackoffStrategy::{Custom, Decorrelated, Exponential, Fibonacci, Fixed, Linear};
        for multiplier in NUMBERS {
            for strategy in [Fixed, Linear, Exponential, Fibonacci, Decorrelated, Custom(|_| HOUR)]
            {
                let builder = RetryPolicy::builder()
                    .multiplier(multiplier)
                    .backoff_strategy(strategy)
                    .max_attempts(6);
                let valid = multiplier >= 0.0 && multiplier.is_finite();
                check(builder, valid, ("multiplier", &multiplier));
            }
        }
    }

    #[test]
    fn a_max_delay_below_a_given_base_delay_is_refused_and_any_other_pair_is_harmless() {
        for base in DURATIONS {
            for max in DURATIONS {
                let builder =
                    RetryPolicy::builder().base_delay(base).max_delay(max).max_attempts(4);
                check(builder, base <= max, ("max_delay", &text(max)));
            }
        }
    }

    #[test]
    fn any_single_duration_is_harmless() {
        let fields: [fn(RetryPolicyBuilder, Duration) -> RetryPolicyBuilder; 4] = [
            |builder, duration| builder.base_delay(duration),
            |builder, duration| builder.max_delay(duration),
            |builder, duration| builder.total_timeout(duration),
            |builder, duration| builder.max_retry_after(duration),
        ];
        for set in fields {
            for duration in DURATIONS {
                check(set(RetryPolicy::builder(), duration), true, ("none", &""));
            }
        }
    }

    #[test]
    fn every_strategy_with_every_jitter_is_harmless_at_the_edges_of_the_rest() {
        use BackoffStrategy::{Custom, Decorrelated, Exponential, Fibonacci, Fixed, Linear};
        let strategies =
            [Fixed, Linear, Exponential, Fibonacci, Decorrelated, Custom(|_| Duration::MAX)];
        for strategy in strategies {
            for jitter in [Jitter::None, Jitter::PlusMinus, Jitter::Full, Jitter::Equal] {
                for (base, multiplier) in
                    [(Duration::ZERO, f64::MAX), (NANO, 0.0), (Duration::MAX, f64::MAX), (S, 1e30)]
                {
                    let policy = RetryPolicy::builder()
                        .backoff_strategy(strategy)
                        .jitter(jitter)
                        .base_delay(base)
                        .multiplier(multiplier)
                        .max_attempts(4)
                        .keep_errors(u16::MAX)
                        .build();
                    assert_harmless(policy);
                }
            }
        }
    }

    #[test]
    fn a_total_timeout_below_the_first_delay_makes_a_single_attempt() {
        let policy = RetryPolicy::builder().total_timeout(S / 2).base_delay(10 * S).build();
        let calls = Calls::new();
        assert!(paused().block_on(policy.run(async || calls.fail())).is_err());
        assert_eq!(calls.get(), 1);
        assert_eq!(policy.delays().count(), 0);
    }

    #[test]
    fn words_that_name_nothing_are_refused_with_the_words_that_do() {
        for word in ["", "Exponential", "exponential ", "quadratic", "custom", "0"] {
            let refused = word.parse::<BackoffStrategy>();
            assert_refused(refused, "backoff_strategy", &word);
        }
        for word in ["", "true", "Full", "decorrelated", "some"] {
            assert_refused(word.parse::<Jitter>(), "jitter", &word);
        }
    }
}

mod breaker {
    use super::*;

    /// Leads it through every state, by hand and by calls, blocking and not.
    fn assert_harmless(breaker: &CircuitBreaker) {
        let clock = ManualClock::new();
        let _scope = Scope::new(clock.clone()).enter();
        for verdict in [Verdict::TRANSIENT, Verdict::Success, Verdict::Permanent] {
            for n in 0..300_u32 {
                if let Ok(permit) = breaker.try_acquire() {
                    permit.record(if n % 7 == 0 { Verdict::Ignored } else { verdict });
                }
                let _ =
                    breaker.run_blocking(|| if n % 2 == 0 { Outcome::Ok(1) } else { Err(Down(n)) });
                look_at(breaker);
            }
            // Whatever it has come to: after the wait that it names, a call is let through.
            if let Some(wait) = breaker.time_until_probe() {
                clock.advance(wait);
                let hung = breaker.try_acquire().unwrap();
                let lease = breaker.time_until_probe().unwrap();
                clock.advance(lease);
                assert!(breaker.try_acquire().is_ok(), "a hung probe is no end");
                drop(hung);
            }
        }
        breaker.isolate();
        assert!(breaker.try_acquire().is_err());
        look_at(breaker);
        breaker.reset();
        drop(_scope);
        paused().block_on(async {
            for n in 0..20_u32 {
                let operation = async || {
                    pending_once().await;
                    if n % 3 == 0 { Outcome::Ok(1) } else { Err(Down(n)) }
                };
                let _ = breaker.run(operation).await;
                tokio::time::advance(S).await;
            }
        });
        breaker.close();
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    fn look_at(breaker: &CircuitBreaker) {
        let counters = breaker.counters();
        assert!(counters.failures <= counters.calls && counters.slow_calls <= counters.calls);
        assert!(breaker.failure_rate().is_none_or(|rate| (0.0..=1.0).contains(&rate)));
        let pipeline = Pipeline::new(breaker);
        let _ = (pipeline.to_string(), pipeline.lint(), format!("{breaker:?}"));
    }

    fn check(builder: CircuitBreakerBuilder, valid: bool, (field, value): (&str, &dyn Display)) {
        match valid {
            true => assert_harmless(&builder.try_build().unwrap()),
            false => assert_refused(builder.try_build(), field, value),
        }
        let built = catch_unwind(AssertUnwindSafe(|| drop(builder.build())));
        assert_eq!(built.is_ok(), valid);
        if let Err(panicked) = built {
            assert_says_the_same(&*panicked, &builder.try_build().unwrap_err());
        }
    }

    fn base() -> CircuitBreakerBuilder {
        CircuitBreaker::builder()
    }

    #[test]
    fn a_failure_threshold_is_from_one_to_what_the_word_counts() {
        for threshold in INTEGERS {
            let valid = (1..1 << 30).contains(&threshold);
            check(base().failure_threshold(threshold), valid, ("failure_threshold", &threshold));
        }
    }

    #[test]
    fn rates_are_shares() {
        for rate in NUMBERS {
            let valid = (0.0..=1.0).contains(&rate);
            for builder in [base().over_calls(20), base().over_time(60 * S)] {
                check(builder.failure_rate(rate), valid, ("failure_rate", &rate));
                let slow = builder.slow_call_rate(rate, S);
                check(slow, valid, ("slow_call_rate", &rate));
                let both = builder.failure_rate(0.5).slow_call_rate(rate, S);
                check(both, valid, ("slow_call_rate", &rate));
            }
        }
    }

    #[test]
    fn any_duration_may_make_a_call_slow() {
        for at_least in DURATIONS {
            let builder = base().over_calls(20).slow_call_rate(1.0, at_least);
            check(builder, true, ("none", &""));
        }
    }

    #[test]
    fn a_count_window_holds_from_one_to_a_million_calls() {
        for calls in INTEGERS {
            let valid = (1..=1_000_000).contains(&calls);
            let builder = base().failure_rate(0.5).over_calls(calls);
            check(builder, valid, ("over_calls", &calls));
        }
    }

    #[test]
    fn a_time_window_spans_from_ten_milliseconds_to_three_days() {
        for time in DURATIONS {
            let valid = (10 * MS..=3 * DAY).contains(&time);
            let builder = base().failure_rate(0.5).over_time(time);
            check(builder, valid, ("over_time", &text(time)));
        }
    }

    #[test]
    fn a_minimum_of_calls_is_one_or_more_and_within_the_window() {
        for minimum in INTEGERS {
            let builder = base().failure_rate(0.5).minimum_calls(minimum);
            let by_count = builder.over_calls(255);
            check(by_count, (1..=255).contains(&minimum), ("minimum_calls", &minimum));
            check(builder.over_time(60 * S), minimum > 0, ("minimum_calls", &minimum));
        }
    }

    #[test]
    fn a_recovery_timeout_is_at_most_three_days() {
        for timeout in DURATIONS {
            let valid = timeout <= 3 * DAY;
            let field = ("recovery_timeout", &text(timeout) as &dyn Display);
            check(base().recovery_timeout(timeout), valid, field);
            let spread = base().recovery_timeout(timeout).recovery_jitter(1.0);
            check(spread, valid, field);
        }
    }

    #[test]
    fn a_recovery_multiplier_is_finite_and_one_or_more() {
        for multiplier in NUMBERS {
            for timeout in [Duration::ZERO, S, 3 * DAY] {
                let valid = multiplier >= 1.0 && multiplier.is_finite();
                let builder = base().recovery_timeout(timeout).recovery_multiplier(multiplier);
                check(builder, valid, ("recovery_multiplier", &multiplier));
            }
        }
    }

    #[test]
    fn a_longest_recovery_timeout_is_from_the_first_one_to_three_days() {
        for timeout in [Duration::ZERO, S, 3 * DAY] {
            for longest in DURATIONS {
                let valid = (timeout..=3 * DAY).contains(&longest);
                let builder = base().recovery_timeout(timeout).max_recovery_timeout(longest);
                check(builder, valid, ("max_recovery_timeout", &text(longest)));
                let grows = builder.recovery_multiplier(2.0);
                check(grows, valid, ("max_recovery_timeout", &text(longest)));
            }
        }
    }

    #[test]
    fn a_recovery_jitter_is_a_share() {
        for share in NUMBERS {
            let valid = (0.0..=1.0).contains(&share);
            check(base().recovery_jitter(share), valid, ("recovery_jitter", &share));
        }
    }

    #[test]
    fn probes_and_the_successes_that_close_are_from_one_to_255() {
        for number in INTEGERS {
            let valid = (1..=255).contains(&number);
            check(base().probes(number), valid, ("probes", &number));
            let successes = base().successes_to_close(number);
            check(successes, valid, ("successes_to_close", &number));
        }
    }

    #[test]
    fn a_probe_lease_is_from_a_millisecond_to_three_days() {
        for lease in DURATIONS {
            let valid = (MS..=3 * DAY).contains(&lease);
            check(base().probe_lease(lease), valid, ("probe_lease", &text(lease)));
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        check(base().failure_rate(0.5), false, ("failure_rate", &0.5));
        check(base().slow_call_rate(0.5, S), false, ("slow_call_rate", &0.5));
        check(base().over_calls(10), false, ("over_calls", &10));
        check(base().over_time(S), false, ("over_time", &"1s"));
        check(base().minimum_calls(10), false, ("minimum_calls", &10));
        let threshold = base().failure_threshold(3).minimum_calls(10);
        check(threshold, false, ("minimum_calls", &10));
        let rate = base().failure_rate(0.5);
        check(rate.over_calls(10).minimum_calls(11), false, ("minimum_calls", &11));
        let shorter = base().recovery_timeout(2 * S).max_recovery_timeout(S);
        check(shorter, false, ("max_recovery_timeout", &"1s"));
    }

    #[test]
    fn the_default_minimum_of_calls_fits_into_a_smaller_window() {
        let breaker = base().failure_rate(1.0).over_calls(3).build();
        for _ in 0..3 {
            assert_eq!(breaker.state(), CircuitState::Closed);
            common::fail(&breaker);
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

mod others {
    use super::*;

    #[test]
    fn a_budgets_ratio_is_a_share_and_its_floor_one_or_more() {
        for ratio in NUMBERS {
            for floor in INTEGERS {
                match RetryBudget::try_new(ratio, floor) {
                    Ok(budget) => {
                        assert!((0.0..=1.0).contains(&ratio) && floor > 0);
                        assert_eq!(budget.available(), u64::from(floor));
                        let policy = RetryPolicy::builder().base_delay(Duration::ZERO).build();
                        let retry = RetryExecutor::new(policy).budget(budget);
                        for n in 0..20 {
                            let _ = retry.run_blocking(|| {
                                if n % 2 == 0 { Outcome::Ok(1) } else { Err(Down(1)) }
                            });
                        }
                    }
                    refused if ratio != 0.0 && !(1e-9..=1.0).contains(&ratio) => {
                        assert_refused(refused, "ratio", &ratio);
                    }
                    refused => assert_refused(refused, "floor", &floor),
                }
            }
        }
    }

    #[test]
    fn a_budget_built_from_nonsense_panics_with_name_and_value() {
        let refused = [(f64::NAN, 1, "`ratio`", "is NaN"), (0.5, 0, "`floor`", "is 0")];
        for (ratio, floor, name, value) in refused {
            let built = catch_unwind(|| RetryBudget::new(ratio, floor));
            let message = built.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains(name) && message.ends_with(value), "{message}");
        }
    }

    #[test]
    fn any_limit_of_a_timeout_is_harmless() {
        for limit in DURATIONS {
            let timeout = Timeout::new(limit);
            paused().block_on(async {
                assert_eq!(timeout.run(async || Outcome::Ok(1)).await, Ok(1));
                assert!(timeout.run(async || Outcome::Err(Down(1))).await.is_err());
                let soon = async || {
                    pending_once().await;
                    Outcome::Ok(1)
                };
                let _ = timeout.run(soon).await;
                if limit <= DAY {
                    assert!(timeout.run(std::future::pending::<Outcome>).await.is_err());
                }
            });
            let pipeline = Pipeline::new((timeout, RetryPolicy::new(), timeout));
            let _ = (pipeline.to_string(), pipeline.lint());
        }
    }
}

#[cfg(feature = "serde")]
mod as_data {
    use super::*;
    use proptest::prelude::*;

    fn any_duration() -> impl Strategy<Value = Duration> {
        let any = (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n));
        prop_oneof![
            prop::sample::select(DURATIONS.to_vec()),
            (0..100_000_u64).prop_map(Duration::from_millis),
            any,
        ]
    }

    proptest! {
        #[test]
        fn a_policy_is_read_back_as_it_was_written(
            attempts in 1..u32::MAX,
            strategy in prop::sample::select(vec!["fixed", "linear", "exponential", "fibonacci", "decorrelated"]),
            jitter in prop::sample::select(vec!["none", "plus_minus", "full", "equal"]),
            multiplier in prop::sample::select(vec![0.0, 0.5, 1.0, 2.5, 1e30]),
            (one, other) in (any_duration(), any_duration()),
            total in prop::option::of(any_duration()),
            after in any_duration(),
            kept: u16,
        ) {
            let mut builder = RetryPolicy::builder()
                .max_attempts(attempts)
                .backoff_strategy(strategy.parse().unwrap())
                .jitter(jitter.parse().unwrap())
                .multiplier(multiplier)
                .base_delay(one.min(other))
                .max_delay(one.max(other))
                .max_retry_after(after)
                .keep_errors(kept);
            if let Some(total) = total {
                builder = builder.total_timeout(total);
            }
            let policy = builder.build();
            let text = serde_json::to_string(&policy).unwrap();
            let read: Result<RetryPolicy, _> = serde_json::from_str(&text);
            prop_assert_eq!(read.map_err(|error| error.to_string()), Ok(policy), "{}", text);
        }
    }

    #[test]
    fn nonsense_is_refused_or_harmless_in_data_too() {
        let values = [
            "null",
            "true",
            "-1",
            "0",
            "1",
            "-0.0",
            "0.5",
            "1e30",
            "1e308",
            "18446744073709551615",
            "18446744073709551616",
            "1e400",
            "\"\"",
            "\"NaN\"",
            "\"inf\"",
            "\"-1s\"",
            "\"1s\"",
            "\"1e9s\"",
            "\"18446744073709551615s\"",
            "\"99999999999999999999s\"",
            "[]",
            "{}",
        ];
        for field in [
            "max_attempts",
            "multiplier",
            "base_delay",
            "max_delay",
            "total_timeout",
            "max_retry_after",
            "keep_errors",
            "retry_on_open",
            "jitter",
            "backoff_strategy",
        ] {
            for value in values {
                let read: Result<RetryPolicy, _> =
                    serde_json::from_str(&format!("{{\"{field}\": {value}}}"));
                if let Ok(policy) = read {
                    let few =
                        policy.to_builder().max_attempts(policy.max_attempts().min(4)).build();
                    let _scope = Scope::new(ManualClock::new()).enter();
                    assert!(few.run_blocking(|| Outcome::Err(Down(1))).is_err());
                    assert!(paused().block_on(few.run(async || Outcome::Err(Down(1)))).is_err());
                }
            }
        }
    }
}
