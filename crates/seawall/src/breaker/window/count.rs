//! The last N calls, exactly.

use super::{Outcome, Rates, Reading, TransitionCause, is_newer};
use crate::sync::{self, AtomicU64, Ordering, const_unless_loom, fence};
use std::sync::{Arc, OnceLock};

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
    ring: OnceLock<Arc<Ring>>,
}

#[derive(Debug)]
struct Ring {
    /// generation 28 | full 1 | where the next one goes 20 | quiet 1 | locked 1
    head: AtomicU64,
    // What follows is written by the holder of the lock only, and only when it changes: the next
    // locked instruction waits for every store before it.
    /// slow calls in the ring 32 | failures 32
    bad: AtomicU64,
    /// 32 outcomes a word: failed in the even bits, slow in the odd ones.
    outcomes: Box<[AtomicU64]>,
}

const LOCKED: u64 = 1;
const QUIET: u64 = 2;
const NEXT: u32 = 2;
const NEXT_MAX: u64 = (1 << 20) - 1;
const FULL: u64 = 1 << 22;
const GENERATION: u32 = 23;
const HALF: u64 = u32::MAX as u64;

/// Where the next outcome goes, and whether the ring is full.
const fn place(head: u64) -> (u64, bool) {
    (head >> NEXT & NEXT_MAX, head & FULL != 0)
}

/// `head` with the place after `next`, and unlocked.
const fn moved_on(head: u64, next: u64, calls: u64) -> u64 {
    let following = if next + 1 == calls { 0 } else { next + 1 };
    head & !(NEXT_MAX << NEXT | LOCKED) | following << NEXT
}

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
            Some(ring) => {
                let head = ring.head.load(Ordering::Relaxed) & !(NEXT_MAX << NEXT);
                head == generation << GENERATION | FULL | QUIET
            }
            None => false,
        }
    }

    /// Takes in a fast success where that decides nothing: it takes the place of another, or is one
    /// more and does not meet the minimum. False if it is not so simple, or another thread is at it.
    ///
    /// A function of its own that calls nothing: every register saved is a store that the locked
    /// instruction waits for.
    #[inline(never)]
    pub(crate) fn takes_success(&self, generation: u64) -> bool {
        let Some(ring) = self.ring.get() else { return false };
        let head = ring.head.load(Ordering::Relaxed);
        let is_ready = head & !(NEXT_MAX << NEXT | FULL) == generation << GENERATION;
        if !is_ready || ring.swap_head(head, head | LOCKED).is_err() {
            return false;
        }
        let (next, full) = place(head);
        let calls = u64::from(self.calls);
        let decides = !full && (next + 1 == calls || next + 1 == self.rates.minimum_calls);
        let simple = !decides && ring.at(next) == 0;
        ring.unlock(if simple { moved_on(head, next, calls) } else { head });
        simple
    }

    pub(crate) fn record(
        &self,
        generation: u64,
        outcome: Outcome,
        current: impl Fn() -> bool,
    ) -> Option<TransitionCause> {
        let calls = self.calls.into();
        let ring = self.ring();
        self.rates.trip(ring.record(generation, outcome, calls, current)?)
    }

    pub(crate) fn reading(&self, generation: u64) -> Reading {
        let calls = self.calls.into();
        self.ring.get().map(|ring| ring.reading(generation, calls)).unwrap_or_default()
    }
}

impl CountWindow {
    pub(crate) fn clear(&mut self) {
        self.ring = OnceLock::new();
    }

    /// Takes over the calls of `generation`. A window of the same size takes the ring itself, so that
    /// nothing is missed; a smaller one keeps the last calls.
    pub(crate) fn take_over(&self, generation: u64, old: &Self) {
        let ring = old.ring();
        if self.calls == old.calls && self.ring.set(Arc::clone(ring)).is_ok() {
            return;
        }
        for call in ring.drain(generation, old.calls.into()) {
            let _ = self.record(generation, Outcome::of_bits(call), || true);
        }
    }

    fn ring(&self) -> &Arc<Ring> {
        self.ring.get_or_init(|| Arc::new(Ring::new(self.calls)))
    }

    /// The calls of `generation`, the oldest first.
    #[cfg(feature = "foreign")]
    pub(crate) fn hold(&self, generation: u64) -> Vec<u8> {
        let Some(ring) = self.ring.get() else { return Vec::new() };
        ring.calls(ring.head.load(Ordering::Relaxed), generation, self.calls.into())
    }
}

