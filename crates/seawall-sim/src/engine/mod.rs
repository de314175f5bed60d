//! Virtual time: a single-threaded executor whose clock is a queue of events.
//!
//! Policies run as in production: their drivers' futures are polled here, under a scope whose clock,
//! sleep, seed and observer are this engine (`seawall::testing::Scope::drive`). The state stands in one
//! place for the thread, so that futures hold numbers only and are `Send`, as drivers ask of them.

mod queue;
mod slab;
mod tasks;
mod waits;
mod wakers;
mod wheel;

use crate::{
    model::{Happening, Model, Step},
    stack::{Callers, Finish},
};
use seawall::{
    BoxFuture, Event,
    testing::{Keeper, World},
};
use std::{
    cell::RefCell,
    collections::VecDeque,
    mem::ManuallyDrop,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Waker,
    time::Duration,
};

pub(crate) use queue::Queue;
pub(crate) use slab::Slab;
use tasks::{Run, Seat, Tasks};
pub(crate) use waits::Due;
use waits::{Policies, Sleep, Waits};
pub(crate) use wakers::Who;
use wakers::{Wakers, Woken};

/// Readings of the clock start here: room below for what began before.
const EPOCH: Duration = Duration::from_secs(1 << 20);

/// How many things of the world's own happen at most before the run is asked whether it is to stop, and
/// who was woken from other threads.
const AT_ONCE: u32 = 64;

thread_local! {
    /// Put away when a run ends, so that there is nothing to drop with the thread: a state which knew of
    /// such a drop would be asked for it by every access.
    static HERE: ManuallyDrop<RefCell<Option<Box<Inside>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// The engine's state, and the modelled world's.
pub(crate) struct Inside {
    /// In ns since the run began.
    pub(crate) now: u64,
    pub(crate) queue: Queue<Happening>,
    waits: Waits,
    pub(crate) wakers: Wakers,
    /// Tasks that were woken and are not polled yet, in this order.
    ready: VecDeque<u32>,
    /// Where the task stands that is polled.
    pub(crate) current: Place,
    pub(crate) model: Model,
    /// Tells this run from all others.
    pub(crate) number: u32,
    run: Arc<Run>,
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

/// A call that is to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) place: Place,
    /// Which of the tier's callers makes it.
    pub(crate) caller: u32,
    pub(crate) finish: Finish,
    /// How long its caller waits before going away, if that is limited.
    pub(crate) patience: Option<Duration>,
}

/// What a task is.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Asks or changes the state. None outside a run, and in a destructor that runs while the state is in
/// use.
#[inline]
pub(crate) fn with<R>(ask: impl FnOnce(&mut Inside) -> R) -> Option<R> {
    HERE.with(|here| here.try_borrow_mut().ok()?.as_deref_mut().map(ask))
}

/// Waits in the simulation's time: for functions of one's own that do more than
/// [`request`](crate::request). Outside a simulation it is never done.
pub fn sleep(delay: Duration) -> impl Future<Output = ()> + Send {
    Sleep::new(delay, false)
}

/// The world that policies see.
struct Virtual {
    /// Whether more is of interest than transitions.
    hears_all: bool,
}

impl World for Virtual {
    fn now(&self) -> Option<Duration> {
        with(|inside| EPOCH + Duration::from_nanos(inside.now))
    }

    // Asked where somebody has entered another scope.
    fn sleep(&self, delay: Duration) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(Sleep::new(delay, false)))
    }

    fn timer(&self, limit: Duration) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(Sleep::new(limit, true)))
    }

    fn keeper(&self) -> Option<&'static dyn Keeper> {
        Some(&Policies)
    }

    fn seed(&self) -> Option<u64> {
        with(|inside| inside.model.next_seed())
    }

    fn hears_transitions_only(&self) -> bool {
        !self.hears_all
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
        let inside = HERE.with(|here| here.borrow_mut().take());
        drop(inside);
    }
}

