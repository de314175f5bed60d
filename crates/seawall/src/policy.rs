//! What a policy is, and how policies nest.

use crate::{describe::Describe, error::Error};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Something that stands between a caller and an asynchronous operation.
///
/// Tuples nest, outermost first: `(fallback, breaker, retry)` is
/// `fallback(breaker(retry(operation)))`. So do `&P`, `Arc<P>` and `Option<P>`.
///
/// Callers rarely name this trait: every policy and [`Pipeline`](crate::Pipeline) has `run` and
/// `call` of its own. Implement it for a policy of your own:
///
/// ```
/// use seawall::{Describe, Error, Pipeline, Policy, RetryPolicy};
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// /// Counts the calls that pass.
/// #[derive(Debug, Default)]
/// struct Counted(AtomicU32);
///
/// impl Describe for Counted {}
///
/// impl<T: Send, E: Send + 'static> Policy<T, E> for Counted {
///     fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
///     where
///         F: Fn() -> Fut + Send + Sync,
///         Fut: Future<Output = Result<T, Error<E>>> + Send,
///     {
///         async move {
///             self.0.fetch_add(1, Relaxed);
///             op().await
///         }
///     }
/// }
///
/// async fn answer() -> Result<u32, String> {
///     Ok(7)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let counted = Counted::default();
/// let pipeline = Pipeline::new((&counted, RetryPolicy::new()));
/// assert_eq!(pipeline.run(answer).await, Ok(7));
/// assert_eq!(counted.0.into_inner(), 1);
/// # }
/// ```
///
/// # Why `Fn() -> Fut`, with `Send` written out
///
/// Only a declared bound lets today's stable compiler prove that a *stack* is `Send` when the
/// operation borrows from its caller (rust-lang/rust#134997, #139475). Async closures fit all the
/// same: `async || client.get(&url).await`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot guard an operation that returns `Result<{T}, {E}>`",
    label = "not a policy for this operation",
    note = "a predicate must take the operation's error type: `.when(|error: &{E}| ..)`",
    note = "policies nest as a tuple, outermost first: `(fallback, breaker, retry)`",
    note = "asynchronous retries and timeouts need the feature `tokio`, or `RetryExecutor::sleeper`"
)]
pub trait Policy<T, E>: Describe + Send + Sync {
    /// Runs `op` under this policy, where `op` may already be protected: its rejections and
    /// exhausted retries are seen as what they are, and nothing is wrapped twice.
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send;

    /// Runs `op` under this policy, where `op` gives its own plain error.
    fn run<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        T: Send,
        E: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, E>> + Send,
    {
        self.call(move || Lift { attempt: op() })
    }
}

/// [`Policy`] for operations that block the thread.
///
/// A timeout has no way to stop blocking code, and a fallback with an async entry none to wait for
/// it, so they are none, and a stack that holds one is refused at compile time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot guard blocking code that returns `Result<{T}, {E}>`",
    label = "not a policy for blocking code",
    note = "a timeout must be able to drop a running operation, and an async fallback to wait: use `run`, or leave them out",
    note = "a predicate must take the operation's error type: `.when(|error: &{E}| ..)`"
)]
pub trait BlockingPolicy<T, E>: Describe {
    /// Runs `op` under this policy; see [`Policy::call`].
    ///
    /// # Errors
    /// What `op` ended in, and what the policy made of it.
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>;

    /// Runs `op` under this policy, where `op` gives its own plain error.
    ///
    /// # Errors
    /// What `op` ended in, and what the policy made of it.
    fn run_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, E>,
    {
        self.call_blocking(|| op().map_err(Error::Operation))
    }
}

pin_project! {
    /// An attempt whose plain error becomes an [`Error`]. By hand, since an async block keeps a future
    /// that it awaits twice: as what it captured, and as what it polls.
    struct Lift<Fut> {
        #[pin]
        attempt: Fut,
    }
}

impl<T, E, Fut: Future<Output = Result<T, E>>> Future for Lift<Fut> {
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().attempt.poll(cx).map_err(Error::Operation)
    }
}

macro_rules! forward {
    ($($holder:ty),*) => {$(
        impl<T, E, P: Policy<T, E> + ?Sized> Policy<T, E> for $holder {
            fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
            where
                F: Fn() -> Fut + Send + Sync,
                Fut: Future<Output = Result<T, Error<E>>> + Send,
            {
                (**self).call(op)
            }
        }

        impl<T, E, P: BlockingPolicy<T, E> + ?Sized> BlockingPolicy<T, E> for $holder {
            fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
            where
                F: Fn() -> Result<T, Error<E>>,
            {
                (**self).call_blocking(op)
            }
        }
    )*};
}

// A `&P` needs `P: Sync`, an `Arc<P>` both: `Policy` asks for them, so they hold.
forward!(&P, Arc<P>);

/// The empty stack lets the operation through.
impl<T, E> Policy<T, E> for () {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        op()
    }
}

impl<T, E> BlockingPolicy<T, E> for () {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        op()
    }
}

/// `Some` guards, `None` lets the operation through.
impl<T: Send, E: Send, P: Policy<T, E>> Policy<T, E> for Option<P> {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        async move {
            match self {
                Some(policy) => policy.call(op).await,
                None => op().await,
            }
        }
    }
}

