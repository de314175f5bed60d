//! The laws of DESIGN.md, section 5, through the public API: a module for each.
#![cfg(all(feature = "testing", feature = "tokio"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod budgets;
mod clocks;
mod delays;
mod edges;
mod nesting;
mod no_herd;
mod no_lost_error;
mod no_stale_result;
mod no_stampede;
mod no_wedge;
mod nothing_lives_on;
mod one_event;
mod panics;
mod three_outcomes;
