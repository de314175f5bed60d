//! A body's future, as the engine takes it.

use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// `operation` with what `lift` makes of its outcome. An async block around it would be one more state
/// machine, and one more copy of the outcome.
pub fn lifted<Fut, F, O>(operation: Fut, lift: F) -> Lifted<Fut, F>
where
    Fut: Future,
    F: Fn(Fut::Output) -> O,
{
    Lifted { operation, lift }
}

pin_project! {
    /// See [`lifted`].
    #[derive(Debug)]
    pub struct Lifted<Fut, F> {
        #[pin]
        operation: Fut,
        lift: F,
    }
}

impl<Fut: Future, F: Fn(Fut::Output) -> O, O> Future for Lifted<Fut, F> {
    type Output = O;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        let this = self.project();
        this.operation.poll(cx).map(this.lift)
    }
}
