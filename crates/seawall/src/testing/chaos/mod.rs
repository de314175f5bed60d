//! Chaos: faults in place of an operation, where and when a test wants them.
//!
//! [`Chaos`] is a policy. Innermost in a stack it stands for a bad callee; at another place, for
//! whatever is inside it. It can fail, wait, hang, panic, and falsify results:
//!
//! ```
//! use seawall::{Pipeline, RetryPolicy, testing::{Chaos, chaos::Calls}};
//! use std::time::Duration;
//!
//! #[derive(Debug, PartialEq)]
//! enum ApiError {
//!     Busy,
//! }
//!
//! let chaos = Chaos::new().error(Calls::first(2), || ApiError::Busy);
//! let switch = chaos.switch();
//! let retry = RetryPolicy::builder().base_delay(Duration::ZERO).build();
//! let pipeline = Pipeline::builder().retry(retry).layer(chaos).build();
//!
//! switch.turn_on();
//! assert_eq!(pipeline.run_blocking(|| Ok("through")), Ok("through"));
//! assert_eq!((switch.calls(), switch.injected().errors), (3, 2));
//! ```
//!
//! # When not to use it
//! In place of a mock: an operation that fails by a script of its own is a closure.
//!
//! # It is off until it is switched on
//! A new chaos lets every call through, so building a stack never harms it: the same one serves tests
//! with faults, tests without, and exercises, and a chaos that was forgotten in it costs one load.
//! [`Chaos::switch`] gives the handle, which says [`turn_on`](Switch::turn_on) in a line that a reader
//! finds. While it is off, calls are not counted either.
//!
//! # Which calls
//! [`Calls`] says which ones a fault hits: by number, by a rate, by a function. Calls are counted
//! from 1 when they start, all threads together; inside a retry each attempt is a call. A rate
//! decides by seed, fault and number alone, so the same calls are hit in each run and on any number of
//! threads. Default seed: 0.
//!
//! # Several faults
//! A call goes through the faults in the order in which they were written. Latencies that hit add up,
//! and the next fault is looked at; the first of another kind that hits is the last that is looked at:
//! for a callee that is slow *and* fails, write the latency first. All of it happens in the
//! operation's place, but for a wrong result, which needs the right one.
//!
//! # Blocking code
//! The same, except for a hang: nothing could end it, so such a chaos does not compile there.
//!
//! ```compile_fail
//! use seawall::testing::{Chaos, chaos::Calls};
//!
//! let hangs = Chaos::new().hang(Calls::all());
//! let outcome = hangs.run_blocking(|| Ok::<_, String>(7));
//! ```
//!
//! # Cancellation, panics, clones
//! Dropping the future drops the operation or the wait. A call that hangs does so until it is dropped,
//! even when chaos is switched off. An injected panic says so in its text. Clones share the switch and
//! its figures. Waits follow tokio's paused clock and the scope's; async code needs the feature `tokio`.
//!
//! # Events
//! [`FaultInjected`](crate::Event::FaultInjected), one for each fault when it takes effect.

mod calls;
mod makers;
mod plan;
mod run;
mod switch;

pub use calls::Calls;
pub use makers::{Fails, Falsifies, Hangs, Makers, Returns, Then};
pub use switch::{Injected, Switch};

use crate::{
    describe::{Describe, Facts, Layer},
    policy::inherent_ways_to_run,
    setting::SettingValue,
};
use plan::{Kind, Plan};
use std::{fmt, time::Duration};

/// Injects faults into the calls that pass, once it is switched on. See the [module](self).
///
/// Typed by what makes errors and results: nothing is boxed. `M` is made by the methods and rarely
/// named.
#[derive(Clone, Default)]
pub struct Chaos<M = ()> {
    plan: Plan,
    makers: M,
    switch: Switch,
}

