//! `#[retry]`: a call's way through its attempts, which the expansion's own loop makes.

use super::kind::Finder;
#[cfg(feature = "tokio")]
use crate::retry::DefaultSleeper;
use crate::{
    error::Error,
    retry::{
        Extras, OnRetry, RetryExecutor, RetryPolicy,
        run::{self, Call, Source, Step, Waiting},
        settings::Settings,
    },
    scope,
    time::Moment,
    verdict::{Classify, Verdict},
};
use std::{
    fmt,
    ops::ControlFlow,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// A policy made of a macro's options.
#[derive(Debug)]
pub struct InlineRetry<'a, C, L> {
    settings: &'a Settings,
    classify: C,
    extras: &'a Extras,
    listener: L,
}

impl<'a, C, L> InlineRetry<'a, C, L> {
    /// `policy` with hooks in place of its own.
    pub const fn new(
        policy: &'a RetryPolicy,
        classify: C,
        extras: &'a Extras,
        listener: L,
    ) -> Self {
        Self { settings: &policy.settings, classify, extras, listener }
    }
}

impl<'a, C, L> InlineRetry<'a, &'a C, L> {
    /// `policy` with its own hooks.
    pub const fn of(policy: &'a RetryPolicy<C>, extras: &'a Extras, listener: L) -> Self {
        Self { settings: &policy.settings, classify: &policy.chosen.classify, extras, listener }
    }
}

impl<T, E, C: Classify<T, E>, L: OnRetry<E>> Source<T, E> for InlineRetry<'_, C, L> {
    type Classify = C;
    type Listener = L;

    fn settings(&self) -> &Settings {
        self.settings
    }

    fn classify(&self) -> &C {
        &self.classify
    }

    fn extras(&self) -> &Extras {
        self.extras
    }

    fn listener(&self) -> &L {
        &self.listener
    }
}

#[cfg(feature = "tokio")]
impl<T, E, C: Classify<T, E>, L: OnRetry<E>> Waiting<T, E> for InlineRetry<'_, C, L> {
    type Sleeper = DefaultSleeper;

    fn sleeper(&self) -> &DefaultSleeper {
        &DefaultSleeper
    }
}

/// What can be named as a function's retry policy.
#[diagnostic::on_unimplemented(
    message = "`policy` of a retry must be a `RetryPolicy` or a `RetryExecutor`, not `{Self}`",
    label = "not a retry policy",
    note = "a static, a reference, an `Arc` or a `LazyLock` of one will do"
)]
pub trait Retry {
    /// What decides.
    type Source;

    /// The policy.
    fn source(&self) -> &Self::Source;
}

impl<C> Retry for RetryPolicy<C> {
    type Source = Self;

    fn source(&self) -> &Self {
        self
    }
}

impl<C, L, S> Retry for RetryExecutor<C, L, S> {
    type Source = Self;

    fn source(&self) -> &Self {
        self
    }
}

macro_rules! forward {
    ($([$($generics:tt)*] $holder:ty),+ $(,)?) => {$(
        #[diagnostic::do_not_recommend]
        impl<R: Retry, $($generics)*> Retry for $holder {
            type Source = R::Source;

            fn source(&self) -> &R::Source {
                (**self).source()
            }
        }
    )+};
}

forward!([] &R, [] Arc<R>, [] Box<R>, [F: FnOnce() -> R] LazyLock<R, F>);

/// The policy that `policy` names.
pub fn named<R: Retry<Source = S>, S>(policy: &R) -> &S {
    policy.source()
}

/// One call. Small and idle until something fails.
pub struct RetryCall<'a, T, E, R: Source<T, E>> {
    source: &'a R,
    finder: Finder<E>,
    started: Option<Moment>,
    cold: Option<Box<Call<'a, T, E, R>>>,
}

impl<'a, T, E: 'static, R: Source<T, E>> RetryCall<'a, T, E, R> {
    /// A call under `source`. `finder` sees a breaker's rejection inside a plain error.
    #[inline(always)]
    pub fn new(source: &'a R, finder: Finder<E>) -> Self {
        let started = source.settings().started();
        let mock = scope::retry_mock();
        let cold = mock.map(|mock| Box::new(Call::new(source, started, Some(mock))));
        Self { source, finder, started, cold }
    }

    /// What follows an attempt that a test has put in the place of the next one.
    #[inline(always)]
    pub fn injected(&mut self) -> Option<ControlFlow<Result<T, Error<E>>, Duration>> {
        let error = self.cold.as_ref()?.injected()?;
        Some(self.settle(Err(error)))
    }

    /// Whether the call ends with `value`, its first outcome: then that is all.
    #[inline(always)]
    pub fn ends_with(&self, value: &T) -> bool {
        let ends = self.cold.is_none() && self.source.verdict(Ok(value)) == Verdict::Success;
        if ends {
            self.source.first_success();
        }
        ends
    }

    /// What follows an attempt that ended otherwise.
    #[cold]
    pub fn settle(
        &mut self,
        outcome: Result<T, Error<E>>,
    ) -> ControlFlow<Result<T, Error<E>>, Duration> {
        let verdict = match &outcome {
            Err(Error::Operation(error)) => match (self.finder)(error) {
                Some(open) => self.source.verdict(Err(&Error::Rejected(open.into()))),
                None => self.source.verdict(outcome.as_ref()),
            },
            _ => self.source.verdict(outcome.as_ref()),
        };
        let (source, started) = (self.source, self.started);
        let call = self.cold.get_or_insert_with(|| Box::new(Call::new(source, started, None)));
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => ControlFlow::Break(outcome),
            Step::Wait(delay) => ControlFlow::Continue(delay),
        }
    }

    /// Waits before the next attempt.
    pub fn wait(&self, delay: Duration) -> impl Future<Output = ()> + use<'a, T, E, R>
    where
        R: Waiting<T, E>,
    {
        let (source, made, mocked) = (self.source, self.made(), self.is_mocked());
        // Boxed: the future of every call would be as large as a timer, for the few that wait.
        Box::pin(async move { run::wait(source.sleeper(), delay, made, mocked).await })
    }

    /// Blocks before the next attempt.
    pub fn wait_blocking(&self, delay: Duration) {
        self.source.extras().sleep_blocking(delay, self.is_mocked());
    }

    fn made(&self) -> u64 {
        self.cold.as_ref().map_or(0, |call| call.made())
    }

    fn is_mocked(&self) -> bool {
        self.cold.as_ref().is_some_and(|call| call.is_mocked())
    }
}

impl<T, E, R: Source<T, E>> fmt::Debug for RetryCall<'_, T, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryCall").finish_non_exhaustive()
    }
}
