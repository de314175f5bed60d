//! A clock that moves when it is told to.

use crate::{erased::BoxFuture, random::Random, scope::World};
use std::{
    fmt,
    future::poll_fn,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, Waker},
    time::Duration,
};

/// A clock that stands still until it is [advanced](Self::advance), or until someone sleeps by it:
/// a sleep moves it on at once, so that nothing really waits. A timeout, which waits while something
/// else goes on, ends when the clock has been moved past its limit. Clones share the clock.
///
/// Async sleepers are released in the order in which they are polled. Where many tasks sleep at a
/// time, tokio's paused clock is the better one.
#[derive(Clone, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
    /// Timers that wait for the clock to move.
    waiting: Arc<Mutex<Vec<Waker>>>,
}

impl ManualClock {
    /// A clock at an hour past its epoch, so that it can go back a little.
    pub fn new() -> Self {
        let clock = Self::default();
        clock.advance(Duration::from_secs(3600));
        clock
    }

    /// Moves on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let on = |now: u64| Some(now.saturating_add(nanos(duration)));
        // The closure always gives a value.
        let _ = self.nanos.fetch_update(Relaxed, Relaxed, on);
        let waiting = mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves back by `duration`, at most to the epoch, as real clocks should not but do.
    pub fn go_back(&self, duration: Duration) {
        let back = |now: u64| Some(now.saturating_sub(nanos(duration)));
        // The closure always gives a value.
        let _ = self.nanos.fetch_update(Relaxed, Relaxed, back);
    }

    /// Time since the epoch.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

impl World for ManualClock {
    fn now(&self) -> Option<Duration> {
        Some(self.now())
    }

    fn sleep(&self, delay: Duration) -> Option<BoxFuture<'static, ()>> {
        let clock = self.clone();
        Some(Box::pin(async move { clock.advance(delay) }))
    }

    fn timer(&self, limit: Duration) -> Option<BoxFuture<'static, ()>> {
        let clock = self.clone();
        let end = self.now().saturating_add(limit);
        Some(Box::pin(poll_fn(move |cx| {
            // Queued before the look at the clock, so that no advance is missed in between.
            let mut waiting = clock.waiting();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            drop(waiting);
            if clock.now() >= end { Poll::Ready(()) } else { Poll::Pending }
        })))
    }

    fn sleep_blocking(&self, delay: Duration) -> bool {
        self.advance(delay);
        true
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// A world in which the jitter of each call comes from one seed, and the run can be repeated.
#[derive(Debug)]
pub struct Seed(AtomicU64);

impl Seed {
    /// The world of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl World for Seed {
    fn seed(&self) -> Option<u64> {
        Some(Random::seeded(self.0.fetch_add(1, Relaxed)).next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Jitter, RetryPolicy, testing::Scope, time::Tick};
    use std::thread;

    #[test]
    fn a_scope_puts_its_clock_in_place_for_this_thread_only() {
        let clock = ManualClock::new();
        let scope = Scope::new(clock.clone());
        let entered = scope.enter();
        assert_eq!(Tick::now(), Tick::from_millis(3_600_000));
        clock.go_back(Duration::from_secs(1));
        assert_eq!(Tick::now(), Tick::from_millis(3_599_000));
        let elsewhere = thread::spawn(Tick::now).join().expect("no panic");
        assert_ne!(elsewhere, Tick::now());
        drop(entered);
        assert_ne!(Tick::now(), Tick::from_millis(3_599_000));
    }

    #[test]
    fn the_inner_scope_answers_first_and_the_outer_one_for_what_it_leaves_out() {
        let clock = ManualClock::new();
        let _outer = Scope::new(clock.clone()).enter();
        let _inner = Scope::new(Seed::new(3)).enter();
        assert_eq!(Tick::now().as_millis(), 3_600_000);
        let policy = RetryPolicy::builder().jitter(Jitter::Full).build();
        let first: Vec<Duration> = policy.delays().collect();
        drop(_inner);
        let _again = Scope::new(Seed::new(3)).enter();
        assert_eq!(policy.delays().collect::<Vec<_>>(), first);
    }

    #[test]
    fn a_guard_held_over_an_await_stays_inside_the_attached_scope() {
        let (outer, inner) = (ManualClock::new(), ManualClock::new());
        inner.advance(Duration::from_secs(7));
        let mut future = std::pin::pin!(Scope::new(outer).attach(async {
            let _inner = Scope::new(inner).enter();
            crate::time::yield_now().await;
            Tick::now().as_millis()
        }));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        assert_eq!(future.as_mut().poll(&mut cx), Poll::Ready(3_607_000));
    }

    #[tokio::test]
    async fn attached_neighbours_in_one_task_do_not_see_each_others_guards() {
        let look = async |seconds: u64| {
            let clock = ManualClock::default();
            let _inner = Scope::new(clock.clone()).enter();
            for round in 0..3 {
                clock.advance(Duration::from_secs(seconds));
                crate::time::yield_now().await;
                assert_eq!(Tick::now().as_millis(), seconds * 1000 * (round + 1));
            }
        };
        let scope = Scope::new(ManualClock::new());
        tokio::join!(scope.attach(look(1)), scope.attach(look(10)), scope.attach(look(100)));
    }

    #[tokio::test]
    async fn a_guard_dropped_with_its_future_leaves_the_same_scope_further_out_in_place() {
        let clock = ManualClock::new();
        let scope = Scope::new(clock.clone());
        let _outer = scope.enter();
        let mut inside = Box::pin(scope.attach(async {
            let _inner = scope.enter();
            std::future::pending::<()>().await;
        }));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        assert!(inside.as_mut().poll(&mut cx).is_pending());
        drop(inside);
        assert_eq!(Tick::now().as_millis(), 3_600_000);
    }

    #[test]
    fn what_a_future_drops_it_drops_inside_its_scope() {
        struct Asks<'a>(&'a std::cell::Cell<u64>);
        impl Drop for Asks<'_> {
            fn drop(&mut self) {
                self.0.set(Tick::now().as_millis());
            }
        }
        let seen = std::cell::Cell::new(0);
        let mut future = Box::pin(Scope::new(ManualClock::new()).attach(async {
            let _asks = Asks(&seen);
            std::future::pending::<()>().await;
        }));
        let mut cx = std::task::Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        drop(future);
        assert_eq!(seen.get(), 3_600_000);
    }

    #[test]
    fn the_age_of_what_began_at_the_epoch_is_exact() {
        let clock = ManualClock::default();
        let _scope = Scope::new(clock.clone()).enter();
        let began = crate::time::Moment::now();
        clock.advance(Duration::from_millis(1));
        assert_eq!(began.elapsed(), Duration::from_millis(1));
    }

    #[test]
    fn a_timer_that_is_polled_again_and_again_waits_once() {
        let clock = ManualClock::new();
        let mut timer = clock.timer(Duration::from_secs(1)).expect("a timer");
        // A clone is like its own clones; without optimisation, it is not like `noop` itself.
        let waker = Waker::noop().clone();
        let mut cx = std::task::Context::from_waker(&waker);
        for _ in 0..100 {
            assert!(timer.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(clock.waiting().len(), 1);
        clock.advance(Duration::from_secs(1));
        assert!(timer.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn blocking_retries_wait_by_the_scopes_clock() {
        let clock = ManualClock::new();
        let _scope = Scope::new(clock.clone()).enter();
        let before = clock.now();
        let policy = RetryPolicy::builder().jitter(Jitter::None).build();
        assert!(policy.run_blocking(|| Err::<(), _>("down")).is_err());
        assert_eq!(clock.now() - before, Duration::from_secs(3));
    }
}
