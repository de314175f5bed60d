//! Mocks, virtual time, seeds, faults and a recorder of events for tests (feature `testing`).
//!
//! Put it into `[dev-dependencies]` with the feature: there every policy, wherever it stands, follows
//! tokio's paused clock, and inside a [`Scope`] the world of the test's choice. [`MockRetryExecutor`]
//! and [`MockCircuitBreaker`] stand in for policies, [`Chaos`] injects faults into a stack, a
//! [`Recorder`] tells what its policies did, and [`Pipeline::layers`](crate::Pipeline::layers) what it
//! is made of.
//!
//! ```
//! use seawall::{CircuitBreaker, CircuitState, testing::{ManualClock, Scope}};
//! use std::{cell::Cell, time::Duration};
//!
//! let clock = ManualClock::new();
//! let _scope = Scope::new(clock.clone()).enter();
//!
//! let breaker = CircuitBreaker::builder().failure_threshold(1).build();
//! let well = Cell::new(false);
//! let call = || if well.get() { Ok(7) } else { Err("down") };
//! let _ = breaker.run_blocking(call);
//! assert!(breaker.try_acquire().is_err());
//!
//! clock.advance(Duration::from_secs(60));
//! well.set(true);
//! assert_eq!(breaker.run_blocking(call), Ok(7));
//! assert_eq!(breaker.state(), CircuitState::Closed);
//! ```
//!
//! [`laws`] holds any circuit breaker, retry budget or backoff to what this library holds its own to.

pub mod chaos;
mod clock;
pub mod laws;
mod mocks;
mod recorder;

#[doc(hidden)]
pub use crate::scope::Keeper;
pub use crate::scope::{Attached, Entered, Scope, World};
pub use chaos::Chaos;
pub use clock::{ManualClock, Seed};
#[doc(hidden)]
pub use mocks::{BreakerMock, RetryMock};
pub use mocks::{MockCircuitBreaker, MockRetryExecutor};
pub use recorder::{Recorded, Recorder};
