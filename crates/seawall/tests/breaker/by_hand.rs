use super::*;

#[test]
fn an_isolated_breaker_rejects_until_it_is_closed_by_hand() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().build();
    breaker.isolate();
    for _ in 0..100 {
        clock.advance(24 * HOUR);
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), None);
        assert_eq!(breaker.time_until_probe(), None);
    }
    assert_eq!(breaker.state(), CircuitState::Isolated);
    breaker.close();
    assert_eq!(breaker.run_blocking(|| Outcome::Ok(1)), Ok(1));
}

#[test]
fn isolating_twice_and_closing_twice_is_once() {
    let breaker = sensitive().build();
    let log = transitions(&breaker);
    breaker.close();
    breaker.isolate();
    breaker.isolate();
    breaker.close();
    breaker.close();
    assert_eq!(log.all().len(), 2);
}

#[test]
fn closing_by_hand_works_from_any_state() {
    let (clock, _scope) = virtual_time();
    let closed_from = |lead: fn(&CircuitBreaker, &ManualClock)| {
        let breaker = sensitive().build();
        lead(&breaker, &clock);
        assert_ne!(breaker.state(), CircuitState::Closed);
        breaker.close();
        assert_eq!(breaker.state(), CircuitState::Closed);
        let last = breaker.last_transition().unwrap();
        assert_eq!((last.to, last.cause), (CircuitState::Closed, TransitionCause::Manual));
        assert_eq!(breaker.run_blocking(|| Outcome::Ok(1)), Ok(1));
    };
    closed_from(|breaker, _| breaker.isolate());
    closed_from(|breaker, _| fail(breaker));
    closed_from(|breaker, clock| {
        fail(breaker);
        clock.advance(10 * S);
        drop(breaker.try_acquire());
    });
}

#[test]
fn reset_makes_it_as_new_but_for_totals_and_observers() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().recovery_multiplier(2.0).build();
    let log = transitions(&breaker);
    for wait in [10, 20, 40] {
        fail(&breaker);
        assert!(breaker.try_acquire().is_err());
        assert_eq!(breaker.time_until_probe(), Some(wait * S));
        clock.advance(wait * S);
    }
    breaker.reset();
    let expected = {
        let mut c = Counters::default();
        c.rejected = 3;
        c.opened = 3;
        c
    };
    assert_eq!((breaker.state(), breaker.counters()), (CircuitState::Closed, expected));
    fail(&breaker);
    assert_eq!(breaker.time_until_probe(), Some(10 * S), "the recovery timeout starts over");
    assert_eq!(log.all().last().unwrap().to, CircuitState::Open, "observers stay");
}

#[test]
fn reset_empties_the_window() {
    let (_clock, _scope) = virtual_time();
    let builder = CircuitBreaker::builder().failure_rate(1.0).minimum_calls(5);
    for builder in [builder.over_calls(10), builder.over_time(HOUR)] {
        let breaker = builder.build();
        for _ in 0..4 {
            fail(&breaker);
        }
        breaker.reset();
        assert_eq!((breaker.counters().calls, breaker.failure_rate()), (0, None));
        for _ in 0..4 {
            fail(&breaker);
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}
