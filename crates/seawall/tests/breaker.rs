//! Circuit breakers as their callers and operators see them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Calls, Down, HOUR, Log, MS, Outcome, S, fail, succeed, together, transitions};
use proptest::prelude::*;
use seawall::{
    CircuitBreaker, CircuitState, Classify, Error, Event, Permit, Pipeline, Rejection,
    SettingValue, Timeout, Verdict,
    breaker::{CircuitBreakerBuilder, Counters, Mode, TransitionCause},
    testing::{Entered, ManualClock, Scope},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};

fn virtual_time() -> (ManualClock, Entered) {
    let clock = ManualClock::new();
    let scope = Scope::new(clock.clone()).enter();
    (clock, scope)
}

/// Opens at the first failure, for ten seconds.
fn sensitive() -> CircuitBreakerBuilder {
    CircuitBreaker::builder().failure_threshold(1).recovery_timeout(10 * S)
}

/// A permit by hand, over `time`.
fn takes<C>(breaker: &CircuitBreaker<C>, clock: &ManualClock, time: Duration, verdict: Verdict) {
    let permit = breaker.try_acquire().unwrap();
    clock.advance(time);
    permit.record(verdict);
}

mod defaults {
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
}

mod rejections {
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
}

mod by_hand {
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
}

mod dry_run {
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
}

mod verdicts {
    use super::*;

    fn failures<C: Classify<u32, Down>>(breaker: &CircuitBreaker<C>, outcome: Outcome) -> u32 {
        let _ = breaker.run_blocking(|| outcome);
        breaker.counters().consecutive_failures
    }

    #[test]
    fn errors_outside_the_expected_ones_count_as_success() {
        let breaker =
            CircuitBreaker::builder().expected_exception(|error: &Down| error.0 >= 500).build();
        assert_eq!(failures(&breaker, Err(Down(500))), 1);
        assert_eq!(failures(&breaker, Err(Down(503))), 2);
        assert_eq!(failures(&breaker, Err(Down(404))), 0, "the callee was well enough to answer");
    }

    #[test]
    fn ignored_errors_count_neither_way() {
        let breaker = CircuitBreaker::builder().ignore(|error: &Down| error.0 == 499).build();
        assert_eq!(failures(&breaker, Err(Down(500))), 1);
        assert_eq!(failures(&breaker, Err(Down(499))), 1);
        assert_eq!(failures(&breaker, Ok(1)), 0);
    }

    #[test]
    fn expected_and_ignored_errors_can_both_be_set_in_any_order() {
        let builder = || CircuitBreaker::builder().failure_rate(1.0).over_calls(9).minimum_calls(9);
        let expected = |error: &Down| error.0 >= 500;
        let ignored = |error: &Down| error.0 == 503;
        let one = builder().expected_exception(expected).ignore(ignored).build();
        let other = builder().ignore(ignored).expected_exception(expected).build();
        for status in [200, 404, 500, 503] {
            let _ = one.run_blocking(|| Outcome::Err(Down(status)));
            let _ = other.run_blocking(|| Outcome::Err(Down(status)));
        }
        assert_eq!((one.counters().calls, one.counters().failures), (3, 1));
        assert_eq!(one.counters(), other.counters());
    }

    #[test]
    fn a_classifier_of_ones_own_may_count_a_value_as_a_failure() {
        struct ByStatus;
        impl<E> Classify<u32, E> for ByStatus {
            fn classify(&self, outcome: Result<&u32, &E>) -> Verdict {
                match outcome {
                    Ok(500..) => Verdict::Permanent,
                    Ok(499) => Verdict::Ignored,
                    _ => Verdict::Success,
                }
            }
        }
        let breaker = CircuitBreaker::builder().classify_with(ByStatus).build();
        assert_eq!(failures(&breaker, Ok(503)), 1);
        assert_eq!(failures(&breaker, Ok(499)), 1);
        assert_eq!(failures(&breaker, Ok(500)), 2);
        assert_eq!(failures(&breaker, Err(Down(1))), 0);
    }