/// Runs a world from its beginning to `end`, in ns, and gives back what is seen of it. Calls that have
/// not ended are dropped. `stop` is asked now and then: true ends the run where it is.
///
/// # Panics
/// Inside another run of the same thread.
pub(crate) fn run(model: Model, callers: &Callers, end: u64, stop: &dyn Fn(u64) -> bool) -> Model {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    assert!(with(|_| ()).is_none(), "a simulated policy cannot start a simulation");
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let run = Arc::new(Run::default());
    let inside = Inside {
        now: 0,
        queue: Queue::new(),
        waits: Waits::new(number),
        wakers: Wakers::new(),
        ready: VecDeque::new(),
        current: Place { tier: 0, process: 0, key: 0 },
        model,
        number,
        run: Arc::clone(&run),
    };
    let world = Virtual { hears_all: inside.model.script.is_some() };
    let in_place = InPlace::put(inside);
    seawall::testing::Scope::new(world).drive(|| {
        let mut tasks = Tasks::new(run);
        with(|inside| inside.begin(end));
        let mut steps = 0_u32;
        while let Some(next) = with(|inside| inside.next(end, &tasks)) {
            // All that is not the engine's own runs here: not while the state is in use.
            match next {
                Next::Poll(at) => tasks.poll(at),
                Next::Wake(waker) => waker.wake(),
                Next::Drop(wakers) => drop(wakers),
                Next::Begin(call) => {
                    tasks.spawn(call.place, || callers.begin(&call));
                }
                Next::Nothing => {}
                Next::Over => break,
            }
            steps = steps.wrapping_add(1);
            if steps % 4096 == 0 && stop(with(|inside| inside.now).unwrap_or_default()) {
                break;
            }
        }
        // Calls that are dropped give back their requests: while all is in place.
        drop(tasks);
    });
    let mut inside = in_place.take().expect("it was put there above");
    inside.model.close(inside.now.min(end));
    inside.model
}

/// What is to be done outside.
enum Next {
    Nothing,
    Over,
    Poll(u32),
    Wake(Waker),
    Drop(Vec<Waker>),
    Begin(Call),
}

impl Inside {
    fn begin(&mut self, end: u64) {
        self.model.begin(self.now, end, &mut self.queue);
    }

    /// From now on this task is polled.
    fn enter(&mut self, task: u32, seat: &Seat) {
        self.current = seat.place;
        self.wakers.enter(task, &seat.waker);
    }

    /// This task is polled next.
    #[inline(always)]
    fn poll(&mut self, task: u32, tasks: &Tasks) -> Next {
        self.enter(task, tasks.seat(task));
        Next::Poll(task)
    }

    /// Lets the next things happen, once all are polled that were woken.
    fn next(&mut self, end: u64, tasks: &Tasks) -> Next {
        if let Some(at) = self.ready.pop_front() {
            return self.poll(at, tasks);
        }
        if !self.wakers.done.is_empty() {
            return Next::Drop(std::mem::take(&mut self.wakers.done));
        }
        if self.run.has_woken() {
            self.ready = self.run.take();
            return Next::Nothing;
        }
        // None of these runs code that is not the engine's: nobody is woken meanwhile, nothing dropped.
        for _ in 0..AT_ONCE {
            let Some((at, what)) = self.queue.pop_before(end) else {
                self.now = end;
                return Next::Over;
            };
            self.now = at;
            let step = match what {
                Happening::Timer(due) => Step::Wake(self.waits.fire(due)),
                what => self.model.step(at, what, &mut self.queue),
            };
            match step {
                Step::Nothing => {}
                Step::Begin(call) => return Next::Begin(call),
                Step::Wake(who) => match self.wakers.take(who) {
                    Woken::Nobody => {}
                    Woken::Task(at) => return self.poll(at, tasks),
                    Woken::Other(waker) => return Next::Wake(waker),
                },
            }
        }
        Next::Nothing
    }
}
