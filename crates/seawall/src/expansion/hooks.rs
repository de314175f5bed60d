//! The hooks among a macro's options, each around those inside it.

use super::kind::Returns;
use crate::verdict::{Expect, Ignore, RetryAfter, When, WhenResult};

/// `when = ..`
pub const fn when<P, C>(hook: P, inside: C) -> When<P, C> {
    When(hook, inside)
}

/// `retry_after = ..`
pub const fn retry_after<P, C>(hook: P, inside: C) -> RetryAfter<P, C> {
    RetryAfter(hook, inside)
}

/// `when_result = ..`: closures learn the value's type from the function's return type.
pub const fn on_value<R, P, C>(hook: P, inside: C) -> WhenResult<P, C>
where
    R: Returns,
    P: Fn(&R::Value) -> bool,
{
    WhenResult(hook, inside)
}

/// `expected_exception = ..`
pub const fn expected_exception<P, C>(hook: P, inside: C) -> Expect<P, C> {
    Expect(hook, inside)
}

/// `ignore = ..`
pub const fn ignore<P, C>(hook: P, inside: C) -> Ignore<P, C> {
    Ignore(hook, inside)
}
