//! The expansion's own names are nobody else's: neither the body nor an option sees them.

use crate::common::{Calls, Down, MS};
use seawall::{CircuitBreaker, CircuitBreakers, Error, FallbackChain, RetryBudget, RetryPolicy};
use std::time::Duration;

/// What the expansion has used or may use, as names of arguments, of variables and of labels.
mod variables {
    use super::*;

    #[allow(clippy::too_many_arguments, reason = "that many names")]
    #[fallback([|| Err(kind), |_| Err(call), from(kind, outcome), closed(breaker), || primary + failed + value])]
    #[circuit_breaker(key = kind + breaker + keyed + named, ignore = move |_| krate == kind)]
    #[retry(
        max_attempts = 2,
        base_delay = 0,
        when = move |_| kind < retry,
        when_result = move |_| outcome == step,
        retry_after = move |_| (call > delay).then_some(Duration::ZERO),
        on_retry = move |_| assert!(kind < call && krate == kind),
        clone = [kind, outcome]
    )]
    #[timeout(limit)]
    #[seawall::retry(policy = retry_policy(), on_retry = |_| assert_eq!(retry, 3))]
    async fn asynchronous(
        kind: u32,
        call: u32,
        retry: u32,
        outcome: u32,
        step: u32,
        delay: u32,
        breaker: u32,
        keyed: u32,
        named: u32,
        primary: u32,
        failed: u32,
        value: u32,
        limit: Duration,
        krate: u32,
    ) -> Result<u32, Error<u32>> {
        let sum = kind + call + retry + outcome + step + delay + breaker + keyed + named;
        let (kind, call, retry) = (sum, primary, failed + value + krate);
        Err(kind + call + retry)?
    }

    use seawall::{circuit_breaker, fallback, retry, timeout};

    const fn retry_policy() -> RetryPolicy {
        RetryPolicy::builder().max_attempts(1).build()
    }

    fn from(kind: u32, outcome: u32) -> Result<u32, u32> {
        Err(kind + outcome)
    }

    async fn closed(breaker: u32) -> Result<u32, u32> {
        Err(breaker)
    }

    #[tokio::test(start_paused = true)]
    async fn arguments_keep_their_names_in_async_bodies_and_in_options() {
        let outcome = asynchronous(1, 2, 3, 4, 5, 0, 7, 8, 9, 10, 11, 12, 500 * MS, 1).await;
        assert_eq!(outcome, Ok(33));
    }

    #[allow(clippy::too_many_arguments, reason = "that many names")]
    #[fallback(
        [|| Err(kind), |_| Err(call), from(kind, outcome), || primary + failed + value],
        only_if = move |_| primary > failed
    )]
    #[circuit_breaker(expected_exception = move |_| keyed == named)]
    #[retry(
        base_delay = 0,
        when = move |_| kind < retry,
        on_retry = move |_| assert!(kind < call && outcome == step),
        clone = [kind]
    )]
    fn blocking(
        mut kind: u32,
        call: u32,
        retry: u32,
        outcome: u32,
        step: u32,
        delay: u32,
        breaker: u32,
        keyed: u32,
        named: u32,
        primary: u32,
        failed: u32,
        value: u32,
    ) -> Result<u32, Error<u32>> {
        kind += delay + breaker;
        let outcome: Result<u32, u32> = Err(kind);
        outcome?;
        Ok(call + retry + step + keyed + named)
    }

    #[test]
    fn arguments_keep_their_names_in_blocking_bodies_and_in_options() {
        assert_eq!(blocking(1, 2, 3, 4, 4, 6, 7, 8, 9, 11, 10, 12), Ok(33));
    }

    #[fallback([labels, 7])]
    #[retry(base_delay = 0)]
    fn labelled() -> Result<u32, Down> {
        let sum = 'answered: {
            for n in 0.. {
                if n == 3 {
                    break 'answered n;
                }
            }
            0
        };
        Err(Down(sum))
    }

    fn labels() -> Result<u32, Down> {
        'answered: {
            if Calls::new().get() == 0 {
                break 'answered Err(Down(1));
            }
            Ok(1)
        }
    }

    #[test]
    fn labels_are_the_bodys_own() {
        assert_eq!(labelled(), Ok(7));
    }
}

