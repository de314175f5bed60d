//! Other attributes of a protected function stay.

use crate::{Calls, Down, Outcome, Rich, common::pending_once};
use seawall::{fallback, retry};

/// Documented.
#[retry(base_delay = 0)]
/// On both sides.
#[inline]
#[must_use = "it may have failed"]
#[allow(dead_code, clippy::allow_attributes, reason = "to see that it is kept")]
#[track_caller]
#[cold]
fn kept(calls: &Calls) -> Rich<&'static str> {
    calls.fail_first(2)?;
    Ok(std::panic::Location::caller().file())
}

#[cfg_attr(feature = "macros", retry(base_delay = 0))]
#[cfg_attr(not(feature = "macros"), fallback([|| 0]))]
#[cfg(feature = "macros")]
fn configured(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail_first(2)?)
}

#[cfg(any())]
#[retry(base_delay = 0)]
fn configured(calls: &Calls) -> Nonsense {}

#[retry(base_delay = 0)]
#[cfg(any())]
fn configured(calls: &Calls) -> Nonsense {}

#[deprecated(note = "to see that it is kept")]
#[retry(base_delay = 0)]
#[expect(unused_variables, reason = "to see that it is kept")]
async fn old(calls: &Calls, unused: u32) -> Outcome {
    calls.fail_first(2)
}

#[seawall::retry(base_delay = 0)]
fn by_path(#[allow(unused_variables)] calls: &Calls, #[cfg(any())] gone: u32) -> Outcome {
    calls.fail_first(2)
}

#[test]
#[retry(base_delay = 0)]
fn tests_are_protected() -> Result<(), Down> {
    static CALLS: Calls = Calls::new();
    CALLS.fail_first(2).map(drop)
}

#[retry(base_delay = 0)]
#[tokio::test]
async fn asynchronous_tests_are_protected() -> Result<(), Down> {
    static CALLS: Calls = Calls::new();
    pending_once().await;
    CALLS.fail_first(2).map(drop)
}

#[tokio::test]
#[fallback([|| ()])]
#[retry(base_delay = 0)]
async fn asynchronous_tests_are_protected_in_the_other_order() -> Result<(), Down> {
    pending_once().await;
    Err(Down(1))
}

#[test]
fn main_functions_are_protected() {
    #[tokio::main(flavor = "current_thread")]
    #[retry(base_delay = 0)]
    async fn main() -> Result<(), Down> {
        static CALLS: Calls = Calls::new();
        pending_once().await;
        CALLS.fail_first(2).map(drop)
    }
    assert_eq!(main(), Ok(()));
}

#[tokio::test]
async fn other_attributes_are_kept() {
    assert_eq!(kept(&Calls::new()), Ok(file!()));
    assert_eq!(configured(&Calls::new()), Ok(3));
    #[expect(deprecated)]
    let outcome = old(&Calls::new(), 1).await;
    assert_eq!(outcome, Ok(3));
    assert_eq!(by_path(&Calls::new()), Ok(3));
}
