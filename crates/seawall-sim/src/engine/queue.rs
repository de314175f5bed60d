//! What happens next, and when.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

/// How many constant delays have a line of their own. More go into the heap.
const LINES: usize = 8;

/// Things to come, by time; those of one time in the order in which they were put in.
///
/// A heap, and beside it a line for each delay that is always the same (time limits, a network's): what
/// comes in order needs no sorting.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    lines: Vec<Line<T>>,
    next: u64,
}

#[derive(Debug)]
struct Line<T> {
    delay: u64,
    waiting: VecDeque<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    /// Breaks ties: what was put in first comes first.
    number: u64,
    what: T,
}

impl<T> Entry<T> {
    const fn key(&self) -> (u64, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), lines: Vec::new(), next: 0 }
    }

    fn entry(&mut self, at: u64, what: T) -> Entry<T> {
        self.next += 1;
        Entry { at, number: self.next, what }
    }

    /// `what` happens at `at`.
    pub(crate) fn at(&mut self, at: u64, what: T) {
        let entry = self.entry(at, what);
        self.heap.push(Reverse(entry));
    }

    /// `what` happens after a `delay` that others have too. `now` never goes back.
    pub(crate) fn after(&mut self, now: u64, delay: u64, what: T) {
        let entry = self.entry(now.saturating_add(delay), what);
        if let Some(line) = self.lines.iter_mut().find(|line| line.delay == delay) {
            line.waiting.push_back(entry);
        } else if self.lines.len() < LINES {
            self.lines.push(Line { delay, waiting: VecDeque::from([entry]) });
        } else {
            self.heap.push(Reverse(entry));
        }
    }

    /// What comes next, if it comes before `end`.
    pub(crate) fn pop_before(&mut self, end: u64) -> Option<(u64, T)> {
        const NONE: (u64, u64) = (u64::MAX, u64::MAX);
        let mut first = self.heap.peek().map_or(NONE, |Reverse(entry)| entry.key());
        let mut from = None;
        for (n, line) in self.lines.iter().enumerate() {
            if let Some(entry) = line.waiting.front() {
                if entry.key() < first {
                    (first, from) = (entry.key(), Some(n));
                }
            }
        }
        if first.0 >= end {
            return None;
        }
        let entry = match from {
            Some(n) => self.lines[n].waiting.pop_front(),
            None => self.heap.pop().map(|Reverse(entry)| entry),
        };
        entry.map(|entry| (entry.at, entry.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_comes_first_and_ties_keep_their_order() {
        let mut queue = Queue::new();
        queue.at(30, 'd');
        queue.after(0, 20, 'b');
        queue.at(20, 'c');
        queue.at(10, 'a');
        queue.after(10, 20, 'e');
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_before(100)).collect();
        assert_eq!(order, [(10, 'a'), (20, 'b'), (20, 'c'), (30, 'd'), (30, 'e')]);
    }

    #[test]
    fn what_comes_at_the_end_or_later_stays() {
        let mut queue = Queue::new();
        queue.at(9, 'a');
        queue.at(10, 'b');
        assert_eq!(queue.pop_before(10), Some((9, 'a')));
        assert_eq!(queue.pop_before(10), None);
        assert_eq!(queue.pop_before(11), Some((10, 'b')));
    }

    #[test]
    fn more_constant_delays_than_lines_keep_the_order_too() {
        let mut queue = Queue::new();
        let delays: Vec<u64> = (0..3 * LINES as u64).rev().collect();
        for &delay in &delays {
            queue.after(5, delay, delay);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop_before(u64::MAX)).collect();
        assert!(order.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(order.len(), delays.len());
    }
}
