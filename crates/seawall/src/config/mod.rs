//! Policy files: policies and pipelines by name, in TOML, YAML or JSON (feature `config`).
//!
//! For settings that whoever runs a program must be able to change. The same file serves programs and the
//! command `seawall`. The guide [`policy_files`](crate::guide::policy_files) has the format;
//! [`json_schema`] has it for editors.
//!
//! ```
//! use seawall::config::{Format, Policies};
//!
//! let policies = Policies::from_str(
//!     r#"
//!     [payments]
//!     extends = "aws"
//!     timeout = "2s"
//!
//!     [payments.retry]
//!     max_attempts = 5
//!     "#,
//!     Format::Toml,
//! )?;
//! let payments = policies.get("payments").expect("it is above");
//! assert_eq!(payments.to_string(), "retry \"payments\"(5) > timeout(2s)");
//!
//! let pipeline = payments.pipeline::<u32, std::io::Error>()?;
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! assert_eq!(pipeline.run(async || Ok(7)).await.unwrap(), 7);
//! # });
//! # Ok::<_, seawall::config::ConfigError>(())
//! ```
//!
//! # When not to use it
//! For settings that no one changes without changing the code: constants are checked when the program
//! is compiled, and cost nothing to read.
//!
//! # Behaviour
//! What a file may hold stands in one table (`fields.rs`), and ranges are the builders' own. Every
//! value keeps its place, so that each message names file, line, column, field and value. One run tells
//! of all problems that it can find. The environment is laid over the file before anything is checked.
//! A file of any content is read in bounded time and memory, and nothing of it is run.
//!
//! [`PolicyFile`] reads a file again when it changes, and has pipelines follow.

mod check;
mod data;
#[cfg(feature = "foreign")]
#[doc(hidden)]
pub mod door;
mod environment;
mod explain;
mod fields;
mod file;
mod inherit;
mod policies;
mod problem;
mod read;
mod rules;
mod schema;
mod settings;
#[cfg(test)]
mod shipped;
mod spec;
mod stack;
mod syntax;
mod tree;

pub use check::ConfigFinding;
pub use data::Data;
pub use explain::{Explanation, PlannedDelay};
pub use fields::LayerKind;
pub use file::{Followed, FollowedBlockingPipeline, FollowedPipeline, PolicyFile, Reload};
pub use policies::{Loader, Policies};
pub use problem::{ConfigError, Place, Problem, ProblemKind};
pub use rules::{Level, Rule, rules};
pub use schema::json_schema;
pub use spec::{Fallback, PolicySpec};
pub use stack::{FromFile, GiveAnswer, GiveAnswerBlocking, NoAnswer, StackBuilder};
pub use syntax::Format;

/// A commented file to start from, which `seawall init` writes. It is in order: nothing is found in it.
pub const STARTING_FILE: &str = include_str!("starting.toml");
