//! Mocks: what stands in for retries and circuit breakers while a test lasts.
//!
//! Both are scopes. While one lives, the retries (or breakers) of this task use it, and outside tasks
//! those of this thread, whether they were written as a macro or called as a policy; a task that
//! is spawned joins by `attach`, a thread by `enter`. Tests that run side by side do not see each other's.

mod breaker;
mod retry;

pub use breaker::{BreakerMock, MockCircuitBreaker};
pub use retry::{MockRetryExecutor, RetryMock};