impl<T, E, P: BlockingPolicy<T, E>> BlockingPolicy<T, E> for Option<P> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        match self {
            Some(policy) => policy.call_blocking(op),
            None => op(),
        }
    }
}

/// Calls the policies inward, outermost first. `$both` is one reference to the stack and the
/// operation, and all that a closure captures: two would be stored apart and loaded together by the
/// next layer, which processors are slow at.
macro_rules! nest {
    ($call:ident, $both:ident; $innermost:tt) => { $both.0.$innermost.$call(&$both.1) };
    ($call:ident, $both:ident; $outer:tt $($inner:tt)+) => {
        $both.0.$outer.$call(|| nest!($call, $both; $($inner)+))
    };
}

macro_rules! stack {
    ($($policy:ident $at:tt)+) => {
        impl<T: Send, E: Send, $($policy: Policy<T, E>),+> Policy<T, E> for ($($policy,)+) {
            // Not an `async fn`: the stack's own signature has to say `Send`.
            fn call<Op, Fut>(&self, op: Op) -> impl Future<Output = Result<T, Error<E>>> + Send
            where
                Op: Fn() -> Fut + Send + Sync,
                Fut: Future<Output = Result<T, Error<E>>> + Send,
            {
                let both = (self, op);
                async move {
                    let both = &both;
                    nest!(call, both; $($at)+).await
                }
            }
        }

        impl<T, E, $($policy: BlockingPolicy<T, E>),+> BlockingPolicy<T, E> for ($($policy,)+) {
            fn call_blocking<Op>(&self, op: Op) -> Result<T, Error<E>>
            where
                Op: Fn() -> Result<T, Error<E>>,
            {
                let both = &(self, op);
                nest!(call_blocking, both; $($at)+)
            }
        }
    };
}

stack!(A 0);
stack!(A 0 B 1);
stack!(A 0 B 1 C 2);
stack!(A 0 B 1 C 2 D 3);
stack!(A 0 B 1 C 2 D 3 G 4);
stack!(A 0 B 1 C 2 D 3 G 4 H 5);
stack!(A 0 B 1 C 2 D 3 G 4 H 5 I 6);
stack!(A 0 B 1 C 2 D 3 G 4 H 5 I 6 J 7);

/// Gives a policy ways to run without a trait import: of `run call run_blocking call_blocking`, those
/// that are named, under the attributes in front.
macro_rules! inherent_ways_to_run {
    ($attrs:tt $($way:ident)+, impl $generics:tt $policy:ty) => {
        $($crate::policy::inherent_ways_to_run!(@$way $attrs $generics $policy);)+
    };
    (@run [$($attr:tt)*] [$($generics:tt)*] $policy:ty) => {
        $($attr)*
        impl<$($generics)*> $policy {
            /// Runs `op` under this policy.
            ///
            /// # Errors
            /// What `op` ended in, and what the policy made of it.
            ///
            /// # Cancellation
            /// Dropping the future drops the operation with it; nothing of the call lives on.
            pub fn run<T, E, Op, Fut>(
                &self,
                op: Op,
            ) -> impl Future<Output = Result<T, $crate::Error<E>>> + Send
            where
                Self: $crate::Policy<T, E>,
                T: Send,
                E: Send,
                Op: Fn() -> Fut + Send + Sync,
                Fut: Future<Output = Result<T, E>> + Send,
            {
                $crate::Policy::run(self, op)
            }
        }
    };
    (@call [$($attr:tt)*] [$($generics:tt)*] $policy:ty) => {
        $($attr)*
        impl<$($generics)*> $policy {
            /// As `run`, for an `op` that is protected already: nothing is wrapped twice.
            ///
            /// # Errors
            /// What `op` ended in, and what the policy made of it.
            pub fn call<T, E, Op, Fut>(
                &self,
                op: Op,
            ) -> impl Future<Output = Result<T, $crate::Error<E>>> + Send
            where
                Self: $crate::Policy<T, E>,
                T: Send,
                E: Send,
                Op: Fn() -> Fut + Send + Sync,
                Fut: Future<Output = Result<T, $crate::Error<E>>> + Send,
            {
                $crate::Policy::call(self, op)
            }
        }
    };
    (@run_blocking [$($attr:tt)*] [$($generics:tt)*] $policy:ty) => {
        $($attr)*
        impl<$($generics)*> $policy {
            /// Runs blocking `op` under this policy.
            ///
            /// # Errors
            /// What `op` ended in, and what the policy made of it.
            pub fn run_blocking<T, E, Op>(&self, op: Op) -> Result<T, $crate::Error<E>>
            where
                Self: $crate::BlockingPolicy<T, E>,
                Op: Fn() -> Result<T, E>,
            {
                $crate::BlockingPolicy::run_blocking(self, op)
            }
        }
    };
    (@call_blocking [$($attr:tt)*] [$($generics:tt)*] $policy:ty) => {
        $($attr)*
        impl<$($generics)*> $policy {
            /// As `run_blocking`, for an `op` that is protected already.
            ///
            /// # Errors
            /// What `op` ended in, and what the policy made of it.
            pub fn call_blocking<T, E, Op>(&self, op: Op) -> Result<T, $crate::Error<E>>
            where
                Self: $crate::BlockingPolicy<T, E>,
                Op: Fn() -> Result<T, $crate::Error<E>>,
            {
                $crate::BlockingPolicy::call_blocking(self, op)
            }
        }
    };
}

pub(crate) use inherent_ways_to_run;
