//! Rich or plain: what a function's error type can say.

use super::hooks::Of;
use crate::error::{CircuitBreakerOpenError, Error, Rejection};
use std::{error, fmt, io, marker::PhantomData, ops::Deref};

/// What a protected function returns.
#[diagnostic::on_unimplemented(
    message = "a protected function must return a `Result`, not `{Self}`",
    label = "there is no failure to act on in this",
    note = "return `Result<{Self}, E>`, with an `Err` where the call failed"
)]
pub trait Returns {
    /// What it gives when all is well.
    type Value;
    /// What it gives when not.
    type Error;
}

impl<T, E> Returns for Result<T, E> {
    type Value = T;
    type Error = E;
}

/// A value that is never made, of a type that is to be known.
#[expect(clippy::unreachable, reason = "stands behind `if false`")]
pub fn never<R>() -> R {
    unreachable!("stands behind `if false`")
}

/// Runs `body`, which may give away what it has borrowed: a closure called on the spot may not.
#[inline(always)]
pub fn once<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// The error type of a function.
///
/// The methods for `Kind<Error<E>>`, the rich kind, are inherent and so win over those of the trait
/// [`Plain`], which every kind has. No type information is needed for that, and generic functions
/// get it right as well.
///
/// `F` finds a breaker's rejection in the error. All of it is type: nothing is stored or passed on.
pub struct Kind<E, F>(PhantomData<fn() -> (E, F)>);

impl<E, F> Kind<E, F> {
    /// The kind of a function that returns `R`.
    pub const fn of<R: Returns<Error = E>>(_: F) -> Self
    where
        F: Finds<E>,
    {
        Self(PhantomData)
    }
}

impl<E, F> Clone for Kind<E, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, F> Copy for Kind<E, F> {}

impl<E, F> fmt::Debug for Kind<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kind")
    }
}

impl<E: 'static, F> Kind<Error<E>, F> {
    /// As the engine's outcome.
    #[inline(always)]
    pub fn lift<T>(&self, outcome: Result<T, Error<E>>) -> Result<T, Error<E>> {
        outcome
    }

    /// An error as the engine's.
    #[inline(always)]
    pub fn lift_error(&self, error: Error<E>) -> Error<E> {
        error
    }

    /// What a retry or a fallback made of it, as the function returns it.
    #[inline(always)]
    pub fn lower<T>(&self, outcome: Result<T, Error<E>>) -> Result<T, Error<E>> {
        outcome
    }

    /// The error that a breaker gives.
    #[inline(always)]
    pub fn lower_open(
        &self,
        error: Error<E>,
        _: fn(CircuitBreakerOpenError) -> Error<E>,
    ) -> Error<E> {
        error
    }

    /// The error that a timeout gives.
    #[inline(always)]
    pub fn lower_rejection(&self, error: Error<E>, _: fn(Rejection) -> Error<E>) -> Error<E> {
        error
    }

    /// How it says that a breaker is open.
    pub fn says_open(&self) -> fn(CircuitBreakerOpenError) -> Error<E> {
        |open| Error::Rejected(open.into())
    }

    /// How it says that a call was ended.
    pub fn says_rejected(&self) -> fn(Rejection) -> Error<E> {
        Error::Rejected
    }

    /// The error as the function would return it.
    pub fn seen<'e>(&self, error: &'e Error<E>) -> &'e Error<E> {
        error
    }

    /// What hooks see: the operation's error.
    pub fn errors(&self) -> Of<E> {
        Of::new()
    }

    /// A rejection is told by its own variant here.
    pub fn finder(&self) -> Nowhere {
        Nowhere
    }
}

