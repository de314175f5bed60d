//! The calls of the last T, in ten buckets.

use super::{Outcome, Rates, Reading, TransitionCause, is_newer};
use crate::{
    breaker::held::HeldBucket,
    slots::{SLOTS, thread_slot},
    sync::{self, AtomicU64, Mutex, Ordering, const_unless_loom, fence},
    time::Tick,
};
use std::sync::{Arc, OnceLock};

/// How many buckets a window has: it holds the calls of the last 0.9 T to T.
pub(crate) const BUCKETS: usize = 10;

/// Counts in buckets, one set of them for each thread that records.
///
/// A thread writes its own shard with plain stores, whatever the call rate; the thread that has
/// cause to decide adds the shards up. Failures and slow calls decide; successes do until the
/// minimum of calls has once been seen met in the current bucket, since past that point one more
/// success can only lower a rate. Ageing alone decides nothing.
#[derive(Debug)]
pub(crate) struct TimeWindow {
    /// The length of a bucket, in ms.
    bucket: u64,
    rates: Rates,
    /// Made on first use, so that a breaker can be a `static`.
    shards: OnceLock<Arc<Shards>>,
}

#[derive(Debug)]
struct Shards {
    own: [OnceLock<Box<Shard>>; SLOTS],
    /// For threads without a slot of their own: always locked.
    shared: Mutex<Option<Box<Shard>>>,
}

/// One thread's buckets. Written by the slot's owner only (the shared one: under its lock), read by
/// all.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    buckets: [Bucket; BUCKETS],
    /// The tag of the bucket in which the minimum of calls was last seen met.
    met: AtomicU64,
    /// When that bucket begins, in ms, and where it is: a success finds it without a division.
    met_from: AtomicU64,
    met_at: AtomicU64,
}

/// The tag says what the counts are of. It is `CHANGING` while they are set to zero for another
/// bucket, so that a reader never takes new counts for old ones or the other way round.
#[derive(Debug)]
struct Bucket {
    tag: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
}

/// generation 28 | number of the bucket since the clock's epoch 36
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag(u64);

const NUMBER: u64 = (1 << 36) - 1;
const CHANGING: u64 = u64::MAX;

impl Tag {
    const fn new(generation: u64, number: u64) -> Self {
        Self(generation << 36 | number & NUMBER)
    }

    const fn generation(self) -> u64 {
        self.0 >> 36
    }

    const fn number(self) -> u64 {
        self.0 & NUMBER
    }

    /// Where its bucket is.
    const fn at(self) -> u64 {
        self.number() % BUCKETS as u64
    }

    /// Whether a bucket of this tag is in the window that ends with `now`: not older, and not further
    /// ahead either, where the clock has gone back. So two buckets in one place are never both in it.
    const fn is_in_window(self, now: Self) -> bool {
        const WIDTH: u64 = BUCKETS as u64;
        let from_the_oldest = self.number().wrapping_sub(now.number()).wrapping_add(WIDTH - 1);
        self.generation() == now.generation() && from_the_oldest & NUMBER < 2 * WIDTH - 1
    }
}

impl TimeWindow {
    const_unless_loom! {
        /// `bucket` in ms, 1 or more.
        pub(crate) const fn new(bucket: u64, rates: Rates) -> Self {
            Self { bucket, rates, shards: OnceLock::new() }
        }
    }

    /// Takes in a fast success where that decides nothing: the minimum of calls has been seen met in
    /// the current bucket. False if it is not so simple.
    #[inline(never)]
    pub(crate) fn takes_success(&self, generation: u64, now: impl FnOnce() -> Tick) -> bool {
        self.shards.get().zip(thread_slot()).is_some_and(|(shards, slot)| {
            let shard = shards.own[slot].get();
            shard.is_some_and(|shard| shard.takes_success(generation, now(), self.bucket))
        })
    }

    #[inline]
    pub(crate) fn record(
        &self,
        generation: u64,
        now: Tick,
        outcome: Outcome,
        current: impl Fn() -> bool,
    ) -> Option<TransitionCause> {
        self.record_in(thread_slot(), (generation, now), outcome, current)
    }

    /// [`record`](Self::record) by the owner of `slot`.
    #[inline]
    fn record_in(
        &self,
        slot: Option<usize>,
        (generation, now): (u64, Tick),
        outcome: Outcome,
        current: impl Fn() -> bool,
    ) -> Option<TransitionCause> {
        let shards = self.shards.get_or_init(|| Arc::new(Shards::new()));
        let tag = self.tag(generation, now);
        let decides = match slot {
            Some(slot) => shards.own[slot].get_or_init(Box::default).record(tag, outcome, current),
            None => {
                sync::lock(&shards.shared).get_or_insert_default().record(tag, outcome, current)
            }
        };
        if decides { self.decide(shards, slot, tag) } else { None }
    }

