"""The shape of ``provide.foundation.resilience``: change the import line, and go on.

    from seawall.compat.foundation import RetryPolicy, circuit_breaker, fallback, retry

What its users rely on is kept: after the last attempt the operation's own error is raised; an open
circuit is a ``RuntimeError`` that reads "Circuit breaker is open"; when all fallbacks fail, the last one's
error is raised; ``state()`` and ``failure_count()`` are methods, coroutines on the async breaker; clocks and
sleeps are taken where given. What is different, because it went wrong there:

- a half-open circuit lets one call through at a time, not all of them;
- jitter does not go beyond ``max_delay``;
- a fallback without parameters is called with nothing, and what a lambda gives is awaited in async code;
- settings that make no sense are refused, also those of breakers; generator functions are, too;
- ``policy=`` beside types of errors, which were passed over, is a ``TypeError``, as beside other settings.
"""

# `decorators` imports the submodule `fallback`, and after that the name is given to the decorator.
from .circuit_async import AsyncCircuitBreaker
from .circuit_sync import SyncCircuitBreaker
from .decorators import circuit_breaker, fallback, retry
from .fallback import FallbackChain
from .retry import RetryExecutor, RetryPolicy
from .types import BackoffStrategy, CircuitState

__all__ = [
    "AsyncCircuitBreaker",
    "BackoffStrategy",
    "CircuitState",
    "FallbackChain",
    "RetryExecutor",
    "RetryPolicy",
    "SyncCircuitBreaker",
    "circuit_breaker",
    "fallback",
    "retry",
]
