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
        Guarded { breaker: self, attempt: Attempt::new(op), permit: None }
    }
}

pin_project! {
    /// A call through a breaker. By hand, so that it stays small and its outcome is never copied.
    struct Guarded<'a, C, F, Fut> {
        breaker: &'a CircuitBreaker<C>,
        // Before the permit: a slot is free again only when nothing of its operation lives on.
        #[pin]
        attempt: Attempt<F, Fut>,
        // Asked for by the first poll.
        permit: Option<Permit<'a>>,
    }
}

impl<T, E, C, F, Fut> Future for Guarded<'_, C, F, Fut>
where
    C: Classify<T, E>,
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
                let permit = none.insert(this.breaker.core.ask());
                if !permit.is_free() {
                    if let Err(retry_after) = permit.acquire() {
                        this.attempt.end();
                        return Poll::Ready(Err(refused(&this.breaker.core, retry_after)));
                    }
                }
                permit
            }
        };
        let classify = &this.breaker.chosen.classify;
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
        let mut permit = self.core.ask();
        if !permit.is_free() {
            if let Err(retry_after) = permit.acquire() {
                return Err(refused(&self.core, retry_after));
            }
        }
        let running = permit.running();
        match op() {
            Ok(value) => {
                running.end();
                settle(&mut permit, &self.chosen.classify, Ok(&value));
                Ok(value)
            }
            Err(error) => {
                running.end();
                settle(&mut permit, &self.chosen.classify, Err(&error));
                Err(error)
            }
        }
    }
}
