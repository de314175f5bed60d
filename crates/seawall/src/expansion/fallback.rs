//! `#[fallback]`: the answers that are tried one after the other.

use super::kind::Returns;
use crate::{
    error::{Error, FallbackExhaustedError},
    event::{self, Event},
    fallback::{Answer, AnswerBlocking, FallbackChain, IntoOutcome},
    setting::Name,
};
use std::{future, marker::PhantomData};

/// What an entry gives: a value, a `Result`, or a future of either. The marker is inferred.
#[diagnostic::on_unimplemented(
    message = "an entry of a fallback for `Result<{T}, {E}>` cannot give `{Self}`",
    label = "not an answer of this function",
    note = "give a `{T}`, a `Result<{T}, {E}>`, or a future of either"
)]
pub trait Entry<T, E, M> {
    /// The answer.
    fn answer(self) -> impl Future<Output = Result<T, Error<E>>>;
}

/// What an entry gives in a blocking function.
#[diagnostic::on_unimplemented(
    message = "an entry of a fallback for `Result<{T}, {E}>` in a blocking function cannot give `{Self}`",
    label = "not an answer of this function",
    note = "give a `{T}` or a `Result<{T}, {E}>`; a future can only be awaited in an `async fn`"
)]
pub trait EntryBlocking<T, E> {
    /// The answer.
    ///
    /// # Errors
    /// What the entry failed with.
    fn answer(self) -> Result<T, Error<E>>;
}

#[diagnostic::do_not_recommend]
impl<T, E, X: IntoOutcome<T, E>> EntryBlocking<T, E> for X {
    fn answer(self) -> Result<T, Error<E>> {
        self.into_outcome()
    }
}

/// Marks answers that are there at once.
#[derive(Debug)]
pub struct Now;

/// Marks answers that have to be waited for.
#[derive(Debug)]
pub struct Later;

#[diagnostic::do_not_recommend]
impl<T, E, X: IntoOutcome<T, E>> Entry<T, E, Now> for X {
    fn answer(self) -> impl Future<Output = Result<T, Error<E>>> {
        future::ready(self.into_outcome())
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, F: Future<Output: IntoOutcome<T, E>>> Entry<T, E, Later> for F {
    async fn answer(self) -> Result<T, Error<E>> {
        self.await.into_outcome()
    }
}

/// Calls an entry that sees the error; a closure learns the error's type by it.
pub fn see<'e, E: ?Sized, R>(error: &'e E, entry: impl FnOnce(&'e E) -> R) -> R {
    entry(error)
}

/// The entries that failed so far.
#[derive(Debug)]
pub struct Failed<T, E> {
    name: &'static str,
    errors: Vec<Error<E>>,
    value: PhantomData<fn() -> T>,
}

impl<T, E> Failed<T, E> {
    /// None yet, of a function that returns `R` and failed with `primary`: entries are held to its
    /// type, and do not make it.
    pub fn of<R: Returns<Value = T>>(name: &'static str, primary: &Error<E>) -> Self {
        let _ = primary;
        Self { name, errors: Vec::new(), value: PhantomData }
    }

    /// The entry's answer, or none and one more that failed.
    pub async fn try_entry<M, X: Entry<T, E, M>>(&mut self, entry: X) -> Option<T> {
        let answer = entry.answer().await;
        self.note(answer)
    }

    /// The same for blocking code.
    pub fn try_entry_blocking<X: EntryBlocking<T, E>>(&mut self, entry: X) -> Option<T> {
        self.note(entry.answer())
    }

    fn note(&mut self, answer: Result<T, Error<E>>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// An entry has answered in place of `primary`.
    pub fn used(&self, primary: &Error<E>) {
        let name = Name::literal(self.name);
        let (entry, error_type) = (self.errors.len() + 1, event::error_type(primary));
        event::tell(&Event::FallbackUsed { name: Some(&name), entry, error_type }, &[]);
    }

    /// No entry has answered.
    pub fn exhausted(self, primary: Error<E>) -> Error<E> {
        if self.errors.is_empty() {
            return primary;
        }
        let name = Name::literal(self.name);
        let (tried, error_type) = (self.errors.len(), event::error_type(&primary));
        event::tell(&Event::FallbackExhausted { name: Some(&name), tried, error_type }, &[]);
        Error::FallbackExhausted(FallbackExhaustedError::new(primary, self.errors))
    }
}

/// What an existing chain makes of `primary`.
///
/// # Errors
/// The primary's error, or all of them.
pub async fn cover<T: Send, E: Send, L: Answer<T, E>>(
    chain: &FallbackChain<L>,
    primary: Error<E>,
) -> Result<T, Error<E>> {
    chain.answer(primary).await
}

/// The same for blocking code.
///
/// # Errors
/// The primary's error, or all of them.
pub fn cover_blocking<T, E, L: AnswerBlocking<T, E>>(
    chain: &FallbackChain<L>,
    primary: Error<E>,
) -> Result<T, Error<E>> {
    chain.answer_blocking(primary)
}
