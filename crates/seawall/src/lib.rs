#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Nouns that every policy shares: read these first.
mod attempt;
mod describe;
mod erased;
mod error;
pub mod event;
#[cfg(feature = "foreign")]
#[doc(hidden)]
pub mod foreign;
mod lint;
mod pipeline;
mod policy;
mod random;
mod scope;
mod setting;
mod slots;
mod sync;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod verdict;

#[doc(hidden)]
#[path = "expansion/mod.rs"]
pub mod __expansion;

#[cfg(feature = "macros")]
mod macros;

// A room per policy.
pub mod breaker;
pub mod fallback;
pub mod retry;
#[cfg(feature = "tokio")]
pub mod timeout;

pub mod trace;

#[cfg(feature = "config")]
pub mod config;

#[cfg(all(feature = "macros", feature = "testing", feature = "tokio", feature = "tracing"))]
pub mod guide;

pub use breaker::{CircuitBreaker, CircuitBreakers, CircuitState, Permit};
pub use describe::{Describe, Layer};
pub use erased::{BoxFuture, DynBlockingPolicy, DynPolicy};
pub use error::{
    CircuitBreakerOpenError, Error, ExhaustedReason, FallbackExhaustedError, Rejection,
    RetryExhaustedError,
};
pub use event::{Event, Observe};
pub use fallback::FallbackChain;
pub use lint::Finding;
#[cfg(feature = "macros")]
pub use macros::*;
pub use pipeline::{Append, Pipeline, PipelineBuilder};
pub use policy::{BlockingPolicy, Policy};
pub use random::Random;
pub use retry::{
    Attempts, BackoffStrategy, Jitter, RetryBudget, RetryExecutor, RetryPolicy, Retrying,
};
pub use setting::{InvalidSetting, Name, SettingValue};
pub use time::Tick;
#[cfg(feature = "tokio")]
pub use timeout::Timeout;
pub use verdict::{AnyError, Classify, Expect, Ignore, RetryAfter, Verdict, When, WhenResult};
