//! DRIVE: polls the operation, then the timer.

use super::Timeout;
use crate::{
    error::{Error, Rejection},
    event::{self, Event},
    policy::Policy,
    time,
};

impl<T: Send, E: Send + 'static> Policy<T, E> for Timeout {
    fn call<F, Fut>(&self, op: F) -> impl Future<Output = Result<T, Error<E>>> + Send
    where
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, Error<E>>> + Send,
    {
        let limit = self.limit;
        async move {
            match time::within(limit, op()).await {
                Some(outcome) => outcome,
                None => {
                    event::tell(&Event::TimedOut { limit }, &[]);
                    Err(Error::Rejected(Rejection::TimedOut { limit }))
                }
            }
        }
    }
}
