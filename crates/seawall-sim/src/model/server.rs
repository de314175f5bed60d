//! A server: workers, a queue, and the spells in which it is not itself.

use super::{
    nanos,
    random::rounded,
    scenario::{Fault, FaultKind, Tier},
};
use std::collections::VecDeque;

/// A fault's time at one server, in ns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spell {
    kind: FaultKind,
    from: u64,
    to: u64,
}

impl Spell {
    pub(crate) fn new(fault: &Fault) -> Self {
        Self { kind: fault.kind, from: nanos(fault.from), to: nanos(fault.ends()) }
    }

    const fn is_on(&self, now: u64) -> bool {
        self.from <= now && now < self.to
    }

    /// How fast work goes meanwhile, where that is not as always.
    fn speed(&self) -> Option<f64> {
        match self.kind {
            FaultKind::Stall => Some(0.0),
            FaultKind::Slow(times) => Some(1.0 / times),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) tier: u32,
    workers: u32,
    pub(crate) busy: u32,
    /// More is refused.
    room: usize,
    queue: VecDeque<u32>,
    /// When they came; kept only where those are refused that have waited too long.
    came: Option<VecDeque<u64>>,
    /// What is worked on; kept only where a restart may lose it.
    held: Option<Vec<u32>>,
    spells: Vec<Spell>,
    /// From when to when none of them is on.
    quiet: (u64, u64),
    /// One more with each restart.
    pub(crate) life: u32,
    /// The version of the row that all want to change.
    pub(crate) version: u32,
}

impl Server {
    pub(crate) fn new(number: u32, tier: &Tier, spells: Vec<Spell>) -> Self {
        let restarts = spells.iter().any(|spell| spell.kind == FaultKind::Restart);
        Self {
            tier: number,
            workers: tier.workers,
            busy: 0,
            room: tier.queue.map_or(usize::MAX, |most| most as usize),
            queue: VecDeque::new(),
            came: tier.shed_after.map(|_| VecDeque::new()),
            held: restarts.then(Vec::new),
            quiet: quiet_around(&spells, 0),
            spells,
            life: 0,
            version: 0,
        }
    }

    /// When something begins or ends.
    pub(crate) fn turns(&self) -> impl Iterator<Item = u64> + '_ {
        self.spells.iter().flat_map(|spell| [spell.from, spell.to])
    }

    /// A fault begins or ends.
    pub(crate) fn turn(&mut self, now: u64) {
        self.quiet = quiet_around(&self.spells, now);
    }

    /// Whether all is well.
    #[inline]
    pub(crate) const fn is_quiet(&self, now: u64) -> bool {
        self.quiet.0 <= now && now < self.quiet.1
    }

    /// What is wrong now.
    pub(crate) fn trouble(&self, now: u64) -> impl Iterator<Item = FaultKind> + '_ {
        self.spells.iter().filter(move |spell| spell.is_on(now)).map(|spell| spell.kind)
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.queue.len() as u64
    }

    /// How many workers take work.
    fn able(&self, now: u64) -> u32 {
        if self.is_quiet(now) {
            return self.workers;
        }
        self.trouble(now).fold(self.workers, |able, kind| match kind {
            FaultKind::Capacity(share) => {
                let left = rounded((f64::from(self.workers) * share).ceil());
                able.min(u32::try_from(left).unwrap_or(u32::MAX))
            }
            _ => able,
        })
    }

    /// Takes a request in; false if the queue is full and no worker is free.
    pub(crate) fn enqueue(&mut self, now: u64, request: u32) -> bool {
        if self.queue.len()
            >= self.room.saturating_add((self.workers - self.workers.min(self.busy)) as usize)
        {
            return false;
        }
        self.queue.push_back(request);
        if let Some(came) = &mut self.came {
            came.push_back(now);
        }
        true
    }

    /// The next request, with a worker for it, and when it came if that is kept.
    pub(crate) fn next(&mut self, now: u64) -> Option<(u32, u64)> {
        if self.queue.is_empty() || self.busy >= self.able(now) {
            return None;
        }
        self.busy += 1;
        let request = self.queue.pop_front()?;
        self.hold(request, true);
        let came = self.came.as_mut().and_then(VecDeque::pop_front).unwrap_or(now);
        Some((request, came))
    }

    /// Keeps in mind what is worked on.
    pub(crate) fn hold(&mut self, request: u32, begins: bool) {
        if let Some(held) = &mut self.held {
            match begins {
                true => held.push(request),
                false => held.retain(|other| *other != request),
            }
        }
    }

    /// When work that begins now is done.
    pub(crate) fn done_at(&self, now: u64, work: u64) -> u64 {
        let done = now.saturating_add(work);
        if self.is_quiet(now) && done <= self.quiet.1 {
            return done;
        }
        let (mut at, mut left) = (now, work as f64);
        loop {
            let speed = self
                .spells
                .iter()
                .filter(|spell| spell.is_on(at))
                .filter_map(Spell::speed)
                .fold(1.0, f64::min);
            let until = self.turns().filter(|turn| *turn > at).min().unwrap_or(u64::MAX);
            let room = (until - at) as f64 * speed;
            if left <= room || until == u64::MAX {
                return match speed > 0.0 {
                    true => at.saturating_add(rounded(left / speed)),
                    false => u64::MAX,
                };
            }
            left -= room;
            at = until;
        }
    }

    /// Whether a restart begins now.
    pub(crate) fn dies(&self, now: u64) -> bool {
        self.spells.iter().any(|spell| spell.kind == FaultKind::Restart && spell.from == now)
    }

    /// Loses all that it has; gives it.
    pub(crate) fn die(&mut self) -> Vec<u32> {
        self.life += 1;
        self.busy = 0;
        let mut lost: Vec<u32> = self.held.as_mut().map(std::mem::take).unwrap_or_default();
        lost.extend(self.queue.drain(..));
        if let Some(came) = &mut self.came {
            came.clear();
        }
        lost
    }
}

