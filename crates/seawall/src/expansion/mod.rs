//! What the attribute macros expand to. Not part of the API: it changes with the macros.
//!
//! A function's signature says what its caller gets. Errors of the type [`Error<E>`] are *rich*:
//! they take what a policy has to say. All others are *plain*: a retry hands back the last one, and
//! a breaker makes one from its rejection. [`Kind`] tells them apart and lifts both to what the
//! engine works on, and back.
//!
//! [`Error<E>`]: crate::Error

mod breaker;
mod fallback;
mod hooks;
mod kind;
mod lifted;
mod retry;
#[cfg(feature = "tokio")]
mod timeout;

pub use crate::{
    AnyError, BackoffStrategy, CircuitBreaker, CircuitBreakers, Jitter, RetryPolicy,
    retry::{
        NoListener,
        executor::{Extras, NOTHING_ATTACHED},
        run::{Source, Waiting},
        settings::Settings,
    },
};
pub use breaker::{Breaker, InlineBreaker};
pub use fallback::{Entry, EntryBlocking, Failed, Later, Now, cover, cover_blocking, see};
pub use hooks::{Of, expected_exception, ignore, retry_after, values, when, when_result};
pub use kind::{
    AsDynError, Find, FromOpen, FromRejection, Kind, Plain, Returns, ViaDeref, ViaError, ViaNone,
    never, once,
};
pub use lifted::{Lifted, lifted};
pub use retry::{InlineRetry, Pause, Retry, RetryCall, named};
#[cfg(feature = "macros")]
pub use seawall_macros::{
    __seawall_circuit_breaker, __seawall_fallback, __seawall_retry, __seawall_timeout,
};
pub use std::{
    clone::Clone,
    ops::ControlFlow::{Break, Continue},
    time::Duration,
};
#[cfg(feature = "tokio")]
pub use timeout::limited;
