//! Timeouts as their callers see them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Calls, Down, MS, Outcome, S, heard, pending_once, poll_once};
use seawall::{
    Error, Event, Pipeline, Rejection, RetryPolicy, Timeout,
    testing::{ManualClock, Scope},
};
use std::{future::pending, pin::pin, task::Poll, time::Duration};
use tokio::time::{Instant, sleep};

fn timed_out<T>(limit: Duration) -> Result<T, Error<Down>> {
    Err(Error::Rejected(Rejection::TimedOut { limit }))
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_takes_too_long_ends_at_exactly_the_limit() {
    for limit in [MS, S, 3600 * S] {
        let before = Instant::now();
        assert_eq!(Timeout::new(limit).run(pending::<Outcome>).await, timed_out(limit));
        assert_eq!(before.elapsed(), limit);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_in_time_passes_through_when_it_comes() {
    let timeout = Timeout::new(10 * S);
    for outcome in [Ok(7), Err(Down(7))] {
        let before = Instant::now();
        let operation = async || {
            sleep(3 * S).await;
            outcome
        };
        assert_eq!(timeout.run(operation).await, outcome.map_err(Error::Operation));
        assert_eq!(before.elapsed(), 3 * S);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_ready_at_the_limit_itself_wins() {
    let operation = async || {
        sleep(S).await;
        Outcome::Ok(7)
    };
    assert_eq!(Timeout::new(S).run(operation).await, Ok(7));
}

#[test]
fn what_is_ready_at_once_needs_no_timer_and_no_runtime() {
    let timeout = Timeout::new(S);
    let mut call = pin!(timeout.run(async || Outcome::Ok(7)));
    assert_eq!(poll_once(call.as_mut()), Poll::Ready(Ok(7)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_allows_one_poll() {
    let timeout = Timeout::new(Duration::ZERO);
    assert_eq!(timeout.run(async || Outcome::Ok(7)).await, Ok(7));
    let polls = Calls::new();
    let operation = || {
        std::future::poll_fn(|_| {
            polls.count();
            Poll::<Outcome>::Pending
        })
    };
    assert_eq!(timeout.run(operation).await, timed_out(Duration::ZERO));
    assert_eq!(polls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_limit_runs_from_the_first_poll_of_the_call() {
    let timeout = Timeout::new(S);
    let call = timeout.run(pending::<Outcome>);
    sleep(100 * S).await;
    let before = Instant::now();
    assert_eq!(call.await, timed_out(S));
    assert_eq!(before.elapsed(), S);
}

#[tokio::test(start_paused = true)]
async fn wakes_in_between_do_not_prolong_the_limit() {
    let before = Instant::now();
    let operation = async || {
        for _ in 0..100 {
            sleep(100 * MS).await;
        }
        Outcome::Ok(7)
    };
    assert_eq!(Timeout::new(S).run(operation).await, timed_out(S));
    assert_eq!(before.elapsed(), S);
}

#[tokio::test(start_paused = true)]
async fn its_place_in_the_stack_says_what_it_limits() {
    let slow = async || {
        sleep(10 * S).await;
        Outcome::Ok(7)
    };
    let retry = RetryPolicy::builder().base_delay(Duration::ZERO).build();
    let before = Instant::now();
    assert_eq!(Pipeline::new((Timeout::new(5 * S), retry)).run(slow).await, timed_out(5 * S));
    assert_eq!(before.elapsed(), 5 * S, "outside a retry the call in total");
    let before = Instant::now();
    let each = Pipeline::new((retry, Timeout::new(5 * S))).run(slow).await;
    assert_eq!(each.unwrap_err().rejection(), Some(&Rejection::TimedOut { limit: 5 * S }));
    assert_eq!(before.elapsed(), 15 * S, "inside it each attempt");
}

#[tokio::test(start_paused = true)]
async fn of_two_timeouts_the_shorter_one_ends_the_call_and_says_so() {
    for stack in [(Timeout::new(S), Timeout::new(2 * S)), (Timeout::new(2 * S), Timeout::new(S))] {
        let before = Instant::now();
        assert_eq!(Pipeline::new(stack).run(pending::<Outcome>).await, timed_out(S));
        assert_eq!(before.elapsed(), S);
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_has_a_limit_of_its_own() {
    let timeout = Timeout::new(S);
    let (one, other) = (timeout.run(pending::<Outcome>), timeout.run(pending::<Outcome>));
    let before = Instant::now();
    assert_eq!(tokio::join!(one, other), (timed_out(S), timed_out(S)));
    assert_eq!(before.elapsed(), S);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_told_with_its_limit() {
    let (log, _scope) = heard(|event| match event {
        Event::TimedOut { limit, .. } => Some(*limit),
        _ => panic!("{event:?}"),
    });
    assert!(Timeout::new(S).run(pending::<Outcome>).await.is_err());
    assert!(Timeout::new(S).run(async || Outcome::Err(Down(1))).await.is_err());
    assert_eq!(log.all(), [S]);
}

#[test]
fn a_timeout_waits_by_the_clock_of_its_scope() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let timeout = Timeout::new(5 * S);
    let mut call = pin!(timeout.run(pending::<Outcome>));
    assert!(poll_once(call.as_mut()).is_pending());
    clock.advance(5 * S - MS);
    assert!(poll_once(call.as_mut()).is_pending(), "a ms is left");
    clock.advance(MS);
    assert_eq!(poll_once(call.as_mut()), Poll::Ready(timed_out(5 * S)));
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_already_is_not_wrapped_twice() {
    let inner = Timeout::new(S);
    let outcome = Timeout::new(9 * S).call(|| inner.run(pending::<Outcome>)).await;
    assert_eq!(outcome, timed_out(S));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_no_clock_holds_waits_as_long_as_it_takes() {
    let operation = async || {
        pending_once().await;
        sleep(24 * 3600 * S).await;
        Outcome::Ok(7)
    };
    assert_eq!(Timeout::new(Duration::MAX).run(operation).await, Ok(7));
    assert_eq!(Timeout::new(Duration::from_secs(u64::MAX)).run(operation).await, Ok(7));
}

#[test]
fn a_timeout_is_plain_data_that_prints_its_limit() {
    const LIMIT: Timeout = Timeout::new(Duration::from_millis(1500));
    assert_eq!(LIMIT.limit(), Duration::from_millis(1500));
    assert_eq!(LIMIT, Timeout::new(Duration::from_millis(1500)));
    assert_eq!(Pipeline::new(LIMIT).to_string(), "timeout(1.5s)");
    let outcome: Result<(), Error<Down>> = timed_out(LIMIT.limit());
    assert_eq!(outcome.unwrap_err().to_string(), "no answer within 1.5s");
}
