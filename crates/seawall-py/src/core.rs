//! What a decorated function asks on each call: whether anything is other than on the good path.

use crate::retry::RetryBudget;
use pyo3::{prelude::*, types::PyDict};
use seawall::foreign;
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// Mocks that live and switches that are on, in the whole process. Written with the interpreter's lock
/// held, like all that is read by it.
static SWITCHES: AtomicUsize = AtomicUsize::new(0);

/// One for each stack of decorators. True if the call has to take the slow way: a mock is switched on
/// anywhere, a budget would earn by a success, or the stack has a part in each call.
#[pyclass(frozen, module = "seawall._seawall")]
pub(crate) struct Core {
    always: bool,
    budgets: Vec<Arc<seawall::RetryBudget>>,
}

#[pymethods]
impl Core {
    #[new]
    fn new(always: bool, budgets: Vec<PyRef<'_, RetryBudget>>) -> Self {
        Self { always, budgets: budgets.iter().map(|budget| Arc::clone(&budget.0)).collect() }
    }

    #[inline]
    fn __bool__(&self) -> bool {
        self.always
            || SWITCHES.load(Relaxed) > 0
            || self.budgets.iter().any(|budget| !foreign::is_full(budget))
    }
}

/// Turns the slow way on for every stack (1), or takes that back (-1).
#[pyfunction]
pub(crate) fn switch(by: isize) {
    // A count that went below zero would turn every function slow for good.
    let _ = SWITCHES.fetch_update(Relaxed, Relaxed, |on| on.checked_add_signed(by));
}

/// What happened to the calls of a stack. Calls that succeed at once are not among it.
#[pyclass(frozen, module = "seawall._seawall")]
#[derive(Default)]
pub(crate) struct Tally([AtomicU64; KINDS.len()]);

const KINDS: [&str; 7] =
    ["failures", "retries", "recovered", "exhausted", "rejected", "timed_out", "fallbacks"];

#[pymethods]
impl Tally {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Counts one more of a kind.
    fn add(&self, kind: &str) {
        if let Some(at) = KINDS.iter().position(|name| *name == kind) {
            self.0[at].fetch_add(1, Relaxed);
        }
    }

    /// All counts by kind.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, count) in KINDS.iter().zip(&self.0) {
            all.set_item(name, count.load(Relaxed))?;
        }
        Ok(all)
    }
}
