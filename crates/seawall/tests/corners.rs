//! Corners that were once wrong, each with the promise that it broke.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Calls, Down, Outcome, S, fail, pending_once, poll_once};
use seawall::{
    CircuitBreaker, Error, Event, Jitter, Pipeline, RetryBudget, RetryExecutor, RetryPolicy,
    Timeout,
    testing::{ManualClock, Scope},
};
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

/// DESIGN.md, section 6: "retry with zero delay: no timer at all (yield after a few)". `run` does.
#[tokio::test]
async fn a_loop_of_ones_own_without_delay_lets_other_tasks_run() {
    let flag = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let flag = Arc::clone(&flag);
        async move { flag.store(true, SeqCst) }
    });
    let policy = RetryPolicy::builder().max_attempts(1000).base_delay(Duration::ZERO).build();
    let mut attempts = policy.attempts();
    while !flag.load(SeqCst) {
        assert!(attempts.backoff(Down(1)).await.is_ok(), "a thousand attempts, and no turn");
    }
}

/// `RetryPolicyBuilder::retry_on_open`: "Retries when a circuit breaker further in rejects the call,
/// not before its `retry_after`." By the defaults of both, a breaker that has just opened asks for
/// 60.001 s, and the limit on `retry_after` is 60 s.
#[tokio::test(start_paused = true)]
async fn a_retry_that_repeats_rejections_waits_for_a_breaker_with_the_default_settings() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).build();
    fail(&breaker);
    let retry = RetryPolicy::builder().retry_on_open().build();
    assert_eq!(Pipeline::new((retry, &breaker)).run(async || Outcome::Ok(1)).await, Ok(1));
}

/// `timeout`: "`Duration::MAX` never ends". By a clock that is moved on by whoever sleeps, it ends at
/// the first poll; by tokio's paused clock after 30 years.
#[test]
fn a_timeout_of_duration_max_never_ends() {
    let _scope = Scope::new(ManualClock::new()).enter();
    let timeout = Timeout::new(Duration::MAX);
    let mut call = pin!(timeout.run(async || {
        pending_once().await;
        Outcome::Ok(1)
    }));
    assert!(poll_once(call.as_mut()).is_pending());
    assert_eq!(poll_once(call.as_mut()), Poll::Ready(Ok(1)));
}

/// `RetryExhaustedError::attempts`: "those that a policy further in rejected included."
#[test]
fn attempts_that_were_rejected_count_though_the_operation_was_not_started() {
    let breaker = CircuitBreaker::new();
    breaker.isolate();
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO).retry_on_open().build();
    let calls = Calls::new();
    let outcome = Pipeline::new((retry, &breaker)).run_blocking(|| calls.fail());
    let Err(Error::RetryExhausted(exhausted)) = outcome else { panic!("it never succeeds") };
    assert_eq!((exhausted.attempts(), calls.get()), (3, 0));
}

/// `attempts()`: a loop of one's own earns, waits and judges as `run` does.
#[tokio::test(start_paused = true)]
async fn a_loop_of_ones_own_tells_the_budget_and_waits_with_the_sleeper() {
    let slept = Arc::new(AtomicBool::new(false));
    let budget = Arc::new(RetryBudget::new(1.0, 1));
    let retry = RetryExecutor::new(RetryPolicy::new()).budget(Arc::clone(&budget)).sleeper({
        let slept = Arc::clone(&slept);
        move |_| {
            slept.store(true, SeqCst);
            std::future::ready(())
        }
    });
    for _ in 0..20 {
        let mut attempts = retry.attempts();
        assert!(attempts.backoff(Down(1)).await.is_ok(), "the budget pays");
        attempts.succeeded();
    }
    assert!(slept.load(SeqCst));
    assert_eq!(budget.available(), 1);
}

/// Law 14, in a loop of one's own: an open breaker ends the call.
#[test]
fn a_loop_of_ones_own_around_a_breaker_does_not_retry_its_rejection() {
    let breaker = CircuitBreaker::new();
    breaker.isolate();
    let policy = RetryPolicy::new();
    let mut attempts = policy.attempts();
    let rejected = breaker.run_blocking(|| Outcome::Ok(1)).unwrap_err();
    let ended = attempts.backoff_call_blocking(rejected);
    assert!(matches!(ended, Err(Error::Rejected(_))), "{ended:?}");
}

