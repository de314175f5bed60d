//! The last N calls, exactly.

use super::{Outcome, Rates, Reading, TransitionCause, is_newer};
use crate::sync::{self, AtomicU64, Ordering, const_unless_loom};
use std::sync::OnceLock;

/// The largest window, in calls: 250 kB.
pub(crate) const MAX_CALLS: u32 = 1_000_000;

/// A ring of the last N outcomes, two bits each, that decides on every write.
///
/// `head` is its lock and its summary in one: a writer takes it with one compare-and-swap, works a
/// few instructions, and gives it back with a plain store. While the ring is full and holds nothing
/// bad, `head` says so, and a fast success, which would change nothing, only reads it: the load that
/// sees `QUIET` is the moment at which that call counts as recorded.
#[derive(Debug)]
pub(crate) struct CountWindow {
    calls: u32,
    rates: Rates,
    /// Made on first use, so that a breaker can be a `static`.
    ring: OnceLock<Box<Ring>>,
}

#[derive(Debug)]
struct Ring {
    /// generation 28 | quiet 1 | locked 1
    head: AtomicU64,
    // What follows is written by the holder of the lock only, and two to a word: the next locked
    // instruction waits for every store before it.
    /// outcomes in the ring 32 | where the next one goes 32
    place: AtomicU64,
    /// slow calls in the ring 32 | failures 32
    bad: AtomicU64,
    /// 32 outcomes a word: failed in the even bits, slow in the odd ones.
    outcomes: Box<[AtomicU64]>,
}

const LOCKED: u64 = 1;
const QUIET: u64 = 2;
const HALF: u64 = u32::MAX as u64;

impl CountWindow {
    const_unless_loom! {
        pub(crate) const fn new(calls: u32, rates: Rates) -> Self {
            Self { calls, rates, ring: OnceLock::new() }
        }
    }

    #[inline]
    pub(crate) fn is_quiet(&self, generation: u64) -> bool {
        match self.ring.get() {
            // Relaxed: nothing is read that the word's owner has written.
            Some(ring) => ring.head.load(Ordering::Relaxed) == generation << 2 | QUIET,
            None => false,
        }
    }

    pub(crate) fn record(
        &self,
        generation: u64,
        outcome: Outcome,
        current: impl Fn() -> bool,
    ) -> Option<TransitionCause> {
        let ring = self.ring.get_or_init(|| Box::new(Ring::new(self.calls)));
        let calls = self.calls.into();
        self.rates.trip(ring.record(generation, outcome, calls, current)?)
    }

    pub(crate) fn reading(&self, generation: u64) -> Reading {
        self.ring.get().map(|ring| ring.reading(generation)).unwrap_or_default()
    }
}

