//! Policy files: read and checked by the library, handed to Python layer by layer.

use crate::retry::{RetryBudget, RetryRules};
use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyTuple, PyType},
};
use seawall::{
    Describe, Layer, Name,
    breaker::CircuitBreakerBuilder,
    config::{ConfigError, Data, LayerKind, Place, Policies, PolicySpec, Problem},
    retry::SharedBudget,
};
use std::{ffi::OsString, path::PathBuf, sync::Arc};

/// A breaker's settings, checked and complete.
#[pyclass(frozen, module = "seawall._seawall")]
#[derive(Debug)]
pub(crate) struct BreakerSettings(pub(crate) CircuitBreakerBuilder);

/// What a policy file holds.
#[pyclass(frozen, module = "seawall._seawall")]
#[derive(Debug)]
pub(crate) struct LoadedPolicies(Policies);

#[pymethods]
impl LoadedPolicies {
    /// Reads the file and lays the variables over it. Raises `seawall.ConfigError` with all problems.
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        environment: Vec<(OsString, OsString)>,
        prefix: String,
    ) -> PyResult<Self> {
        let loader = Policies::loader().prefix(prefix).environment(environment);
        py.detach(|| loader.load(path)).map(Self).or_else(|error| Err(refused(py, &error)?))
    }

    /// The policies in the order of the file, each with its layers, outermost first.
    fn policies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut budgets = Budgets::default();
        let all = PyList::empty(py);
        for spec in self.0.iter() {
            let layers = PyList::empty(py);
            for kind in spec.order() {
                layers.append(layer(py, spec, kind, &mut budgets)?)?;
            }
            let policy = PyDict::new(py);
            policy.set_item("name", spec.name())?;
            policy.set_item("stack", spec.to_string())?;
            policy.set_item("place", place(py, spec.place())?)?;
            policy.set_item("layers", layers)?;
            all.append(policy)?;
        }
        Ok(all)
    }

    /// The same with the breakers and budgets of `old` where these are set alike.
    fn keeping(&self, old: &Self) -> Self {
        Self(self.0.clone().keeping(&old.0))
    }

    /// The name that is nearest to one that is not there.
    fn nearest(&self, name: &str) -> Option<&str> {
        self.0.nearest(name)
    }
}

/// Python's objects for the budgets met so far: one for each, whoever names it.
#[derive(Default)]
struct Budgets(Vec<(*const seawall::RetryBudget, Py<RetryBudget>)>);

impl Budgets {
    fn get(&mut self, py: Python<'_>, budget: &SharedBudget) -> PyResult<Option<Py<RetryBudget>>> {
        // What a file makes is never a `static`.
        let SharedBudget::Counted(budget) = budget else { return Ok(None) };
        let found = self.0.iter().find(|(known, _)| *known == Arc::as_ptr(budget));
        if let Some((_, found)) = found {
            return Ok(Some(found.clone_ref(py)));
        }
        let made = Py::new(py, RetryBudget(Arc::clone(budget)))?;
        self.0.push((Arc::as_ptr(budget), made.clone_ref(py)));
        Ok(Some(made))
    }
}

