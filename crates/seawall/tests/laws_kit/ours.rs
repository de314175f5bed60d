//! The kit on what this library has to offer.

use seawall::{
    BackoffStrategy, CircuitBreaker, Jitter, RetryBudget, RetryPolicy,
    breaker::CircuitBreakerBuilder,
    testing::{
        ManualClock,
        laws::{self, BudgetRules, DelayRules, Rules, Trip},
    },
};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

/// Holds our own breaker to all laws, and says how much was tried.
#[track_caller]
fn assert_lawful(what: &str, builder: CircuitBreakerBuilder, rules: &Rules) {
    let report = laws::check_all(|_: &ManualClock| builder.build(), rules);
    println!("{what}: {} schedules\n{report}", report.schedules());
    assert!(report.holds(), "{what}\n{report}");
    let not_asked: Vec<_> = report.checked().filter(|law| law.not_asked.is_some()).collect();
    assert_eq!(not_asked.len(), usize::from(rules.spread == 0.0), "{what}: {not_asked:?}");
    assert!(report.schedules() > 5_000, "{what}: {}", report.schedules());
}

/// Ten seconds open, then one probe with a lease of sixty.
fn rules(trip: Trip) -> Rules {
    Rules { trip, lease: Some(60 * S), ..Rules::consecutive(1, 10 * S) }
}

#[test]
fn the_default_breaker_keeps_the_laws() {
    let rules = Rules { lease: Some(60 * S), ..Rules::consecutive(5, 60 * S) };
    assert_lawful("defaults", CircuitBreaker::builder(), &rules);
}

#[test]
fn a_breaker_with_several_probes_keeps_the_laws() {
    let builder = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(10 * S)
        .probes(3)
        .successes_to_close(2)
        .probe_lease(4 * S);
    let rules = Rules {
        probes: 3,
        successes_to_close: 2,
        lease: Some(4 * S),
        ..Rules::consecutive(1, 10 * S)
    };
    assert_lawful("three probes", builder, &rules);
}

#[test]
fn a_breaker_over_a_count_of_calls_keeps_the_laws() {
    for (rate, over, minimum) in [(0.5, 6, 4), (1.0, 5, 5), (0.3, 20, 10)] {
        let builder = CircuitBreaker::builder()
            .failure_rate(rate)
            .over_calls(over)
            .minimum_calls(minimum)
            .recovery_timeout(10 * S);
        let trip = Trip::Rate { rate, minimum_calls: minimum, over_calls: Some(over) };
        assert_lawful(&format!("count window {over}"), builder, &rules(trip));
    }
}

#[test]
fn a_breaker_over_a_time_of_calls_keeps_the_laws() {
    let builder = CircuitBreaker::builder()
        .failure_rate(0.5)
        .over_time(60 * S)
        .minimum_calls(4)
        .recovery_timeout(10 * S);
    let trip = Trip::Rate { rate: 0.5, minimum_calls: 4, over_calls: None };
    assert_lawful("time window", builder, &rules(trip));
}

#[test]
fn a_breaker_whose_recovery_grows_and_is_spread_keeps_the_laws() {
    let builder = CircuitBreaker::builder()
        .failure_threshold(2)
        .recovery_timeout(10 * S)
        .recovery_multiplier(2.0)
        .max_recovery_timeout(40 * S)
        .recovery_jitter(0.5);
    let rules = Rules {
        spread: 0.5,
        longest_recovery: 60 * S + Duration::from_millis(1),
        ..rules(Trip::Failures(2))
    };
    assert_lawful("growing and spread", builder, &rules);
}

#[test]
fn breakers_at_the_ends_of_their_settings_keep_the_laws() {
    const MS: Duration = Duration::from_millis(1);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    // No open time, and a lease of a moment.
    let builder = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(Duration::ZERO)
        .probe_lease(MS);
    let rules = Rules { lease: Some(MS), ..Rules::consecutive(1, Duration::ZERO) };
    assert_lawful("no open time", builder, &rules);

    let builder = CircuitBreaker::builder()
        .failure_threshold(2)
        .recovery_timeout(7 * MS)
        .recovery_multiplier(1.5)
        .max_recovery_timeout(11 * MS)
        .recovery_jitter(1.0)
        .probes(2)
        .probe_lease(3 * MS);
    let rules = Rules {
        spread: 1.0,
        longest_recovery: 22 * MS,
        probes: 2,
        lease: Some(3 * MS),
        ..Rules::consecutive(2, 7 * MS)
    };
    assert_lawful("a few ms", builder, &rules);

    let builder =
        CircuitBreaker::builder().failure_threshold(1).recovery_timeout(DAY).recovery_jitter(0.5);
    let rules = Rules {
        spread: 0.5,
        longest_recovery: DAY * 3 / 2 + MS,
        lease: Some(DAY),
        ..Rules::consecutive(1, DAY)
    };
    assert_lawful("a day", builder, &rules);
}

#[test]
fn the_retry_budgets_keep_theirs() {
    for (ratio, floor) in [(0.1, 1), (0.1, 20), (0.0, 3), (1.0, 2), (0.333, 7)] {
        let rules = BudgetRules::new(ratio, floor);
        let checked = laws::budgets(|| RetryBudget::new(ratio, floor), &rules);
        let checked = checked.unwrap_or_else(|violation| panic!("{ratio}, {floor}: {violation}"));
        println!("budget {ratio}, {floor}: {} schedules", checked.schedules);
        assert!(checked.schedules > 10_000);
    }
    // 500 tokens, 14 a retry; a success after a retry gives back what that retry cost.
    let aws = BudgetRules { ratio: 1.0 / 14.0, retried_ratio: 1.0, floor: 500_u32.div_ceil(14) };
    laws::budgets(RetryBudget::aws, &aws).unwrap_or_else(|violation| panic!("{violation}"));
    // The upper half of ten tokens.
    let grpc = BudgetRules::new(0.1, 5);
    laws::budgets(RetryBudget::grpc, &grpc).unwrap_or_else(|violation| panic!("{violation}"));
}

#[test]
fn the_backoffs_keep_theirs() {
    use BackoffStrategy::{Custom, Decorrelated, Exponential, Fibonacci, Fixed, Linear};
    use Jitter::{Equal, Full, None, PlusMinus, PlusMinusPercent};
    let strategies =
        [Fixed, Linear, Exponential, Fibonacci, Decorrelated, Custom(|_| Duration::MAX)];
    let mut tried = 0;
    for strategy in strategies {
        for jitter in [None, PlusMinus, PlusMinusPercent(1), PlusMinusPercent(100), Full, Equal] {
            for cap in [S, 60 * S, Duration::MAX] {
                let policy = RetryPolicy::builder()
                    .backoff_strategy(strategy)
                    .base_delay(S / 2)
                    .max_delay(cap)
                    .jitter(jitter)
                    .max_attempts(101)
                    .build();
                let spread = jitter != None || strategy == Decorrelated;
                let checked = laws::delays(&policy, &DelayRules { cap, spread });
                let told = |violation| panic!("{strategy}, {jitter}, {cap:?}: {violation}");
                tried += checked.unwrap_or_else(told).schedules;
            }
        }
    }
    println!("backoffs: {tried} delays");
    assert!(tried > 100_000);
}
