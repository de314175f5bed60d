//! The attribute macros.
#![cfg(all(feature = "macros", feature = "testing", feature = "tokio"))]
#![deny(warnings)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "short texts have short lengths")]

#[path = "../common/mod.rs"]
mod common;

use common::{Calls, Down, Outcome};
use seawall::Error;

type Rich<T> = Result<T, Error<Down>>;

mod attributes;
mod bodies;
mod breakers;
mod calls;
mod entries;
mod errors;
mod forms;
mod futures;
mod generic;
mod hygiene;
mod instrument;
mod options;
mod order;
mod send;
