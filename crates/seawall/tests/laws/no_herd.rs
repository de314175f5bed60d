//! Law 15: the open time of a breaker can be spread, so that a fleet does not probe in one instant.

use crate::common::{MS, S, fail};
use seawall::{
    CircuitBreaker, CircuitState,
    testing::{Entered, ManualClock, Scope, Seed},
};
use std::time::Duration;

const FLEET: usize = 50;
const RECOVERY: Duration = Duration::from_secs(10);

/// Fifty breakers opened in one instant, each spread by `jitter`.
fn fleet(jitter: f64) -> (ManualClock, [Entered; 2], Vec<CircuitBreaker>) {
    let clock = ManualClock::new();
    let scopes = [Scope::new(Seed::new(7)).enter(), Scope::new(clock.clone()).enter()];
    let fleet: Vec<_> = (0..FLEET)
        .map(|_| {
            CircuitBreaker::builder()
                .failure_threshold(1)
                .recovery_timeout(RECOVERY)
                .recovery_jitter(jitter)
                .build()
        })
        .collect();
    fleet.iter().for_each(fail);
    (clock, scopes, fleet)
}

/// How many begin to probe in each tenth of the recovery timeout, from now on.
fn probes_by_tenth(clock: &ManualClock, fleet: &[CircuitBreaker]) -> Vec<usize> {
    let mut by_tenth = Vec::new();
    for _ in 0..40 {
        clock.advance(RECOVERY / 10);
        let begins = |breaker: &&CircuitBreaker| {
            let probe = breaker.state() == CircuitState::Open && breaker.try_acquire().is_ok();
            if probe {
                breaker.close();
            }
            probe
        };
        by_tenth.push(fleet.iter().filter(begins).count());
    }
    by_tenth
}

/// Law 15: the herd, and what it takes to spread it.
#[test]
fn fifty_breakers_opened_together_probe_together_without_jitter_and_apart_with_it() {
    let (clock, _scopes, all) = fleet(0.0);
    let by_tenth = probes_by_tenth(&clock, &all);
    assert_eq!(by_tenth[9], FLEET, "all at once: {by_tenth:?}");

    for jitter in [0.5, 1.0] {
        let (clock, _scopes, all) = fleet(jitter);
        let by_tenth = probes_by_tenth(&clock, &all);
        assert_eq!(by_tenth.iter().sum::<usize>(), FLEET);
        assert!(*by_tenth.iter().max().unwrap() <= FLEET / 2, "spread by {jitter}: {by_tenth:?}");
    }
}

/// Law 15: upwards, so that no jitter makes a breaker probe early, and by no more than was set.
#[test]
fn jitter_lengthens_the_open_time_by_at_most_its_share() {
    let (_clock, _scopes, all) = fleet(0.2);
    let waits: Vec<Duration> = all.iter().map(|b| b.time_until_probe().unwrap()).collect();
    assert!(
        waits.iter().all(|wait| (RECOVERY..=RECOVERY * 6 / 5 + MS).contains(wait)),
        "{waits:?}"
    );
    let mean = waits.iter().sum::<Duration>() / 50;
    assert!((RECOVERY + S / 2..=RECOVERY + 3 * S / 2).contains(&mean), "{mean:?}");
}

/// Law 15: each opening draws anew, so that a fleet that was apart stays apart.
#[test]
fn every_opening_draws_its_own_time() {
    let (clock, _scopes, all) = fleet(1.0);
    let mut waits = Vec::new();
    for _ in 0..20 {
        let wait = all[0].time_until_probe().unwrap();
        waits.push(wait);
        clock.advance(wait);
        fail(&all[0]);
    }
    waits.sort();
    waits.dedup();
    assert!(waits.len() > 15, "{waits:?}");
}

/// Law 15: the same seed, the same fleet.
#[test]
fn a_seed_repeats_the_spread() {
    let waits = || fleet(1.0).2.iter().map(CircuitBreaker::time_until_probe).collect::<Vec<_>>();
    let (one, other) = (waits(), waits());
    assert_eq!(one.len(), other.len());
    let spread = |waits: &[Option<Duration>]| waits.iter().flatten().max().unwrap().to_owned();
    assert!(spread(&one) > RECOVERY && spread(&other) > RECOVERY);
}
