//! `#[circuit_breaker]`: one call through a breaker.

use super::kind::Finder;
use crate::{
    breaker::{
        CircuitBreaker, Core,
        run::{Shield, guard, guard_blocking},
    },
    error::{CircuitBreakerOpenError, Error},
    verdict::{Classify, Verdict},
};
use std::{
    fmt,
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
pub struct InlineBreaker<'a, C, H, E> {
    breaker: &'a CircuitBreaker<C>,
    by: Finding<H, E>,
}

/// Reads outcomes with `hooks`, but for errors that were made from a breaker's rejection: they say
/// nothing of the callee.
pub(crate) struct Finding<H, E> {
    hooks: H,
    finder: Finder<E>,
}

impl<T, E, H: Classify<T, E>> Classify<T, E> for Finding<H, E> {
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Err(error) if (self.finder)(error).is_some() => Verdict::Ignored,
            outcome => self.hooks.classify(outcome),
        }
    }
}

impl<'a, C, H, E> InlineBreaker<'a, C, H, E> {
    /// `breaker` with hooks in place of its own.
    pub const fn new(
        breaker: &'a CircuitBreaker<C>,
        hooks: H,
        finder: fn(&E) -> Option<CircuitBreakerOpenError>,
    ) -> Self {
        Self { breaker, by: Finding { hooks, finder } }
    }

    /// Lets `operation` through, if the breaker does.
    pub fn guard<T, Fut>(
        &self,
        operation: Fut,
    ) -> impl Future<Output = Result<T, Error<E>>> + use<'_, 'a, C, H, E, T, Fut>
    where
        H: Classify<T, E>,
        Fut: Future<Output = Result<T, Error<E>>>,
    {
        guard(self, operation)
    }

    /// The same for blocking code.
    ///
    /// # Errors
    /// What the operation ended in, or the breaker's rejection.
    pub fn guard_blocking<T>(
        &self,
        operation: impl FnOnce() -> Result<T, Error<E>>,
    ) -> Result<T, Error<E>>
    where
        H: Classify<T, E>,
    {
        guard_blocking(self, operation)
    }
}

impl<'a, C, E> InlineBreaker<'a, C, &'a C, E> {
    /// `breaker` with its own hooks.
    pub fn of<B: Breaker<Classify = C>>(
        breaker: &'a B,
        finder: fn(&E) -> Option<CircuitBreakerOpenError>,
    ) -> Self {
        let breaker = breaker.breaker();
        Self::new(breaker, breaker.classifier(), finder)
    }
}

impl<T, E, C, H: Classify<T, E>> Shield<T, E> for InlineBreaker<'_, C, H, E> {
    type Classify = Finding<H, E>;

    fn core(&self) -> &Core {
        &self.breaker.core
    }

    fn classify(&self) -> &Finding<H, E> {
        &self.by
    }
}

impl<C, H, E> fmt::Debug for InlineBreaker<'_, C, H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineBreaker").finish_non_exhaustive()
    }
}
