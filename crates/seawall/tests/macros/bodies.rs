//! What stands in a body is the user's affair.

use crate::{Calls, Down, Outcome, Rich, common::pending_once};
use seawall::{Error, circuit_breaker, fallback, retry, timeout};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

#[fallback([|| 8])]
#[retry(base_delay = 0)]
fn returns_early(calls: &Calls) -> Rich<u32> {
    if calls.get() == 2 {
        return Ok(7);
    }
    calls.fail()?;
    unreachable!("it fails");
}

#[retry(base_delay = 0)]
#[timeout(1)]
async fn returns_early_async(calls: &Calls) -> Rich<u32> {
    for call in 0.. {
        let Ok(n) = calls.fail_first(2) else {
            return Err(Down(call).into());
        };
        if n + call > 4 {
            return Ok(n);
        }
    }
    unreachable!("it counts up");
}

#[retry(base_delay = 0)]
#[circuit_breaker(failure_threshold = 9)]
fn loops(calls: &Calls) -> Rich<u32> {
    let mut sum = 0;
    'outer: loop {
        for n in 0.. {
            if n % 2 == 0 {
                continue;
            }
            sum += n;
            if sum > 10 {
                break 'outer;
            }
            if n > 5 {
                continue 'outer;
            }
        }
    }
    calls.fail_first(2)?;
    let found = 'block: {
        if sum > 10 {
            break 'block sum;
        }
        0
    };
    let mut rest = found;
    Ok(loop {
        rest -= 1;
        if rest == 0 {
            break found;
        }
    })
}

#[retry(base_delay = 0)]
async fn awaits_in_closures(calls: &Calls) -> Rich<u32> {
    let each = async |n: u32| {
        pending_once().await;
        n + calls.get()
    };
    let nested = |n| async move {
        let inner = async { each(n).await };
        inner.await
    };
    let sum = nested(1).await + nested(2).await;
    calls.fail_first(2)?;
    Ok(sum)
}

#[retry(base_delay = 0)]
fn items(calls: &Calls) -> Rich<u32> {
    use std::io::Error;
    type Rich = Result<u32, Error>;
    static SEEN: Calls = Calls::new();
    fn inner() -> Rich {
        Err(Error::other("x"))
    }
    SEEN.count();
    assert!(inner().is_err());
    calls.fail_first(2)?;
    Ok(SEEN.get())
}

#[retry(base_delay = 0)]
async fn local(cell: &Cell<u32>, map: Rc<RefCell<HashMap<u32, Rc<str>>>>) -> Rich<Rc<str>> {
    let here = Rc::new(cell.get() + 1);
    pending_once().await;
    cell.set(*here);
    map.borrow_mut().insert(*here, "here".into());
    match *here {
        3 => Ok(map.borrow()[&1].clone()),
        n => Err(Down(n))?,
    }
}

#[retry(base_delay = 0, clone = [request, n])]
async fn clones(calls: &Calls, request: String, mut n: u32) -> Rich<String> {
    n += 1;
    let moved = request;
    calls.fail_first(2)?;
    Ok(format!("{moved} {n}"))
}

#[retry(base_delay = 0, clone = [n])]
#[fallback([|| 1], clone = [request], only_if = |_| false)]
fn clones_blocking(calls: &Calls, request: String, mut n: u32) -> Rich<u32> {
    n += 1;
    drop(request);
    calls.fail_first(2)?;
    Ok(n)
}

#[retry(base_delay = 0)]
fn keeps(calls: &Calls, mut made: u32) -> Rich<u32> {
    made += 1;
    calls.fail_first(2)?;
    Ok(made)
}

#[retry(base_delay = 0)]
fn patterns((a, b): (u32, u32), [c, ..]: [u32; 3], _: &str, Down(d): Down) -> Rich<u32> {
    Ok(a + b + c + d)
}

#[rustfmt::skip]
#[retry(base_delay = 0)]
fn one_line(calls: &Calls) -> Outcome { calls.fail_first(2) }

#[rustfmt::skip]
#[retry(base_delay = 0)]
async fn one_line_async(calls: &Calls) -> Outcome { calls.fail_first(2) }

#[retry(base_delay = 0)]
async fn nothing(calls: &Calls) -> Rich<()> {
    calls.fail_first(2)?;
    Ok(())
}

#[retry(base_delay = 0)]
fn inner_attribute(calls: &Calls) -> Outcome {
    #![allow(clippy::needless_return)]
    return calls.fail_first(2);
}

#[retry(base_delay = 0, max_attempts = 2)]
fn recurses(calls: &Calls, depth: u32) -> Rich<u32> {
    if depth == 0 {
        return Ok(calls.fail_first(2)?);
    }
    recurses(calls, depth - 1)
}

#[retry(base_delay = 0, max_attempts = 2)]
async fn recurses_async(calls: &Calls, depth: u32) -> Rich<u32> {
    if depth == 0 {
        return Ok(calls.fail_first(1)?);
    }
    Box::pin(recurses_async(calls, depth - 1)).await
}

#[tokio::test]
async fn bodies_return_early_and_loop_as_they_like() {
    assert_eq!(returns_early(&Calls::new()), Ok(7));
    assert_eq!(returns_early_async(&Calls::new()).await, Ok(4));
    assert_eq!(loops(&Calls::new()), Ok(16));
    assert_eq!(awaits_in_closures(&Calls::new()).await, Ok(7));
    assert_eq!(items(&Calls::new()), Ok(3));
    assert_eq!(one_line(&Calls::new()), Ok(3));
    assert_eq!(one_line_async(&Calls::new()).await, Ok(3));
    assert_eq!(nothing(&Calls::new()).await, Ok(()));
    assert_eq!(inner_attribute(&Calls::new()), Ok(3));
}

#[tokio::test]
async fn bodies_need_not_be_send() {
    assert_eq!(local(&Cell::default(), Rc::default()).await.as_deref(), Ok("here"));
}

#[tokio::test]
async fn arguments_that_are_moved_or_changed_are_cloned_for_each_attempt() {
    let request = || String::from("request");
    assert_eq!(clones(&Calls::new(), request(), 1).await.unwrap(), "request 2");
    assert_eq!(clones_blocking(&Calls::new(), request(), 1), Ok(2));
}

#[test]
fn arguments_that_are_changed_without_clones_stay_so() {
    assert_eq!(keeps(&Calls::new(), 0), Ok(3));
    assert_eq!(patterns((1, 2), [3; 3], "", Down(4)), Ok(10));
}

#[tokio::test]
async fn protected_functions_recurse() {
    let calls = Calls::new();
    let Err(Error::RetryExhausted(exhausted)) = recurses(&calls, 5) else { panic!() };
    assert_eq!((calls.get(), exhausted.attempts()), (2, 2), "nesting does not multiply");
    assert_eq!(recurses_async(&Calls::new(), 5).await, Ok(2));
}
