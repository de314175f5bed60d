//! Timeout: drop an operation that takes too long.
//!
//! Its place in the stack says what it limits: outside a retry the call in total, inside it each
//! attempt.
//!
//! # When not to use it
//! For blocking code, which cannot be dropped: such a stack does not compile. And a timeout does not
//! undo what the callee has begun: what is dropped here may still be done there.
//!
//! ```
//! use seawall::{Error, Rejection, Timeout};
//! use std::{future::pending, time::Duration};
//!
//! const LIMIT: Timeout = Timeout::new(Duration::from_secs(2));
//!
//! async fn never() -> Result<(), String> {
//!     pending().await
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let outcome = LIMIT.run(never).await;
//! assert_eq!(outcome, Err(Error::Rejected(Rejection::TimedOut { limit: Duration::from_secs(2) })));
//! # }
//! ```
//!
//! # Behaviour
//! The operation is polled first; the timer is armed only when it is pending, so what is ready at
//! once costs no clock reading. When the limit is reached the operation is dropped before the call
//! returns: nothing of it lives on. A limit of zero allows one poll; `Duration::MAX` is as good as never.
//! Cancelling the call drops operation and timer. A panic passes on. The timer is tokio's, which panics
//! outside a tokio runtime.
//!
//! # Events
//! [`TimedOut`](crate::Event::TimedOut).

pub(crate) mod run;

use crate::{
    describe::{Describe, Facts, Layer},
    policy::inherent_ways_to_run,
    setting::SettingValue,
};
use std::time::Duration;

/// Drops an operation that takes longer than its limit. See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeout {
    limit: Duration,
}

impl Timeout {
    /// A timeout after `limit`.
    pub const fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// The limit.
    pub const fn limit(&self) -> Duration {
        self.limit
    }
}

impl Describe for Timeout {
    fn describe(&self, layers: &mut Vec<Layer>) {
        let facts = Facts::Timeout { limit: self.limit };
        layers.push(Layer::new("timeout", facts).gist("limit", SettingValue::Duration(self.limit)));
    }
}

inherent_ways_to_run!([] run call, impl [] Timeout);
