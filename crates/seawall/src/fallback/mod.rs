//! Fallback: an answer in the operation's place when it fails.
//!
//! Entries are tried in order until one succeeds: a cache, a second service, a default. An exhausted
//! chain gives every error.
//!
//! # When not to use it
//! Where a wrong answer is worse than none: a default balance, a stale permission. And not inside a
//! retry or a breaker, which would then see nothing but success.
//!
//! ```
//! use seawall::FallbackChain;
//!
//! fn from_cache() -> Result<String, std::io::Error> {
//!     Err(std::io::Error::other("cold"))
//! }
//!
//! async fn from_backup() -> Result<String, std::io::Error> {
//!     Ok("backup".to_owned())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let chain = FallbackChain::new()
//!     .call(from_cache)
//!     .call_async(from_backup)
//!     .value("default".to_owned());
//!
//! let answer = chain.run(async || Err(std::io::Error::other("down"))).await;
//! assert_eq!(answer.unwrap(), "backup");
//! # }
//! ```
//!
//! # Defaults
//! An empty chain; every entry serves every error, rejections and exhausted retries included.
//!
//! # Cancellation, panics
//! Dropping the future drops whatever runs, the operation or a fallback. A panic of either passes on.
//!
//! # Events
//! [`FallbackUsed`](crate::Event::FallbackUsed), [`FallbackExhausted`](crate::Event::FallbackExhausted).

mod entries;
mod run;

pub use entries::{
    Answer, AnswerBlocking, Call, CallAsync, CallAsyncWith, CallWith, Entry, EntryBlocking,
    IntoOutcome, OnlyIf, Then, Tries, Value,
};

use crate::{
    describe::{Describe, Facts, Layer},
    error::Error,
    policy::inherent_ways_to_run,
    setting::{Name, SettingValue},
};

/// Answers that are tried in order when the operation fails. See the [module](self).
///
/// Typed by its entries: nothing is boxed. `L` is made by the methods and rarely named.
#[derive(Debug, Clone, Copy, Default)]
pub struct FallbackChain<L = ()> {
    name: Option<&'static str>,
    entries: L,
}

impl FallbackChain {
    /// The empty chain: errors pass through it.
    pub const fn new() -> Self {
        Self { name: None, entries: () }
    }
}

// A chain is moved whole into the longer one: a const fn cannot take apart what may need dropping.
impl<L> FallbackChain<L> {
    /// The name in events. Default: none.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Adds a value, cloned for each use.
    #[must_use]
    pub const fn value<T: Clone>(self, value: T) -> FallbackChain<Then<Self, Value<T>>> {
        FallbackChain { name: self.name, entries: Then(self, Value(value)) }
    }

    /// Adds a function. It gives a value, a `Result<T, E>`, or what a protected call gives.
    #[must_use]
    pub const fn call<F, R>(self, f: F) -> FallbackChain<Then<Self, Call<F>>>
    where
        F: Fn() -> R,
    {
        FallbackChain { name: self.name, entries: Then(self, Call(f)) }
    }

    /// Adds a function that sees the error: `.call_with(|error: &Error<ApiError>| ..)`.
    #[must_use]
    pub const fn call_with<E, F, R>(self, f: F) -> FallbackChain<Then<Self, CallWith<F>>>
    where
        F: Fn(&Error<E>) -> R,
    {
        FallbackChain { name: self.name, entries: Then(self, CallWith(f)) }
    }

    /// Adds an async function. Blocking code cannot use the chain then.
    #[must_use]
    pub const fn call_async<F, Fut>(self, f: F) -> FallbackChain<Then<Self, CallAsync<F>>>
    where
        F: Fn() -> Fut,
        Fut: Future,
    {
        FallbackChain { name: self.name, entries: Then(self, CallAsync(f)) }
    }

    /// Adds an async function that sees the error. Its future cannot borrow from the error: take
    /// what it needs before the `async move` block.
    #[must_use]
    pub const fn call_async_with<E, F, Fut>(
        self,
        f: F,
    ) -> FallbackChain<Then<Self, CallAsyncWith<F>>>
    where
        F: Fn(&Error<E>) -> Fut,
        Fut: Future,
    {
        FallbackChain { name: self.name, entries: Then(self, CallAsyncWith(f)) }
    }
}

impl<C, X> FallbackChain<Then<C, X>> {
    /// Limits the entry added last to errors for which `applies` holds.
    ///
    /// ```
    /// use seawall::{Error, FallbackChain, Rejection};
    ///
    /// let chain = FallbackChain::new()
    ///     .value("cached")
    ///     .only_if(|error: &Error<String>| error.rejection().is_some());
    ///
    /// let failed = chain.run_blocking(|| Err("no such page".to_owned()));
    /// assert_eq!(failed, Err(Error::Operation("no such page".to_owned())));
    /// ```
    #[must_use]
    pub fn only_if<E, P>(self, applies: P) -> FallbackChain<Then<C, OnlyIf<X, P>>>
    where
        P: Fn(&Error<E>) -> bool,
    {
        let Self { name, entries: Then(before, entry) } = self;
        FallbackChain { name, entries: Then(before, OnlyIf(entry, applies)) }
    }
}

impl<L: entries::Count> Describe for FallbackChain<L> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        let entries = self.entries.entries();
        let last = entries.iter().position(|entry| entry.serves_every_error && entry.cannot_fail);
        let facts = Facts::Fallback {
            catches_all: entries.iter().any(|entry| entry.serves_every_error),
            never_fails: last.is_some(),
            unreachable: last.map(|last| last + 2).filter(|first| *first <= entries.len()),
            empty: entries.is_empty(),
        };
        let count = SettingValue::Integer(entries.len() as u64);
        layers.push(
            Layer::new("fallback", facts)
                .named(self.name.map(Name::literal))
                .setting("entries", count),
        );
    }
}

inherent_ways_to_run!([] run run_blocking, impl [L] FallbackChain<L>);
