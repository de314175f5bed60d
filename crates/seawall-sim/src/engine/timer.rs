//! Waiting, in virtual time.

use super::with;
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Those who wait. A number tells a waiter from the next one in its place.
#[derive(Debug)]
pub(super) struct Timers {
    places: Vec<(u32, Option<Waker>)>,
    free: Vec<u32>,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, waker: &Waker) -> (u32, u32) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            u32::try_from(self.places.len() - 1).expect("memory ends before numbers do")
        });
        let place = &mut self.places[at as usize];
        place.1 = Some(waker.clone());
        (at, place.0)
    }

    /// The time has come, if anybody still waits for it.
    pub(super) fn fire(&mut self, at: u32, number: u32) {
        let place = &mut self.places[at as usize];
        if place.0 == number {
            if let Some(waker) = place.1.take() {
                waker.wake();
            }
        }
    }

    /// Whether it still waits; takes the waker of whoever asks.
    fn waits(&mut self, (at, number): (u32, u32), waker: &Waker) -> bool {
        let place = &mut self.places[at as usize];
        match &mut place.1 {
            Some(known) if place.0 == number => {
                known.clone_from(waker);
                true
            }
            _ => false,
        }
    }

    fn remove(&mut self, (at, number): (u32, u32)) {
        let place = &mut self.places[at as usize];
        if place.0 == number {
            *place = (number.wrapping_add(1), None);
            self.free.push(at);
        }
    }
}

/// Done when the virtual clock has moved on by `delay` since it was first polled.
#[derive(Debug)]
pub(super) struct Sleep {
    delay: Duration,
    /// Many wait as long.
    usual: bool,
    armed: Option<(u32, u32)>,
}

impl Sleep {
    pub(super) const fn new(delay: Duration, usual: bool) -> Self {
        Self { delay, usual, armed: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waits = with(|inside| match this.armed {
            Some(key) => inside.timers.waits(key, cx.waker()),
            None if this.delay.is_zero() => false,
            None => {
                let delay = crate::model::nanos(this.delay);
                this.armed = Some(inside.arm(delay, this.usual, cx.waker()));
                true
            }
        });
        // Outside a run nothing will ever happen.
        if waits.unwrap_or(true) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.armed.take() {
            with(|inside| inside.timers.remove(key));
        }
    }
}
