//! Whose breaker it is.

use crate::{Calls, Down, Rich, common::event_names};
use seawall::{CircuitBreaker, CircuitBreakers, Error, circuit_breaker, retry};
use std::sync::{Arc, LazyLock};

const ONCE: seawall::breaker::CircuitBreakerBuilder =
    CircuitBreaker::builder().failure_threshold(1);

fn is_open<T>(outcome: Rich<T>) -> bool {
    matches!(outcome, Err(Error::Rejected(_)))
}

#[circuit_breaker(failure_threshold = 1)]
fn one() -> Rich<u32> {
    Err(Down(1))?
}

#[circuit_breaker(failure_threshold = 1)]
fn other() -> Rich<u32> {
    Err(Down(2))?
}

#[test]
fn each_function_has_its_own() {
    assert!(!is_open(one()));
    assert!(is_open(one()));
    assert!(!is_open(other()), "in one scope with the other");
    assert!(is_open(other()));
}

#[circuit_breaker(failure_threshold = 1)]
fn generic<T: Default>(fails: bool) -> Rich<T> {
    if fails {
        Err(Down(1))?;
    }
    Ok(T::default())
}

#[test]
fn a_generic_function_has_one_for_all_types() {
    assert!(!is_open(generic::<u8>(true)));
    assert!(is_open(generic::<String>(false)));
}

struct Client {
    breaker: CircuitBreaker,
    shared: Arc<CircuitBreaker>,
}

impl Client {
    #[circuit_breaker(failure_threshold = 1)]
    async fn of_the_method(&self) -> Rich<u32> {
        Err(Down(1))?
    }

    #[circuit_breaker(policy = self.breaker)]
    async fn of_the_value(&self) -> Rich<u32> {
        Err(Down(1))?
    }

    #[circuit_breaker(policy = self.shared)]
    fn shared(&mut self) -> Rich<u32> {
        Err(Down(1))?
    }
}

#[tokio::test]
async fn a_method_has_one_for_all_values_unless_it_is_the_values() {
    let shared = Arc::new(ONCE.build());
    let client = || Client { breaker: ONCE.build(), shared: Arc::clone(&shared) };
    assert!(!is_open(client().of_the_method().await));
    assert!(is_open(client().of_the_method().await));
    let mut client = client();
    assert!(!is_open(client.of_the_value().await));
    assert!(is_open(client.of_the_value().await));
    assert!(!is_open(client.shared()));
    assert!(is_open(client.shared()));
    assert!(shared.state().is_open());
}

static PAYMENTS: CircuitBreaker = ONCE.name("payments").build();
static LAZY: LazyLock<Arc<CircuitBreaker>> = LazyLock::new(|| Arc::new(ONCE.build()));

#[circuit_breaker(policy = PAYMENTS)]
fn pay() -> Rich<u32> {
    Err(Down(1))?
}

#[retry(base_delay = 0)]
#[circuit_breaker(policy = PAYMENTS)]
async fn refund(calls: &Calls) -> Rich<u32> {
    Ok(calls.count())
}

#[circuit_breaker(policy = LAZY)]
fn lazy() -> Rich<u32> {
    Err(Down(1))?
}

#[tokio::test]
async fn functions_share_a_named_one() {
    let events = event_names(&PAYMENTS);
    let calls = Calls::new();
    assert_eq!(refund(&calls).await, Ok(1));
    assert!(!is_open(pay()));
    assert!(is_open(refund(&calls).await));
    assert_eq!((calls.get(), PAYMENTS.counters().rejected), (1, 1));
    assert_eq!(events.all(), ["CircuitBreakerTransition", "CircuitBreakerRejected"]);
    PAYMENTS.close();
    assert_eq!(refund(&calls).await, Ok(2));
    assert!(!is_open(lazy()));
    assert!(LAZY.state().is_open());
}

static HOSTS: CircuitBreakers = CircuitBreakers::new(ONCE.name("hosts"));

#[circuit_breaker(key = host, failure_threshold = 1)]
async fn fetch(host: &str, fails: bool) -> Rich<u32> {
    if fails {
        Err(Down(1))?;
    }
    Ok(1)
}

#[circuit_breaker(policy = HOSTS, key = host)]
fn read(host: String) -> Rich<u32> {
    Err(Down(1))?
}

#[circuit_breaker(policy = HOSTS, key = host)]
async fn write(host: &'static str) -> Rich<u32> {
    Ok(1)
}

#[tokio::test]
async fn a_keyed_one_belongs_to_one_value_of_an_argument() {
    assert!(!is_open(fetch("a", true).await));
    assert!(is_open(fetch("a", false).await));
    assert_eq!(fetch("b", false).await, Ok(1));
    assert!(!is_open(read("c".into())));
    assert!(is_open(write("c").await), "functions share it");
    assert_eq!(write("d").await, Ok(1));
    assert_eq!(HOSTS.keys().len(), 2);
}
