//! Policy files out of any bytes: refused with places, or read, and then all that is made of them.

use seawall::config::{Format, Policies};

/// Reads `bytes` in all three syntaxes; gives how many took it.
///
/// # Panics
/// If anything does, or a message has no text.
pub(crate) fn check(bytes: &[u8]) -> usize {
    [Format::Toml, Format::Yaml, Format::Json]
        .into_iter()
        .filter(|format| read(bytes, *format))
        .count()
}

fn read(bytes: &[u8], format: Format) -> bool {
    // What stands behind a zero byte is a variable's value.
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let file = parts.next().unwrap_or_default();
    let value = parts.next().map(String::from_utf8_lossy);
    let variables = value.iter().map(|value| ("SEAWALL__P__RETRY__MAX_ATTEMPTS", value.as_ref()));
    match Policies::loader().environment(variables).from_bytes(file, format) {
        Ok(policies) => {
            for policy in policies.iter() {
                let explained = policy.explain();
                assert!(explained.schedule.len() <= 100, "{explained:?}");
                let retry = policy.retry().map_or(1, |retry| retry.max_attempts());
                assert!(
                    (1..=u64::from(retry)).contains(&explained.worst_attempts),
                    "{explained:?}"
                );
                for delay in explained.schedule {
                    assert!(
                        delay.shortest <= delay.delay && delay.delay <= delay.longest,
                        "{delay:?}"
                    );
                }
                for finding in policy.findings() {
                    assert!(!finding.to_string().is_empty());
                }
                assert_eq!(policy.to_string().is_empty(), policy.order().next().is_none());
                let pipeline = policy.pipeline::<u32, String>();
                assert!(pipeline.is_ok() != policy.fallback().is_some());
            }
            true
        }
        Err(error) => {
            assert!((1..=100).contains(&error.problems().len()));
            for problem in error.problems() {
                let told = problem.to_string();
                assert!(told.chars().all(|letter| !letter.is_control()), "{told:?}");
            }
            false
        }
    }
}
