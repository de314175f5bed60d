//! DECIDE: whether another attempt follows, and when.

use super::{
    DefaultSleeper, Extras, RetryPolicy, Settings, SharedBudget, Sleeper, backoff::Progress, run,
};
use crate::{
    error::{Error, ExhaustedReason, RetryExhaustedError},
    event::{self, Event},
    random::Random,
    scope::{self, RetryMock},
    setting::Name,
    time::Moment,
    verdict::{AnyError, Classify, Verdict},
};
use std::{any::Any, ops::ControlFlow, time::Duration};

/// What follows the outcome just seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The outcome stands: a success, or nothing that a retry can mend.
    Done,
    /// The outcome stands since something has run out.
    GiveUp(ExhaustedReason),
    /// Another attempt, after this delay.
    RetryAfter(Duration),
}

/// The decision as a pure step: where a call has got to, and what follows.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// Outcomes seen.
    pub(crate) made: u64,
    /// The most attempts of this call: the policy's, or a mock's.
    pub(crate) max_attempts: u32,
    pub(crate) delays: Progress,
}

impl State {
    pub(crate) const fn new(settings: &Settings, random: Random) -> Self {
        Self { made: 0, max_attempts: settings.max_attempts, delays: Progress::new(random) }
    }
}

impl Settings {
    /// Knows no clock and no budget: `elapsed` is the call's age, and the budget has the last word.
    pub(crate) fn decide(&self, state: &mut State, verdict: Verdict, elapsed: Duration) -> Next {
        state.made = state.made.saturating_add(1);
        let Verdict::Transient { retry_after } = verdict else { return Next::Done };
        if state.made >= u64::from(state.max_attempts) {
            return Next::GiveUp(ExhaustedReason::Attempts);
        }
        let floor = retry_after.unwrap_or_default();
        if floor > self.max_retry_after {
            return Next::GiveUp(ExhaustedReason::RetryAfter);
        }
        let delay = self.backoff.next(&mut state.delays).max(floor);
        match self.total_timeout {
            Some(limit) if elapsed.saturating_add(delay) > limit => {
                Next::GiveUp(ExhaustedReason::TotalTimeout)
            }
            _ => Next::RetryAfter(delay),
        }
    }
}

/// The decisions of one call, for those who keep the loop in their own hands.
///
/// Where the operation borrows mutably, is not `Send`, or is more than one expression:
///
/// ```
/// use seawall::{Error, RetryPolicy};
/// # use std::time::Duration;
///
/// struct Client { busy: u32 }
///
/// impl Client {
///     async fn next_page(&mut self) -> Result<u32, String> {
///         match self.busy.checked_sub(1) {
///             Some(left) => { self.busy = left; Err("busy".into()) }
///             None => Ok(7),
///         }
///     }
/// }
///
/// async fn page(client: &mut Client) -> Result<u32, Error<String>> {
///     let policy = RetryPolicy::builder()
///         .max_attempts(5)
/// #       .base_delay(Duration::ZERO)
///         .build();
///     let mut attempts = policy.attempts();
///     loop {
///         match client.next_page().await {
///             Ok(page) => return Ok(page),
///             Err(error) => attempts.backoff(error).await?,
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(page(&mut Client { busy: 2 }).await, Ok(7));
/// assert!(page(&mut Client { busy: 9 }).await.is_err());
/// # }
/// ```
#[derive(Debug)]
pub struct Attempts<'a, C = AnyError, S = DefaultSleeper> {
    settings: &'a Settings,
    classify: &'a C,
    extras: &'a Extras,
    sleeper: &'a S,
    state: State,
    /// When the call began; on policies without a total timeout, when it first failed.
    started: Option<Moment>,
    /// The call's age at its end, if that is a failure.
    age: Duration,
    /// What a test has put in the place of retries where the call began. It ends under it.
    mock: Option<RetryMock>,
}

impl<'a, C, S> Attempts<'a, C, S> {
    pub(crate) fn new(policy: &'a RetryPolicy<C>, extras: &'a Extras, sleeper: &'a S) -> Self {
        let started = policy.settings.total_timeout.map(|_| Moment::now());
        let decide = (&policy.settings, &policy.chosen.classify);
        Self::since(decide, extras, sleeper, started, scope::retry_mock())
    }

