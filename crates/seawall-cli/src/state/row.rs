//! A breaker as the database has it, and as the library has it.

use super::clock::Clock;
use rusqlite::{Connection, OptionalExtension, Row, params};
use seawall::{
    CircuitState,
    foreign::{Held, HeldBucket, HeldWindow},
};

/// A breaker at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) held: Held,
    /// When that was so.
    pub(crate) at: Clock,
    pub(crate) rejected: u64,
    pub(crate) opened: u64,
}

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS breaker (
        name TEXT PRIMARY KEY, state TEXT NOT NULL, generation INTEGER NOT NULL,
        reopenings INTEGER NOT NULL, failures INTEGER NOT NULL,
        probes_in_flight INTEGER NOT NULL, probe_successes INTEGER NOT NULL,
        left_ms INTEGER NOT NULL, window BLOB NOT NULL,
        rejected INTEGER NOT NULL, opened INTEGER NOT NULL,
        boot TEXT NOT NULL, boot_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS budget (
        name TEXT PRIMARY KEY, tokens INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS settings (
        kind TEXT NOT NULL, name TEXT NOT NULL, settings TEXT NOT NULL,
        PRIMARY KEY (kind, name, settings)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;";

const COLUMNS: &str = "state, generation, reopenings, failures, probes_in_flight, \
    probe_successes, left_ms, window, rejected, opened, boot, boot_ms, wall_ms";

impl Kept {
    /// As of now: what time has passed is taken off.
    pub(super) fn aged(mut self, now: &Clock) -> Self {
        let passed = now.since(&self.at);
        self.held.left = self.held.left.saturating_sub(passed);
        if let HeldWindow::Buckets(buckets) = &mut self.held.window {
            for bucket in buckets {
                bucket.age = bucket.age.saturating_add(passed);
            }
        }
        self.at = now.clone();
        self
    }

    pub(super) fn read(db: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM breaker WHERE name = ?1"))?
            .query_row([name], Self::of)
            .optional()
    }

    pub(super) fn read_all(db: &Connection) -> rusqlite::Result<Vec<(String, Self)>> {
        db.prepare(&format!("SELECT {COLUMNS}, name FROM breaker ORDER BY name"))?
            .query_map([], |row| Ok((row.get(13)?, Self::of(row)?)))?
            .collect()
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let state: String = row.get(0)?;
        let states = [
            CircuitState::Closed,
            CircuitState::Open,
            CircuitState::HalfOpen,
            CircuitState::Isolated,
        ];
        let state = states.into_iter().find(|known| known.as_str() == state);
        let held = Held {
            state: state.ok_or(rusqlite::Error::InvalidQuery)?,
            generation: row.get(1)?,
            reopenings: row.get(2)?,
            failures: row.get(3)?,
            probes_in_flight: row.get(4)?,
            probe_successes: row.get(5)?,
            left: row.get(6)?,
            window: window(&row.get::<_, Vec<u8>>(7)?),
        };
        let at = Clock { boot: row.get(10)?, boot_ms: row.get(11)?, wall_ms: row.get(12)? };
        Ok(Self { held, at, rejected: row.get(8)?, opened: row.get(9)? })
    }

    pub(super) fn write(&self, db: &Connection, name: &str) -> rusqlite::Result<()> {
        let Self { held, at, rejected, opened } = self;
        let sql = format!(
            "INSERT OR REPLACE INTO breaker ({COLUMNS}, name) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        );
        db.prepare_cached(&sql)?.execute(params![
            held.state.as_str(),
            held.generation,
            held.reopenings,
            held.failures,
            held.probes_in_flight,
            held.probe_successes,
            held.left,
            blob(&held.window),
            rejected,
            opened,
            at.boot,
            at.boot_ms,
            at.wall_ms,
            name,
        ])?;
        Ok(())
    }
}

/// `c` and a byte for each call, or `t` and four numbers for each bucket.
fn blob(window: &HeldWindow) -> Vec<u8> {
    match window {
        HeldWindow::Nothing => Vec::new(),
        HeldWindow::Calls(calls) => [b"c", calls.as_slice()].concat(),
        HeldWindow::Buckets(buckets) => {
            let numbers = buckets.iter().flat_map(|b| [b.age, b.calls, b.failures, b.slow]);
            b"t".iter().copied().chain(numbers.flat_map(u64::to_le_bytes)).collect()
        }
    }
}

/// What cannot be read is an empty window: it fills again.
fn window(blob: &[u8]) -> HeldWindow {
    match blob.split_first() {
        Some((b'c', calls)) => HeldWindow::Calls(calls.to_vec()),
        Some((b't', numbers)) => {
            let mut numbers = numbers.chunks_exact(8).map(|bytes| {
                bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
            });
            let mut buckets = Vec::new();
            while let (Some(age), Some(calls), Some(failures), Some(slow)) =
                (numbers.next(), numbers.next(), numbers.next(), numbers.next())
            {
                buckets.push(HeldBucket { age, calls, failures, slow });
            }
            HeldWindow::Buckets(buckets)
        }
        _ => HeldWindow::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_comes_back_as_it_was_kept() {
        let db = Connection::open_in_memory().expect("memory");
        db.execute_batch(TABLES).expect("new");
        let windows = [
            HeldWindow::Nothing,
            HeldWindow::Calls(vec![0, 1, 2, 3]),
            HeldWindow::Buckets(vec![
                HeldBucket { age: 70_000, calls: 9, failures: 2, slow: 1 },
                HeldBucket { age: 5, calls: 300, failures: 0, slow: 300 },
            ]),
        ];
        for window in windows {
            let held = Held {
                state: CircuitState::HalfOpen,
                generation: 7,
                reopenings: 2,
                failures: 3,
                probes_in_flight: 4,
                probe_successes: 5,
                left: 60_000,
                window,
            };
            let at = Clock { boot: "b".to_owned(), boot_ms: 8, wall_ms: 9 };
            let kept = Kept { held, at, rejected: 10, opened: 11 };
            kept.write(&db, "x").expect("written");
            assert_eq!(Kept::read(&db, "x").expect("read"), Some(kept));
        }
        assert_eq!(Kept::read(&db, "y").expect("read"), None);
    }
}
