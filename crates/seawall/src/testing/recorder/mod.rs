//! An observer that keeps what it hears, and assertions on it.

mod compare;
mod recorded;

pub use recorded::Recorded;

use super::{Entered, Scope, World};
use crate::event::{Event, Observe};
use compare::{difference, listed};
use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Keeps every event that it hears. Clones share the record.
///
/// [`enter`](Self::enter) makes it hear all policies of this task or thread, statics and macros
/// included; `breaker.observe(events.clone())` or `executor.observe(..)` one policy wherever it runs. Not
/// both: it would hear twice.
///
/// ```
/// use seawall::{CircuitBreaker, Pipeline, RetryPolicy, testing::{ManualClock, Recorder, Scope}};
///
/// # fn main() {
/// let events = Recorder::new();
/// let _world = (Scope::new(ManualClock::new()).enter(), events.enter());
///
/// let breaker = CircuitBreaker::builder().failure_threshold(2).build();
/// let pipeline = Pipeline::new((RetryPolicy::new(), breaker));
/// assert!(pipeline.run_blocking(|| Err::<(), _>("down")).is_err());
///
/// events.assert_sequence([
///     "retry scheduled 1/3",
///     "breaker closed -> open by consecutive_failures",
///     "retry scheduled 2/3",
///     "breaker rejected",
/// ]);
/// # }
/// ```
///
/// # How events are written
/// An event prints as one line, and an expectation is the beginning of that line, in whole words: as
/// much of it as the test is about. Names stand behind the policy's kind and may be left out.
///
/// | line |
/// |---|
/// | `retry "orders" scheduled 1/3 in 1s (api::Busy)` |
/// | `retry exhausted 3/3 by attempts after 3s (api::Busy)` |
/// | `breaker "payments" closed -> open by consecutive_failures for 60s` |
/// | `breaker open -> half_open by recovery_timeout` |
/// | `breaker rejected for 60.001s` |
/// | `breaker would reject for 60.001s` |
/// | `breaker abandoned probe` |
/// | `breaker dropped stale outcome` |
/// | `timed out after 5s` |
/// | `fallback used 1 (api::Busy)` |
/// | `fallback exhausted 2 (api::Busy)` |
/// | `chaos injected error into call 3` |
///
/// For what a line cannot say there is the event itself: [`Recorded::event`].
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Recorded>>>);

impl Recorder {
    /// Nothing heard so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears every policy of this task, or outside tasks of this thread, until the guard is dropped.
    ///
    /// A task that is spawned meanwhile is heard where it is attached:
    /// `tokio::spawn(Scope::new(events.clone()).attach(future))`.
    #[must_use = "it hears nothing once the guard is dropped"]
    pub fn enter(&self) -> Entered {
        Scope::new(self.clone()).enter()
    }

    /// What it has heard, oldest first.
    pub fn all(&self) -> Vec<Recorded> {
        self.record().clone()
    }

    /// What it has heard, and begins anew.
    pub fn take(&self) -> Vec<Recorded> {
        mem::take(&mut self.record())
    }

    /// How many of the events are `expected`.
    pub fn count(&self, expected: &str) -> usize {
        self.record().iter().filter(|event| event.is(expected)).count()
    }

    /// Asserts that it heard these events, in this order, and no other.
    ///
    /// # Panics
    /// If it did not: the message shows both sides, from where they differ.
    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn assert_sequence<I>(&self, expected: I)
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let expected: Vec<_> = expected.into_iter().collect();
        let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        if let Some(difference) = difference(&expected, &self.all()) {
            panic!("{difference}");
        }
    }

    /// Asserts that one event at least is `expected`.
    ///
    /// # Panics
    /// If none is: the message shows what it heard.
    #[track_caller]
    pub fn assert_contains(&self, expected: &str) {
        let all = self.all();
        let found = all.iter().any(|event| event.is(expected));
        assert!(found, "no event is `{expected}`; {}", listed(&all));
    }

    /// Asserts that it heard nothing.
    ///
    /// # Panics
    /// If it heard something: the message shows what.
    #[track_caller]
    pub fn assert_empty(&self) {
        let all = self.all();
        assert!(all.is_empty(), "no event was expected; {}", listed(&all));
    }

    fn record(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for Recorder {
    fn observe(&self, event: &Event<'_>) {
        self.record().push(Recorded::from(event));
    }
}

impl World for Recorder {
    fn observe(&self, event: &Event<'_>) {
        Observe::observe(self, event);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.all()).finish()
    }
}
