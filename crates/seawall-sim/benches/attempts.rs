//! How many attempts a second are simulated on one core: a retry storm, with queueing and drawn jitter.
//!
//! `cargo bench -p seawall-sim` prints the best of several runs. On a busy machine the wall clock shows
//! its neighbours' time as well.
#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use seawall::{Jitter, RetryPolicy, Timeout};
use seawall_sim::{Arrivals, Contender, Fault, FaultKind, Plan, Scenario};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn storm() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.load.arrivals = Arrivals::Share(0.8);
    scenario.faults = vec![Fault::new(FaultKind::Stall, 30 * SECOND, 10 * SECOND)];
    scenario
}

fn main() {
    let retries = RetryPolicy::builder()
        .max_attempts(4)
        .base_delay(Duration::from_millis(100))
        .jitter(Jitter::Full)
        .build();
    let limit = Timeout::new(SECOND);
    let million = 1_000_000;
    let rows = [
        ("retry(4) > timeout", Contender::policy("a", move |_| (retries, limit)), storm()),
        ("timeout", Contender::policy("b", move |_| limit), storm()),
        (
            "retry(4) > timeout, a million clients",
            Contender::policy("c", move |_| (retries, limit)),
            {
                let mut scenario = storm();
                scenario.load.clients = million;
                scenario
            },
        ),
    ];
    for (name, contender, scenario) in rows {
        let plan = Plan::new(scenario);
        let mut best = f64::MAX;
        let mut attempts = 0;
        for seed in 1..=7 {
            let since = Instant::now();
            let seen = plan.run(&contender, seed);
            let each = since.elapsed().as_secs_f64() / seen.total.attempts as f64;
            attempts = seen.total.attempts;
            best = best.min(each);
        }
        let rate = 1e-6 / best;
        println!("{rate:>6.2} million attempts a second ({attempts} in a run)  {name}");
    }
}
