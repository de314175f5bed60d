//! Waiting, in virtual time.

use super::{Inside, wakers::Who, with};
use crate::model::Happening;
use seawall::testing::Keeper;
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A wait, as whoever waits knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// A future may outlive its run.
    run: u32,
    at: u32,
    /// Tells a wait from the next one in its place.
    number: u32,
}

impl Wait {
    fn to_words(self) -> (u64, u64) {
        (u64::from(self.run), u64::from(self.at) << 32 | u64::from(self.number))
    }

    #[expect(clippy::cast_possible_truncation, reason = "they were put together of halves")]
    const fn from_words((run, rest): (u64, u64)) -> Self {
        Self { run: run as u32, at: (rest >> 32) as u32, number: rest as u32 }
    }
}

/// Those who wait: nobody, once the time has come.
#[derive(Debug)]
pub(super) struct Waits {
    run: u32,
    places: Vec<(u32, Who)>,
    free: Vec<u32>,
}

impl Waits {
    pub(super) const fn new(run: u32) -> Self {
        Self { run, places: Vec::new(), free: Vec::new() }
    }

    #[inline(always)]
    fn insert(&mut self, who: Who) -> Wait {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, Who::NOBODY));
            u32::try_from(self.places.len() - 1).expect("memory ends before numbers do")
        });
        let place = &mut self.places[at as usize];
        place.1 = who;
        Wait { run: self.run, at, number: place.0 }
    }

    fn get(&mut self, wait: Wait) -> Option<&mut Who> {
        let place = self.places.get_mut(wait.at as usize)?;
        (place.0 == wait.number && wait.run == self.run).then_some(&mut place.1)
    }

    /// The time has come: who waits for it, if anybody still does.
    pub(super) fn fire(&mut self, wait: Wait) -> Who {
        self.get(wait).map_or(Who::NOBODY, |who| std::mem::replace(who, Who::NOBODY))
    }

    fn remove(&mut self, wait: Wait) -> Who {
        let Some(who) = self.get(wait).map(|who| *who) else { return Who::NOBODY };
        self.places[wait.at as usize] = (wait.number.wrapping_add(1), Who::NOBODY);
        self.free.push(wait.at);
        who
    }
}

/// Keeps the waits of policies.
pub(super) struct Policies;

impl Keeper for Policies {
    fn begin(&self, delay: Duration, usual: bool, cx: &mut Context<'_>) -> (u64, u64) {
        let wait = with(|inside| inside.wait(delay, usual, cx.waker()).to_words());
        // No run has this place.
        wait.unwrap_or((u64::MAX, u64::MAX))
    }

    fn poll(&self, wait: (u64, u64), cx: &mut Context<'_>) -> Poll<()> {
        match with(|inside| inside.is_over(Wait::from_words(wait), cx.waker())) {
            Some(true) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    fn end(&self, wait: (u64, u64)) {
        with(|inside| inside.end_wait(Wait::from_words(wait)));
    }
}

impl Inside {
    /// Begins a wait. `usual`: many wait as long.
    #[inline(always)]
    fn wait(&mut self, delay: Duration, usual: bool, waker: &Waker) -> Wait {
        let delay = crate::model::nanos(delay);
        let who = self.wakers.who(waker);
        let wait = self.waits.insert(who);
        let what = Happening::Timer(wait);
        if usual {
            self.queue.after(self.now, delay, what);
        } else {
            self.queue.at(self.now.saturating_add(delay), what);
        }
        wait
    }

    /// Whether it is over, and so forgotten; else this waker is woken then.
    #[inline(always)]
    fn is_over(&mut self, wait: Wait, waker: &Waker) -> bool {
        match self.waits.get(wait) {
            Some(who) if *who == Who::NOBODY => {
                self.waits.remove(wait);
                true
            }
            Some(who) => {
                self.wakers.replace(who, waker);
                false
            }
            None => false,
        }
    }

    fn end_wait(&mut self, wait: Wait) {
        let mut who = self.waits.remove(wait);
        self.wakers.forget(&mut who);
    }
}

/// Done when the virtual clock has moved on by `delay` since it was first polled.
#[derive(Debug)]
pub(super) struct Sleep {
    delay: Duration,
    /// Many wait as long.
    usual: bool,
    armed: Option<Wait>,
}

impl Sleep {
    pub(super) const fn new(delay: Duration, usual: bool) -> Self {
        Self { delay, usual, armed: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.delay.is_zero() {
            return Poll::Ready(());
        }
        let over = with(|inside| match self.armed {
            Some(wait) => inside.is_over(wait, cx.waker()),
            None => {
                self.armed = Some(inside.wait(self.delay, self.usual, cx.waker()));
                false
            }
        });
        // Outside a run nothing will ever happen.
        if over != Some(true) {
            return Poll::Pending;
        }
        // Polled again, it is ready again.
        self.delay = Duration::ZERO;
        self.armed = None;
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(wait) = self.armed.take() {
            with(|inside| inside.end_wait(wait));
        }
    }
}
