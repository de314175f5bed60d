//! What is published of retries, breakers and outages, and what follows in closed form: a right
//! simulator shows it.
#![allow(clippy::unwrap_used, reason = "tests")]

use seawall::{
    Describe, Error, Jitter, Layer, Pipeline, Policy, RetryBudget, RetryExecutor, RetryPolicy,
    Timeout,
};
use seawall_sim::{
    Answer, Arrivals, Contender, Estimate, Failure, Fault, FaultKind, Finding, Findings, Metric,
    Outlook, Plan, Ready, Scenario, Seen,
};
use std::{sync::Mutex, time::Duration};

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const LIMIT: Timeout = Timeout::new(S);

fn of(ready: &str) -> Findings {
    Ready::find(ready).unwrap().study().seeds(3).without_search().run()
}

fn named<'a>(found: &'a Findings, name: &str) -> &'a Finding {
    found.findings.iter().find(|finding| finding.name == name).unwrap()
}

fn figure(finding: &Finding, metric: Metric) -> Estimate {
    finding.summary.get(metric).unwrap()
}

/// One server of ten workers that serve 1 000 a second, at a share of that, with ten seconds of a fault.
fn outage(share: f64, kind: FaultKind, length: Duration) -> Scenario {
    let mut scenario = Scenario::default();
    scenario.load.arrivals = Arrivals::Share(share);
    scenario.length = length;
    scenario.faults = vec![Fault::new(kind, 30 * S, 10 * S)];
    scenario
}

fn none() -> Contender {
    Contender::policy("none", |_| LIMIT)
}

/// Four attempts: the retries of `jitter` from 100 ms on, or at once.
fn retries(base: Duration, jitter: Jitter) -> Contender {
    let policy = RetryPolicy::builder().max_attempts(4).base_delay(base).jitter(jitter).build();
    Contender::policy("retries", move |_| (policy, LIMIT))
}

/// Seconds after the fault until 95 % of the calls of five seconds are good.
fn recovery(seen: &Seen) -> Option<usize> {
    (40..seen.bins.len() - 4)
        .find(|from| {
            let bins = &seen.bins[*from..from + 5];
            let good: u64 = bins.iter().map(|bin| bin.good).sum();
            let calls: u64 = bins.iter().map(|bin| bin.calls).sum();
            good as f64 >= 0.95 * calls as f64
        })
        .map(|from| from - 40)
}

fn recoveries(scenario: Scenario, contender: &Contender, seeds: u64) -> Vec<Option<usize>> {
    let plan = Plan::new(scenario);
    (1..=seeds).map(|seed| recovery(&plan.run(contender, seed))).collect()
}

#[test]
fn without_retries_a_stalled_service_comes_back_when_its_queue_is_worked_off() {
    // (10 load - capacity x limit) / (capacity - load).
    for (share, expected, off) in [(0.7, 20, 3), (0.8, 35, 6), (0.9, 80, 18)] {
        for found in recoveries(outage(share, FaultKind::Stall, 160 * S), &none(), 3) {
            let found = found.unwrap();
            assert!(found.abs_diff(expected) <= off, "{share}: {found} s and not {expected} s");
        }
    }
}

#[test]
fn retries_without_a_limit_keep_an_outage_going_with_jitter_or_without() {
    for share in [0.7, 0.8, 0.9] {
        for contender in [
            retries(Duration::ZERO, Jitter::None),
            retries(100 * MS, Jitter::None),
            retries(100 * MS, Jitter::Full),
        ] {
            let scenario = outage(share, FaultKind::Stall, 140 * S);
            assert_eq!(recoveries(scenario, &contender, 1), [None], "{share}");
        }
    }
}

