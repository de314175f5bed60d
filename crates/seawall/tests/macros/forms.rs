//! What can be protected: every form that a function can have.

use crate::{Calls, Down, Outcome, Rich, common::pending_once};
use seawall::{circuit_breaker, fallback, retry, timeout};
use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

#[retry(base_delay = 0)]
fn blocking(calls: &Calls) -> Rich<u32> {
    Ok(calls.fail_first(2)?)
}

#[retry(base_delay = 0)]
async fn asynchronous(calls: &Calls) -> Rich<u32> {
    pending_once().await;
    Ok(calls.fail_first(2)?)
}

#[tokio::test]
async fn free_functions_are_protected() {
    assert_eq!(blocking(&Calls::new()), Ok(3));
    assert_eq!(asynchronous(&Calls::new()).await, Ok(3));
}

/// A service that fails twice.
#[derive(Debug, Default, Clone)]
struct Service {
    calls: Arc<Calls>,
    made: u32,
    seen: Vec<u32>,
}

impl Service {
    #[retry(base_delay = 0)]
    fn by_ref(&self) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[retry(base_delay = 0)]
    async fn by_ref_async(&self) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[retry(base_delay = 0)]
    fn by_mut(&mut self) -> Rich<u32> {
        self.made += 1;
        self.seen.push(self.made);
        Ok(self.calls.fail_first(2)?)
    }

    #[fallback([|| 9])]
    #[circuit_breaker(failure_threshold = 9)]
    #[retry(base_delay = 0)]
    #[timeout(1)]
    async fn by_mut_async(&mut self) -> Rich<u32> {
        self.made += 1;
        pending_once().await;
        self.seen.push(self.made);
        Ok(self.calls.fail_first(2)?)
    }

    #[retry(base_delay = 0)]
    async fn by_value(self) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[retry(base_delay = 0)]
    fn by_mut_value(mut self) -> Rich<u32> {
        self.made += 1;
        self.calls.fail_first(2)?;
        Ok(self.made)
    }

    #[retry(base_delay = 0)]
    async fn by_arc(self: Arc<Self>) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[expect(clippy::boxed_local, reason = "to see that it works")]
    #[retry(base_delay = 0)]
    fn by_box(self: Box<Self>) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[retry(base_delay = 0)]
    async fn by_pin(self: Pin<&mut Self>) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[expect(clippy::needless_arbitrary_self_type, reason = "to see that it works")]
    #[retry(base_delay = 0)]
    async fn by_typed_ref(self: &Self) -> Rich<u32> {
        Ok(self.calls.fail_first(2)?)
    }

    #[fallback([Self::nothing])]
    #[retry(base_delay = 0)]
    async fn associated(calls: &Calls) -> Rich<Self> {
        let made = calls.fail_first(2)?;
        Ok(Self { made, ..Self::default() })
    }

    fn nothing() -> Self {
        Self::default()
    }
}

