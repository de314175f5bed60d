//! The real binary, from the outside. What waits is told by pipes; nothing depends on how busy the
//! machine is, but for a limit after which a test that hangs has failed.

mod bench;
mod breaker;
mod exits;
mod output;
mod policy;
mod signals;
mod stdin;
mod telling;
mod terminal;
