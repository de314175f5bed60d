//! What makes errors and results, in the types that the operation has.

/// Makes errors.
#[derive(Clone, Copy)]
pub struct Fails<F> {
    /// Its place in the plan.
    pub(super) at: usize,
    pub(super) make: F,
}

/// Makes results wrong.
#[derive(Clone, Copy)]
pub struct Falsifies<F> {
    /// Its place in the plan.
    pub(super) at: usize,
    pub(super) falsify: F,
}

/// Makers, and one more.
#[derive(Clone, Copy)]
pub struct Then<M, X>(pub(super) M, pub(super) X);

/// Makers, and a fault that hangs.
#[derive(Clone, Copy)]
pub struct Hangs<M>(pub(super) M);

macro_rules! opaque_debug {
    ($($name:ident<$($param:ident),+>)+) => {$(
        impl<$($param),+> std::fmt::Debug for $name<$($param),+> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

opaque_debug!(Fails<F> Falsifies<F> Then<M, X> Hangs<M>);

/// All that a chaos makes, for operations that give `Result<T, E>`.
#[diagnostic::on_unimplemented(
    message = "this chaos has no faults for operations that return `Result<{T}, {E}>`",
    note = "`error` takes a function that gives a `{E}`, `wrong_result` one from `{T}` to `{T}`"
)]
pub trait Makers<T, E> {
    /// The error of the fault at this place in the plan.
    fn error(&self, at: usize) -> Option<E>;

    /// What the fault at this place in the plan makes of `value`.
    fn falsify(&self, at: usize, value: T) -> T;
}

impl<T, E> Makers<T, E> for () {
    fn error(&self, _: usize) -> Option<E> {
        None
    }

    fn falsify(&self, _: usize, value: T) -> T {
        value
    }
}

impl<T, E, M, F> Makers<T, E> for Then<M, Fails<F>>
where
    M: Makers<T, E>,
    F: Fn() -> E,
{
    fn error(&self, at: usize) -> Option<E> {
        if self.1.at == at { Some((self.1.make)()) } else { self.0.error(at) }
    }

    fn falsify(&self, at: usize, value: T) -> T {
        self.0.falsify(at, value)
    }
}

impl<T, E, M, F> Makers<T, E> for Then<M, Falsifies<F>>
where
    M: Makers<T, E>,
    F: Fn(T) -> T,
{
    fn error(&self, at: usize) -> Option<E> {
        self.0.error(at)
    }

    fn falsify(&self, at: usize, value: T) -> T {
        if self.1.at == at { (self.1.falsify)(value) } else { self.0.falsify(at, value) }
    }
}

impl<T, E, M: Makers<T, E>> Makers<T, E> for Hangs<M> {
    fn error(&self, at: usize) -> Option<E> {
        self.0.error(at)
    }

    fn falsify(&self, at: usize, value: T) -> T {
        self.0.falsify(at, value)
    }
}

/// Faults after which a call goes on or ends: all but a hang.
#[diagnostic::on_unimplemented(
    message = "a chaos that hangs cannot be used in blocking code",
    label = "`{Self}` hangs",
    note = "nothing could end the call: use `run`, or leave out `hang`; `latency` makes blocking code wait"
)]
pub trait Returns {}

impl Returns for () {}
impl<M: Returns, X> Returns for Then<M, X> {}
