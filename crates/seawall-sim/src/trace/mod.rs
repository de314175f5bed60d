//! Recorded traces, and what another policy would have made of them.
//!
//! A trace is what `seawall::trace::TraceWriter` writes, or any CSV of its columns: a row for each
//! attempt at an operation, with when it began, how long it took and what it came to. The replay lets
//! the same calls come at the same times, runs the real policies under virtual time, and answers their
//! attempts from the rows.
//! What is assumed is told at [`replay`].

mod answers;
mod read;
mod replay;
mod report;
mod script;

pub use read::{TraceError, TraceProblem};
pub use replay::{Answered, Caught, Latency, Moved, Recorded, Replay, Replayed, replay};
pub(crate) use script::{Script, leaving, operation, true_outcome};

use seawall::trace::Outcome;
use std::{sync::Arc, time::Duration};

/// How far off a recorded attempt may have begun to answer another one.
pub const NEAR: Duration = Duration::from_secs(1);

/// A recorded trace: attempts in the order of time, put together to calls. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(Arc<Data>);

#[derive(Debug, PartialEq, Eq)]
struct Data {
    /// When the first call came, in ns by the trace's own clock.
    began: u64,
    /// Call by call, and within a call in the order in which they began.
    rows: Vec<Row>,
    /// In the order in which they came.
    calls: Vec<Call>,
    keys: Vec<String>,
    /// For each key its rows that are an answer, in the order of time.
    answers: Vec<Vec<u32>>,
    /// Those of all keys, where there is a key without any.
    all: Vec<u32>,
}

/// An attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// In ns since the first call came.
    at: u64,
    took: u64,
    outcome: Outcome,
    key: u32,
    call: u32,
}

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    at: u64,
    key: u32,
    /// Its first row, and the first of the next call.
    first: u32,
    last: u32,
}

impl Row {
    const fn ends(&self) -> u64 {
        self.at.saturating_add(self.took)
    }
}

impl Trace {
    /// The most rows that are read.
    pub const MOST_ROWS: usize = 10_000_000;
    /// The most keys.
    pub const MOST_KEYS: usize = 10_000;

    /// How many attempts were recorded.
    pub fn attempts(&self) -> usize {
        self.0.rows.iter().filter(|row| row.outcome != Outcome::Rejected).count()
    }

    /// How many calls these are of.
    pub fn calls(&self) -> usize {
        self.0.calls.len()
    }

    /// The keys, in the order in which they came up; without any, one that is empty.
    pub fn keys(&self) -> &[String] {
        &self.0.keys
    }

    /// From the first call to the last outcome.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.0.rows.iter().map(Row::ends).max().unwrap_or_default())
    }

    /// How many attempts came to this.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.rows.iter().filter(|row| row.outcome == outcome).count()
    }
}

#[cfg(test)]
mod tests;
