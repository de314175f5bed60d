//! What happens next, and when.

use super::wheel::Wheel;
use std::{cmp::Ordering, collections::VecDeque};

/// How many constant delays have a line of their own. More go into the wheel.
const LINES: usize = 8;
/// Comes after everything.
const NEVER: (u64, u64) = (u64::MAX, u64::MAX);

/// Things to come, by time; those of one time in the order in which they were put in.
///
/// A wheel, and beside it a line for each delay that is always the same (time limits, a network's):
/// what comes in order needs no sorting.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    wheel: Wheel<T>,
    lines: Vec<Line<T>>,
    /// The line whose first one comes before those of the others, and the key of that.
    soonest: usize,
    first: (u64, u64),
    next: u64,
}

#[derive(Debug)]
struct Line<T> {
    delay: u64,
    /// The key of the first one that waits.
    first: (u64, u64),
    waiting: VecDeque<Entry<T>>,
}

#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) at: u64,
    /// Breaks ties: what was put in first comes first.
    number: u64,
    what: T,
}

impl<T> Entry<T> {
    #[inline]
    pub(super) const fn key(&self) -> (u64, u64) {
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
    pub(crate) fn new() -> Self {
        Self { wheel: Wheel::new(), lines: Vec::new(), soonest: 0, first: NEVER, next: 0 }
    }

    // Inlined: `what` is then written where it is to stand, and not copied there in larger words than
    // it was written in, which processors wait for.
    #[inline(always)]
    const fn entry(&mut self, at: u64, what: T) -> Entry<T> {
        self.next += 1;
        Entry { at, number: self.next, what }
    }

    /// `what` happens at `at`.
    #[inline(always)]
    pub(crate) fn at(&mut self, at: u64, what: T) {
        let entry = self.entry(at, what);
        self.wheel.push(entry);
    }

    /// `what` happens after a `delay` that others have too. `now` never goes back.
    #[inline(always)]
    pub(crate) fn after(&mut self, now: u64, delay: u64, what: T) {
        let entry = self.entry(now.saturating_add(delay), what);
        let at = self.lines.iter().position(|line| line.delay == delay);
        let Some(at) = at.or_else(|| self.new_line(delay)) else { return self.wheel.push(entry) };
        let line = &mut self.lines[at];
        if line.waiting.is_empty() {
            line.first = entry.key();
            if line.first < self.first {
                (self.soonest, self.first) = (at, line.first);
            }
        }
        line.waiting.push_back(entry);
    }

    #[cold]
    fn new_line(&mut self, delay: u64) -> Option<usize> {
        let at = self.lines.len();
        (at < LINES).then(|| {
            self.lines.push(Line { delay, first: NEVER, waiting: VecDeque::new() });
            at
        })
    }

    /// What comes next, if it comes before `end`.
    #[inline(always)]
    pub(crate) fn pop_before(&mut self, end: u64) -> Option<(u64, T)> {
        let wheel = self.wheel.first().unwrap_or(NEVER);
        if self.first.min(wheel).0 >= end {
            return None;
        }
        let entry = if self.first < wheel { self.pop_line() } else { self.wheel.pop() };
        entry.map(|entry| (entry.at, entry.what))
    }

    #[inline(always)]
    fn pop_line(&mut self) -> Option<Entry<T>> {
        let line = &mut self.lines[self.soonest];
        let entry = line.waiting.pop_front();
        line.first = line.waiting.front().map_or(NEVER, Entry::key);
        self.first = NEVER;
        for (at, line) in self.lines.iter().enumerate() {
            if line.first < self.first {
                (self.soonest, self.first) = (at, line.first);
            }
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall::Random;

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

    /// Delays of all lengths, put in as a run does it: some at the beginning, and then some with each
    /// that comes. Compared with a list that is sorted by time and number.
    #[test]
    fn the_order_is_that_of_a_sorted_list_whatever_the_delays() {
        let mut random = Random::seeded(5);
        for round in 0..200_u32 {
            let mut queue = Queue::new();
            let mut list: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            let mut number = 0;
            let widest = 1 + round % 48;
            for step in 0..400 {
                let news = if step < 300 { random.next_u64() % 3 } else { 0 };
                for _ in 0..news {
                    number += 1;
                    let bits = random.next_u64() % u64::from(widest);
                    let delay = random.next_u64() % (1 << bits);
                    if random.next_u64() % 4 == 0 {
                        let delay = 1 << bits;
                        queue.after(now, delay, number);
                        list.push((now + delay, number));
                    } else {
                        queue.at(now + delay, number);
                        list.push((now + delay, number));
                    }
                }
                list.sort_unstable_by(|one, other| other.cmp(one));
                // Now and then it is asked for what is too far.
                let end = match random.next_u64() % 8 {
                    0 => now + 1,
                    _ => u64::MAX,
                };
                let expected = list.last().copied().filter(|(at, _)| *at < end);
                assert_eq!(queue.pop_before(end), expected, "round {round}, step {step}");
                if let Some((at, _)) = expected {
                    list.pop();
                    now = at;
                }
            }
        }
    }
}
