//! A call as every one of the peers knows it: a future that their breaker wraps around the operation's.

use crate::clock;
use seawall::{
    CircuitState,
    testing::{
        ManualClock,
        laws::{BreakerUnderTest, Told},
    },
};
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    thread,
};

/// Why a call came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    Upstream,
    Rejected,
}

const NEW: u8 = 0;
const BEGUN: u8 = 1;
const SUCCEEDS: u8 = 2;
const FAILS: u8 = 3;

/// An operation that goes on until it is told how to end; or that does something, and succeeds.
#[derive(Debug)]
pub(crate) struct Operation {
    fate: Arc<AtomicU8>,
    at_once: Option<fn()>,
}

/// Tells an operation how to end.
#[derive(Debug, Clone)]
pub(crate) struct Fate(Arc<AtomicU8>);

impl Fate {
    pub(crate) fn succeeds(&self) {
        self.0.store(SUCCEEDS, SeqCst);
    }

    pub(crate) fn fails(&self) {
        self.0.store(FAILS, SeqCst);
    }

    fn has_begun(&self) -> bool {
        self.0.load(SeqCst) == BEGUN
    }
}

impl Operation {
    pub(crate) fn new() -> (Self, Fate) {
        let fate = Arc::new(AtomicU8::new(NEW));
        (Self { fate: fate.clone(), at_once: None }, Fate(fate))
    }

    pub(crate) fn at_once(at_once: fn()) -> Self {
        Self { at_once: Some(at_once), ..Self::new().0 }
    }
}

impl Future for Operation {
    type Output = Result<(), Failed>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(at_once) = self.at_once.take() {
            at_once();
            return Poll::Ready(Ok(()));
        }
        match self.fate.load(SeqCst) {
            SUCCEEDS => Poll::Ready(Ok(())),
            FAILS => Poll::Ready(Err(Failed::Upstream)),
            _ => {
                self.fate.store(BEGUN, SeqCst);
                Poll::Pending
            }
        }
    }
}

/// Gives true if the operation was let through.
pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

/// A breaker of another crate.
pub(crate) trait Peer: Sync {
    /// One call.
    fn call(&self, operation: Operation) -> Outcome<'_>;

    fn state(&self) -> CircuitState;

    /// What hears its changes of state; none if it tells of none.
    fn ear(&self) -> Option<&Ear>;
}

/// Hears each new state.
#[derive(Default)]
pub(crate) struct Ear {
    told: OnceLock<Told>,
    last: Mutex<Option<CircuitState>>,
}

impl Ear {
    pub(crate) fn last(&self) -> CircuitState {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.unwrap_or(CircuitState::Closed)
    }

    /// False if somebody listens already.
    pub(crate) fn listen(&self, told: Told) -> bool {
        self.told.set(told).is_ok()
    }

    /// For those who tell the new state only.
    pub(crate) fn hears(&self, to: CircuitState) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let from = last.replace(to).unwrap_or(CircuitState::Closed);
        drop(last);
        self.hears_both(from, to);
    }

    pub(crate) fn hears_both(&self, from: CircuitState, to: CircuitState) {
        if let Some(told) = self.told.get() {
            told(from, to);
        }
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

/// A peer under test: a permit is a call that has begun and goes on.
pub(crate) struct Subject<P>(pub(crate) P);

pub(crate) struct Call<'a> {
    outcome: Outcome<'a>,
    fate: Fate,
}

impl Call<'_> {
    fn ends(mut self) {
        while poll(&mut self.outcome).is_pending() {
            // Another thread holds a lock of the breaker's.
            thread::yield_now();
        }
    }
}

pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

impl<P: Peer> BreakerUnderTest for Subject<P> {
    type Permit<'a>
        = Call<'a>
    where
        P: 'a;

    fn acquire(&self) -> Option<Call<'_>> {
        let (operation, fate) = Operation::new();
        let mut outcome = self.0.call(operation);
        loop {
            match poll(&mut outcome) {
                Poll::Ready(_) => return None,
                Poll::Pending if fate.has_begun() => return Some(Call { outcome, fate }),
                Poll::Pending => thread::yield_now(),
            }
        }
    }

    fn success(&self, call: Call<'_>) {
        call.fate.succeeds();
        call.ends();
    }

    fn failure(&self, call: Call<'_>) {
        call.fate.fails();
        call.ends();
    }

    fn state(&self) -> CircuitState {
        self.0.state()
    }

    fn on_transition(&self, told: Told) -> bool {
        self.0.ear().is_some_and(|ear| ear.listen(told))
    }

    fn run(&self, operation: fn()) -> Option<bool> {
        let mut outcome = self.0.call(Operation::at_once(operation));
        loop {
            if let Poll::Ready(let_through) = poll(&mut outcome) {
                return Some(let_through);
            }
        }
    }

    fn clock_moved(&self, clock: &ManualClock) {
        clock::follow(clock);
    }
}
