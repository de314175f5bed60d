use super::*;

/// The open times of a breaker all of whose probes fail.
fn open_times(builder: CircuitBreakerBuilder, count: usize) -> Vec<u64> {
    let (clock, _scope) = virtual_time();
    let breaker = builder.build();
    let open_time = || {
        fail(&breaker);
        let wait = breaker.time_until_probe().unwrap();
        clock.advance(wait);
        wait.as_secs()
    };
    std::iter::repeat_with(open_time).take(count).collect()
}

#[test]
fn the_recovery_timeout_stays_as_it_is_unless_it_is_told_to_grow() {
    assert_eq!(open_times(sensitive(), 20), [10; 20]);
}

#[test]
fn the_recovery_timeout_grows_with_each_failed_probe_up_to_its_cap() {
    let doubling = sensitive().recovery_multiplier(2.0);
    assert_eq!(open_times(doubling.max_recovery_timeout(45 * S), 5), [10, 20, 40, 45, 45]);
    assert_eq!(open_times(doubling, 6), [10, 20, 40, 80, 100, 100], "ten times, by default");
    let slowly = sensitive().recovery_multiplier(1.1).max_recovery_timeout(HOUR);
    let times = open_times(slowly, 40);
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[15], 41, "10 s x 1.1^15");
    assert_eq!(times[39], 41, "reopenings count to 15");
}

#[test]
fn closing_starts_the_recovery_timeout_over() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().recovery_multiplier(3.0).build();
    for round in [10, 30, 90] {
        fail(&breaker);
        assert_eq!(breaker.time_until_probe(), Some(round * S));
        clock.advance(round * S);
    }
    succeed(&breaker);
    fail(&breaker);
    assert_eq!(breaker.time_until_probe(), Some(10 * S));
}

#[test]
fn the_window_starts_empty_after_closing() {
    let (clock, _scope) = virtual_time();
    let builder = CircuitBreaker::builder().failure_rate(0.5).minimum_calls(4).recovery_timeout(S);
    for builder in [builder.over_calls(10), builder.over_time(24 * HOUR)] {
        let breaker = builder.build();
        for _ in 0..4 {
            fail(&breaker);
        }
        clock.advance(S);
        succeed(&breaker);
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(breaker.counters().calls, 0);
        for _ in 0..3 {
            fail(&breaker);
        }
        assert_eq!(breaker.state(), CircuitState::Closed, "three calls are below the minimum");
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

#[test]
fn a_recovery_timeout_of_zero_probes_with_the_next_call() {
    let (_clock, _scope) = virtual_time();
    let breaker = sensitive().recovery_timeout(Duration::ZERO).build();
    fail(&breaker);
    let probe = breaker.try_acquire().unwrap();
    assert!(probe.is_probe());
    assert!(breaker.try_acquire().is_err(), "one at a time");
}
