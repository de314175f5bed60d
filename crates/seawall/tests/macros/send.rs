//! A future is `Send` when its body is, borrows what its body borrows, and stays small.

use crate::{
    Calls, Down, Outcome, Rich,
    common::{MS, pending_once},
};
use seawall::{CircuitBreaker, circuit_breaker, fallback, retry, timeout};
use std::{cell::Cell, sync::Mutex, time::Duration};

static BREAKER: CircuitBreaker = CircuitBreaker::builder().failure_threshold(9).build();

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

#[fallback([from_cache(id), async || from_cache(id).await, |error| later(error.to_string().len())])]
#[circuit_breaker(policy = BREAKER)]
#[retry(base_delay = 0, on_retry = |_| assert!(!id.is_empty()), when = |_| id.len() < 9)]
#[timeout(1)]
async fn stacked(calls: &Calls, id: &str, seen: &mut Vec<u32>) -> Rich<u32> {
    pending_once().await;
    seen.push(calls.get());
    Ok(calls.fail_first(2)?)
}

async fn from_cache(id: &str) -> Outcome {
    pending_once().await;
    Ok(id.len() as u32)
}

async fn later(n: usize) -> u32 {
    n as u32
}

/// Sent as it may be, shared never: an error like those that hold a connection.
struct NotSync(Cell<u32>);

#[retry(base_delay = 0, when = |error| error.0.get() > 0)]
#[fallback([|_| Err(NotSync(Cell::new(2)))])]
async fn not_sync(calls: &Calls) -> Result<Cell<u32>, NotSync> {
    pending_once().await;
    let made = calls.fail_first(2).map_err(|Down(n)| NotSync(Cell::new(n)))?;
    Ok(Cell::new(made))
}

#[circuit_breaker(key = key)]
#[retry(base_delay = 0)]
async fn generic<T: Clone + Send + Sync, K: std::fmt::Display + Sync>(
    value: &T,
    key: &K,
) -> Rich<T> {
    pending_once().await;
    Ok(value.clone())
}

trait Fetch {
    fn fetch(&self, id: String) -> impl Future<Output = Rich<String>> + Send;
}

impl Fetch for Mutex<u32> {
    #[fallback([String::new])]
    #[retry(base_delay = 0)]
    async fn fetch(&self, id: String) -> Rich<String> {
        pending_once().await;
        *self.lock().unwrap() += 1;
        Ok(format!("{id} {}", self.lock().unwrap()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_is_send_when_its_body_is() {
    let task = tokio::spawn(async {
        let (calls, mut seen) = (Calls::new(), Vec::new());
        (stacked(&calls, &String::from("abc"), &mut seen).await, seen)
    });
    assert_eq!(task.await.unwrap(), (Ok(3), vec![0, 1, 2]));
    assert_eq!(tokio::spawn(async { generic(&1, &"a").await }).await.unwrap(), Ok(1));
    assert_eq!(is_send(not_sync(&Calls::new())).await.ok().unwrap().get(), 3);
    let fetch = async |from: Mutex<u32>| from.fetch("abc".into()).await;
    assert_eq!(fetch(Mutex::new(0)).await.unwrap(), "abc 1");
}

#[retry]
async fn retried(calls: &Calls) -> Outcome {
    pending_once().await;
    calls.fail_first(0)
}

async fn bare(calls: &Calls) -> Outcome {
    pending_once().await;
    calls.fail_first(0)
}

#[fallback([|| 7])]
#[circuit_breaker]
#[retry]
async fn three(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(0)?)
}

#[circuit_breaker]
async fn guarded(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(0)?)
}

#[fallback([|| 7])]
async fn covered(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(0)?)
}

#[timeout(1)]
async fn in_time(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(0)?)
}

#[test]
fn a_future_is_not_much_larger_than_its_body() {
    let calls = Calls::new();
    let own = size_of_val(&bare(&calls));
    assert!(size_of_val(&retried(&calls)) <= own + 128, "no room for a timer");
    assert!(size_of_val(&guarded(&calls)) <= own + 128);
    assert!(size_of_val(&covered(&calls)) <= own + 160);
    assert!(size_of_val(&in_time(&calls)) <= own + 192);
    assert!(size_of_val(&three(&calls)) <= own + 288);
}

#[timeout(limit)]
async fn limited<'a>(limit: Duration, text: &'a str) -> Rich<&'a str> {
    Ok(&text[1..])
}

#[tokio::test]
async fn what_it_gives_can_borrow_from_its_arguments() {
    let text = String::from("abc");
    let inner = limited(MS, &text).await.unwrap();
    assert_eq!(inner, "bc");
}
