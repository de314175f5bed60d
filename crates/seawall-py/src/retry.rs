//! Retry: rules, the attempts of one call, budgets.

use crate::values::{age, given, number, python_name, refused, seconds, whole, wrong_type};
use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    types::{PyBool, PyDict, PyString},
};
use seawall::{
    BackoffStrategy, Describe, ExhaustedReason, Jitter, Random, SettingValue, Verdict,
    foreign::{self, Decisions},
    retry::Next,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The settings of a retry that the decisions need, checked and complete.
#[pyclass(frozen, module = "seawall._seawall")]
#[derive(Debug)]
pub(crate) struct RetryRules {
    pub(crate) policy: seawall::RetryPolicy,
}

fn strategy(value: &Bound<'_, PyAny>) -> PyResult<BackoffStrategy> {
    let Ok(word) = value.cast::<PyString>() else {
        return Err(wrong_type("backoff_strategy", "a BackoffStrategy or its word", value));
    };
    // The `str` of a string enum is its member's name on some versions; its text is the word.
    word.to_string_lossy().parse().map_err(|invalid| refused(&invalid))
}

#[pymethods]
impl RetryRules {
    #[new]
    #[pyo3(signature = (*, max_attempts, backoff_strategy, base_delay, max_delay, multiplier, jitter, total_timeout, max_retry_after))]
    #[expect(clippy::too_many_arguments, reason = "one for each setting")]
    fn new(
        max_attempts: &Bound<'_, PyAny>,
        backoff_strategy: &Bound<'_, PyAny>,
        base_delay: Option<&Bound<'_, PyAny>>,
        max_delay: Option<&Bound<'_, PyAny>>,
        multiplier: Option<&Bound<'_, PyAny>>,
        jitter: &Bound<'_, PyAny>,
        total_timeout: Option<&Bound<'_, PyAny>>,
        max_retry_after: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = seawall::RetryPolicy::builder()
            .max_attempts(whole("max_attempts", max_attempts)?)
            .backoff_strategy(strategy(backoff_strategy)?);
        if let Some(value) = given(base_delay) {
            builder = builder.base_delay(seconds("base_delay", value)?);
        }
        if let Some(value) = given(max_delay) {
            builder = builder.max_delay(seconds("max_delay", value)?);
        }
        if let Some(value) = given(multiplier) {
            builder = builder.multiplier(number("multiplier", value)?);
        }
        if let Some(value) = given(total_timeout) {
            builder = builder.total_timeout(seconds("total_timeout", value)?);
        }
        if let Some(value) = given(max_retry_after) {
            builder = builder.max_retry_after(seconds("max_retry_after", value)?);
        }
        if let Ok(flag) = jitter.cast::<PyBool>() {
            builder = builder.jitter(if flag.is_true() { Jitter::PlusMinus } else { Jitter::None });
        } else if let Ok(word) = jitter.cast::<PyString>() {
            let word = word.to_string_lossy();
            if word == "decorrelated" {
                builder = builder.backoff_strategy(BackoffStrategy::Decorrelated);
            } else {
                builder = builder.jitter(word.parse().map_err(|invalid| refused(&invalid))?);
            }
        } else {
            return Err(wrong_type("jitter", "a bool or a word", jitter));
        }
        Ok(Self { policy: builder.try_build().map_err(|invalid| refused(&invalid))? })
    }

    /// Every setting, complete.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        settings(py, &self.policy)
    }

    /// The delay in seconds that follows attempt `n`.
    fn delay(&self, n: u64) -> f64 {
        foreign::delay(&self.policy, n, &mut Random::new()).as_secs_f64()
    }

    /// The decisions of one call. `limit` stands in for the policy's attempts.
    #[pyo3(signature = (budget=None, limit=None, seed=None))]
    fn attempts(
        &self,
        budget: Option<&RetryBudget>,
        limit: Option<u32>,
        seed: Option<u64>,
    ) -> Attempts {
        let random = seed.map_or_else(Random::new, Random::seeded);
        let mut decisions = Decisions::new(&self.policy, random);
        if let Some(limit) = limit {
            decisions.limit(limit);
        }
        Attempts {
            decisions: Mutex::new(decisions),
            budget: budget.map(|budget| Arc::clone(&budget.0)),
        }
    }
}

