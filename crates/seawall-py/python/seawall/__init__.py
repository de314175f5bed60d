"""Retry, circuit breaker, fallback and timeout for sync and async functions, on one Rust engine.

    from seawall import circuit_breaker, fallback, retry

    @fallback([lambda: get_cached_data()])
    @circuit_breaker(failure_threshold=3)
    @retry(max_attempts=2, backoff="linear")
    async def robust_data_fetch(): ...

Stacked decorators are one function, outermost first as written.
"""

from typing import TYPE_CHECKING, Any

from . import exceptions
from ._breaker import CircuitBreaker, CircuitBreakers, CircuitState, Counters
from ._decorators import circuit_breaker, fallback, retry, timeout
from ._events import Event, observe
from ._fallback import FallbackChain
from ._http import http_retry_after
from ._loops import Attempt
from ._retry import BackoffStrategy, RetryExecutor, RetryPolicy
from ._seawall import RetryBudget
from ._wrapper import Protection
from .exceptions import (
    CircuitBreakerOpenError,
    ConfigError,
    FallbackExhaustedError,
    RetryExhaustedError,
    TimedOutError,
)

if TYPE_CHECKING:
    from ._policies import ConfigProblem, Pipeline, Policies, load_policies

__all__ = [
    "Attempt",
    "BackoffStrategy",
    "CircuitBreaker",
    "CircuitBreakerOpenError",
    "CircuitBreakers",
    "CircuitState",
    "ConfigError",
    "ConfigProblem",
    "Counters",
    "Event",
    "FallbackChain",
    "FallbackExhaustedError",
    "Pipeline",
    "Policies",
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
    "load_policies",
    "observe",
    "retry",
    "timeout",
]

_OF_FILES = frozenset({"ConfigProblem", "Pipeline", "Policies", "load_policies"})


def __getattr__(name: str) -> Any:
    # Programs without a policy file do not pay for reading them, in time to import.
    if name in _OF_FILES:
        from . import _policies

        globals().update({known: getattr(_policies, known) for known in _OF_FILES})
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_FILES})
