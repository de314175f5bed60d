use super::*;

#[test]
fn probes_beyond_the_limit_are_rejected_and_slots_are_used_again() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().probes(2).successes_to_close(5).build();
    fail(&breaker);
    clock.advance(10 * S);
    for _ in 0..2 {
        let held: Vec<Permit<'_>> = (0..2).map(|_| breaker.try_acquire().unwrap()).collect();
        assert!(breaker.try_acquire().is_err());
        for permit in held {
            permit.record(Verdict::Success);
        }
    }
    assert_eq!(breaker.counters().probe_successes, 4);
    succeed(&breaker);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn an_abandoned_probe_is_told() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().build();
    fail(&breaker);
    clock.advance(10 * S);
    let events = common::event_names(&breaker);
    drop(breaker.try_acquire().unwrap());
    breaker.try_acquire().unwrap().record(Verdict::Ignored);
    assert_eq!(events.all(), ["CircuitBreakerTransition", "ProbeAbandoned", "ProbeAbandoned"]);
}

#[test]
fn a_call_abandoned_while_closed_is_told_to_nobody() {
    let breaker = sensitive().build();
    let events = common::event_names(&breaker);
    drop(breaker.try_acquire().unwrap());
    assert!(events.all().is_empty());
    assert!(!breaker.try_acquire().unwrap().is_probe());
}

#[test]
fn successes_before_an_abandoned_probe_still_count() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().successes_to_close(2).build();
    fail(&breaker);
    clock.advance(10 * S);
    succeed(&breaker);
    drop(breaker.try_acquire().unwrap());
    succeed(&breaker);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn successes_survive_the_end_of_a_lease() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().successes_to_close(2).build();
    fail(&breaker);
    clock.advance(10 * S);
    succeed(&breaker);
    let _hung = breaker.try_acquire().unwrap();
    clock.advance(62 * S);
    succeed(&breaker);
    assert_eq!(breaker.state(), CircuitState::Closed);
}