#[tokio::test]
async fn methods_are_protected_whatever_their_receiver() {
    let service = Service::default;
    assert_eq!(service().by_ref(), Ok(3));
    assert_eq!(service().by_ref_async().await, Ok(3));
    let mut counting = service();
    assert_eq!(counting.by_mut(), Ok(3));
    counting.calls = Arc::default();
    assert_eq!(counting.by_mut_async().await, Ok(3));
    assert_eq!(counting.seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(service().by_value().await, Ok(3));
    assert_eq!(service().by_mut_value(), Ok(3));
    assert_eq!(Arc::new(service()).by_arc().await, Ok(3));
    assert_eq!(Box::new(service()).by_box(), Ok(3));
    assert_eq!(Pin::new(&mut service()).by_pin().await, Ok(3));
    assert_eq!(service().by_typed_ref().await, Ok(3));
    assert_eq!(Service::associated(&Calls::new()).await.unwrap().made, 3);
}

/// A trait with all that a trait's method can be.
trait Store {
    fn load(&self, id: &str) -> Rich<String>;
    fn load_later(&self, id: &str) -> impl Future<Output = Rich<String>> + Send;
    async fn load_local(&mut self, id: &str) -> Rich<String>;

    #[retry(base_delay = 0)]
    fn load_twice(&self, id: &str) -> Rich<String> {
        self.load(id)?;
        self.load(id)
    }

    #[retry(base_delay = 0)]
    async fn provided(&self) -> Rich<String>
    where
        Self: Sync,
    {
        self.load_later("provided").await
    }
}

impl Store for Service {
    #[retry(base_delay = 0)]
    fn load(&self, id: &str) -> Rich<String> {
        Ok(format!("{id} {}", self.calls.fail_first(2)?))
    }

    #[retry(base_delay = 0)]
    async fn load_later(&self, id: &str) -> Rich<String> {
        Ok(format!("{id} {}", self.calls.fail_first(2)?))
    }

    #[retry(base_delay = 0)]
    async fn load_local(&mut self, id: &str) -> Rich<String> {
        self.made += 1;
        Ok(format!("{id} {} {}", self.calls.fail_first(2)?, self.made))
    }
}

#[tokio::test]
async fn methods_of_traits_are_protected() {
    let service = Service::default;
    assert_eq!(service().load("a").unwrap(), "a 3");
    assert_eq!(service().load_later("b").await.unwrap(), "b 3");
    assert_eq!(service().load_local("c").await.unwrap(), "c 3 3");
    assert_eq!(service().load_twice("d").unwrap(), "d 4");
    assert_eq!(service().provided().await.unwrap(), "provided 3");
}

/// A trait whose methods can be called through a `dyn`.
#[async_trait::async_trait]
trait Remote: Send + Sync {
    async fn fetch(&self, id: String, n: u32) -> Rich<String>;
    async fn change(&mut self, mut n: u32) -> Rich<u32>;
    async fn plainly(&self, calls: &Calls) -> Outcome;

    #[retry(base_delay = 0)]
    async fn fetch_by_default(&self, calls: &Calls) -> Outcome {
        self.plainly(calls).await
    }
}

#[async_trait::async_trait]
impl Remote for Service {
    #[fallback([format!("{id} from the cache")])]
    #[retry(base_delay = 0)]
    #[timeout(1)]
    async fn fetch(&self, id: String, n: u32) -> Rich<String> {
        pending_once().await;
        Ok(format!("{id} {}", self.calls.fail_first(n)?))
    }

    #[retry(base_delay = 0, clone = [n])]
    async fn change(&mut self, mut n: u32) -> Rich<u32> {
        self.made += 1;
        n += self.made;
        self.calls.fail_first(2)?;
        Ok(n)
    }

    #[retry(base_delay = 0)]
    #[fallback([|| 9], only_if = |_| false)]
    async fn plainly(&self, calls: &Calls) -> Result<u32, Down> {
        if calls.get() == 0 {
            calls.fail()?;
        }
        calls.fail_first(1)
    }
}

#[async_trait::async_trait(?Send)]
trait Local {
    async fn local(&self, calls: Rc<Calls>) -> Outcome;
}

#[async_trait::async_trait(?Send)]
impl Local for Service {
    #[retry(base_delay = 0)]
    async fn local(&self, calls: Rc<Calls>) -> Outcome {
        pending_once().await;
        calls.fail_first(2)
    }
}

#[tokio::test]
async fn methods_of_async_trait_are_protected() {
    let service = || -> Box<dyn Remote> { Box::new(Service::default()) };
    assert_eq!(service().fetch("a".into(), 2).await.unwrap(), "a 3");
    assert_eq!(service().fetch("a".into(), 9).await.unwrap(), "a from the cache");
    assert_eq!(service().change(1).await, Ok(4));
    assert_eq!(service().plainly(&Calls::new()).await, Ok(2));
    assert_eq!(service().fetch_by_default(&Calls::new()).await, Ok(2));
    assert_eq!(Service::default().local(Rc::default()).await, Ok(3));
}

#[test]
fn a_protected_function_is_the_function_that_it_was() {
    let as_pointer: fn(&Calls) -> Rich<u32> = blocking;
    assert_eq!(as_pointer(&Calls::new()), Ok(3));
}
