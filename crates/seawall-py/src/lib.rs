//! The extension module `seawall._seawall`: the decisions of Seawall for Python.
//!
//! Nothing in here holds a Python object, so there is nothing for the garbage collector to see, and
//! nothing waits: that is done on Python's own loop or thread.

use pyo3::prelude::*;

/// The native half of the package `seawall`, which is nobody's API by itself.
#[pymodule(gil_used = true)]
mod _seawall {}
