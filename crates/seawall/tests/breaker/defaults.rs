use super::*;

fn setting(breaker: &CircuitBreaker, name: &str) -> Option<String> {
    let layer = Pipeline::new(breaker).layers().remove(0);
    layer.setting_value(name).map(SettingValue::to_string)
}

#[test]
fn the_defaults_are_those_documented() {
    let breaker = CircuitBreaker::new();
    for (name, value) in [
        ("failure_threshold", "5"),
        ("recovery_timeout", "60s"),
        ("recovery_multiplier", "1"),
        ("recovery_jitter", "0"),
        ("probes", "1"),
        ("successes_to_close", "1"),
        ("probe_lease", "60s"),
    ] {
        assert_eq!(setting(&breaker, name).as_deref(), Some(value), "{name}");
    }
    for name in ["failure_rate", "minimum_calls", "over_calls", "over_time", "slow_call_rate"] {
        assert_eq!(setting(&breaker, name), None, "{name}");
    }
    assert_eq!(Pipeline::new(&breaker).to_string(), "breaker(5, 60s)");
    assert_eq!((breaker.state(), breaker.mode()), (CircuitState::Closed, Mode::Enforce));
    assert_eq!(breaker.counters(), Counters::default());
}

#[test]
fn a_lease_is_as_long_as_a_longer_recovery_timeout() {
    let long = CircuitBreaker::builder().recovery_timeout(HOUR).build();
    assert_eq!(setting(&long, "probe_lease").as_deref(), Some("3600s"));
    let short = CircuitBreaker::builder().recovery_timeout(S).build();
    assert_eq!(setting(&short, "probe_lease").as_deref(), Some("60s"));
}

#[test]
fn a_rate_takes_the_place_of_the_default_threshold() {
    let (_clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder().failure_rate(1.0).over_calls(100).build();
    assert_eq!(setting(&breaker, "minimum_calls").as_deref(), Some("10"));
    for _ in 0..9 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), CircuitState::Closed, "nine in a row, and ten are needed");
    fail(&breaker);
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[test]
fn standard_is_the_standard_resilience_handler() {
    let breaker = CircuitBreaker::builder().standard().build();
    for (name, value) in [
        ("failure_rate", "0.1"),
        ("over_time", "30s"),
        ("minimum_calls", "100"),
        ("recovery_timeout", "5s"),
    ] {
        assert_eq!(setting(&breaker, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(setting(&breaker, "failure_threshold"), None);
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it_for_a_minute_and_one_success_closes_it() {
    let breaker = CircuitBreaker::new();
    for _ in 0..5 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert!(breaker.run(async || Outcome::Err(Down(1))).await.is_err());
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    tokio::time::advance(60 * S - MS).await;
    assert!(breaker.run(async || Outcome::Ok(1)).await.is_err());
    tokio::time::advance(MS).await;
    assert_eq!(breaker.run(async || Outcome::Ok(1)).await, Ok(1));
    assert_eq!(breaker.state(), CircuitState::Closed);
}
