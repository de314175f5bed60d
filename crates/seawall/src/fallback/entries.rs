//! DECIDE: which answer is tried next, and what counts as one.

use super::FallbackChain;
use crate::error::Error;
use std::fmt;

/// A value, cloned for each use.
#[derive(Debug, Clone, Copy)]
pub struct Value<T>(pub(super) T);

/// A function.
#[derive(Clone, Copy)]
pub struct Call<F>(pub(super) F);

/// A function that sees the error.
#[derive(Clone, Copy)]
pub struct CallWith<F>(pub(super) F);

/// An async function.
#[derive(Clone, Copy)]
pub struct CallAsync<F>(pub(super) F);

/// An async function that sees the error.
#[derive(Clone, Copy)]
pub struct CallAsyncWith<F>(pub(super) F);

/// An entry that serves some errors only.
#[derive(Clone, Copy)]
pub struct OnlyIf<X, P>(pub(super) X, pub(super) P);

/// A chain, and one more entry behind it.
#[derive(Debug, Clone, Copy)]
pub struct Then<C, X>(pub(super) C, pub(super) X);

macro_rules! opaque_debug {
    ($($name:ident<$($param:ident),+>)+) => {$(
        impl<$($param),+> fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

opaque_debug!(Call<F> CallWith<F> CallAsync<F> CallAsyncWith<F> OnlyIf<X, P>);

/// What a fallback's function may give: a value, a `Result<T, E>`, or a `Result<T, Error<E>>`.
#[diagnostic::on_unimplemented(
    message = "a fallback for `Result<{T}, {E}>` cannot give `{Self}`",
    note = "give a `{T}`, a `Result<{T}, {E}>`, or a `Result<{T}, seawall::Error<{E}>>`"
)]
pub trait IntoOutcome<T, E> {
    /// As the outcome of a protected call.
    ///
    /// # Errors
    /// What the function failed with.
    fn into_outcome(self) -> Result<T, Error<E>>;
}

impl<T, E> IntoOutcome<T, E> for T {
    fn into_outcome(self) -> Result<T, Error<E>> {
        Ok(self)
    }
}

impl<T, E> IntoOutcome<T, E> for Result<T, E> {
    fn into_outcome(self) -> Result<T, Error<E>> {
        self.map_err(Error::Operation)
    }
}

impl<T, E> IntoOutcome<T, E> for Result<T, Error<E>> {
    fn into_outcome(self) -> Self {
        self
    }
}

/// One answer, as async chains try it.
pub trait Entry<T, E>: Send + Sync {
    /// Whether it serves `error`.
    fn serves(&self, error: &Error<E>) -> bool {
        let _ = error;
        true
    }

    /// The answer.
    fn get(&self, error: &Error<E>) -> impl Future<Output = Result<T, Error<E>>> + Send;
}

/// One answer, as blocking chains try it. An async function is none.
pub trait EntryBlocking<T, E> {
    /// Whether it serves `error`.
    fn serves(&self, error: &Error<E>) -> bool {
        let _ = error;
        true
    }

    /// The answer.
    ///
    /// # Errors
    /// What the fallback failed with.
    fn get_blocking(&self, error: &Error<E>) -> Result<T, Error<E>>;
}

macro_rules! ready_entry {
    ([$($generics:tt)*] $entry:ty, [$($bounds:tt)*], |$this:ident, $error:ident| $answer:expr) => {
        impl<$($generics)*> Entry<T, E> for $entry
        where
            T: Send,
            E: Send,
            Self: Send + Sync,
            $($bounds)*
        {
            fn get(&self, $error: &Error<E>) -> impl Future<Output = Result<T, Error<E>>> + Send {
                let $this = self;
                std::future::ready($answer)
            }
        }

        impl<$($generics)*> EntryBlocking<T, E> for $entry
        where
            $($bounds)*
        {
            fn get_blocking(&self, $error: &Error<E>) -> Result<T, Error<E>> {
                let $this = self;
                $answer
            }
        }
    };
}

ready_entry!([T, E] Value<T>, [T: Clone], |this, _error| Ok(this.0.clone()));
ready_entry!(
    [T, E, F, R] Call<F>,
    [F: Fn() -> R, R: IntoOutcome<T, E>],
    |this, _error| (this.0)().into_outcome()
);
ready_entry!(
    [T, E, F, R] CallWith<F>,
    [F: Fn(&Error<E>) -> R, R: IntoOutcome<T, E>],
    |this, error| (this.0)(error).into_outcome()
);

impl<T, E, F, Fut> Entry<T, E> for CallAsync<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output: IntoOutcome<T, E>> + Send,
{
    fn get(&self, _: &Error<E>) -> impl Future<Output = Result<T, Error<E>>> + Send {
        let answer = (self.0)();
        async move { answer.await.into_outcome() }
    }
}

impl<T, E, F, Fut> Entry<T, E> for CallAsyncWith<F>
where
    F: Fn(&Error<E>) -> Fut + Send + Sync,
    Fut: Future<Output: IntoOutcome<T, E>> + Send,
{
    fn get(&self, error: &Error<E>) -> impl Future<Output = Result<T, Error<E>>> + Send {
        let answer = (self.0)(error);
        async move { answer.await.into_outcome() }
    }
}

impl<T, E, X, P> Entry<T, E> for OnlyIf<X, P>
where
    X: Entry<T, E>,
    P: Fn(&Error<E>) -> bool + Send + Sync,
{
    fn serves(&self, error: &Error<E>) -> bool {
        (self.1)(error) && self.0.serves(error)
    }

    fn get(&self, error: &Error<E>) -> impl Future<Output = Result<T, Error<E>>> + Send {
        self.0.get(error)
    }
}

impl<T, E, X, P> EntryBlocking<T, E> for OnlyIf<X, P>
where
    X: EntryBlocking<T, E>,
    P: Fn(&Error<E>) -> bool,
{
    fn serves(&self, error: &Error<E>) -> bool {
        (self.1)(error) && self.0.serves(error)
    }

    fn get_blocking(&self, error: &Error<E>) -> Result<T, Error<E>> {
        self.0.get_blocking(error)
    }
}

/// How far a chain has got.
#[derive(Debug)]
pub struct Tries<E> {
    /// What the operation ended in.
    pub(super) primary: Error<E>,
    /// What the entries tried so far ended in.
    pub(super) failed: Vec<Error<E>>,
    /// The entry looked at last, counted from 1.
    pub(super) entry: usize,
}

impl<E> Tries<E> {
    pub(super) fn new(primary: Error<E>) -> Self {
        Self { primary, failed: Vec::new(), entry: 0 }
    }

    fn take<T>(mut self, outcome: Result<T, Error<E>>) -> Result<(T, Self), Self> {
        match outcome {
            Ok(value) => Ok((value, self)),
            Err(error) => {
                self.failed.push(error);
                Err(self)
            }
        }
    }
}

/// A chain, as async calls try it.
pub trait Answer<T, E>: Send + Sync {
    /// The first answer that succeeds, or how far the chain has got.
    fn answer(
        &self,
        tries: Tries<E>,
    ) -> impl Future<Output = Result<(T, Tries<E>), Tries<E>>> + Send;
}

/// A chain, as blocking calls try it.
#[diagnostic::on_unimplemented(
    message = "the fallback chain `{Self}` cannot answer in blocking code",
    note = "a chain with an async entry needs `run`, not `run_blocking`"
)]
pub trait AnswerBlocking<T, E> {
    /// The first answer that succeeds, or how far the chain has got.
    ///
    /// # Errors
    /// How far the chain has got.
    fn answer_blocking(&self, tries: Tries<E>) -> Result<(T, Tries<E>), Tries<E>>;
}

