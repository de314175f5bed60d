//! Law 13: the names in the documentation are real. And no record holds a secret, or comes in floods.
//!
//! Levels are set for the whole process, so these tests take turns.
#![cfg(all(feature = "tracing", feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
#[path = "common/records.rs"]
mod records;

use common::{Down, Log, Outcome, S, fail};
use records::{Canary, Record, Row, SECRET, captured, documented, everything, fails, one_of};
use seawall::{
    CircuitBreaker, CircuitState, Error, Event, FallbackChain, Pipeline, RetryExecutor,
    RetryPolicy, Timeout,
    event::observe_all,
    telemetry::tracing::{Levels, set_levels},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tracing::Level;

/// One test at a time; default levels at its beginning and its end.
struct Turn(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Turn {
    fn take(levels: Levels) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = Self(TURN.lock().unwrap_or_else(PoisonError::into_inner));
        set_levels(levels);
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        set_levels(Levels::default());
    }
}

/// The records that `scene` makes at `levels`.
fn recorded(levels: Levels, scene: impl AsyncFnOnce()) -> Vec<Record> {
    let _turn = Turn::take(levels);
    captured(scene)
}

/// The defaults, and rejections as well.
fn loud() -> Levels {
    Levels { rejected: Some(Level::DEBUG), ..Levels::default() }
}

/// Policy files have a feature of their own.
fn can_be(message: &str) -> bool {
    cfg!(feature = "config") || !message.starts_with("policy file")
}

/// Law 13: nothing is named that is not there, and nothing is there that is not named.
#[test]
fn every_message_level_and_field_of_the_table_is_really_recorded_and_no_other() {
    let records = recorded(loud(), async || everything(true).await);
    let mut rows = documented();
    rows.retain(|row| can_be(&row.message));
    for Row { message, level, fields } in &rows {
        let mine: Vec<&Record> = records.iter().filter(|r| r.message == *message).collect();
        assert!(!mine.is_empty(), "`{message}` is never recorded");
        let seen: BTreeSet<String> = mine.iter().flat_map(|r| r.fields.keys().cloned()).collect();
        assert_eq!(seen, *fields, "the fields of `{message}`");
        for record in mine {
            assert_eq!(record.level, level.unwrap_or(Level::DEBUG), "`{message}`");
        }
    }
    for record in &records {
        assert_eq!(record.target, "seawall");
        assert!(
            rows.iter().any(|row| row.message == record.message),
            "not in the table: {record:?}"
        );
    }
}

fn fields<const N: usize>(fields: [(&str, &str); N]) -> BTreeMap<String, String> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_fields_say_what_happened() {
    let records = recorded(loud(), async || everything(false).await);
    let canary = "telemetry::records::Canary";
    for (message, expected) in [
        (
            "retry scheduled",
            fields([
                ("policy", "retry"),
                ("name", "retry's name"),
                ("attempt", "1"),
                ("max_attempts", "2"),
                ("delay_ms", &one_of(&records, "retry scheduled").fields["delay_ms"]),
                ("error_type", canary),
            ]),
        ),
        (
            "retry exhausted",
            fields([
                ("policy", "retry"),
                ("name", "retry's name"),
                ("attempts", "2"),
                ("max_attempts", "2"),
                ("elapsed_ms", &one_of(&records, "retry exhausted").fields["elapsed_ms"]),
                ("reason", "attempts"),
                ("error_type", canary),
            ]),
        ),
        (
            "circuit breaker opened",
            fields([
                ("policy", "circuit_breaker"),
                ("name", "breaker's name"),
                ("from", "closed"),
                ("to", "open"),
                ("cause", "consecutive_failures"),
                ("dry_run", "false"),
            ]),
        ),
        (
            "circuit breaker changed",
            fields([
                ("policy", "circuit_breaker"),
                ("name", "breaker's name"),
                ("from", "open"),
                ("to", "half_open"),
                ("cause", "recovery_timeout"),
                ("dry_run", "false"),
            ]),
        ),
        (
            "circuit breaker rejected",
            fields([
                ("policy", "circuit_breaker"),
                ("name", "breaker's name"),
                ("retry_after_ms", "60001"),
                ("dry_run", "false"),
            ]),
        ),
        ("probe abandoned", fields([("policy", "circuit_breaker"), ("name", "breaker's name")])),
        ("stale outcome", fields([("policy", "circuit_breaker"), ("name", "breaker's name")])),
        ("timed out", fields([("policy", "timeout"), ("limit_ms", "1000")])),
        (
            "fallback used",
            fields([
                ("policy", "fallback"),
                ("name", "chain's name"),
                ("entry", "1"),
                ("error_type", canary),
            ]),
        ),
        (
            "fallback exhausted",
            fields([
                ("policy", "fallback"),
                ("name", "chain's name"),
                ("tried", "1"),
                ("error_type", canary),
            ]),
        ),
        ("fault injected", fields([("policy", "chaos"), ("fault", "rejection"), ("call", "1")])),
    ] {
        assert_eq!(one_of(&records, message).fields, expected, "{message}");
    }
}

#[test]
fn the_delay_recorded_is_the_delay_waited() {
    let waited = Log::default();
    let records = recorded(Levels::default(), async || {
        let before = tokio::time::Instant::now();
        let retry = RetryPolicy::builder().max_attempts(2).base_delay(Duration::from_millis(400));
        assert!(retry.build().run(async || Outcome::Err(Down(1))).await.is_err());
        waited.push(before.elapsed().as_millis());
    });
    let ms = |message: &str, field: &str| -> u128 {
        one_of(&records, message).fields[field].parse().unwrap()
    };
    let waited = waited.all()[0];
    // Tokio's timer goes by whole milliseconds, upwards.
    assert!((waited - 1..=waited).contains(&ms("retry scheduled", "delay_ms")));
    assert_eq!(ms("retry exhausted", "elapsed_ms"), waited);
}

#[test]
fn a_refused_ok_is_recorded_without_an_error_type() {
    let records = recorded(Levels::default(), async || {
        let retry = RetryPolicy::builder().max_attempts(2).when_result(|_: &u32| true).build();
        assert!(retry.run(async || Outcome::Ok(1)).await.is_ok());
    });
    for message in ["retry scheduled", "retry exhausted"] {
        assert!(!one_of(&records, message).fields.contains_key("error_type"), "{message}");
    }
}

#[test]
fn a_call_that_goes_well_makes_no_record() {
    let records = recorded(loud(), async || {
        let stack = (FallbackChain::new().value(7), CircuitBreaker::new(), RetryPolicy::new());
        let stack = Pipeline::new((stack, Timeout::new(S)));
        assert_eq!(stack.run(async || Outcome::Ok(1)).await, Ok(1));
    });
    assert_eq!(records, []);
}

/// Fault class 48: URLs, headers and tokens stand in error texts.
#[test]
fn no_record_and_no_event_holds_an_error_text_that_nobody_asked_for() {
    let events: Log<String> = Log::default();
    observe_all({
        let events = events.clone();
        move |event: &Event<'_>| events.push(format!("{event:?}"))
    });
    let told: Log<String> = Log::default();
    let quiet = recorded(loud(), async || {
        // It hears other tests as well, but not while it is our turn.
        events.take();
        everything(false).await;
        events.take().into_iter().for_each(|event| told.push(event));
    });
    assert!(quiet.len() > 20 && told.all().len() >= quiet.len());
    assert!(!format!("{quiet:?}").contains(SECRET));
    assert!(!format!("{:?}", told.all()).contains(SECRET));
}

#[test]
fn an_error_text_is_recorded_where_it_is_asked_for() {
    let loud = recorded(loud(), async || everything(true).await);
    for message in ["retry scheduled", "retry exhausted"] {
        assert!(one_of(&loud, message).fields["error"].contains(SECRET));
    }
    let others = loud.iter().filter(|record| !record.message.starts_with("retry"));
    assert!(!format!("{:?}", others.collect::<Vec<_>>()).contains(SECRET));
}

#[test]
fn an_error_text_is_the_callers_choice_of_words() {
    let records = recorded(Levels::default(), async || {
        let retry =
            RetryExecutor::new(RetryPolicy::new()).error_text(|_: &Canary| "redacted".into());
        assert!(retry.run(fails).await.is_err());
        // An error of another type has no text.
        assert!(retry.run(async || Outcome::Err(Down(1))).await.is_err());
    });
    let texts: Vec<_> = records.iter().map(|r| r.fields.get("error").cloned()).collect();
    let redacted = Some(String::from("redacted"));
    assert_eq!(texts, [redacted.clone(), redacted.clone(), redacted, None, None, None]);
}

type Set = fn(&mut Levels, Option<Level>);

const SETTERS: [(&str, Set); 13] = [
    ("retry scheduled", |levels, level| levels.retry_scheduled = level),
    ("retry exhausted", |levels, level| levels.retry_exhausted = level),
    ("circuit breaker opened", |levels, level| levels.opened = level),
    ("circuit breaker changed", |levels, level| levels.changed = level),
    ("circuit breaker rejected", |levels, level| levels.rejected = level),
    ("probe abandoned", |levels, level| levels.probe_abandoned = level),
    ("stale outcome", |levels, level| levels.stale_outcome = level),
    ("timed out", |levels, level| levels.timed_out = level),
    ("fallback used", |levels, level| levels.fallback_used = level),
    ("fallback exhausted", |levels, level| levels.fallback_exhausted = level),
    ("fault injected", |levels, level| levels.fault_injected = level),
    ("policy file reloaded", |levels, level| levels.file_reloaded = level),
    ("policy file refused", |levels, level| levels.file_refused = level),
];

#[test]
fn each_kind_of_record_has_a_level_of_its_own() {
    assert_eq!(SETTERS.len(), documented().len());
    for (message, set) in SETTERS.into_iter().filter(|(message, _)| can_be(message)) {
        for level in [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR] {
            let mut levels = loud();
            set(&mut levels, Some(level));
            let records = recorded(levels, async || everything(false).await);
            assert_eq!(one_of(&records, message).level, level);
            let before = recorded(loud(), async || everything(false).await);
            let others = |records: Vec<Record>| -> Vec<(String, Level)> {
                let others = records.into_iter().filter(|record| record.message != message);
                others.map(|record| (record.message, record.level)).collect()
            };
            assert_eq!(others(records), others(before), "the rest is as it was");
        }
    }
}

#[test]
fn each_kind_of_record_can_be_switched_off() {
    for (message, set) in SETTERS.into_iter().filter(|(message, _)| can_be(message)) {
        let mut levels = loud();
        set(&mut levels, None);
        let records = recorded(levels, async || everything(false).await);
        assert!(records.iter().all(|record| record.message != message), "{message}");
        assert!(SETTERS.iter().all(|(other, _)| {
            *other == message || records.iter().any(|record| record.message == *other)
        }));
    }
}

/// Fault class 47: an open breaker must not flood the log.
#[test]
fn a_hundred_thousand_rejections_make_no_record_without_set_up() {
    let records = recorded(Levels::default(), async || {
        let breaker = CircuitBreaker::builder().failure_threshold(1).build();
        fail(&breaker);
        for _ in 0..50_000 {
            assert!(breaker.run(async || Outcome::Ok(1)).await.is_err());
            assert!(breaker.run_blocking(|| Outcome::Ok(1)).is_err());
        }
        assert_eq!(breaker.counters().rejected, 100_000, "but they are counted");
    });
    let messages: Vec<&str> = records.iter().map(|record| record.message.as_str()).collect();
    assert_eq!(messages, ["circuit breaker opened"]);
}

#[test]
fn one_observer_can_hear_every_policy_of_the_process() {
    let heard: Log<String> = Log::default();
    observe_all({
        let heard = heard.clone();
        move |event: &Event<'_>| heard.push(common::event_name(event))
    });
    recorded(Levels::default(), async || everything(false).await);
    let heard: BTreeSet<String> = heard.all().into_iter().collect();
    let mut all = vec![
        "CircuitBreakerRejected",
        "CircuitBreakerTransition",
        "FallbackExhausted",
        "FallbackUsed",
        "FaultInjected",
        "ProbeAbandoned",
        "RetryExhausted",
        "RetryScheduled",
        "StaleOutcome",
        "TimedOut",
    ];
    if cfg!(feature = "config") {
        all.extend(["PolicyFileRefused", "PolicyFileReloaded"]);
    }
    assert_eq!(heard, all.into_iter().map(String::from).collect());
}

/// A policy's own observer hears what its records say.
#[test]
fn observers_of_a_policy_and_records_agree() {
    let told: Log<(CircuitState, CircuitState)> = Log::default();
    let records = recorded(Levels::default(), async || {
        let breaker = CircuitBreaker::builder().failure_threshold(1).build();
        let transitions = common::transitions(&breaker);
        fail(&breaker);
        tokio::time::advance(60 * S).await;
        let outcome = breaker.run(async || Outcome::Err(Down(1))).await;
        assert_eq!(outcome, Err(Error::Operation(Down(1))));
        transitions.all().iter().for_each(|t| told.push((t.from, t.to)));
    });
    let recorded: Vec<_> =
        records.iter().map(|r| (r.fields["from"].clone(), r.fields["to"].clone())).collect();
    let told: Vec<_> =
        told.all().iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
    assert_eq!(recorded, told);
    assert_eq!(recorded.len(), 3);
}