impl Chaos {
    /// Without faults, and switched off.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<M> Chaos<M> {
    /// The seed by which rates decide. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// Ends `calls` with an error that `make` gives, typed as the operation's own.
    #[must_use]
    pub fn error<E, F>(self, calls: Calls, make: F) -> Chaos<Then<M, Fails<F>>>
    where
        F: Fn() -> E,
    {
        self.with(calls, Kind::Error, |makers, at| Then(makers, Fails { at, make }))
    }

    /// Ends `calls` with [`Rejection::Injected`](crate::Rejection::Injected), whatever the operation's
    /// error is. Retries and breakers take it for a transient failure.
    #[must_use]
    pub fn rejection(self, calls: Calls) -> Self {
        self.with(calls, Kind::Rejection, |makers, _| makers)
    }

    /// Makes `calls` wait for `delay` before anything else.
    #[must_use]
    pub fn latency(self, calls: Calls, delay: Duration) -> Self {
        self.with(calls, Kind::Latency(delay), |makers, _| makers)
    }

    /// Makes `calls` never end. Blocking code cannot use the chaos then.
    #[must_use]
    pub fn hang(self, calls: Calls) -> Chaos<Hangs<M>> {
        self.with(calls, Kind::Hang, |makers, _| Hangs(makers))
    }

    /// Makes `calls` panic.
    #[must_use]
    pub fn panic(self, calls: Calls) -> Self {
        self.with(calls, Kind::Panic, |makers, _| makers)
    }

    /// Puts what `falsify` makes of it in place of an `Ok` of `calls`: `|_| 0`, or the right result
    /// with something wrong. An error passes as it is.
    ///
    /// ```
    /// use seawall::testing::{Chaos, chaos::Calls};
    ///
    /// let cut = |mut body: String| {
    ///     body.truncate(4);
    ///     body
    /// };
    /// let chaos = Chaos::new().wrong_result(Calls::every(2), cut);
    /// chaos.switch().turn_on();
    ///
    /// let get = || Ok::<_, std::io::Error>(String::from("<html>"));
    /// assert_eq!(chaos.run_blocking(get).unwrap(), "<html>");
    /// assert_eq!(chaos.run_blocking(get).unwrap(), "<htm");
    /// ```
    #[must_use]
    pub fn wrong_result<T, F>(self, calls: Calls, falsify: F) -> Chaos<Then<M, Falsifies<F>>>
    where
        F: Fn(T) -> T,
    {
        self.with(calls, Kind::WrongResult, |makers, at| Then(makers, Falsifies { at, falsify }))
    }

    fn with<N>(mut self, calls: Calls, kind: Kind, make: impl FnOnce(M, usize) -> N) -> Chaos<N> {
        let at = self.plan.add(calls, kind);
        Chaos { plan: self.plan, makers: make(self.makers, at), switch: self.switch }
    }

    /// Turns it on and off, from anywhere, and tells what was injected.
    pub fn switch(&self) -> Switch {
        self.switch.clone()
    }
}

impl<M> fmt::Debug for Chaos<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos")
            .field("plan", &self.plan)
            .field("switch", &self.switch)
            .finish_non_exhaustive()
    }
}

/// `chaos(off)`, and which calls each fault hits.
impl<M> Describe for Chaos<M> {
    fn describe(&self, layers: &mut Vec<Layer>) {
        let state = if self.switch.is_on() { "on" } else { "off" };
        let layer = Layer::new("chaos", Facts::Other)
            .gist("switch", SettingValue::Text(state.into()))
            .setting("seed", SettingValue::Integer(self.plan.seed));
        layers.push(self.plan.faults.iter().fold(layer, |layer, (calls, kind)| {
            let text = match kind {
                Kind::Latency(delay) => format!("{delay:?} on {calls}"),
                _ => calls.to_string(),
            };
            layer.setting(kind.as_str(), SettingValue::Text(text.into()))
        }));
    }
}

inherent_ways_to_run!([] run_blocking call_blocking, impl [M] Chaos<M>);
inherent_ways_to_run!([#[cfg(feature = "tokio")]] run call, impl [M] Chaos<M>);