/// The same names as items: patterns of the same name would match against them.
#[allow(non_upper_case_globals, reason = "the names that the expansion uses")]
mod items {
    use super::*;
    use seawall::{circuit_breaker, fallback, retry, timeout};

    static kind: u32 = 1;
    static call: u32 = 1;
    static outcome: u32 = 1;
    static step: u32 = 1;
    static delay: u32 = 1;
    static breaker: u32 = 1;
    static keyed: u32 = 1;
    static named: u32 = 1;
    const primary: u32 = 1;
    const failed: u32 = 1;
    const value: u32 = 1;

    #[fallback([|| primary + failed + value + keyed + named + breaker])]
    #[circuit_breaker]
    #[timeout(1)]
    #[retry(base_delay = 0, when = |_| kind + call == 2, on_retry = |_| assert!(step == 1))]
    async fn asynchronous() -> Result<u32, Error<Down>> {
        Err(Down(outcome + delay))?
    }

    #[fallback([|| primary + failed + value + keyed + named + breaker])]
    #[circuit_breaker(key = keyed + named)]
    #[retry(base_delay = 0, when = |_| kind + call == 2, on_retry = |_| assert!(step == 1))]
    fn blocking() -> Result<u32, Error<Down>> {
        Err(Down(outcome + delay))?
    }

    #[tokio::test(start_paused = true)]
    async fn items_keep_their_names() {
        assert!(asynchronous().await == Ok(6));
        assert!(blocking() == Ok(6));
    }
}

/// Statics that are called like those of the expansion.
mod statics {
    use super::*;
    use seawall::{circuit_breaker, fallback, retry};

    static BREAKER: CircuitBreaker = CircuitBreaker::builder().failure_threshold(1).build();
    static BREAKERS: CircuitBreakers = CircuitBreakers::new(CircuitBreaker::builder());
    static EXTRAS: RetryBudget = RetryBudget::new(0.1, 1);
    static NAME: &str = "named";

    #[circuit_breaker(policy = BREAKER)]
    fn by_policy() -> Result<u32, Error<Down>> {
        assert_eq!(BREAKER.counters().failures, 0);
        Err(Down(1))?
    }

    #[circuit_breaker(policy = BREAKERS, key = BREAKERS.len())]
    fn by_key() -> Result<u32, Error<Down>> {
        Err(Down(1))?
    }

    #[circuit_breaker(ignore = |_| BREAKER.name().is_none(), key = BREAKERS.len())]
    fn by_own_key() -> Result<u32, Error<Down>> {
        Err(Down(1))?
    }

    #[circuit_breaker(ignore = |_| BREAKER.name().is_none())]
    fn by_own_breaker() -> Result<u32, Error<Down>> {
        Err(Down(1))?
    }

    #[retry(budget = EXTRAS, max_attempts = 9, base_delay = 0, name = "x")]
    fn with_budget(calls: &Calls) -> Result<u32, Error<Down>> {
        assert!(!NAME.is_empty());
        Ok(calls.fail()?)
    }

    #[fallback([|| 3], name = "x")]
    fn chain() -> Result<u32, Error<Down>> {
        Err(Down(1))?
    }

    #[test]
    fn statics_keep_their_names() {
        assert!(by_policy().is_err());
        assert_eq!(BREAKER.counters().consecutive_failures, 0, "it has opened");
        assert!(by_key().is_err());
        assert_eq!(BREAKERS.len(), 1);
        assert!((0..9).all(|_| by_own_key().is_err_and(|e| e.operation().is_some())));
        assert!((0..9).all(|_| by_own_breaker().is_err_and(|e| e.operation().is_some())));
        let calls = Calls::new();
        assert!(with_budget(&calls).is_err());
        assert_eq!(calls.get(), 2, "the first, and what the budget pays");
        assert_eq!(chain(), Ok(3));
        let _ = FallbackChain::new();
    }
}

/// Names of the standard library, and our crate's own, that mean something else here.
mod shadows {
    #![allow(dead_code, reason = "they only stand in the way")]
    use seawall::{circuit_breaker, fallback, retry, timeout};

