//! Other settings for a breaker that is in use: another one takes over, and who holds the old one is led
//! to it.
//!
//! A breaker's settings never change, so that a call reads them as constants. What changes is the word of
//! the old one, which every call reads anyway: it is *retired*, so each call that began there, and each
//! that still comes there, takes the slow way and finds the heir. Generations go on, so that an outcome
//! counts at the heir as it would have counted at the old one.

use super::{CircuitBreaker, permit::Core, word::Word};
use crate::{
    event::Observe,
    sync::{self, Mutex, Ordering, fence},
    time::Tick,
};
use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};

/// A breaker, whatever reads its outcomes.
pub(crate) trait Owner: Send + Sync {
    fn core(&self) -> &Core;
}

impl<C: Send + Sync> Owner for CircuitBreaker<C> {
    fn core(&self) -> &Core {
        &self.core
    }
}

/// The breaker that goes on. All those that it has taken over from, one after the other, share one seat,
/// so that none of them keeps those between alive.
pub(crate) struct Seat(Mutex<Arc<dyn Owner>>);

/// The way from a retired breaker to the one that goes on.
pub(crate) struct Heir(OnceLock<Arc<Seat>>);

impl Heir {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }
}

impl fmt::Debug for Heir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heir").field("is_known", &self.0.get().is_some()).finish()
    }
}

impl<C: Send + Sync + 'static> CircuitBreaker<C> {
    /// Takes over from `old`, for settings that change while the program runs: state and times, the window,
    /// probes in flight, observers, totals and mode. What this breaker has on record itself is dropped.
    ///
    /// `old` is *retired* by this. It may be kept and used: whatever is asked of it, this breaker answers,
    /// only more slowly. Calls that `old` has let through end as they began, under its classifier and its
    /// limit for slow calls, and their outcomes count here; a probe in flight gives its slot back here.
    ///
    /// What the new settings do not allow is cut:
    ///
    /// - An open breaker stays open for what is left of its time, and no longer than they say. So do
    ///   leases of probes.
    /// - More failures in a row than they allow, or a window beyond a rate, open it with the next failure
    ///   (or slow call): settings by themselves never do.
    /// - A window over fewer calls keeps the last ones. One over another time keeps the calls of that time:
    ///   those of an old bucket are spread evenly over the new ones. Of such a window, calls that end in
    ///   the very moment of the change may be missed.
    /// - A window of another kind (calls, time, or none) begins empty.
    ///
    /// ```
    /// use seawall::{CircuitBreaker, CircuitState, Verdict};
    ///
    /// let old = CircuitBreaker::builder().failure_threshold(5).build();
    /// for _ in 0..2 {
    ///     old.try_acquire()?.record(Verdict::TRANSIENT);
    /// }
    ///
    /// let new = CircuitBreaker::builder().failure_threshold(3).build().keeping(&old);
    /// assert_eq!(new.counters().consecutive_failures, 2);
    /// new.try_acquire()?.record(Verdict::TRANSIENT);
    /// assert_eq!(old.state(), CircuitState::Open);
    /// # Ok::<_, seawall::CircuitBreakerOpenError>(())
    /// ```
    #[must_use = "the old breaker leads to this one"]
    pub fn keeping<D>(self, old: &CircuitBreaker<D>) -> Arc<Self> {
        let new = self.heir_of(old);
        old.hand_over(&new);
        new
    }

    /// One that is ready to take over from `old`, and has not yet.
    pub(crate) fn heir_of<D>(mut self, old: &CircuitBreaker<D>) -> Arc<Self> {
        self.core.heir = Heir::new();
        self.core.window.clear();
        self.core.history.take_over(&old.core.history);
        Arc::new(self)
    }
}

impl<C> CircuitBreaker<C> {
    /// Has `heir`, which was made by [`heir_of`](Self::heir_of), take over.
    pub(crate) fn hand_over<D: Send + Sync + 'static>(&self, heir: &Arc<CircuitBreaker<D>>) {
        let heir: Arc<dyn Owner> = Arc::<CircuitBreaker<D>>::clone(heir);
        let told = Arc::clone(self.core.history.told());
        // One at a time, since all of a line share this.
        let mut line = sync::lock(&told.line);
        match self.core.word().is_retired() {
            true => self.core.heir().core().pass_on(heir, &mut line),
            false => self.core.pass_on(heir, &mut line),
        }
    }

    /// Whether another breaker has taken over from this one.
    #[cfg(feature = "config")]
    pub(crate) fn is_retired(&self) -> bool {
        self.core.word().is_retired()
    }
}

impl Core {
    fn pass_on(&self, heir: Arc<dyn Owner>, line: &mut Weak<Seat>) {
        let seat = line.upgrade().unwrap_or_else(|| Arc::new(Seat(Mutex::new(Arc::clone(&heir)))));
        *line = Arc::downgrade(&seat);
        // Whoever finds the word retired waits here until the heir is ready.
        let mut now = sync::lock(&seat.0);
        let _ = self.heir.0.set(Arc::clone(&seat));
        let word = self.retire();
        heir.core().take_over(self, word);
        let before = std::mem::replace(&mut *now, heir);
        drop(now);
        // Perhaps the last of it: not while others wait.
        drop(before);
    }

    /// Ends this one; gives its last word.
    fn retire(&self) -> Word {
        let mut word = self.word();
        // AcqRel: pairs with the fence in `heir`, and with the transitions before.
        while let Err(seen) = self.word.0.compare_exchange(
            word.0,
            word.retired().0,
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            word = Word(seen);
        }
        // SeqCst: pairs with the fences in `set_mode` and `observe`.
        fence(Ordering::SeqCst);
        word
    }

    fn take_over(&self, old: &Self, last: Word) {
        let now = Tick::now();
        let word = self.rules.word_of(&old.held(last, now), now);
        if word.is_closed() {
            self.window.take_over(word.generation(), now, &old.window);
        }
        self.dry_run.store(old.dry_run.load(Ordering::Relaxed), Ordering::Relaxed);
        self.history.listen_like(&old.history);
        // Release: pairs with the AcqRel of `step`, as a transition would.
        self.word.0.store(word.0, Ordering::Release);
    }

    /// Who goes on: asked of one whose word was seen to be retired.
    #[cold]
    pub(super) fn heir(&self) -> Arc<dyn Owner> {
        // Acquire: pairs with `retire`, before which the heir was set.
        fence(Ordering::Acquire);
        let seat = self.heir.0.get().expect("set before the word is retired");
        Arc::clone(&sync::lock(&seat.0))
    }

    /// Looks at this one, or at the one that has taken over. It looks first: a word that is not retired
    /// afterwards was not retired before.
    pub(super) fn at_present<R>(&self, look: impl Fn(&Self) -> R) -> R {
        let seen = look(self);
        if !self.word().is_retired() {
            return seen;
        }
        loop {
            let owner = self.heir();
            let seen = look(owner.core());
            if !owner.core().word().is_retired() {
                return seen;
            }
        }
    }

    pub(super) fn observe(&self, observer: Arc<dyn Observe>) {
        self.history.observe(observer);
        // SeqCst: pairs with the fence in `retire`. Whoever takes over sees this, or this sees the heir.
        fence(Ordering::SeqCst);
        self.at_present(|core| core.history.listen_like(&self.history));
    }
}
