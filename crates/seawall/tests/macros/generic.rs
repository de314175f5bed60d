//! Generics, lifetimes and `impl Trait`.

use crate::{Calls, Down, Rich};
use seawall::{Error, circuit_breaker, fallback, retry, timeout};
use std::{
    fmt::{Debug, Display},
    future::Future,
    marker::PhantomData,
};

#[fallback([T::default])]
#[circuit_breaker(failure_threshold = 100)]
#[retry(base_delay = 0)]
async fn with_bounds<T, E, F, Fut>(fetch: F) -> Result<T, Error<E>>
where
    T: Default,
    E: Debug + 'static,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    Ok(fetch().await?)
}

#[retry(base_delay = 0, max_attempts = N)]
fn with_const<const N: u32>(calls: &Calls) -> Rich<[u8; 4]> {
    calls.fail_first(N - 1)?;
    Ok([0; 4])
}

#[retry(base_delay = 0)]
fn plain<T: Clone, E: 'static>(calls: &Calls, value: &T, error: fn(u32) -> E) -> Result<T, E> {
    calls.fail_first(2).map_err(|Down(n)| error(n))?;
    Ok(value.clone())
}

#[retry(base_delay = 0)]
async fn lifetimes<'a, 'b: 'a>(calls: &'a Calls, from: &'b str) -> Rich<&'b str> {
    calls.fail_first(2)?;
    Ok(&from[1..])
}

#[retry(base_delay = 0)]
async fn elided(calls: &Calls, from: &mut Vec<u32>) -> Rich<u32> {
    from.push(calls.get());
    Ok(calls.fail_first(2)?)
}

#[retry(base_delay = 0)]
async fn impl_arguments(calls: &Calls, text: impl AsRef<str> + Clone) -> Rich<usize> {
    calls.fail_first(2)?;
    Ok(text.as_ref().len())
}

#[retry(base_delay = 0)]
fn impl_items(calls: &Calls) -> Result<Vec<impl Display + use<>>, Down> {
    Ok(vec![calls.fail_first(2)?])
}

#[fallback([|| vec![1]])]
#[retry(base_delay = 0)]
async fn impl_result(calls: &Calls) -> Rich<impl IntoIterator<Item = u32>> {
    calls.fail_first(2)?;
    Ok(vec![2])
}

#[retry(base_delay = 0)]
fn impl_iterator(calls: &Calls) -> Rich<impl Iterator<Item = u32>> {
    let n = calls.fail_first(2)?;
    Ok((0..n).map(|n| n * 2))
}

#[circuit_breaker]
fn dynamic(calls: &Calls) -> Rich<Box<dyn Fn(u32) -> u32>> {
    let n = calls.fail_first(0)?;
    Ok(Box::new(move |m| n + m))
}

struct Of<T, const N: usize>(PhantomData<T>);

impl<T: Default + 'static, const N: usize> Of<T, N> {
    const ATTEMPTS: u32 = N as u32;

    #[circuit_breaker(failure_threshold = 9)]
    #[retry(base_delay = 0, max_attempts = Self::ATTEMPTS)]
    async fn method<'s>(&'s self, calls: &Calls) -> Rich<(&'s Self, T)> {
        calls.fail_first(2)?;
        Ok((self, T::default()))
    }
}

#[circuit_breaker]
fn lent<'a>(items: &'a mut Vec<u32>, calls: &Calls) -> Rich<&'a mut u32> {
    items.push(calls.fail_first(0)?);
    Ok(&mut items[0])
}

#[fallback([|| Err(Down(2))])]
#[timeout(1)]
#[circuit_breaker]
async fn lent_later<'a>(items: &'a mut Vec<u32>, calls: &Calls) -> Rich<&'a mut u32> {
    items.push(calls.fail_first(0)?);
    Ok(&mut items[0])
}

#[tokio::test]
async fn what_is_borrowed_mutably_can_be_lent_on_unless_it_is_retried() {
    let mut items = Vec::new();
    *lent(&mut items, &Calls::new()).unwrap() += 1;
    *lent_later(&mut items, &Calls::new()).await.unwrap() += 1;
    assert_eq!(items, [3, 1]);
}

#[tokio::test]
async fn generic_functions_are_protected() {
    let calls = Calls::new();
    assert_eq!(with_bounds(async || calls.fail_first(2)).await, Ok(3));
    assert_eq!(with_bounds(async || Err::<String, u8>(1)).await, Ok(String::new()));
    assert_eq!(with_const::<3>(&Calls::new()), Ok([0; 4]));
    assert_eq!(plain(&Calls::new(), &"x", |n| n), Ok("x"));
    assert_eq!(lifetimes(&Calls::new(), "abc").await, Ok("bc"));
    let mut seen = Vec::new();
    assert_eq!(elided(&Calls::new(), &mut seen).await, Ok(3));
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(impl_arguments(&Calls::new(), String::from("abc")).await, Ok(3));
    assert_eq!(impl_items(&Calls::new()).unwrap()[0].to_string(), "3");
    assert_eq!(impl_result(&Calls::new()).await.unwrap().into_iter().sum::<u32>(), 2);
    assert_eq!(impl_iterator(&Calls::new()).unwrap().sum::<u32>(), 6);
    assert_eq!(dynamic(&Calls::new()).unwrap()(4), 5);
    let of = Of::<String, 3>(PhantomData);
    assert_eq!(of.method(&Calls::new()).await.unwrap().1, "");
}
