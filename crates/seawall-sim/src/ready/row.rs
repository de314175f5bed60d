//! One row that all want to change at once.
//!
//! Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), with its figures: base 5 ms,
//! cap 2 s, a network that takes 10 ms (standard deviation 2 ms) each way.

use super::{Ready, millis, seconds};
use crate::{
    model::{
        random::Span,
        scenario::{Arrivals, Scenario, Tier},
    },
    stack::Contender,
    study::Study,
};
use seawall::{BackoffStrategy, Jitter, RetryPolicy};
use std::time::Duration;

pub(super) const CONTENDED_ROW: Ready = Ready {
    name: "contended-row",
    about: "a hundred clients want to change one row at once; who comes second reads it again",
    study: || {
        let mut scenario = Scenario::default();
        scenario.load.arrivals = Arrivals::Recorded(vec![Duration::ZERO; 100]);
        scenario.load.clients = 100;
        scenario.network.delay = Span::Normal(millis(10), millis(2));
        scenario.tiers = vec![Tier { name: "row".into(), contended: true, ..Tier::default() }];
        scenario.length = seconds(120);
        Study::new(scenario)
    },
    contenders: || {
        use BackoffStrategy::{Decorrelated, Exponential};
        vec![
            retry("no backoff", Duration::ZERO, Exponential, Jitter::None),
            retry("exponential", millis(5), Exponential, Jitter::None),
            retry("equal jitter", millis(5), Exponential, Jitter::Equal),
            retry("full jitter", millis(5), Exponential, Jitter::Full),
            retry("decorrelated jitter", millis(5), Decorrelated, Jitter::None),
        ]
    },
};

fn retry(name: &str, base: Duration, strategy: BackoffStrategy, jitter: Jitter) -> Contender {
    let policy = RetryPolicy::builder()
        .max_attempts(100_000)
        .backoff_strategy(strategy)
        .base_delay(base)
        .max_delay(seconds(2))
        .jitter(jitter)
        .build();
    Contender::policy(name, move |_| policy)
}
