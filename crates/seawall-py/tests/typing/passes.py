"""Type-checks with mypy --strict and pyright in strict mode. It is not run."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, assert_type

from seawall import (
    BackoffStrategy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    CircuitBreakers,
    CircuitState,
    ConfigError,
    Event,
    FallbackChain,
    RetryBudget,
    RetryExecutor,
    RetryExhaustedError,
    RetryPolicy,
    circuit_breaker,
    fallback,
    http_retry_after,
    load_policies,
    observe,
    retry,
    timeout,
)
from seawall.testing import ManualClock, MockCircuitBreaker, MockRetryExecutor


@retry
def bare(a: int, *, b: str = "") -> bytes:
    return b""


@retry(ValueError, OSError)
def named(a: int) -> bytes:
    return b""


@retry(max_attempts=3, backoff="exponential", base_delay=datetime.timedelta(seconds=1))
async def configured(a: int) -> bytes:
    return b""


def backup(a: int, b: str = "") -> bytes:
    return b""


def on_retry(attempt: int, error: BaseException) -> None: ...


@fallback([lambda: b"", backup])
@circuit_breaker(failure_threshold=3, key="a")
@retry(max_attempts=2, backoff=BackoffStrategy.LINEAR)
@timeout(5)
async def stacked(a: int, b: str = "") -> bytes:
    return b""


@circuit_breaker
async def guarded(a: int) -> bytes:
    return b""


assert_type(bare(1, b="x"), bytes)
assert_type(named(1), bytes)
coroutine: Coroutine[Any, Any, bytes] = configured(1)
function: Callable[[int], bytes] = named


async def use() -> None:
    assert_type(await configured(a=1), bytes)
    assert_type(await stacked(1, b="x"), bytes)
    assert_type(await guarded(1), bytes)
    assert_type(await RetryExecutor().execute_async(configured, 1), bytes)
    assert_type(await CircuitBreaker().call_async(configured, 1), bytes)
    assert_type(await FallbackChain(lambda: b"").execute_async(configured, 1), bytes)
    async for attempt in RetryPolicy():
        with attempt:
            assert_type(attempt.number, int)
    async with CircuitBreaker() as breaker:
        assert_type(breaker, CircuitBreaker)


class Client:
    @retry(max_attempts=2)
    def method(self, a: int) -> str:
        return ""

    @circuit_breaker
    async def later(self, a: int) -> str:
        return ""

    @classmethod
    @retry
    def made(cls) -> Client:
        return cls()


assert_type(Client().method(1), str)
assert_type(Client.made(), Client)
later: Awaitable[str] = Client().later(1)

policy = RetryPolicy(max_attempts=5, backoff_strategy=BackoffStrategy.EXPONENTIAL, jitter="full")
assert_type(policy.calculate_delay(1), float)
assert_type(policy.should_retry(ValueError(), 1), bool)
assert_type(RetryExecutor(policy, budget=RetryBudget(0.1, 10)).execute_sync(named, 1), bytes)

breaker = CircuitBreaker(failure_threshold=5, recovery_timeout=30, expected_exception=(OSError, ValueError))
assert_type(breaker.call(named, 1), bytes)
assert_type(breaker.protect(named)(1), bytes)
assert_type(breaker.state, CircuitState)
assert_type(breaker.counters.rejected, int)
assert_type(CircuitBreakers(max_keys=5).get("a"), CircuitBreaker)


def listener(event: Event) -> None:
    assert_type(event.kind, str)


stop: Callable[[], None] = observe(listener)
with_policy = retry(policy=policy, on_retry=on_retry)(named)
by_header = retry(retry_after=http_retry_after)(named)

try:
    named(1)
except RetryExhaustedError as exhausted:
    assert_type(exhausted.attempts, int)
except CircuitBreakerOpenError as rejected:
    assert_type(rejected.retry_after, float | None)

try:
    policies = load_policies("policies.toml", environment={}, prefix="BANK")
except ConfigError as wrong:
    assert_type([(problem.line, problem.field) for problem in wrong.problems], list[tuple[int | None, str | None]])
else:
    payments = policies["payments"].using(retry_on=OSError, fallback=[lambda: b""], seed=7)
    assert_type(payments(named)(1), bytes)
    assert_type(payments.call(named, 1), bytes)
    assert_type(payments.circuit_breaker, CircuitBreaker | None)
    assert_type([name for name in policies], list[str])
    for attempt in payments:
        with attempt:
            assert_type(attempt.number, int)

with MockRetryExecutor(max_attempts=3) as mock, MockCircuitBreaker() as other, ManualClock() as clock:
    mock.configure_failures(2)
    other.force_open()
    assert_type(clock.now(), float)
