//! DRIVE: asks for a permit, calls the operation, records what became of it.

use super::{
    CircuitBreaker,
    permit::{Core, Permit},
};
use crate::{
    attempt::Attempt,
    error::{Error, Rejection},
    policy::{BlockingPolicy, Policy},
    verdict::{Classify, Verdict},
};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// What an error means to a breaker: the classifier reads the operation's, we read the policies'.
#[cold]
fn verdict<T, E>(by: &impl Classify<T, E>, error: &Error<E>) -> Verdict {
    match error {
        Error::Operation(error) => by.classify(Err(error)),
        Error::Rejected(Rejection::TimedOut { .. } | Rejection::Injected) => Verdict::TRANSIENT,
        // A refusal on this side says nothing of the callee.
        Error::Rejected(Rejection::CircuitBreakerOpen(_)) => Verdict::Ignored,
        Error::RetryExhausted(exhausted) => verdict(by, exhausted.last()),
        Error::FallbackExhausted(all) => verdict(by, all.primary()),
    }
}

/// Records how a call went.
#[inline(always)]
fn settle<T, E>(permit: &mut Permit<'_>, by: &impl Classify<T, E>, outcome: Result<&T, &Error<E>>) {
    permit.settle(match outcome {
        Ok(value) => by.classify(Ok(value)),
        Err(error) => verdict(by, error),
    });
}

fn refused<E>(core: &Core, retry_after: Option<u32>) -> Error<E> {
    Error::Rejected(core.open_error(retry_after).into())
}

/// A breaker, and what reads the outcomes: what a driver asks for.
pub(crate) trait Shield<'a, T, E> {
    type Classify: Classify<T, E>;

    fn core(&self) -> &'a Core;
    fn classify(&self) -> &Self::Classify;
}

impl<'a, T, E, C: Classify<T, E>> Shield<'a, T, E> for &'a CircuitBreaker<C> {
    type Classify = C;

    fn core(&self) -> &'a Core {
        &self.core
    }

    fn classify(&self) -> &C {
        &self.chosen.classify
    }
}

impl<T, E, C> Policy<T, E> for CircuitBreaker<C>
where
    T: Send,
    E: Send + 'static,
    C: Classify<T, E>,
{
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        Guarded { shield: self, attempt: Attempt::new(op), permit: None }
    }
}

/// Lets a future through that is there already, if the breaker does.
pub(crate) fn guard<'a, S, Fut>(shield: S, future: Fut) -> Guarded<'a, S, fn() -> Fut, Fut> {
    Guarded { shield, attempt: Attempt::started(future), permit: None }
}

pin_project! {
    /// A call through a breaker. By hand, so that it stays small and its outcome is never copied.
    pub(crate) struct Guarded<'a, S, F, Fut> {
        shield: S,
        // Before the permit: a slot is free again only when nothing of its operation lives on.
        #[pin]
        attempt: Attempt<F, Fut>,
        // Asked for by the first poll.
        permit: Option<Permit<'a>>,
    }
}

impl<'a, T, E, S, F, Fut> Future for Guarded<'a, S, F, Fut>
where
    S: Shield<'a, T, E>,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error<E>>>,
{
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let permit = match this.permit {
            Some(permit) => permit,
            none => {
                let permit = none.insert(this.shield.core().ask());
                if !permit.is_free() {
                    if let Err(retry_after) = permit.acquire() {
                        this.attempt.end();
                        return Poll::Ready(Err(refused(this.shield.core(), retry_after)));
                    }
                }
                permit
            }
        };
        let classify = this.shield.classify();
        let running = permit.running();
        match this.attempt.poll(cx) {
            // By arms: a value is not to be copied through memory only since some error might be.
            Poll::Ready(Ok(value)) => {
                running.end();
                settle::<T, E>(permit, classify, Ok(&value));
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => {
                running.end();
                settle(permit, classify, Err(&error));
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                running.end();
                Poll::Pending
            }
        }
    }
}

impl<T, E: 'static, C: Classify<T, E>> BlockingPolicy<T, E> for CircuitBreaker<C> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        guard_blocking(self, op)
    }
}

/// The blocking driver.
#[inline]
pub(crate) fn guard_blocking<'a, T, E, S: Shield<'a, T, E>>(
    shield: S,
    op: impl FnOnce() -> Result<T, Error<E>>,
) -> Result<T, Error<E>> {
    let mut permit = shield.core().ask();
    if !permit.is_free() {
        if let Err(retry_after) = permit.acquire() {
            return Err(refused(shield.core(), retry_after));
        }
    }
    let running = permit.running();
    match op() {
        Ok(value) => {
            running.end();
            settle(&mut permit, shield.classify(), Ok(&value));
            Ok(value)
        }
        Err(error) => {
            running.end();
            settle(&mut permit, shield.classify(), Err(&error));
            Err(error)
        }
    }
}