/// The same methods for every other error type.
pub trait Plain<E: 'static> {
    /// What finds a breaker's rejection inside the error.
    type Finder: Finds<E>;

    /// As the engine's outcome.
    fn lift<T>(&self, outcome: Result<T, E>) -> Result<T, Error<E>>;
    /// An error as the engine's.
    fn lift_error(&self, error: E) -> Error<E>;
    /// What a retry or a fallback made of it, as the function returns it.
    fn lower<T>(&self, outcome: Result<T, Error<E>>) -> Result<T, E>;
    /// The error that a breaker gives.
    fn lower_open(&self, error: Error<E>, says: fn(CircuitBreakerOpenError) -> E) -> E;
    /// The error that a timeout gives.
    fn lower_rejection(&self, error: Error<E>, says: fn(Rejection) -> E) -> E;
    /// How it says that a breaker is open. Asked for by itself, so that the compiler's word on an
    /// error that cannot stands where the error is named.
    fn says_open(&self) -> fn(CircuitBreakerOpenError) -> E
    where
        E: FromOpen;
    /// How it says that a call was ended.
    fn says_rejected(&self) -> fn(Rejection) -> E
    where
        E: FromRejection;
    /// The error as the function would return it.
    fn seen<'e>(&self, error: &'e Error<E>) -> &'e E;
    /// What hooks see.
    fn errors(&self) -> Of<E>;
    /// What finds a breaker's rejection inside the error.
    fn finder(&self) -> Self::Finder;
}

impl<E: 'static, F: Finds<E>> Plain<E> for Kind<E, F> {
    type Finder = F;

    #[inline(always)]
    fn lift<T>(&self, outcome: Result<T, E>) -> Result<T, Error<E>> {
        match outcome {
            Ok(value) => Ok(value),
            Err(error) => Err(Error::Operation(error)),
        }
    }

    #[inline(always)]
    fn lift_error(&self, error: E) -> Error<E> {
        Error::Operation(error)
    }

    #[inline(always)]
    fn lower<T>(&self, outcome: Result<T, Error<E>>) -> Result<T, E> {
        match outcome {
            Ok(value) => Ok(value),
            Err(error) => Err(lowered(error)),
        }
    }

    fn lower_open(&self, error: Error<E>, says: fn(CircuitBreakerOpenError) -> E) -> E {
        match error {
            Error::Rejected(Rejection::CircuitBreakerOpen(open)) => says(open),
            error => lowered(error),
        }
    }

    fn lower_rejection(&self, error: Error<E>, says: fn(Rejection) -> E) -> E {
        match error {
            Error::Rejected(rejection) => says(rejection),
            error => lowered(error),
        }
    }

    fn says_open(&self) -> fn(CircuitBreakerOpenError) -> E
    where
        E: FromOpen,
    {
        E::from_open
    }

    fn says_rejected(&self) -> fn(Rejection) -> E
    where
        E: FromRejection,
    {
        E::from_rejection
    }

    fn seen<'e>(&self, error: &'e Error<E>) -> &'e E {
        error.operation().expect("a plain error is lifted as the operation's")
    }

    fn errors(&self) -> Of<E> {
        Of::new()
    }

    fn finder(&self) -> F {
        F::default()
    }
}

/// The operation's own error. There is one, unless a test injected a failure without a value.
#[cold]
#[expect(clippy::panic, reason = "in tests with a mock only: they need to hear what is missing")]
fn lowered<E>(error: Error<E>) -> E {
    error.into_operation().unwrap_or_else(|_| {
        let name = std::any::type_name::<E>();
        panic!(
            "the last failure that the mock injected has no value, and `{name}` cannot hold a \
             rejection: give it one by `mock.fail_with(|| ..)`, or return `Result<_, \
             seawall::Error<{name}>>`"
        )
    })
}

