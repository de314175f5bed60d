//! The breaker beside a second, naive one, over long random histories.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod history;
mod naive;

use history::{Played, play};
use proptest::{collection::vec, prelude::*};
use seawall::Random;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() })]

    /// State, counters, admissions, what is told: all as the documentation says, at each step.
    #[test]
    fn the_breaker_does_what_the_naive_one_does(
        setup: [u8; 8],
        codes in vec(any::<[u8; 2]>(), 1..400),
    ) {
        play(setup, &codes);
    }
}

/// Seeded, so that each run tries the same: and tries all that there is.
#[test]
fn long_seeded_histories_go_through_all_that_can_be_told() {
    let mut sum = Played::default();
    for seed in 0..64 {
        let mut random = Random::seeded(seed);
        let setup = random.next_u64().to_le_bytes();
        let codes: Vec<[u8; 2]> = (0..4000)
            .map(|_| {
                let [kind, detail, ..] = random.next_u64().to_le_bytes();
                [kind, detail]
            })
            .collect();
        let played = play(setup, &codes);
        sum.steps += played.steps;
        sum.transitions += played.transitions;
        sum.rejections += played.rejections;
        sum.stale += played.stale;
        sum.abandoned += played.abandoned;
    }
    assert!(sum.transitions > 10_000 && sum.rejections > 10_000, "{sum:?}");
    assert!(sum.stale > 10_000 && sum.abandoned > 300, "{sum:?}");
}