#[test]
fn four_attempts_keep_an_outage_going_down_to_a_quarter_of_capacity() {
    // The load falls to a share of capacity 20 s after the fault: above 1 / 4 the queue keeps growing.
    for (share, ends) in [(0.20, true), (0.30, false)] {
        let mut scenario = outage(0.8, FaultKind::Stall, 120 * S);
        scenario.load.steps = vec![(60 * S, share / 0.8)];
        let seen = Plan::new(scenario).run(&retries(100 * MS, Jitter::Full), 1);
        let (before, after) = (seen.bins[80].waiting, seen.bins[119].waiting);
        assert_eq!(after < before, ends, "{share}: {before} and then {after}");
    }
    let storm = Ready::find("retry-storm").unwrap();
    let mut study = storm.world().seeds(2);
    study = study.contender(retries(100 * MS, Jitter::Full));
    let found = study.run();
    let verdict = &found.findings[0].verdict;
    assert_eq!(verdict.outlook, Outlook::Lasting);
    let load = verdict.load.unwrap();
    assert!((0.22..0.28).contains(&load.value), "{}", verdict.text);
    assert!(verdict.text.contains("lasts until load falls below 2"), "{}", verdict.text);
}

/// A policy of a user's own: retries paid from a bucket that every try fills by a tenth.
#[derive(Debug)]
struct PaidByTries {
    tokens: Mutex<f64>,
}

impl Describe for PaidByTries {
    fn describe(&self, _: &mut Vec<Layer>) {}
}

impl Policy<Answer, Failure> for PaidByTries {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<Answer, Error<Failure>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<Answer, Error<Failure>>> + Send,
    {
        async move {
            {
                let mut tokens = self.tokens.lock().unwrap();
                *tokens = (*tokens + 0.1).min(10.0);
            }
            loop {
                let outcome = op().await;
                let mut tokens = self.tokens.lock().unwrap();
                if outcome.is_ok() || *tokens < 1.0 {
                    return outcome;
                }
                *tokens -= 1.0;
            }
        }
    }
}

#[test]
fn a_budget_that_tries_fill_is_slower_than_none_and_one_that_successes_fill_is_as_none() {
    let by_tries =
        Contender::policy("by tries", |_| (PaidByTries { tokens: Mutex::new(0.0) }, LIMIT));
    let by_successes = Contender::policy("by successes", |_| {
        let retry = RetryPolicy::builder().max_attempts(4).base_delay(100 * MS).build();
        (RetryExecutor::new(retry).budget(RetryBudget::new(0.1, 10)), LIMIT)
    });
    let found = |share, contender: &Contender| {
        recoveries(outage(share, FaultKind::Stall, 160 * S), contender, 1)[0]
    };
    // 1.1 times the load in the formula: 29, 65 and 890 s.
    for (share, expected) in [(0.7, Some(29)), (0.8, Some(65)), (0.9, None)] {
        match (found(share, &by_tries), expected) {
            (Some(found), Some(expected)) => {
                assert!(found.abs_diff(expected) <= expected / 5, "{share}: {found}");
            }
            (found, expected) => assert_eq!(found, expected, "{share}"),
        }
    }
    for share in [0.7, 0.8] {
        let (none, budget) = (found(share, &none()).unwrap(), found(share, &by_successes).unwrap());
        assert!(budget.abs_diff(none) <= 2 + none / 10, "{share}: {none} and {budget}");
    }
}

#[test]
fn a_breaker_ends_the_storm_in_seconds() {
    let found = of("retry-storm");
    let breaker = figure(named(&found, "3 retries behind a breaker"), Metric::Recovery);
    assert!(breaker.high <= 4.0, "{breaker:?}");
    assert_eq!(figure(named(&found, "3 retries"), Metric::Recovery).low, f64::INFINITY);
}

#[test]
fn shedding_what_nobody_waits_for_any_more_ends_the_storm_too() {
    let mut scenario = outage(0.8, FaultKind::Stall, 100 * S);
    // Earlier than callers give up: at their limit it would do in vain what it does.
    scenario.tiers[0].shed_after = Some(S / 2);
    let found = recoveries(scenario, &retries(100 * MS, Jitter::Full), 3);
    assert!(found.iter().all(|found| found.is_some_and(|after| after <= 3)), "{found:?}");
}

