//! The world of one schedule.

use crate::{
    Random,
    scope::{Entered, Scope, World},
    testing::ManualClock,
};
use std::time::Duration;

/// A world for one schedule: a clock of its own, and chance that hangs on that clock alone. So two
/// lives that are to be compared draw alike, even where one of them draws more often.
pub(super) struct Lab {
    pub(super) clock: ManualClock,
    scope: Scope,
    _here: Entered,
}

struct Bench(ManualClock);

impl World for Bench {
    fn now(&self) -> Option<Duration> {
        Some(self.0.now())
    }

    #[expect(clippy::cast_possible_truncation, reason = "any seed will do")]
    fn seed(&self) -> Option<u64> {
        Some(Random::seeded(self.0.now().as_nanos() as u64).next_u64())
    }
}

impl Lab {
    pub(super) fn new() -> Self {
        let clock = ManualClock::new();
        // Room to go back a few days.
        clock.advance(Duration::from_secs(10 * 24 * 3600));
        let scope = Scope::new(Bench(clock.clone()));
        let _here = scope.enter();
        Self { clock, scope, _here }
    }

    /// Puts the world in place for another thread.
    pub(super) fn enter(&self) -> Entered {
        self.scope.enter()
    }
}
