//! Services in layers, each of which tries again: attempts multiply.

use super::{Ready, millis, seconds};
use crate::{
    model::{
        Answer, Failure,
        random::Span,
        scenario::{Arrivals, Fault, FaultKind, Scenario, Tier},
    },
    stack::Contender,
    study::Study,
};
use seawall::{Describe, Error, Layer, Pipeline, Policy, RetryBudget, RetryExecutor, RetryPolicy};
use std::sync::Arc;

pub(super) const LAYERED_RETRIES: Ready = Ready {
    name: "layered-retries",
    about: "three layers make four attempts each at a backend that is down: 64 for each call",
    study: || {
        let mut scenario = Scenario::default();
        scenario.load.arrivals = Arrivals::Rate(20.0);
        scenario.length = seconds(60);
        scenario.tiers = ["gateway", "service", "backend"].map(tier).to_vec();
        scenario.faults = vec![Fault::new(FaultKind::Refuse, seconds(20), seconds(20))];
        Study::new(scenario)
    },
    contenders: || {
        vec![
            Contender::policy("no retries", |_| ()),
            Contender::policy("4 attempts in each layer", |_| attempts()),
            Contender::policy("only the lowest layer retries", |_| Guarded(attempts())),
            Contender::fleet("one budget for all layers", || {
                let budget = Arc::new(RetryBudget::new(0.1, 10));
                move |_| RetryExecutor::new(attempts()).budget(Arc::clone(&budget))
            }),
        ]
    },
};

fn tier(name: &str) -> Tier {
    Tier {
        name: name.to_owned(),
        workers: 1000,
        service: Span::Constant(millis(1)),
        ..Tier::default()
    }
}

fn attempts() -> RetryPolicy {
    RetryPolicy::builder().max_attempts(4).base_delay(millis(10)).build()
}

/// A retry of one's own making: where its attempts have run out it asks those above not to try again,
/// and it does not try again what asks so.
#[derive(Debug)]
struct Guarded(RetryPolicy);

impl Describe for Guarded {
    fn describe(&self, layers: &mut Vec<Layer>) {
        self.0.describe(layers);
    }
}

impl Policy<Answer, Failure> for Guarded {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<Answer, Error<Failure>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Answer, Error<Failure>>> + Send,
    {
        async move {
            let retry = self.0.to_builder().when(Failure::may_be_tried_again).build();
            let outcome = Pipeline::new(retry).call(op).await;
            outcome.map_err(|error| match error {
                Error::RetryExhausted(_) => Error::Operation(Failure::Pushback),
                error => error,
            })
        }
    }
}