/// Law 4: nothing that an observer leaves behind stops the events after it.
#[test]
fn a_panic_that_panics_again_when_it_is_dropped_stops_no_later_event() {
    struct Twice;
    impl Drop for Twice {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let breaker = CircuitBreaker::new();
    let told = Arc::new(AtomicBool::new(false));
    breaker.observe(|_: &Event<'_>| std::panic::resume_unwind(Box::new(Twice)));
    breaker.observe({
        let told = Arc::clone(&told);
        move |_: &Event<'_>| told.store(true, SeqCst)
    });
    breaker.isolate();
    assert!(told.swap(false, SeqCst));
    breaker.close();
    assert!(told.load(SeqCst));
}

/// `RetryExecutor::error_text`: the user's code, like an observer.
#[test]
fn an_error_text_that_panics_costs_the_event_its_text_only() {
    let retry = RetryExecutor::new(RetryPolicy::builder().base_delay(Duration::ZERO).build())
        .error_text(|_: &Down| std::panic::resume_unwind(Box::new("no text")));
    let calls = Calls::new();
    assert!(retry.run_blocking(|| calls.fail()).is_err());
    assert_eq!(calls.get(), 3);
}

/// `recovery_multiplier`: "By what each failed probe multiplies the recovery timeout". Nothing times
/// anything is nothing, also where the power overflows.
#[test]
fn a_recovery_timeout_of_zero_does_not_grow() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(Duration::ZERO)
        .recovery_multiplier(1e300)
        .max_recovery_timeout(3600 * S)
        .build();
    for opening in 1..=4 {
        fail(&breaker);
        assert_eq!(breaker.time_until_probe(), Some(Duration::ZERO), "opening {opening}");
    }
}

/// `RetryBudget::new`: "A bucket that earns `ratio` retries a success", for any ratio that is not
/// refused (fault class 25).
#[test]
fn a_ratio_below_a_thousandth_earns() {
    let budget = RetryBudget::new(0.0005, 10);
    common::spend(&budget);
    (0..10_000).for_each(|_| budget.record_success(false));
    assert_eq!(budget.available(), 5);
}

/// `lint`: "attempts are spent on rejections", since "the retry waits 1s at first". It waits as long
/// as the breaker says, and succeeds with its second attempt.
#[tokio::test(start_paused = true)]
async fn lint_finds_no_hurry_in_a_retry_that_waits_as_long_as_the_breaker_says() {
    let breaker = CircuitBreaker::builder().failure_threshold(9).recovery_timeout(30 * S).build();
    (0..9).for_each(|_| fail(&breaker));
    let retry = RetryPolicy::builder().max_attempts(2).jitter(Jitter::None).retry_on_open().build();
    let stack = Pipeline::new((retry, &breaker));
    assert_eq!(stack.run(async || Outcome::Ok(1)).await, Ok(1));
    let hurry = stack.lint().into_iter().find(|f| f.rule() == "retry-outside-open-breaker");
    assert_eq!(hurry, None);
}

/// Law 2: a cancelled probe's slot is free again only when nothing of its operation lives on.
#[test]
fn a_cancelled_probe_is_gone_before_its_slot_is_free() {
    struct OnDrop<'a>(&'a CircuitBreaker, &'a AtomicBool);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.1.store(self.0.try_acquire().is_err(), SeqCst);
        }
    }
    let breaker =
        CircuitBreaker::builder().failure_threshold(1).recovery_timeout(Duration::ZERO).build();
    fail(&breaker);
    let held = AtomicBool::new(false);
    {
        let mut probe = pin!(breaker.run(async || {
            let _on_drop = OnDrop(&breaker, &held);
            std::future::pending::<Outcome>().await
        }));
        assert!(poll_once(probe.as_mut()).is_pending());
    }
    assert!(held.load(SeqCst), "the slot was taken while the operation was dropped");
    assert!(breaker.try_acquire().is_ok());
}
