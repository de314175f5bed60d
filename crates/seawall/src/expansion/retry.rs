//! `#[retry]`: a call's way through its attempts, which the expansion's own loop makes.

use super::kind::Finds;
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

/// One call. Small and idle until something fails. It is moved from step to step, on every way through
/// them: so it need not be in memory on the good path, nor a flag that says whether it is to be dropped.
///
/// `P` gives the policy: a closure that captures nothing where that is a constant, so that what is
/// asked of it on the good path is known when the program is built.
pub struct RetryCall<'a, T, E, R: Source<T, E>, P> {
    policy: P,
    started: Option<Moment>,
    cold: Option<Box<Call<'a, T, E, R>>>,
}

impl<'a, T, E: 'static, R: Source<T, E>, P: Fn() -> &'a R> RetryCall<'a, T, E, R, P> {
    /// A call under what `policy` gives.
    #[inline(always)]
    pub fn new(policy: P) -> Self {
        let source = policy();
        let started = source.settings().started();
        let mock = scope::retry_mock();
        let cold = mock.map(|mock| Box::new(Call::new(source, started, Some(mock))));
        Self { policy, started, cold }
    }

    /// The failure that a test has put in the place of the next attempt.
    #[inline(always)]
    pub fn injected(&self) -> Option<Error<E>> {
        if !scope::CAN_MOCK {
            return None;
        }
        self.cold.as_ref()?.injected()
    }

    /// The call, unless it ends with `value`, its first outcome: then that is all.
    #[inline(always)]
    pub fn unless_ended_by(self, value: &T) -> Option<Self> {
        let source = (self.policy)();
        if self.cold.is_none() && source.verdict(Ok(value)) == Verdict::Success {
            source.first_success();
            return None;
        }
        Some(self)
    }

    /// What follows an attempt that ended otherwise. `F` sees a breaker's rejection inside a plain
    /// error.
    #[cold]
    pub fn settle<F: Finds<E>>(
        mut self,
        outcome: Result<T, Error<E>>,
        _: F,
    ) -> Settled<'a, T, E, R, P> {
        let (source, started) = ((self.policy)(), self.started);
        let verdict = match &outcome {
            Err(Error::Operation(error)) => match F::open_in(error) {
                Some(open) => source.verdict(Err(&Error::Rejected(open.into()))),
                None => source.verdict(outcome.as_ref()),
            },
            _ => source.verdict(outcome.as_ref()),
        };
        let call = self.cold.get_or_insert_with(|| Box::new(Call::new(source, started, None)));
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => ControlFlow::Break(outcome),
            Step::Wait(delay) => ControlFlow::Continue(Pause { call: self, delay }),
        }
    }

    fn made(&self) -> u64 {
        self.cold.as_ref().map_or(0, |call| call.made())
    }

    fn is_mocked(&self) -> bool {
        self.cold.as_ref().is_some_and(|call| call.is_mocked())
    }
}

/// The end of a call, or the pause before its next attempt.
type Settled<'a, T, E, R, P> = ControlFlow<Result<T, Error<E>>, Pause<'a, T, E, R, P>>;

/// A call between two attempts.
pub struct Pause<'a, T, E, R: Source<T, E>, P> {
    call: RetryCall<'a, T, E, R, P>,
    delay: Duration,
}

impl<'a, T, E: 'static, R: Source<T, E>, P: Fn() -> &'a R> Pause<'a, T, E, R, P> {
    /// Waits, and gives the call back.
    pub fn wait(self) -> impl Future<Output = RetryCall<'a, T, E, R, P>> + use<'a, T, E, R, P>
    where
        R: Waiting<T, E>,
    {
        let Self { call, delay } = self;
        // Boxed: the future of every call would be as large as a timer, for the few that wait.
        Box::pin(async move {
            let source = (call.policy)();
            run::wait(source.sleeper(), delay, call.made(), call.is_mocked()).await;
            call
        })
    }

    /// Blocks, and gives the call back.
    pub fn wait_blocking(self) -> RetryCall<'a, T, E, R, P> {
        (self.call.policy)().extras().sleep_blocking(self.delay, self.call.is_mocked());
        self.call
    }
}

impl<T, E, R: Source<T, E>, P> fmt::Debug for Pause<'_, T, E, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pause").field("delay", &self.delay).finish_non_exhaustive()
    }
}

impl<T, E, R: Source<T, E>, P> fmt::Debug for RetryCall<'_, T, E, R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryCall").finish_non_exhaustive()
    }
}
