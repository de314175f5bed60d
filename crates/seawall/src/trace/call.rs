//! Which call an attempt is of.
//!
//! A call carries no context argument, so the outer layer leaves word for the inner one in the thread:
//! only while it is polled, so that no other task finds it.

use std::cell::Cell;

/// The call that runs in this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Running {
    /// The writer's number, counted from 1. 0: there is no call.
    writer: u64,
    call: u64,
    /// Whether it has come to an attempt.
    attempted: bool,
}

thread_local! {
    static HERE: Cell<Running> = const { Cell::new(Running { writer: 0, call: 0, attempted: false }) };
}

impl Running {
    pub(super) const fn new(writer: u64, call: u64) -> Self {
        Self { writer, call, attempted: false }
    }

    pub(super) const fn call(&self) -> u64 {
        self.call
    }

    pub(super) const fn has_attempted(&self) -> bool {
        self.attempted
    }

    /// Puts it in place until the guard is dropped.
    pub(super) fn enter(&mut self) -> Inside<'_> {
        let outside = HERE.try_with(|here| here.replace(*self)).unwrap_or_default();
        Inside { running: self, outside }
    }
}

/// Takes back what was left in the thread, also after a panic.
pub(super) struct Inside<'a> {
    running: &'a mut Running,
    outside: Running,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Ok(running) = HERE.try_with(|here| here.replace(self.outside)) {
            *self.running = running;
        }
    }
}

/// An attempt begins: the call that it is of, if that one is of this writer.
pub(super) fn begin(writer: u64) -> Option<u64> {
    let running = here(writer)?;
    // The thread is alive: it was asked just above.
    let _ = HERE.try_with(|here| here.set(Running { attempted: true, ..running }));
    Some(running.call)
}

/// Whether this call is polled right now.
pub(super) fn is_running(writer: u64, call: Option<u64>) -> bool {
    call.is_some() && here(writer).map(|running| running.call) == call
}

fn here(writer: u64) -> Option<Running> {
    HERE.try_with(Cell::get).ok().filter(|running| running.writer == writer)
}