    /// Adds all up; gives the cause if a rate is reached.
    #[cold]
    fn decide(&self, shards: &Shards, slot: Option<usize>, tag: Tag) -> Option<TransitionCause> {
        // SeqCst: of two threads that record and then add up, at least one sees both records.
        // Without it each could read the other's shard as it was before, and no one would trip.
        fence(Ordering::SeqCst);
        let reading = shards.sum(tag);
        if reading.calls >= self.rates.minimum_calls {
            match slot {
                Some(slot) => shards.own[slot].get_or_init(Box::default).note_met(tag, self.bucket),
                None => {
                    sync::lock(&shards.shared).get_or_insert_default().note_met(tag, self.bucket)
                }
            }
        }
        self.rates.trip(reading)
    }

    pub(crate) fn reading(&self, generation: u64, now: Tick) -> Reading {
        let tag = self.tag(generation, now);
        self.shards.get().map(|shards| shards.sum(tag)).unwrap_or_default()
    }

    #[inline]
    fn tag(&self, generation: u64, now: Tick) -> Tag {
        Tag::new(generation, now.as_millis() / self.bucket)
    }
}

impl TimeWindow {
    pub(crate) fn clear(&mut self) {
        self.shards = OnceLock::new();
    }

    /// Takes over the calls of `generation`. With buckets as long as those of `old`, and the same
    /// minimum, it takes the shards themselves, so that nothing is missed. Else a call that ends in
    /// this very moment may be counted in the old window only.
    pub(crate) fn take_over(&self, generation: u64, now: Tick, old: &Self) {
        let shards = old.shards.get_or_init(|| Arc::new(Shards::new()));
        // What has been seen of the minimum is in the shards as well.
        let alike =
            (self.bucket, self.rates.minimum_calls) == (old.bucket, old.rates.minimum_calls);
        if alike && self.shards.set(Arc::clone(shards)).is_ok() {
            return;
        }
        let held = old.hold(generation, now);
        let split = held.iter().flat_map(|bucket| split(bucket, old.bucket, self.bucket, now));
        self.remember(generation, now, &split.collect::<Vec<_>>());
    }

    /// The buckets of `generation` that are in the window, the oldest first.
    pub(crate) fn hold(&self, generation: u64, now: Tick) -> Vec<HeldBucket> {
        let Some(shards) = self.shards.get() else { return Vec::new() };
        let tag = self.tag(generation, now);
        let first = tag.number().saturating_sub(BUCKETS as u64 - 1);
        let held = (first..=tag.number()).map(|number| {
            let sum = shards.sum_of(Tag::new(generation, number));
            let age = now.as_millis().saturating_sub(number * self.bucket);
            HeldBucket { age, calls: sum.calls, failures: sum.failures, slow: sum.slow }
        });
        held.filter(|bucket| bucket.calls > 0).collect()
    }

    pub(crate) fn remember(&self, generation: u64, now: Tick, held: &[HeldBucket]) {
        let shards = self.shards.get_or_init(|| Arc::new(Shards::new()));
        let mut shared = sync::lock(&shards.shared);
        let shard = shared.get_or_insert_default();
        for bucket in held {
            let began = Tick::from_millis(now.as_millis().saturating_sub(bucket.age));
            let tag = self.tag(generation, began);
            if !tag.is_in_window(self.tag(generation, now)) {
                continue;
            }
            let place = &shard.buckets[usize::try_from(tag.at()).unwrap_or_default()];
            let held = Tag(place.tag.load(Ordering::Relaxed));
            if held != tag {
                place.turn(held, tag, || true);
            }
            let counts = [&place.calls, &place.failures, &place.slow];
            for (count, more) in
                counts.into_iter().zip([bucket.calls, bucket.failures, bucket.slow])
            {
                count.store(count.load(Ordering::Relaxed) + more, Ordering::Release);
            }
        }
    }
}

/// A bucket of `from` ms as buckets of `to` ms: spread evenly over those of the window that it lies in.
fn split(bucket: &HeldBucket, from: u64, to: u64, now: Tick) -> impl Iterator<Item = HeldBucket> {
    let HeldBucket { age, calls, failures, slow } = *bucket;
    let now = now.as_millis();
    let began = now.saturating_sub(age);
    let first = began / to;
    let last = began.saturating_add(from - 1).min(now) / to;
    let parts = last - first + 1;
    // What is further back is out of the window.
    (parts.saturating_sub(BUCKETS as u64)..parts).map(move |part| {
        let successes = share(calls.saturating_sub(failures), part, parts);
        let failures = share(failures, part, parts);
        let calls = successes + failures;
        let age = now.saturating_sub((first + part) * to);
        HeldBucket { age, calls, failures, slow: share(slow, part, parts).min(calls) }
    })
}