#[test]
fn calls_that_are_refused_at_once_leave_no_trace() {
    let found = of("refused");
    for finding in &found.findings {
        let recovery = figure(finding, Metric::Recovery);
        assert!(recovery.high <= 2.0, "{}: {recovery:?}", finding.name);
    }
    // Only the load during the fault differs: 4.0, 1.1 and 0.1 times.
    let during = |name: &str| {
        let series = &named(&found, name).series[33..39];
        let sum = |of: fn(&seawall_sim::Point) -> f64| series.iter().map(of).sum::<f64>();
        sum(|point| point.backend) / sum(|point| point.calls)
    };
    assert!((3.9..4.1).contains(&during("3 retries")), "{}", during("3 retries"));
    assert!((0.99..1.1).contains(&during("3 retries with a budget")));
    assert!(during("3 retries behind a breaker") < 0.15);
}

#[test]
fn a_slow_service_is_enough_for_a_storm() {
    let found = of("brown-out");
    assert_eq!(figure(named(&found, "3 retries"), Metric::Recovery).low, f64::INFINITY);
    for name in ["no retries", "3 retries with a budget", "3 retries behind a breaker"] {
        let recovery = figure(named(&found, name), Metric::Recovery);
        assert!(recovery.high < 25.0, "{name}: {recovery:?}");
    }
}

#[test]
fn a_bounded_queue_saves_every_policy() {
    let found = of("bounded-queue");
    for finding in &found.findings {
        let recovery = figure(finding, Metric::Recovery);
        assert!(recovery.high <= 3.0, "{}: {recovery:?}", finding.name);
    }
}

#[test]
fn attempts_and_successes_of_a_failing_client_follow_the_geometric_sum() {
    for chance in [0.0, 0.1, 0.3, 0.6, 1.0] {
        let mut scenario = Scenario::default();
        scenario.load.arrivals = Arrivals::Rate(100.0);
        scenario.load.clients = 1;
        scenario.length = 100 * S;
        scenario.faults = vec![Fault::new(FaultKind::Errors(chance), Duration::ZERO, 100 * S)];
        let plan = Plan::new(scenario);
        let near = |found: f64, expected: f64, what: &str| {
            assert!((found - expected).abs() < 0.03, "{chance}: {what} {found} and not {expected}");
        };
        // Three retries: 1 + x + x^2 + x^3 attempts, and a failure of x^4.
        let total = plan.run(&retries(MS, Jitter::None), 1).total;
        let geometric = (0..4).map(|n| chance.powi(n)).sum();
        near(total.attempts as f64 / total.calls as f64, geometric, "attempts");
        near(total.good as f64 / total.calls as f64, 1.0 - chance.powi(4), "successes");
        // A bucket that successes fill by a tenth: as three retries where they are few, and never more
        // than a tenth of the successes where they are many.
        let bucket = Contender::policy("bucket", |_| {
            let retry = RetryPolicy::builder().max_attempts(4).base_delay(MS).build();
            RetryExecutor::new(retry).budget(RetryBudget::new(0.1, 10))
        });
        let total = plan.run(&bucket, 1).total;
        let retried = (total.attempts - total.calls) as f64 / total.calls as f64;
        let unlimited: f64 = geometric - 1.0;
        let paid = 0.1 * total.good as f64 / total.calls as f64;
        near(retried, unlimited.min(paid), "retries from a bucket");
    }
}

#[test]
fn a_thousand_breakers_probe_in_one_instant_unless_they_draw() {
    let found = of("thundering-herd");
    let most = |name: &str| figure(named(&found, name), Metric::PeakProbes);
    assert!(most("no jitter").low >= 900.0, "{:?}", most("no jitter"));
    // A share of 10 s, evenly: 1 000 probes over so many tenths of a second, and what chance adds.
    for (name, mean) in [("10 % jitter", 100.0_f64), ("20 % jitter", 50.0), ("50 % jitter", 20.0)] {
        let most = most(name).value;
        assert!((mean..mean + 4.5 * mean.sqrt()).contains(&most), "{name}: {most}");
    }
}

