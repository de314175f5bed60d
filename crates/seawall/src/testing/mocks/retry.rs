//! A mock for retries.

use crate::{
    erased::BoxFuture,
    error::{Error, Rejection},
    event::Event,
    random::Random,
    scope::{Attached, Entered, Scope, World},
    setting::Refusal,
};
use std::{
    any::Any,
    collections::VecDeque,
    fmt, future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Makes attempts fail without the operation, counts them, and waits for nothing.
///
/// ```
/// use seawall::{Error, RetryPolicy, testing::MockRetryExecutor};
///
/// fn resilient_function() -> Result<&'static str, Error<String>> {
///     RetryPolicy::new().run_blocking(|| Ok("success"))
/// }
///
/// let mock = MockRetryExecutor::new().max_attempts(3);
/// mock.configure_failures(2); // fail the first two attempts
///
/// let result = resilient_function();
///
/// assert_eq!(mock.attempt_count(), 3);
/// assert_eq!(result, Ok("success"));
/// ```
///
/// An attempt that is to fail does not call the operation. It fails with a value where one was given
/// for the operation's error type ([`fail_with`](Self::fail_with)), else with
/// [`Rejection::Injected`], which is retried like any transient error. Every other setting is the
/// policy's own. Loops of one's own over `policy.attempts()` call their operation themselves: the
/// mock spares them the waiting, and nothing else.
///
/// Delays are not waited for, and no clock moves: what depends on time has a
/// [`ManualClock`](crate::testing::ManualClock), entered after the mock.
#[derive(Debug)]
#[must_use = "the mock ends when it is dropped"]
pub struct MockRetryExecutor {
    mock: RetryMock,
    scope: Scope,
    _entered: Entered,
}

impl MockRetryExecutor {
    /// A mock in place here, which lets every attempt through until it is told otherwise.
    #[expect(clippy::new_without_default, reason = "it does something: it enters a scope")]
    pub fn new() -> Self {
        let mock = RetryMock::default();
        let scope = Scope::new(Stage(mock.clone()));
        Self { mock, _entered: scope.enter(), scope }
    }

    /// Has calls make so many attempts, whatever their policies say.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        if max_attempts == 0 {
            Refusal::integer("max_attempts", 0, "`max_attempts` must be 1 or more").panic();
        }
        self.mock.plan().max_attempts = Some(max_attempts);
        self
    }

    /// Has the next `failures` attempts fail, in whichever calls they are made.
    pub fn configure_failures(&self, failures: u64) {
        self.mock.plan().failures = failures;
    }

    /// The value that failing attempts of operations with the error type `E` end in.
    pub fn fail_with<E: 'static>(&self, error: impl Fn() -> E + Send + Sync + 'static) {
        self.mock.plan().values.insert(
            0,
            Box::new(move |slot| {
                if let Some(slot) = slot.downcast_mut::<Option<E>>() {
                    *slot = Some(error());
                }
            }),
        );
    }

    /// Has the next attempts fail with these values, one after the other. Attempts of operations
    /// with another error type are left out.
    pub fn fail_with_each<E: Send + 'static>(&self, errors: impl IntoIterator<Item = E>) {
        for error in errors {
            let mut error = Some(error);
            self.mock.plan().queued.push_back(Box::new(move |slot| {
                if let Some(slot) = slot.downcast_mut::<Option<E>>() {
                    *slot = error.take();
                }
            }));
        }
    }

    /// Has the next attempts fail where `failing` is true, one after the other.
    pub fn fail_in_sequence(&self, failing: impl IntoIterator<Item = bool>) {
        self.mock.plan().sequence.extend(failing);
    }

    /// Has attempts fail at random, with the probability `rate`, the same ones for the same seed.
    ///
    /// # Panics
    /// If the rate is not within 0..=1.
    #[track_caller]
    pub fn fail_at_rate(&self, rate: f64, seed: u64) {
        if !(0.0..=1.0).contains(&rate) {
            Refusal::number("rate", rate, "`rate` must be within 0..=1").panic();
        }
        self.mock.plan().rate = Some((rate, Random::seeded(seed)));
    }

    /// How many attempts were begun, those that the mock made fail included.
    pub fn attempt_count(&self) -> u64 {
        self.mock.plan().attempts
    }

    /// How many calls were begun.
    pub fn call_count(&self) -> u64 {
        self.mock.plan().calls
    }

    /// How many attempts the mock made fail.
    pub fn failure_count(&self) -> u64 {
        self.mock.plan().failed
    }

    /// The delays that were asked for, in order. None of them was waited for.
    pub fn delays(&self) -> Vec<Duration> {
        self.mock.plan().delays.clone()
    }

    /// Puts the mock in place for `future`, wherever it is polled:
    /// `tokio::spawn(mock.attach(future))`.
    pub fn attach<F: Future>(&self, future: F) -> Attached<F> {
        self.scope.attach(future)
    }
}

