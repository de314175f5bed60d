//! What happened: events, and those who listen.
//!
//! Nothing is told on the good path. An event is built only when something happened: a retry, a
//! transition, a rejection, a fallback, a timeout.

use crate::{
    breaker::Transition,
    error::{Error, ExhaustedReason, Rejection},
    scope,
    setting::Name,
    sync::{self, RwLock},
    telemetry,
};
use std::{
    any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Something that a policy did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An attempt failed, and another one follows after `delay`.
    #[non_exhaustive]
    RetryScheduled {
        /// The policy's name.
        name: Option<&'a Name>,
        /// The attempt that failed, counted from 1.
        attempt: u64,
        /// The policy's limit.
        max_attempts: u32,
        /// The wait before the next attempt.
        delay: Duration,
        /// The error's type, or none where an `Ok` was refused.
        error_type: Option<&'static str>,
        /// The error's text, where the executor was told to give it.
        error: Option<&'a str>,
    },
    /// A retry gave up.
    #[non_exhaustive]
    RetryExhausted {
        /// The policy's name.
        name: Option<&'a Name>,
        /// How many attempts were made.
        attempts: u64,
        /// The policy's limit.
        max_attempts: u32,
        /// How long the call took, as in `RetryExhaustedError::elapsed`.
        elapsed: Duration,
        /// What ran out.
        reason: ExhaustedReason,
        /// The last error's type, or none where an `Ok` was refused.
        error_type: Option<&'static str>,
        /// The last error's text, where the executor was told to give it.
        error: Option<&'a str>,
    },
    /// A circuit breaker changed its state. Each change is told once, and in order.
    #[non_exhaustive]
    CircuitBreakerTransition {
        /// The breaker's name.
        name: Option<&'a Name>,
        /// What changed, when and why.
        transition: Transition,
    },
    /// A circuit breaker let a call not through. In a dry run: would not have.
    #[non_exhaustive]
    CircuitBreakerRejected {
        /// The breaker's name.
        name: Option<&'a Name>,
        /// When a probe will be let through, if that is known.
        retry_after: Option<Duration>,
        /// The call went through all the same.
        dry_run: bool,
    },
    /// A probe ended without an outcome: cancelled, dropped, or ignored. It counts neither way.
    #[non_exhaustive]
    ProbeAbandoned {
        /// The breaker's name.
        name: Option<&'a Name>,
    },
    /// A call ended after the breaker had moved on; its outcome was dropped.
    #[non_exhaustive]
    StaleOutcome {
        /// The breaker's name.
        name: Option<&'a Name>,
    },
    /// An operation was dropped after `limit`.
    #[non_exhaustive]
    TimedOut {
        /// The timeout's setting.
        limit: Duration,
    },
    /// A fallback answered in the operation's place.
    #[non_exhaustive]
    FallbackUsed {
        /// The chain's name.
        name: Option<&'a Name>,
        /// Which entry of the chain, counted from 1.
        entry: usize,
        /// The type of the error that was covered.
        error_type: &'static str,
    },
    /// Every fallback that applied failed too.
    #[non_exhaustive]
    FallbackExhausted {
        /// The chain's name.
        name: Option<&'a Name>,
        /// How many entries were tried.
        tried: usize,
        /// The type of the operation's error.
        error_type: &'static str,
    },
    /// A policy file was read again, and its settings hold from now on.
    #[non_exhaustive]
    PolicyFileReloaded {
        /// The file, as messages call it.
        name: Option<&'a Name>,
        /// How many policies it has.
        policies: usize,
    },
    /// A policy file was read again and is refused: the settings from before stay. Told once, until the
    /// file changes.
    #[non_exhaustive]
    PolicyFileRefused {
        /// The file, as messages call it.
        name: Option<&'a Name>,
        /// All that is wrong with it, a line for each problem.
        error: Option<&'a str>,
    },
    /// A chaos of a test, or of an exercise, did something to a call.
    #[non_exhaustive]
    FaultInjected {
        /// The fault, as its setter is called: `error`, `latency`, and so on.
        fault: &'static str,
        /// The number of the call, counted from 1.
        call: u64,
    },
}

