//! DRIVE: asks for a permit, calls the operation, records what became of it.

use super::{CircuitBreaker, permit::Permit};
use crate::{
    error::{Error, Rejection},
    policy::{BlockingPolicy, Policy},
    verdict::{Classify, Verdict},
};
use std::{future::poll_fn, pin::pin};

/// What an outcome means to a breaker: the classifier reads the operation's, we read the policies'.
#[inline]
fn verdict<T, E>(by: &impl Classify<T, E>, outcome: Result<&T, &Error<E>>) -> Verdict {
    match outcome {
        Ok(value) => by.classify(Ok(value)),
        Err(Error::Operation(error)) => by.classify(Err(error)),
        Err(error) => verdict_on_policies(by, error),
    }
}

#[cold]
fn verdict_on_policies<T, E>(by: &impl Classify<T, E>, error: &Error<E>) -> Verdict {
    match error {
        Error::Rejected(Rejection::TimedOut { .. } | Rejection::Injected) => Verdict::TRANSIENT,
        // A refusal on this side says nothing of the callee.
        Error::Rejected(Rejection::CircuitBreakerOpen(_)) => Verdict::Ignored,
        Error::RetryExhausted(exhausted) => verdict(by, Err(exhausted.last())),
        Error::FallbackExhausted(all) => verdict(by, Err(all.primary())),
        Error::Operation(error) => by.classify(Err(error)),
    }
}

fn rejected<E>(open: crate::CircuitBreakerOpenError) -> Error<E> {
    Error::Rejected(open.into())
}

/// Polls `op` with the permit marked as running, so that a drop tells a panic from a cancellation.
async fn watch<F: Future>(permit: &mut Permit<'_>, op: F) -> F::Output {
    let mut op = pin!(op);
    poll_fn(|cx| {
        permit.set_running(true);
        let poll = op.as_mut().poll(cx);
        permit.set_running(false);
        poll
    })
    .await
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
        async move {
            let mut permit = self.core.try_acquire().map_err(rejected)?;
            let outcome = watch(&mut permit, op()).await;
            permit.record(verdict(&self.chosen.classify, outcome.as_ref()));
            outcome
        }
    }
}

impl<T, E: 'static, C: Classify<T, E>> BlockingPolicy<T, E> for CircuitBreaker<C> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        let mut permit = self.core.try_acquire().map_err(rejected)?;
        permit.set_running(true);
        let outcome = op();
        permit.set_running(false);
        permit.record(verdict(&self.chosen.classify, outcome.as_ref()));
        outcome
    }
}
