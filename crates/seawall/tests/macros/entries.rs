//! What can stand in the list of a fallback.

#![allow(clippy::redundant_closure, reason = "closures are among what can be an entry")]

use crate::{
    Calls, Down, Outcome, Rich,
    common::{S, pending_once},
};
use seawall::{
    Error, FallbackChain, fallback,
    fallback::{Answer, AnswerBlocking},
    testing::Recorder,
};
use std::cell::{Cell, RefCell};

fn value() -> u32 {
    2
}

fn outcome() -> Outcome {
    Ok(3)
}

fn rich() -> Rich<u32> {
    Ok(4)
}

async fn later() -> u32 {
    pending_once().await;
    5
}

async fn outcome_later() -> Outcome {
    tokio::time::sleep(S).await;
    Ok(6)
}

async fn rich_later() -> Rich<u32> {
    Ok(7)
}

fn of_argument(id: &str) -> u32 {
    id.len() as u32
}

async fn of_argument_later(id: &str) -> Outcome {
    Ok(id.len() as u32)
}

fn of_error(error: &Error<Down>) -> u32 {
    error.operation().map_or(0, |down| down.0)
}

fn nothing<T: Default>() -> T {
    T::default()
}

/// An async and a blocking function that have this entry.
macro_rules! both {
    (($id:ident) $($name:ident: [$entry:expr] == $expected:expr;)+) => {
        mod asynchronous {
            use super::*;
            $(
                #[fallback([$entry])]
                pub(super) async fn $name($id: &str) -> Rich<u32> {
                    assert!(!$id.is_empty());
                    Err(Down(1))?
                }
            )+
        }

        mod blocking {
            use super::*;
            $(
                #[fallback([$entry])]
                pub(super) fn $name($id: &str) -> Rich<u32> {
                    assert!(!$id.is_empty());
                    Err(Down(1))?
                }
            )+
        }

        #[tokio::test]
        async fn values_and_results_are_told_apart() {
            $(
                assert_eq!(asynchronous::$name("abc").await, Ok($expected));
                assert_eq!(blocking::$name("abc"), Ok($expected));
            )+
        }
    };
}

both! {
    (id)
    a_literal: [7] == 7;
    a_path: [value] == 2;
    a_path_to_a_result: [outcome] == 3;
    a_path_to_a_rich_result: [rich] == 4;
    a_path_with_a_type: [nothing::<u32>] == 0;
    a_path_of_a_type: [<u32 as Default>::default] == 0;
    a_closure: [|| 8] == 8;
    a_closure_with_a_result: [|| Err(Down(1)).or_else(|_: Down| outcome())] == 3;
    a_closure_with_an_argument: [|| id.len() as u32] == 3;
    a_closure_that_sees_the_error: [|error| of_error(error)] == 1;
    a_closure_that_takes_it_apart: [|error| matches!(error, Error::Operation(_)) as u32] == 1;
    a_closure_that_ignores_it: [|_| outcome()] == 3;
    a_closure_with_types: [|error: &Error<Down>| -> Outcome { Ok(of_error(error)) }] == 1;
    a_closure_that_moves: [move |_| id.len() as u32] == 3;
    a_call: [of_argument(id)] == 3;
    a_call_of_a_method: [id.len() as u32] == 3;
    a_result: [Ok::<u32, Down>(9)] == 9;
    a_sum: [value() + 1] == 3;
    a_block: [{ let n = value(); n * n }] == 4;
    a_match: [match id { "abc" => 1, _ => 2 }] == 1;
    a_macro: [u32::from(matches!(id, "abc"))] == 1;
}

/// An async function that has this entry, which has to be waited for.
macro_rules! later {
    (($id:ident) $($name:ident: [$entry:expr] == $expected:expr;)+) => {
        $(
            #[fallback([$entry])]
            async fn $name($id: &str) -> Rich<u32> {
                assert!(!$id.is_empty());
                Err(Down(1))?
            }
        )+

        #[tokio::test(start_paused = true)]
        async fn futures_are_waited_for() {
            $(assert_eq!($name("abc").await, Ok($expected));)+
        }
    };
}

later! {
    (id)
    a_path_to_an_async_function: [later] == 5;
    a_path_to_one_with_a_result: [outcome_later] == 6;
    a_path_to_one_with_a_rich_result: [rich_later] == 7;
    an_async_closure: [async || later().await + 1] == 6;
    a_closure_with_a_future: [|| outcome_later()] == 6;
    a_closure_with_an_async_block: [|| async move { of_argument(id) }] == 3;
    a_closure_that_sees_the_error_and_waits: [async |error| of_error(error)] == 1;
    a_closure_that_makes_a_future_of_the_error: [|error| later_of(of_error(error))] == 1;
    a_call_of_an_async_function: [of_argument_later(id)] == 3;
    an_async_block: [async { later().await + of_argument(id) }] == 8;
    a_boxed_future: [Box::pin(later())] == 5;
}

async fn later_of(n: u32) -> u32 {
    n
}

struct Service {
    cached: u32,
}

impl Service {
    fn cached(&self, id: &str) -> Outcome {
        if id == "gone" { Err(Down(9)) } else { Ok(self.cached) }
    }

    async fn backup(&self) -> u32 {
        self.cached + 1
    }

    #[fallback([self.cached(id), self.backup(), Self::last])]
    async fn load(&self, id: &str) -> Rich<u32> {
        Err(Down(1))?
    }

