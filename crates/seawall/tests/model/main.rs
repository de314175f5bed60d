//! The breaker beside a second, naive one, over long random histories; and delays and words out of
//! any bytes. The fuzz targets in `fuzz/` run the same checks on what a fuzzer brings.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod delays;
mod history;
mod naive;
#[cfg(feature = "config")]
mod policy_files;
#[cfg(feature = "serde")]
mod words;

use history::{Played, play};
use proptest::{array::uniform32, collection::vec, prelude::*};
use seawall::Random;

/// So many, or as many as `PROPTEST_CASES` says.
fn cases(usual: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if given { default.cases } else { usual }, ..default }
}

proptest! {
    #![proptest_config(cases(1500))]

    /// State, counters, admissions, what is told: all as the documentation says, at each step.
    #[test]
    fn the_breaker_does_what_the_naive_one_does(
        setup: [u8; 8],
        codes in vec(any::<[u8; 2]>(), 1..400),
    ) {
        play(setup, &codes);
    }

    /// Law 5, for any settings and any attempt number.
    #[test]
    fn any_settings_are_refused_or_keep_delays_below_the_cap(
        most in uniform32(any::<u8>()),
        rest: [u8; 16],
    ) {
        let mut bytes = [0; delays::BYTES];
        bytes[..32].copy_from_slice(&most);
        bytes[32..].copy_from_slice(&rest);
        delays::check(&bytes);
    }
}

#[cfg(feature = "serde")]
proptest! {
    #![proptest_config(cases(1000))]

    /// Numbers, units and words in any order, and whole files of them.
    #[test]
    fn what_is_read_from_any_text_is_valid_and_reads_back_the_same(
        pieces in vec(prop_oneof![
            any::<u64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| n.to_string()),
            proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
            any::<String>(),
        ], 0..6),
    ) {
        words::check(&pieces.concat());
    }

    #[test]
    fn a_file_of_any_settings_reads_back_the_same(
        fields in vec((
            proptest::sample::select(&FIELDS[..]),
            prop_oneof![
                any::<u64>().prop_map(|n| n.to_string()),
                any::<f64>().prop_map(|n| n.to_string()),
                proptest::sample::select(&WORDS[..]).prop_map(|word| format!("\"{word}\"")),
                (any::<u64>(), proptest::sample::select(&UNITS[..]))
                    .prop_map(|(n, unit)| format!("\"{n}{unit}\"")),
                Just("true".to_owned()),
            ],
        ), 0..5),
    ) {
        let fields: Vec<String> =
            fields.iter().map(|(field, value)| format!("\"{field}\": {value}")).collect();
        words::check(&format!("{{{}}}", fields.join(", ")));
    }
}

#[cfg(feature = "serde")]
const WORDS: [&str; 14] = [
    "fixed",
    "linear",
    "exponential",
    "fibonacci",
    "decorrelated",
    "none",
    "plus_minus",
    "full",
    "equal",
    "plus_minus_",
    "1s",
    "250ms",
    "1m 30s",
    "584942417355y",
];
#[cfg(feature = "serde")]
const UNITS: [&str; 8] = ["ns", "us", "ms", "s", "m", "h", "days", "y"];
#[cfg(feature = "serde")]
const FIELDS: [&str; 10] = [
    "max_attempts",
    "backoff",
    "multiplier",
    "base_delay",
    "max_delay",
    "jitter",
    "total_timeout",
    "max_retry_after",
    "retry_on_open",
    "keep_errors",
];

#[cfg(feature = "config")]
proptest! {
    #![proptest_config(cases(1000))]

    /// What such files are made of, in any order, and anything between.
    #[test]
    fn any_bytes_are_refused_as_a_policy_file_or_read(
        pieces in vec(prop_oneof![
            4 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
            1 => vec(any::<u8>(), 0..8),
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        ], 0..40),
    ) {
        policy_files::check(&pieces.concat());
    }
}

#[cfg(feature = "config")]
const PIECES: [&str; 46] = [
    "[p]\n",
    "[q.retry]\n",
    "[p.circuit_breaker]\n",
    "[budgets.b]\n",
    "p:\n",
    "  retry:\n",
    "    ",
    "\n",
    ": ",
    " = ",
    ", ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "- ",
    "&a ",
    "*a ",
    "<<: *a\n",
    "---\n",
    "retry",
    "timeout",
    "total_timeout",
    "circuit_breaker",
    "fallback",
    "order",
    "extends",
    "limits",
    "allow",
    "max_attempts",
    "base_delay",
    "backoff",
    "jitter",
    "budget",
    "over_calls",
    "failure_rate",
    "p",
    "q",
    "\"250ms\"",
    "1m30s",
    "true",
    "0",
    "\0",
];

#[test]
#[cfg(feature = "config")]
fn files_in_order_pass_the_check_of_any_bytes() {
    let starting = seawall::config::STARTING_FILE.as_bytes();
    assert_eq!(policy_files::check(starting), 1);
    assert_eq!(policy_files::check(b"{\"p\": {\"retry\": {\"max_attempts\": 4294967295}}}"), 2);
    assert_eq!(policy_files::check(b"p: {retry: true}\x007"), 1);
    assert_eq!(policy_files::check(b"p: {retry: true}\x000"), 0);
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

#[test]
fn seeded_settings_try_delays_of_every_kind() {
    let mut random = Random::seeded(5);
    let taken = (0..20_000)
        .filter(|_| {
            let mut bytes = [0; delays::BYTES];
            for eight in bytes.chunks_mut(8) {
                eight.copy_from_slice(&random.next_u64().to_le_bytes());
            }
            delays::check(&bytes)
        })
        .count();
    assert!((4000..16_000).contains(&taken), "{taken} of 20 000 were valid");
}
