//! DRIVE: calls the operation, and the chain if it failed.

use super::{
    FallbackChain,
    entries::{Answer, AnswerBlocking, Count, Tries},
};
use crate::{
    attempt::Attempt,
    error::{Error, FallbackExhaustedError},
    event::{self, Event},
    policy::{BlockingPolicy, Policy},
    setting::Name,
};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

impl<L> FallbackChain<L> {
    /// The call's end: what the chain answered, or all that failed.
    fn end<T, E>(&self, answer: Result<(T, Tries<E>), Tries<E>>) -> Result<T, Error<E>> {
        let name = self.name.map(Name::literal);
        let name = name.as_ref();
        match answer {
            Ok((value, Tries { primary, entry, .. })) => {
                let error_type = event::error_type(&primary);
                event::tell(&Event::FallbackUsed { name, entry, error_type }, &[]);
                Ok(value)
            }
            // No entry served this error: the chain has nothing to add.
            Err(Tries { primary, failed, .. }) if failed.is_empty() => Err(primary),
            Err(Tries { primary, failed, .. }) => {
                let (tried, error_type) = (failed.len(), event::error_type(&primary));
                event::tell(&Event::FallbackExhausted { name, tried, error_type }, &[]);
                Err(Error::FallbackExhausted(FallbackExhaustedError::new(primary, failed)))
            }
        }
    }

    #[cold]
    pub(crate) async fn answer<T, E>(&self, primary: Error<E>) -> Result<T, Error<E>>
    where
        T: Send,
        E: Send,
        L: Answer<T, E>,
    {
        self.end(self.entries.answer(Tries::new(primary)).await)
    }

    #[cold]
    pub(crate) fn answer_blocking<T, E>(&self, primary: Error<E>) -> Result<T, Error<E>>
    where
        L: AnswerBlocking<T, E>,
    {
        self.end(self.entries.answer_blocking(Tries::new(primary)))
    }
}

impl<T, E, L> Policy<T, E> for FallbackChain<L>
where
    T: Send,
    E: Send + 'static,
    L: Answer<T, E> + Count,
{
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        Covered {
            answer: move |primary| Box::pin(self.answer(primary)),
            phase: Phase::Calling { attempt: Attempt::new(op) },
        }
    }
}

pin_project! {
    /// A call with fallbacks. By hand, so that it stays small; the chain's own work is boxed.
    struct Covered<F, Fut, S, A> {
        answer: S,
        #[pin]
        phase: Phase<F, Fut, A>,
    }
}

pin_project! {
    #[project = PhaseProjection]
    enum Phase<F, Fut, A> {
        Calling { #[pin] attempt: Attempt<F, Fut> },
        Answering { answer: Pin<Box<A>> },
    }
}

impl<T, E, F, Fut, S, A> Future for Covered<F, Fut, S, A>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error<E>>>,
    S: Fn(Error<E>) -> Pin<Box<A>>,
    A: Future<Output = Result<T, Error<E>>>,
{
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let PhaseProjection::Calling { attempt } = this.phase.as_mut().project() {
            match attempt.poll(cx) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Ok(value)),
                Poll::Ready(Err(primary)) => {
                    let answer = (this.answer)(primary);
                    this.phase.set(Phase::Answering { answer });
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        match this.phase.project() {
            PhaseProjection::Answering { answer } => answer.as_mut().poll(cx),
            // Either it returned above, or it is answering now.
            PhaseProjection::Calling { .. } => Poll::Pending,
        }
    }
}

impl<T, E, L> BlockingPolicy<T, E> for FallbackChain<L>
where
    E: 'static,
    L: AnswerBlocking<T, E> + Count,
{
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        op().or_else(|primary| self.answer_blocking(primary))
    }
}
