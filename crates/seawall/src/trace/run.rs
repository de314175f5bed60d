//! DRIVE: lets attempts through, and writes down what they came to.

use super::{
    TraceWriter,
    call::{self, Running},
    row::{Outcome, Row},
};
use crate::{
    attempt::Attempt,
    describe::{Describe, Facts, Layer},
    error::Error,
    policy::{BlockingPolicy, Policy},
    verdict::{AnyError, Classify},
};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The innermost layer of a stack that is recorded: a row for each attempt. From
/// [`TraceWriter::attempts`].
#[derive(Debug, Clone)]
pub struct TraceAttempts<C = AnyError> {
    writer: TraceWriter,
    key: Option<Arc<str>>,
    classify: C,
}

impl TraceAttempts {
    pub(super) const fn new(writer: TraceWriter) -> Self {
        Self { writer, key: None, classify: AnyError }
    }
}

impl<C> TraceAttempts<C> {
    /// How long a key may be, in bytes: a longer one is cut.
    pub const LONGEST_KEY: usize = 128;

    /// The same, with `key` in each row: what is called, such as a host or a shard. Cheap enough to be
    /// made for a call.
    #[must_use]
    pub fn of(mut self, key: impl Into<Arc<str>>) -> Self {
        let key = key.into();
        let cut = key.char_indices().map(|(at, char)| at + char.len_utf8());
        let cut = cut.take_while(|end| *end <= Self::LONGEST_KEY).last().unwrap_or(0);
        self.key = Some(if cut < key.len() { key[..cut].into() } else { key });
        self
    }

    /// What reads the outcomes: the same as the retry and the breaker of the stack have.
    pub fn classify_with<D>(self, classify: D) -> TraceAttempts<D> {
        TraceAttempts { writer: self.writer, key: self.key, classify }
    }

    fn begin(&self) -> Begun<'_> {
        Begun {
            writer: &self.writer,
            key: self.key.as_ref(),
            call: call::begin(self.writer.number()),
            at: self.writer.now(),
            running: false,
            ended: false,
        }
    }
}

impl<C> Describe for TraceAttempts<C> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        layers.push(Layer::new("trace_attempts", Facts::Other));
    }
}

/// An attempt that has no row yet. Dropped, it gets the one of an attempt that was given up.
#[derive(Debug)]
struct Begun<'a> {
    writer: &'a TraceWriter,
    key: Option<&'a Arc<str>>,
    call: Option<u64>,
    at: Duration,
    /// The operation runs right now.
    running: bool,
    ended: bool,
}

impl Begun<'_> {
    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        self.writer.put(Row {
            at: self.at,
            took: self.writer.now().saturating_sub(self.at),
            outcome,
            call: self.call,
            key: self.key.cloned(),
        });
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.end(if self.running {
            Outcome::Panicked
        } else if call::is_running(self.writer.number(), self.call) {
            // The call goes on: a policy in between has given the attempt up.
            Outcome::TimedOut
        } else {
            Outcome::Cancelled
        });
    }
}

impl<T, E, C> Policy<T, E> for TraceAttempts<C>
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
        Attempting { attempt: Attempt::new(op), attempts: self, begun: None }
    }
}

impl<T, E, C: Classify<T, E>> BlockingPolicy<T, E> for TraceAttempts<C> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        let mut begun = self.begin();
        begun.running = true;
        let outcome = op();
        begun.end(Outcome::of(&self.classify, outcome.as_ref()));
        outcome
    }
}

pin_project! {
    struct Attempting<'a, C, F, Fut> {
        // Before what is begun: its row tells of an operation that is gone.
        #[pin]
        attempt: Attempt<F, Fut>,
        attempts: &'a TraceAttempts<C>,
        begun: Option<Begun<'a>>,
    }
}

impl<T, E, C, F, Fut> Future for Attempting<'_, C, F, Fut>
where
    C: Classify<T, E>,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error<E>>>,
{
    type Output = Result<T, Error<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let attempts: &TraceAttempts<C> = this.attempts;
        let begun = this.begun.get_or_insert_with(|| attempts.begin());
        begun.running = true;
        let polled = this.attempt.poll(cx);
        if let Poll::Ready(outcome) = &polled {
            begun.end(Outcome::of(&attempts.classify, outcome.as_ref()));
        }
        begun.running = false;
        polled
    }
}

/// The outermost layer of a stack that is recorded: gives each call its number. From
/// [`TraceWriter::calls`].
#[derive(Debug, Clone)]
pub struct TraceCalls {
    writer: TraceWriter,
}

impl TraceCalls {
    pub(super) const fn new(writer: TraceWriter) -> Self {
        Self { writer }
    }

    fn begin(&self) -> Called<'_> {
        let running = Running::new(self.writer.number(), self.writer.next_call());
        Called { writer: &self.writer, at: self.writer.now(), running }
    }
}

impl Describe for TraceCalls {
    fn describe(&self, layers: &mut Vec<Layer>) {
        layers.push(Layer::new("trace_calls", Facts::Other));
    }
}

/// A call that has begun.
#[derive(Debug)]
struct Called<'a> {
    writer: &'a TraceWriter,
    at: Duration,
    running: Running,
}

impl Called<'_> {
    fn end(&self) {
        if !self.running.has_attempted() {
            self.writer.put(Row {
                at: self.at,
                took: self.writer.now().saturating_sub(self.at),
                outcome: Outcome::Rejected,
                call: Some(self.running.call()),
                key: None,
            });
        }
    }
}

impl<T: Send, E: Send + 'static> Policy<T, E> for TraceCalls {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        Calling { attempt: Attempt::new(op), calls: self, called: None }
    }
}

impl<T, E> BlockingPolicy<T, E> for TraceCalls {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        let mut called = self.begin();
        let inside = called.running.enter();
        let outcome = op();
        drop(inside);
        called.end();
        outcome
    }
}

pin_project! {
    struct Calling<'a, F, Fut> {
        #[pin]
        attempt: Attempt<F, Fut>,
        calls: &'a TraceCalls,
        called: Option<Called<'a>>,
    }
}

impl<T, E, F, Fut> Future for Calling<'_, F, Fut>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error<E>>>,
{
    type Output = Result<T, Error<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let calls: &TraceCalls = this.calls;
        let called = this.called.get_or_insert_with(|| calls.begin());
        let inside = called.running.enter();
        let polled = this.attempt.poll(cx);
        drop(inside);
        if polled.is_ready() {
            called.end();
        }
        polled
    }
}

crate::policy::inherent_ways_to_run!([] run call run_blocking call_blocking, impl [C] TraceAttempts<C>);
crate::policy::inherent_ways_to_run!([] run call run_blocking call_blocking, impl [] TraceCalls);
