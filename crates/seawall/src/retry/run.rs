//! DRIVE: calls the operation and waits, as the decisions say.

use super::{
    Attempts, DefaultSleeper, Extras, NOTHING_ATTACHED, NoListener, OnRetry, RetryExecutor,
    RetryPolicy, Retrying, Settings, Sleeper, attempts::Next,
};
use crate::{
    error::{Error, ExhaustedReason, Rejection},
    event,
    policy::{BlockingPolicy, Policy},
    time::{Moment, Tick},
    verdict::{Classify, Verdict},
};
use std::{collections::VecDeque, time::Duration};

/// What an error means to a retry: the classifier reads the operation's, we read the policies'.
#[cold]
fn verdict<T, E>(settings: &Settings, by: &impl Classify<T, E>, error: &Error<E>) -> Verdict {
    match error {
        Error::Operation(error) => by.classify(Err(error)),
        Error::Rejected(Rejection::CircuitBreakerOpen(open)) if settings.retry_on_open => {
            Verdict::Transient { retry_after: open.retry_after().map(|wait| settings.fit(wait)) }
        }
        Error::Rejected(Rejection::CircuitBreakerOpen(_)) => Verdict::Permanent,
        Error::Rejected(Rejection::TimedOut { .. } | Rejection::Injected) => Verdict::TRANSIENT,
        // It ran out of nothing: it is what its last error is.
        Error::RetryExhausted(ended) if ended.reason() == ExhaustedReason::Permanent => {
            verdict(settings, by, ended.last())
        }
        Error::RetryExhausted(_) if settings.retry_on_exhausted => Verdict::TRANSIENT,
        Error::RetryExhausted(_) => Verdict::Permanent,
        Error::FallbackExhausted(all) => verdict(settings, by, all.primary()),
    }
}

impl Settings {
    /// What a breaker asks for, which is rounded up by a step of its clock: that step alone does not
    /// lift it over the limit.
    fn fit(&self, wait: Duration) -> Duration {
        let limit = self.max_retry_after;
        let step = Duration::from_millis(Tick::step());
        if wait.saturating_sub(step) <= limit { wait.min(limit) } else { wait }
    }
}

impl<C> RetryPolicy<C> {
    /// What an outcome means to this policy.
    #[inline]
    pub(super) fn verdict<T, E>(&self, outcome: Result<&T, &Error<E>>) -> Verdict
    where
        C: Classify<T, E>,
    {
        match outcome {
            Ok(value) => self.chosen.classify.classify(Ok(value)),
            Err(error) => verdict(&self.settings, &self.chosen.classify, error),
        }
    }
}

/// A policy, with or without what is attached to it: all that a driver asks for.
trait Source<T, E>: Send + Sync {
    type Classify: Classify<T, E>;

    fn policy(&self) -> &RetryPolicy<Self::Classify>;
    fn extras(&self) -> &Extras;
    fn listener(&self) -> &impl OnRetry<E>;

    /// Set only where a decision needs it: the good path reads no clock.
    fn started(&self) -> Option<Moment> {
        self.policy().settings.total_timeout.map(|_| Moment::now())
    }

    #[inline]
    fn verdict(&self, outcome: Result<&T, &Error<E>>) -> Verdict {
        self.policy().verdict(outcome)
    }

    fn first_success(&self) {
        if let Some(budget) = &self.extras().budget {
            budget.record_success(false);
        }
    }
}

impl<T, E, C: Classify<T, E>> Source<T, E> for RetryPolicy<C> {
    type Classify = C;

    fn policy(&self) -> &RetryPolicy<C> {
        self
    }

    fn extras(&self) -> &Extras {
        &NOTHING_ATTACHED
    }

    fn listener(&self) -> &impl OnRetry<E> {
        &NoListener
    }

    fn first_success(&self) {}
}

impl<T, E, C, L, S> Source<T, E> for RetryExecutor<C, L, S>
where
    C: Classify<T, E>,
    L: OnRetry<E>,
    S: Send + Sync,
{
    type Classify = C;

    fn policy(&self) -> &RetryPolicy<C> {
        self.policy()
    }

    fn extras(&self) -> &Extras {
        self.extras()
    }

    fn listener(&self) -> &impl OnRetry<E> {
        &self.listener
    }
}

/// A source that can wait in async code.
trait Waiting<T, E>: Source<T, E> {
    fn sleeper(&self) -> &impl Sleeper;
}

#[cfg(feature = "tokio")]
impl<T, E, C: Classify<T, E>> Waiting<T, E> for RetryPolicy<C> {
    fn sleeper(&self) -> &impl Sleeper {
        &DefaultSleeper
    }
}

impl<T, E, C, L, S> Waiting<T, E> for RetryExecutor<C, L, S>
where
    C: Classify<T, E>,
    L: OnRetry<E>,
    S: Sleeper,
{
    fn sleeper(&self) -> &impl Sleeper {
        &self.sleeper
    }
}

/// A call whose first attempt has not succeeded.
struct Call<'a, T, E, R: Source<T, E>> {
    source: &'a R,
    attempts: Attempts<'a, R::Classify>,
    earlier: VecDeque<Error<E>>,
}

/// What a driver does next.
enum Step<T, E> {
    Return(Result<T, Error<E>>),
    Wait(Duration),
}

