use super::*;

#[tokio::test(start_paused = true)]
async fn slow_successes_open_a_breaker_that_looks_at_them() {
    let breaker = CircuitBreaker::builder().slow_call_rate(0.5, S).over_calls(4).build();
    for seconds in [0, 2, 0, 2] {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let operation = async || {
            tokio::time::sleep(seconds * S).await;
            Outcome::Ok(1)
        };
        assert!(breaker.run(operation).await.is_ok());
    }
    assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::SlowCallRate);
}

#[test]
fn blocking_calls_are_timed_too() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder().slow_call_rate(1.0, S).over_calls(3).build();
    for _ in 0..3 {
        let outcome = breaker.run_blocking(|| {
            clock.advance(S);
            Outcome::Ok(1)
        });
        assert!(outcome.is_ok());
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[test]
fn failures_count_for_nothing_where_only_slow_calls_are_looked_at() {
    let (clock, _scope) = virtual_time();
    let builder = CircuitBreaker::builder().slow_call_rate(0.5, S).minimum_calls(4);
    for builder in [builder.over_calls(10), builder.over_time(HOUR)] {
        let breaker = builder.build();
        for _ in 0..100 {
            takes(&breaker, &clock, MS, Verdict::TRANSIENT);
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

#[test]
fn either_rate_opens_by_itself() {
    let (clock, _scope) = virtual_time();
    let builder = CircuitBreaker::builder()
        .failure_rate(0.5)
        .slow_call_rate(0.5, S)
        .over_calls(10)
        .minimum_calls(4);
    let breaker = builder.build();
    for (time, verdict) in [
        (MS, Verdict::TRANSIENT),
        (S, Verdict::Success),
        (MS, Verdict::Success),
        (S, Verdict::Success),
    ] {
        takes(&breaker, &clock, time, verdict);
    }
    assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::SlowCallRate);
}

#[test]
fn a_slow_success_ends_a_row_of_failures() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(3)
        .slow_call_rate(1.0, S)
        .over_calls(100)
        .build();
    takes(&breaker, &clock, MS, Verdict::TRANSIENT);
    takes(&breaker, &clock, MS, Verdict::TRANSIENT);
    takes(&breaker, &clock, S, Verdict::Success);
    assert_eq!(breaker.counters().consecutive_failures, 0);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_slow_probe_opens_again_however_it_ended_and_a_fast_one_closes() {
    let (clock, _scope) = virtual_time();
    let breaker =
        CircuitBreaker::builder().slow_call_rate(1.0, S).over_calls(1).recovery_timeout(S).build();
    takes(&breaker, &clock, S, Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::Open);
    for verdict in [Verdict::Success, Verdict::TRANSIENT] {
        clock.advance(S);
        takes(&breaker, &clock, S, verdict);
        assert_eq!(breaker.state(), CircuitState::Open, "{verdict:?}: the callee is still slow");
        assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::ProbeFailed);
    }
    clock.advance(S);
    takes(&breaker, &clock, S - MS, Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::Closed);
}
