use super::*;

#[test]
fn counters_say_what_each_state_goes_by() {
    let (clock, _scope) = virtual_time();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(4)
        .failure_rate(0.9)
        .slow_call_rate(0.9, S)
        .over_calls(100)
        .recovery_timeout(10 * S)
        .probes(3)
        .successes_to_close(2)
        .build();
    takes(&breaker, &clock, MS, Verdict::Success);
    takes(&breaker, &clock, S, Verdict::Success);
    takes(&breaker, &clock, 2 * S, Verdict::TRANSIENT);
    takes(&breaker, &clock, MS, Verdict::Permanent);
    takes(&breaker, &clock, S, Verdict::Ignored);
    let counters = breaker.counters();
    assert_eq!((counters.calls, counters.failures, counters.slow_calls), (4, 2, 2));
    assert_eq!((counters.consecutive_failures, counters.opened), (2, 0));
    fail(&breaker);
    fail(&breaker);
    assert!(breaker.try_acquire().is_err());
    let expected = {
        let mut c = Counters::default();
        c.rejected = 1;
        c.opened = 1;
        c
    };
    assert_eq!(breaker.counters(), expected);
    clock.advance(10 * S);
    let probes = [breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap()];
    succeed(&breaker);
    let counters = breaker.counters();
    assert_eq!((counters.probes_in_flight, counters.probe_successes), (2, 1));
    drop(probes);
    assert_eq!(breaker.counters().probes_in_flight, 0);
    fail(&breaker);
    assert_eq!((breaker.counters().reopenings, breaker.counters().opened), (1, 2));
}

#[test]
fn there_is_a_failure_rate_where_there_are_calls_in_a_window() {
    let (_clock, _scope) = virtual_time();
    let without = CircuitBreaker::new();
    succeed(&without);
    assert_eq!(without.failure_rate(), None);
    for builder in [
        CircuitBreaker::builder().failure_rate(0.75).over_calls(100),
        CircuitBreaker::builder().failure_rate(0.75).over_time(HOUR),
    ] {
        let breaker = builder.minimum_calls(4).build();
        assert_eq!(breaker.failure_rate(), None);
        succeed(&breaker);
        assert_eq!(breaker.failure_rate(), Some(0.0));
        fail(&breaker);
        assert_eq!(breaker.failure_rate(), Some(0.5));
        fail(&breaker);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.failure_rate(), None, "only while closed");
    }
}

#[test]
fn the_time_until_a_probe_is_told_in_every_state() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().probes(2).build();
    assert_eq!(breaker.time_until_probe(), None, "closed");
    fail(&breaker);
    clock.advance(3 * S);
    assert_eq!(breaker.time_until_probe(), Some(7 * S), "open");
    clock.advance(HOUR);
    assert_eq!(breaker.time_until_probe(), Some(Duration::ZERO), "its time is over");
    let _first = breaker.try_acquire().unwrap();
    assert_eq!(breaker.time_until_probe(), Some(Duration::ZERO), "a slot is free");
    let _second = breaker.try_acquire().unwrap();
    let lease = breaker.time_until_probe().unwrap();
    assert!((60 * S..=62 * S).contains(&lease), "{lease:?}: the lease of the last probe");
}

#[test]
fn the_last_transition_is_there_without_any_observer() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().build();
    assert_eq!(breaker.last_transition(), None);
    fail(&breaker);
    let opened = breaker.last_transition().unwrap();
    assert_eq!((opened.from, opened.to), (CircuitState::Closed, CircuitState::Open));
    assert_eq!(opened.cause, TransitionCause::ConsecutiveFailures);
    clock.advance(10 * S);
    succeed(&breaker);
    let closed = breaker.last_transition().unwrap();
    assert_eq!(closed.cause, TransitionCause::ProbeSucceeded);
    assert_eq!(closed.at.since(opened.at), 10 * S);
}

#[test]
fn a_transition_to_open_tells_for_how_long() {
    let (clock, _scope) = virtual_time();
    let breaker = sensitive().recovery_multiplier(2.0).build();
    let log = transitions(&breaker);
    fail(&breaker);
    clock.advance(10 * S);
    fail(&breaker);
    breaker.isolate();
    breaker.close();
    let told: Vec<_> = log.all().iter().map(|t| (t.to, t.open_for)).collect();
    assert_eq!(
        told,
        [
            (CircuitState::Open, Some(10 * S)),
            (CircuitState::HalfOpen, None),
            (CircuitState::Open, Some(20 * S)),
            (CircuitState::Isolated, None),
            (CircuitState::Closed, None),
        ]
    );
}

#[tokio::test]
async fn an_observer_finds_what_the_task_of_the_call_carries() {
    tokio::task_local! {
        static REQUEST: u32;
    }
    let breaker = sensitive().build();
    let log = Log::default();
    breaker.observe({
        let log = log.clone();
        move |_: &Event<'_>| log.push(REQUEST.get())
    });
    for request in [7, 8] {
        let call = REQUEST.scope(request, breaker.run(async || Outcome::Err(Down(1))));
        assert!(call.await.is_err());
    }
    assert_eq!(log.all(), [7, 8], "opened by the one, rejecting the other");
}

/// Law 12: what waits for an observer that hangs is bounded, and what is given up is counted.
#[test]
fn transitions_that_an_observer_hangs_on_are_given_up_and_counted_as_untold() {
    common::watched(|| {
        let breaker = Arc::new(sensitive().build());
        let (entered, wait_entered) = std::sync::mpsc::channel();
        let (leave, wait_leave) = std::sync::mpsc::channel::<()>();
        let hangs = std::sync::Mutex::new(Some(wait_leave));
        breaker.observe(move |_: &Event<'_>| {
            if let Some(wait_leave) = hangs.lock().unwrap().take() {
                entered.send(()).unwrap();
                wait_leave.recv().unwrap();
            }
        });
        let log = transitions(&breaker);
        let hanging = std::thread::spawn({
            let breaker = Arc::clone(&breaker);
            move || breaker.reset()
        });
        wait_entered.recv().unwrap();
        let mut made = 1;
        while breaker.counters().untold < 10 {
            breaker.reset();
            made += 1;
            assert!(made < 1_000_000, "more and more are kept");
        }
        leave.send(()).unwrap();
        hanging.join().unwrap();
        breaker.isolate();
        assert_eq!(log.all().len(), made - 10 + 1);
        assert_eq!(log.all().last(), breaker.last_transition().as_ref());
    });
}

#[test]
fn states_and_causes_print_as_in_events() {
    let states = [
        (CircuitState::Closed, "closed"),
        (CircuitState::Open, "open"),
        (CircuitState::HalfOpen, "half_open"),
        (CircuitState::Isolated, "isolated"),
    ];
    for (state, word) in states {
        assert_eq!((state.to_string(), state.as_str()), (word.to_owned(), word));
    }
    assert_eq!(TransitionCause::SlowCallRate.to_string(), "slow_call_rate");
    assert!(CircuitState::Open.is_open() && CircuitState::Closed.is_closed());
}
