//! The laws of the project's design as a kit, to hold any breaker, retry budget or backoff to.
//!
//! A law is stated by what can be observed, not by how a breaker is made: it asks, settles and drops
//! permits, moves a clock, and looks at what comes of it. Each is tried in all short schedules, in
//! long ones drawn by chance, and some on threads. The schedules are the same in every run. What
//! breaks a law is told as a story, in as few steps as will do.
//!
//! ```
//! use seawall::testing::{ManualClock, laws::{self, Rules}};
//! use seawall::CircuitBreaker;
//! use std::time::Duration;
//!
//! let recovery = Duration::from_secs(10);
//! let make = |_: &ManualClock| {
//!     CircuitBreaker::builder().failure_threshold(2).recovery_timeout(recovery).build()
//! };
//! let report = laws::check_all(make, &Rules::consecutive(2, recovery));
//! assert!(report.holds(), "{report}");
//! ```
//!
//! # A breaker of your own
//! It takes its time from the [`ManualClock`] that it is made with, and implements
//! [`BreakerUnderTest`]. This one counts failures, and has a law to learn:
//!
//! ```
//! use seawall::{CircuitState, testing::{ManualClock, laws::{self, BreakerUnderTest, Law, Rules}}};
//! use std::{sync::Mutex, time::Duration};
//!
//! const RECOVERY: Duration = Duration::from_secs(5);
//!
//! struct Toy { clock: ManualClock, now: Mutex<(CircuitState, u32, Duration)> }
//!
//! impl BreakerUnderTest for Toy {
//!     type Permit<'a> = ();
//!
//!     fn acquire(&self) -> Option<()> {
//!         let (state, _, until) = &mut *self.now.lock().unwrap();
//!         if *state == CircuitState::Open && self.clock.now() >= *until {
//!             *state = CircuitState::HalfOpen;
//!             return Some(());
//!         }
//!         (*state == CircuitState::Closed).then_some(())
//!     }
//!     fn success(&self, _: ()) {
//!         *self.now.lock().unwrap() = (CircuitState::Closed, 0, RECOVERY);
//!     }
//!     fn failure(&self, _: ()) {
//!         let (state, failures, until) = &mut *self.now.lock().unwrap();
//!         *failures += 1;
//!         if *failures >= 3 {
//!             (*state, *until) = (CircuitState::Open, self.clock.now() + RECOVERY);
//!         }
//!     }
//!     fn state(&self) -> CircuitState {
//!         self.now.lock().unwrap().0
//!     }
//! }
//!
//! let make = |clock: &ManualClock| {
//!     Toy { clock: clock.clone(), now: Mutex::new((CircuitState::Closed, 0, RECOVERY)) }
//! };
//! let rules = Rules::consecutive(3, RECOVERY);
//! laws::no_stampede(make, &rules).expect("one probe at a time");
//! laws::edges(make, &rules).expect("three failures, five seconds, one success");
//!
//! // Nobody told it of a probe that was dropped, and it waits for ever.
//! let violation = laws::no_wedge(make, &rules).unwrap_err();
//! assert_eq!(violation.law, Law::NoWedge);
//! assert!(violation.to_string().contains("nobody was let through"));
//! ```
//!
//! # Which laws
//! | function | law |
//! |---|---|
//! | [`no_wedge`] | 1: a permit is there again within a bounded time |
//! | [`no_stampede`] | 2: never more probes than allowed, on threads as well |
//! | [`no_stale_result`] | 3: a call from before a change of state changes nothing |
//! | [`one_event`] | 4: each change is told once, in order |
//! | [`delays`] | 5: within zero and the cap, for every attempt number |
//! | [`budgets`] | 6: retries are paid for by successes, over any interval |
//! | [`permits_conserved`] | 7: a permit dropped is a permit free |
//! | [`edges`], [`clocks`] | 11: thresholds are exact; clocks may go back, jump and stop |
//! | [`no_herd`] | 15: breakers that opened together probe apart |
//! | [`panics`] | 16: a panic is a failure, passes on, loses no permit |
//!
//! [`check_all`] holds a breaker to all that are about breakers.
//!
//! # What it does not see
//! A breaker that reads the system's clock has to be run on one that follows the kit's; the repository's
//! `crates/seawall-bench/src/laws` does so, with libfaketime.
//!
//! The clock moves in whole ms, and nothing really waits: a breaker that hangs for ever hangs its
//! test. What threads do depends on the machine, so a race may pass now and then. An observer that
//! calls back into the breaker is not tried.

mod budgets;
mod delays;
mod edges;
mod events;
mod herd;
mod lab;
mod life;
mod probes;
mod report;
mod schedule;
mod subject;
mod twins;

pub use budgets::{BudgetRules, BudgetUnderTest, budgets};
pub use delays::{BackoffUnderTest, DelayRules, delays};
pub use edges::{clocks, edges};
pub use events::one_event;
pub use herd::no_herd;
pub use probes::{no_stampede, no_wedge, permits_conserved};
pub use report::{Checked, Law, Report, Violation};
pub use subject::{BreakerUnderTest, Rules, Told, Trip};
pub use twins::{no_stale_result, panics};

use super::ManualClock;

/// Holds a breaker to every law of breakers. `make` makes a new one for each schedule, on the clock
/// that it is given.
pub fn check_all<B: BreakerUnderTest>(make: impl Fn(&ManualClock) -> B, rules: &Rules) -> Report {
    Report::default()
        .with(no_wedge(&make, rules))
        .with(no_stampede(&make, rules))
        .with(no_stale_result(&make, rules))
        .with(one_event(&make, rules))
        .with(permits_conserved(&make, rules))
        .with(edges(&make, rules))
        .with(clocks(&make, rules))
        .with(no_herd(&make, rules))
        .with(panics(&make, rules))
}

/// As [`check_all`], for a test.
///
/// # Panics
/// If a law is broken, with the whole report.
#[track_caller]
pub fn assert_all<B: BreakerUnderTest>(make: impl Fn(&ManualClock) -> B, rules: &Rules) {
    let report = check_all(make, rules);
    assert!(report.holds(), "{report}");
}
