//! Settings out of texts: whatever is read is valid, and written and read again is the same.

use seawall::{BackoffStrategy, Jitter, RetryPolicy};

/// Reads `text` as each thing that is read from texts; gives how many took it.
///
/// # Panics
/// If what was read is not what is read again, or breaks a law.
pub(crate) fn check(text: &str) -> u32 {
    let strategy: Option<BackoffStrategy> = text.parse().ok();
    let jitter: Option<Jitter> = text.parse().ok();
    // Leading zeros and a plus are all that a number may be written with besides.
    if let Some(jitter) = jitter {
        assert_eq!(jitter.to_string().parse().ok(), Some(jitter), "{text:?}");
    }
    if let Some(strategy) = strategy {
        assert_eq!(strategy.to_string(), text);
    }
    let word = serde_json::Value::from(text).to_string();
    let files = [
        text.to_owned(),
        format!(r#"{{"base_delay": {word}, "max_delay": {word}}}"#),
        format!(r#"{{"total_timeout": {word}, "max_retry_after": {word}}}"#),
        format!(r#"{{"base_delay": {text}, "max_delay": {text}}}"#),
        format!(r#"{{"multiplier": {text}}}"#),
        format!(r#"{{"jitter": {word}}}"#),
        format!(r#"{{"backoff": {word}}}"#),
    ];
    let read = files.iter().filter(|file| is_policy(file)).count();
    u32::try_from(read).expect("a few")
        + u32::from(strategy.is_some())
        + u32::from(jitter.is_some())
}

fn is_policy(file: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<RetryPolicy>(file) else { return false };
    assert!(policy.max_attempts() > 0, "{file}");
    let cap = policy.to_builder().build();
    assert_eq!(cap, policy, "{file}");
    // Any delay can be drawn.
    let _ = policy.delays().seeded(1).take(3).count();
    let written = serde_json::to_value(policy).expect("plain data");
    let again: RetryPolicy = serde_json::from_value(written.clone()).expect("it was written so");
    assert_eq!(again, policy, "{file} is written as {written}");
    true
}
