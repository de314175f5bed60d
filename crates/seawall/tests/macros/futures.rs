//! Functions that return futures.

use crate::{Calls, Outcome, Rich, common::pending_once};
use seawall::{fallback, retry, timeout};
use std::{cell::RefCell, future::Future, pin::Pin, sync::Arc};

#[retry(base_delay = 0)]
fn opaque(calls: &Calls) -> impl Future<Output = Rich<u32>> + Send {
    async move { Ok(calls.fail_first(2)?) }
}

#[fallback([|| 4])]
#[retry(base_delay = 0)]
#[timeout("1s")]
fn prepared<'a>(
    calls: &'a Calls,
    log: &'a RefCell<Vec<u32>>,
) -> impl Future<Output = Rich<u32>> + use<'a> {
    log.borrow_mut().push(0);
    let failures = 2;
    async move {
        log.borrow_mut().push(calls.get() + 1);
        Ok(calls.fail_first(failures)?)
    }
}

#[retry(base_delay = 0)]
fn boxed(calls: &Calls) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
    Box::pin(async move { calls.fail_first(2) })
}

#[retry(base_delay = 0)]
fn boxed_elsewhere(calls: Arc<Calls>) -> Pin<Box<dyn Future<Output = Outcome>>> {
    Box::pin(async move {
        pending_once().await;
        calls.fail_first(2)
    })
}

#[tokio::test]
async fn functions_that_return_futures_are_protected() {
    assert_eq!(opaque(&Calls::new()).await, Ok(3));
    let log = RefCell::default();
    let calls = Calls::new();
    let future = prepared(&calls, &log);
    assert_eq!(*log.borrow(), [0], "what comes before the future is done once, at once");
    assert_eq!(future.await, Ok(3));
    assert_eq!(*log.borrow(), [0, 1, 2, 3]);
    assert_eq!(boxed(&Calls::new()).await, Ok(3));
    assert_eq!(boxed_elsewhere(Arc::default()).await, Ok(3));
}
