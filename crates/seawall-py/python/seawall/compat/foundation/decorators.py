"""``retry``, ``circuit_breaker`` and ``fallback``; stacked, they are one function, as Seawall's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, overload

from ..._arguments import ErrorTypes
from ..._signatures import is_async
from ..._wrapper import decorate
from ._breaker import Circuit
from .fallback import Chain
from .retry import OnRetry, RetryExecutor, RetryPolicy
from .types import BackoffStrategy

__all__ = ["circuit_breaker", "fallback", "retry"]

F = TypeVar("F", bound=Callable[..., Any])


@overload
def retry(
    *exceptions: type[Exception],
    policy: RetryPolicy | None = ...,
    max_attempts: int | None = ...,
    base_delay: float | None = ...,
    backoff: BackoffStrategy | str | None = ...,
    max_delay: float | None = ...,
    jitter: bool | None = ...,
    on_retry: OnRetry | None = ...,
    time_source: Callable[[], float] | None = ...,
    sleep_func: Callable[[float], object] | None = ...,
    async_sleep_func: Callable[[float], Awaitable[object]] | None = ...,
) -> Callable[[F], F]: ...
@overload
def retry(function: F, /) -> F: ...
def retry(
    *exceptions: Any,
    policy: RetryPolicy | None = None,
    max_attempts: int | None = None,
    base_delay: float | None = None,
    backoff: BackoffStrategy | str | None = None,
    max_delay: float | None = None,
    jitter: bool | None = None,
    on_retry: OnRetry | None = None,
    time_source: Callable[[], float] | None = None,
    sleep_func: Callable[[float], object] | None = None,
    async_sleep_func: Callable[[float], Awaitable[object]] | None = None,
) -> Any:
    """Decorates a function so that it is tried again when it fails; its last error is raised as it is."""
    function = None
    if len(exceptions) == 1 and not isinstance(exceptions[0], type):
        (function,) = exceptions
        exceptions = ()
        if not callable(function):
            raise TypeError(f"`exceptions` must be types of errors, but has {function!r}")
    settings = {
        "max_attempts": max_attempts,
        "base_delay": base_delay,
        "backoff": backoff,
        "max_delay": max_delay,
        "jitter": jitter,
        "retryable_errors": exceptions or None,
    }
    given: Any = {name: value for name, value in settings.items() if value is not None}
    if policy is None:
        policy = RetryPolicy(**given)
    elif given:
        raise TypeError(f"`policy` has all settings, but was given beside {', '.join(given)}")
    executor = RetryExecutor(policy, on_retry, time_source, sleep_func, async_sleep_func)

    def decorator(function: F) -> F:
        return cast(F, decorate(function, executor._for(is_async(function))))

    return decorator if function is None else decorator(function)


@overload
def circuit_breaker(
    failure_threshold: int = ...,
    recovery_timeout: float = ...,
    expected_exception: ErrorTypes = ...,
    time_source: Callable[[], float] | None = ...,
) -> Callable[[F], F]: ...
@overload
def circuit_breaker(function: F, /) -> F: ...
def circuit_breaker(
    failure_threshold: Any = 5,
    recovery_timeout: float = 60.0,
    expected_exception: ErrorTypes = Exception,
    time_source: Callable[[], float] | None = None,
) -> Any:
    """Decorates a function so that it is not called while it keeps failing, but a RuntimeError is raised."""
    if callable(failure_threshold):
        return circuit_breaker()(failure_threshold)

    def circuit() -> Circuit:
        return Circuit(failure_threshold, recovery_timeout, expected_exception, time_source)

    circuit()  # refuses what makes no sense before there is a function

    def decorator(function: F) -> F:
        return cast(F, decorate(function, circuit()._breaker))

    return decorator


def fallback(*fallback_funcs: Callable[..., Any]) -> Callable[[F], F]:
    """Decorates a function so that others answer when it fails; the last one's error is raised as it is."""
    given: list[Any] = list(fallback_funcs)
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = [*cast("list[Any]", given[0])]
    chain = Chain(given, (Exception,)) if given else None

    def decorator(function: F) -> F:
        return function if chain is None else cast(F, decorate(function, chain))

    return decorator
