use super::*;

#[test]
fn aws_is_the_sdks_standard_mode() {
    let expected = [
        "max_attempts 3",
        "backoff_strategy exponential",
        "base_delay 50ms",
        "multiplier 2",
        "max_delay 20s",
        "jitter full",
        "max_retry_after 20s",
        "retry_on_open false",
        "retry_on_exhausted false",
        "keep_errors 0",
    ];
    assert_eq!(settings(RetryPolicy::aws()), expected);
    assert_eq!(RetryBudget::aws().available(), 500 / 14);
}

#[test]
fn grpc_is_the_example_of_grfc_a6() {
    let expected = [
        "max_attempts 4",
        "backoff_strategy exponential",
        "base_delay 100ms",
        "multiplier 2",
        "max_delay 1s",
        "jitter plus_minus_20",
        "max_retry_after 1s",
        "retry_on_open false",
        "retry_on_exhausted false",
        "keep_errors 0",
    ];
    assert_eq!(settings(RetryPolicy::grpc()), expected);
    let budget = RetryBudget::grpc();
    assert_eq!(budget.available(), 4, "more than half of ten tokens must be left");
    let retry = RetryExecutor::new(RetryPolicy::grpc()).budget(budget);
    let retry = retry.blocking_sleeper(|_| {});
    let calls = Calls::new();
    for _ in 0..5 {
        assert!(retry.run_blocking(|| calls.fail()).is_err());
    }
    // Failures one to four leave more than half; the fifth and all after it are not retried.
    assert_eq!(calls.get(), 4 + 4);
}

#[test]
fn standard_is_the_standard_resilience_handler() {
    let expected = [
        "max_attempts 4",
        "backoff_strategy exponential",
        "base_delay 2s",
        "multiplier 2",
        "max_delay 60s",
        "jitter plus_minus",
        "max_retry_after 60s",
        "total_timeout 30s",
        "retry_on_open false",
        "retry_on_exhausted false",
        "keep_errors 0",
    ];
    assert_eq!(settings(RetryPolicy::standard()), expected);
}

#[test]
fn a_preset_can_be_changed_in_part() {
    let policy = RetryPolicy::aws().to_builder().max_attempts(5).build();
    assert_eq!(policy.max_attempts(), 5);
    assert_eq!(settings(policy)[1..], settings(RetryPolicy::aws())[1..]);
    assert_ne!(policy, RetryPolicy::aws());
}
