//! The attribute macros.
#![cfg(all(feature = "macros", feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod errors;
mod hygiene;
