//! What several tests share.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[cfg(feature = "tracing")]
pub(crate) mod hearing;

use seawall::{CircuitBreaker, Event, RetryBudget, Verdict, breaker::Transition};
use std::{
    error, fmt,
    future::Future,
    panic,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const S: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// After this a test that hangs fails. Nothing waits for it otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An operation's error, with a number to tell one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Down(pub(crate) u32);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "down ({})", self.0)
    }
}

impl error::Error for Down {}

pub(crate) type Outcome = Result<u32, Down>;

/// Counts calls of an operation.
#[derive(Debug, Default)]
pub(crate) struct Calls(AtomicU32);

impl Calls {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Counts one more; gives its number, from 1.
    pub(crate) fn count(&self) -> u32 {
        self.0.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }

    /// Counts a call, and fails with its number.
    pub(crate) fn fail(&self) -> Outcome {
        Err(Down(self.count()))
    }

    /// Fails as often as `failures` says, then gives the call's number.
    pub(crate) fn fail_first(&self, failures: u32) -> Outcome {
        let call = self.count();
        if call > failures { Ok(call) } else { Err(Down(call)) }
    }
}

/// Tells how many of its guards live.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alive(Arc<AtomicU32>);

impl Alive {
    pub(crate) fn guard(&self) -> AliveGuard {
        self.0.fetch_add(1, SeqCst);
        AliveGuard(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

pub(crate) struct AliveGuard(Arc<AtomicU32>);

impl Drop for AliveGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Keeps what an observer hears.
#[derive(Debug, Clone)]
pub(crate) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The transitions that `breaker` tells of from now on.
pub(crate) fn transitions<C>(breaker: &CircuitBreaker<C>) -> Log<Transition> {
    let log = Log::default();
    breaker.observe({
        let log = log.clone();
        move |event: &Event<'_>| {
            if let Event::CircuitBreakerTransition { transition, .. } = event {
                log.push(*transition);
            }
        }
    });
    log
}

/// The events that `breaker` tells of from now on, each as its `Debug` text up to the first brace.
pub(crate) fn event_names<C>(breaker: &CircuitBreaker<C>) -> Log<String> {
    let log = Log::default();
    breaker.observe({
        let log = log.clone();
        move |event: &Event<'_>| log.push(event_name(event))
    });
    log
}

pub(crate) fn event_name(event: &Event<'_>) -> String {
    format!("{event:?}").split(' ').next().unwrap_or_default().to_owned()
}

/// Takes all that `budget` has.
pub(crate) fn spend(budget: &RetryBudget) {
    assert!((0..2_000_000).any(|_| !budget.try_retry()), "it pays without end");
}

/// One call that fails.
pub(crate) fn fail<C>(breaker: &CircuitBreaker<C>) {
    breaker.try_acquire().unwrap().record(Verdict::TRANSIENT);
}

/// One call that succeeds.
pub(crate) fn succeed<C>(breaker: &CircuitBreaker<C>) {
    breaker.try_acquire().unwrap().record(Verdict::Success);
}

pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Pending once, then ready.
pub(crate) async fn pending_once() {
    let mut polled = false;
    std::future::poll_fn(|cx| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Unwinds without the panic hook's noise.
pub(crate) fn quiet_panic() -> ! {
    panic::resume_unwind(Box::new("a panic on purpose"))
}

/// Runs `test` in a thread of its own, and fails where it hangs.
pub(crate) fn watched<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = test();
        // The receiver waits, unless it has already given up.
        let _ = done.send(());
        result
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = wait.recv_timeout(PATIENCE) {
        panic!("it hangs");
    }
    match thread.join() {
        Ok(result) => result,
        Err(panicked) => panic::resume_unwind(panicked),
    }
}

/// A place where as many threads meet as are expected, again and again. Whoever waits for one that
/// has panicked fails, and does not hang.
pub(crate) struct Meeting {
    expected: usize,
    /// How many have come, in all.
    came: Mutex<usize>,
    all_here: Condvar,
}

impl Meeting {
    pub(crate) fn new(expected: usize) -> Self {
        Self { expected, came: Mutex::default(), all_here: Condvar::new() }
    }

    pub(crate) fn wait(&self) {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        let rounds = *came / self.expected;
        *came += 1;
        self.all_here.notify_all();
        let round_goes_on = |came: &mut usize| *came / self.expected == rounds;
        let (came, ended) =
            self.all_here.wait_timeout_while(came, PATIENCE, round_goes_on).unwrap();
        drop(came);
        assert!(!ended.timed_out(), "some thread did not come");
    }
}

/// Runs `each` on `threads` threads that start together, with the number of its thread.
pub(crate) fn together<R: Send>(threads: usize, each: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let start = Meeting::new(threads);
    thread::scope(|scope| {
        let (start, each) = (&start, &each);
        let running: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn(move || {
                    start.wait();
                    each(n)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A world that only listens: each event as `hear` puts it.
#[cfg(feature = "testing")]
pub(crate) struct Hears<T, F>(Log<T>, F);

#[cfg(feature = "testing")]
impl<T, F> seawall::testing::World for Hears<T, F>
where
    T: Clone + Send,
    F: Fn(&Event<'_>) -> Option<T> + Send + Sync,
{
    fn observe(&self, event: &Event<'_>) {
        if let Some(heard) = (self.1)(event) {
            self.0.push(heard);
        }
    }
}

/// What this thread's policies tell of while the guard lives.
#[cfg(feature = "testing")]
pub(crate) fn heard<T: Clone + Send + 'static>(
    hear: impl Fn(&Event<'_>) -> Option<T> + Send + Sync + 'static,
) -> (Log<T>, seawall::testing::Entered) {
    let log = Log::default();
    let scope = seawall::testing::Scope::new(Hears(log.clone(), hear));
    (log, scope.enter())
}
