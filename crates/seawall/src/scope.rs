//! What a test or the simulator puts in place of the world: clock, waiting, seed, one more observer.
//!
//! Statics, constants and macros can be handed nothing; a scope reaches them all the same. It is
//! found by the tokio task that runs, else by the thread, and exists with the feature `testing`
//! only: without it every question here is answered `None` at compile time.

#[cfg(all(feature = "testing", feature = "tokio"))]
pub(crate) use live::timer;
#[cfg(feature = "testing")]
pub use live::{Attached, Entered, Keeper, Scope, World};
#[cfg(feature = "testing")]
pub(crate) use live::{
    BreakerMock, CAN_MOCK, RetryMock, Sleep, breaker_mock, hears, now, retry_mock, seed, sleep,
    sleep_blocking, tell,
};

#[cfg(all(not(feature = "testing"), feature = "tokio"))]
pub(crate) use absent::timer;
#[cfg(not(feature = "testing"))]
pub(crate) use absent::{
    BreakerMock, CAN_MOCK, RetryMock, Sleep, breaker_mock, hears, now, retry_mock, seed, sleep,
    sleep_blocking, tell,
};

#[cfg(not(feature = "testing"))]
mod absent {
    use crate::{breaker::Core, error::Error, event::Event};
    use std::{
        task::{Context, Poll},
        time::Duration,
    };

    #[inline(always)]
    pub(crate) const fn hears() -> bool {
        false
    }

    #[inline(always)]
    pub(crate) const fn now() -> Option<Duration> {
        None
    }

    #[inline(always)]
    pub(crate) const fn seed() -> Option<u64> {
        None
    }

    /// What a world's wait would be, were there worlds.
    pub(crate) type Sleep = std::future::Ready<()>;

    #[inline(always)]
    pub(crate) const fn sleep(_: Duration, _: &mut Context<'_>) -> Option<(Sleep, Poll<()>)> {
        None
    }

    #[inline(always)]
    #[cfg(feature = "tokio")]
    pub(crate) const fn timer(_: Duration, _: &mut Context<'_>) -> Option<(Sleep, Poll<()>)> {
        None
    }

    #[inline(always)]
    pub(crate) const fn sleep_blocking(_: Duration) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) const fn tell(_: &Event<'_>) {}

    /// There are no mocks.
    #[derive(Debug)]
    pub(crate) enum RetryMock {}

    impl RetryMock {
        pub(crate) const fn begin(&self) -> Option<u32> {
            match *self {}
        }

        pub(crate) const fn attempt<E>(&self) -> Option<Error<E>> {
            match *self {}
        }

        pub(crate) const fn delayed(&self, _: Duration) {
            match *self {}
        }
    }

    /// Whether there can be mocks in this build.
    pub(crate) const CAN_MOCK: bool = false;

    #[inline(always)]
    pub(crate) const fn retry_mock() -> Option<RetryMock> {
        None
    }

    /// There are no mocks.
    #[derive(Debug)]
    pub(crate) enum BreakerMock {}

    impl BreakerMock {
        pub(crate) const fn core(&self) -> &Core {
            match *self {}
        }
    }

    #[inline(always)]
    pub(crate) const fn breaker_mock() -> Option<BreakerMock> {
        None
    }
}

#[cfg(feature = "testing")]
mod live {
    pub(crate) use crate::testing::{BreakerMock, RetryMock};
    use crate::{erased::BoxFuture, event, event::Event, time};
    use std::{
        cell::{Cell, RefCell},
        collections::HashMap,
        fmt,
        pin::Pin,
        sync::{
            Arc, LazyLock, Mutex, MutexGuard, PoisonError,
            atomic::{AtomicU64, AtomicUsize, Ordering},
        },
        task::{Context, Poll, ready},
        thread::{self, ThreadId},
        time::Duration,
    };

    /// What stands in for clock, waiting, randomness and observers inside a [`Scope`].
    ///
    /// Each method that is left out leaves that part to the scope around this one, and at last to
    /// the real world.
    pub trait World: Send + Sync {
        /// The time, since any epoch.
        fn now(&self) -> Option<Duration> {
            None
        }

        /// A future that waits for `delay`.
        fn sleep(&self, delay: Duration) -> Option<BoxFuture<'static, ()>> {
            let _ = delay;
            None
        }

