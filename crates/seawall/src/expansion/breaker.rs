//! `#[circuit_breaker]`: one call through a breaker.

use super::kind::Finds;
use crate::{
    breaker::{
        CircuitBreaker, Core,
        run::{Shield, guard, guard_blocking},
    },
    error::Error,
    verdict::{Classify, Verdict},
};
use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, LazyLock},
};

/// What can be named as a function's breaker.
#[diagnostic::on_unimplemented(
    message = "`policy` of a circuit breaker must be a `CircuitBreaker`, not `{Self}`",
    label = "not a circuit breaker",
    note = "a static, a reference, an `Arc` or a `LazyLock` of one will do"
)]
pub trait Breaker {
    /// What reads the outcomes.
    type Classify;

    /// The breaker.
    fn breaker(&self) -> &CircuitBreaker<Self::Classify>;
}

impl<C> Breaker for CircuitBreaker<C> {
    type Classify = C;

    fn breaker(&self) -> &Self {
        self
    }
}

macro_rules! forward {
    ($([$($generics:tt)*] $holder:ty),+ $(,)?) => {$(
        #[diagnostic::do_not_recommend]
        impl<B: Breaker, $($generics)*> Breaker for $holder {
            type Classify = B::Classify;

            fn breaker(&self) -> &CircuitBreaker<B::Classify> {
                (**self).breaker()
            }
        }
    )+};
}

forward!([] &B, [] Arc<B>, [] Box<B>, [F: FnOnce() -> B] LazyLock<B, F>);

/// A breaker with the hooks of a macro's options.
pub struct InlineBreaker<'a, C, H, F> {
    breaker: &'a CircuitBreaker<C>,
    by: Finding<H, F>,
}

/// Reads outcomes with `hooks`, but for errors that were made from a breaker's rejection: they say
/// nothing of the callee.
pub(crate) struct Finding<H, F> {
    hooks: H,
    finder: PhantomData<fn() -> F>,
}

impl<T, E, H: Classify<T, E>, F: Finds<E>> Classify<T, E> for Finding<H, F> {
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Err(error) if F::open_in(error).is_some() => Verdict::Ignored,
            outcome => self.hooks.classify(outcome),
        }
    }
}

impl<'a, C, H, F> InlineBreaker<'a, C, H, F> {
    /// `breaker` with hooks in place of its own.
    pub const fn new(breaker: &'a CircuitBreaker<C>, hooks: H, _: F) -> Self
    where
        F: Copy,
    {
        Self { breaker, by: Finding { hooks, finder: PhantomData } }
    }

    /// Lets `operation` through, if the breaker does.
    pub fn guard<T, E, Fut>(
        self,
        operation: Fut,
    ) -> impl Future<Output = Result<T, Error<E>>> + use<'a, C, H, F, T, E, Fut>
    where
        H: Classify<T, E>,
        F: Finds<E>,
        Fut: Future<Output = Result<T, Error<E>>>,
    {
        guard(self, operation)
    }

    /// The same for blocking code.
    ///
    /// # Errors
    /// What the operation ended in, or the breaker's rejection.
    pub fn guard_blocking<T, E>(
        self,
        operation: impl FnOnce() -> Result<T, Error<E>>,
    ) -> Result<T, Error<E>>
    where
        H: Classify<T, E>,
        F: Finds<E>,
    {
        guard_blocking(self, operation)
    }
}

impl<'a, C, F: Copy> InlineBreaker<'a, C, &'a C, F> {
    /// `breaker` with its own hooks.
    pub fn of<B: Breaker<Classify = C>>(breaker: &'a B, finder: F) -> Self {
        let breaker = breaker.breaker();
        Self::new(breaker, breaker.classifier(), finder)
    }
}

impl<'a, T, E, C, H: Classify<T, E>, F: Finds<E>> Shield<'a, T, E> for InlineBreaker<'a, C, H, F> {
    type Classify = Finding<H, F>;

    fn core(&self) -> &'a Core {
        &self.breaker.core
    }

    fn classify(&self) -> &Finding<H, F> {
        &self.by
    }
}

impl<C, H, F> fmt::Debug for InlineBreaker<'_, C, H, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineBreaker").finish_non_exhaustive()
    }
}
