//! One service, one outage: what retries make of it.
//!
//! After Bronson et al., "Metastable Failures in Distributed Systems" (HotOS 2021), and Brooker, "Fixing
//! retries with token buckets and circuit breakers" (2022).

use super::{Ready, millis, seconds};
use crate::{
    model::scenario::{Arrivals, Fault, FaultKind, Scenario},
    stack::Contender,
    study::Study,
};
use seawall::{CircuitBreaker, Jitter, Pipeline, RetryBudget, RetryExecutor, RetryPolicy, Timeout};

/// What a client allows each attempt.
const LIMIT: Timeout = Timeout::new(seconds(1));

pub(super) const RETRY_STORM: Ready = Ready {
    name: "retry-storm",
    about: "a service at 80 % load stands still for 10 s; whether it comes back depends on the retries",
    study: || storm(FaultKind::Stall, None),
    contenders: usual,
};

pub(super) const BROWN_OUT: Ready = Ready {
    name: "brown-out",
    about: "a service at 80 % load has half of its workers for 10 s: being slow is enough",
    study: || storm(FaultKind::Capacity(0.5), None),
    contenders: usual,
};

pub(super) const REFUSED: Ready = Ready {
    name: "refused",
    about: "a service at 80 % load refuses calls at once for 10 s: nothing piles up, all come back",
    study: || storm(FaultKind::Refuse, None),
    contenders: usual,
};

pub(super) const BOUNDED_QUEUE: Ready = Ready {
    name: "bounded-queue",
    about: "the retry storm at a service whose queue holds 500: it refuses the rest, and comes back",
    study: || storm(FaultKind::Stall, Some(500)),
    contenders: usual,
};

pub(super) const ERROR_RATE: Ready = Ready {
    name: "error-rate",
    about: "three requests in ten fail at once, for as long as it lasts: what retries add to the load",
    study: || {
        let mut scenario = Scenario::default();
        scenario.load.arrivals = Arrivals::Rate(100.0);
        scenario.load.clients = 1;
        scenario.length = seconds(120);
        scenario.faults = vec![Fault::new(FaultKind::Errors(0.3), seconds(0), seconds(120))];
        Study::new(scenario)
    },
    contenders: usual,
};

/// A service at 80 % load with ten seconds of `fault`.
fn storm(fault: FaultKind, queue: Option<u32>) -> Study {
    let mut scenario = Scenario::default();
    scenario.load.arrivals = Arrivals::Share(0.8);
    scenario.tiers[0].queue = queue;
    scenario.faults = vec![Fault::new(fault, seconds(30), seconds(10))];
    scenario.length = seconds(140);
    Study::new(scenario)
}

/// Three retries, after up to 100 ms, 200 ms and 400 ms.
fn retries() -> RetryPolicy {
    let builder = RetryPolicy::builder().max_attempts(4).jitter(Jitter::Full);
    builder.base_delay(millis(100)).build()
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