/// An error that can say that a breaker is open.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a circuit breaker is open",
    label = "`#[circuit_breaker]` needs `{Self}: From<seawall::CircuitBreakerOpenError>`",
    note = "return `Result<_, seawall::Error<{Self}>>`, or add a variant with `#[from] seawall::CircuitBreakerOpenError` to the error"
)]
pub trait FromOpen {
    /// The error for a call that was not let through.
    fn from_open(open: CircuitBreakerOpenError) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<CircuitBreakerOpenError>> FromOpen for E {
    fn from_open(open: CircuitBreakerOpenError) -> Self {
        open.into()
    }
}

/// An error that can hold any rejection.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a call has timed out",
    label = "`#[timeout]` needs `{Self}: From<seawall::Rejection>`",
    note = "return `Result<_, seawall::Error<{Self}>>`, or add a variant with `#[from] seawall::Rejection` to the error"
)]
pub trait FromRejection {
    /// The error for a call that a policy ended.
    fn from_rejection(rejection: Rejection) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Rejection>> FromRejection for E {
    fn from_rejection(rejection: Rejection) -> Self {
        rejection.into()
    }
}

/// Finds the breaker's rejection that an error was made from.
pub trait Finds<E>: Copy + Default {
    /// The rejection, where there is one.
    fn open_in(error: &E) -> Option<CircuitBreakerOpenError>;
}

/// Among the error and its sources.
#[derive(Debug, Clone, Copy, Default)]
pub struct InChain;

impl<E: error::Error + 'static> Finds<E> for InChain {
    fn open_in(error: &E) -> Option<CircuitBreakerOpenError> {
        open_in_chain(error)
    }
}

/// Behind a pointer to an error of any type.
#[derive(Debug, Clone, Copy, Default)]
pub struct BehindPointer;

impl<E: Deref<Target: AsDynError>> Finds<E> for BehindPointer {
    fn open_in(error: &E) -> Option<CircuitBreakerOpenError> {
        open_in_chain(error.as_dyn())
    }
}

/// There is nothing to be found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl<E> Finds<E> for Nowhere {
    fn open_in(_: &E) -> Option<CircuitBreakerOpenError> {
        None
    }
}

/// Where to look for a breaker's rejection in an error, by what its type allows:
/// `(&&&Find::of::<R>()).find()` takes the first of [`ViaError`], [`ViaDeref`] and [`ViaNone`] whose
/// bounds hold.
#[derive(Debug)]
pub struct Find<E>(PhantomData<fn() -> E>);

impl<E> Find<E> {
    /// For the error of a function that returns `R`.
    pub const fn of<R: Returns<Error = E>>() -> Self {
        Self(PhantomData)
    }
}

/// Errors with a chain of sources.
pub trait ViaError {
    /// Where to look.
    fn find(&self) -> InChain;
}

impl<E: error::Error + 'static> ViaError for &&Find<E> {
    fn find(&self) -> InChain {
        InChain
    }
}

/// Pointers to errors of any type: `Box<dyn Error>`, `anyhow::Error` and their like.
pub trait ViaDeref {
    /// Where to look.
    fn find(&self) -> BehindPointer;
}

impl<E: Deref<Target: AsDynError>> ViaDeref for &Find<E> {
    fn find(&self) -> BehindPointer {
        BehindPointer
    }
}

/// Anything else: nothing to be found.
pub trait ViaNone {
    /// Where to look.
    fn find(&self) -> Nowhere;
}

impl<E> ViaNone for Find<E> {
    fn find(&self) -> Nowhere {
        Nowhere
    }
}

/// A type behind which any error may stand.
pub trait AsDynError {
    /// The error.
    fn as_dyn(&self) -> &(dyn error::Error + 'static);
}

macro_rules! as_dyn_error {
    ($($error:ty),+) => {$(
        impl AsDynError for $error {
            fn as_dyn(&self) -> &(dyn error::Error + 'static) {
                self
            }
        }
    )+};
}

as_dyn_error!(
    dyn error::Error + 'static,
    dyn error::Error + Send + 'static,
    dyn error::Error + Send + Sync + 'static
);

fn open_in_chain(error: &(dyn error::Error + 'static)) -> Option<CircuitBreakerOpenError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(open) = error.downcast_ref::<CircuitBreakerOpenError>() {
            return Some(open.clone());
        }
        if let Some(Rejection::CircuitBreakerOpen(open)) = error.downcast_ref() {
            return Some(open.clone());
        }
        // Its `source` is that of the error it holds, and so passes over that one.
        let held = error.downcast_ref().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn error::Error + 'static)).or_else(|| error.source());
    }
    None
}