#[test]
fn one_breaker_for_ten_shards_makes_one_dead_shard_an_outage_of_all() {
    let found = of("dead-shard");
    let success = |name: &str| figure(named(&found, name), Metric::Success).value;
    assert!((0.88..0.92).contains(&success("no breaker")));
    for name in ["one breaker, first failure", "one breaker, 10 % of 10"] {
        assert!((0.14..0.32).contains(&success(name)), "{name}: {}", success(name));
    }
    for name in ["one for each shard, first failure", "one for each shard, 50 % of 20"] {
        assert!((0.88..0.92).contains(&success(name)), "{name}: {}", success(name));
    }
}

#[test]
fn four_attempts_in_each_of_three_layers_are_sixty_four() {
    let ready = Ready::find("layered-retries").unwrap();
    // Down from beginning to end, and time for each call to end.
    let study = ready.world().contenders(ready.contenders()).seeds(1).with_scenario(|scenario| {
        scenario.faults = vec![Fault::new(FaultKind::Refuse, Duration::ZERO, 60 * S)];
        scenario.load.steps = vec![(30 * S, 0.0)];
    });
    let found = study.run();
    let each = |name: &str| figure(named(&found, name), Metric::Amplification).value;
    assert_eq!(each("no retries"), 1.0);
    assert_eq!(each("4 attempts in each layer"), 64.0);
    assert_eq!(each("only the lowest layer retries"), 4.0);
    // One bucket of ten, which nothing fills.
    let total = &named(&found, "one budget for all layers").total;
    assert_eq!(total.backend, total.calls + 10);
}

#[test]
fn jitter_halves_the_calls_for_a_contended_row_and_backoff_without_it_loses() {
    let found = of("contended-row");
    let figures = |metric| move |name: &str| figure(named(&found, name), metric).value;
    let order = |of: &dyn Fn(&str) -> f64, names: &[&str]| {
        let values: Vec<f64> = names.iter().map(|name| of(name)).collect();
        assert!(values.is_sorted(), "{names:?}: {values:?}");
        values
    };
    let (full, equal, decorrelated) = ("full jitter", "equal jitter", "decorrelated jitter");
    let calls = figures(Metric::Amplification);
    let values = order(&calls, &[full, equal, decorrelated, "exponential", "no backoff"]);
    assert!(values[3] > 1.5 * values[2], "{values:?}");
    let found = of("contended-row");
    let time = |name: &str| figure(named(&found, name), Metric::Makespan).value;
    let values = order(&time, &["no backoff", decorrelated, full, equal, "exponential"]);
    assert!(values[4] > 4.0 * values[3], "{values:?}");
    for finding in &found.findings {
        assert_eq!(finding.total.good, 300, "{}", finding.name);
    }
}

#[test]
fn the_calls_for_a_contended_row_grow_with_the_square_of_the_clients_without_backoff() {
    let calls = |clients: u32| {
        let mut scenario = Ready::find("contended-row").unwrap().world().scenario().clone();
        scenario.load.clients = clients;
        scenario.load.arrivals = Arrivals::Recorded(vec![Duration::ZERO; clients as usize]);
        let none = Pipeline::new(
            RetryPolicy::builder().max_attempts(100_000).base_delay(Duration::ZERO).build(),
        );
        let seen = Plan::new(scenario).run(&Contender::policy("none", move |_| none), 1);
        assert_eq!(seen.total.good, u64::from(clients));
        seen.total.attempts as f64
    };
    let grown = calls(100) / calls(25);
    assert!((11.0..18.0).contains(&grown), "{grown}");
}