    struct Option;
    struct Box;
    struct Duration;
    struct Ok;
    mod std {}
    mod core {}
    trait Clone {}
    type Outcome = ::std::result::Result<u32, ::seawall::Error<u32>>;

    #[allow(non_snake_case, reason = "it stands in the way")]
    fn Err() -> u32 {
        3
    }

    #[fallback([Err])]
    #[circuit_breaker]
    #[timeout("1s")]
    #[retry(base_delay = 0, clone = [n])]
    async fn asynchronous(n: u32) -> Outcome {
        Outcome::Err(::seawall::Error::Operation(n))
    }

    #[fallback([Err])]
    #[circuit_breaker]
    #[retry(base_delay = 0, clone = [n])]
    fn blocking(n: u32) -> Outcome {
        Outcome::Err(::seawall::Error::Operation(n))
    }

    #[tokio::test(start_paused = true)]
    async fn the_expansion_takes_no_name_from_where_it_stands() {
        assert!(matches!(asynchronous(1).await, Outcome::Ok(3)));
        assert!(matches!(blocking(1), Outcome::Ok(3)));
    }
}

/// The crate under another name, and the attributes under other names.
mod renamed {
    use super::*;
    use seawall as breakwater;
    use seawall::{circuit_breaker as fuse, fallback as or_else, retry as again, timeout as limit};

    #[or_else([|| 3], crate = breakwater)]
    #[fuse(failure_threshold = 9, crate = breakwater)]
    #[again(base_delay = 0, crate = breakwater)]
    #[limit(1, crate = breakwater)]
    async fn all(calls: &Calls) -> Result<u32, Error<Down>> {
        Ok(calls.fail()?)
    }

    #[tokio::test(start_paused = true)]
    async fn crate_and_attributes_can_have_other_names() {
        let calls = Calls::new();
        assert_eq!(all(&calls).await, Ok(3));
        assert_eq!(calls.get(), 3);
    }
}

/// Functions that are written by a macro, so that some of their tokens come from elsewhere.
mod by_macro {
    use super::*;
    use seawall::{circuit_breaker, fallback, retry, timeout};

    macro_rules! protected {
        (
            $(#[$attribute:meta])* $visible:vis $name:ident($argument:ident: $ty:ty) -> $out:ty,
            $attempts:expr, $delay:literal, $limit:expr, $entry:expr, $body:block
        ) => {
            $(#[$attribute])*
            #[fallback([$entry])]
            #[circuit_breaker(failure_threshold = $attempts)]
            #[retry(max_attempts = $attempts, base_delay = $delay, clone = [$argument])]
            #[timeout($limit)]
            $visible async fn $name($argument: $ty) -> $out $body
        };
    }

    protected!(
        /// Its documentation.
        pub(crate) made(kind: &Calls) -> Result<u32, Error<Down>>, 4, 0, "2s", || 5,
        { Ok(kind.fail()?) }
    );

    macro_rules! blocking {
        ($name:ident, $attempts:expr, $delay:expr, $body:block) => {
            #[retry(max_attempts = $attempts, base_delay = $delay)]
            fn $name(retry: &Calls) -> Result<u32, Error<Down>> {
                retry.count();
                let outcome: Result<u32, Error<Down>> = $body;
                outcome
            }
        };
    }

    blocking!(twice, 1 + 1, "0s", { Err(Down(3))? });

    macro_rules! future {
        ($name:ident($calls:ident), $out:ty, $($body:tt)*) => {
            #[retry(max_attempts = 2, base_delay = 0)]
            fn $name($calls: &Calls) -> $out { $($body)* }
        };
    }

    future!(later(calls), impl Future<Output = Result<u32, Down>>, async move { calls.fail() });

    #[tokio::test(start_paused = true)]
    async fn functions_from_macros_work() {
        let calls = Calls::new();
        assert_eq!(made(&calls).await, Ok(5));
        assert_eq!(calls.get(), 4);
        let calls = Calls::new();
        assert!(twice(&calls).is_err());
        assert_eq!(calls.get(), 2);
        let calls = Calls::new();
        assert_eq!(later(&calls).await, Err(Down(2)));
    }
}