/// From when to when nothing is on, where that is so now; else an empty span.
fn quiet_around(spells: &[Spell], now: u64) -> (u64, u64) {
    if spells.iter().any(|spell| spell.is_on(now)) {
        return (0, 0);
    }
    let until = spells.iter().map(|spell| spell.from).filter(|from| *from > now).min();
    (now, until.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const S: Duration = Duration::from_secs(1);
    const SECOND: u64 = 1_000_000_000;

    fn server(faults: &[Fault]) -> Server {
        Server::new(0, &Tier::default(), faults.iter().map(Spell::new).collect())
    }

    #[test]
    fn work_stands_still_in_a_stall_and_goes_on_after_it() {
        let server = server(&[Fault::new(FaultKind::Stall, 2 * S, 10 * S)]);
        assert_eq!(server.done_at(0, SECOND), SECOND);
        assert_eq!(server.done_at(SECOND, 3 * SECOND), 14 * SECOND);
        assert_eq!(server.done_at(5 * SECOND, SECOND), 13 * SECOND);
        assert_eq!(server.done_at(12 * SECOND, SECOND), 13 * SECOND);
    }

    #[test]
    fn slow_work_takes_so_many_times_as_long_while_it_is_slow() {
        let server = server(&[Fault::new(FaultKind::Slow(4.0), Duration::ZERO, 8 * S)]);
        assert_eq!(server.done_at(0, SECOND), 4 * SECOND);
        // A quarter in the last second of it, the rest as always.
        assert_eq!(server.done_at(7 * SECOND, SECOND), 8 * SECOND + SECOND * 3 / 4);
    }

    #[test]
    fn half_the_capacity_is_half_the_workers() {
        let mut server = server(&[Fault::new(FaultKind::Capacity(0.5), S, S)]);
        (0..20).for_each(|request| assert!(server.enqueue(0, request)));
        let taken = |server: &mut Server, now| std::iter::from_fn(|| server.next(now)).count();
        assert_eq!(taken(&mut server, SECOND), 5);
        assert_eq!(taken(&mut server, 2 * SECOND), 5);
    }

    #[test]
    fn a_bounded_queue_has_room_for_so_many_beside_those_that_are_worked_on() {
        let tier = Tier { workers: 2, queue: Some(3), ..Tier::default() };
        let mut server = Server::new(0, &tier, Vec::new());
        let taken = (0..10).filter(|request| {
            let in_time = server.enqueue(0, *request);
            let _ = server.next(0);
            in_time
        });
        assert_eq!(taken.count(), 5);
    }

    #[test]
    fn a_request_is_told_with_when_it_came_where_some_may_come_too_late() {
        let came = |shed_after| {
            let tier = Tier { workers: 3, shed_after, ..Tier::default() };
            let restart = Fault::new(FaultKind::Restart, S, S);
            let mut server = Server::new(0, &tier, vec![Spell::new(&restart)]);
            assert!(server.enqueue(1, 7) && server.enqueue(2, 8) && server.enqueue(3, 9));
            let first = server.next(5);
            // What a restart has lost is not taken for what comes after it.
            assert_eq!(server.die(), [7, 8, 9]);
            assert!(server.enqueue(6, 10));
            (first, server.next(8))
        };
        assert_eq!(came(Some(S)), (Some((7, 1)), Some((10, 6))));
        assert_eq!(came(None), (Some((7, 5)), Some((10, 8))));
    }
}
