//! What a decorated function asks on each call: whether anything is other than on the good path.

use crate::{
    breaker::{Breaker, coarse_clock},
    retry::RetryBudget,
};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyType},
};
use seawall::{
    Name,
    foreign::{self, Leave},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// Mocks that live and switches that are on, in the whole process. Written with the interpreter's lock
/// held, like all that is read by it.
static SWITCHES: AtomicUsize = AtomicUsize::new(0);

/// Whether anyone listens to events who would hear of a rejection.
static HEARD: AtomicBool = AtomicBool::new(false);

/// One for each stack of decorators. True if the call has to take the slow way: a mock is switched on
/// anywhere, a budget would earn by a success, the stack has a part in each call, or this is its first.
#[pyclass(frozen, module = "seawall._seawall")]
pub(crate) struct Core {
    always: bool,
    /// `always`, or no call has shown yet what the function gives.
    slow: AtomicBool,
    budgets: Vec<Arc<seawall::RetryBudget>>,
    /// Where a rejection by it is the end of the call.
    outermost: Option<Arc<seawall::CircuitBreaker>>,
    tally: Arc<Counts>,
}

#[pymethods]
impl Core {
    #[new]
    fn new(
        always: bool,
        first: bool,
        budgets: Vec<PyRef<'_, RetryBudget>>,
        outermost: Option<PyRef<'_, Breaker>>,
        tally: PyRef<'_, Tally>,
    ) -> Self {
        Self {
            always,
            slow: AtomicBool::new(always || first),
            budgets: budgets.iter().map(|budget| Arc::clone(&budget.0)).collect(),
            outermost: outermost.map(|breaker| Arc::clone(&breaker.breaker)),
            tally: Arc::clone(&tally.0),
        }
    }

    #[inline]
    fn __bool__(&self) -> bool {
        self.slow.load(Relaxed)
            || SWITCHES.load(Relaxed) > 0
            || self.budgets.iter().any(|budget| !foreign::is_full(budget))
    }

    /// Has the next call take the slow way as the first one, or takes that back.
    fn first(&self, first: bool) {
        self.slow.store(self.always || first, Relaxed);
    }

    /// Raises if the call is plainly rejected and nobody has to hear of it; else does nothing.
    fn reject(&self, py: Python<'_>) -> PyResult<()> {
        static ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let Some(breaker) = &self.outermost else { return Ok(()) };
        if SWITCHES.load(Relaxed) > 0 || HEARD.load(Relaxed) {
            return Ok(());
        }
        let (now, ahead) = coarse_clock();
        let Some(Leave::Rejected(after)) = foreign::at(now, || foreign::reject(breaker)) else {
            return Ok(());
        };
        self.tally.add(REJECTED);
        let error = ERROR.import(py, "seawall.exceptions", "CircuitBreakerOpenError")?;
        let name = breaker.name().map(Name::as_str);
        // Rounded up, so that whoever comes back then comes late enough.
        let after = after.map(|time| (time + Duration::from_millis(ahead)).as_secs_f64());
        Err(PyErr::from_value(error.call1((name, after))?))
    }
}

/// Whether there is anyone who would hear of a rejection.
#[pyfunction]
pub(crate) fn hear(heard: bool) {
    HEARD.store(heard, Relaxed);
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
pub(crate) struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts([AtomicU64; KINDS.len()]);

const KINDS: [&str; 7] =
    ["failures", "retries", "recovered", "exhausted", "rejected", "timed_out", "fallbacks"];
const REJECTED: usize = 4;

impl Counts {
    fn add(&self, kind: usize) {
        self.0[kind].fetch_add(1, Relaxed);
    }
}

#[pymethods]
impl Tally {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Counts one more of a kind.
    fn add(&self, kind: &str) {
        if let Some(kind) = KINDS.iter().position(|name| *name == kind) {
            self.0.add(kind);
        }
    }

    /// All counts by kind.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for (name, count) in KINDS.iter().zip(&self.0.0) {
            all.set_item(name, count.load(Relaxed))?;
        }
        Ok(all)
    }
}
