//! DRIVE: calls the operation and waits, as the decisions say.

use super::{
    Attempts, DefaultSleeper, Extras, NOTHING_ATTACHED, NoListener, OnRetry, RetryExecutor,
    RetryPolicy, Retrying, Settings, Sleeper, attempts::Next,
};
use crate::{
    error::{Error, ExhaustedReason, Rejection},
    event,
    policy::{BlockingPolicy, Policy},
    scope::{self, RetryMock},
    time::{Moment, Tick},
    verdict::{Classify, Verdict},
};
use std::{collections::VecDeque, time::Duration};

/// What an outcome means to a retry.
#[inline]
pub(crate) fn verdict<T, E>(
    settings: &Settings,
    by: &impl Classify<T, E>,
    outcome: Result<&T, &Error<E>>,
) -> Verdict {
    match outcome {
        Ok(value) => by.classify(Ok(value)),
        Err(error) => of_error(settings, by, error),
    }
}

/// The classifier reads the operation's errors, we read the policies'.
#[cold]
fn of_error<T, E>(settings: &Settings, by: &impl Classify<T, E>, error: &Error<E>) -> Verdict {
    match error {
        Error::Operation(error) => by.classify(Err(error)),
        Error::Rejected(Rejection::CircuitBreakerOpen(open)) if settings.retry_on_open => {
            Verdict::Transient { retry_after: open.retry_after().map(|wait| settings.fit(wait)) }
        }
        Error::Rejected(Rejection::CircuitBreakerOpen(_)) => Verdict::Permanent,
        Error::Rejected(Rejection::TimedOut { .. } | Rejection::Injected) => Verdict::TRANSIENT,
        // It ran out of nothing: it is what its last error is.
        Error::RetryExhausted(ended) if ended.reason() == ExhaustedReason::Permanent => {
            of_error(settings, by, ended.last())
        }
        Error::RetryExhausted(_) if settings.retry_on_exhausted => Verdict::TRANSIENT,
        Error::RetryExhausted(_) => Verdict::Permanent,
        Error::FallbackExhausted(all) => of_error(settings, by, all.primary()),
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

/// Decisions with all that is attached to them: what a driver asks for.
pub trait Source<T, E> {
    /// Reads the outcomes.
    type Classify: Classify<T, E>;
    /// Hears of retries.
    type Listener: OnRetry<E>;

    /// What is decided by.
    fn settings(&self) -> &Settings;
    /// What reads the outcomes.
    fn classify(&self) -> &Self::Classify;
    /// What is attached, whatever the error's type.
    fn extras(&self) -> &Extras;
    /// Who hears of retries.
    fn listener(&self) -> &Self::Listener;

    /// What an outcome means.
    #[inline]
    fn verdict(&self, outcome: Result<&T, &Error<E>>) -> Verdict {
        verdict(self.settings(), self.classify(), outcome)
    }

    /// Takes note of a call that succeeded at once.
    #[inline]
    fn first_success(&self) {
        if let Some(budget) = &self.extras().budget {
            budget.record_success(false);
        }
    }
}

impl<T, E, C: Classify<T, E>> Source<T, E> for RetryPolicy<C> {
    type Classify = C;
    type Listener = NoListener;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn classify(&self) -> &C {
        &self.chosen.classify
    }

    fn extras(&self) -> &Extras {
        &NOTHING_ATTACHED
    }

    fn listener(&self) -> &NoListener {
        &NoListener
    }

    fn first_success(&self) {}
}

impl<T, E, C, L, S> Source<T, E> for RetryExecutor<C, L, S>
where
    C: Classify<T, E>,
    L: OnRetry<E>,
{
    type Classify = C;
    type Listener = L;

    fn settings(&self) -> &Settings {
        &self.policy().settings
    }

    fn classify(&self) -> &C {
        &self.policy().chosen.classify
    }

    fn extras(&self) -> &Extras {
        self.extras()
    }

    fn listener(&self) -> &L {
        &self.listener
    }
}

/// A source that can wait in async code.
pub trait Waiting<T, E>: Source<T, E> {
    /// Waits.
    type Sleeper: Sleeper;

    /// What waits.
    fn sleeper(&self) -> &Self::Sleeper;
}

#[cfg(feature = "tokio")]
impl<T, E, C: Classify<T, E>> Waiting<T, E> for RetryPolicy<C> {
    type Sleeper = DefaultSleeper;

    fn sleeper(&self) -> &DefaultSleeper {
        &DefaultSleeper
    }
}

impl<T, E, C, L, S> Waiting<T, E> for RetryExecutor<C, L, S>
where
    C: Classify<T, E>,
    L: OnRetry<E>,
    S: Sleeper,
{
    type Sleeper = S;

    fn sleeper(&self) -> &S {
        &self.sleeper
    }
}

/// A call whose first attempt has not succeeded, or is a mock's.
pub(crate) struct Call<'a, T, E, R: Source<T, E> + ?Sized> {
    source: &'a R,
    attempts: Attempts<'a, R::Classify>,
    earlier: VecDeque<Error<E>>,
}

/// What a driver does next.
pub(crate) enum Step<T, E> {
    Return(Result<T, Error<E>>),
    Wait(Duration),
}

impl<'a, T, E: 'static, R: Source<T, E> + ?Sized> Call<'a, T, E, R> {
    pub(crate) fn new(source: &'a R, started: Option<Moment>, mock: Option<RetryMock>) -> Self {
        let decide = (source.settings(), source.classify());
        let limit = mock.as_ref().and_then(RetryMock::begin);
        let mut attempts = Attempts::since(decide, source.extras(), &DefaultSleeper, started, mock);
        if let Some(max_attempts) = limit {
            attempts.limit(max_attempts);
        }
        Self { source, attempts, earlier: VecDeque::new() }
    }

    pub(crate) fn made(&self) -> u64 {
        self.attempts.made()
    }

    /// Asks the mock, if there is one, whether the attempt that would begin now is to fail.
    pub(crate) fn injected(&self) -> Option<Error<E>> {
        self.attempts.mock().and_then(RetryMock::attempt)
    }

    /// Whether a mock stands in for it, so that nobody waits.
    pub(crate) fn is_mocked(&self) -> bool {
        self.attempts.mock().is_some()
    }

    pub(crate) fn settle(&mut self, outcome: Result<T, Error<E>>, verdict: Verdict) -> Step<T, E> {
        let next = self.attempts.next(verdict);
        let error = outcome.as_ref().err();
        if let Next::RetryAfter(delay) = next {
            let attempt = (self.attempts.made(), self.attempts.max_attempts());
            let retry = Retrying::new(attempt, delay, error);
            event::guarded(|| self.source.listener().on_retry(retry));
        }
        self.attempts.tell(next, error);
        match next {
            Next::Done if self.earlier.is_empty() => Step::Return(outcome),
            Next::Done => {
                self.attempts.note_age();
                let reason = ExhaustedReason::Permanent;
                Step::Return(outcome.map_err(|last| self.exhausted(reason, last)))
            }
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
        let most = usize::from(self.source.settings().keep_errors);
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
    R: Waiting<T, E> + Send + Sync,
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, Error<E>>> + Send,
{
    async move {
        // A scope of its own: what is borrowed in it is not kept over the await behind it.
        let more = 'more: {
            let started = source.settings().started();
            if let Some(mock) = scope::retry_mock() {
                break 'more Box::pin(again(Call::new(source, started, Some(mock)), &op, None));
            }
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
            Box::pin(again(Call::new(source, started, None), &op, Some(outcome)))
        };
        more.await
    }
}

/// An outcome that was seen already, with its verdict.
type Seen<T, E> = Option<(Result<T, Error<E>>, Verdict)>;

#[cold]
async fn again<T, E, R, F, Fut>(
    mut call: Call<'_, T, E, R>,
    op: &F,
    mut seen: Seen<T, E>,
) -> Result<T, Error<E>>
where
    T: Send,
    E: Send + 'static,
    R: Waiting<T, E> + Send + Sync,
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, Error<E>>> + Send,
{
    loop {
        let (outcome, verdict) = match seen.take() {
            Some(first) => first,
            None => {
                let outcome = match call.injected() {
                    Some(error) => Err(error),
                    None => op().await,
                };
                let verdict = call.source.verdict(outcome.as_ref());
                (outcome, verdict)
            }
        };
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => return outcome,
            Step::Wait(delay) => {
                wait(call.source.sleeper(), delay, call.made(), call.is_mocked()).await;
            }
        }
    }
}

/// The blocking driver.
fn drive_blocking<T, E, R, F>(source: &R, op: F) -> Result<T, Error<E>>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Result<T, Error<E>>,
{
    let started = source.settings().started();
    if let Some(mock) = scope::retry_mock() {
        return again_blocking(Call::new(source, started, Some(mock)), op, None);
    }
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
    again_blocking(Call::new(source, started, None), op, Some(outcome))
}

#[cold]
fn again_blocking<T, E, R, F>(
    mut call: Call<'_, T, E, R>,
    op: F,
    mut seen: Seen<T, E>,
) -> Result<T, Error<E>>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Result<T, Error<E>>,
{
    loop {
        let (outcome, verdict) = seen.take().unwrap_or_else(|| {
            let outcome = call.injected().map_or_else(&op, Err);
            let verdict = call.source.verdict(outcome.as_ref());
            (outcome, verdict)
        });
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => return outcome,
            Step::Wait(delay) => call.source.extras().sleep_blocking(delay, call.is_mocked()),
        }
    }
}

/// A delay of zero is no wait: no timer, and after a few of them other tasks get a turn.
/// Neither is that of a mocked call, whatever its sleeper: only a test's clock moves on by it.
pub(crate) async fn wait(sleeper: &impl Sleeper, delay: Duration, made: u64, mocked: bool) {
    if mocked {
        if let Some(sleep) = scope::sleep(delay) {
            sleep.await;
        }
    } else if !delay.is_zero() {
        return sleeper.sleep(delay).await;
    }
    if made % 8 == 0 {
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
