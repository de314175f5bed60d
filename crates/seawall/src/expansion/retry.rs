//! `#[retry]`: a call's way through its attempts, which the expansion's own loop makes.

use super::kind::Finder;
#[cfg(feature = "tokio")]
use crate::retry::DefaultSleeper;
use crate::{
    error::Error,
    retry::{
        Extras, OnRetry, RetryPolicy,
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

macro_rules! forward {
    ($([$($generics:tt)*] $holder:ty),+ $(,)?) => {$(
        impl<T, E, R: Source<T, E>, $($generics)*> Source<T, E> for $holder {
            type Classify = R::Classify;
            type Listener = R::Listener;

            fn settings(&self) -> &Settings {
                (**self).settings()
            }

            fn classify(&self) -> &R::Classify {
                (**self).classify()
            }

            fn extras(&self) -> &Extras {
                (**self).extras()
            }

            fn listener(&self) -> &R::Listener {
                (**self).listener()
            }
        }

        impl<T, E, R: Waiting<T, E>, $($generics)*> Waiting<T, E> for $holder {
            type Sleeper = R::Sleeper;

            fn sleeper(&self) -> &R::Sleeper {
                (**self).sleeper()
            }
        }
    )+};
}

forward!([] &R, [] Arc<R>, [] Box<R>, [F: FnOnce() -> R] LazyLock<R, F>);

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
        Some(self.settle_cold(Err(error)))
    }

    /// What follows an attempt that ended so.
    #[inline(always)]
    pub fn settle(
        &mut self,
        outcome: Result<T, Error<E>>,
    ) -> ControlFlow<Result<T, Error<E>>, Duration> {
        match outcome {
            Ok(value) if self.cold.is_none() => match self.source.verdict(Ok(&value)) {
                Verdict::Success => {
                    self.source.first_success();
                    ControlFlow::Break(Ok(value))
                }
                _ => self.settle_cold(Ok(value)),
            },
            outcome => self.settle_cold(outcome),
        }
    }

    #[cold]
    fn settle_cold(
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
        let (source, made) = (self.source, self.made());
        // Boxed: the future of every call would be as large as a timer, for the few that wait.
        Box::pin(async move { run::wait(source.sleeper(), delay, made).await })
    }

    /// Blocks before the next attempt.
    pub fn wait_blocking(&self, delay: Duration) {
        self.source.extras().sleep_blocking(delay);
    }

    fn made(&self) -> u64 {
        self.cold.as_ref().map_or(0, |call| call.made())
    }
}

impl<T, E, R: Source<T, E>> fmt::Debug for RetryCall<'_, T, E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryCall").finish_non_exhaustive()
    }
}
