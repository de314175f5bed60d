//! The near future, in slots of time.

use super::queue::Entry;
use std::{cmp::Reverse, collections::BinaryHeap};

/// A slot is 2^18 ns: some 0.26 ms.
const SLOT: u32 = 18;
/// How many slots ahead are told apart: some 0.54 s. What comes later waits in a heap.
const SLOTS: usize = 2048;
/// A slot keeps room for so many once it has passed.
const KEPT: usize = 64;

/// Things to come, sorted slot by slot as their time draws near: a calendar queue (Brown 1988) whose
/// days have a fixed length, with a heap for the years to come.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    /// The slot that is underway, counted from time 0.
    current: u64,
    /// Those of this slot that were there when it began, the first one last.
    due: Vec<Entry<T>>,
    /// Those of this slot and of earlier ones that came later.
    late: BinaryHeap<Reverse<Entry<T>>>,
    /// Those of the slots that follow, as they came.
    slots: Box<[Vec<Entry<T>>]>,
    /// A bit for each slot that is not empty.
    taken: [u64; SLOTS / 64],
    /// Those beyond the last slot.
    far: BinaryHeap<Reverse<Entry<T>>>,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self {
            current: 0,
            due: Vec::new(),
            late: BinaryHeap::new(),
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            taken: [0; SLOTS / 64],
            far: BinaryHeap::new(),
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, entry: Entry<T>) {
        let slot = entry.at >> SLOT;
        if slot <= self.current {
            self.late.push(Reverse(entry));
        } else if slot - self.current < SLOTS as u64 {
            self.put(slot, entry);
        } else {
            self.far.push(Reverse(entry));
        }
    }

    #[inline(always)]
    fn put(&mut self, slot: u64, entry: Entry<T>) {
        let at = place(slot);
        self.taken[at / 64] |= 1 << (at % 64);
        self.slots[at].push(entry);
    }

    /// The first one's key.
    #[inline]
    pub(super) fn first(&mut self) -> Option<(u64, u64)> {
        if self.late.is_empty() {
            if self.due.is_empty() {
                self.advance();
            }
            return self.due.last().map(Entry::key);
        }
        let late = self.late.peek().map(|Reverse(entry)| entry.key());
        let due = self.due.last().map(Entry::key);
        late.into_iter().chain(due).min()
    }

    /// The first one, where [`first`](Self::first) has just told of it.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry<T>> {
        match (self.late.peek(), self.due.last()) {
            (Some(Reverse(late)), due) if due.is_none_or(|due| late.key() < due.key()) => {
                self.late.pop().map(|Reverse(entry)| entry)
            }
            _ => self.due.pop(),
        }
    }

    /// Goes on to the next slot that is not empty.
    fn advance(&mut self) {
        let far = self.far.peek().map(|Reverse(entry)| entry.at >> SLOT);
        let Some(next) = self.next_taken().or(far) else { return };
        self.current = next;
        let at = place(next);
        if self.due.capacity() > KEPT {
            self.due = Vec::new();
        }
        std::mem::swap(&mut self.due, &mut self.slots[at]);
        self.taken[at / 64] &= !(1 << (at % 64));
        while let Some(Reverse(entry)) = self.far.peek() {
            let slot = entry.at >> SLOT;
            if slot - next >= SLOTS as u64 {
                break;
            }
            let Some(Reverse(entry)) = self.far.pop() else { break };
            match slot == next {
                true => self.due.push(entry),
                false => self.put(slot, entry),
            }
        }
        if self.due.len() > 1 {
            self.due.sort_unstable_by_key(|entry| Reverse(entry.key()));
        }
    }

    /// The next slot after the current one that is not empty.
    fn next_taken(&self) -> Option<u64> {
        let from = self.current + 1;
        let start = place(from);
        let words = self.taken.len();
        // The first word is looked at twice: above the start, and at the end below it.
        (0..=words).find_map(|n| {
            let word = (start / 64 + n) % words;
            let mut bits = self.taken[word];
            match n {
                0 => bits &= u64::MAX << (start % 64),
                n if n == words => bits &= !(u64::MAX << (start % 64)),
                _ => {}
            }
            (bits != 0).then(|| {
                let at = word * 64 + bits.trailing_zeros() as usize;
                from + ((at + SLOTS - start) % SLOTS) as u64
            })
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder")]
const fn place(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}