/// Part `part` of `parts`, counted from 0, of `count`: all parts together are all of it.
fn share(count: u64, part: u64, parts: u64) -> u64 {
    let up_to = |part: u64| u128::from(count) * u128::from(part) / u128::from(parts);
    u64::try_from(up_to(part + 1) - up_to(part)).unwrap_or(count)
}

impl Shards {
    /// What all hold of one bucket.
    fn sum_of(&self, tag: Tag) -> Reading {
        let mut sum = Reading::default();
        let at = usize::try_from(tag.at()).unwrap_or_default();
        let mut add = |shard: &Shard| {
            let bucket = &shard.buckets[at];
            if let Some(reading) =
                (bucket.tag.load(Ordering::Relaxed) == tag.0).then(|| bucket.read(tag)).flatten()
            {
                sum.calls += reading.calls;
                sum.failures += reading.failures;
                sum.slow += reading.slow;
            }
        };
        self.own.iter().filter_map(OnceLock::get).for_each(|shard| add(shard));
        if let Some(shard) = &*sync::lock(&self.shared) {
            add(shard);
        }
        sum
    }

    fn new() -> Self {
        Self { own: [const { OnceLock::new() }; SLOTS], shared: Mutex::new(None) }
    }

    fn sum(&self, now: Tag) -> Reading {
        let mut sum = Reading::default();
        for shard in self.own.iter().filter_map(OnceLock::get) {
            shard.add_to(&mut sum, now);
        }
        if let Some(shard) = &*sync::lock(&self.shared) {
            shard.add_to(&mut sum, now);
        }
        sum
    }
}

impl Default for Shard {
    fn default() -> Self {
        let [met, met_from, met_at] = [CHANGING, 0, 0].map(AtomicU64::new);
        Self { buckets: std::array::from_fn(|_| Bucket::new()), met, met_from, met_at }
    }
}

impl Shard {
    /// Counts an outcome; true if it gives cause to decide. The caller is the only writer.
    #[inline]
    fn record(&self, tag: Tag, outcome: Outcome, current: impl Fn() -> bool) -> bool {
        let bucket = &self.buckets[usize::try_from(tag.at()).unwrap_or_default()];
        let held = Tag(bucket.tag.load(Ordering::Relaxed));
        if held != tag {
            if !bucket.turn(held, tag, current) {
                return false;
            }
            // Where the clock has gone back, what met it then may be gone.
            self.met.store(CHANGING, Ordering::Relaxed);
        }
        bucket.count(outcome);
        outcome != Outcome::Success || self.met.load(Ordering::Relaxed) != tag.0
    }

    fn note_met(&self, tag: Tag, bucket: u64) {
        self.met.store(tag.0, Ordering::Relaxed);
        self.met_from.store(tag.number() * bucket, Ordering::Relaxed);
        self.met_at.store(tag.at(), Ordering::Relaxed);
    }

    /// See [`TimeWindow::takes_success`]. The caller is the only writer.
    #[inline]
    fn takes_success(&self, generation: u64, now: Tick, length: u64) -> bool {
        let met = Tag(self.met.load(Ordering::Relaxed));
        let age = now.as_millis().wrapping_sub(self.met_from.load(Ordering::Relaxed));
        let at = usize::try_from(self.met_at.load(Ordering::Relaxed)).unwrap_or_default();
        let Some(bucket) = self.buckets.get(at) else { return false };
        // The bucket may have turned since.
        let is_current = met.generation() == generation
            && age < length
            && bucket.tag.load(Ordering::Relaxed) == met.0
            && met.0 != CHANGING;
        if is_current {
            bucket.count(Outcome::Success);
        }
        is_current
    }

    fn add_to(&self, sum: &mut Reading, now: Tag) {
        for bucket in &self.buckets {
            if let Some(reading) = bucket.read(now) {
                sum.calls += reading.calls;
                sum.failures += reading.failures;
                sum.slow += reading.slow;
            }
        }
    }
}

