//! Virtual time: a single-threaded executor whose clock is a queue of events.
//!
//! Policies run as in production: their drivers' futures are polled here, under a scope whose clock,
//! sleep, seed and observer are this engine (`seawall::testing::Scope::drive`). The state stands in one
//! place for the thread, so that futures hold numbers only and are `Send`, as drivers ask of them.

mod queue;
mod slab;
mod tasks;
mod timer;

use crate::model::{Happening, Model, Step};
use seawall::{BoxFuture, Event, testing::World};
use std::{cell::RefCell, sync::Arc, task::Waker, time::Duration};

pub(crate) use queue::Queue;
pub(crate) use slab::Slab;
use tasks::{Ready, Tasks};
use timer::{Sleep, Timers};

/// Readings of the clock start here: room below for what began before.
const EPOCH: Duration = Duration::from_secs(1 << 20);

thread_local! {
    static HERE: RefCell<Option<Box<Inside>>> = const { RefCell::new(None) };
}

/// The engine's state, and the modelled world's.
pub(crate) struct Inside {
    /// In ns since the run began.
    pub(crate) now: u64,
    pub(crate) queue: Queue<Happening>,
    timers: Timers,
    /// The task that is polled.
    pub(crate) current: Place,
    pub(crate) model: Model,
}

/// Where a task stands in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The tier that its requests go to.
    pub(crate) tier: u32,
    /// The process that it runs in: a client, or a server of the tier above.
    pub(crate) process: u32,
    /// What it asks for: decides on the shard.
    pub(crate) key: u32,
}

/// What a task is.
pub(crate) type Task = BoxFuture<'static, ()>;

/// Asks or changes the state. None outside a run, and in a destructor that runs while the state is in
/// use.
pub(crate) fn with<R>(ask: impl FnOnce(&mut Inside) -> R) -> Option<R> {
    HERE.try_with(|here| here.try_borrow_mut().ok()?.as_deref_mut().map(ask)).ok().flatten()
}

/// Waits in the simulation's time: for functions of one's own that do more than
/// [`request`](crate::request). Outside a simulation it is never done.
pub fn sleep(delay: Duration) -> impl Future<Output = ()> + Send {
    Sleep::new(delay, false)
}

/// The world that policies see.
struct Virtual;

impl World for Virtual {
    fn now(&self) -> Option<Duration> {
        with(|inside| EPOCH + Duration::from_nanos(inside.now))
    }

    fn sleep(&self, delay: Duration) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(Sleep::new(delay, false)))
    }

    fn timer(&self, limit: Duration) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(Sleep::new(limit, true)))
    }

    fn seed(&self) -> Option<u64> {
        with(|inside| inside.model.next_seed())
    }

    fn observe(&self, event: &Event<'_>) {
        with(|inside| inside.model.hear(inside.now, inside.current, event));
    }
}

/// Puts the state away again, also where a policy panics.
struct InPlace;

impl InPlace {
    fn put(inside: Inside) -> Self {
        HERE.with(|here| *here.borrow_mut() = Some(Box::new(inside)));
        Self
    }

    fn take(self) -> Option<Box<Inside>> {
        HERE.with(|here| here.borrow_mut().take())
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        let inside = HERE.try_with(|here| here.borrow_mut().take());
        drop(inside);
    }
}

/// Runs a world from its beginning to `end`, in ns, and gives back what is seen of it. Calls that have
/// not ended are dropped. `stop` is asked now and then: true ends the run where it is.
///
/// # Panics
/// Inside another run of the same thread.
pub(crate) fn run(model: Model, end: u64, stop: &dyn Fn(u64) -> bool) -> Model {
    assert!(with(|_| ()).is_none(), "a simulated policy cannot start a simulation");
    let inside = Inside {
        now: 0,
        queue: Queue::new(),
        timers: Timers::new(),
        current: Place { tier: 0, process: 0, key: 0 },
        model,
    };
    let in_place = InPlace::put(inside);
    let ready = Arc::new(Ready::default());
    seawall::testing::Scope::new(Virtual).drive(|| {
        let mut tasks = Tasks::new(Arc::clone(&ready));
        with(|inside| inside.begin(end));
        let mut steps = 0_u32;
        loop {
            tasks.poll_ready();
            steps = steps.wrapping_add(1);
            if steps % 4096 == 0 {
                let now = with(|inside| inside.now).unwrap_or_default();
                if stop(now) {
                    break;
                }
            }
            match with(|inside| inside.step(end)) {
                Some(Step::Begin(place, begin)) => {
                    // The user's code makes the future: not while the state is in use.
                    with(|inside| inside.current = place);
                    let task = begin();
                    tasks.spawn(place, task);
                }
                Some(Step::Nothing) => {}
                Some(Step::Over) | None => break,
            }
        }
        // Calls that are dropped give back their requests: while all is in place.
        drop(tasks);
    });
    let mut inside = in_place.take().expect("it was put there above");
    inside.model.close(inside.now.min(end));
    inside.model
}

impl Inside {
    fn begin(&mut self, end: u64) {
        self.model.begin(self.now, end, &mut self.queue);
    }

    /// Lets the next thing happen.
    fn step(&mut self, end: u64) -> Step {
        let Some((at, what)) = self.queue.pop_before(end) else {
            self.now = end;
            return Step::Over;
        };
        self.now = at;
        match what {
            Happening::Timer(at, number) => {
                self.timers.fire(at, number);
                Step::Nothing
            }
            what => self.model.step(at, what, &mut self.queue),
        }
    }

    /// A waker for when `delay` has passed.
    fn arm(&mut self, delay: u64, usual: bool, waker: &Waker) -> (u32, u32) {
        let (at, number) = self.timers.insert(waker);
        let what = Happening::Timer(at, number);
        if usual {
            self.queue.after(self.now, delay, what);
        } else {
            self.queue.at(self.now.saturating_add(delay), what);
        }
        (at, number)
    }
}