impl Ring {
    fn new(calls: u32) -> Self {
        let words = calls.div_ceil(32);
        Self {
            head: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            outcomes: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The outcome in this place. Zero is a fast success.
    fn at(&self, next: u64) -> u64 {
        let word = self.outcomes.get(usize::try_from(next / 32).unwrap_or_default());
        word.map_or(0, |word| get(word) >> (next % 32 * 2) & 3)
    }

    /// What it holds of `generation`, the oldest first, two bits a call: bit 0 is set if it failed, bit 1
    /// if it was slow.
    fn calls(&self, head: u64, generation: u64, calls: u64) -> Vec<u8> {
        if head >> GENERATION != generation {
            return Vec::new();
        }
        let (next, full) = place(head);
        let places = if full { (next..calls).chain(0..next) } else { (0..next).chain(0..0) };
        places.map(|at| self.at(at).to_le_bytes()[0]).collect()
    }

    /// Takes out what it holds of `generation`. Who comes later with an outcome of it is refused.
    fn drain(&self, generation: u64, calls: u64) -> Vec<u8> {
        let Some(head) = self.lock(generation, || true) else { return Vec::new() };
        let held = self.calls(head, generation, calls);
        // Of the next generation, and empty.
        set(&self.bad, get(&self.bad), 0);
        self.unlock((generation + 1) << GENERATION);
        held
    }

    /// What the ring holds with this outcome; none if that decides nothing: the outcome is of an
    /// older generation than the ring, or one fast success took the place of another.
    fn record(
        &self,
        generation: u64,
        outcome: Outcome,
        calls: u64,
        current: impl Fn() -> bool,
    ) -> Option<Reading> {
        let head = self.lock(generation, current)?;
        let fresh = head >> GENERATION != generation;
        let (next, full) = if fresh { (0, false) } else { place(head) };
        let word = &self.outcomes[usize::try_from(next / 32).unwrap_or_default()];
        let (bits, at) = (get(word), next % 32 * 2);
        let evicted = if full { bits >> at & 3 } else { 0 };
        let (failed, slow) = (u64::from(outcome.is_failure()), u64::from(outcome.is_slow()));
        let recorded = failed | slow << 1;
        let following = if next + 1 == calls { 0 } else { next + 1 };
        if full && evicted | recorded == 0 {
            self.unlock(moved_on(head, next, calls));
            return None;
        }
        let full = full || following == 0;
        let bad = if fresh { 0 } else { get(&self.bad) };
        let bad = bad - ((evicted >> 1) << 32 | evicted & 1) + (slow << 32 | failed);
        set(word, bits, bits & !(3 << at) | recorded << at);
        set(&self.bad, get(&self.bad), bad);
        let flags = if full { FULL } else { 0 } | if full && bad == 0 { QUIET } else { 0 };
        self.unlock(generation << GENERATION | flags | following << NEXT);
        let filled = if full { calls } else { following };
        Some(Reading { calls: filled, failures: bad & HALF, slow: bad >> 32 })
    }

    fn reading(&self, generation: u64, calls: u64) -> Reading {
        let Some(head) = self.lock(generation, || false) else { return Reading::default() };
        let bad = get(&self.bad);
        self.unlock(head);
        let (next, full) = place(head);
        let filled = if full { calls } else { next };
        match head >> GENERATION == generation {
            true => Reading { calls: filled, failures: bad & HALF, slow: bad >> 32 },
            false => Reading::default(),
        }
    }

    /// Takes the lock; gives what the head was, or none if the ring is newer than `generation`.
    fn lock(&self, generation: u64, current: impl Fn() -> bool) -> Option<u64> {
        let mut spins = 0;
        loop {
            let head = self.head.load(Ordering::Relaxed);
            if is_newer(head >> GENERATION, generation) && !is_of_now(&current) {
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

/// Whether an outcome is current although the ring is newer.
#[cold]
fn is_of_now(current: impl Fn() -> bool) -> bool {
    // Acquire: pairs with the Release in `unlock`, so that the word is seen no older than it was to
    // whoever made the ring newer.
    fence(Ordering::Acquire);
    current()
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

#[cfg(all(test, not(seawall_loom)))]
mod tests;

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

    fn succeed(window: &CountWindow, generation: u64) {
        if !window.is_quiet(generation) && !window.takes_success(generation) {
            window.record(generation, Outcome::Success, || false);
        }
    }

    /// The short way in for a success beside a failure: both are in the window, once.
    #[test]
    fn no_schedule_lets_a_success_on_the_short_way_lose_or_double_an_outcome() {
        loom::model(|| {
            let window = window(3, &[Outcome::Success, Outcome::Failure, Outcome::Success]);
            let other = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.record(1, Outcome::Failure, || false);
                })
            };
            succeed(&window, 1);
            other.join().expect("no panic");
            assert_eq!(window.reading(1), Reading { calls: 3, failures: 1, slow: 0 });
            succeed(&window, 1);
            assert_eq!(window.reading(1), Reading { calls: 3, failures: 1, slow: 0 });
        });
    }

    /// Law 3 on the short way: a success of an older generation never enters a newer one.
    #[test]
    fn no_schedule_lets_an_old_success_take_a_place_in_a_new_generation() {
        loom::model(|| {
            let window = window(2, &[Outcome::Failure, Outcome::Success]);
            let stale = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.takes_success(1);
                })
            };
            window.record(2, Outcome::Success, || false);
            stale.join().expect("no panic");
            assert_eq!(window.reading(2), Reading { calls: 1, failures: 0, slow: 0 });
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