impl<'a, T, E: 'static, R: Source<T, E>> Call<'a, T, E, R> {
    fn new(source: &'a R, started: Option<Moment>) -> Self {
        let attempts = Attempts::since(source.policy(), source.extras(), &DefaultSleeper, started);
        Self { source, attempts, earlier: VecDeque::new() }
    }

    fn settle(&mut self, outcome: Result<T, Error<E>>, verdict: Verdict) -> Step<T, E> {
        let next = self.attempts.next(verdict);
        let error = outcome.as_ref().err();
        if let Next::RetryAfter(delay) = next {
            let max_attempts = self.source.policy().settings.max_attempts;
            let retry = Retrying::new((self.attempts.made(), max_attempts), delay, error);
            event::guarded(|| self.source.listener().on_retry(retry));
        }
        self.attempts.tell(next, error);
        match next {
            Next::Done if self.earlier.is_empty() => Step::Return(outcome),
            Next::Done => Step::Return(
                outcome.map_err(|last| self.exhausted(ExhaustedReason::Permanent, last)),
            ),
            Next::GiveUp(reason) => {
                Step::Return(outcome.map_err(|last| self.exhausted(reason, last)))
            }
            Next::RetryAfter(delay) => {
                self.keep(outcome);
                Step::Wait(delay)
            }
        }
    }

    fn exhausted(&mut self, reason: ExhaustedReason, last: Error<E>) -> Error<E> {
        self.attempts.exhausted(reason, last, std::mem::take(&mut self.earlier).into())
    }

    fn keep(&mut self, outcome: Result<T, Error<E>>) {
        let most = usize::from(self.source.policy().settings.keep_errors);
        if let (Err(error), 1..) = (outcome, most) {
            if self.earlier.len() == most {
                self.earlier.pop_front();
            }
            self.earlier.push_back(error);
        }
    }
}

/// The async driver. The first attempt runs in place; what follows a failure is boxed, so that the
/// hot future stays small.
fn drive<'a, T, E, R, F, Fut>(
    source: &'a R,
    op: F,
) -> impl Future<Output = Result<T, Error<E>>> + Send + use<'a, T, E, R, F, Fut>
where
    T: Send,
    E: Send + 'static,
    R: Waiting<T, E>,
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, Error<E>>> + Send,
{
    async move {
        // A scope of its own: what is borrowed in it is not kept over the await behind it.
        let more = {
            let started = source.started();
            // By arms: a value is not to be copied through memory only since some error might be.
            let outcome = match op().await {
                Ok(value) => match source.verdict(Ok(&value)) {
                    Verdict::Success => {
                        source.first_success();
                        return Ok(value);
                    }
                    verdict => (Ok(value), verdict),
                },
                Err(error) => {
                    let verdict = source.verdict(Err(&error));
                    (Err(error), verdict)
                }
            };
            Box::pin(again(source, &op, started, outcome))
        };
        more.await
    }
}

#[cold]
async fn again<T, E, R, F, Fut>(
    source: &R,
    op: &F,
    started: Option<Moment>,
    (mut outcome, mut verdict): (Result<T, Error<E>>, Verdict),
) -> Result<T, Error<E>>
where
    T: Send,
    E: Send + 'static,
    R: Waiting<T, E>,
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, Error<E>>> + Send,
{
    let mut call = Call::new(source, started);
    loop {
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => return outcome,
            Step::Wait(delay) => wait(source.sleeper(), delay, call.attempts.made()).await,
        }
        outcome = op().await;
        verdict = source.verdict(outcome.as_ref());
    }
}

/// The blocking driver.
fn drive_blocking<T, E, R, F>(source: &R, op: F) -> Result<T, Error<E>>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Result<T, Error<E>>,
{
    let started = source.started();
    let outcome = match op() {
        Ok(value) => match source.verdict(Ok(&value)) {
            Verdict::Success => {
                source.first_success();
                return Ok(value);
            }
            verdict => (Ok(value), verdict),
        },
        Err(error) => {
            let verdict = source.verdict(Err(&error));
            (Err(error), verdict)
        }
    };
    again_blocking(source, op, started, outcome)
}

#[cold]
fn again_blocking<T, E, R, F>(
    source: &R,
    op: F,
    started: Option<Moment>,
    (mut outcome, mut verdict): (Result<T, Error<E>>, Verdict),
) -> Result<T, Error<E>>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Result<T, Error<E>>,
{
    let mut call = Call::new(source, started);
    loop {
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => return outcome,
            Step::Wait(delay) => source.extras().sleep_blocking(delay),
        }
        outcome = op();
        verdict = source.verdict(outcome.as_ref());
    }
}

/// A delay of zero is no wait: no timer, and after a few of them other tasks get a turn.
pub(super) async fn wait(sleeper: &impl Sleeper, delay: Duration, made: u64) {
    if !delay.is_zero() {
        sleeper.sleep(delay).await;
    } else if made % 8 == 0 {
        crate::time::yield_now().await;
    }
}

#[cfg(feature = "tokio")]
impl<T, E, C> Policy<T, E> for RetryPolicy<C>
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
        drive(self, op)
    }
}

impl<T, E: 'static, C: Classify<T, E>> BlockingPolicy<T, E> for RetryPolicy<C> {
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        drive_blocking(self, op)
    }
}

impl<T, E, C, L, S> Policy<T, E> for RetryExecutor<C, L, S>
where
    T: Send,
    E: Send + 'static,
    C: Classify<T, E>,
    L: OnRetry<E>,
    S: Sleeper,
{
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        drive(self, op)
    }
}

impl<T, E, C, L, S> BlockingPolicy<T, E> for RetryExecutor<C, L, S>
where
    E: 'static,
    C: Classify<T, E>,
    L: OnRetry<E>,
    S: Send + Sync,
{
    fn call_blocking<F>(&self, op: F) -> Result<T, Error<E>>
    where
        F: Fn() -> Result<T, Error<E>>,
    {
        drive_blocking(self, op)
    }
}
