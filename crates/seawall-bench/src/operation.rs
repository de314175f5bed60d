//! The operation that every contender wraps: one real call that is not inlined.

use std::{
    cell::Cell,
    error::Error,
    fmt,
    hint::black_box,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// The operation's error.
///
/// As wide as the value: the bare result travels in registers. As one byte it would be written to memory
/// in two pieces and read back in one, which stalls, and the bare call would seem the dearest of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Failed {
    Upstream,
    /// What a breaker that has no error of its own is told to make of a rejection.
    Rejected,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl Error for Failed {}

/// An argument from here on is marked: the call is counted, so that it can be told what a contender
/// did with it. Measured calls are not marked, and pay one comparison.
const MARK: u64 = 1 << 63;
/// A counted call that succeeds.
pub(crate) const COUNTED: u64 = MARK;
/// A counted call that fails.
pub(crate) const FAIL: u64 = u64::MAX;

thread_local! {
    static STARTS: Cell<u32> = const { Cell::new(0) };
}

/// How often the operation was started by marked calls on this thread while `f` ran.
pub(crate) fn starts<R>(f: impl FnOnce() -> R) -> (R, u32) {
    STARTS.set(0);
    let result = f();
    (result, STARTS.get())
}

#[cold]
fn marked(x: u64) -> Result<u64, Failed> {
    STARTS.set(STARTS.get() + 1);
    if x == FAIL { Err(Failed::Upstream) } else { Ok(x & !MARK) }
}

#[inline(never)]
pub(crate) fn work(x: u64) -> Result<u64, Failed> {
    let x = black_box(x);
    if x >= MARK { marked(x) } else { Ok(x + 1) }
}

pub(crate) async fn work_async(x: u64) -> Result<u64, Failed> {
    work(x)
}

/// One call in this many fails, where some fail.
pub(crate) const ONE_IN: u64 = 20;

/// Fails at one call in twenty.
#[inline(never)]
pub(crate) fn shaky(x: u64) -> Result<u64, Failed> {
    let x = black_box(x);
    match x {
        MARK.. => marked(x),
        _ if x.is_multiple_of(ONE_IN) => Err(Failed::Upstream),
        _ => Ok(x + 1),
    }
}

pub(crate) async fn shaky_async(x: u64) -> Result<u64, Failed> {
    shaky(x)
}

/// Fails twice, then succeeds, over and over.
#[derive(Debug, Default)]
pub(crate) struct Twice(AtomicU32);

impl Twice {
    #[inline(never)]
    pub(crate) fn call(&self, x: u64) -> Result<u64, Failed> {
        let failures = self.0.load(Relaxed);
        if failures == 2 {
            self.0.store(0, Relaxed);
            return work(x);
        }
        self.0.store(failures + 1, Relaxed);
        if black_box(x) >= MARK { marked(FAIL) } else { Err(Failed::Upstream) }
    }

    pub(crate) async fn call_async(&self, x: u64) -> Result<u64, Failed> {
        self.call(x)
    }
}
