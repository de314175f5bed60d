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
struct Wait {
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

/// What the queue knows of a wait whose time comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    at: u32,
    number: u32,
    /// Who waited at first. As a rule it is who waits still, and known before the place is read.
    who: Who,
}

/// Those who wait.
#[derive(Debug)]
pub(super) struct Waits {
    run: u32,
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    number: u32,
    /// Nobody, once the time has come.
    who: Who,
    /// Others wait than at first.
    is_changed: bool,
}

impl Waits {
    pub(super) const fn new(run: u32) -> Self {
        Self { run, places: Vec::new(), free: Vec::new() }
    }

    #[inline(always)]
    fn insert(&mut self, who: Who) -> (Wait, Due) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { number: 0, who, is_changed: false });
            u32::try_from(self.places.len() - 1).expect("memory ends before numbers do")
        });
        let place = &mut self.places[at as usize];
        (place.who, place.is_changed) = (who, false);
        let number = place.number;
        (Wait { run: self.run, at, number }, Due { at, number, who })
    }

    #[inline(always)]
    fn get(&mut self, wait: Wait) -> Option<&mut Place> {
        let place = self.places.get_mut(wait.at as usize)?;
        (place.number == wait.number && wait.run == self.run).then_some(place)
    }

    /// The time has come: who waits for it, if anybody still does.
    #[inline(always)]
    pub(super) fn fire(&mut self, due: Due) -> Who {
        match self.places.get_mut(due.at as usize) {
            Some(place) if place.number == due.number => {
                let who = std::mem::replace(&mut place.who, Who::NOBODY);
                if place.is_changed { who } else { due.who }
            }
            _ => Who::NOBODY,
        }
    }

    #[inline(always)]
    fn remove(&mut self, wait: Wait) -> Who {
        let Some(place) = self.get(wait) else { return Who::NOBODY };
        place.number = place.number.wrapping_add(1);
        let who = place.who;
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
        let (wait, due) = self.waits.insert(who);
        let what = Happening::Timer(due);
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
            Some(place) if place.who == Who::NOBODY => {
                self.waits.remove(wait);
                true
            }
            Some(place) => {
                place.is_changed |= self.wakers.replace(&mut place.who, waker);
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