/// What the drivers ask.
#[derive(Clone, Default)]
pub struct RetryMock(Arc<Mutex<Plan>>);

/// Fills an `Option<E>` if it knows a value for `E`.
type Fill = Box<dyn Fn(&mut dyn Any) + Send + Sync>;
type FillOnce = Box<dyn FnMut(&mut dyn Any) + Send>;

#[derive(Default)]
struct Plan {
    max_attempts: Option<u32>,
    failures: u64,
    sequence: VecDeque<bool>,
    queued: VecDeque<FillOnce>,
    rate: Option<(f64, Random)>,
    /// The latest first.
    values: Vec<Fill>,
    calls: u64,
    attempts: u64,
    failed: u64,
    delays: Vec<Duration>,
}

impl RetryMock {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins: how many attempts it may make, if that is not the policy's affair.
    pub(crate) fn begin(&self) -> Option<u32> {
        let mut plan = self.plan();
        plan.calls += 1;
        plan.max_attempts
    }

    /// An attempt begins: what it is to fail with, if it is to fail.
    pub(crate) fn attempt<E: 'static>(&self) -> Option<Error<E>> {
        let mut plan = self.plan();
        plan.attempts += 1;
        let mut value = None::<E>;
        if let Some(front) = plan.queued.front_mut() {
            front(&mut value);
            if value.is_some() {
                plan.queued.pop_front();
            }
        }
        if value.is_none() && !plan.is_to_fail() {
            return None;
        }
        plan.failed += 1;
        for fill in &plan.values {
            if value.is_some() {
                break;
            }
            fill(&mut value);
        }
        Some(value.map_or(Error::Rejected(Rejection::Injected), Error::Operation))
    }
}

impl Plan {
    fn is_to_fail(&mut self) -> bool {
        if let Some(failing) = self.sequence.pop_front() {
            return failing;
        }
        if self.failures > 0 {
            self.failures -= 1;
            return true;
        }
        self.rate.as_mut().is_some_and(|(rate, random)| random.next_unit() < *rate)
    }
}

impl fmt::Debug for RetryMock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan();
        f.debug_struct("RetryMock")
            .field("max_attempts", &plan.max_attempts)
            .field("failures", &plan.failures)
            .field("attempts", &plan.attempts)
            .finish_non_exhaustive()
    }
}

/// The world in which nobody waits.
struct Stage(RetryMock);

impl World for Stage {
    fn sleep(&self, _: Duration) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(future::ready(())))
    }

    // Limits are not delays: they are the outer world's.
    fn timer(&self, _: Duration) -> Option<BoxFuture<'static, ()>> {
        None
    }

    fn sleep_blocking(&self, _: Duration) -> bool {
        true
    }

    fn observe(&self, event: &Event<'_>) {
        if let Event::RetryScheduled { delay, .. } = event {
            self.0.plan().delays.push(*delay);
        }
    }

    fn retry_mock(&self) -> Option<RetryMock> {
        Some(self.0.clone())
    }
}
