use super::*;

#[tokio::test(start_paused = true)]
async fn a_rejected_operation_is_not_called() {
    let (breaker, calls) = (sensitive().build(), Calls::new());
    fail(&breaker);
    assert!(breaker.run(async || calls.fail()).await.is_err());
    assert!(breaker.run_blocking(|| calls.fail()).is_err());
    assert_eq!(calls.get(), 0);
}

#[test]
fn a_rejection_names_the_breaker_and_when_to_come_back() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().name("payments").build();
    fail(&breaker);
    clock.advance(4 * S);
    let Err(Error::Rejected(Rejection::CircuitBreakerOpen(open))) =
        breaker.run_blocking(|| Outcome::Ok(1))
    else {
        panic!("it is open");
    };
    assert_eq!(open.name().unwrap(), &"payments");
    assert_eq!(open.retry_after(), Some(6 * S + MS), "rounded up by a step of the clock");
    assert_eq!(open.to_string(), "circuit breaker `payments` is open, next probe in 6.001s");
    clock.advance(open.retry_after().unwrap());
    assert_eq!(breaker.run_blocking(|| Outcome::Ok(1)), Ok(1), "and then it is let through");
}

#[test]
fn a_name_may_be_made_at_run_time() {
    let breaker = sensitive().name("literal").build().named(format!("shard {}", 7));
    assert_eq!(breaker.name().unwrap(), &"shard 7");
    fail(&breaker);
    let open = breaker.try_acquire().unwrap_err();
    assert_eq!(open.name().unwrap(), &"shard 7");
    assert_eq!(Pipeline::new(&breaker).to_string(), "breaker \"shard 7\"(1, 10s)");
}

#[test]
fn while_all_probes_are_in_flight_nobody_knows_when_to_come_back() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().build();
    fail(&breaker);
    clock.advance(10 * S);
    let _probe = breaker.try_acquire().unwrap();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), None);
}

#[test]
fn rejections_are_counted() {
    let breaker = sensitive().build();
    fail(&breaker);
    together(8, |_| {
        for _ in 0..1000 {
            assert!(breaker.try_acquire().is_err());
        }
    });
    assert_eq!(breaker.counters().rejected, 8000);
}

#[test]
fn an_open_breaker_stays_so_until_somebody_calls() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().build();
    fail(&breaker);
    clock.advance(24 * HOUR);
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(breaker.time_until_probe(), Some(Duration::ZERO));
    assert!(breaker.try_acquire().unwrap().is_probe());
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}