    #[fallback([self.cached(id), self.cached])]
    fn load_mut(&mut self, id: &str) -> Rich<u32> {
        self.cached += 1;
        Err(Down(1))?
    }

    fn last() -> u32 {
        0
    }
}

#[tokio::test]
async fn entries_see_the_arguments_and_self() {
    let mut service = Service { cached: 7 };
    assert_eq!(service.load("here").await, Ok(7));
    assert_eq!(service.load("gone").await, Ok(8));
    assert_eq!(service.load_mut("gone"), Ok(8));
}

#[fallback([calls.fail(), || calls.fail(), |_| calls.fail(), calls.count(), || -> u32 { panic!("not reached") }])]
fn in_turn(calls: &Calls, fails: bool) -> Rich<u32> {
    if fails {
        Err(Down(0))?;
    }
    Ok(calls.get())
}

#[fallback([calls.fail(), async { calls.fail() }, || async { calls.count() }, calls.count()])]
async fn in_turn_async(calls: &Calls, fails: bool) -> Rich<u32> {
    if fails {
        Err(Down(0))?;
    }
    Ok(calls.get())
}

#[tokio::test]
async fn an_entry_is_evaluated_only_when_its_turn_comes() {
    assert_eq!(in_turn(&Calls::new(), false), Ok(0));
    assert_eq!(in_turn(&Calls::new(), true), Ok(4));
    assert_eq!(in_turn_async(&Calls::new(), false).await, Ok(0));
    assert_eq!(in_turn_async(&Calls::new(), true).await, Ok(3));
}

#[fallback([|| None, || Some(2)])]
fn of_option() -> Rich<Option<u32>> {
    Err(Down(1))?
}

#[fallback([(), || ()])]
async fn of_unit() -> Rich<()> {
    Err(Down(1))?
}

#[fallback([|| Ok("nested")])]
fn of_result() -> Rich<Result<&'static str, u8>> {
    Err(Down(1))?
}

#[fallback([T::default, T::default()])]
async fn of_generic<T: Default, E: 'static>(error: E) -> Result<T, Error<E>> {
    let error = RefCell::new(Some(error));
    Err(Error::Operation(error.take().unwrap()))
}

#[fallback([|| Box::new(|n: u32| n + 1) as Box<dyn Fn(u32) -> u32>])]
fn of_closure() -> Rich<Box<dyn Fn(u32) -> u32>> {
    Err(Down(1))?
}

#[fallback([|| Err("second"), |error: &&str| Err(*error), "third".parse().map_err(|_| "parse")])]
fn of_plain() -> Result<u32, &'static str> {
    Err("first")
}

#[tokio::test]
async fn an_entry_answers_with_the_functions_own_type() {
    assert_eq!(of_option(), Ok(None));
    assert_eq!(of_unit().await, Ok(()));
    assert_eq!(of_result(), Ok(Ok("nested")));
    assert_eq!(of_generic::<String, u8>(1).await, Ok(String::new()));
    assert_eq!(of_closure().unwrap()(1), 2);
    assert_eq!(of_plain(), Err("first"));
}

#[fallback([|| 7], only_if = |error| error.operation().is_some_and(|down| down.0 == n))]
fn some(n: u32) -> Rich<u32> {
    Err(Down(1))?
}

#[fallback([|_| -> u32 { panic!("not reached") }], only_if = is_two)]
async fn plain_some(down: u32) -> Outcome {
    Err(Down(down))
}

fn is_two(down: &Down) -> bool {
    down.0 == 2
}

#[tokio::test]
async fn errors_that_are_not_to_be_answered_are_given_back() {
    assert_eq!(some(1), Ok(7));
    assert_eq!(some(2), Err(Error::Operation(Down(1))));
    assert_eq!(plain_some(1).await, Err(Down(1)));
}

fn chain() -> FallbackChain<impl Answer<u32, Down> + AnswerBlocking<u32, Down>> {
    FallbackChain::new().call(|| Outcome::Err(Down(2))).value(7)
}

#[fallback(policy = chain())]
async fn by_chain() -> Rich<u32> {
    Err(Down(1))?
}

#[fallback(policy = chain())]
fn by_chain_blocking() -> Outcome {
    Err(Down(1))
}

#[tokio::test]
async fn an_existing_chain_answers() {
    assert_eq!(by_chain().await, Ok(7));
    assert_eq!(by_chain_blocking(), Ok(7));
}

#[test]
fn what_a_fallback_tells_has_its_name() {
    #[fallback([|| Err(Down(2)), 3], name = "prices")]
    fn named() -> Rich<u32> {
        Err(Down(1))?
    }
    #[fallback([|| Err(Down(2))])]
    fn unnamed() -> Rich<u32> {
        Err(Down(1))?
    }
    let events = Recorder::new();
    let _listening = events.enter();
    assert_eq!(named(), Ok(3));
    assert!(unnamed().is_err());
    events.assert_sequence(["fallback \"prices\" used 2", "fallback \"unnamed\" exhausted 1"]);
}

#[test]
fn an_entry_can_hold_what_is_not_send() {
    #[fallback([{ cell.set(7); cell.get() }])]
    fn local(cell: &Cell<u32>) -> Rich<u32> {
        Err(Down(1))?
    }
    assert_eq!(local(&Cell::new(1)), Ok(7));
}
