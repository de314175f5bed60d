//! What circuit breakers do in company.

use super::{Ready, millis, seconds};
use crate::{
    model::{
        random::Span,
        scenario::{Arrivals, Fault, FaultKind, Scenario},
    },
    stack::Contender,
    study::Study,
};
use seawall::{CircuitBreaker, Pipeline, Timeout, breaker::CircuitBreakerBuilder};

pub(super) const FLAPPING: Ready = Ready {
    name: "flapping",
    about: "a service is down for 2 s in every 6; how often breakers open, and what they let through",
    study: || {
        let mut scenario = Scenario::default();
        scenario.load.arrivals = Arrivals::Rate(200.0);
        scenario.length = seconds(120);
        let down = |n: u64| Fault::new(FaultKind::Refuse, seconds(20 + 6 * n), seconds(2));
        scenario.faults = (0..10).map(down).collect();
        Study::new(scenario)
    },
    contenders: || {
        let breaker = || CircuitBreaker::builder().recovery_timeout(seconds(1));
        vec![
            Contender::policy("no breaker", |_| ()),
            Contender::policy("5 failures, 1 s", move |_| breaker().build()),
            Contender::policy("5 failures, 1 s and then longer", move |_| {
                breaker().recovery_multiplier(2.0).build()
            }),
            Contender::policy("half of 20 s", move |_| {
                breaker().failure_rate(0.5).over_time(seconds(20)).minimum_calls(20).build()
            }),
        ]
    },
};

pub(super) const THUNDERING_HERD: Ready = Ready {
    name: "thundering-herd",
    about: "a thousand breakers open in one instant and wait 10 s; who probes when",
    study: || {
        let mut scenario = Scenario::default();
        scenario.load.clients = 1000;
        scenario.load.arrivals = Arrivals::Users { think: Span::Uniform(millis(5), millis(15)) };
        scenario.tiers[0].workers = 2000;
        scenario.tiers[0].service = Span::Constant(millis(1));
        scenario.length = seconds(22);
        scenario.faults = vec![Fault::new(FaultKind::Refuse, seconds(1), millis(100))];
        Study::new(scenario).bin(millis(100))
    },
    contenders: || {
        let breaker = |share: f64| {
            move |_| {
                let breaker = CircuitBreaker::builder().failure_threshold(1);
                breaker.recovery_timeout(seconds(10)).recovery_jitter(share).build()
            }
        };
        vec![
            Contender::policy("no jitter", breaker(0.0)),
            Contender::policy("10 % jitter", breaker(0.1)),
            Contender::policy("20 % jitter", breaker(0.2)),
            Contender::policy("50 % jitter", breaker(0.5)),
        ]
    },
};

pub(super) const DEAD_SHARD: Ready = Ready {
    name: "dead-shard",
    about: "one of ten shards is dead; one breaker for all of them makes it an outage of all",
    study: || {
        let mut scenario = Scenario::default();
        scenario.load.arrivals = Arrivals::Rate(200.0);
        scenario.tiers[0].shards = 10;
        scenario.length = seconds(300);
        let mut dead = Fault::new(FaultKind::Dead, seconds(0), seconds(300));
        dead.shard = Some(0);
        scenario.faults = vec![dead];
        Study::new(scenario)
    },
    contenders: || {
        const LIMIT: Timeout = Timeout::new(millis(100));
        fn guarded(
            breaker: CircuitBreakerBuilder,
        ) -> impl Fn(crate::Client) -> Pipeline<(CircuitBreaker, Timeout)> {
            move |_| Pipeline::new((breaker.build(), LIMIT))
        }
        let low = CircuitBreaker::builder().recovery_timeout(seconds(5));
        let first = low.failure_threshold(1);
        let tenth = low.failure_rate(0.1).over_calls(10).minimum_calls(10);
        let half = low.failure_rate(0.5).over_calls(20).minimum_calls(20);
        vec![
            Contender::policy("no breaker", |_| LIMIT),
            Contender::policy("one breaker, first failure", guarded(first)),
            Contender::policy("one breaker, 10 % of 10", guarded(tenth)),
            Contender::policy("one breaker, 50 % of 20", guarded(half)),
            Contender::policy("one for each shard, first failure", guarded(first)).per_shard(),
            Contender::policy("one for each shard, 50 % of 20", guarded(half)).per_shard(),
        ]
    },
};
