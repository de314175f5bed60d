//! The real binary, from the outside. What waits is told by pipes; nothing depends on how busy the
//! machine is, but for a limit after which a test that hangs has failed.
#![allow(clippy::panic, reason = "tests")]

mod bench;
mod breaker;
mod exits;
mod output;
mod policy;
mod replay;
mod signals;
mod simulate;
mod stdin;
mod telling;
mod terminal;
