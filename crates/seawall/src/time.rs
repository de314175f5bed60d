//! Clocks and waiting: the only file that knows a runtime or an operating system's clock.
//!
//! Two readings for two needs. [`Tick`] is coarse and nearly free; breakers and windows use it.
//! [`Moment`] is exact; total timeouts and slow calls use it, and pay for it only where they are
//! set. Both follow the scope's clock where a test or the simulator has put one in place.

use crate::scope;
#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::{
    num::NonZeroU64,
    sync::OnceLock,
    task::{Context, Poll},
    time::Duration,
};

/// A reading of a monotonic clock, in whole milliseconds since an epoch that stays the same.
///
/// Decisions take it as an argument, so tests and simulators bring their own.
///
/// On Linux the kernel's coarse clock is read, which moves in steps of 1 to 10 ms and stands still
/// while the machine is suspended; elsewhere `std::time::Instant`. In builds with the features
/// `testing` and `tokio` it follows tokio's clock, and so its paused time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The clock now.
    #[inline]
    pub fn now() -> Self {
        #[cfg(feature = "foreign")]
        if let Some(now) = crate::foreign::now() {
            return now;
        }
        match scope::now() {
            Some(now) => Self(millis(now)),
            None => clock::tick(),
        }
    }

    /// The reading `millis` ms after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The reading `duration` later, rounded up to a whole ms.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_up(duration)))
    }

    /// The time from `earlier` to this reading; zero if the clock went back.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How far a reading may lag behind, in ms.
    pub(crate) fn step() -> u64 {
        #[cfg(feature = "foreign")]
        if crate::foreign::now().is_some() {
            // Whoever has a clock of its own asks by it again.
            return 0;
        }
        clock::step()
    }
}

/// Whole ms in `duration`, rounded down; `u64::MAX` where it does not fit.
#[expect(clippy::cast_possible_truncation, reason = "compared before the cast")]
pub(crate) const fn millis(duration: Duration) -> u64 {
    let millis = duration.as_millis();
    if millis > u64::MAX as u128 { u64::MAX } else { millis as u64 }
}

/// Whole ms in `duration`, rounded up; `u64::MAX` where it does not fit.
pub(crate) const fn millis_up(duration: Duration) -> u64 {
    let whole = millis(duration);
    if duration.subsec_nanos() % 1_000_000 == 0 { whole } else { whole.saturating_add(1) }
}

/// An exact reading, one word wide so that a waiting call stays small: in ns after the epoch, and one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    #[cold]
    pub(crate) fn now() -> Self {
        let now = scope::now().unwrap_or_else(clock::exact);
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(Self::now().0.get().saturating_sub(self.0.get()))
    }
}

/// Readings start here, so that a clock which began before ours was first read has room below.
const START: Duration = Duration::from_secs(7 * 24 * 3600);

mod clock {
    use super::{Duration, OnceLock, START, Tick};

    #[cfg(feature = "tokio")]
    use tokio::time::Instant;

    #[cfg(not(feature = "tokio"))]
    use std::time::Instant;

    /// Time since the epoch by the exact clock; tokio's, so that its paused time is followed.
    pub(super) fn exact() -> Duration {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        let epoch = *EPOCH.get_or_init(Instant::now);
        let now = Instant::now();
        // A paused clock may have started before the epoch: signed, around START.
        match now.checked_duration_since(epoch) {
            Some(since) => START.saturating_add(since),
            None => START.saturating_sub(epoch.duration_since(now)),
        }
    }

    #[cfg(all(target_os = "linux", not(all(feature = "testing", feature = "tokio"))))]
    mod coarse {
        use super::{OnceLock, Tick};
        use rustix::time::{ClockId, clock_getres, clock_gettime};

        #[inline]
        pub(in super::super) fn tick() -> Tick {
            let now = clock_gettime(ClockId::MonotonicCoarse);
            Tick(now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000)
        }

        pub(in super::super) fn step() -> u64 {
            static STEP: OnceLock<u64> = OnceLock::new();
            *STEP.get_or_init(|| {
                let step = clock_getres(ClockId::MonotonicCoarse);
                step.tv_sec.unsigned_abs() * 1000 + step.tv_nsec.unsigned_abs().div_ceil(1_000_000)
            })
        }
    }

    #[cfg(not(all(target_os = "linux", not(all(feature = "testing", feature = "tokio")))))]
    mod coarse {
        use super::Tick;

        #[inline]
        pub(in super::super) fn tick() -> Tick {
            Tick(super::super::millis(super::exact()))
        }

