//! Record what calls and attempts came to, to replay it under another policy.
//!
//! A [`TraceWriter`] gives two layers for a stack. [`attempts`](TraceWriter::attempts) goes innermost
//! and writes a row for each attempt at the operation. [`calls`](TraceWriter::calls) goes outermost and
//! says which attempts were of one call; leave it out where nothing retries. `seawall replay` (and the
//! crate `seawall-sim`) then says what another policy would have made of the same outcomes.
//!
//! These are layers and no observer, because nothing is told of on the good path: an
//! [observer](crate::Observe) never hears of a success.
//!
//! ```
//! use seawall::{Jitter, Pipeline, RetryPolicy, trace::TraceWriter};
//! use std::{cell::Cell, time::Duration};
//!
//! # let folder = std::env::temp_dir().join(format!("seawall-trace-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("calls.csv");
//! let trace = TraceWriter::new(std::fs::File::create(&path)?)?;
//! let retry = RetryPolicy::builder().base_delay(Duration::ZERO).build();
//! let stack = Pipeline::new((trace.calls(), retry, trace.attempts()));
//!
//! let tries = Cell::new(0);
//! let answer = stack.run_blocking(|| {
//!     tries.set(tries.get() + 1);
//!     if tries.get() < 2 { Err("down") } else { Ok(7) }
//! });
//! assert_eq!(answer, Ok(7));
//!
//! let written = trace.finish()?;
//! assert_eq!((written.rows, written.dropped), (2, 0));
//! let text = std::fs::read_to_string(&path)?;
//! let mut lines = text.lines();
//! assert_eq!(lines.next(), Some("at_ms,took_ms,outcome,call,key"));
//! assert!(lines.next().unwrap().ends_with(",transient,1,"));
//! assert!(lines.next().unwrap().ends_with(",success,1,"));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<_, std::io::Error>(())
//! ```
//!
//! # The format
//!
//! CSV with a header. A row is an attempt; [`Outcome::Rejected`] alone is a call that made none.
//!
//! | column | what |
//! |---|---|
//! | `at_ms` | when the attempt began, in ms since the writer was made |
//! | `took_ms` | how long it took until its outcome, in ms |
//! | `outcome` | an [`Outcome`] in a word |
//! | `call` | a number that the attempts of one call share; empty where [`calls`](TraceWriter::calls) is left out |
//! | `key` | what was called, as given to [`of`](TraceAttempts::of); empty where it was not |
//!
//! Rows come in the order in which attempts *ended*.
//!
//! # Behaviour
//! A call never waits for the writer and never fails by it: rows go through a queue of
//! [`TraceWriter::QUEUE`] places to a thread that writes them. What finds the queue full is dropped
//! and counted, and so is what comes after a failed write, after [`finish`](TraceWriter::finish), or
//! past [`TraceWriter::MOST_ROWS`] rows. An attempt that is dropped is told from a failed one: see
//! [`Outcome::TimedOut`] and [`Outcome::Cancelled`]. A panic passes on, and is recorded.
//! Each attempt reads the exact clock twice; an attempt that works costs about as much as that.
//!
//! # Events
//! None.

mod call;
mod row;
mod run;
mod write;

pub use row::Outcome;
pub use run::{TraceAttempts, TraceCalls};
pub use write::{TraceWriter, Written};
