//! One service, one outage: what retries make of it.

use super::Ready;
use crate::{
    model::scenario::{Arrivals, Fault, FaultKind, Scenario},
    stack::Contender,
    study::Study,
};
use seawall::{CircuitBreaker, Jitter, Pipeline, RetryBudget, RetryExecutor, RetryPolicy, Timeout};
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a client allows each attempt.
const LIMIT: Timeout = Timeout::new(seconds(1));

pub(super) const RETRY_STORM: Ready = Ready {
    name: "retry-storm",
    about: "a service at 80 % load stands still for 10 s; whether it comes back depends on the retries",
    study: || storm("retry-storm", FaultKind::Stall),
    contenders: usual,
};

/// A service at 80 % load with ten seconds of `fault`.
fn storm(name: &str, fault: FaultKind) -> Study {
    let mut scenario = Scenario::default();
    name.clone_into(&mut scenario.name);
    scenario.load.arrivals = Arrivals::Share(0.8);
    scenario.faults = vec![Fault::new(fault, seconds(30), seconds(10))];
    scenario.length = seconds(140);
    Study::new(scenario)
}

/// Three retries, 100 ms, 200 ms, 400 ms and their jitter.
fn retries() -> RetryPolicy {
    let builder = RetryPolicy::builder().max_attempts(4).jitter(Jitter::Full);
    builder.base_delay(Duration::from_millis(100)).build()
}

/// What a storm is tried with.
fn usual() -> Vec<Contender> {
    vec![
        Contender::policy("no retries", |_| LIMIT),
        Contender::policy("3 retries", |_| Pipeline::new((retries(), LIMIT))),
        Contender::policy("3 retries with a budget", |_| {
            let budget = RetryBudget::new(0.1, 10);
            Pipeline::new((RetryExecutor::new(retries()).budget(budget), LIMIT))
        }),
        Contender::policy("3 retries behind a breaker", |_| {
            let breaker = CircuitBreaker::builder().recovery_timeout(seconds(2)).build();
            Pipeline::new((retries(), breaker, LIMIT))
        }),
    ]
}
