//! `seawall::testing::laws`: it finds what is broken, and our own engine keeps them.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod broken_breakers;
mod broken_others;
mod ours;
mod toy;