impl Bucket {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { tag: AtomicU64::new(CHANGING), calls: zero(), failures: zero(), slow: zero() }
    }

    /// Makes the bucket ready for `tag`; false if it holds a newer generation, which the outcome
    /// must not touch.
    #[cold]
    fn turn(&self, held: Tag, tag: Tag, current: impl Fn() -> bool) -> bool {
        let is_newer = held.0 != CHANGING && is_newer(held.generation(), tag.generation());
        if is_newer && !current() {
            return false;
        }
        self.tag.store(CHANGING, Ordering::Relaxed);
        // Release on each count: a reader that sees one of them sees `CHANGING` as well.
        for count in [&self.calls, &self.failures, &self.slow] {
            count.store(0, Ordering::Release);
        }
        // Release: pairs with the Acquire in `read`, so that the zeros are seen.
        self.tag.store(tag.0, Ordering::Release);
        true
    }

    /// Plain additions: there is one writer. Calls first, so that no reader sees more failures than
    /// calls.
    #[inline]
    fn count(&self, outcome: Outcome) {
        add(&self.calls, 1);
        if outcome.is_failure() {
            add(&self.failures, 1);
        }
        if outcome.is_slow() {
            add(&self.slow, 1);
        }
    }

    /// The counts, if they belong to the window that ends with `now`.
    ///
    /// None as well while the owner turns the bucket: what it held is over, and what it will hold is
    /// decided on by the owner itself, who adds up after us.
    fn read(&self, now: Tag) -> Option<Reading> {
        let before = self.tag.load(Ordering::Acquire);
        if before == CHANGING || !Tag(before).is_in_window(now) {
            return None;
        }
        // Acquire: pairs with the Releases in `turn` and `add`, so that the tag read next is no older
        // than what changed these. Calls last: see `count`.
        let failures = self.failures.load(Ordering::Acquire);
        let slow = self.slow.load(Ordering::Acquire);
        let calls = self.calls.load(Ordering::Acquire);
        let after = self.tag.load(Ordering::Relaxed);
        (before == after).then_some(Reading { calls, failures, slow })
    }
}

#[inline]
fn add(count: &AtomicU64, one: u64) {
    count.store(count.load(Ordering::Relaxed) + one, Ordering::Release);
}

#[cfg(all(test, not(seawall_loom)))]
mod tests;

#[cfg(all(test, seawall_loom))]
mod loom_tests {
    use super::*;
    use loom::{sync::Arc, thread};

    const RATES: Rates = Rates { minimum_calls: 2, failure_rate: Some(1.0), slow_call_rate: None };
    const NOW: Tick = Tick::from_millis(1000);

    /// With the shards of slots 0 and 1 made, so that no thread of the model has to.
    fn window() -> TimeWindow {
        let window = TimeWindow::new(10, RATES);
        let shards = window.shards.get_or_init(|| std::sync::Arc::new(Shards::new()));
        for slot in [0, 1] {
            shards.own[slot].get_or_init(Box::default);
        }
        window
    }

    /// Two failures at once meet the minimum: whoever adds up last sees both.
    #[test]
    fn no_schedule_loses_a_trip_between_two_shards() {
        loom::model(|| {
            let window = Arc::new(window());
            let other = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.record_in(Some(1), (1, NOW), Outcome::Failure, || false)
                })
            };
            let here = window.record_in(Some(0), (1, NOW), Outcome::Failure, || false);
            let there = other.join().expect("no panic");
            assert!(here.is_some() || there.is_some(), "a lost trip");
            assert_eq!(window.reading(1, NOW), Reading { calls: 2, failures: 2, slow: 0 });
        });
    }

    /// A reader beside a bucket that is turned over sees its old counts, or its new ones, or none.
    #[test]
    fn no_schedule_mixes_the_counts_of_two_buckets() {
        loom::model(|| {
            let window = Arc::new(window());
            window.record_in(Some(0), (1, NOW), Outcome::Failure, || false);
            let later = Tick::from_millis(1100);
            let writer = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.record_in(Some(0), (1, later), Outcome::Success, || false);
                })
            };
            let Reading { calls, failures, .. } = window.reading(1, later);
            assert_eq!(failures, 0, "the failure is a window ago");
            assert!(calls <= 1);
            writer.join().expect("no panic");
        });
    }

    /// Law 3: an outcome of an older generation never enters the window of a newer one.
    #[test]
    fn no_schedule_lets_an_old_generation_write() {
        loom::model(|| {
            let window = Arc::new(window());
            let newer = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    let _ = window.record_in(Some(1), (2, NOW), Outcome::Success, || false);
                })
            };
            window.record_in(Some(0), (1, NOW), Outcome::Failure, || false);
            newer.join().expect("no panic");
            assert_eq!(window.reading(2, NOW), Reading { calls: 1, failures: 0, slow: 0 });
        });
    }
}
