//! What policies record, and everything that they have to record.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use crate::common::{Log, S, hearing::hearing, poll_once};
use seawall::{
    CircuitBreaker, FallbackChain, RetryExecutor, RetryPolicy, Timeout, Verdict,
    breaker::Mode,
    testing::{Chaos, chaos::Calls},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::pending,
    pin::pin,
};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

/// What is in no record unless somebody asked for it.
pub(crate) const SECRET: &str = "hunter2";

/// An error that holds a secret.
#[derive(Clone, Copy)]
pub(crate) struct Canary;

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no route to https://user:{SECRET}@host")
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Canary {}

pub(crate) type Guarded = Result<u32, Canary>;

/// A record, as a subscriber sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) message: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// Keeps every record.
struct Capture(Log<Record>);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap();
        self.0.push(Record {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message,
            fields: fields.0,
        });
    }
}

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// The records that `scene` makes, on tokio's paused clock.
pub(crate) fn captured(scene: impl AsyncFnOnce()) -> Vec<Record> {
    let log = Log::default();
    let subscriber = Registry::default().with(Capture(log.clone()));
    hearing(subscriber, async { scene().await });
    log.all()
}

pub(crate) fn one_of(records: &[Record], message: &str) -> Record {
    let found = records.iter().find(|record| record.message == message);
    found.unwrap_or_else(|| panic!("no `{message}` in {records:#?}")).clone()
}

/// A row of the table in the documentation.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) message: String,
    pub(crate) level: Option<Level>,
    pub(crate) fields: BTreeSet<String>,
}

/// The table in the documentation of the bridge, as it is written there.
pub(crate) fn documented() -> Vec<Row> {
    let source = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/telemetry/tracing.rs"));
    let unquoted = |text: &str| text.trim().trim_matches('`').to_owned();
    let rows: Vec<Row> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            Row {
                message: unquoted(cells[0]),
                level: match cells[1].trim() {
                    "off" => None,
                    level => Some(level.parse().unwrap()),
                },
                fields: cells[2].split(',').map(unquoted).collect(),
            }
        })
        .collect();
    assert!(rows.len() >= 10, "the table has moved: {rows:?}");
    rows
}

pub(crate) async fn fails() -> Guarded {
    Err(Canary)
}

/// Everything that can happen, to policies with names and to policies without.
pub(crate) async fn everything(with_error_text: bool) {
    let retry = RetryPolicy::builder().max_attempts(2).base_delay(S).build();
    let executor = |named: bool| {
        let executor = RetryExecutor::new(retry).blocking_sleeper(|_| {});
        let executor = if named { executor.name("retry's name") } else { executor };
        if with_error_text { executor.error_text(Canary::to_string) } else { executor }
    };
    for named in [true, false] {
        let _ = executor(named).run(fails).await;
        let _ = executor(named).run_blocking(|| Guarded::Err(Canary)).is_err();
    }
    let refused = RetryPolicy::builder().base_delay(S).when_result(|_: &u32| true).build();
    assert!(refused.run(async || Guarded::Ok(1)).await.is_ok());

    let named = CircuitBreaker::builder().failure_threshold(1).name("breaker's name").build();
    let unnamed = CircuitBreaker::builder().failure_threshold(1).build();
    for breaker in [named, unnamed] {
        let stale = breaker.try_acquire().unwrap();
        assert!(breaker.run(fails).await.is_err());
        stale.record(Verdict::Success);
        assert!(breaker.run(fails).await.is_err(), "rejected");
        breaker.set_mode(Mode::DryRun);
        assert!(breaker.run(fails).await.is_err(), "would be rejected");
        breaker.set_mode(Mode::Enforce);
        tokio::time::advance(60 * S).await;
        {
            let mut abandoned = pin!(breaker.run(pending::<Guarded>));
            assert!(poll_once(abandoned.as_mut()).is_pending());
        }
        assert!(breaker.run(async || Guarded::Ok(1)).await.is_ok());
        breaker.isolate();
        assert!(breaker.run(fails).await.is_err(), "rejected, for no one knows how long");
    }

    let limit = Timeout::new(S);
    assert!(limit.run(pending::<Guarded>).await.is_err());
    let in_time = limit.run(fails).await;
    assert!(in_time.is_err());

    for name in ["chain's name", "another"] {
        let chain = FallbackChain::new().name(name);
        assert!(chain.value(1).run(fails).await.is_ok());
        assert!(chain.call(|| Guarded::Err(Canary)).run(fails).await.is_err());
    }
    assert!(FallbackChain::new().value(1).run(fails).await.is_ok());
    assert!(FallbackChain::new().call(|| Guarded::Err(Canary)).run(fails).await.is_err());

    let chaos = Chaos::new().rejection(Calls::all());
    chaos.switch().turn_on();
    assert!(chaos.run(fails).await.is_err());

    #[cfg(feature = "config")]
    policy_files();
}

/// A policy file that is read again, and then refused.
#[cfg(feature = "config")]
fn policy_files() {
    let path = std::env::temp_dir().join(format!("seawall-told-{}.toml", std::process::id()));
    std::fs::write(&path, "[p]\nretry = true").unwrap();
    let file = seawall::config::PolicyFile::open(&path).unwrap();
    std::fs::write(&path, "[p]\nretry = false").unwrap();
    assert!(file.reload().is_ok());
    std::fs::remove_file(&path).unwrap();
    assert!(file.reload().is_err());
}
