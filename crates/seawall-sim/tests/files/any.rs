//! Scenario files out of any bytes: refused with places, or read, and then begun.

use seawall::config::Format;
use seawall_sim::{Contender, Draft, Plan, Study};

/// Reads `bytes` in all three syntaxes; gives how many took it. What stands behind a zero byte is laid
/// over the file: `FIELD=VALUE`.
///
/// # Panics
/// If anything does, if a message has no text, or if what was read does not read back the same.
pub(crate) fn check(bytes: &[u8]) -> usize {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return 0 };
    let over = parts.next().map(String::from_utf8_lossy);
    let over = over.as_deref().and_then(|over| over.split_once('='));
    [Format::Toml, Format::Yaml, Format::Json]
        .into_iter()
        .filter(|format| read(text, *format, over))
        .count()
}

fn read(text: &str, format: Format, over: Option<(&str, &str)>) -> bool {
    // Policy files that it names are somebody's: none is read here.
    if text.contains(".toml") || text.contains(".y") || text.contains(".json") {
        return false;
    }
    let study = Draft::text(text, format).and_then(|mut draft| {
        if let Some((path, value)) = over {
            draft.set(path, value, "--set")?;
        }
        draft.study()
    });
    match study {
        Ok(study) => {
            let written = study.as_file();
            let again = Draft::text(&written, Format::Toml).and_then(|draft| draft.study());
            let again = again.unwrap_or_else(|error| unreachable!("{error}\n{written}"));
            assert_eq!(again.as_file(), written);
            begin(&study);
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

/// A few thousand events of it: enough for what would panic at once.
fn begin(study: &Study) {
    let scenario = study.scenario();
    let shards: u64 = scenario.tiers.iter().map(|tier| u64::from(tier.shards)).sum();
    if u64::from(scenario.load.clients) * shards > 1000 {
        return;
    }
    let seen =
        Plan::new(scenario.clone()).run_until(&Contender::policy("none", |_| ()), 1, &|_| true);
    assert!(seen.total.good <= seen.total.calls, "{seen:?}");
}
