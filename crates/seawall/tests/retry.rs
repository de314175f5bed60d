//! Retries as their callers see them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{
    Calls, Down, Log, MS, Outcome, S, event_name, heard, pending_once, poll_once, quiet_panic,
};
use seawall::{
    AnyError, BackoffStrategy, CircuitBreaker, Classify, Error, Event, ExhaustedReason, Jitter,
    Pipeline, Rejection, RetryBudget, RetryExecutor, RetryExhaustedError, RetryPolicy, Retrying,
    Timeout, Verdict,
    retry::{Next, RetryPolicyBuilder},
    testing::{ManualClock, Scope, Seed},
};
use std::{
    future::Future,
    ops::ControlFlow,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

/// No jitter, so that waits are exact.
fn exact() -> RetryPolicyBuilder {
    RetryPolicy::builder().jitter(Jitter::None)
}

fn at_once() -> RetryPolicyBuilder {
    RetryPolicy::builder().base_delay(Duration::ZERO)
}

fn exhausted<T: std::fmt::Debug>(outcome: Result<T, Error<Down>>) -> RetryExhaustedError<Down> {
    match outcome {
        Err(Error::RetryExhausted(exhausted)) => exhausted,
        outcome => panic!("not exhausted: {outcome:?}"),
    }
}

/// Runs on tokio's paused clock; gives the waits between the attempts of a call that never succeeds.
async fn waits(run: impl AsyncFn(&Log<Instant>)) -> Vec<Duration> {
    let log = Log::default();
    run(&log).await;
    log.all().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The same of a policy.
async fn waits_of<C: Classify<u32, Down>>(policy: RetryPolicy<C>) -> Vec<Duration> {
    waits(async |log| {
        let operation = async || {
            log.push(Instant::now());
            Outcome::Err(Down(1))
        };
        assert!(policy.run(operation).await.is_err());
    })
    .await
}

/// The waits of a blocking executor that never succeeds, as its sleeper hears them.
fn blocking_waits<C: Classify<u32, Down>>(executor: RetryExecutor<C>) -> Vec<Duration> {
    let log = Log::default();
    let executor = executor.blocking_sleeper({
        let log = log.clone();
        move |delay| log.push(delay)
    });
    assert!(executor.run_blocking(|| Outcome::Err(Down(1))).is_err());
    log.all()
}

fn settings(policy: RetryPolicy) -> Vec<String> {
    let layer = Pipeline::new(policy).layers().remove(0);
    layer.settings().iter().map(|(name, value)| format!("{name} {value}")).collect()
}

mod defaults {
    use super::*;

    #[test]
    fn the_defaults_are_those_documented() {
        let expected = [
            "max_attempts 3",
            "backoff_strategy exponential",
            "base_delay 1s",
            "multiplier 2",
            "max_delay 60s",
            "jitter plus_minus",
            "max_retry_after 60s",
            "retry_on_open false",
            "retry_on_exhausted false",
            "keep_errors 0",
        ];
        assert_eq!(settings(RetryPolicy::new()), expected);
        assert_eq!(RetryPolicy::new(), RetryPolicy::default());
        assert_eq!(RetryPolicy::new(), RetryPolicy::builder().build());
    }

    #[tokio::test(start_paused = true)]
    async fn three_attempts_are_made_about_one_and_two_seconds_apart() {
        for _ in 0..50 {
            let waits = waits_of(RetryPolicy::new()).await;
            assert_eq!(waits.len(), 2);
            // Tokio's timer goes by whole milliseconds, upwards.
            assert!((750 * MS..=1251 * MS).contains(&waits[0]), "{waits:?}");
            assert!((1500 * MS..=2501 * MS).contains(&waits[1]), "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_error_is_retried_and_no_value_is() {
        let (errors, values) = (Calls::new(), Calls::new());
        assert!(RetryPolicy::new().run(async || errors.fail()).await.is_err());
        assert_eq!(RetryPolicy::new().run(async || Outcome::Ok(values.count())).await, Ok(1));
        assert_eq!((errors.get(), values.get()), (3, 1));
    }

    #[test]
    fn the_multiplier_of_each_strategy_is_the_one_documented() {
        for (strategy, seconds) in [
            (BackoffStrategy::Fixed, [1, 1, 1, 1, 1]),
            (BackoffStrategy::Linear, [1, 2, 3, 4, 5]),
            (BackoffStrategy::Exponential, [1, 2, 4, 8, 16]),
            (BackoffStrategy::Fibonacci, [1, 1, 2, 3, 5]),
        ] {
            let policy = exact().max_attempts(6).backoff_strategy(strategy).build();
            let delays: Vec<u64> = policy.delays().map(|delay| delay.as_secs()).collect();
            assert_eq!(delays, seconds, "{strategy}");
        }
        let policy =
            exact().max_attempts(50).backoff_strategy(BackoffStrategy::Decorrelated).build();
        let mut previous = S;
        for delay in policy.delays() {
            assert!((S..=(previous * 3).min(60 * S)).contains(&delay), "{delay:?}");
            previous = delay;
        }
    }

    #[test]
    fn a_base_beyond_the_default_cap_is_meant() {
        let policy = exact().base_delay(100 * S).build();
        assert_eq!(policy.delays().collect::<Vec<_>>(), [100 * S, 100 * S]);
    }
}

mod presets {
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
            "jitter plus_minus",
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
}

mod outcomes {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_success_is_returned_at_once() {
        let (calls, before) = (Calls::new(), Instant::now());
        assert_eq!(RetryPolicy::new().run(async || Outcome::Ok(calls.count())).await, Ok(1));
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_success_of_a_later_attempt_is_returned() {
        let (calls, before) = (Calls::new(), Instant::now());
        assert_eq!(exact().build().run(async || calls.fail_first(2)).await, Ok(3));
        assert_eq!(before.elapsed(), 3 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn an_exhausted_retry_tells_how_it_went() {
        let calls = Calls::new();
        let policy = exact().name("payments").build();
        let exhausted = exhausted(policy.run(async || calls.fail()).await);
        assert_eq!(exhausted.name().unwrap(), &"payments");
        assert_eq!((exhausted.attempts(), exhausted.reason()), (3, ExhaustedReason::Attempts));
        assert_eq!(exhausted.elapsed(), 3 * S);
        assert_eq!(exhausted.last(), &Error::Operation(Down(3)));
        assert_eq!(exhausted.last_operation(), Some(&Down(3)));
        assert_eq!(
            format!("{exhausted:#}"),
            "retry `payments` gave up after 3 attempts in 3.0s: no attempts left: down (3)"
        );
    }

    #[test]
    fn one_attempt_never_retries_and_is_exhausted_by_its_failure() {
        let calls = Calls::new();
        let policy = RetryPolicy::builder().max_attempts(1).build();
        let exhausted = exhausted(policy.run_blocking(|| calls.fail()));
        assert_eq!((calls.get(), exhausted.attempts()), (1, 1));
        assert_eq!(policy.delays().count(), 0);
        assert!(exhausted.to_string().contains("after 1 attempt in"), "{exhausted}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_is_not_worth_retrying_is_returned_as_it_is() {
        let calls = Calls::new();
        let policy = exact().when(|error: &Down| error.0 < 2).build();
        assert_eq!(
            policy.run(async || calls.fail()).await,
            Err(Error::Operation(Down(2))),
            "the second one is permanent"
        );
        assert_eq!(calls.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_times_out_is_retried_and_the_timeout_is_the_last_error() {
        let calls = Calls::new();
        let operation = || {
            calls.count();
            std::future::pending::<Outcome>()
        };
        let stack = Pipeline::new((exact().build(), Timeout::new(S)));
        let exhausted = exhausted(stack.run(operation).await);
        assert_eq!(exhausted.last(), &Error::Rejected(Rejection::TimedOut { limit: S }));
        assert_eq!((calls.get(), exhausted.last_operation()), (3, None));
    }

    #[test]
    fn an_ignored_outcome_is_returned_as_it_is() {
        struct AllIgnored;
        impl<T, E> Classify<T, E> for AllIgnored {
            fn classify(&self, _: Result<&T, &E>) -> Verdict {
                Verdict::Ignored
            }
        }
        let calls = Calls::new();
        let policy = at_once().classify_with(AllIgnored).build();
        assert_eq!(policy.run_blocking(|| calls.fail()), Err(Error::Operation(Down(1))));
        assert_eq!(policy.run_blocking(|| Outcome::Ok(calls.count())), Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_counts_as_a_failure_is_tried_again() {
        let calls = Calls::new();
        let policy = exact().when_result(|value: &u32| *value < 3).build();
        let before = Instant::now();
        assert_eq!(policy.run(async || Outcome::Ok(calls.count())).await, Ok(3));
        assert_eq!(before.elapsed(), 3 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_refused_to_the_end_is_returned_with_the_exhausted_event() {
        let (events, _scope) = heard(|event| match event {
            Event::RetryExhausted { attempts, reason, error_type, .. } => {
                Some((*attempts, *reason, error_type.is_none()))
            }
            _ => None,
        });
        let calls = Calls::new();
        let policy = at_once().when_result(|_: &u32| true).build();
        assert_eq!(policy.run(async || Outcome::Ok(calls.count())).await, Ok(3));
        assert_eq!(policy.run_blocking(|| Outcome::Ok(calls.count())), Ok(6));
        assert_eq!(events.all(), [(3, ExhaustedReason::Attempts, true); 2]);
    }

    #[test]
    fn errors_and_values_can_both_be_judged() {
        let calls = Calls::new();
        let policy = at_once()
            .max_attempts(9)
            .when(|error: &Down| error.0 == 1)
            .when_result(|value: &u32| *value < 3)
            .build();
        let operation =
            || if calls.count() % 2 == 1 { Err(Down(calls.get())) } else { Ok(calls.get()) };
        assert_eq!(policy.run_blocking(operation), Err(Error::Operation(Down(3))));
        assert_eq!(calls.get(), 3, "a transient error, a refused value, a permanent error");
    }

    #[test]
    fn a_classifier_of_ones_own_decides_in_place_of_the_hooks() {
        struct ByStatus;
        impl Classify<u32, Down> for ByStatus {
            fn classify(&self, outcome: Result<&u32, &Down>) -> Verdict {
                match outcome {
                    Ok(500..) => Verdict::TRANSIENT,
                    Err(Down(404)) => Verdict::Permanent,
                    Ok(_) => Verdict::Success,
                    Err(_) => Verdict::TRANSIENT,
                }
            }
        }
        let policy = at_once().classify_with(ByStatus).build();
        for (outcome, attempts) in
            [(Ok(503), 3), (Ok(200), 1), (Err(Down(404)), 1), (Err(Down(500)), 3)]
        {
            let calls = Calls::new();
            let _ = policy.run_blocking(|| {
                calls.count();
                outcome
            });
            assert_eq!(calls.get(), attempts, "{outcome:?}");
        }
    }
}

mod listeners {
    use super::*;

    type Heard = (u64, u32, Duration, Option<Error<Down>>);

    fn listener(log: &Log<Heard>) -> impl Fn(Retrying<'_, Down>) + use<> {
        let log = log.clone();
        move |retry: Retrying<'_, Down>| {
            log.push((retry.attempt, retry.max_attempts, retry.delay, retry.error.cloned()));
        }
    }

    /// What a listener of `policy` hears of one blocking call.
    fn heard_of<C: Classify<u32, Down>>(
        policy: RetryPolicy<C>,
        op: impl Fn() -> Outcome,
    ) -> Vec<Heard> {
        let log = Log::default();
        let _ = RetryExecutor::new(policy).on_retry(listener(&log)).run_blocking(op);
        log.all()
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_hears_of_each_retry_with_its_error_and_delay() {
        let log = Log::default();
        let retry = RetryExecutor::new(exact().build()).on_retry(listener(&log));
        let calls = Calls::new();
        assert!(retry.run(async || calls.fail()).await.is_err());
        let error = |n| Some(Error::Operation(Down(n)));
        assert_eq!(log.all(), [(1, 3, S, error(1)), (2, 3, 2 * S, error(2))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_hears_before_the_wait() {
        let log = Log::default();
        let retry = RetryExecutor::new(exact().build()).on_retry(listener(&log));
        let mut call = pin!(retry.run(async || Outcome::Err(Down(1))));
        assert!(poll_once(call.as_mut()).is_pending());
        assert_eq!(log.all().len(), 1);
    }

    #[test]
    fn a_listener_hears_nothing_of_calls_that_end() {
        let once = at_once().max_attempts(1).build();
        assert_eq!(heard_of(once, || Ok(1)), []);
        assert_eq!(heard_of(once, || Err(Down(1))), []);
        let permanent = at_once().when(|_: &Down| false).build();
        assert_eq!(heard_of(permanent, || Err(Down(1))), []);
    }

    #[test]
    fn a_listener_hears_of_a_refused_value_without_an_error() {
        let policy = at_once().when_result(|_: &u32| true).build();
        let expected = [(1, 3, Duration::ZERO, None), (2, 3, Duration::ZERO, None)];
        assert_eq!(heard_of(policy, || Ok(7)), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_hears_of_timeouts_as_what_they_are() {
        let log = Log::default();
        let policy = at_once().max_attempts(2).build();
        let retry = RetryExecutor::new(policy).on_retry(listener(&log));
        let stack = Pipeline::new((retry, Timeout::new(S)));
        assert!(stack.run(std::future::pending::<Outcome>).await.is_err());
        let timed_out = Error::Rejected(Rejection::TimedOut { limit: S });
        assert_eq!(log.all(), [(1, 2, Duration::ZERO, Some(timed_out))]);
    }

    #[test]
    fn a_listener_that_panics_harms_no_call() {
        let retry =
            RetryExecutor::new(at_once().build()).on_retry(|_: Retrying<'_, Down>| quiet_panic());
        let calls = Calls::new();
        assert_eq!(retry.run_blocking(|| calls.fail_first(2)), Ok(3));
    }

    #[test]
    fn the_listener_set_last_is_the_one_that_hears() {
        let (log, second) = (Log::default(), Log::default());
        let first = RetryExecutor::new(at_once().build()).on_retry(listener(&log));
        let retry = first.on_retry({
            let second = second.clone();
            move |retry: Retrying<'_, Down>| second.push(retry.attempt)
        });
        assert!(retry.run_blocking(|| Outcome::Err(Down(1))).is_err());
        assert_eq!((log.all().len(), second.all()), (0, vec![1, 2]));
    }

    #[test]
    fn observers_hear_events_under_the_executors_name() {
        let log = Log::default();
        let hear = |log: &Log<String>| {
            let log = log.clone();
            move |event: &Event<'_>| {
                let (Event::RetryScheduled { name, .. } | Event::RetryExhausted { name, .. }) =
                    event
                else {
                    panic!("{event:?}");
                };
                log.push(format!("{} of {}", event_name(event), name.unwrap()));
            }
        };
        let policy = at_once().name("policy").build();
        let plain =
            RetryExecutor::new(policy).observe(hear(&log)).observe(|_: &Event<'_>| quiet_panic());
        let renamed = plain.clone().name(String::from("executor"));
        assert!(plain.run_blocking(|| Outcome::Err(Down(1))).is_err());
        assert_eq!(
            log.take(),
            ["RetryScheduled of policy", "RetryScheduled of policy", "RetryExhausted of policy"]
        );
        let exhausted = exhausted(renamed.run_blocking(|| Outcome::Err(Down(1))));
        assert_eq!(log.all()[2], "RetryExhausted of executor");
        assert_eq!(exhausted.name().unwrap(), &"executor");
    }
}

mod waiting {
    use super::*;

    /// Asks for a wait of as many seconds as its number says.
    fn asks(error: &Down) -> Option<Duration> {
        (error.0 > 0).then(|| Duration::from_secs(error.0.into()))
    }

    async fn wait_for(seconds: u32, builder: RetryPolicyBuilder) -> Result<Duration, Error<Down>> {
        let policy = builder.retry_after(asks).build();
        let (calls, before) = (Calls::new(), Instant::now());
        let operation =
            async || if calls.count() == 1 { Err(Down(seconds)) } else { Ok(before.elapsed()) };
        policy.run(operation).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_an_error_asks_for_is_a_floor_under_the_backoff() {
        assert_eq!(wait_for(7, exact()).await, Ok(7 * S));
        assert_eq!(
            wait_for(1, exact().base_delay(3 * S)).await,
            Ok(3 * S),
            "the backoff is longer"
        );
        assert_eq!(wait_for(0, exact()).await, Ok(S), "without a word, the backoff alone");
    }

    #[tokio::test(start_paused = true)]
    async fn no_jitter_shortens_the_wait_that_an_error_asks_for() {
        for jitter in [Jitter::PlusMinus, Jitter::Full, Jitter::Equal] {
            for _ in 0..50 {
                let wait = wait_for(7, RetryPolicy::builder().jitter(jitter)).await.unwrap();
                assert_eq!(wait, 7 * S, "{jitter}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_limit_ends_the_call_at_once_with_the_real_error() {
        for (builder, limit) in [
            (exact(), 60),
            (exact().max_delay(5 * S), 5),
            (exact().max_retry_after(7 * S), 7),
            (exact().max_delay(5 * S).max_retry_after(100 * S), 100),
        ] {
            assert_eq!(wait_for(limit, builder).await, Ok(Duration::from_secs(limit.into())));
            let before = Instant::now();
            let exhausted = exhausted(wait_for(limit + 1, builder).await);
            assert_eq!(exhausted.reason(), ExhaustedReason::RetryAfter);
            assert_eq!(exhausted.last_operation(), Some(&Down(limit + 1)));
            assert_eq!((before.elapsed(), exhausted.attempts()), (Duration::ZERO, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_past_the_total_timeout_ends_the_call_at_once() {
        let before = Instant::now();
        let exhausted = exhausted(wait_for(20, exact().total_timeout(10 * S)).await);
        assert_eq!(exhausted.reason(), ExhaustedReason::TotalTimeout);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_delay_ends_past_the_total_timeout_and_one_may_end_at_it() {
        // Attempts of a second each: the first delay ends at 2 s, the second at 5 s.
        for (limit, attempts) in
            [(2 * S - MS, 1), (2 * S, 2), (5 * S - MS, 2), (5 * S, 3), (9 * S, 3)]
        {
            let calls = Calls::new();
            let operation = async || {
                tokio::time::sleep(S).await;
                calls.fail()
            };
            let policy = exact().max_attempts(3).total_timeout(limit).build();
            let exhausted = exhausted(policy.run(operation).await);
            assert_eq!(calls.get(), attempts, "{limit:?}");
            let whole = if attempts == 3 {
                ExhaustedReason::Attempts
            } else {
                ExhaustedReason::TotalTimeout
            };
            assert_eq!(exhausted.reason(), whole);
            assert!(exhausted.elapsed() >= S, "from the call's start: {exhausted}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_attempt_is_not_cut_short_by_the_total_timeout() {
        let policy = exact().total_timeout(S).build();
        let slow = async || {
            tokio::time::sleep(3600 * S).await;
            Outcome::Ok(7)
        };
        assert_eq!(policy.run(slow).await, Ok(7));
    }

    #[test]
    fn the_total_timeout_counts_in_blocking_code() {
        let clock = ManualClock::new();
        let _scope = Scope::new(clock.clone()).enter();
        let calls = Calls::new();
        let policy = exact().max_attempts(9).total_timeout(10 * S - MS).build();
        let exhausted = exhausted(policy.run_blocking(|| {
            clock.advance(S);
            calls.fail()
        }));
        // Attempts end at 1, 3 and 6 s; the next delay would end at 10 s.
        assert_eq!((calls.get(), exhausted.reason()), (3, ExhaustedReason::TotalTimeout));
        assert_eq!(exhausted.elapsed(), 6 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn async_and_blocking_calls_wait_alike() {
        for strategy in [BackoffStrategy::Linear, BackoffStrategy::Fibonacci] {
            let policy = exact().max_attempts(7).backoff_strategy(strategy).build();
            let expected: Vec<Duration> = policy.delays().collect();
            assert_eq!(waits_of(policy).await, expected);
            assert_eq!(blocking_waits(RetryExecutor::new(policy)), expected);
        }
    }

    #[test]
    fn blocking_code_waits_by_the_clock_of_its_scope() {
        let clock = ManualClock::new();
        let _scope = Scope::new(clock.clone()).enter();
        let before = clock.now();
        assert!(exact().build().run_blocking(|| Outcome::Err(Down(1))).is_err());
        assert_eq!(clock.now() - before, 3 * S);
    }

    #[test]
    fn async_code_waits_by_the_clock_of_its_scope() {
        let clock = ManualClock::new();
        let _scope = Scope::new(clock.clone()).enter();
        let before = clock.now();
        let policy = exact().build();
        let mut call = pin!(policy.run(async || Outcome::Err(Down(1))));
        assert!(poll_once(call.as_mut()).is_ready(), "nothing waits");
        assert_eq!(clock.now() - before, 3 * S);
    }

    #[test]
    fn a_delay_of_zero_needs_no_timer() {
        // A runtime without a timer: whoever asks for one panics.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let calls = Calls::new();
        let policy = at_once().max_attempts(1000).build();
        assert_eq!(runtime.block_on(policy.run(async || calls.fail_first(999))), Ok(1000));
    }

    #[tokio::test]
    async fn retries_without_delay_let_other_tasks_run() {
        let flag = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let flag = Arc::clone(&flag);
            async move { flag.store(true, SeqCst) }
        });
        let calls = Calls::new();
        let policy = at_once().max_attempts(100).build();
        let operation = async || {
            calls.count();
            if flag.load(SeqCst) { Ok(()) } else { Err(Down(1)) }
        };
        assert_eq!(policy.run(operation).await, Ok(()), "after {} attempts", calls.get());
    }

    #[test]
    fn a_sleeper_of_ones_own_waits_without_any_runtime() {
        let waits = Log::default();
        let retry = RetryExecutor::new(exact().build()).sleeper({
            let waits = waits.clone();
            move |delay| {
                waits.push(delay);
                pending_once()
            }
        });
        let mut call = pin!(retry.run(async || Outcome::Err(Down(1))));
        let polls = (1..).find(|_| poll_once(call.as_mut()).is_ready());
        assert_eq!(polls, Some(3), "one more for each wait");
        assert_eq!(waits.all(), [S, 2 * S]);
    }

    #[test]
    fn no_sleeper_is_called_for_a_delay_of_zero() {
        let retry = RetryExecutor::new(at_once().build())
            .sleeper(|_| async { panic!("no wait was asked for") })
            .blocking_sleeper(|_| panic!("no wait was asked for"));
        let mut call = pin!(retry.run(async || Outcome::Err(Down(1))));
        assert!(matches!(poll_once(call.as_mut()), Poll::Ready(Err(_))));
        assert!(retry.run_blocking(|| Outcome::Err(Down(1))).is_err());
    }
}

mod seeds {
    use super::*;

    fn jittered() -> RetryPolicy {
        RetryPolicy::builder().jitter(Jitter::Full).max_attempts(9).build()
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| blocking_waits(RetryExecutor::new(jittered()).seed(seed));
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_seed_gives_async_calls_the_waits_of_blocking_ones() {
        let executor = || RetryExecutor::new(jittered()).seed(7);
        let log = Log::default();
        let retry = executor().sleeper({
            let log = log.clone();
            move |delay| {
                log.push(delay);
                std::future::ready(())
            }
        });
        assert!(retry.run(async || Outcome::Err(Down(1))).await.is_err());
        assert_eq!(log.all(), blocking_waits(executor()));
    }

    #[test]
    fn each_call_draws_anew_and_clones_share_the_stream() {
        let one = RetryExecutor::new(jittered()).seed(7);
        let other = one.clone();
        let (first, second) = (blocking_waits(one), blocking_waits(other));
        assert_ne!(first, second, "the clone's call is the second of the stream");
        let again = RetryExecutor::new(jittered()).seed(7);
        assert_eq!(blocking_waits(again.clone()), first);
        assert_eq!(blocking_waits(again), second);
    }

    #[test]
    fn calls_without_a_seed_differ() {
        let waits = || blocking_waits(RetryExecutor::new(jittered()));
        assert_ne!(waits(), waits());
    }

    #[test]
    fn a_scope_seeds_policies_that_can_be_handed_nothing() {
        let waits = || {
            let clock = ManualClock::new();
            let _scopes = (Scope::new(Seed::new(3)).enter(), Scope::new(clock.clone()).enter());
            let before = clock.now();
            assert!(jittered().run_blocking(|| Outcome::Err(Down(1))).is_err());
            (clock.now() - before, jittered().delays().collect::<Vec<_>>())
        };
        assert_eq!(waits(), waits());
    }

    #[test]
    fn delays_and_attempts_of_one_seed_agree() {
        let policy = jittered();
        let mut attempts = policy.attempts().seeded(7);
        for delay in policy.delays().seeded(7) {
            assert_eq!(attempts.next(Verdict::TRANSIENT), Next::RetryAfter(delay));
        }
    }
}

mod budgets {
    use super::*;

    #[test]
    fn a_retry_that_cannot_be_paid_ends_the_call_and_says_so() {
        let retry =
            RetryExecutor::new(at_once().max_attempts(9).build()).budget(RetryBudget::new(0.5, 2));
        let calls = Calls::new();
        let first = exhausted(retry.run_blocking(|| calls.fail()));
        assert_eq!((first.reason(), first.attempts()), (ExhaustedReason::Budget, 3));
        assert!(first.to_string().ends_with("the retry budget is used up"), "{first}");
        let second = exhausted(retry.run_blocking(|| calls.fail()));
        assert_eq!((second.reason(), second.attempts()), (ExhaustedReason::Budget, 1));
    }

    #[test]
    fn the_last_attempt_is_not_blamed_on_the_budget() {
        let budget = Arc::new(RetryBudget::new(0.5, 2));
        let retry = RetryExecutor::new(at_once().build()).budget(Arc::clone(&budget));
        let ended = exhausted(retry.run_blocking(|| Outcome::Err(Down(1))));
        assert_eq!((ended.reason(), budget.available()), (ExhaustedReason::Attempts, 0));
    }

    #[test]
    fn a_success_after_a_retry_earns_what_the_preset_says() {
        let budget = Arc::new(RetryBudget::aws());
        let retry = RetryExecutor::new(at_once().build()).budget(Arc::clone(&budget));
        while budget.try_retry() {}
        budget.record_success(true);
        assert_eq!(budget.available(), 1);
        let calls = Calls::new();
        assert_eq!(retry.run_blocking(|| calls.fail_first(1)), Ok(2));
        assert_eq!(budget.available(), 1, "paid by the retry, and earned back by its success");
    }

    #[tokio::test(start_paused = true)]
    async fn clones_of_an_executor_share_its_budget() {
        let retry = RetryExecutor::new(at_once().build()).budget(RetryBudget::new(0.5, 3));
        let (calls, clone) = (Calls::new(), retry.clone());
        assert!(retry.run(async || calls.fail()).await.is_err());
        assert!(clone.run(async || calls.fail()).await.is_err());
        assert_eq!(calls.get(), 2 + 3);
    }
}

mod loops {
    use super::*;

    const RETRY_ONCE: RetryPolicy = RetryPolicy::builder().max_attempts(1).build();

    /// An operation that borrows mutably.
    struct Client {
        busy: u32,
        calls: u32,
    }

    impl Client {
        fn fetch(&mut self) -> Outcome {
            self.calls += 1;
            if self.calls > self.busy { Ok(self.calls) } else { Err(Down(self.calls)) }
        }
    }

    async fn by_backoff(client: &mut Client, policy: &RetryPolicy) -> Result<u32, Error<Down>> {
        let mut attempts = policy.attempts();
        loop {
            match client.fetch() {
                Ok(value) => return Ok(value),
                Err(error) => attempts.backoff(error).await?,
            }
        }
    }

    fn by_settle(client: &mut Client, policy: &RetryPolicy) -> Result<u32, Error<Down>> {
        let mut attempts = policy.attempts();
        loop {
            if let ControlFlow::Break(outcome) = attempts.settle(client.fetch()) {
                return outcome;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_of_ones_own_may_borrow_mutably() {
        let before = Instant::now();
        let mut client = Client { busy: 2, calls: 0 };
        assert_eq!(by_backoff(&mut client, &exact().build()).await, Ok(3));
        assert_eq!(before.elapsed(), 3 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_ends_like_a_call_that_is_run() {
        let policy = exact().name("loop").build();
        let mut client = Client { busy: 9, calls: 0 };
        let by_loop = exhausted(by_backoff(&mut client, &policy).await);
        let calls = Calls::new();
        let by_run = exhausted(policy.run(async || calls.fail()).await);
        assert_eq!(by_loop, by_run);
    }

    #[test]
    fn settle_says_wait_or_gives_the_calls_outcome() {
        let mut client = Client { busy: 2, calls: 0 };
        assert_eq!(by_settle(&mut client, &exact().build()), Ok(3));
        let mut client = Client { busy: 9, calls: 0 };
        assert_eq!(exhausted(by_settle(&mut client, &exact().build())).attempts(), 3);
        let policy = exact().build();
        let mut attempts = policy.attempts();
        assert_eq!(attempts.settle(Outcome::Err(Down(1))), ControlFlow::Continue(S));
        assert_eq!(attempts.made(), 1);
    }

    #[test]
    fn backoff_in_blocking_code_sleeps_as_the_executor_says() {
        let waits = Log::default();
        let retry = RetryExecutor::new(exact().build()).blocking_sleeper({
            let waits = waits.clone();
            move |delay| waits.push(delay)
        });
        let mut attempts = retry.attempts();
        assert!(attempts.backoff_blocking(Down(1)).is_ok());
        assert!(attempts.backoff_blocking(Down(2)).is_ok());
        let ended = exhausted(attempts.backoff_blocking(Down(3)));
        assert_eq!((ended.last_operation(), waits.all()), (Some(&Down(3)), vec![S, 2 * S]));
    }

    #[test]
    fn a_loop_pays_from_the_executors_budget_and_tells_its_observers() {
        let log = Log::default();
        let budget = Arc::new(RetryBudget::new(1.0, 2));
        let retry = RetryExecutor::new(at_once().max_attempts(9).build())
            .budget(Arc::clone(&budget))
            .observe({
                let log = log.clone();
                move |event: &Event<'_>| log.push(event_name(event))
            });
        let mut attempts = retry.attempts();
        assert!(attempts.settle(Outcome::Err(Down(1))).is_continue());
        assert_eq!(attempts.settle(Outcome::Ok(7)), ControlFlow::Break(Ok(7)));
        assert_eq!(budget.available(), 2, "paid, and earned again");
        let mut attempts = retry.attempts();
        while attempts.settle(Outcome::Err(Down(1))).is_continue() {}
        assert_eq!(
            log.all(),
            ["RetryScheduled"; 3].iter().chain(&["RetryExhausted"]).copied().collect::<Vec<_>>()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_around_what_is_protected_already_sees_rejections_as_what_they_are() {
        let exhausted_inside = RETRY_ONCE.run(async || Outcome::Err(Down(7))).await;
        let open = CircuitBreaker::new();
        open.isolate();
        let rejected = open.run(async || Outcome::Ok(1)).await;
        for ended in [exhausted_inside, rejected] {
            let policy = exact().build();
            let settled = policy.attempts().settle_call(ended.clone());
            assert_eq!(settled, ControlFlow::Break(ended.clone()), "as it is");
            let waited = policy.attempts().backoff_call(ended.clone().unwrap_err()).await;
            assert_eq!(waited, Err(ended.unwrap_err()));
        }
        let timed_out = Timeout::new(S).run(std::future::pending::<Outcome>).await;
        let (policy, before) = (exact().build(), Instant::now());
        let mut attempts = policy.attempts();
        assert_eq!(attempts.backoff_call(timed_out.clone().unwrap_err()).await, Ok(()));
        assert_eq!(before.elapsed(), S);
        assert_eq!(attempts.settle_call(timed_out), ControlFlow::Continue(2 * S));
    }

    #[test]
    fn the_bare_decision_takes_a_verdict_and_nothing_else() {
        let policy = exact().max_attempts(3).build();
        let mut attempts = policy.attempts();
        let asked = Verdict::Transient { retry_after: Some(9 * S) };
        assert_eq!(attempts.next(asked), Next::RetryAfter(9 * S));
        assert_eq!(attempts.next(Verdict::TRANSIENT), Next::RetryAfter(2 * S));
        assert_eq!(attempts.next(Verdict::TRANSIENT), Next::GiveUp(ExhaustedReason::Attempts));
        for verdict in [Verdict::Success, Verdict::Permanent, Verdict::Ignored] {
            assert_eq!(policy.attempts().next(verdict), Next::Done, "{verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_whose_error_is_permanent_gets_it_back_at_once() {
        let policy = exact().when(|_: &Down| false).build();
        let before = Instant::now();
        let ended = policy.attempts().backoff(Down(7)).await;
        assert_eq!(ended, Err(Error::Operation(Down(7))));
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}

mod others {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_retry_outside_a_breaker_ends_when_it_opens_with_what_it_says() {
        let breaker = CircuitBreaker::builder().failure_threshold(2).build();
        let (calls, policy) = (Calls::new(), exact().max_attempts(9).build());
        let outcome = Pipeline::new((policy, &breaker)).run(async || calls.fail()).await;
        assert!(matches!(outcome, Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))));
        assert_eq!(calls.get(), 2);
    }

    #[test]
    fn a_retry_that_repeats_rejections_ends_with_its_attempts() {
        let breaker = CircuitBreaker::new();
        breaker.isolate();
        let policy = at_once().retry_on_open().build();
        let ended = exhausted(Pipeline::new((policy, &breaker)).run_blocking(|| Outcome::Ok(1)));
        assert_eq!(breaker.counters().rejected, 3);
        assert!(matches!(ended.last().rejection(), Some(Rejection::CircuitBreakerOpen(_))));
    }

    #[test]
    fn policies_are_plain_data_that_compare() {
        let one = || RetryPolicy::builder().max_attempts(5).name("one");
        assert_eq!(one().build(), one().build());
        assert_ne!(one().build(), one().keep_errors(1).build());
        assert_ne!(one().build(), one().retry_on_open().build());
        assert_ne!(one().build(), one().name("other").build());
        assert_eq!(one().build().name(), Some("one"));
        let by_hand = one().classify_with(AnyError).build();
        assert_eq!(by_hand, one().build());
        let executor = RetryExecutor::new(one().build());
        assert_eq!(executor.policy(), &one().build());
    }

    #[test]
    fn custom_strategies_are_equal_if_they_are_the_same_function() {
        fn squares(n: u64) -> Duration {
            Duration::from_secs(n * n)
        }
        let custom = BackoffStrategy::Custom(squares);
        assert_eq!(custom, BackoffStrategy::Custom(squares));
        assert_ne!(custom, BackoffStrategy::Fixed);
        let delays: Vec<_> = exact().backoff_strategy(custom).build().delays().collect();
        assert_eq!(delays, [S, 4 * S]);
    }

    #[test]
    fn an_executor_prints_as_its_policy_under_its_own_name() {
        let retry = RetryExecutor::new(RetryPolicy::builder().name("policy").build());
        assert_eq!(Pipeline::new(retry.clone()).to_string(), "retry \"policy\"(3)");
        assert_eq!(Pipeline::new(retry.name("executor")).to_string(), "retry \"executor\"(3)");
    }

    #[tokio::test(start_paused = true)]
    async fn the_operation_is_called_only_when_the_future_is_polled() {
        let calls = Calls::new();
        let policy = RetryPolicy::new();
        let call = policy.run(async || Outcome::Ok(calls.count()));
        assert_eq!(calls.get(), 0);
        fn is_send<F: Future + Send>(future: F) -> F {
            future
        }
        assert_eq!(is_send(call).await, Ok(1));
    }
}
