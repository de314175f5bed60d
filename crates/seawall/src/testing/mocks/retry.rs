//! A mock for retries.

use crate::{
    error::{Error, Rejection},
    random::Random,
    scope::{Attached, Entered, Scope, World},
    setting::Refusal,
};
use std::{
    any::Any,
    collections::VecDeque,
    fmt,
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
/// [`Rejection::Injected`], which is retried like any transient error. Where that is the last one, a
/// function that returns [`Error<E>`](Error) gives it back, and a macro's function with an error type
/// of its own panics, since it has nothing to give. Loops of one's own over `policy.attempts()` call
/// their operation themselves: the mock spares them the waiting and their budget, and nothing else.
///
/// - *Waiting.* There is none, whatever sleeper an executor has. Delays are listed in
///   [`delays`](Self::delays), and a [`ManualClock`](crate::testing::ManualClock), entered before or
///   after the mock, moves on by them. Limits of a [`Timeout`](crate::Timeout) and delays of
///   [`Chaos`](crate::testing::Chaos) are no retries, and left as they are.
/// - *Budgets* are left alone: mocked calls spend nothing, earn nothing, and are refused nothing.
/// - *Policies around a retry* see what the mocked call ended in, as they would see a real one. A
///   breaker there counts it, unless a [`MockCircuitBreaker`](crate::testing::MockCircuitBreaker)
///   stands in.
/// - *All else* is the policy's own: backoff, total timeout, predicates, listeners, observers.
/// - *One in another:* the mock made last is the one that is used, and hears of it.
/// - *The end.* A call belongs to the mock under which it began, and ends under it even if that was
///   dropped meanwhile; so do futures that are [attached](Self::attach).
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

    /// Has the next `failures` attempts fail, in whichever calls they are made; in place of what is
    /// left of a number set before.
    pub fn configure_failures(&self, failures: u64) {
        self.mock.plan().failures = failures;
    }

    /// The value that failing attempts of operations with the error type `E` end in, in place of one
    /// given before. It makes none fail: what does so, says which ones.
    ///
    /// `E` is the operation's own error type, or [`Error<E>`](Error), to fail as a policy in the
    /// operation would.
    pub fn fail_with<E: 'static>(&self, error: impl Fn() -> E + Send + Sync + 'static) {
        let make: Make<E> = Arc::new(error);
        self.mock.plan().values.push(Box::new(make));
    }

    /// Has the next attempts fail with these values, one after the other, before anything else that
    /// is to fail. Attempts of operations with another error type are left out.
    pub fn fail_with_each<E: Send + 'static>(&self, errors: impl IntoIterator<Item = E>) {
        for error in errors {
            self.mock.plan().queued.push_back(Box::new(error));
        }
    }

    /// Has the next attempts fail where `failing` is true, one after the other. What is given by
    /// number or rate comes after that.
    pub fn fail_in_sequence(&self, failing: impl IntoIterator<Item = bool>) {
        let failing: Vec<bool> = failing.into_iter().collect();
        self.mock.plan().sequence.extend(failing);
    }

    /// Has attempts fail at random, with the probability `rate`, the same ones for the same seed.
    /// A number of failures comes before that.
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

    /// The delays before the retries of its calls, in order. None of them was waited for.
    pub fn delays(&self) -> Vec<Duration> {
        self.mock.plan().delays.clone()
    }

    /// Puts the mock in place for `future`, wherever it is polled:
    /// `tokio::spawn(mock.attach(future))`.
    pub fn attach<F: Future>(&self, future: F) -> Attached<F> {
        self.scope.attach(future)
    }

    /// Puts the mock in place for another thread or blocking task, which calls this.
    #[must_use = "the mock is in place until the guard is dropped"]
    pub fn enter(&self) -> Entered {
        self.scope.enter()
    }
}

/// What the drivers ask.
#[derive(Clone, Default)]
pub struct RetryMock(Arc<Mutex<Plan>>);

type Make<E> = Arc<dyn Fn() -> E + Send + Sync>;

#[derive(Default)]
struct Plan {
    max_attempts: Option<u32>,
    failures: u64,
    sequence: VecDeque<bool>,
    /// Errors, each as `E` or `Error<E>`.
    queued: VecDeque<Box<dyn Any + Send>>,
    rate: Option<(f64, Random)>,
    /// What makes errors, each as `Make<E>` or `Make<Error<E>>`, the latest last.
    values: Vec<Box<dyn Any + Send>>,
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
        let queued = plan.next_queued();
        if queued.is_none() && !plan.is_to_fail() {
            return None;
        }
        plan.failed += 1;
        let make = plan.make();
        // The user's code runs outside the lock: it may look at the mock.
        drop(plan);
        queued.or_else(|| make.map(|make| make())).or(Some(Error::Rejected(Rejection::Injected)))
    }

    /// A retry follows after `delay`.
    pub(crate) fn delayed(&self, delay: Duration) {
        self.plan().delays.push(delay);
    }
}

impl Plan {
    fn next_queued<E: 'static>(&mut self) -> Option<Error<E>> {
        let fits = |error: &Box<dyn Any + Send>| error.is::<E>() || error.is::<Error<E>>();
        let error = self.queued.remove(self.queued.iter().position(fits)?)?;
        match error.downcast::<E>() {
            Ok(error) => Some(Error::Operation(*error)),
            Err(error) => error.downcast::<Error<E>>().ok().map(|error| *error),
        }
    }

    fn make<E: 'static>(&self) -> Option<Box<dyn Fn() -> Error<E>>> {
        self.values.iter().rev().find_map(|value| {
            if let Some(make) = value.downcast_ref::<Make<E>>().cloned() {
                return Some(Box::new(move || Error::Operation(make())) as Box<_>);
            }
            let make = value.downcast_ref::<Make<Error<E>>>()?.clone();
            Some(Box::new(move || make()) as Box<_>)
        })
    }

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

struct Stage(RetryMock);

impl World for Stage {
    fn retry_mock(&self) -> Option<RetryMock> {
        Some(self.0.clone())
    }
}
