//! What each thread has to itself, so that it can count without a locked instruction.

use crate::sync;
use std::{
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How many threads can own a slot at a time; the others share what is kept under a lock.
pub(crate) const SLOTS: usize = 64;

/// The slot that belongs to this thread alone while it lives, or none if all are taken.
///
/// Its owner may write with plain loads and stores what is kept per slot. A slot passes from a
/// thread that ends to a later one through a mutex, so the new owner sees all that was written.
#[inline]
pub(crate) fn thread_slot() -> Option<usize> {
    // A thread that is being torn down has given its slot back.
    let slot = SLOT.try_with(|slot| slot.0.get()).unwrap_or(NONE);
    if slot < SLOTS {
        Some(slot)
    } else if slot == UNASKED {
        take_slot()
    } else {
        None
    }
}

const UNASKED: usize = usize::MAX;
const NONE: usize = usize::MAX - 1;

struct Slot(Cell<usize>);

sync::thread_local! {
    static SLOT: Slot = const { Slot(Cell::new(UNASKED)) };
}

/// One bit for each slot that is taken.
static TAKEN: Mutex<u64> = Mutex::new(0);

#[cold]
fn take_slot() -> Option<usize> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = taken.trailing_ones() as usize;
    let slot = if free < SLOTS { free } else { NONE };
    // Without a thread-local to give it back, the slot must not be taken.
    SLOT.try_with(|own| own.0.set(slot)).ok()?;
    if free < SLOTS {
        *taken |= 1 << free;
        return Some(free);
    }
    None
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slot = self.0.replace(NONE);
        if slot < SLOTS {
            *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) &= !(1 << slot);
        }
    }
}

/// A count that many threads raise: each with a plain store in its own slot.
#[derive(Debug)]
pub(crate) struct Tally {
    own: [AtomicU64; SLOTS],
    shared: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        use AtomicU64;
        Self { own: [const { AtomicU64::new(0) }; SLOTS], shared: AtomicU64::new(0) }
    }
}

impl Tally {
    #[inline]
    pub(crate) fn add_one(&self) {
        match thread_slot() {
            Some(slot) => {
                let own = &self.own[slot];
                own.store(own.load(Relaxed) + 1, Relaxed);
            }
            None => {
                self.shared.fetch_add(1, Relaxed);
            }
        }
    }

    pub(crate) fn total(&self) -> u64 {
        let own: u64 = self.own.iter().map(|own| own.load(Relaxed)).sum();
        own + self.shared.load(Relaxed)
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;
    use std::{collections::HashSet, sync::Barrier, thread};

    #[test]
    fn no_two_living_threads_own_the_same_slot() {
        const THREADS: usize = 100;
        let together = Barrier::new(THREADS);
        let slots: Vec<Option<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let slot = thread_slot();
                        together.wait();
                        assert_eq!(slot, thread_slot(), "a thread keeps its slot");
                        slot
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let owned: Vec<usize> = slots.iter().flatten().copied().collect();
        assert_eq!(owned.iter().collect::<HashSet<_>>().len(), owned.len());
        assert!(owned.len() <= SLOTS && owned.len() > SLOTS / 2);
        // All have ended: their slots serve others.
        assert!(thread::spawn(thread_slot).join().expect("no panic").is_some());
    }
}