fn layer<'py>(
    py: Python<'py>,
    spec: &PolicySpec,
    kind: LayerKind,
    budgets: &mut Budgets,
) -> PyResult<Bound<'py, PyDict>> {
    let layer = PyDict::new(py);
    layer.set_item("kind", kind.as_str())?;
    layer.set_item("place", place(py, spec.place_of(kind.as_str()).unwrap_or(spec.place()))?)?;
    match kind {
        LayerKind::Fallback => {
            if let Some(fallback) = spec.fallback() {
                layer.set_item("command", fallback.command())?;
                if let Some(value) = fallback.value() {
                    layer.set_item("value", data(py, value)?)?;
                }
            }
        }
        LayerKind::CircuitBreaker => {
            let settings = spec.circuit_breaker_builder().map(BreakerSettings);
            layer.set_item("settings", settings)?;
            let breaker = spec.circuit_breaker();
            layer.set_item("name", breaker.and_then(|b| b.name()).map(Name::as_str))?;
            // Which one it is: whoever reads the file again may have it already.
            layer.set_item("id", breaker.map(|breaker| Arc::as_ptr(breaker).addr()))?;
        }
        LayerKind::Retry => {
            layer.set_item("rules", spec.retry().map(|policy| RetryRules { policy }))?;
            layer.set_item("name", spec.retry_executor().and_then(name))?;
            let budget = spec.retry_budget().map(|budget| budgets.get(py, budget)).transpose()?;
            layer.set_item("budget", budget.flatten())?;
            // Left out, it is what Python keeps by default, which is more than Rust does.
            layer.set_item("keeps_errors", spec.place_of("retry.keep_errors").is_some())?;
        }
        LayerKind::Timeout | LayerKind::TotalTimeout => {
            let limit =
                if kind == LayerKind::Timeout { spec.timeout() } else { spec.total_timeout() };
            layer.set_item("limit", limit.map(|timeout| timeout.limit().as_secs_f64()))?;
        }
        // A layer to come: Python refuses what it does not know.
        _ => {}
    }
    Ok(layer)
}

fn name(policy: &impl Describe) -> Option<String> {
    let mut layers = Vec::new();
    policy.describe(&mut layers);
    layers.first().and_then(Layer::name).map(ToString::to_string)
}

/// A value of a file, as Python writes it.
fn data<'py>(py: Python<'py>, value: &Data) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Data::Flag(flag) => flag.into_bound_py_any(py),
        Data::Integer(whole) => whole.into_bound_py_any(py),
        Data::Number(number) => number.into_bound_py_any(py),
        Data::Text(text) => text.into_bound_py_any(py),
        Data::List(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(data(py, value)?)?;
            }
            list.into_bound_py_any(py)
        }
        Data::Table(members) => {
            let table = PyDict::new(py);
            for (key, value) in members {
                table.set_item(key, data(py, value)?)?;
            }
            table.into_bound_py_any(py)
        }
        _ => Ok(py.None().into_bound(py)),
    }
}

/// A place as `(text, file, line, column, variable, preset)`.
fn place<'py>(py: Python<'py>, place: &Place) -> PyResult<Bound<'py, PyTuple>> {
    let at = (place.file(), place.line(), place.column());
    (place.to_string(), at.0, at.1, at.2, place.variable(), place.preset()).into_pyobject(py)
}

fn refused(py: Python<'_>, error: &ConfigError) -> PyResult<PyErr> {
    static ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static PROBLEM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let problem = PROBLEM.import(py, "seawall._policies", "ConfigProblem")?;
    let problems: Vec<_> = error
        .problems()
        .iter()
        .map(|told| problem.call((), Some(&fields(py, told)?)))
        .collect::<PyResult<_>>()?;
    let made = ERROR
        .import(py, "seawall.exceptions", "ConfigError")?
        .call1((error.to_string(), PyTuple::new(py, problems)?))?;
    Ok(PyErr::from_value(made))
}

fn fields<'py>(py: Python<'py>, problem: &Problem) -> PyResult<Bound<'py, PyDict>> {
    let place = problem.place();
    let all = PyDict::new(py);
    all.set_item("text", problem.to_string())?;
    all.set_item("kind", problem.kind().as_str())?;
    all.set_item("message", problem.message())?;
    all.set_item("field", problem.field_path())?;
    all.set_item("value", problem.written())?;
    all.set_item("suggestion", problem.suggestion())?;
    all.set_item("notes", PyTuple::new(py, problem.notes())?)?;
    all.set_item("file", place.file())?;
    all.set_item("line", place.line())?;
    all.set_item("column", place.column())?;
    all.set_item("variable", place.variable())?;
    all.set_item("preset", place.preset())?;
    Ok(all)
}