    #[test]
    fn a_permit_takes_transient_and_permanent_as_failures() {
        for verdict in [Verdict::TRANSIENT, Verdict::Permanent] {
            let breaker = sensitive().build();
            breaker.try_acquire().unwrap().record(verdict);
            assert_eq!(breaker.state(), CircuitState::Open, "{verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outcome_passes_through_as_it_is() {
        let breaker = CircuitBreaker::new();
        assert_eq!(breaker.run(async || Outcome::Ok(7)).await, Ok(7));
        assert_eq!(breaker.run_blocking(|| Outcome::Ok(7)), Ok(7));
        let failed = Err(Error::Operation(Down(7)));
        assert_eq!(breaker.run(async || Outcome::Err(Down(7))).await, failed);
        assert_eq!(breaker.run_blocking(|| Outcome::Err(Down(7))), failed);
        let timed_out = Err(Error::Rejected(Rejection::TimedOut { limit: S }));
        let stack = Pipeline::new((&breaker, Timeout::new(S)));
        assert_eq!(stack.run(std::future::pending::<Outcome>).await, timed_out);
    }
}

mod figures {
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
}

mod recovery {
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
        let builder =
            CircuitBreaker::builder().failure_rate(0.5).minimum_calls(4).recovery_timeout(S);
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
}

mod slow_calls {
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
    fn a_slow_probe_opens_again_however_it_ended_and_a_fast_one_closes() {
        let (clock, _scope) = virtual_time();
        let breaker = CircuitBreaker::builder()
            .slow_call_rate(1.0, S)
            .over_calls(1)
            .recovery_timeout(S)
            .build();
        takes(&breaker, &clock, S, Verdict::Success);
        assert_eq!(breaker.state(), CircuitState::Open);
        for verdict in [Verdict::Success, Verdict::TRANSIENT] {
            clock.advance(S);
            takes(&breaker, &clock, S, verdict);
            assert_eq!(
                breaker.state(),
                CircuitState::Open,
                "{verdict:?}: the callee is still slow"
            );
            assert_eq!(breaker.last_transition().unwrap().cause, TransitionCause::ProbeFailed);
        }
        clock.advance(S);
        takes(&breaker, &clock, S - MS, Verdict::Success);
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

mod sharing {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_breaker_is_shared_by_reference_by_arc_and_as_a_static() {
        static SHARED: CircuitBreaker =
            CircuitBreaker::builder().failure_rate(0.5).over_time(HOUR).minimum_calls(6).build();
        let counted = Arc::new(CircuitBreaker::new());
        for _ in 0..2 {
            assert!(SHARED.run(async || Outcome::Err(Down(1))).await.is_err());
            assert!(Pipeline::new(&SHARED).run_blocking(|| Outcome::Err(Down(1))).is_err());
            assert!(Pipeline::new((&SHARED,)).run(async || Outcome::Err(Down(1))).await.is_err());
            let clone = Arc::clone(&counted);
            assert!(Pipeline::new(clone).run_blocking(|| Outcome::Err(Down(1))).is_err());
        }
        assert_eq!(SHARED.state(), CircuitState::Open);
        assert_eq!(counted.counters().consecutive_failures, 2);
    }

    #[test]
    fn eight_threads_lose_no_outcome_in_either_window() {
        let (clock, _own) = virtual_time();
        let scope = Scope::new(clock);
        let builder = CircuitBreaker::builder().failure_rate(1.0).minimum_calls(1_000_000);
        for builder in [builder.over_calls(1_000_000), builder.over_time(HOUR)] {
            let breaker = builder.build();
            together(8, |thread| {
                let _scope = scope.enter();
                for n in 0..5000 {
                    if (n + thread) % 5 == 0 { fail(&breaker) } else { succeed(&breaker) }
                }
            });
            assert_eq!((breaker.counters().calls, breaker.counters().failures), (40_000, 8000));
        }
    }

    /// More threads than a window has places of their own for.
    #[test]
    fn a_hundred_threads_lose_no_outcome_in_a_time_window() {
        let (clock, _own) = virtual_time();
        let scope = Scope::new(clock);
        let builder = CircuitBreaker::builder().failure_rate(1.0).minimum_calls(1_000_000);
        let breaker = builder.over_time(HOUR).build();
        let all_here = common::Meeting::new(100);
        together(100, |_| {
            let _scope = scope.enter();
            fail(&breaker);
            all_here.wait();
            for _ in 0..99 {
                succeed(&breaker);
            }
            all_here.wait();
        });
        assert_eq!((breaker.counters().calls, breaker.counters().failures), (10_000, 100));
    }
}

mod windows {
    use super::*;

    /// One call of a history.
    #[derive(Debug, Clone, Copy)]
    struct Call {
        after: u64,
        failed: bool,
        slow: bool,
    }

    fn any_history() -> impl Strategy<Value = Vec<Call>> {
        // Gaps of nothing, of a bit, and of more than a window.
        let gap = prop_oneof![5 => Just(0_u64), 4 => 0..700_u64, 1 => 0..15_000_u64];
        // Histories that are mostly well, and mostly ill.
        (0..=10_u32).prop_flat_map(move |ill| {
            let call = (gap.clone(), 0..10_u32, prop::bool::weighted(0.1))
                .prop_map(move |(after, draw, slow)| Call { after, failed: draw < ill, slow });
            prop::collection::vec(call, 1..200)
        })
    }

    /// Makes the call; the slow ones take 50 ms.
    fn make(breaker: &CircuitBreaker, clock: &ManualClock, call: Call) {
        clock.advance(Duration::from_millis(call.after));
        let verdict = if call.failed { Verdict::TRANSIENT } else { Verdict::Success };
        let time = if call.slow { 50 * MS } else { Duration::ZERO };
        takes(breaker, clock, time, verdict);
    }

    /// (calls, failures, slow calls)
    fn sums<'a>(calls: impl Iterator<Item = &'a Call>) -> (u64, u64, u64) {
        calls.fold((0, 0, 0), |(all, failed, slow), call| {
            (all + 1, failed + u64::from(call.failed), slow + u64::from(call.slow))
        })
    }

    fn figures(breaker: &CircuitBreaker) -> (u64, u64, u64) {
        let counters = breaker.counters();
        (counters.calls, counters.failures, counters.slow_calls)
    }

    fn reached((calls, failures, slow): (u64, u64, u64), minimum: u64, rates: (f64, f64)) -> bool {
        let share = |part: u64, limit: f64| part > 0 && part as f64 / calls as f64 >= limit;
        calls >= minimum && (share(failures, rates.0) || share(slow, rates.1))
    }

    proptest! {
        /// A count window is exactly the last N calls, and decides on every one of them.
        #[test]
        fn a_count_window_is_a_list_of_the_last_calls(
            history in any_history(),
            size in 1..70_u32,
            minimum in 1..70_u32,
            rates in (0.0..=1.0, 0.0..=1.0),
        ) {
            let (clock, _scope) = virtual_time();
            let minimum = minimum.min(size);
            let breaker = CircuitBreaker::builder()
                .failure_rate(rates.0)
                .slow_call_rate(rates.1, 50 * MS)
                .over_calls(size)
                .minimum_calls(minimum)
                .build();
            let mut list = VecDeque::new();
            for call in history {
                make(&breaker, &clock, call);
                if list.len() == size as usize {
                    list.pop_front();
                }
                list.push_back(call);
                let expected = sums(list.iter());
                let opens = reached(expected, minimum.into(), rates);
                prop_assert_eq!(breaker.state().is_open(), opens, "{:?}", expected);
                if opens {
                    breaker.close();
                    list.clear();
                }
                prop_assert_eq!(figures(&breaker), sums(list.iter()));
            }
        }

        /// A time window is the calls of the last ten buckets, this one included. A failure or a
        /// slow call always decides; a success does if it meets the minimum, and opens for no less
        /// than the rate.
        #[test]
        fn a_time_window_is_a_list_of_the_calls_of_ten_buckets(
            history in any_history(),
            time in prop_oneof![Just(10_u64), Just(1000), 10..12_000_u64],
            minimum in 1..40_u32,
            rates in (0.01..=1.0, 0.01..=1.0),
        ) {
            let (clock, _scope) = virtual_time();
            let bucket = time.div_ceil(10);
            let number = || u64::try_from(clock.now().as_millis()).unwrap() / bucket;
            let breaker = CircuitBreaker::builder()
                .failure_rate(rates.0)
                .slow_call_rate(rates.1, 50 * MS)
                .over_time(Duration::from_millis(time))
                .minimum_calls(minimum)
                .build();
            let mut list: Vec<(u64, Call)> = Vec::new();
            for call in history {
                make(&breaker, &clock, call);
                list.push((number(), call));
                list.retain(|(then, _)| then + 10 > number());
                let expected = sums(list.iter().map(|(_, call)| call));
                let reached = reached(expected, minimum.into(), rates);
                let decides = call.failed || call.slow || expected.0 == u64::from(minimum);
                if breaker.state().is_open() {
                    prop_assert!(reached, "opened at {:?}", expected);
                    breaker.close();
                    list.clear();
                } else {
                    prop_assert!(!(reached && decides), "stayed closed at {:?}", expected);
                }
                prop_assert_eq!(figures(&breaker), sums(list.iter().map(|(_, call)| call)));
            }
        }
    }

    #[test]
    fn reading_a_time_window_after_a_pause_sees_it_empty() {
        let (clock, _scope) = virtual_time();
        let breaker =
            CircuitBreaker::builder().failure_rate(1.0).over_time(10 * S).minimum_calls(9).build();
        fail(&breaker);
        succeed(&breaker);
        assert_eq!(figures(&breaker), (2, 1, 0));
        clock.advance(10 * S);
        assert_eq!((figures(&breaker), breaker.failure_rate()), ((0, 0, 0), None));
    }

    #[test]
    fn ageing_alone_opens_nothing() {
        let (clock, _scope) = virtual_time();
        let breaker =
            CircuitBreaker::builder().failure_rate(0.5).over_time(10 * S).minimum_calls(2).build();
        for _ in 0..4 {
            succeed(&breaker);
        }
        clock.advance(5 * S);
        fail(&breaker);
        fail(&breaker);
        for _ in 0..100 {
            clock.advance(S / 10);
            let _ = (breaker.failure_rate(), breaker.counters(), breaker.state());
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    /// Fault class 28.
    #[test]
    fn ten_thousand_successes_do_not_outweigh_the_last_ten_calls() {
        let breaker = CircuitBreaker::builder().failure_rate(0.9).over_calls(10).build();
        for _ in 0..10_000 {
            succeed(&breaker);
        }
        for _ in 0..9 {
            assert_eq!(breaker.state(), CircuitState::Closed);
            fail(&breaker);
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

mod half_open {
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
}
