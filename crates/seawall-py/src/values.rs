//! Values from outside: numbers and lengths of time, or an error that names the argument and what it is.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBool, PyDelta, PyFloat, PyInt},
};
use seawall::{InvalidSetting, Tick};
use std::time::Duration;

/// What the settings are called in Python, where that differs.
const NAMES: [(&str, &str); 2] =
    [("over_time", "failure_window"), ("successes_to_close", "success_threshold")];

/// What a setting is called in Python.
pub(crate) fn python_name(field: &str) -> &str {
    NAMES.iter().find(|(rust, _)| *rust == field).map_or(field, |(_, python)| python)
}

pub(crate) fn refused(invalid: &InvalidSetting) -> PyErr {
    let mut text = invalid.to_string();
    for (rust, python) in NAMES {
        text = text.replace(&format!("`{rust}`"), &format!("`{python}`"));
    }
    PyValueError::new_err(text)
}

fn shown(value: &Bound<'_, PyAny>) -> String {
    match value.repr() {
        Ok(text) => text.to_string(),
        Err(_) => "of a type that cannot be printed".to_owned(),
    }
}

pub(crate) fn wrong_type(field: &str, rule: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("`{field}` must be {rule}, but is {}", shown(value)))
}

pub(crate) fn wrong_value(field: &str, rule: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("`{field}` must be {rule}, but is {}", shown(value)))
}

/// For a setting that says nothing without another one.
pub(crate) fn lonely(field: &str, value: &Bound<'_, PyAny>, other: &str) -> PyErr {
    let value = shown(value);
    PyValueError::new_err(format!("`{field}` needs `{other}` beside it, but is {value} alone"))
}

/// A count. `True` is none, though Python takes it for 1.
pub(crate) fn whole(field: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        return Err(wrong_type(field, "an integer", value));
    }
    value.extract().map_err(|_| wrong_value(field, "an integer within 0..=4294967295", value))
}

pub(crate) fn number(field: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if value.is_instance_of::<PyBool>() || !is_number {
        return Err(wrong_type(field, "a number", value));
    }
    value.extract().map_err(|_| wrong_value(field, "a number that a float can hold", value))
}

/// A length of time: seconds, or a `timedelta`.
pub(crate) fn seconds(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    const RULE: &str = "a number of seconds, 0 or more, or a timedelta";
    if value.is_instance_of::<PyDelta>() {
        return value.extract().map_err(|_| wrong_value(field, RULE, value));
    }
    let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if value.is_instance_of::<PyBool>() || !is_number {
        return Err(wrong_type(field, RULE, value));
    }
    let seconds: f64 = value.extract().map_err(|_| wrong_value(field, RULE, value))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong_value(field, RULE, value))
}

/// Seconds that something took: what makes no sense took no time, since clocks may step back.
pub(crate) fn age(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The reading of a clock in seconds. Begins a week up, so that a clock may step back below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(crate) fn tick(seconds: f64) -> Tick {
    const START: f64 = 7.0 * 24.0 * 3600.0;
    // To the nearest microsecond first: 1000.1 + 0.3 is a little less than 1000.4.
    let micros = ((seconds + START) * 1e6).round() as u64;
    Tick::from_millis(micros / 1000)
}

/// For a Python function's argument: given, and not `None`.
pub(crate) fn given<'a, 'py>(
    value: Option<&'a Bound<'py, PyAny>>,
) -> Option<&'a Bound<'py, PyAny>> {
    value.filter(|value| !value.is_none())
}
