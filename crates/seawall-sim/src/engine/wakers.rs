//! Who is to be woken.

use super::Slab;
use std::task::{RawWakerVTable, Waker};

/// Whoever waits for something: a task of this engine, which is a number, or a waker of somebody
/// between, such as a `select` of a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who(u32);

/// From here on numbers are of others' wakers.
const OTHERS: u32 = 1 << 31;

impl Who {
    pub(crate) const NOBODY: Self = Self(u32::MAX);

    pub(super) const fn task(number: u32) -> Self {
        Self(number)
    }

    const fn other(self) -> Option<u32> {
        if self.0 >= OTHERS && self.0 != Self::NOBODY.0 { Some(self.0 - OTHERS) } else { None }
    }
}

/// What is to be done for someone who waited.
#[derive(Debug)]
pub(super) enum Woken {
    Nobody,
    Task(u32),
    Other(Waker),
}

/// Tells the wakers of this engine's tasks from others, and keeps the others.
#[derive(Debug)]
pub(crate) struct Wakers {
    /// The task that is polled, and its waker's insides.
    task: u32,
    data: *const (),
    vtable: &'static RawWakerVTable,
    others: Slab<Waker>,
    /// Done with. Dropping them is others' code, for which nothing may be in use.
    pub(super) done: Vec<Waker>,
}

impl Wakers {
    pub(super) fn new() -> Self {
        let noop = Waker::noop();
        Self {
            task: 0,
            data: noop.data(),
            vtable: noop.vtable(),
            others: Slab::new(),
            done: Vec::new(),
        }
    }

    /// From now on the task is polled that this waker wakes.
    pub(super) fn enter(&mut self, task: u32, waker: &Waker) {
        self.task = task;
        self.data = waker.data();
        self.vtable = waker.vtable();
    }

    /// The task that is polled.
    pub(super) const fn current(&self) -> Who {
        Who::task(self.task)
    }

    #[inline(always)]
    fn is_current(&self, waker: &Waker) -> bool {
        waker.data() == self.data && std::ptr::eq(waker.vtable(), self.vtable)
    }

    /// Whom this waker wakes.
    #[inline(always)]
    pub(crate) fn who(&mut self, waker: &Waker) -> Who {
        if self.is_current(waker) { self.current() } else { self.other(waker) }
    }

    #[cold]
    fn other(&mut self, waker: &Waker) -> Who {
        Who(OTHERS + self.others.insert(waker.clone()))
    }

    /// From now on this waker is to be woken. Whether that changes anything.
    #[inline(always)]
    pub(crate) fn replace(&mut self, who: &mut Who, waker: &Waker) -> bool {
        if self.is_current(waker) && *who == self.current() {
            return false;
        }
        self.replace_other(who, waker)
    }

    #[cold]
    fn replace_other(&mut self, who: &mut Who, waker: &Waker) -> bool {
        let known = who.other().and_then(|at| self.others.get_mut(at));
        if known.is_some_and(|known| known.will_wake(waker)) {
            return false;
        }
        self.forget(who);
        *who = self.who(waker);
        true
    }

    /// Takes out whoever waits.
    pub(super) fn take(&mut self, who: Who) -> Woken {
        match who.other() {
            Some(at) => self.others.remove(at).map_or(Woken::Nobody, Woken::Other),
            None if who == Who::NOBODY => Woken::Nobody,
            None => Woken::Task(who.0),
        }
    }

    /// Nobody waits any more.
    #[inline(always)]
    pub(crate) fn forget(&mut self, who: &mut Who) {
        if let Some(at) = who.other() {
            self.forget_other(at);
        }
        *who = Who::NOBODY;
    }

    #[cold]
    fn forget_other(&mut self, at: u32) {
        self.done.extend(self.others.remove(at));
    }
}
