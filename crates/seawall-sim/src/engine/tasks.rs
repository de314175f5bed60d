//! The calls in flight.

use super::{Place, Task, with};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// What tells one run from another, and takes what is woken from other threads.
#[derive(Debug, Default)]
pub(super) struct Run {
    any: AtomicBool,
    woken: Mutex<VecDeque<u32>>,
}

impl Run {
    fn push(&self, at: u32) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push_back(at);
        // Release: pairs with the Acquire below, which then finds it.
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn has_woken(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// What others have woken.
    pub(super) fn take(&self) -> VecDeque<u32> {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *woken)
    }
}

/// Wakes the task in one place. A waker that outlives its task wakes the next one there, which is
/// polled once in vain.
struct Bell {
    at: u32,
    run: Arc<Run>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = with(|inside| {
            let is_here = Arc::ptr_eq(&inside.run, &self.run);
            if is_here {
                inside.ready.push_back(self.at);
            }
            is_here
        });
        if woken != Some(true) {
            self.run.push(self.at);
        }
    }
}

/// Tasks by number; a place is used again, with its waker.
pub(super) struct Tasks {
    /// Apart from what else is known of them: this is what polling waits for.
    tasks: Vec<Option<Task>>,
    seats: Vec<Seat>,
    free: Vec<u32>,
    run: Arc<Run>,
}

/// Where a task stands, and what wakes it.
pub(super) struct Seat {
    pub(super) place: Place,
    pub(super) waker: Waker,
}

impl Tasks {
    pub(super) const fn new(run: Arc<Run>) -> Self {
        Self { tasks: Vec::new(), seats: Vec::new(), free: Vec::new(), run }
    }

    /// Begins a task, and polls it for the first time. `begin` is the user's code.
    pub(super) fn spawn(&mut self, place: Place, begin: impl FnOnce() -> Task) {
        let at = self.free.pop().unwrap_or_else(|| {
            let at = u32::try_from(self.seats.len()).expect("memory ends before numbers do");
            let waker = Waker::from(Arc::new(Bell { at, run: Arc::clone(&self.run) }));
            self.tasks.push(None);
            self.seats.push(Seat { place, waker });
            at
        });
        let seat = &mut self.seats[at as usize];
        seat.place = place;
        with(|inside| inside.enter(at, seat));
        self.tasks[at as usize] = Some(begin());
        self.poll(at);
    }

    pub(super) fn seat(&self, at: u32) -> &Seat {
        &self.seats[at as usize]
    }

    /// Polls a task, if it is still there. It is the one that was entered last.
    pub(super) fn poll(&mut self, at: u32) {
        let Some(task) = &mut self.tasks[at as usize] else { return };
        let mut cx = Context::from_waker(&self.seats[at as usize].waker);
        if let Poll::Ready(()) = task.as_mut().poll(&mut cx) {
            self.tasks[at as usize] = None;
            self.free.push(at);
        }
    }
}
