//! Stacks that are chosen at run time.

use crate::{
    describe::Describe,
    error::Error,
    pipeline::Pipeline,
    policy::{BlockingPolicy, Policy},
};
use std::{fmt, pin::Pin};

/// A future behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

type DynOp<'a, T, E> = dyn Fn() -> BoxFuture<'a, Result<T, Error<E>>> + Send + Sync + 'a;

/// [`Policy`] behind a pointer. Every policy is one.
///
/// Each layer behind a pointer costs a box for the call and one for each attempt.
///
/// ```
/// use seawall::{Pipeline, RetryPolicy, Timeout};
/// use std::time::Duration;
///
/// async fn answer() -> Result<u32, String> {
///     Ok(7)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let careful = true;
/// let pipeline = if careful {
///     Pipeline::new((RetryPolicy::new(), Timeout::new(Duration::from_secs(1)))).into_dyn()
/// } else {
///     Pipeline::new(RetryPolicy::new()).into_dyn()
/// };
/// assert_eq!(pipeline.run(answer).await, Ok(7));
/// # }
/// ```
pub trait DynPolicy<T, E>: Describe + Send + Sync {
    /// [`Policy::call`], without a type parameter.
    fn call_dyn<'a>(&'a self, op: &'a DynOp<'a, T, E>) -> BoxFuture<'a, Result<T, Error<E>>>
    where
        T: 'a,
        E: 'a;
}

impl<T, E, P: Policy<T, E>> DynPolicy<T, E> for P {
    fn call_dyn<'a>(&'a self, op: &'a DynOp<'a, T, E>) -> BoxFuture<'a, Result<T, Error<E>>>
    where
        T: 'a,
        E: 'a,
    {
        Box::pin(self.call(op))
    }
}

impl<T: Send, E: Send> Policy<T, E> for dyn DynPolicy<T, E> {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        async move {
            let op = || -> BoxFuture<'_, Result<T, Error<E>>> { Box::pin(op()) };
            self.call_dyn(&op).await
        }
    }
}

/// [`BlockingPolicy`] behind a pointer. Every blocking policy is one.
pub trait DynBlockingPolicy<T, E>: Describe + Send + Sync {
    /// [`BlockingPolicy::call_blocking`], without a type parameter.
    ///
    /// # Errors
    /// What `op` ended in, and what the policy made of it.
    fn call_blocking_dyn(&self, op: &dyn Fn() -> Result<T, Error<E>>) -> Result<T, Error<E>>;
}

impl<T, E, P: BlockingPolicy<T, E> + Send + Sync> DynBlockingPolicy<T, E> for P {
    fn call_blocking_dyn(&self, op: &dyn Fn() -> Result<T, Error<E>>) -> Result<T, Error<E>> {
        self.call_blocking(op)
    }
}

impl<T, E> BlockingPolicy<T, E> for dyn DynBlockingPolicy<T, E> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        self.call_blocking_dyn(&op)
    }
}

/// What it is made of, as a [`Pipeline`] prints itself.
impl<T, E> fmt::Debug for dyn DynPolicy<T, E> + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Pipeline::new(self), f)
    }
}

/// What it is made of, as a [`Pipeline`] prints itself.
impl<T, E> fmt::Debug for dyn DynBlockingPolicy<T, E> + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Pipeline::new(self), f)
    }
}