/// A policy's settings by name: numbers as numbers, times in seconds, words as words.
pub(crate) fn settings<'py>(
    py: Python<'py>,
    policy: &impl Describe,
) -> PyResult<Bound<'py, PyDict>> {
    let mut layers = Vec::new();
    policy.describe(&mut layers);
    let all = PyDict::new(py);
    for (field, value) in layers.iter().flat_map(seawall::Layer::settings) {
        let value = match value {
            SettingValue::Integer(value) => value.into_bound_py_any(py)?,
            SettingValue::Number(value) => value.into_bound_py_any(py)?,
            SettingValue::Duration(value) => value.as_secs_f64().into_bound_py_any(py)?,
            SettingValue::Flag(value) => value.into_bound_py_any(py)?,
            other => other.to_string().into_bound_py_any(py)?,
        };
        all.set_item(python_name(field), value)?;
    }
    Ok(all)
}

/// The decisions of one call.
#[pyclass(frozen, module = "seawall._seawall")]
#[derive(Debug)]
pub(crate) struct Attempts {
    decisions: Mutex<Decisions>,
    budget: Option<Arc<seawall::RetryBudget>>,
}

#[pymethods]
impl Attempts {
    /// Takes note that an attempt succeeded.
    fn succeeded(&self) {
        if let Some(budget) = &self.budget {
            budget.record_success(self.made() > 0);
        }
    }

    /// Takes a transient failure of a call that is `elapsed` seconds old: the delay before the next
    /// attempt, or in one word what has run out.
    #[pyo3(signature = (elapsed, retry_after=None))]
    fn failed(
        &self,
        py: Python<'_>,
        elapsed: f64,
        retry_after: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        if let Some(budget) = &self.budget {
            budget.record_failure();
        }
        // What is too long for a `Duration` is longer than any limit; nonsense asks for nothing.
        let retry_after = retry_after
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = decisions.next(Verdict::Transient { retry_after }, age(elapsed));
        if matches!(next, Next::RetryAfter(_))
            && self.budget.as_ref().is_some_and(|budget| !budget.try_retry())
        {
            next = Next::GiveUp(ExhaustedReason::Budget);
        }
        match next {
            Next::RetryAfter(delay) => delay.as_secs_f64().into_py_any(py),
            Next::GiveUp(reason) => reason.as_str().into_py_any(py),
            Next::Done => Ok(py.None()),
        }
    }

    /// Transient failures seen so far.
    #[getter]
    fn made(&self) -> u64 {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).made()
    }
}

/// A token bucket that pays for retries and earns by successes, shared by whoever is given it.
#[pyclass(frozen, module = "seawall")]
#[derive(Debug)]
pub(crate) struct RetryBudget(pub(crate) Arc<seawall::RetryBudget>);

#[pymethods]
impl RetryBudget {
    /// A bucket that earns `ratio` retries a success and holds `floor` retries at most. It starts full.
    #[new]
    #[pyo3(signature = (ratio=None, floor=None))]
    fn new(ratio: Option<&Bound<'_, PyAny>>, floor: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let ratio = ratio.map_or(Ok(0.1), |ratio| number("ratio", ratio))?;
        let floor = floor.map_or(Ok(10), |floor| whole("floor", floor))?;
        let budget = seawall::RetryBudget::try_new(ratio, floor);
        Ok(Self(Arc::new(budget.map_err(|invalid| refused(&invalid))?)))
    }

    /// The AWS SDKs' retry quota: 500 tokens, 14 for a transient retry.
    #[staticmethod]
    fn aws() -> Self {
        Self(Arc::new(seawall::RetryBudget::aws()))
    }

    /// gRPC's retry throttling: 10 tokens, retries only while more than half is there.
    #[staticmethod]
    fn grpc() -> Self {
        Self(Arc::new(seawall::RetryBudget::grpc()))
    }

    /// How many retries could be made now, were nothing to succeed or fail meanwhile.
    #[getter]
    fn available(&self) -> u64 {
        self.0.available()
    }

    fn __repr__(&self) -> String {
        format!("<RetryBudget with {} retries available>", self.0.available())
    }
}
