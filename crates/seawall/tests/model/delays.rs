//! Law 5 for settings out of bytes: refused for a reason, or 0 <= delay <= cap for any attempt.

use seawall::{
    BackoffStrategy, Jitter, Random, RetryPolicy, retry::RetryPolicyBuilder,
    testing::laws::BackoffUnderTest,
};
use std::time::Duration;

/// How many bytes a case takes.
pub(crate) const BYTES: usize = 48;

/// Holds what these bytes say to law 5; false if the settings were refused.
///
/// # Panics
/// If a delay lies outside, or settings are refused that are valid, or the other way round.
pub(crate) fn check(bytes: &[u8; BYTES]) -> bool {
    let word = |at: usize| {
        let eight = bytes[at * 8..][..8].try_into().expect("eight of 48");
        u64::from_le_bytes(eight)
    };
    let choice = word(0).to_le_bytes();
    let strategy = match choice[0] % 6 {
        0 => BackoffStrategy::Fixed,
        1 => BackoffStrategy::Linear,
        2 => BackoffStrategy::Exponential,
        3 => BackoffStrategy::Fibonacci,
        4 => BackoffStrategy::Decorrelated,
        _ => BackoffStrategy::Custom(Duration::from_secs),
    };
    let percent = choice[2] % 110;
    let jitter = match choice[1] % 5 {
        0 => Jitter::None,
        1 => Jitter::PlusMinus,
        2 => Jitter::PlusMinusPercent(percent),
        3 => Jitter::Full,
        _ => Jitter::Equal,
    };
    let multiplier = match choice[3] % 4 {
        0 => None,
        1 => Some(f64::from(choice[4]) / 64.0),
        // Any number there is: NaN, infinite, negative, next to nothing.
        _ => Some(f64::from_bits(word(1))),
    };
    let (base, cap) = (duration(choice[5], word(2)), duration(choice[6], word(3)));
    let mut builder: RetryPolicyBuilder = RetryPolicy::builder()
        .max_attempts(u32::MAX)
        .backoff_strategy(strategy)
        .base_delay(base)
        .max_delay(cap)
        .jitter(jitter);
    if let Some(multiplier) = multiplier {
        builder = builder.multiplier(multiplier);
    }
    let valid = base <= cap
        && multiplier.is_none_or(|multiplier| multiplier >= 0.0 && multiplier.is_finite())
        && (!matches!(jitter, Jitter::PlusMinusPercent(_)) || percent <= 100);
    let built = builder.try_build();
    assert_eq!(built.is_ok(), valid, "{builder:?}: {built:?}");
    let Ok(policy) = built else { return false };
    let mut random = Random::seeded(word(5));
    let attempt = if choice[7] % 2 == 0 { word(4) } else { word(4) % 2000 };
    for _ in 0..4 {
        let delay = policy.delay(attempt, &mut random);
        assert!(delay <= cap, "{delay:?} after attempt {attempt} of {policy:?}");
    }
    for (at, delay) in policy.delays().seeded(word(5)).take(70).enumerate() {
        assert!(delay <= cap, "delay {at} of a call is {delay:?}, by {policy:?}");
    }
    true
}

/// Edges more often than chance would find them.
fn duration(kind: u8, word: u64) -> Duration {
    match kind % 8 {
        0 => Duration::ZERO,
        1 => Duration::from_nanos(1),
        2 => Duration::MAX,
        3 => Duration::from_nanos(word),
        4 => Duration::from_secs(word),
        5 => Duration::from_millis(word % 120_000),
        6 => Duration::from_nanos(word % 1000),
        _ => Duration::new(word, 999_999_999),
    }
}