        /// A future that is done when `limit` has passed while something else goes on. Left out: as
        /// [`sleep`](Self::sleep).
        fn timer(&self, limit: Duration) -> Option<BoxFuture<'static, ()>> {
            self.sleep(limit)
        }

        /// What keeps this world's waits, in place of boxed futures: for an executor whose tasks
        /// wait by the million. Asked once, where the world is driven ([`Scope::drive`]); what there is
        /// then holds for all `sleep` and `timer`.
        #[doc(hidden)]
        fn keeper(&self) -> Option<&'static dyn Keeper> {
            None
        }

        /// Waits for `delay` in blocking code; false if this world does not wait.
        fn sleep_blocking(&self, delay: Duration) -> bool {
            let _ = delay;
            false
        }

        /// The seed of the next call's jitter.
        fn seed(&self) -> Option<u64> {
            None
        }

        /// Whether a driven world hears of changes of breakers only. Asked once, as `keeper`.
        #[doc(hidden)]
        fn hears_transitions_only(&self) -> bool {
            false
        }

        /// Hears of an event.
        fn observe(&self, event: &Event<'_>) {
            let _ = event;
        }

        /// What stands in for retries.
        #[doc(hidden)]
        fn retry_mock(&self) -> Option<RetryMock> {
            None
        }

        /// What stands in for circuit breakers.
        #[doc(hidden)]
        fn breaker_mock(&self) -> Option<BreakerMock> {
            None
        }
    }

    /// Waits by what a keeper tells them apart by.
    #[doc(hidden)]
    pub trait Keeper: Sync {
        /// Begins a wait, never of zero; `usual` tells a timer's from a sleep's.
        fn begin(&self, delay: Duration, usual: bool, cx: &mut Context<'_>) -> (u64, u64);

        /// Whether a wait is over: then it is known no more.
        fn poll(&self, wait: (u64, u64), cx: &mut Context<'_>) -> Poll<()>;

        /// A wait is dropped before it is over.
        fn end(&self, wait: (u64, u64));
    }

    /// A [`World`] that can be entered by tasks and threads.
    #[derive(Clone)]
    pub struct Scope {
        world: Arc<dyn World>,
    }

    impl Scope {
        /// A scope around `world`; clones share it.
        pub fn new(world: impl World + 'static) -> Self {
            Self { world: Arc::new(world) }
        }

        /// Puts the world in place for this task, or outside tasks for this thread, until the
        /// guard is dropped.
        ///
        /// In a task the scope stays with the task, whatever thread it runs on. Tasks and threads
        /// that start inside do not see it: [`attach`](Self::attach) it to them.
        #[must_use = "the scope ends when the guard is dropped"]
        pub fn enter(&self) -> Entered {
            let key = Key::here();
            let placed = Placed::new(&self.world);
            let id = placed.id;
            registry().entry(key).or_default().push(placed);
            for count in [&LIVE, &ENTERED] {
                count.fetch_add(1, Ordering::Relaxed);
            }
            Entered { key, id }
        }

        /// Runs `body` with this scope around all others of this thread; the one that was there is back
        /// in place afterwards, also after a panic.
        ///
        /// For an executor that polls futures by the million: such a scope is found without a look-up.
        /// Tasks of another executor that are polled in `body` see it as well, after their own.
        ///
        /// # Panics
        /// When called by a method of a [`World`] that is driven.
        pub fn drive<R>(&self, body: impl FnOnce() -> R) -> R {
            struct Back(Option<Arc<dyn World>>, Option<&'static dyn Keeper>, bool);
            impl Drop for Back {
                fn drop(&mut self) {
                    KEEPER.set(self.1);
                    TRANSITIONS_ONLY.set(self.2);
                    // The world's destructor is the user's code: not while it is borrowed.
                    drop(DRIVEN.with(|driven| driven.replace(self.0.take())));
                    LIVE.fetch_sub(1, Ordering::Relaxed);
                }
            }
            LIVE.fetch_add(1, Ordering::Relaxed);
            let (keeper, only) = (self.world.keeper(), self.world.hears_transitions_only());
            let outer = DRIVEN.with(|driven| driven.replace(Some(Arc::clone(&self.world))));
            let _back = Back(outer, KEEPER.replace(keeper), TRANSITIONS_ONLY.replace(only));
            body()
        }

        /// Runs `future` inside the scope, wherever it is polled: `tokio::spawn(scope.attach(f))`.
        pub fn attach<F: Future>(&self, future: F) -> Attached<F> {
            Attached { scope: self.clone(), inner: Vec::new(), future: Some(Box::pin(future)) }
        }
    }

    impl fmt::Debug for Scope {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Scope").finish_non_exhaustive()
        }
    }

    /// A world in place, told from its equals: guards of one scope may be dropped in any order.
    struct Placed {
        id: u64,
        world: Arc<dyn World>,
    }

    impl Placed {
        fn new(world: &Arc<dyn World>) -> Self {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            Self { id: NEXT.fetch_add(1, Ordering::Relaxed), world: Arc::clone(world) }
        }
    }

    /// Keeps a [`Scope`] in place; see [`Scope::enter`].
    pub struct Entered {
        key: Key,
        id: u64,
    }

    impl fmt::Debug for Entered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Entered").field("by", &self.key).finish_non_exhaustive()
        }
    }

    impl Drop for Entered {
        fn drop(&mut self) {
            let mut registry = registry();
            let mut out = Vec::new();
            // An attached future may have taken it to another task.
            for key in [Key::here(), self.key] {
                if let Some(worlds) = registry.get_mut(&key) {
                    if let Some(at) = worlds.iter().position(|placed| placed.id == self.id) {
                        out.push(worlds.remove(at));
                    }
                    if worlds.is_empty() {
                        registry.remove(&key);
                    }
                }
            }
            for count in [&LIVE, &ENTERED] {
                count.fetch_sub(1, Ordering::Relaxed);
            }
            // The world's destructor is the user's code: not under the lock.
            drop(registry);
            drop(out);
        }
    }

    /// A future that runs inside a [`Scope`]; see [`Scope::attach`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Attached<F> {
        scope: Scope,
        /// The worlds of guards that the future holds over an await: in place while it is polled, and
        /// out of the way of its neighbours in the same task while it is not.
        inner: Vec<Placed>,
        /// None only while it is dropped.
        future: Option<Pin<Box<F>>>,
    }

    impl<F> fmt::Debug for Attached<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Attached").field("scope", &self.scope).finish_non_exhaustive()
        }
    }

    impl<F: Future> Future for Attached<F> {
        type Output = F::Output;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            let Self { scope, inner, future } = self.get_mut();
            let polled = Polled::begin(scope, inner);
            let outcome = future.as_mut().map_or(Poll::Pending, |future| future.as_mut().poll(cx));
            drop(polled);
            outcome
        }
    }

    /// What the future drops, it drops inside the scope as well.
    impl<F> Drop for Attached<F> {
        fn drop(&mut self) {
            let polled = Polled::begin(&self.scope, &mut self.inner);
            self.future = None;
            drop(polled);
        }
    }

    /// Stands while an attached future is polled, and puts things back also when it panics.
    struct Polled<'a> {
        key: Key,
        id: u64,
        inner: &'a mut Vec<Placed>,
    }

    impl<'a> Polled<'a> {
        fn begin(scope: &Scope, inner: &'a mut Vec<Placed>) -> Self {
            let key = Key::here();
            let placed = Placed::new(&scope.world);
            let id = placed.id;
            let mut registry = registry();
            let worlds = registry.entry(key).or_default();
            worlds.push(placed);
            worlds.append(inner);
            for count in [&LIVE, &ENTERED] {
                count.fetch_add(1, Ordering::Relaxed);
            }
            Self { key, id, inner }
        }
    }

    impl Drop for Polled<'_> {
        fn drop(&mut self) {
            let mut registry = registry();
            if let Some(worlds) = registry.get_mut(&self.key) {
                if let Some(at) = worlds.iter().position(|placed| placed.id == self.id) {
                    *self.inner = worlds.split_off(at + 1);
                    worlds.truncate(at);
                }
                if worlds.is_empty() {
                    registry.remove(&self.key);
                }
            }
            for count in [&LIVE, &ENTERED] {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// By task where there is one, else by thread: never both.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum Key {
        Task(time::TaskId),
        Thread(ThreadId),
    }

    impl Key {
        fn here() -> Self {
            match time::current_task() {
                Some(id) => Self::Task(id),
                None => Self::Thread(thread::current().id()),
            }
        }
    }

    type Worlds = HashMap<Key, Vec<Placed>>;

    /// How many scopes live. Relaxed: a scope is seen by the task or thread that entered it.
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    /// How many of them are in the registry.
    static ENTERED: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        /// The scope around all others of this thread.
        static DRIVEN: RefCell<Option<Arc<dyn World>>> = const { RefCell::new(None) };
        /// What keeps its waits.
        static KEEPER: Cell<Option<&'static dyn Keeper>> = const { Cell::new(None) };
        /// Whether it hears of transitions only.
        static TRANSITIONS_ONLY: Cell<bool> = const { Cell::new(false) };
    }
    static REGISTRY: LazyLock<Mutex<Worlds>> = LazyLock::new(Mutex::default);

    fn registry() -> MutexGuard<'static, Worlds> {
        REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worlds in place here, innermost first, but for the driven one.
    #[cold]
    fn worlds() -> Vec<Arc<dyn World>> {
        let registry = registry();
        let worlds = registry.get(&Key::here()).into_iter().flatten().rev();
        worlds.map(|placed| Arc::clone(&placed.world)).collect()
    }

    /// Whether any scope lives, here or elsewhere.
    #[inline]
    fn is_active() -> bool {
        LIVE.load(Ordering::Relaxed) > 0
    }

    #[inline]
    fn first<R>(ask: impl Fn(&dyn World) -> Option<R>) -> Option<R> {
        if !is_active() {
            return None;
        }
        ask_worlds(ask)
    }

    #[cold]
    fn ask_worlds<R>(ask: impl Fn(&dyn World) -> Option<R>) -> Option<R> {
        if has_entered() {
            let found = worlds().iter().find_map(|world| ask(&**world));
            if found.is_some() {
                return found;
            }
        }
        driven(ask).flatten()
    }

    /// Whether any scope is in the registry, here or elsewhere.
    fn has_entered() -> bool {
        ENTERED.load(Ordering::Relaxed) > 0
    }

    /// Asks the world around all others. A thread that is being torn down has none.
    fn driven<R>(ask: impl FnOnce(&dyn World) -> R) -> Option<R> {
        DRIVEN.try_with(|driven| driven.borrow().as_deref().map(ask)).ok().flatten()
    }

    pub(crate) fn now() -> Option<Duration> {
        first(|world| world.now())
    }

    pub(crate) fn seed() -> Option<u64> {
        first(|world| world.seed())
    }

    /// A world's wait that has begun.
    pub(crate) enum Sleep {
        Boxed(BoxFuture<'static, ()>),
        /// None: it is over.
        Kept {
            keeper: &'static dyn Keeper,
            wait: Option<(u64, u64)>,
        },
    }

    impl Future for Sleep {
        type Output = ();

        #[inline]
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            match &mut *self {
                Self::Boxed(sleep) => sleep.as_mut().poll(cx),
                Self::Kept { keeper, wait } => {
                    if let Some(begun) = *wait {
                        ready!(keeper.poll(begun, cx));
                        *wait = None;
                    }
                    Poll::Ready(())
                }
            }
        }
    }

    impl Drop for Sleep {
        #[inline]
        fn drop(&mut self) {
            if let Self::Kept { keeper, wait: Some(wait) } = self {
                keeper.end(*wait);
            }
        }
    }

    /// Begins a wait, and says whether it is over.
    #[inline]
    pub(crate) fn sleep(delay: Duration, cx: &mut Context<'_>) -> Option<(Sleep, Poll<()>)> {
        wait(delay, false, cx, |world| world.sleep(delay))
    }

    /// As [`sleep`], for a limit that many calls have.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn timer(limit: Duration, cx: &mut Context<'_>) -> Option<(Sleep, Poll<()>)> {
        wait(limit, true, cx, |world| world.timer(limit))
    }

    #[inline]
    fn wait(
        delay: Duration,
        usual: bool,
        cx: &mut Context<'_>,
        boxed: impl Fn(&dyn World) -> Option<BoxFuture<'static, ()>>,
    ) -> Option<(Sleep, Poll<()>)> {
        if !is_active() {
            return None;
        }
        if let (Some(keeper), false) = (KEEPER.get(), has_entered()) {
            if delay.is_zero() {
                return Some((Sleep::Kept { keeper, wait: None }, Poll::Ready(())));
            }
            let wait = Some(keeper.begin(delay, usual, cx));
            return Some((Sleep::Kept { keeper, wait }, Poll::Pending));
        }
        let mut sleep = ask_worlds(boxed)?;
        let polled = sleep.as_mut().poll(cx);
        Some((Sleep::Boxed(sleep), polled))
    }

    /// Whether there can be mocks in this build.
    pub(crate) const CAN_MOCK: bool = true;

    #[inline]
    pub(crate) fn retry_mock() -> Option<RetryMock> {
        first(|world| world.retry_mock())
    }

    #[inline]
    pub(crate) fn breaker_mock() -> Option<BreakerMock> {
        first(|world| world.breaker_mock())
    }

    pub(crate) fn sleep_blocking(delay: Duration) -> bool {
        first(|world| world.sleep_blocking(delay).then_some(())).is_some()
    }

    /// Whether anyone here hears more than changes of breakers.
    pub(crate) fn hears() -> bool {
        is_active() && (has_entered() || !TRANSITIONS_ONLY.get())
    }

    pub(crate) fn tell(event: &Event<'_>) {
        if is_active() {
            if has_entered() {
                for world in worlds() {
                    event::guarded(|| world.observe(event));
                }
            }
            if !TRANSITIONS_ONLY.get() || matches!(event, Event::CircuitBreakerTransition { .. }) {
                driven(|world| event::guarded(|| world.observe(event)));
            }
        }
    }
}
