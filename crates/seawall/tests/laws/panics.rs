//! Law 16: panics of the operation count as failures of the breaker, are not retried, and pass on.

use crate::common::{Calls, Down, MS, Outcome, S, fail, pending_once, poll_once, quiet_panic};
use seawall::{
    CircuitBreaker, CircuitState, FallbackChain, Pipeline, RetryPolicy, Timeout, Verdict,
    testing::{ManualClock, Scope},
};
use std::{
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

/// Polls `future` to its end or its panic: true if it panicked.
async fn panics<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx).is_ready())) {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(false),
            Err(_) => Poll::Ready(true),
        }
    })
    .await
}

fn panics_blocking(op: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(op)).is_err()
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(3).build()
}

/// Law 16: in the first poll, or in a later one.
#[tokio::test(start_paused = true)]
async fn a_panic_counts_as_a_failure_and_passes_on() {
    for pending in [false, true] {
        let breaker = breaker();
        let operation = async || -> Outcome {
            if pending {
                tokio::time::sleep(MS).await;
            }
            quiet_panic()
        };
        for failures in 1..=2 {
            assert!(panics(breaker.run(operation)).await);
            assert_eq!(breaker.counters().consecutive_failures, failures);
        }
        assert!(panics(breaker.run(operation)).await);
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

/// Law 16: in blocking code.
#[test]
fn a_panic_in_blocking_code_counts_as_a_failure_and_passes_on() {
    let breaker = breaker();
    for _ in 0..3 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert!(panics_blocking(|| drop(breaker.run_blocking(|| -> Outcome { quiet_panic() }))));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Law 16: for windows as well.
#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_call_in_the_window() {
    for builder in [
        CircuitBreaker::builder().failure_rate(1.0).over_calls(2),
        CircuitBreaker::builder().failure_rate(1.0).over_time(60 * S).minimum_calls(2),
    ] {
        let breaker = builder.build();
        assert!(panics(breaker.run(async || -> Outcome { quiet_panic() })).await);
        assert_eq!((breaker.counters().calls, breaker.counters().failures), (1, 1));
        assert!(panics_blocking(|| drop(breaker.run_blocking(|| -> Outcome { quiet_panic() }))));
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

/// Law 16: a panic is a defect, and defects do not go away by trying again.
#[tokio::test(start_paused = true)]
async fn a_panic_is_not_retried() {
    let calls = Calls::new();
    let retry = RetryPolicy::builder().base_delay(MS).build();
    let operation = async || -> Outcome {
        calls.count();
        quiet_panic()
    };
    assert!(panics(retry.run(operation)).await);
    assert_eq!(calls.get(), 1);
    assert!(panics_blocking(|| {
        let _ = retry.run_blocking(|| -> Outcome {
            calls.count();
            quiet_panic()
        });
    }));
    assert_eq!(calls.get(), 2);
}

/// Law 16: nobody on the way answers for it.
#[tokio::test(start_paused = true)]
async fn a_panic_passes_through_a_whole_stack_and_counts_once() {
    let (breaker, calls) = (breaker(), Calls::new());
    let retry = RetryPolicy::builder().base_delay(MS).build();
    let stack = (FallbackChain::new().value(1), Timeout::new(S), &breaker, retry);
    let operation = async || -> Outcome {
        calls.count();
        quiet_panic()
    };
    assert!(panics(Pipeline::new(stack).run(operation)).await);
    assert_eq!((calls.get(), breaker.counters().consecutive_failures), (1, 1));
    let blocking = Pipeline::new((FallbackChain::new().value(1), &breaker, retry));
    assert!(panics_blocking(|| {
        let _ = blocking.run_blocking(|| -> Outcome { quiet_panic() });
    }));
    assert_eq!(breaker.counters().consecutive_failures, 2);
}

/// Law 16: the payload is the operation's own.
#[test]
fn the_payload_of_a_panic_passes_on_unchanged() {
    let breaker = breaker();
    let run = || breaker.run_blocking(|| -> Outcome { std::panic::resume_unwind(Box::new(7_u8)) });
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&7_u8));
}

/// Law 16: what was only cancelled, since a neighbour panicked, says nothing of the callee.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_a_panic_in_join_cancels_is_abandoned_and_not_failed() {
    let breaker = breaker();
    let panicking = async {
        pending_once().await;
        quiet_panic()
    };
    let both = async {
        tokio::join!(breaker.run(pending::<Outcome>), panicking);
    };
    assert!(panics(both).await);
    assert_eq!(breaker.counters().consecutive_failures, 0);
}

/// Law 16: the same with two calls of one breaker: one of them failed.
#[tokio::test(start_paused = true)]
async fn of_two_calls_in_join_the_one_that_panics_counts() {
    let breaker = breaker();
    let operation = async || -> Outcome {
        pending_once().await;
        quiet_panic()
    };
    let both = async {
        let _ = tokio::join!(breaker.run(pending::<Outcome>), breaker.run(operation));
    };
    assert!(panics(both).await);
    assert_eq!(breaker.counters().consecutive_failures, 1);
}

/// Law 16: and a cancelled sibling that was a probe leaves its slot to the next.
#[tokio::test(start_paused = true)]
async fn a_probe_that_a_neighbours_panic_cancels_gives_its_slot_back() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(S).build();
    fail(&breaker);
    tokio::time::advance(S).await;
    let panicking = async {
        pending_once().await;
        quiet_panic()
    };
    let both = async {
        tokio::join!(breaker.run(pending::<Outcome>), panicking);
    };
    assert!(panics(both).await);
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.run(async || Outcome::Ok(1)).await, Ok(1));
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 16: told by what happens now, not by what was happening when the permit was given.
#[test]
fn a_blocking_call_in_a_destructor_that_a_panic_runs_counts_as_what_it_is() {
    struct CallsOnDrop<'a>(&'a CircuitBreaker, Outcome);
    impl Drop for CallsOnDrop<'_> {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            let _ = self.0.run_blocking(|| self.1);
        }
    }
    let breaker = breaker();
    for (outcome, failures) in [(Err(Down(1)), 1), (Err(Down(1)), 2), (Ok(1), 0)] {
        assert!(panics_blocking(|| {
            let _calls = CallsOnDrop(&breaker, outcome);
            quiet_panic();
        }));
        assert_eq!(breaker.counters().consecutive_failures, failures);
    }
}

