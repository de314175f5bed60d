//! What one attaches to a policy: listener, budget, observers, waiting, seed.

use super::{Attempts, RetryBudget, RetryPolicy, SharedBudget};
use crate::{
    describe::{Describe, Layer},
    error::Error,
    event::{self, Observe},
    policy::inherent_ways_to_run,
    random::Random,
    scope,
    setting::Name,
    time,
    verdict::AnyError,
};
use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A [`RetryPolicy`] with what is attached to it.
///
/// ```
/// use seawall::{RetryExecutor, RetryPolicy, Retrying};
/// use std::time::Duration;
///
/// let policy = RetryPolicy::builder().base_delay(Duration::ZERO).build();
/// let retry = RetryExecutor::new(policy)
///     .on_retry(|retry: Retrying<'_, String>| {
///         println!("attempt {} of {} failed", retry.attempt, retry.max_attempts);
///     })
///     .budget(seawall::RetryBudget::new(0.2, 10))
///     .seed(7);
///
/// fn down() -> Result<(), String> {
///     Err("down".to_owned())
/// }
///
/// assert!(retry.run_blocking(down).is_err());
/// ```
///
/// Clones share budget, observers and seed.
#[derive(Clone)]
pub struct RetryExecutor<C = AnyError, L = NoListener, S = DefaultSleeper> {
    policy: RetryPolicy<C>,
    extras: Extras,
    pub(crate) listener: L,
    pub(crate) sleeper: S,
}

/// What is attached, whatever the error's type.
#[derive(Clone)]
pub struct Extras {
    pub(crate) name: Option<Name>,
    pub(crate) budget: Option<SharedBudget>,
    pub(crate) observers: Vec<Arc<dyn Observe>>,
    error_text: Option<ErrorText>,
    blocking_sleeper: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    /// The next call's seed, one further at each call.
    seeds: Option<Arc<AtomicU64>>,
}

/// Prints an error of the type that it was made for.
type ErrorText = Arc<dyn Fn(&dyn Any) -> Option<String> + Send + Sync>;

/// What a bare policy has.
pub static NOTHING_ATTACHED: Extras = Extras::NONE;

impl Extras {
    const NONE: Self = Self::new(None);

    const fn new(budget: Option<SharedBudget>) -> Self {
        Self {
            name: None,
            budget,
            observers: Vec::new(),
            error_text: None,
            blocking_sleeper: None,
            seeds: None,
        }
    }

    /// With a budget, and nothing else.
    pub const fn of_budget(budget: &'static RetryBudget) -> Self {
        Self::new(Some(SharedBudget::Static(budget)))
    }

    pub(crate) fn random(&self) -> Random {
        match &self.seeds {
            Some(seeds) => Random::seeded(seeds.fetch_add(1, Ordering::Relaxed)),
            None => Random::new(),
        }
    }

    pub(crate) fn text(&self, error: &dyn Any) -> Option<String> {
        let print = self.error_text.as_ref()?;
        let mut text = None;
        // The user's code, like an observer: a panic in it must not cost the call.
        event::guarded(|| text = print(error));
        text
    }

    /// Blocks for `delay`. A mocked call does not, whatever its sleeper: only a test's clock moves.
    pub(crate) fn sleep_blocking(&self, delay: Duration, mocked: bool) {
        match &self.blocking_sleeper {
            _ if delay.is_zero() => {}
            _ if mocked => _ = scope::sleep_blocking(delay),
            Some(sleep) => sleep(delay),
            None => time::sleep_blocking(delay),
        }
    }
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extras")
            .field("name", &self.name)
            .field("budget", &self.budget)
            .field("observers", &self.observers.len())
            .finish_non_exhaustive()
    }
}

impl<C> RetryExecutor<C> {
    /// `policy` with nothing attached yet.
    pub const fn new(policy: RetryPolicy<C>) -> Self {
        Self { policy, extras: Extras::NONE, listener: NoListener, sleeper: DefaultSleeper }
    }
}

impl<C, L, S> RetryExecutor<C, L, S> {
    /// Calls `listener` before each delay, in place of one set before. A panic in it ends there.
    ///
    /// A closure must name the error's type: `|retry: Retrying<'_, ApiError>| ..`.
    pub fn on_retry<E, F>(self, listener: F) -> RetryExecutor<C, F, S>
    where
        F: Fn(Retrying<'_, E>),
    {
        let Self { policy, extras, sleeper, .. } = self;
        RetryExecutor { policy, extras, listener, sleeper }
    }

    /// Waits with `sleeper`, for other runtimes and for tests. A delay of zero calls no sleeper.
    pub fn sleeper<N: Sleeper>(self, sleeper: N) -> RetryExecutor<C, L, N> {
        let Self { policy, extras, listener, .. } = self;
        RetryExecutor { policy, extras, listener, sleeper }
    }

    /// Waits with `sleep` in blocking code.
    #[must_use]
    pub fn blocking_sleeper(mut self, sleep: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.extras.blocking_sleeper = Some(Arc::new(sleep));
        self
    }

    /// Pays for retries from `budget`: a `&'static`, an `Arc`, or one of its own.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<SharedBudget>) -> Self {
        self.extras.budget = Some(budget.into());
        self
    }

