"""Retry, circuit breaker, fallback and timeout for sync and async functions, on one Rust engine.

    from seawall import circuit_breaker, fallback, retry

    @fallback([lambda: get_cached_data()])
    @circuit_breaker(failure_threshold=3)
    @retry(max_attempts=2, backoff="linear")
    async def robust_data_fetch(): ...

Stacked decorators are one function, outermost first as written.
"""

from . import exceptions
from ._breaker import CircuitBreaker, CircuitBreakers, CircuitState, Counters
from ._decorators import circuit_breaker, fallback, retry, timeout
from ._events import Event, observe
from ._fallback import FallbackChain
from ._http import http_retry_after
from ._retry import Attempt, BackoffStrategy, RetryExecutor, RetryPolicy
from ._seawall import RetryBudget
from ._wrapper import Protection
from .exceptions import (
    CircuitBreakerOpenError,
    FallbackExhaustedError,
    RetryExhaustedError,
    TimedOutError,
)

__all__ = [
    "Attempt",
    "BackoffStrategy",
    "CircuitBreaker",
    "CircuitBreakerOpenError",
    "CircuitBreakers",
    "CircuitState",
    "Counters",
    "Event",
    "FallbackChain",
    "FallbackExhaustedError",
    "Protection",
    "RetryBudget",
    "RetryExecutor",
    "RetryExhaustedError",
    "RetryPolicy",
    "TimedOutError",
    "circuit_breaker",
    "exceptions",
    "fallback",
    "http_retry_after",
    "observe",
    "retry",
    "timeout",
]