    pub(crate) fn since(
        (settings, classify): (&'a Settings, &'a C),
        extras: &'a Extras,
        sleeper: &'a S,
        started: Option<Moment>,
        mock: Option<RetryMock>,
    ) -> Self {
        let state = State::new(settings, extras.random());
        Self { settings, classify, extras, sleeper, state, started, age: Duration::ZERO, mock }
    }

    /// Has this call make so many attempts, whatever the policy says.
    pub(crate) fn limit(&mut self, max_attempts: u32) {
        self.state.max_attempts = max_attempts;
    }

    pub(crate) fn mock(&self) -> Option<&RetryMock> {
        self.mock.as_ref()
    }

    /// None for a mocked call: what a test makes fail is no load that others could be short of.
    fn budget(&self) -> Option<&SharedBudget> {
        self.extras.budget.as_ref().filter(|_| self.mock.is_none())
    }

    pub(crate) fn max_attempts(&self) -> u32 {
        self.state.max_attempts
    }

    /// Draws the delays from the stream of `seed`.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.state.delays.random = Random::seeded(seed);
        self
    }

    /// How many outcomes were seen.
    pub fn made(&self) -> u64 {
        self.state.made
    }

    /// Takes the verdict on an attempt and says what follows. Tells no one; waits for nothing.
    pub fn next(&mut self, verdict: Verdict) -> Next {
        if let Some(budget) = self.budget() {
            match verdict {
                Verdict::Success => budget.record_success(self.state.made > 0),
                Verdict::Transient { .. } => budget.record_failure(),
                Verdict::Permanent | Verdict::Ignored => {}
            }
        }
        // Without a total timeout, age matters to no decision, and the clock is left alone.
        let elapsed = match self.settings.total_timeout {
            Some(_) => self.elapsed(),
            None => Duration::ZERO,
        };
        let mut next = self.settings.decide(&mut self.state, verdict, elapsed);
        if let Next::RetryAfter(_) = next {
            if self.budget().is_some_and(|budget| !budget.try_retry()) {
                next = Next::GiveUp(ExhaustedReason::Budget);
            }
        }
        match next {
            Next::RetryAfter(delay) => {
                self.started.get_or_insert_with(Moment::now);
                if let Some(mock) = &self.mock {
                    mock.delayed(delay);
                }
            }
            Next::GiveUp(_) => self.age = self.elapsed(),
            // Most calls end well, and nobody asks for their age.
            Next::Done => {}
        }
        next
    }

    /// Takes note of the age of a call that is over though nothing has run out.
    pub(crate) fn note_age(&mut self) {
        self.age = self.elapsed();
    }

    fn elapsed(&self) -> Duration {
        self.started.map(Moment::elapsed).unwrap_or_default()
    }

    /// Takes note that an attempt succeeded, which a retry budget earns by. For loops that use
    /// [`backoff`](Self::backoff) only; [`settle`](Self::settle) does it by itself.
    pub fn succeeded(&mut self) {
        self.next(Verdict::Success);
    }

    /// Takes an outcome: `Break` with the call's result, or `Continue` with the delay to wait.
    ///
    /// Events are told; the waiting is the caller's.
    pub fn settle<T, E: 'static>(
        &mut self,
        outcome: Result<T, E>,
    ) -> ControlFlow<Result<T, Error<E>>, Duration>
    where
        C: Classify<T, E>,
    {
        self.settle_call(outcome.map_err(Error::Operation))
    }

    /// As [`settle`](Self::settle), for an operation that is protected already: its rejections and
    /// exhausted retries are seen as what they are.
    pub fn settle_call<T, E: 'static>(
        &mut self,
        outcome: Result<T, Error<E>>,
    ) -> ControlFlow<Result<T, Error<E>>, Duration>
    where
        C: Classify<T, E>,
    {
        let verdict = run::verdict(self.settings, self.classify, outcome.as_ref());
        let next = self.next(verdict);
        self.tell(next, outcome.as_ref().err());
        match next {
            Next::Done => ControlFlow::Break(outcome),
            Next::GiveUp(reason) => {
                ControlFlow::Break(outcome.map_err(|last| self.exhausted(reason, last, Vec::new())))
            }
            Next::RetryAfter(delay) => ControlFlow::Continue(delay),
        }
    }

    /// Blocks for the delay if `error` is worth another attempt; gives it back otherwise.
    ///
    /// # Errors
    /// The error, as the call's last.
    pub fn backoff_blocking<E: 'static>(&mut self, error: E) -> Result<(), Error<E>>
    where
        C: Classify<(), E>,
    {
        self.backoff_call_blocking(Error::Operation(error))
    }

    /// As [`backoff_blocking`](Self::backoff_blocking), for an operation that is protected already.
    ///
    /// # Errors
    /// The error, as the call's last.
    pub fn backoff_call_blocking<E: 'static>(&mut self, error: Error<E>) -> Result<(), Error<E>>
    where
        C: Classify<(), E>,
    {
        match self.settle_call(Err(error)) {
            ControlFlow::Break(result) => result,
            ControlFlow::Continue(delay) => {
                self.extras.sleep_blocking(delay, self.mock.is_some());
                Ok(())
            }
        }
    }

    /// Waits for the delay if `error` is worth another attempt; gives it back otherwise.
    ///
    /// # Errors
    /// The error, as the call's last.
    pub async fn backoff<E: 'static>(&mut self, error: E) -> Result<(), Error<E>>
    where
        C: Classify<(), E>,
        S: Sleeper,
    {
        self.backoff_call(Error::Operation(error)).await
    }

    /// As [`backoff`](Self::backoff), for an operation that is protected already.
    ///
    /// # Errors
    /// The error, as the call's last.
    pub async fn backoff_call<E: 'static>(&mut self, error: Error<E>) -> Result<(), Error<E>>
    where
        C: Classify<(), E>,
        S: Sleeper,
    {
        match self.settle_call(Err(error)) {
            ControlFlow::Break(result) => result,
            ControlFlow::Continue(delay) => {
                run::wait(self.sleeper, delay, self.state.made, self.mock.is_some()).await;
                Ok(())
            }
        }
    }

    pub(crate) fn exhausted<E>(
        &self,
        reason: ExhaustedReason,
        last: Error<E>,
        earlier: Vec<Error<E>>,
    ) -> Error<E> {
        let end = (self.state.made, self.age, reason);
        Error::RetryExhausted(RetryExhaustedError::new(self.name(), end, last, earlier))
    }

    /// Tells what was decided on an attempt that ended in `error`, or in an `Ok` that was refused.
    pub(crate) fn tell<E: 'static>(&self, next: Next, error: Option<&Error<E>>) {
        if next == Next::Done || !event::is_heard(&self.extras.observers) {
            return;
        }
        let name = self.name();
        let name = name.as_ref();
        let error_type = error.map(event::error_type);
        let text = error.and_then(|error| self.extras.text(error.operation()? as &dyn Any));
        let error = text.as_deref();
        let max_attempts = self.max_attempts();
        let event = match next {
            Next::Done => return,
            Next::RetryAfter(delay) => Event::RetryScheduled {
                name,
                attempt: self.state.made,
                max_attempts,
                delay,
                error_type,
                error,
            },
            Next::GiveUp(reason) => Event::RetryExhausted {
                name,
                attempts: self.state.made,
                max_attempts,
                elapsed: self.age,
                reason,
                error_type,
                error,
            },
        };
        event::tell(&event, &self.extras.observers);
    }

    fn name(&self) -> Option<Name> {
        self.extras.name.clone().or(self.settings.name.map(Name::literal))
    }
}

