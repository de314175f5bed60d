//! The calls in flight.

use super::{Place, Task, with};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// The tasks that are to be polled, in the order in which they were woken.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<VecDeque<u32>>);

impl Ready {
    fn queue(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the task in one place. A waker that outlives its task wakes the next one there, which is
/// polled once in vain.
struct Bell {
    at: u32,
    ready: Arc<Ready>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.queue().push_back(self.at);
    }
}

/// Tasks by number; a place is used again, with its waker.
pub(super) struct Tasks {
    places: Vec<Seat>,
    free: Vec<u32>,
    ready: Arc<Ready>,
}

struct Seat {
    task: Option<(Place, Task)>,
    waker: Waker,
}

impl Tasks {
    pub(super) const fn new(ready: Arc<Ready>) -> Self {
        Self { places: Vec::new(), free: Vec::new(), ready }
    }

    /// Takes a task in, and polls it for the first time.
    pub(super) fn spawn(&mut self, place: Place, task: Task) {
        let at = self.free.pop().unwrap_or_else(|| {
            let at = u32::try_from(self.places.len()).expect("memory ends before numbers do");
            let waker = Waker::from(Arc::new(Bell { at, ready: Arc::clone(&self.ready) }));
            self.places.push(Seat { task: None, waker });
            at
        });
        self.places[at as usize].task = Some((place, task));
        self.poll(at);
    }

    /// Polls whatever was woken, until nothing is.
    pub(super) fn poll_ready(&mut self) {
        loop {
            let next = self.ready.queue().pop_front();
            let Some(at) = next else { return };
            self.poll(at);
        }
    }

    fn poll(&mut self, at: u32) {
        let seat = &mut self.places[at as usize];
        let Some((place, task)) = &mut seat.task else { return };
        with(|inside| inside.current = *place);
        if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&seat.waker)) {
            seat.task = None;
            self.free.push(at);
        }
    }
}
