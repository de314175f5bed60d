//! The hooks among a macro's options, each around those inside it.

use super::kind::Returns;
use crate::{
    retry::Retrying,
    verdict::{Expect, Ignore, RetryAfter, When, WhenResult},
};
use std::{marker::PhantomData, time::Duration};

/// `when = ..`
pub const fn when<P, C>(hook: P, inside: C) -> When<P, C> {
    When(hook, inside)
}

/// `retry_after = ..`
pub const fn retry_after<P, C>(hook: P, inside: C) -> RetryAfter<P, C> {
    RetryAfter(hook, inside)
}

/// `when_result = ..`
pub const fn when_result<P, C>(hook: P, inside: C) -> WhenResult<P, C> {
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

/// Hooks on `V`, whose type is told to closures so.
///
/// The types of all that follows say nothing of the hook behind the pointer: a wrong one is one
/// mistake, at its own place. Most are called for failures only.
#[derive(Debug)]
pub struct Of<V>(PhantomData<fn(V)>);

/// On the values of a function that returns `R`.
pub const fn values<R: Returns>() -> Of<R::Value> {
    Of::new()
}

macro_rules! roles {
    ($($role:ident: Fn($of:ty) $(-> $gives:ty)?;)+) => {
        impl<V> Of<V> {
            pub(super) const fn new() -> Self {
                Self(PhantomData)
            }

            $(
                /// The hook, whatever it is.
                pub fn $role<'h>(
                    &self,
                    hook: &'h (dyn Fn($of) $(-> $gives)? + Send + Sync + 'h),
                ) -> &'h (dyn Fn($of) $(-> $gives)? + Send + Sync + 'h) {
                    hook
                }
            )+
        }
    };
}

roles! {
    predicate: Fn(&V) -> bool;
    wait: Fn(&V) -> Option<Duration>;
    listener: Fn(Retrying<'_, V>);
}