/// The delays of a call that never succeeds; ends with the attempts or the total timeout.
#[derive(Debug, Clone)]
pub struct Delays {
    settings: Settings,
    state: State,
    waited: Duration,
}

impl Delays {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, state: State::new(&settings, Random::new()), waited: Duration::ZERO }
    }

    /// Draws the delays from the stream of `seed`.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.state.delays.random = Random::seeded(seed);
        self
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        match self.settings.decide(&mut self.state, Verdict::TRANSIENT, self.waited) {
            Next::RetryAfter(delay) => {
                self.waited = self.waited.saturating_add(delay);
                Some(delay)
            }
            Next::Done | Next::GiveUp(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::{Jitter, RetryPolicyBuilder};

    const S: Duration = Duration::from_secs(1);

    fn settings(builder: RetryPolicyBuilder) -> Settings {
        builder.jitter(Jitter::None).build().settings
    }

    fn decide(settings: &Settings, verdicts: &[(Verdict, Duration)]) -> Vec<Next> {
        let mut state = State::new(settings, Random::seeded(1));
        verdicts.iter().map(|(v, elapsed)| settings.decide(&mut state, *v, *elapsed)).collect()
    }

    #[test]
    fn max_attempts_counts_the_first_attempt() {
        let now = (Verdict::TRANSIENT, Duration::ZERO);
        let three = settings(RetryPolicy::builder());
        assert_eq!(
            decide(&three, &[now; 3]),
            [Next::RetryAfter(S), Next::RetryAfter(2 * S), Next::GiveUp(ExhaustedReason::Attempts)]
        );
        let one = settings(RetryPolicy::builder().max_attempts(1));
        assert_eq!(decide(&one, &[now]), [Next::GiveUp(ExhaustedReason::Attempts)]);
    }

    #[test]
    fn what_is_not_transient_is_done() {
        for verdict in [Verdict::Success, Verdict::Permanent, Verdict::Ignored] {
            let policy = settings(RetryPolicy::builder());
            assert_eq!(decide(&policy, &[(verdict, Duration::ZERO)]), [Next::Done]);
        }
    }

    #[test]
    fn no_sleep_ends_past_the_total_timeout_and_one_may_end_at_it() {
        let policy = settings(RetryPolicy::builder().max_attempts(9).total_timeout(10 * S));
        let at = |elapsed| decide(&policy, &[(Verdict::TRANSIENT, elapsed)])[0];
        assert_eq!(at(9 * S), Next::RetryAfter(S));
        assert_eq!(
            at(9 * S + Duration::from_nanos(1)),
            Next::GiveUp(ExhaustedReason::TotalTimeout)
        );
        assert_eq!(at(Duration::MAX), Next::GiveUp(ExhaustedReason::TotalTimeout));
    }

    #[test]
    fn retry_after_is_a_floor_and_ends_the_call_above_its_limit() {
        let policy = settings(RetryPolicy::builder().max_retry_after(30 * S));
        let asked = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            decide(&policy, &[(Verdict::Transient { retry_after }, Duration::ZERO)])[0]
        };
        assert_eq!(asked(0), Next::RetryAfter(S));
        assert_eq!(asked(30), Next::RetryAfter(30 * S));
        assert_eq!(asked(31), Next::GiveUp(ExhaustedReason::RetryAfter));
    }

    #[test]
    fn retry_after_is_limited_by_the_cap_unless_told_otherwise() {
        let policy = settings(RetryPolicy::builder().max_delay(5 * S));
        let retry_after = Some(6 * S);
        let verdict = Verdict::Transient { retry_after };
        let ended = Next::GiveUp(ExhaustedReason::RetryAfter);
        assert_eq!(decide(&policy, &[(verdict, Duration::ZERO)]), [ended]);
    }

    #[test]
    fn delays_end_with_the_attempts_or_the_total_timeout() {
        let policy = RetryPolicy::builder().max_attempts(5).jitter(Jitter::None);
        let delays: Vec<u64> = policy.build().delays().map(|d| d.as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8]);
        let delays: Vec<u64> =
            policy.total_timeout(8 * S).build().delays().map(|d| d.as_secs()).collect();
        assert_eq!(delays, [1, 2, 4]);
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let policy = RetryPolicy::builder().max_attempts(20).jitter(Jitter::Full).build();
        let delays = |seed| policy.delays().seeded(seed).collect::<Vec<_>>();
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }
}