        pub(in super::super) const fn step() -> u64 {
            1
        }
    }

    pub(super) use coarse::{step, tick};
}

/// Blocks the thread for `delay`, or asks the scope to.
pub(crate) fn sleep_blocking(delay: Duration) {
    if !scope::sleep_blocking(delay) {
        std::thread::sleep(delay);
    }
}

/// Waits for `delay` on tokio's timer, or as the scope says.
#[cfg(feature = "tokio")]
pub(crate) const fn sleep(delay: Duration) -> Sleep {
    Sleep { delay, timer: Timer::Unarmed }
}

#[cfg(feature = "tokio")]
pin_project_lite::pin_project! {
    /// [`sleep`], by hand: an async block would keep what it waits for twice.
    pub(crate) struct Sleep {
        delay: Duration,
        #[pin]
        timer: Timer,
    }
}

#[cfg(feature = "tokio")]
impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let delay = *this.delay;
        this.timer.poll_for(delay, |cx| scope::sleep(delay, cx), cx)
    }
}

#[cfg(feature = "tokio")]
pin_project_lite::pin_project! {
    /// A timer that is armed by its first poll, and costs nothing before.
    #[project = TimerProjection]
    #[project_replace = TimerReplaced]
    pub(crate) enum Timer {
        Unarmed,
        Tokio { #[pin] sleep: tokio::time::Sleep },
        Scope { sleep: scope::Sleep },
    }
}

#[cfg(feature = "tokio")]
impl Timer {
    /// Ready `limit` after the first poll.
    #[inline(never)]
    pub(crate) fn poll(self: Pin<&mut Self>, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_for(limit, |cx| scope::timer(limit, cx), cx)
    }

    #[inline]
    fn poll_for(
        mut self: Pin<&mut Self>,
        limit: Duration,
        world: impl FnOnce(&mut Context<'_>) -> Option<(scope::Sleep, Poll<()>)>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match self.as_mut().project() {
            TimerProjection::Tokio { sleep } => return sleep.poll(cx),
            TimerProjection::Scope { sleep } => return Pin::new(sleep).poll(cx),
            TimerProjection::Unarmed => {}
        }
        if let Some((sleep, polled)) = world(cx) {
            self.project_replace(Self::Scope { sleep });
            return polled;
        }
        self.as_mut().project_replace(Self::Tokio { sleep: tokio::time::sleep(limit) });
        match self.project() {
            TimerProjection::Tokio { sleep } => sleep.poll(cx),
            // Armed above.
            _ => Poll::Pending,
        }
    }
}

/// Lets other tasks run once, without a timer and on any runtime: pending once, and ready when it is
/// polled again.
pub(crate) fn poll_yield(yielded: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
    if *yielded {
        return Poll::Ready(());
    }
    *yielded = true;
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// [`poll_yield`], to be awaited.
#[cfg(all(test, feature = "testing"))]
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| poll_yield(&mut yielded, cx)).await;
}

/// What tells one task from another, so that a scope can follow it from thread to thread.
#[cfg(all(feature = "testing", feature = "tokio"))]
pub(crate) type TaskId = tokio::task::Id;

/// Without a runtime there are only threads.
#[cfg(all(feature = "testing", not(feature = "tokio")))]
pub(crate) type TaskId = std::convert::Infallible;

/// The task that is running here.
#[cfg(all(feature = "testing", feature = "tokio"))]
pub(crate) fn current_task() -> Option<TaskId> {
    tokio::task::try_id()
}

/// The task that is running here: none.
#[cfg(all(feature = "testing", not(feature = "tokio")))]
pub(crate) fn current_task() -> Option<TaskId> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_round_up_and_saturate() {
        let tick = Tick::from_millis(5);
        assert_eq!(tick.after(Duration::from_micros(1)), Tick::from_millis(6));
        assert_eq!(tick.after(Duration::from_millis(1)), Tick::from_millis(6));
        assert_eq!(tick.after(Duration::MAX), Tick::from_millis(u64::MAX));
        assert_eq!(tick.since(Tick::from_millis(9)), Duration::ZERO);
    }

    #[test]
    fn the_clock_goes_forward_and_says_its_step() {
        let (tick, moment) = (Tick::now(), Moment::now());
        assert!(Tick::now() >= tick);
        assert!(moment.elapsed() < Duration::from_secs(60));
        assert!((1..=20).contains(&Tick::step()), "{}", Tick::step());
    }
}
