//! On, off, and what was injected.

use super::plan::Kind;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Turns a [`Chaos`](super::Chaos) on and off at any time, and tells what it did. Clones are the
/// same switch.
#[derive(Debug, Clone, Default)]
pub struct Switch(Arc<State>);

/// Relaxed throughout: each is a figure of its own, and nothing else is published by it.
#[derive(Debug, Default)]
struct State {
    on: AtomicBool,
    calls: AtomicU64,
    errors: AtomicU64,
    rejections: AtomicU64,
    latencies: AtomicU64,
    hangs: AtomicU64,
    panics: AtomicU64,
    wrong_results: AtomicU64,
}

/// How many faults of each kind were injected.
///
/// A fault counts when it takes effect: not where the call was dropped before, say during a latency,
/// and a wrong result not where the operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Injected {
    /// Errors of the operation's own type.
    pub errors: u64,
    /// [`Rejection::Injected`](crate::Rejection::Injected).
    pub rejections: u64,
    /// Waits that began.
    pub latencies: u64,
    /// Calls that hang, or did until they were dropped.
    pub hangs: u64,
    /// Panics.
    pub panics: u64,
    /// Results that were replaced.
    pub wrong_results: u64,
}

impl Injected {
    /// All of them together.
    pub const fn total(&self) -> u64 {
        let Self { errors, rejections, latencies, hangs, panics, wrong_results } = *self;
        errors + rejections + latencies + hangs + panics + wrong_results
    }
}

impl Switch {
    /// From now on, faults are injected into calls that start.
    pub fn turn_on(&self) {
        self.0.on.store(true, Relaxed);
    }

    /// From now on, calls that start pass through. Those that are hit already take their course.
    pub fn turn_off(&self) {
        self.0.on.store(false, Relaxed);
    }

    /// Whether faults are injected.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.on.load(Relaxed)
    }

    /// How many calls started while it was on, hit or not.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Relaxed)
    }

    /// How many faults were injected.
    pub fn injected(&self) -> Injected {
        let State { errors, rejections, latencies, hangs, panics, wrong_results, .. } = &*self.0;
        Injected {
            errors: errors.load(Relaxed),
            rejections: rejections.load(Relaxed),
            latencies: latencies.load(Relaxed),
            hangs: hangs.load(Relaxed),
            panics: panics.load(Relaxed),
            wrong_results: wrong_results.load(Relaxed),
        }
    }

    /// The number of a call that starts now.
    pub(super) fn next_call(&self) -> u64 {
        self.0.calls.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn count(&self, kind: Kind) {
        let counter = match kind {
            Kind::Error => &self.0.errors,
            Kind::Rejection => &self.0.rejections,
            Kind::Latency(_) => &self.0.latencies,
            Kind::Hang => &self.0.hangs,
            Kind::Panic => &self.0.panics,
            Kind::WrongResult => &self.0.wrong_results,
        };
        counter.fetch_add(1, Relaxed);
    }
}
