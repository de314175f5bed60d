//! One run: a scenario, a policy, a seed.

use crate::{
    engine,
    measure::Seen,
    model::{Model, nanos, scenario::Scenario},
    stack::{Callers, Contender},
};
use std::{sync::Arc, time::Duration};

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Plan {
    scenario: Arc<Scenario>,
    bin: Duration,
}

impl Plan {
    /// Runs of `scenario`, measured by the second.
    pub fn new(scenario: Scenario) -> Self {
        Self { scenario: Arc::new(scenario), bin: Duration::from_secs(1) }
    }

    /// How long a bin of the measurement is. Default: 1 s.
    #[must_use]
    pub const fn bin(mut self, bin: Duration) -> Self {
        self.bin = bin;
        self
    }

    /// How long a bin of the measurement is.
    pub const fn bin_length(&self) -> Duration {
        self.bin
    }

    /// The same with a scenario that is changed a little.
    #[must_use]
    pub fn with_scenario(mut self, change: impl FnOnce(&mut Scenario)) -> Self {
        change(Arc::make_mut(&mut self.scenario));
        self
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Runs it once, with this policy. The same seed gives the same result, on every machine; another
    /// policy meets the same arrivals.
    ///
    /// # Panics
    /// If the policy does, or when called by a simulated policy.
    pub fn run(&self, contender: &Contender, seed: u64) -> Seen {
        self.run_until(contender, seed, &|_| false)
    }

    /// As [`run`](Self::run); `stop` is asked every few thousand events with how much simulated time has
    /// passed, and ends the run where it is by `true`.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_until(
        &self,
        contender: &Contender,
        seed: u64,
        stop: &dyn Fn(Duration) -> bool,
    ) -> Seen {
        let callers = Callers::new(&self.scenario, contender);
        let model = Model::new(&self.scenario, seed, self.bin, contender.is_per_shard());
        let stop = |now| stop(Duration::from_nanos(now));
        engine::run(model, &callers, nanos(self.scenario.length), &stop).seen
    }
}
