//! The `seawall` command: the policies of the library around anything that can be started.
//!
//! Rooms: `args` says what can be asked for, `words` reads values, `run` makes a call (its decisions
//! are the library's), `state` keeps breakers and budgets for all invocations, `tell` says what
//! happened, `breakers` shows and moves them; `check` and `explain` read policy files, `simulate` tries
//! policies out, `replay` does so on recorded traces, and `papers` writes what others read: starting
//! file, schema, completions, man pages.

mod args;
mod breakers;
mod check;
mod explain;
mod papers;
mod replay;
mod run;
mod simulate;
mod state;
mod tell;
mod words;

use std::process::ExitCode;

/// Exit statuses of our own, as `timeout` and the shells have them.
mod exit {
    /// A time-out ended the command.
    pub(crate) const TIMED_OUT: u8 = 124;
    /// Seawall itself failed, or was asked for something that makes no sense.
    pub(crate) const OURS: u8 = 125;
    /// The command was found and could not be started.
    pub(crate) const CANNOT_START: u8 = 126;
    /// The command was not found.
    pub(crate) const NOT_FOUND: u8 = 127;
    /// What the simulator was asked for makes no sense.
    pub(crate) const USAGE: u8 = 2;
    /// An open breaker let no call through: EX_TEMPFAIL, "try again later".
    pub(crate) const REJECTED: u8 = 75;
}

fn main() -> ExitCode {
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(problem) => return args::refused(&problem),
    };
    let done = match matches.subcommand() {
        Some(("run", given)) => run::Call::from_args(given).and_then(run::Call::make),
        Some(("breakers", given)) => breakers::run(given),
        Some(("check", given)) => check::run(given),
        Some(("explain", given)) => explain::run(given),
        Some(("simulate", given)) => simulate::run(given),
        Some(("replay", given)) => replay::run(given),
        Some(("init", given)) => papers::init(given),
        Some(("schema", _)) => papers::schema(),
        Some(("completions", given)) => papers::completions(given),
        Some(("man", given)) => papers::man(given),
        _ => Err(words::Refusal::new("no subcommand: see `seawall --help`")),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(refusal) => {
            tell::problem(&refusal.to_string());
            ExitCode::from(exit::OURS)
        }
    }
}
