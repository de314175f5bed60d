//! What is recorded where nobody has set a level. A process of its own, since levels are the
//! process's.
#![cfg(all(feature = "tracing", feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
#[path = "common/records.rs"]
mod records;

/// Law 13: what the table calls off is off, and each other message has its level.
#[test]
fn without_set_up_what_the_table_calls_off_is_not_recorded_and_the_rest_is() {
    let made = records::captured(async || records::everything(false).await);
    for row in records::documented() {
        let levels = made.iter().filter(|record| record.message == row.message);
        let levels: Vec<_> = levels.map(|record| Some(record.level)).collect();
        assert_eq!(levels.is_empty(), row.level.is_none(), "`{}`", row.message);
        assert!(levels.iter().all(|level| *level == row.level), "`{}`: {levels:?}", row.message);
    }
}