impl<T: Send, E: Send> Answer<T, E> for () {
    fn answer(
        &self,
        tries: Tries<E>,
    ) -> impl Future<Output = Result<(T, Tries<E>), Tries<E>>> + Send {
        std::future::ready(Err(tries))
    }
}

impl<T, E> AnswerBlocking<T, E> for () {
    fn answer_blocking(&self, tries: Tries<E>) -> Result<(T, Tries<E>), Tries<E>> {
        Err(tries)
    }
}

impl<T, E, L, X> Answer<T, E> for Then<FallbackChain<L>, X>
where
    T: Send,
    E: Send,
    L: Answer<T, E>,
    X: Entry<T, E>,
{
    fn answer(
        &self,
        tries: Tries<E>,
    ) -> impl Future<Output = Result<(T, Tries<E>), Tries<E>>> + Send {
        async move {
            let Self(before, entry) = self;
            let mut tries = match before.entries.answer(tries).await {
                Ok(answered) => return Ok(answered),
                Err(tries) => tries,
            };
            tries.entry += 1;
            if !entry.serves(&tries.primary) {
                return Err(tries);
            }
            let outcome = entry.get(&tries.primary);
            let outcome = outcome.await;
            tries.take(outcome)
        }
    }
}

impl<T, E, L, X> AnswerBlocking<T, E> for Then<FallbackChain<L>, X>
where
    L: AnswerBlocking<T, E>,
    X: EntryBlocking<T, E>,
{
    fn answer_blocking(&self, tries: Tries<E>) -> Result<(T, Tries<E>), Tries<E>> {
        let Self(before, entry) = self;
        let mut tries = match before.entries.answer_blocking(tries) {
            Ok(answered) => return Ok(answered),
            Err(tries) => tries,
        };
        tries.entry += 1;
        if !entry.serves(&tries.primary) {
            return Err(tries);
        }
        let outcome = entry.get_blocking(&tries.primary);
        tries.take(outcome)
    }
}

/// What is known of an entry without an error at hand.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    pub(super) serves_every_error: bool,
    pub(super) cannot_fail: bool,
}

/// The entries of a chain, first one first.
pub trait Count {
    /// What is known of each.
    fn entries(&self) -> Vec<Reach>;
}

impl Count for () {
    fn entries(&self) -> Vec<Reach> {
        Vec::new()
    }
}

impl<L: Count, X: Known> Count for Then<FallbackChain<L>, X> {
    fn entries(&self) -> Vec<Reach> {
        let mut entries = self.0.entries.entries();
        entries.push(X::REACH);
        entries
    }
}

/// An entry of ours.
pub trait Known {
    /// What is known of it.
    const REACH: Reach;
}

impl<T> Known for Value<T> {
    const REACH: Reach = Reach { serves_every_error: true, cannot_fail: true };
}

const MAY_FAIL: Reach = Reach { serves_every_error: true, cannot_fail: false };

impl<F> Known for Call<F> {
    const REACH: Reach = MAY_FAIL;
}

impl<F> Known for CallWith<F> {
    const REACH: Reach = MAY_FAIL;
}

impl<F> Known for CallAsync<F> {
    const REACH: Reach = MAY_FAIL;
}

impl<F> Known for CallAsyncWith<F> {
    const REACH: Reach = MAY_FAIL;
}

impl<X: Known, P> Known for OnlyIf<X, P> {
    const REACH: Reach = Reach { serves_every_error: false, ..X::REACH };
}
