//! Functions under an attribute, and the same ones with the policy written out: the attribute is to
//! cost no more. None is inlined, else chance says which of the two comes back through registers.

use crate::operation::{Failed, work, work_async};
use seawall::{CircuitBreaker, Error};

type Outcome = Result<u64, Error<Failed>>;
// A breaker is handed over, not the function's own: each run begins with a new one.
type Breaker = &'static CircuitBreaker;

pub(crate) mod attribute {
    use super::{Breaker, Outcome, work, work_async};
    use seawall::{circuit_breaker, fallback, retry, timeout};

    #[retry(max_attempts = 4)]
    #[inline(never)]
    pub(crate) fn retry(x: u64) -> Outcome {
        Ok(work(x)?)
    }

    #[retry(max_attempts = 4)]
    pub(crate) async fn retry_async(x: u64) -> Outcome {
        Ok(work_async(x).await?)
    }

    #[circuit_breaker(policy = breaker)]
    #[inline(never)]
    pub(crate) fn breaker(breaker: Breaker, x: u64) -> Outcome {
        Ok(work(x)?)
    }

    #[circuit_breaker(policy = breaker)]
    pub(crate) async fn breaker_async(breaker: Breaker, x: u64) -> Outcome {
        Ok(work_async(x).await?)
    }

    #[fallback([0])]
    #[circuit_breaker(policy = breaker)]
    #[retry(max_attempts = 4)]
    #[inline(never)]
    pub(crate) fn stack(breaker: Breaker, x: u64) -> Outcome {
        Ok(work(x)?)
    }

    #[fallback([0])]
    #[circuit_breaker(policy = breaker)]
    #[retry(max_attempts = 4)]
    pub(crate) async fn stack_async(breaker: Breaker, x: u64) -> Outcome {
        Ok(work_async(x).await?)
    }

    #[timeout("1h")]
    pub(crate) async fn timeout_async(x: u64) -> Outcome {
        Ok(work_async(x).await?)
    }
}

pub(crate) mod written_out {
    use super::{Breaker, Outcome, work, work_async};
    use crate::peers::HOUR;
    use seawall::{FallbackChain, Pipeline, RetryPolicy, Timeout};

    static RETRY: RetryPolicy = RetryPolicy::builder().max_attempts(4).build();
    static TIMEOUT: Timeout = Timeout::new(HOUR);

    #[inline(never)]
    pub(crate) fn retry(x: u64) -> Outcome {
        RETRY.call_blocking(|| Ok(work(x)?))
    }

    pub(crate) async fn retry_async(x: u64) -> Outcome {
        RETRY.call(|| async { Ok(work_async(x).await?) }).await
    }

    #[inline(never)]
    pub(crate) fn breaker(breaker: Breaker, x: u64) -> Outcome {
        breaker.call_blocking(|| Ok(work(x)?))
    }

    pub(crate) async fn breaker_async(breaker: Breaker, x: u64) -> Outcome {
        breaker.call(|| async { Ok(work_async(x).await?) }).await
    }

    #[inline(never)]
    pub(crate) fn stack(breaker: Breaker, x: u64) -> Outcome {
        let stack = Pipeline::new((FallbackChain::new().value(0), breaker, &RETRY));
        stack.call_blocking(|| Ok(work(x)?))
    }

    pub(crate) async fn stack_async(breaker: Breaker, x: u64) -> Outcome {
        let stack = Pipeline::new((FallbackChain::new().value(0), breaker, &RETRY));
        stack.call(|| async { Ok(work_async(x).await?) }).await
    }

    pub(crate) async fn timeout_async(x: u64) -> Outcome {
        TIMEOUT.call(|| async { Ok(work_async(x).await?) }).await
    }
}
