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
    places: Vec<Seat>,
    free: Vec<u32>,
    run: Arc<Run>,
}

struct Seat {
    task: Option<Task>,
    place: Place,
    waker: Waker,
}

impl Tasks {
    pub(super) const fn new(run: Arc<Run>) -> Self {
        Self { places: Vec::new(), free: Vec::new(), run }
    }

    /// Begins a task, and polls it for the first time. `begin` is the user's code.
    pub(super) fn spawn(&mut self, place: Place, begin: impl FnOnce() -> Task) {
        let at = self.free.pop().unwrap_or_else(|| {
            let at = u32::try_from(self.places.len()).expect("memory ends before numbers do");
            let waker = Waker::from(Arc::new(Bell { at, run: Arc::clone(&self.run) }));
            self.places.push(Seat { task: None, place, waker });
            at
        });
        let seat = &mut self.places[at as usize];
        seat.place = place;
        with(|inside| inside.enter(at, place, &seat.waker));
        let task = seat.task.insert(begin());
        if task.as_mut().poll(&mut Context::from_waker(&seat.waker)).is_ready() {
            self.end(at);
        }
    }

    /// Polls a task, if it is still there.
    pub(super) fn poll(&mut self, at: u32) {
        let seat = &mut self.places[at as usize];
        let Some(task) = &mut seat.task else { return };
        with(|inside| inside.enter(at, seat.place, &seat.waker));
        if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&seat.waker)) {
            self.end(at);
        }
    }

    fn end(&mut self, at: u32) {
        self.places[at as usize].task = None;
        self.free.push(at);
    }
}