    /// Adds an observer of this executor's events.
    #[must_use]
    pub fn observe(mut self, observer: impl Observe + 'static) -> Self {
        self.extras.observers.push(Arc::new(observer));
        self
    }

    /// The name in events and errors, in place of the policy's.
    #[must_use]
    pub fn name(mut self, name: impl Into<Name>) -> Self {
        self.extras.name = Some(name.into());
        self
    }

    /// Draws jitter from the stream of `seed`, so that a run can be repeated.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.extras.seeds = Some(Arc::new(AtomicU64::new(seed)));
        self
    }

    /// Puts the error's text into events, as `text` gives it. Default: events carry the error's type
    /// only, since texts may hold secrets.
    #[must_use]
    pub fn error_text<E: 'static>(
        mut self,
        text: impl Fn(&E) -> String + Send + Sync + 'static,
    ) -> Self {
        self.extras.error_text = Some(Arc::new(move |error| error.downcast_ref().map(&text)));
        self
    }

    /// The decisions of one call, for a loop of your own. It tells the observers and waits with the
    /// sleeper; `on_retry` is the loop's.
    pub fn attempts(&self) -> Attempts<'_, C, S> {
        Attempts::new(&self.policy, &self.extras, &self.sleeper)
    }

    /// The policy.
    pub const fn policy(&self) -> &RetryPolicy<C> {
        &self.policy
    }

    pub(crate) const fn extras(&self) -> &Extras {
        &self.extras
    }
}

impl<C: fmt::Debug, L, S> fmt::Debug for RetryExecutor<C, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryExecutor")
            .field("policy", &self.policy)
            .field("extras", &self.extras)
            .finish_non_exhaustive()
    }
}

impl<C, L, S> Describe for RetryExecutor<C, L, S> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        let name = self.extras.name.clone().or(self.policy.name().map(Name::literal));
        layers.push(self.policy.layer(name));
    }
}

inherent_ways_to_run!([] run call run_blocking call_blocking, impl [C, L, S] RetryExecutor<C, L, S>);

/// What a listener hears before each delay.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retrying<'a, E> {
    /// The attempt that failed, counted from 1.
    pub attempt: u64,
    /// The policy's limit.
    pub max_attempts: u32,
    /// The wait before the next attempt.
    pub delay: Duration,
    /// What the attempt ended in; none where an `Ok` was refused.
    pub error: Option<&'a Error<E>>,
}

impl<'a, E> Retrying<'a, E> {
    pub(crate) const fn new(
        (attempt, max_attempts): (u64, u32),
        delay: Duration,
        error: Option<&'a Error<E>>,
    ) -> Self {
        Self { attempt, max_attempts, delay, error }
    }
}

/// Hears of retries with their errors. Closures over [`Retrying`] are listeners.
pub trait OnRetry<E>: Send + Sync {
    /// Called before each delay.
    fn on_retry(&self, retry: Retrying<'_, E>);
}

impl<E, F: Fn(Retrying<'_, E>) + Send + Sync> OnRetry<E> for F {
    fn on_retry(&self, retry: Retrying<'_, E>) {
        self(retry);
    }
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoListener;

impl<E> OnRetry<E> for NoListener {
    fn on_retry(&self, _: Retrying<'_, E>) {}
}

/// Waits, on whatever runtime there is. Functions from a delay to a future are sleepers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot wait",
    note = "async retries need the feature `tokio`, or a sleeper of another runtime: `RetryExecutor::sleeper`"
)]
pub trait Sleeper: Send + Sync {
    /// A future that is done after `delay`.
    fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send;
}

impl<F, Fut> Sleeper for F
where
    F: Fn(Duration) -> Fut + Send + Sync,
    Fut: Future<Output = ()> + Send,
{
    fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send {
        self(delay)
    }
}

/// Tokio's timer, with the feature `tokio`; without it, no sleeper at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultSleeper;

#[cfg(feature = "tokio")]
impl Sleeper for DefaultSleeper {
    fn sleep(&self, delay: Duration) -> impl Future<Output = ()> + Send {
        time::sleep(delay)
    }
}
