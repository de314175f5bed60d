//! Law 6: over any interval, retries <= ratio x successes + floor, under contention.

use crate::common::{Calls, Down, Outcome, S, poll_once, spend, together};
use seawall::{
    Error, ExhaustedReason, RetryBudget, RetryExecutor, RetryPolicy, retry::SharedBudget,
};
use std::{future::ready, pin::pin, sync::Arc, time::Duration};

const AT_ONCE: RetryPolicy =
    RetryPolicy::builder().max_attempts(5).base_delay(Duration::ZERO).build();

fn shared(ratio: f64, floor: u32) -> (Arc<RetryBudget>, RetryExecutor) {
    let budget = Arc::new(RetryBudget::new(ratio, floor));
    (Arc::clone(&budget), RetryExecutor::new(AT_ONCE).budget(budget))
}

/// Law 6: in an outage nothing is earned, so the floor is all there is.
#[test]
fn in_an_outage_eight_threads_make_as_many_retries_as_the_floor_holds() {
    for floor in [1, 7, 100] {
        let (budget, retry) = shared(0.5, floor);
        let (calls, attempts) = (Calls::new(), Calls::new());
        together(8, |_| {
            for _ in 0..500 {
                calls.count();
                assert!(retry.run_blocking(|| attempts.fail()).is_err());
            }
        });
        assert_eq!(attempts.get() - calls.get(), floor);
        assert_eq!(budget.available(), 0);
    }
}

/// Law 6: with successes and failures by turns, on threads.
#[test]
fn eight_threads_never_retry_more_than_their_successes_have_earned() {
    const RATIO: f64 = 0.1;
    const FLOOR: u32 = 20;
    let (_, retry) = shared(RATIO, FLOOR);
    let (calls, attempts, successes) = (Calls::new(), Calls::new(), Calls::new());
    together(8, |thread| {
        for n in 0..2000 {
            calls.count();
            let outcome = retry.run_blocking(|| {
                attempts.count();
                if (n + thread) % 3 == 0 { Outcome::Err(Down(1)) } else { Ok(1) }
            });
            if outcome.is_ok() {
                successes.count();
            }
        }
    });
    let (retries, successes) = (attempts.get() - calls.get(), successes.get());
    let allowed = RATIO * f64::from(successes) + f64::from(FLOOR);
    assert!(f64::from(retries) <= allowed, "{retries} retries for {successes} successes");
    assert!(f64::from(retries) >= 0.5 * allowed, "and what was earned is spent: {retries}");
}

/// Law 6: the same for tasks on many workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_tasks_never_retry_more_than_their_successes_have_earned() {
    const RATIO: f64 = 0.2;
    const FLOOR: u32 = 10;
    let (_, retry) = shared(RATIO, FLOOR);
    let (calls, attempts, successes) =
        (Arc::new(Calls::new()), Arc::new(Calls::new()), Arc::new(Calls::new()));
    let tasks: Vec<_> = (0..100)
        .map(|task| {
            let (retry, calls, attempts, successes) =
                (retry.clone(), calls.clone(), attempts.clone(), successes.clone());
            tokio::spawn(async move {
                for n in 0..50 {
                    calls.count();
                    let operation = async || {
                        attempts.count();
                        tokio::task::yield_now().await;
                        if (n + task) % 4 == 0 { Outcome::Err(Down(1)) } else { Ok(1) }
                    };
                    if retry.run(operation).await.is_ok() {
                        successes.count();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let retries = attempts.get() - calls.get();
    let allowed = RATIO * f64::from(successes.get()) + f64::from(FLOOR);
    assert!(f64::from(retries) <= allowed, "{retries} retries, {allowed} allowed");
}

/// Law 6: what successes earn is there after the outage.
#[test]
fn successes_refill_a_spent_budget_at_the_ratio() {
    let (budget, retry) = shared(0.1, 5);
    let attempts = Calls::new();
    assert!(retry.run_blocking(|| attempts.fail()).is_err());
    assert!(retry.run_blocking(|| attempts.fail()).is_err());
    assert_eq!(budget.available(), 0);
    for _ in 0..20 {
        assert!(retry.run_blocking(|| Outcome::Ok(1)).is_ok());
    }
    assert_eq!(budget.available(), 2);
}

/// Law 6: any ratio that is allowed earns something, however small.
#[test]
fn the_ratio_holds_to_a_thousandth() {
    for (ratio, successes) in [(0.001, 1000), (0.29, 100), (0.57, 100), (1.0, 1)] {
        let (budget, retry) = shared(ratio, 1000);
        spend(&budget);
        for _ in 0..successes {
            assert!(retry.run_blocking(|| Outcome::Ok(1)).is_ok());
        }
        let earned = (ratio * f64::from(successes)).round();
        assert_eq!(budget.available() as f64, earned, "ratio {ratio}");
    }
}

/// Law 6: who was cancelled while waiting does not get it back.
#[tokio::test(start_paused = true)]
async fn a_retry_that_was_paid_and_then_cancelled_is_not_paid_back() {
    let budget = Arc::new(RetryBudget::new(0.0, 10));
    let policy = RetryPolicy::builder().base_delay(S).build();
    let retry = RetryExecutor::new(policy).budget(Arc::clone(&budget));
    {
        let mut call = pin!(retry.run(|| ready(Outcome::Err(Down(1)))));
        assert!(poll_once(call.as_mut()).is_pending());
        assert_eq!(budget.available(), 9);
    }
    assert_eq!(budget.available(), 9);
}

/// Law 6: only retries cost.
#[test]
fn calls_that_are_not_retried_cost_nothing() {
    let budget = Arc::new(RetryBudget::new(0.0, 10));
    let never = RetryPolicy::builder().when(|_: &Down| false).base_delay(Duration::ZERO).build();
    let once = RetryPolicy::builder().max_attempts(1).base_delay(Duration::ZERO).build();
    let permanent = RetryExecutor::new(never).budget(Arc::clone(&budget));
    let alone = RetryExecutor::new(once).budget(Arc::clone(&budget));
    for _ in 0..20 {
        assert_eq!(
            permanent.run_blocking(|| Outcome::Err(Down(1))),
            Err(Error::Operation(Down(1)))
        );
        assert!(alone.run_blocking(|| Outcome::Err(Down(1))).is_err());
    }
    assert_eq!(budget.available(), 10);
}

/// Law 6: a static budget is one budget for all who name it.
#[test]
fn one_static_budget_bounds_executors_of_different_error_types() {
    static BUDGET: RetryBudget = RetryBudget::new(0.0, 3);
    let attempts = Calls::new();
    let one = RetryExecutor::new(AT_ONCE).budget(&BUDGET);
    let other = RetryExecutor::new(AT_ONCE).budget(SharedBudget::Static(&BUDGET));
    assert!(one.run_blocking(|| attempts.fail()).is_err());
    let fails = || {
        attempts.count();
        Err::<(), _>("another error")
    };
    let Err(Error::RetryExhausted(exhausted)) = other.run_blocking(fails) else {
        panic!("it never succeeds");
    };
    assert_eq!(exhausted.reason(), ExhaustedReason::Budget);
    assert_eq!(attempts.get(), 2 + 3);
}
