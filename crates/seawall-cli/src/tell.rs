//! What happened: lines for people, JSON lines for programs. Neither ever stops a command.
#![allow(clippy::print_stderr, reason = "this is how a command speaks")]

use crate::words::show;
use serde_json::{Map, Value, json};
use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A problem of our own, told whatever `--quiet` says.
pub(crate) fn problem(text: &str) {
    // stderr may be closed: then nobody wants to know.
    let _ = writeln!(io::stderr(), "seawall: {text}");
}

/// Where a call tells of itself.
#[derive(Debug)]
pub(crate) struct Teller {
    quiet: bool,
    /// A line that is written over, at a terminal.
    live: bool,
    events: Option<File>,
}

impl Teller {
    pub(crate) fn new(quiet: bool, events: Option<&OsStr>) -> Self {
        let live = !quiet && io::stderr().is_terminal();
        let open = |place: &OsStr| {
            let told = |error| {
                problem(&format!("no events are written: {}: {error}", place.to_string_lossy()))
            };
            open(place).map_err(told).ok()
        };
        Self { quiet, live, events: events.and_then(open) }
    }

    pub(crate) const fn is_live(&self) -> bool {
        self.live
    }

    pub(crate) fn line(&self, text: &str) {
        if !self.quiet {
            self.erase();
            problem(text);
        }
    }

    /// Writes over the live line.
    pub(crate) fn show(&self, text: &str) {
        if self.live {
            let _ = write!(io::stderr(), "\r\x1b[2Kseawall: {text}");
        }
    }

    /// Takes the live line away, before anything else is written.
    pub(crate) fn erase(&self) {
        if self.live {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    /// One JSON line: `{"time":...,"event":...,...}`.
    pub(crate) fn event(&mut self, event: &str, fields: Value) {
        let Some(file) = &mut self.events else { return };
        let mut line = Map::new();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        line.insert("time".to_owned(), json!(time.as_secs_f64()));
        line.insert("event".to_owned(), json!(event));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let mut line = Value::Object(line).to_string();
        line.push('\n');
        // One write, so that the lines of several processes do not mix.
        if let Err(error) = file.write_all(line.as_bytes()) {
            self.events = None;
            problem(&format!("no more events are written: {error}"));
        }
    }
}

/// Opens `FILE` or `fd:N` to append to.
fn open(place: &OsStr) -> io::Result<File> {
    // A descriptor is opened anew by its name: `N` itself is only a number, and may be anything.
    let place = match place.as_bytes().strip_prefix(b"fd:") {
        Some(number) => [b"/dev/fd/", number].concat(),
        None => place.as_bytes().to_vec(),
    };
    // Nobody at the other end of a named pipe must not hold up the command.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    OpenOptions::new().append(true).create(true).custom_flags(flags).open(OsStr::from_bytes(&place))
}

/// Milliseconds, for events.
pub(crate) fn ms(time: Duration) -> Value {
    json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// `1 attempt in 20 ms`, `3 attempts in 7.1 s`.
pub(crate) fn attempts(made: u64, elapsed: Duration) -> String {
    let plural = if made == 1 { "" } else { "s" };
    format!("{made} attempt{plural} in {}", show(elapsed))
}
