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
    time::{Moment, Tick, poll_yield},
    verdict::{Classify, Verdict},
};
use pin_project_lite::pin_project;
use std::{
    collections::VecDeque,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

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

    /// After a first outcome that is not a success: where it is to end there, or the wait.
    #[cold]
    fn failed(
        source: &'a R,
        started: Option<Moment>,
        outcome: Result<T, Error<E>>,
        verdict: Verdict,
    ) -> ControlFlow<Result<T, Error<E>>, (Self, Duration)> {
        let mut call = Self::new(source, started, None);
        match call.settle(outcome, verdict) {
            Step::Return(outcome) => ControlFlow::Break(outcome),
            Step::Wait(delay) => ControlFlow::Continue((call, delay)),
        }
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

    /// How many attempts were made, and whether by a mock.
    fn place(&self) -> (u64, bool) {
        (self.made(), self.is_mocked())
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
        let more = {
            let started = source.settings().started();
            let (call, delay) = if let Some(mock) = scope::retry_mock() {
                (Call::new(source, started, Some(mock)), None)
            } else {
                // By arms: a value is not to be copied through memory only since some error might be.
                let (outcome, verdict) = match op().await {
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
                match Call::failed(source, started, outcome, verdict) {
                    ControlFlow::Break(outcome) => return outcome,
                    ControlFlow::Continue((call, delay)) => (call, Some(delay)),
                }
            };
            let pause = |delay, (made, mocked)| wait(source.sleeper(), delay, made, mocked);
            Box::pin(Again::new(call, &op, pause, delay))
        };
        more.await
    }
}

pin_project! {
    /// What follows the first attempt, by hand: an async block would keep most of it twice.
    struct Again<'a, 'op, T, E, R, F, Fut, P, W>
    where
        R: Source<T, E>,
    {
        // First, so that a call which is dropped gives up its attempt before what it has kept.
        #[pin]
        stage: Stage<Fut, W>,
        call: Call<'a, T, E, R>,
        op: &'op F,
        pause: P,
    }
}

pin_project! {
    /// Where a call stands.
    #[project = StageProjection]
    enum Stage<Fut, W> {
        /// Before an attempt.
        Ready,
        Attempt { #[pin] attempt: Fut },
        Pause { #[pin] wait: W },
        /// Also while the user's code runs that begins an attempt or reads an outcome.
        Ended,
    }
}

impl<'a, 'op, T, E, R, F, Fut, P, W> Again<'a, 'op, T, E, R, F, Fut, P, W>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Fut,
    P: Fn(Duration, (u64, bool)) -> W,
{
    fn new(call: Call<'a, T, E, R>, op: &'op F, pause: P, delay: Option<Duration>) -> Self {
        let stage = match delay {
            Some(delay) => Stage::Pause { wait: pause(delay, call.place()) },
            None => Stage::Ready,
        };
        Self { stage, call, op, pause }
    }
}

impl<'a, T, E, R, F, Fut, P, W> Future for Again<'a, '_, T, E, R, F, Fut, P, W>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error<E>>>,
    P: Fn(Duration, (u64, bool)) -> W,
    W: Future<Output = ()>,
{
    type Output = Result<T, Error<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let begins = match this.stage.as_mut().project() {
                StageProjection::Attempt { .. } => false,
                StageProjection::Pause { wait } => {
                    ready!(wait.poll(cx));
                    true
                }
                StageProjection::Ready => true,
                // Polled after its end, or after a panic.
                StageProjection::Ended => return Poll::Pending,
            };
            let mut injected = None;
            if begins {
                this.stage.set(Stage::Ended);
                injected = this.call.injected();
                if injected.is_none() {
                    this.stage.set(Stage::Attempt { attempt: (this.op)() });
                }
            }
            // The outcome stays where it is written until it is read: processors wait for a copy at once.
            let polled = match (injected, this.stage.as_mut().project()) {
                (Some(error), _) => Poll::Ready(Err(error)),
                (None, StageProjection::Attempt { attempt }) => attempt.poll(cx),
                // Begun above.
                (None, _) => Poll::Pending,
            };
            let Poll::Ready(outcome) = &polled else { return Poll::Pending };
            // Nothing of the attempt lives on while its outcome is read.
            this.stage.set(Stage::Ended);
            let verdict = this.call.source.verdict(outcome.as_ref());
            match this.call.settle(ready!(polled), verdict) {
                Step::Return(outcome) => return Poll::Ready(outcome),
                Step::Wait(delay) => {
                    let wait = (this.pause)(delay, this.call.place());
                    this.stage.set(Stage::Pause { wait });
                }
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
    let (outcome, verdict) = match op() {
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
    match Call::failed(source, started, outcome, verdict) {
        ControlFlow::Break(outcome) => outcome,
        ControlFlow::Continue((call, delay)) => again_blocking(call, op, Some(delay)),
    }
}

#[cold]
fn again_blocking<T, E, R, F>(
    mut call: Call<'_, T, E, R>,
    op: F,
    mut delay: Option<Duration>,
) -> Result<T, Error<E>>
where
    E: 'static,
    R: Source<T, E>,
    F: Fn() -> Result<T, Error<E>>,
{
    loop {
        if let Some(delay) = delay {
            call.source.extras().sleep_blocking(delay, call.is_mocked());
        }
        let outcome = call.injected().map_or_else(&op, Err);
        let verdict = call.source.verdict(outcome.as_ref());
        delay = match call.settle(outcome, verdict) {
            Step::Return(outcome) => return outcome,
            Step::Wait(delay) => Some(delay),
        };
    }
}

/// A delay of zero is no wait: no timer, and after a few of them other tasks get a turn.
/// Neither is that of a mocked call, whatever its sleeper: only a test's clock moves on by it.
pub(crate) fn wait<S: Sleeper>(
    sleeper: &S,
    delay: Duration,
    made: u64,
    mocked: bool,
) -> Wait<impl Future<Output = ()> + Send + use<'_, S>> {
    let yields = made % 8 == 0;
    if mocked {
        Wait::Mocked { delay, sleep: None, yields }
    } else if delay.is_zero() {
        Wait::Yield { yielded: !yields }
    } else {
        Wait::Sleep { sleep: sleeper.sleep(delay) }
    }
}

pin_project! {
    /// The wait of [`wait`].
    #[project = WaitProjection]
    pub(crate) enum Wait<S> {
        Sleep { #[pin] sleep: S },
        Mocked { delay: Duration, sleep: Option<scope::Sleep>, yields: bool },
        Yield { yielded: bool },
    }
}

impl<S: Future<Output = ()>> Future for Wait<S> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.as_mut().project() {
            WaitProjection::Sleep { sleep } => sleep.poll(cx),
            WaitProjection::Yield { yielded } => poll_yield(yielded, cx),
            WaitProjection::Mocked { delay, sleep, yields } => {
                if let Some(sleep) = sleep {
                    ready!(Pin::new(sleep).poll(cx));
                } else if let Some((begun, polled)) = scope::sleep(*delay, cx) {
                    *sleep = Some(begun);
                    ready!(polled);
                }
                let mut yielded = !*yields;
                let polled = poll_yield(&mut yielded, cx);
                self.set(Self::Yield { yielded });
                polled
            }
        }
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
