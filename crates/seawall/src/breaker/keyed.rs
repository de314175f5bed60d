//! A breaker per key: per host, per tenant, per shard.

use super::{CircuitBreaker, CircuitBreakerBuilder};
use crate::{
    setting::Name,
    sync::{self, RwLock},
    time::Tick,
    verdict::AnyError,
};
use std::{
    cell::Cell,
    collections::HashMap,
    fmt::{Display, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Circuit breakers by key, made when a key is first seen, at most so many at a time.
///
/// One dead shard of ten must not close the way to the other nine: each gets a breaker of its own.
///
/// ```
/// use seawall::{CircuitBreaker, CircuitBreakers};
///
/// static SHARDS: CircuitBreakers =
///     CircuitBreakers::new(CircuitBreaker::builder().name("shards").failure_threshold(1));
///
/// fn read(shard: u32) -> Result<u32, String> {
///     if shard == 3 { Err("down".to_owned()) } else { Ok(7) }
/// }
///
/// for shard in 0..10 {
///     let _ = SHARDS.get(&shard).run_blocking(|| read(shard));
/// }
/// assert!(SHARDS.get(&3).state().is_open());
/// assert!(SHARDS.get(&4).state().is_closed());
/// assert_eq!(SHARDS.get(&4).name().unwrap(), "shards[4]");
/// ```
///
/// Keys are told apart by their text: `4` and `"4"` are the same one. To get a known key's breaker
/// takes a shared lock and no allocation. When there are too many keys, the one unused for the longest
/// time makes way, among those whose breaker is closed and counts no failures in a row, if there are
/// any; whoever holds its breaker, such as a call in flight, keeps it, and the key gets a new one when
/// it comes again.
///
/// A `Display` that fails gives the key that it wrote until then; one that panics, panics here. It
/// runs outside the lock, and may use breakers in turn.
#[derive(Debug)]
pub struct CircuitBreakers<C = AnyError> {
    settings: CircuitBreakerBuilder<C>,
    max_keys: usize,
    known: RwLock<Option<HashMap<Box<str>, Known<C>>>>,
}

#[derive(Debug)]
struct Known<C> {
    breaker: Arc<CircuitBreaker<C>>,
    /// When it was last asked for, in ms.
    used: AtomicU64,
}

impl<C> CircuitBreakers<C> {
    /// Breakers with these settings, for 1024 keys at a time.
    ///
    /// # Panics
    /// If a setting makes no sense; the message names it and its value. That of a static is checked
    /// when the program is compiled:
    ///
    /// ```compile_fail
    /// use seawall::{CircuitBreaker, CircuitBreakers};
    ///
    /// static SHARDS: CircuitBreakers =
    ///     CircuitBreakers::new(CircuitBreaker::builder().failure_threshold(0));
    /// ```
    #[track_caller]
    #[must_use]
    pub const fn new(settings: CircuitBreakerBuilder<C>) -> Self {
        settings.assert_valid();
        Self { settings, max_keys: 1024, known: RwLock::new(None) }
    }

    /// The most keys at a time, at least 1.
    #[must_use]
    pub const fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = if max_keys == 0 { 1 } else { max_keys };
        self
    }

    /// How many keys have a breaker now.
    pub fn len(&self) -> usize {
        sync::read(&self.known).as_ref().map_or(0, HashMap::len)
    }

    /// Whether no key has a breaker.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys that have a breaker now, in no order.
    pub fn keys(&self) -> Vec<String> {
        let known = sync::read(&self.known);
        known.iter().flat_map(HashMap::keys).map(|key| String::from(&**key)).collect()
    }
}

impl<C: Copy> CircuitBreakers<C> {
    /// The breaker of `key`.
    pub fn get(&self, key: &(impl Display + ?Sized)) -> Arc<CircuitBreaker<C>> {
        // Taken out while it is in use: a `Display` may use breakers in turn.
        // None is left where the thread is ending.
        let mut text = KEY.try_with(Cell::take).unwrap_or_default();
        text.clear();
        // Writing to a string fails only if the key's `Display` does; what it wrote is its key.
        let _ = write!(text, "{key}");
        let breaker = self.find(&text).unwrap_or_else(|| self.make(&text));
        let _ = KEY.try_with(|key| key.set(text));
        breaker
    }

    fn find(&self, key: &str) -> Option<Arc<CircuitBreaker<C>>> {
        let known = sync::read(&self.known);
        let known = known.as_ref()?.get(key)?;
        let now = Tick::now().as_millis();
        // A shared write at most once in a while.
        if known.used.load(Relaxed) != now {
            known.used.store(now, Relaxed);
        }
        Some(Arc::clone(&known.breaker))
    }

    #[cold]
    fn make(&self, key: &str) -> Arc<CircuitBreaker<C>> {
        // Dropped after the lock: observers go with it, and they are the user's code.
        let mut _evicted = None;
        let mut known = sync::write(&self.known);
        let known = known.get_or_insert_with(HashMap::new);
        if let Some(known) = known.get(key) {
            // Another thread was first.
            return Arc::clone(&known.breaker);
        }
        if known.len() >= self.max_keys {
            let least = known.iter().min_by_key(|(_, known)| known.worth()).map(|(key, _)| key);
            _evicted = least.cloned().and_then(|least| known.remove(&least));
        }
        let breaker = self.settings.build();
        let name = match breaker.name() {
            Some(name) => format!("{name}[{key}]"),
            None => key.to_owned(),
        };
        let breaker = Arc::new(breaker.named(Name::from(name)));
        let used = AtomicU64::new(Tick::now().as_millis());
        known.insert(key.into(), Known { breaker: Arc::clone(&breaker), used });
        breaker
    }
}

impl<C> Known<C> {
    /// The least goes first: what has nothing on record, then what was not used for long.
    fn worth(&self) -> (bool, u64) {
        (!self.breaker.core.word().is_clean(), self.used.load(Relaxed))
    }
}

thread_local! {
    /// For the text of a key, so that looking one up allocates nothing.
    static KEY: Cell<String> = const { Cell::new(String::new()) };
}
