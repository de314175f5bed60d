//! `#[timeout]`: one call under a limit.

use crate::{attempt::Attempt, error::Error, timeout::run::Limited};
use std::time::Duration;

/// Drops `operation` after `limit`.
pub fn limited<T, E, Fut>(
    limit: Duration,
    operation: Fut,
) -> impl Future<Output = Result<T, Error<E>>> + use<T, E, Fut>
where
    Fut: Future<Output = Result<T, Error<E>>>,
{
    Limited::new(limit, Attempt::started(operation))
}