/// Someone who wants to know what policies do.
///
/// Called outside every lock, in the thread of the call; it may use the policies itself. Each call
/// is caught if it panics: neither the protected call nor another observer is harmed by it.
/// Closures over `&Event` are observers. Called in the task of the call, an observer finds what that
/// task carries (a span, a task-local) and so can tell which call an event belongs to.
///
/// ```
/// use seawall::{CircuitBreaker, Event};
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering::Relaxed}};
///
/// let opened = Arc::new(AtomicU32::new(0));
/// let breaker = CircuitBreaker::builder().failure_threshold(1).build();
/// breaker.observe({
///     let opened = Arc::clone(&opened);
///     move |event: &Event<'_>| {
///         if let Event::CircuitBreakerTransition { transition, .. } = event {
///             opened.fetch_add(u32::from(transition.to.is_open()), Relaxed);
///         }
///     }
/// });
///
/// fn down() -> Result<(), &'static str> {
///     Err("down")
/// }
///
/// let _ = breaker.run_blocking(down);
/// assert_eq!(opened.load(Relaxed), 1);
/// ```
pub trait Observe: Send + Sync {
    /// Hears of `event`.
    fn observe(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Observe for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

/// Adds an observer that hears every policy of the process, for as long as the process lives.
///
/// Made for bridges to metrics and logs. A policy's own observers are added to the policy.
pub fn observe_all(observer: impl Observe + 'static) {
    sync::write(&EVERYWHERE).push(Arc::new(observer));
    // Release: pairs with the Acquire in `tell`, which then finds the list filled.
    ANYONE.store(true, Ordering::Release);
}

static EVERYWHERE: RwLock<Vec<Arc<dyn Observe>>> = RwLock::new(Vec::new());
static ANYONE: AtomicBool = AtomicBool::new(false);

/// Tells `event` to a policy's own observers and to everyone who hears all.
#[cold]
pub(crate) fn tell(event: &Event<'_>, own: &[Arc<dyn Observe>]) {
    for observer in own {
        guarded(|| observer.observe(event));
    }
    if ANYONE.load(Ordering::Acquire) {
        // A copy, so that an observer may add one: no lock is held while it runs.
        let everywhere = sync::read(&EVERYWHERE).clone();
        for observer in everywhere {
            guarded(|| observer.observe(event));
        }
    }
    scope::tell(event);
    guarded(|| telemetry::emit(event));
}

/// Whether anyone would hear of what is no change of a breaker: else the event need not be made.
#[inline]
pub(crate) fn is_heard(own: &[Arc<dyn Observe>]) -> bool {
    telemetry::IS_THERE || !own.is_empty() || ANYONE.load(Ordering::Relaxed) || scope::hears()
}

/// Whether anyone but a policy's own observers would hear of a rejection, the one event that can
/// come thousands of times a second.
#[inline]
pub(crate) fn rejections_are_heard() -> bool {
    ANYONE.load(Ordering::Relaxed) || scope::hears() || telemetry::hears_rejections()
}

/// Runs `listener`; a panic in it has been reported by the panic hook and ends here.
pub(crate) fn guarded(listener: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(listener)) {
        // Its destructor is the listener's code as well, and might panic in turn.
        std::mem::forget(payload);
    }
}

/// The type of an error, for events: the operation's own, or the name of a policy's reason.
pub(crate) fn error_type<E>(error: &Error<E>) -> &'static str {
    match error {
        Error::Operation(_) => any::type_name::<E>(),
        Error::RetryExhausted(exhausted) => error_type(exhausted.last()),
        Error::FallbackExhausted(exhausted) => error_type(exhausted.primary()),
        Error::Rejected(Rejection::CircuitBreakerOpen(_)) => "CircuitBreakerOpen",
        Error::Rejected(Rejection::TimedOut { .. }) => "TimedOut",
        Error::Rejected(Rejection::Injected) => "Injected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observer_that_panics_harms_nobody_else() {
        let heard = Arc::new(AtomicBool::new(false));
        let own: [Arc<dyn Observe>; 2] =
            [Arc::new(|_: &Event<'_>| std::panic::resume_unwind(Box::new(()))), {
                let heard = Arc::clone(&heard);
                Arc::new(move |_: &Event<'_>| heard.store(true, Ordering::Relaxed))
            }];
        tell(&Event::TimedOut { limit: Duration::ZERO }, &own);
        assert!(heard.load(Ordering::Relaxed));
    }
}
