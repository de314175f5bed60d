//! Fallback chains as their callers see them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{Alive, Calls, Down, Log, Outcome, S, heard, pending_once, poll_once};
use seawall::{
    BlockingPolicy, CircuitBreaker, Error, Event, ExhaustedReason, FallbackChain, Pipeline, Policy,
    Rejection, RetryPolicy, Timeout,
    fallback::{Call, Then},
};
use std::{
    future::pending,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

const RETRY: RetryPolicy = RetryPolicy::builder().base_delay(Duration::ZERO).build();

fn down() -> Outcome {
    Err(Down(1))
}

async fn is_down() -> Outcome {
    Err(Down(1))
}

/// What `chain` gives for an operation that is down, async and, where it can, blocking.
async fn answer(chain: &impl Policy<u32, Down>) -> Result<u32, Error<Down>> {
    chain.run(is_down).await
}

async fn both<C>(chain: &C) -> Result<u32, Error<Down>>
where
    C: Policy<u32, Down> + BlockingPolicy<u32, Down>,
{
    let outcome = answer(chain).await;
    assert_eq!(chain.run_blocking(down), outcome, "blocking code gets the same");
    outcome
}

mod entries {
    use super::*;

    #[tokio::test]
    async fn a_value_answers() {
        assert_eq!(both(&FallbackChain::new().value(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_value_is_cloned_for_each_use() {
        static CLONES: AtomicU32 = AtomicU32::new(0);
        #[derive(Debug, PartialEq)]
        struct Counted;
        impl Clone for Counted {
            fn clone(&self) -> Self {
                CLONES.fetch_add(1, SeqCst);
                Self
            }
        }
        let chain = FallbackChain::new().value(Counted);
        for _ in 0..3 {
            assert_eq!(chain.run_blocking(|| Err(Down(1))), Ok(Counted));
        }
        assert_eq!(chain.run_blocking(|| Ok::<_, Down>(Counted)), Ok(Counted));
        assert_eq!(CLONES.load(SeqCst), 3, "and only when it is used");
    }

    #[tokio::test]
    async fn a_function_answers_with_a_value_an_outcome_or_what_a_protected_call_gives() {
        assert_eq!(both(&FallbackChain::new().call(|| 7)).await, Ok(7));
        assert_eq!(both(&FallbackChain::new().call(|| Outcome::Ok(7))).await, Ok(7));
        let protected = || -> Result<u32, Error<Down>> { Ok(7) };
        assert_eq!(both(&FallbackChain::new().call(protected)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_function_may_see_the_error() {
        let chain = FallbackChain::new()
            .call_with(|error: &Error<Down>| error.operation().map_or(0, |down| down.0 + 40));
        assert_eq!(both(&chain).await, Ok(41));
    }

    #[tokio::test(start_paused = true)]
    async fn an_async_function_answers() {
        let later = async || {
            tokio::time::sleep(S).await;
            7
        };
        assert_eq!(answer(&FallbackChain::new().call_async(later)).await, Ok(7));
        let outcome = async || Outcome::Ok(7);
        assert_eq!(answer(&FallbackChain::new().call_async(outcome)).await, Ok(7));
        let protected = || RETRY.run(async || Outcome::Ok(7));
        assert_eq!(answer(&FallbackChain::new().call_async(protected)).await, Ok(7));
    }

    #[tokio::test]
    async fn an_async_function_may_see_the_error() {
        let chain = FallbackChain::new().call_async_with(|error: &Error<Down>| {
            let number = error.operation().map_or(0, |down| down.0);
            async move {
                pending_once().await;
                number + 40
            }
        });
        assert_eq!(answer(&chain).await, Ok(41));
    }

    #[tokio::test]
    async fn entries_may_borrow_from_their_caller() {
        let (cache, calls) = (vec![7], Calls::new());
        let chain = FallbackChain::new().call(|| {
            calls.count();
            cache[0]
        });
        assert_eq!(both(&chain).await, Ok(7));
        assert_eq!(calls.get(), 2);
    }

    #[tokio::test]
    async fn a_chain_of_functions_can_be_a_constant() {
        fn cached() -> u32 {
            7
        }
        type Cached = Then<FallbackChain, Call<fn() -> u32>>;
        const CHAIN: FallbackChain<Cached> =
            FallbackChain::new().name("constant").call(cached as fn() -> u32);
        assert_eq!(both(&CHAIN).await, Ok(7));
    }
}

mod order {
    use super::*;

    #[tokio::test]
    async fn a_success_asks_no_entry() {
        let calls = Calls::new();
        let chain = FallbackChain::new()
            .call(|| calls.count())
            .call_with(|_: &Error<Down>| calls.count())
            .only_if(|_: &Error<Down>| {
                calls.count();
                true
            });
        assert_eq!(chain.run(async || Outcome::Ok(1)).await, Ok(1));
        assert_eq!(chain.run_blocking(|| Outcome::Ok(1)), Ok(1));
        assert_eq!(calls.get(), 0);
    }

    #[tokio::test]
    async fn the_first_entry_that_succeeds_answers_and_those_behind_it_are_not_asked() {
        let asked: Log<u32> = Log::default();
        let entry = |number: u32, outcome: Outcome| {
            let asked = asked.clone();
            move || {
                asked.push(number);
                outcome
            }
        };
        let chain = FallbackChain::new()
            .call(entry(1, Err(Down(2))))
            .call(entry(2, Err(Down(3))))
            .call(entry(3, Ok(7)))
            .call(entry(4, Ok(8)));
        assert_eq!(chain.run(is_down).await, Ok(7));
        assert_eq!(asked.take(), [1, 2, 3]);
        assert_eq!(chain.run_blocking(down), Ok(7));
        assert_eq!(asked.take(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn an_exhausted_chain_gives_every_error_in_order() {
        let chain = FallbackChain::new()
            .call(|| Outcome::Err(Down(2)))
            .call(|| -> Result<u32, Error<Down>> {
                Err(Error::Rejected(Rejection::TimedOut { limit: S }))
            })
            .call(|| Outcome::Err(Down(4)));
        let Err(Error::FallbackExhausted(all)) = both(&chain).await else { panic!("all fail") };
        assert_eq!(all.primary(), &Error::Operation(Down(1)));
        assert_eq!(
            all.fallbacks(),
            [
                Error::Operation(Down(2)),
                Error::Rejected(Rejection::TimedOut { limit: S }),
                Error::Operation(Down(4)),
            ]
        );
        assert_eq!(all.to_string(), "the operation and 3 fallbacks failed");
        assert_eq!(
            format!("{all:#}"),
            "the operation and 3 fallbacks failed: down (1); fallback 1: down (2); \
             fallback 2: no answer within 1s; fallback 3: down (4)"
        );
        assert_eq!(all.into_primary(), Error::Operation(Down(1)));
    }

    #[tokio::test]
    async fn every_entry_sees_what_the_operation_ended_in_not_what_the_entry_before_it_did() {
        let seen: Log<u32> = Log::default();
        let see = || {
            let seen = seen.clone();
            move |error: &Error<Down>| {
                seen.push(error.operation().unwrap().0);
                Outcome::Err(Down(99))
            }
        };
        let chain = FallbackChain::new().call_with(see()).call_with(see());
        assert!(both(&chain).await.is_err());
        assert_eq!(seen.all(), [1, 1, 1, 1]);
    }

    #[tokio::test]
    async fn an_empty_chain_lets_errors_through_as_they_are() {
        assert_eq!(both(&FallbackChain::new()).await, Err(Error::Operation(Down(1))));
    }
}

mod conditions {
    use super::*;

    fn is_timeout(error: &Error<Down>) -> bool {
        matches!(error.rejection(), Some(Rejection::TimedOut { .. }))
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_serves_only_the_errors_that_it_is_limited_to() {
        let chain = FallbackChain::new()
            .value(7)
            .only_if(is_timeout)
            .value(8)
            .only_if(|error: &Error<Down>| error.operation().is_some_and(|down| down.0 == 2));
        let stack = Pipeline::new((chain, Timeout::new(S)));
        assert_eq!(stack.run(pending::<Outcome>).await, Ok(7));
        assert_eq!(stack.run(async || Outcome::Err(Down(2))).await, Ok(8));
        assert_eq!(stack.run(async || Outcome::Err(Down(3))).await, Err(Error::Operation(Down(3))));
    }

    #[tokio::test]
    async fn an_error_that_no_entry_serves_passes_through_as_it_is() {
        let chain = FallbackChain::new()
            .call(|| Outcome::Ok(7))
            .only_if(|_: &Error<Down>| false)
            .call_with(|_: &Error<Down>| 8)
            .only_if(|_: &Error<Down>| false)
            .value(9)
            .only_if(|_: &Error<Down>| false);
        assert_eq!(both(&chain).await, Err(Error::Operation(Down(1))));
    }

    #[tokio::test]
    async fn an_entry_that_does_not_serve_is_not_among_those_that_failed() {
        let chain = FallbackChain::new()
            .call(|| Outcome::Err(Down(2)))
            .value(7)
            .only_if(|_: &Error<Down>| false)
            .call(|| Outcome::Err(Down(4)));
        let Err(Error::FallbackExhausted(all)) = both(&chain).await else { panic!("all fail") };
        assert_eq!(all.fallbacks(), [Error::Operation(Down(2)), Error::Operation(Down(4))]);
    }

    #[tokio::test]
    async fn conditions_of_one_entry_must_all_hold() {
        let chain = |one: bool, other: bool| {
            FallbackChain::new()
                .value(7)
                .only_if(move |_: &Error<Down>| one)
                .only_if(move |_: &Error<Down>| other)
        };
        assert_eq!(both(&chain(true, true)).await, Ok(7));
        for (one, other) in [(true, false), (false, true), (false, false)] {
            assert!(both(&chain(one, other)).await.is_err());
        }
    }

    #[tokio::test]
    async fn async_entries_can_be_limited_too() {
        let chain = FallbackChain::new()
            .call_async(async || 7)
            .only_if(|error: &Error<Down>| error.rejection().is_some())
            .call_async_with(|_: &Error<Down>| async { 8 })
            .only_if(|error: &Error<Down>| error.operation().is_some());
        assert_eq!(answer(&chain).await, Ok(8));
    }
}

mod in_stacks {
    use super::*;

    #[tokio::test]
    async fn a_fallback_answers_what_any_policy_inside_it_ends_in() {
        let seen: Log<&str> = Log::default();
        let chain = FallbackChain::new().call_with(|error: &Error<Down>| {
            seen.push(match error {
                Error::RetryExhausted(exhausted) => {
                    assert_eq!(exhausted.reason(), ExhaustedReason::Attempts);
                    "exhausted"
                }
                Error::Rejected(Rejection::CircuitBreakerOpen(_)) => "open",
                Error::FallbackExhausted(_) => "no fallback",
                _ => "operation",
            });
            7
        });
        let open = CircuitBreaker::new();
        open.isolate();
        let failing = FallbackChain::new().call(down);
        assert_eq!(Pipeline::new((&chain, RETRY)).run(is_down).await, Ok(7));
        assert_eq!(Pipeline::new((&chain, &open)).run(is_down).await, Ok(7));
        assert_eq!(Pipeline::new((&chain, failing)).run(is_down).await, Ok(7));
        assert_eq!(Pipeline::new((&chain, CircuitBreaker::new())).run_blocking(down), Ok(7));
        assert_eq!(seen.all(), ["exhausted", "open", "no fallback", "operation"]);
    }

    #[tokio::test]
    async fn a_fallback_may_be_a_protected_call_of_its_own() {
        let (calls, backup) = (Calls::new(), Calls::new());
        let chain = FallbackChain::new().call_async(|| RETRY.run(async || backup.fail_first(2)));
        assert_eq!(chain.run(async || calls.fail()).await, Ok(3));
        assert_eq!((calls.get(), backup.get()), (1, 3));
    }

    #[tokio::test]
    async fn a_breaker_inside_sees_the_failure_that_a_fallback_covers() {
        let breaker = CircuitBreaker::new();
        let stack = Pipeline::new((FallbackChain::new().value(7), &breaker));
        assert_eq!(stack.run(is_down).await, Ok(7));
        assert_eq!(breaker.counters().consecutive_failures, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_call_drops_the_fallback_that_runs() {
        let alive = Alive::default();
        let chain = FallbackChain::new().call_async(async || {
            let _guard = alive.guard();
            pending::<Outcome>().await
        });
        {
            let mut call = pin!(chain.run(is_down));
            assert!(poll_once(call.as_mut()).is_pending());
            assert_eq!(alive.count(), 1);
        }
        assert_eq!(alive.count(), 0);
        let stack = Pipeline::new((Timeout::new(S), chain));
        assert!(stack.run(is_down).await.is_err());
        assert_eq!(alive.count(), 0, "and a timeout around it");
    }
}

mod events {
    use super::*;

    #[tokio::test]
    async fn the_entry_that_answered_is_told_and_the_type_of_the_error_covered() {
        let (log, _scope) = heard(|event| match event {
            Event::FallbackUsed { name, entry, error_type, .. } => {
                Some((name.map(ToString::to_string), *entry, *error_type))
            }
            _ => panic!("{event:?}"),
        });
        let chain = FallbackChain::new()
            .name("cache")
            .value(1)
            .only_if(|_: &Error<Down>| false)
            .call(|| Outcome::Err(Down(2)))
            .value(7);
        assert_eq!(both(&chain).await, Ok(7));
        let expected = (Some(String::from("cache")), 3, "fallback::common::Down");
        assert_eq!(log.all(), [expected.clone(), expected]);
    }

    #[tokio::test]
    async fn an_exhausted_chain_is_told_with_how_many_were_tried() {
        let (log, _scope) = heard(|event| match event {
            Event::FallbackExhausted { name, tried, error_type, .. } => {
                Some((name.is_some(), *tried, *error_type))
            }
            _ => panic!("{event:?}"),
        });
        let chain =
            FallbackChain::new().call(down).value(7).only_if(|_: &Error<Down>| false).call(down);
        assert!(both(&chain).await.is_err());
        assert_eq!(log.all(), [(false, 2, "fallback::common::Down"); 2]);
    }

    #[tokio::test]
    async fn an_error_that_passes_through_is_told_to_nobody() {
        let (log, _scope) = heard(|event| Some(common::event_name(event)));
        assert!(both(&FallbackChain::new()).await.is_err());
        assert!(
            both(&FallbackChain::new().value(1).only_if(|_: &Error<Down>| false)).await.is_err()
        );
        assert!(log.all().is_empty());
    }

    #[test]
    fn a_chain_prints_by_its_name() {
        let chain = FallbackChain::new().name("cache").value(1).call(|| 2);
        assert_eq!(Pipeline::new(chain).to_string(), "fallback \"cache\"");
        assert_eq!(Pipeline::new(FallbackChain::new()).to_string(), "fallback");
    }
}