/// Law 16: the async twin: a future polled to its end while its thread unwinds.
#[test]
fn an_async_call_in_a_destructor_that_a_panic_runs_counts_as_what_it_is() {
    struct CallsOnDrop<'a>(&'a CircuitBreaker, Outcome);
    impl Drop for CallsOnDrop<'_> {
        fn drop(&mut self) {
            let outcome = self.1;
            let mut call = pin!(self.0.run(async || outcome));
            assert!(poll_once(call.as_mut()).is_ready());
            let mut cancelled = Box::pin(self.0.run(pending::<Outcome>));
            assert!(poll_once(cancelled.as_mut()).is_pending());
        }
    }
    let breaker = breaker();
    for (outcome, failures) in [(Err(Down(1)), 1), (Err(Down(1)), 2), (Ok(1), 0)] {
        assert!(panics_blocking(|| {
            let _calls = CallsOnDrop(&breaker, outcome);
            quiet_panic();
        }));
        assert_eq!(breaker.counters().consecutive_failures, failures);
    }
}

/// Law 16: a permit held by hand cannot tell its own panic from a neighbour's.
#[test]
fn a_permit_that_a_panic_drops_is_given_up() {
    let clock = ManualClock::new();
    let _scope = Scope::new(clock.clone()).enter();
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(S).build();
    assert!(panics_blocking(|| {
        let _permit = breaker.try_acquire().unwrap();
        quiet_panic();
    }));
    assert_eq!(breaker.state(), CircuitState::Closed);
    fail(&breaker);
    clock.advance(S);
    assert!(panics_blocking(|| {
        let _probe = breaker.try_acquire().unwrap();
        quiet_panic();
    }));
    breaker.try_acquire().unwrap().record(Verdict::Success);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Law 16: a task that panics is a failure too.
#[tokio::test]
async fn a_panic_in_a_spawned_task_counts_as_a_failure() {
    let breaker = Arc::new(breaker());
    let task = tokio::spawn({
        let breaker = Arc::clone(&breaker);
        async move {
            let operation = async || -> Outcome {
                tokio::task::yield_now().await;
                quiet_panic()
            };
            breaker.run(operation).await
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(breaker.counters().consecutive_failures, 1);
}

/// Law 16: a panic that the operation itself has caught is none.
#[test]
fn a_panic_caught_inside_the_operation_is_its_own_affair() {
    let breaker = breaker();
    let outcome = breaker.run_blocking(|| {
        assert!(panics_blocking(|| quiet_panic()));
        Outcome::Ok(1)
    });
    assert_eq!(outcome, Ok(1));
    assert_eq!(breaker.counters().consecutive_failures, 0);
}

/// Law 16: the function panics before it has made its future.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_function_that_makes_the_future_counts_as_a_failure() {
    let breaker = breaker();
    let operation = || -> std::future::Pending<Outcome> { quiet_panic() };
    assert!(panics(breaker.run(operation)).await);
    assert_eq!(breaker.counters().consecutive_failures, 1);
    let stack = Pipeline::new((FallbackChain::new().value(1), &breaker, RetryPolicy::new()));
    assert!(panics(stack.run(operation)).await);
    assert_eq!(breaker.counters().consecutive_failures, 2);
}

/// Law 16: counted when it happens, not when somebody lets go of the future.
#[tokio::test(start_paused = true)]
async fn a_panic_counts_at_once_whoever_holds_the_future() {
    let breaker = breaker();
    let mut call = Box::pin(breaker.run(async || -> Outcome { quiet_panic() }));
    assert!(panics_blocking(|| drop(poll_once(call.as_mut()))));
    assert_eq!(breaker.counters().consecutive_failures, 1);
    drop(call);
    assert_eq!(breaker.counters().consecutive_failures, 1, "and once");
}
