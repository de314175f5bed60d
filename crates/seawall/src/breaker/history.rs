//! What a breaker has been through: transitions in order, observers, counts.
//!
//! Nothing in here is touched while the breaker is healthy.

use super::{CircuitState, Transition, succession::Seat};
use crate::{
    event::{self, Event, Observe},
    setting::Name,
    slots::Tally,
    sync::{self, Mutex, RwLock},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// Made when the first thing happens, so that a breaker can be a `static` and a healthy one small.
pub(crate) struct History {
    literal: Option<Name>,
    given: Option<Name>,
    told: OnceLock<Arc<Told>>,
    /// Whether there are observers.
    observed: AtomicBool,
}

/// Shared by a breaker and those who take over from it: to observers they are one.
#[derive(Default)]
pub(super) struct Told {
    feed: Mutex<Feed>,
    observers: RwLock<Vec<Arc<dyn Observe>>>,
    rejections: Tally,
    /// Where those who are retired find the breaker that goes on. Whoever takes over holds it.
    pub(super) line: Mutex<Weak<Seat>>,
}

/// Transitions on their way to the observers.
///
/// Each carries its generation. The thread that made it puts it here; whoever completes the sequence
/// delivers, outside the lock, and only one thread at a time does. So the order is that of the
/// swaps, whatever the threads do, and an observer that causes a transition only queues it.
#[derive(Default)]
struct Feed {
    /// The generation delivered last.
    delivered: u64,
    waiting: BTreeMap<u64, Transition>,
    delivering: bool,
    /// The latest transition, delivered or not, with its place in the sequence.
    last: Option<(u64, Transition)>,
    /// How many of them went to open.
    opened: u64,
    /// How many no observer will hear of.
    untold: u64,
}

impl History {
    pub(crate) const fn new(name: Option<&'static str>) -> Self {
        let literal = match name {
            Some(name) => Some(Name::literal(name)),
            None => None,
        };
        let observed = AtomicBool::new(false);
        Self { literal, given: None, told: OnceLock::new(), observed }
    }

    pub(crate) fn rename(&mut self, name: Name) {
        self.given = Some(name);
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.given.as_ref().or(self.literal.as_ref())
    }

    pub(crate) fn observe(&self, observer: Arc<dyn Observe>) {
        sync::write(&self.told().observers).push(observer);
        self.observed.store(true, Relaxed);
    }

    #[inline]
    pub(crate) fn rejections_are_heard(&self) -> bool {
        self.observed.load(Relaxed) || event::rejections_are_heard()
    }

    pub(super) fn told(&self) -> &Arc<Told> {
        self.told.get_or_init(Arc::default)
    }

    /// Goes on where `old` is, with the observers of both.
    pub(crate) fn take_over(&mut self, old: &Self) {
        let own = self.observers();
        let told = old.told();
        sync::write(&told.observers).extend(own);
        self.told = OnceLock::from(Arc::clone(told));
    }

    /// Has rejections heard where `old` has.
    pub(crate) fn listen_like(&self, old: &Self) {
        self.observed.fetch_or(old.observed.load(Relaxed), Relaxed);
    }

    pub(crate) fn rejected(&self) {
        self.told().rejections.add_one();
    }

    pub(crate) fn rejections(&self) -> u64 {
        self.told.get().map_or(0, |told| told.rejections.total())
    }

    pub(crate) fn opened(&self) -> u64 {
        self.told.get().map_or(0, |told| sync::lock(&told.feed).opened)
    }

    pub(crate) fn untold(&self) -> u64 {
        self.told.get().map_or(0, |told| sync::lock(&told.feed).untold)
    }

    pub(crate) fn last(&self) -> Option<Transition> {
        self.told
            .get()
            .and_then(|told| sync::lock(&told.feed).last.map(|(_, transition)| transition))
    }

    /// Tells of something that is no transition, and so has no place in their order.
    pub(crate) fn tell<'a>(&'a self, event: impl FnOnce(Option<&'a Name>) -> Event<'a>) {
        let observers = self.observers();
        event::tell(&event(self.name()), &observers);
    }

    /// A copy, so that no lock is held while an observer runs.
    fn observers(&self) -> Vec<Arc<dyn Observe>> {
        self.told.get().map(|told| sync::read(&told.observers).clone()).unwrap_or_default()
    }

    /// Takes note of the transition from one word to the next, and tells all whose turn it is.
    #[cold]
    pub(crate) fn moved(&self, generation: u64, transition: Transition) {
        let told = self.told();
        let mut feed = sync::lock(&told.feed);
        feed.add(generation, transition);
        if feed.delivering {
            return;
        }
        feed.delivering = true;
        while let Some(transition) = feed.next() {
            drop(feed);
            self.tell(|name| Event::CircuitBreakerTransition { name, transition });
            feed = sync::lock(&told.feed);
        }
        feed.delivering = false;
    }
}

/// More than that are not kept for observers that hang.
const MOST_WAITING: usize = 65_536;

/// The word's generations wrap; places in the sequence do not.
const GENERATIONS: u64 = 1 << 28;

impl Feed {
    fn add(&mut self, generation: u64, transition: Transition) {
        // The first place after the one delivered last that has this generation.
        let ahead = generation.wrapping_sub(self.delivered) % GENERATIONS;
        self.opened += u64::from(transition.to == CircuitState::Open);
        if ahead == 0 || ahead >= GENERATIONS / 2 {
            // It was given up: whoever moved the breaker was held up while so many others did.
            self.untold += 1;
            return;
        }
        let place = self.delivered + ahead;
        self.waiting.insert(place, transition);
        if self.waiting.len() > MOST_WAITING {
            // An observer hangs, and the others wait for it: the oldest is given up.
            if let Some((oldest, _)) = self.waiting.pop_first() {
                self.delivered = oldest;
                self.untold += 1;
            }
        }
        if self.last.is_none_or(|(last, _)| last < place) {
            self.last = Some((place, transition));
        }
    }

    fn next(&mut self) -> Option<Transition> {
        let transition = self.waiting.remove(&(self.delivered + 1))?;
        self.delivered += 1;
        Some(transition)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("name", &self.name())
            .field("last", &self.last())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{breaker::TransitionCause, time::Tick};

    fn transition(to: CircuitState) -> Transition {
        let cause = TransitionCause::Manual;
        let at = Tick::from_millis(0);
        Transition { from: CircuitState::Closed, to, cause, at, open_for: None, dry_run: false }
    }

    #[test]
    fn one_that_comes_after_it_was_given_up_is_not_the_latest() {
        let mut feed = Feed::default();
        // Whoever made the first one is held up.
        let last = MOST_WAITING as u64 + 2;
        (2..=last).for_each(|place| feed.add(place, transition(CircuitState::HalfOpen)));
        while feed.next().is_some() {}
        assert_eq!(feed.delivered, last);
        feed.add(1, transition(CircuitState::Open));
        feed.add(last + 1, transition(CircuitState::Closed));
        assert_eq!(feed.next(), Some(transition(CircuitState::Closed)));
        assert_eq!(feed.last.map(|(_, latest)| latest.to), Some(CircuitState::Closed));
        assert_eq!((feed.waiting.len(), feed.untold, feed.opened), (0, 2, 1));
    }

    #[test]
    fn transitions_are_delivered_in_the_order_of_their_generations() {
        let mut feed = Feed::default();
        feed.add(2, transition(CircuitState::HalfOpen));
        assert_eq!(feed.next(), None, "the first is still on its way");
        feed.add(1, transition(CircuitState::Open));
        assert_eq!(feed.next(), Some(transition(CircuitState::Open)));
        assert_eq!(feed.next(), Some(transition(CircuitState::HalfOpen)));
        assert_eq!(feed.next(), None);
        assert_eq!(feed.last, Some((2, transition(CircuitState::HalfOpen))));
    }

    #[test]
    fn an_observer_that_hangs_costs_memory_for_so_many_transitions_at_most() {
        let mut feed = Feed::default();
        for generation in 1..=MOST_WAITING as u64 + 1000 {
            feed.add(generation, transition(CircuitState::Open));
        }
        assert_eq!((feed.waiting.len(), feed.untold), (MOST_WAITING, 1000));
        assert!(feed.next().is_some(), "and those that are left are in order");
        assert_eq!(feed.delivered, 1001);
    }

    #[test]
    fn the_order_holds_where_generations_wrap() {
        let mut feed = Feed { delivered: GENERATIONS - 2, ..Feed::default() };
        feed.add(0, transition(CircuitState::HalfOpen));
        feed.add(GENERATIONS - 1, transition(CircuitState::Open));
        assert_eq!(feed.next(), Some(transition(CircuitState::Open)));
        assert_eq!(feed.next(), Some(transition(CircuitState::HalfOpen)));
        feed.add(1, transition(CircuitState::Closed));
        assert_eq!(feed.next(), Some(transition(CircuitState::Closed)));
    }
}
