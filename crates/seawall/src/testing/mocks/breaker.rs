//! A mock for circuit breakers.

use crate::{
    breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitState, Core, Counters, Transition},
    event::Event,
    scope::{Attached, Entered, Scope, World},
};
use std::sync::{Arc, Mutex, PoisonError};

/// Stands in for every circuit breaker: its state is the test's, and the real ones are left alone.
///
/// ```
/// use seawall::{CircuitBreaker, CircuitState, Error, Rejection, testing::MockCircuitBreaker};
///
/// static PAYMENTS: CircuitBreaker = CircuitBreaker::new();
///
/// fn pay() -> Result<(), Error<String>> {
///     PAYMENTS.run_blocking(|| Ok(()))
/// }
///
/// let mock = MockCircuitBreaker::new();
/// mock.force_open();
/// assert!(matches!(pay(), Err(Error::Rejected(Rejection::CircuitBreakerOpen(_)))));
/// assert_eq!(mock.rejection_count(), 1);
///
/// mock.force_half_open();
/// assert_eq!(pay(), Ok(())); // the probe
/// assert_eq!(mock.state(), CircuitState::Closed);
///
/// drop(mock);
/// assert_eq!(PAYMENTS.counters().rejected, 0);
/// ```
///
/// It is a breaker itself, with the default settings or those of [`with`](Self::with): what is forced
/// moves on as it would, by outcomes and by time. What an outcome means is up to the breaker that it
/// stands in for.
///
/// - *One for all.* Every breaker here has its state and is counted by it: a call that passes two
///   breakers passes the mock twice, and takes two probes.
/// - *The real ones* keep state, figures, mode and observers as they were. Calls on them by hand act
///   on the mock: `state`, `counters`, `isolate`, `reset`, `mode`, `set_mode` and their like. What
///   they are stays theirs: name, settings, the error of a rejection, and `observe`, which adds an
///   observer that hears nothing before the mock is gone.
/// - *Its events* are heard by a [`Recorder`](crate::testing::Recorder), under the name given in
///   `with`.
/// - *Time* is that of a [`ManualClock`](crate::testing::ManualClock), entered before or after the
///   mock, else tokio's, which may be paused.
/// - *One in another:* the mock made last is the one that is used.
/// - *The end.* A permit, and so a call, belongs to the mock under which it was acquired, and is
///   settled there even if that was dropped meanwhile; futures that are
///   [attached](Self::attach) keep it until they end.
#[derive(Debug)]
#[must_use = "the mock ends when it is dropped"]
pub struct MockCircuitBreaker {
    mock: BreakerMock,
    transitions: Arc<Mutex<Vec<Transition>>>,
    scope: Scope,
    _entered: Entered,
}

impl MockCircuitBreaker {
    /// A closed breaker in place here, with the default settings.
    #[expect(clippy::new_without_default, reason = "it does something: it enters a scope")]
    pub fn new() -> Self {
        Self::with(CircuitBreaker::builder())
    }

    /// The same with settings of its own.
    ///
    /// # Panics
    /// If a setting makes no sense.
    #[track_caller]
    pub fn with(settings: CircuitBreakerBuilder) -> Self {
        let breaker = settings.build();
        let transitions = Arc::new(Mutex::new(Vec::new()));
        breaker.observe({
            let transitions = Arc::clone(&transitions);
            move |event: &Event<'_>| {
                if let Event::CircuitBreakerTransition { transition, .. } = event {
                    let mut all = transitions.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(*transition);
                }
            }
        });
        let mock = BreakerMock(Arc::new(breaker));
        let scope = Scope::new(Stage(mock.clone()));
        Self { mock, transitions, _entered: scope.enter(), scope }
    }

    /// Opens it: calls are rejected until the recovery timeout is over.
    pub fn force_open(&self) {
        self.mock.core().force(CircuitState::Open);
    }

    /// Makes it half-open: the next call is a probe.
    pub fn force_half_open(&self) {
        self.mock.core().force(CircuitState::HalfOpen);
    }

    /// Closes it, with nothing on record.
    pub fn force_closed(&self) {
        self.mock.core().force(CircuitState::Closed);
    }

    /// The state.
    pub fn state(&self) -> CircuitState {
        self.mock.core().word().state()
    }

    /// The figures that it decides by.
    pub fn counters(&self) -> Counters {
        self.mock.core().counters()
    }

    /// How many calls were rejected.
    pub fn rejection_count(&self) -> u64 {
        self.counters().rejected
    }

    /// Every change of state so far, forced ones included, also those from a state to itself.
    pub fn transitions(&self) -> Vec<Transition> {
        self.transitions.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
#[derive(Debug, Clone)]
pub struct BreakerMock(Arc<CircuitBreaker>);

impl BreakerMock {
    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }
}

struct Stage(BreakerMock);

impl World for Stage {
    fn breaker_mock(&self) -> Option<BreakerMock> {
        Some(self.0.clone())
    }
}
