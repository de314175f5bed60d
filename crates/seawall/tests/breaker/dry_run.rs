use super::*;

#[tokio::test(start_paused = true)]
async fn a_dry_run_lets_every_call_through_and_tells_which_ones_it_would_not() {
    let breaker = sensitive().build();
    let log = Log::default();
    breaker.observe({
        let log = log.clone();
        move |event: &Event<'_>| {
            if let Event::CircuitBreakerRejected { dry_run, retry_after, .. } = event {
                log.push((*dry_run, *retry_after));
            }
        }
    });
    breaker.set_mode(Mode::DryRun);
    let calls = Calls::new();
    for _ in 0..4 {
        assert!(breaker.run(async || calls.fail()).await.is_err());
    }
    assert_eq!(calls.get(), 4);
    assert_eq!(breaker.counters().rejected, 3);
    assert_eq!(log.all(), [(true, Some(10 * S + MS)); 3]);
    assert_eq!(breaker.state(), CircuitState::Open, "it goes through its states all the same");
}

#[test]
fn a_call_that_a_dry_run_let_through_counts_for_nothing() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().build();
    breaker.set_mode(Mode::DryRun);
    fail(&breaker);
    let events = common::event_names(&breaker);
    for verdict in [Verdict::Success, Verdict::TRANSIENT, Verdict::Ignored] {
        let passed = breaker.try_acquire().unwrap();
        assert!(!passed.is_probe());
        passed.record(verdict);
        drop(breaker.try_acquire().unwrap());
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    assert!(events.all().iter().all(|event| event == "CircuitBreakerRejected"));
    clock.advance(10 * S);
    let passed_before = breaker.try_acquire().unwrap();
    assert!(passed_before.is_probe(), "its time is over: a real probe");
    let passed = breaker.try_acquire().unwrap();
    passed.record(Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::HalfOpen, "the probe alone decides");
    passed_before.record(Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn transitions_in_a_dry_run_say_so() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    let log = transitions(&breaker);
    breaker.set_mode(Mode::DryRun);
    fail(&breaker);
    breaker.reset();
    breaker.set_mode(Mode::Enforce);
    fail(&breaker);
    let told: Vec<_> = log.all().iter().map(|change| (change.to, change.dry_run)).collect();
    let (open, closed) = (CircuitState::Open, CircuitState::Closed);
    assert_eq!(told, [(open, true), (closed, true), (open, false)]);
    assert!(breaker.last_transition().is_some_and(|change| !change.dry_run));
}

#[test]
fn a_dry_run_can_begin_and_end_at_any_time() {
    let breaker = sensitive().build();
    fail(&breaker);
    assert!(breaker.try_acquire().is_err());
    breaker.set_mode(Mode::DryRun);
    assert_eq!(breaker.mode(), Mode::DryRun);
    assert!(breaker.try_acquire().is_ok());
    breaker.set_mode(Mode::Enforce);
    assert!(breaker.try_acquire().is_err());
}

#[test]
fn an_isolated_breaker_in_a_dry_run_lets_calls_through() {
    let breaker = sensitive().build();
    breaker.isolate();
    breaker.set_mode(Mode::DryRun);
    assert_eq!(breaker.run_blocking(|| Outcome::Ok(1)), Ok(1));
    assert_eq!(breaker.state(), CircuitState::Isolated);
}
