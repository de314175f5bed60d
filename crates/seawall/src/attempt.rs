//! An operation that is started by the first poll.

use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The closure until the first poll, then the future that it gave: one after the other in the same
    /// place. An async block would keep both, for it never overlaps what it captured.
    #[project = Phase]
    #[project_replace = Replaced]
    pub(crate) enum Attempt<F, Fut> {
        Idle { op: F },
        Running { #[pin] future: Fut },
        Ended,
    }
}

impl<Fut> Attempt<fn() -> Fut, Fut> {
    /// A future that is there already.
    pub(crate) const fn started(future: Fut) -> Self {
        Self::Running { future }
    }
}

impl<F, Fut, T, E> Attempt<F, Fut>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    pub(crate) const fn new(op: F) -> Self {
        Self::Idle { op }
    }

    /// Starts the operation if it is idle, and polls it.
    #[inline(always)]
    pub(crate) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        if let Phase::Idle { op } = self.as_mut().project() {
            let future = op();
            // Not `set`: that would call the drop of a running future, which there is none of.
            self.as_mut().project_replace(Self::Running { future });
        }
        let Phase::Running { future } = self.as_mut().project() else {
            // Started above, and not polled after its end.
            return Poll::Pending;
        };
        // By arms: the outcome as a whole would be copied through memory, past the drop of the future.
        match future.poll(cx) {
            Poll::Ready(Ok(value)) => {
                self.project_replace(Self::Ended);
                Poll::Ready(Ok(value))
            }
            Poll::Ready(Err(error)) => {
                self.project_replace(Self::Ended);
                Poll::Ready(Err(error))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Drops what runs.
    pub(crate) fn end(mut self: Pin<&mut Self>) {
        self.set(Self::Ended);
    }
}
