//! The extension module `seawall._seawall`: the decisions of Seawall for Python.
//!
//! Nothing in here holds a Python object, so there is nothing for the garbage collector to see, and
//! nothing waits: that is done on Python's own loop or thread.

mod breaker;
mod core;
mod policies;
mod retry;
mod values;

use pyo3::{
    intern,
    prelude::*,
    types::iterator::{PyIterator, PySendResult},
};

/// Has jitter be drawn anew: a forked process must not draw what its parent draws.
#[pyfunction]
fn reseed(seed: u64) {
    seawall::foreign::reseed(seed);
}

/// A length of time in seconds, or an error that names the argument.
#[pyfunction]
fn seconds(field: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    Ok(values::seconds(field, value)?.as_secs_f64())
}

/// Runs a coroutine up to where it first waits: what it returned, or `waits(what it waits for)`. Here and
/// not in Python, where each end of a coroutine that is sent to is an exception to be caught.
#[pyfunction]
fn begin<'py>(
    coroutine: &Bound<'py, PyAny>,
    waits: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coroutine.py();
    let steps = coroutine.call_method0(intern!(py, "__await__"))?.cast_into::<PyIterator>()?;
    match steps.send(&py.None().into_bound(py))? {
        PySendResult::Return(value) => Ok(value),
        PySendResult::Next(waits_for) => waits.call1((waits_for,)),
    }
}

/// The native half of the package `seawall`, which is nobody's API by itself.
#[pymodule(gil_used = true)]
mod _seawall {
    #[pymodule_export]
    use super::{
        begin,
        breaker::Breaker,
        core::{Core, Tally, hear, switch},
        policies::{BreakerSettings, LoadedPolicies},
        reseed,
        retry::{Attempts, RetryBudget, RetryRules},
        seconds,
    };
}
