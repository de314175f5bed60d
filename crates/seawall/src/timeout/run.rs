//! DRIVE: polls the operation, then the timer.

use super::Timeout;
use crate::{
    attempt::Attempt,
    error::{Error, Rejection},
    event::{self, Event},
    policy::Policy,
    time::Timer,
};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

impl<T: Send, E: Send + 'static> Policy<T, E> for Timeout {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        Limited::new(self.limit, Attempt::new(op))
    }
}

pin_project! {
    /// A call under a limit.
    pub(crate) struct Limited<F, Fut> {
        limit: Duration,
        #[pin]
        attempt: Attempt<F, Fut>,
        #[pin]
        timer: Timer,
    }
}

impl<F, Fut> Limited<F, Fut> {
    pub(crate) const fn new(limit: Duration, attempt: Attempt<F, Fut>) -> Self {
        Self { limit, attempt, timer: Timer::Unarmed }
    }
}

impl<T, E, F, Fut> Future for Limited<F, Fut>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error<E>>>,
{
    type Output = Result<T, Error<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let limit = *this.limit;
        if let Poll::Ready(outcome) = this.attempt.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        match this.timer.poll(limit, cx) {
            Poll::Ready(()) => {
                // Before the caller hears of it: nothing of the operation lives on.
                this.attempt.end();
                Poll::Ready(Err(timed_out(limit)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cold]
fn timed_out<E>(limit: Duration) -> Error<E> {
    if event::is_heard(&[]) {
        event::tell(&Event::TimedOut { limit }, &[]);
    }
    Error::Rejected(Rejection::TimedOut { limit })
}