impl Ring {
    fn new(calls: u32) -> Self {
        let words = calls.div_ceil(32);
        Self {
            head: AtomicU64::new(0),
            place: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            outcomes: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What the ring holds with this outcome; none if it is of an older generation than the ring.
    fn record(
        &self,
        generation: u64,
        outcome: Outcome,
        calls: u64,
        current: impl Fn() -> bool,
    ) -> Option<Reading> {
        let head = self.lock(generation, current)?;
        let fresh = head >> 2 != generation;
        let (place, mut bad) = if fresh { (0, 0) } else { (get(&self.place), get(&self.bad)) };
        let (mut filled, next) = (place >> 32, place & HALF);
        let word = &self.outcomes[usize::try_from(next / 32).unwrap_or_default()];
        let (bits, at) = (get(word), next % 32 * 2);
        if filled == calls {
            let evicted = bits >> at & 3;
            bad -= (evicted >> 1) << 32 | evicted & 1;
        } else {
            filled += 1;
        }
        let (failed, slow) = (u64::from(outcome.is_failure()), u64::from(outcome.is_slow()));
        bad += slow << 32 | failed;
        set(word, bits, bits & !(3 << at) | (failed | slow << 1) << at);
        set(&self.bad, get(&self.bad), bad);
        let next = if next + 1 == calls { 0 } else { next + 1 };
        self.place.store(filled << 32 | next, Ordering::Relaxed);
        let quiet = if filled == calls && bad == 0 { QUIET } else { 0 };
        self.unlock(generation << 2 | quiet);
        Some(Reading { calls: filled, failures: bad & HALF, slow: bad >> 32 })
    }

    fn reading(&self, generation: u64) -> Reading {
        let Some(head) = self.lock(generation, || false) else { return Reading::default() };
        let (place, bad) = (get(&self.place), get(&self.bad));
        let reading = Reading { calls: place >> 32, failures: bad & HALF, slow: bad >> 32 };
        self.unlock(head);
        if head >> 2 == generation { reading } else { Reading::default() }
    }

    /// Takes the lock; gives what the head was, or none if the ring is newer than `generation`.
    fn lock(&self, generation: u64, current: impl Fn() -> bool) -> Option<u64> {
        let mut spins = 0;
        loop {
            let head = self.head.load(Ordering::Relaxed);
            if is_newer(head >> 2, generation) && !current() {
                return None;
            }
            // Acquire: pairs with the Release in `unlock`, so that the last holder's writes are
            // seen.
            let free = head & LOCKED == 0;
            if free && self.swap_head(head, head | LOCKED).is_ok() {
                return Some(head);
            }
            sync::relax(&mut spins);
        }
    }

    fn swap_head(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.head.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    fn unlock(&self, head: u64) {
        self.head.store(head, Ordering::Release);
    }
}

/// Reads what the lock protects.
fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

/// Writes what the lock protects, if it is another value.
fn set(word: &AtomicU64, old: u64, new: u64) {
    if new != old {
        word.store(new, Ordering::Relaxed);
    }
}

#[cfg(all(test, seawall_loom))]
mod loom_tests {
    use super::*;
    use loom::{sync::Arc, thread};

    const RATES: Rates = Rates { minimum_calls: 2, failure_rate: Some(1.0), slow_call_rate: None };

    fn window(calls: u32, before: &[Outcome]) -> Arc<CountWindow> {
        let window = CountWindow::new(calls, RATES);
        // At least once, so that the ring is made outside the model's threads.
        for outcome in before {
            let _ = window.record(1, *outcome, || false);
        }
        Arc::new(window)
    }

    /// Conservation: what is recorded is in the window, once.
    #[test]
    fn no_schedule_loses_or_doubles_an_outcome() {
        loom::model(|| {
            let window = window(4, &[Outcome::Success]);
            let other = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.record(1, Outcome::Failure, || false);
                })
            };
            window.record(1, Outcome::SlowFailure, || false);
            other.join().expect("no panic");
            let reading = window.reading(1);
            assert_eq!(reading, Reading { calls: 3, failures: 2, slow: 1 });
        });
    }

    /// A success that finds the window quiet writes nothing; a failure beside it is still counted.
    #[test]
    fn no_schedule_lets_a_quiet_success_hide_a_failure() {
        loom::model(|| {
            let window = window(2, &[Outcome::Success, Outcome::Success]);
            assert!(window.is_quiet(1));
            let other = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.record(1, Outcome::Failure, || false);
                })
            };
            if !window.is_quiet(1) {
                window.record(1, Outcome::Success, || false);
            }
            other.join().expect("no panic");
            assert_eq!(window.reading(1), Reading { calls: 2, failures: 1, slow: 0 });
        });
    }

    /// Law 3: an outcome of an older generation never enters the window of a newer one.
    #[test]
    fn no_schedule_lets_an_old_generation_write() {
        loom::model(|| {
            let window = window(4, &[Outcome::Success]);
            let stale = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.record(1, Outcome::Failure, || false);
                })
            };
            window.record(2, Outcome::Success, || false);
            stale.join().expect("no panic");
            assert_eq!(window.reading(2), Reading { calls: 1, failures: 0, slow: 0 });
        });
    }
}
