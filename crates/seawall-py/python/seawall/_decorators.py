"""`retry`, `circuit_breaker`, `fallback`, `timeout`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from . import _signatures
from ._arguments import UNSET, ErrorTypes, Predicate, Seconds, checked_sync, checked_types
from ._breaker import CircuitBreaker, CircuitBreakers, Key, Keyed
from ._calls import Layer
from ._fallback import FallbackChain
from ._retry import (
    BackoffStrategy,
    RetryAfter,
    RetryExecutor,
    RetryPolicy,
    warn_of_unjoinable,
)
from ._seawall import RetryBudget
from ._timeout import Timeout
from ._wrapper import decorate

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class _Decorator:
    __slots__ = ("_layer",)

    def __init__(self, layer: Layer) -> None:
        self._layer = layer


class Same(_Decorator):
    """A decorator that gives a function of the same type."""

    __slots__ = ()

    def __call__(self, function: F) -> F:
        return cast(F, decorate(function, self._layer))


def _is_error_type(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, BaseException)


# The types of errors come first: a class is a callable too, and `@retry(ValueError)` would be one.
@overload
def retry(  # type: ignore[overload-overlap] # a type of errors is never the function to protect
    *exceptions: type[BaseException],
    max_attempts: int = ...,
    backoff: BackoffStrategy | str | None = ...,
    backoff_strategy: BackoffStrategy | str | None = ...,
    base_delay: Seconds | None = ...,
    max_delay: Seconds | None = ...,
    multiplier: float | None = ...,
    jitter: bool | str = ...,
    total_timeout: Seconds | None = ...,
    max_retry_after: Seconds | None = ...,
    retry_on: ErrorTypes | Predicate = ...,
    retry_if_result: Callable[[Any], object] | None = ...,
    retry_after: RetryAfter | None = ...,
    retry_on_open: bool = ...,
    retry_on_exhausted: bool = ...,
    keep_errors: int = ...,
    on_retry: Callable[..., object] | None = ...,
    on_success: Callable[..., object] | None = ...,
    budget: RetryBudget | None = ...,
    reraise: bool = ...,
    name: str | None = ...,
    seed: int | None = ...,
    time_source: Callable[[], float] | None = ...,
    sleep_func: Callable[[float], object] | None = ...,
    async_sleep_func: Callable[[float], Awaitable[object]] | None = ...,
) -> Same: ...
@overload
def retry(
    *,
    policy: RetryPolicy,
    on_retry: Callable[..., object] | None = ...,
    on_success: Callable[..., object] | None = ...,
    budget: RetryBudget | None = ...,
    reraise: bool = ...,
    name: str | None = ...,
    seed: int | None = ...,
    time_source: Callable[[], float] | None = ...,
    sleep_func: Callable[[float], object] | None = ...,
    async_sleep_func: Callable[[float], Awaitable[object]] | None = ...,
) -> Same: ...
@overload
def retry(function: Callable[P, T], /) -> Callable[P, T]: ...
def retry(
    *exceptions: Any,
    policy: RetryPolicy | None = None,
    on_retry: Callable[..., object] | None = None,
    on_success: Callable[..., object] | None = None,
    budget: RetryBudget | None = None,
    reraise: bool = False,
    name: str | None = None,
    seed: int | None = None,
    time_source: Callable[[], float] | None = None,
    sleep_func: Callable[[float], object] | None = None,
    async_sleep_func: Callable[[float], Awaitable[object]] | None = None,
    **settings: Any,
) -> Any:
    """Decorates a function so that it is tried again after transient failures.

    ``@retry``, ``@retry(max_attempts=5)``, ``@retry(ConnectionError, TimeoutError, base_delay=0.1)``. The
    settings are those of :class:`RetryPolicy`; ``policy=`` stands for all of them.
    """
    function = None
    if len(exceptions) == 1 and not _is_error_type(exceptions[0]) and not isinstance(exceptions[0], tuple):
        (function,) = exceptions
        exceptions = ()
        # A descriptor, such as a property, is refused by name where functions are decorated.
        if not (callable(function) or hasattr(type(function), "__get__")):
            raise TypeError(f"`exceptions` must be types of errors, but has {function!r}")
    if exceptions:
        if "retry_on" in settings:
            raise TypeError("types of errors are given in front or as `retry_on`, and not as both")
        kinds = exceptions[0] if len(exceptions) == 1 and isinstance(exceptions[0], tuple) else exceptions
        settings["retry_on"] = types = checked_types("exceptions", kinds)
        if not reraise:
            warn_of_unjoinable(types)
    if policy is not None and settings:
        other = ", ".join(f"`{setting}`" for setting in settings)
        raise TypeError(f"`policy` has all settings: {other} cannot be given beside it")
    if policy is None:
        unknown = settings.keys() - _SETTINGS
        if unknown:
            raise TypeError(f"`retry` has no setting {', '.join(f'`{name}`' for name in sorted(unknown))}")
        policy = RetryPolicy(**settings)
    executor = RetryExecutor(
        policy,
        on_retry=on_retry,
        on_success=on_success,
        budget=budget,
        reraise=reraise,
        name=name,
        seed=seed,
        time_source=time_source,
        sleep_func=sleep_func,
        async_sleep_func=async_sleep_func,
    )
    decorator = Same(executor)
    return decorator if function is None else decorator(function)


_SETTINGS: Final = inspect.signature(RetryPolicy.__init__).parameters.keys() - {"self"}


@overload
def circuit_breaker(
    *,
    failure_threshold: int | None = ...,
    recovery_timeout: Seconds | None = ...,
    expected_exception: ErrorTypes | Predicate = ...,
    name: str | None = ...,
    success_threshold: int | None = ...,
    failure_window: Seconds | None = ...,
    over_calls: int | None = ...,
    failure_rate: float | None = ...,
    minimum_calls: int | None = ...,
    failure_predicate: Predicate | None = ...,
    slow_call_rate: float | None = ...,
    slow_call_duration: Seconds | None = ...,
    recovery_multiplier: float | None = ...,
    max_recovery_timeout: Seconds | None = ...,
    recovery_jitter: float | None = ...,
    probes: int | None = ...,
    probe_lease: Seconds | None = ...,
    on_state_change: Callable[..., object] | None = ...,
    time_source: Callable[[], float] | None = ...,
    dry_run: bool = ...,
    key: str | Key | None = ...,
    max_keys: int = ...,
) -> Same: ...
@overload
def circuit_breaker(function: Callable[P, T], /) -> Callable[P, T]: ...
def circuit_breaker(
    function: Any = None,
    /,
    *,
    key: str | Key | None = None,
    max_keys: int | None = None,
    **settings: Any,
) -> Any:
    """Decorates a function so that it is no longer called while it keeps failing.

    The settings are those of :class:`CircuitBreaker`. With ``key=``, a function of the call's arguments or
    the name of one of them, each key has a breaker of its own, at most ``max_keys`` (1024) at a time.
    """
    if function is not None and not (
        callable(function) or hasattr(type(function), "__get__")
    ):
        raise TypeError(f"`circuit_breaker` takes its settings by name, but was given {function!r}")
    if key is None:
        if max_keys is not None:
            raise TypeError("`max_keys` needs a `key`")
        breaker: Any = Same(CircuitBreaker(**settings))
    else:
        breaker = _ByKey(CircuitBreakers(max_keys=1024 if max_keys is None else max_keys, **settings), key)
    return breaker if function is None else breaker(function)


class _ByKey:
    __slots__ = ("_breakers", "_key")

    def __init__(self, breakers: CircuitBreakers, key: str | Key) -> None:
        self._breakers = breakers
        self._key = key if isinstance(key, str) else checked_sync("key", key)

    def __call__(self, function: Any) -> Any:
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        key: Key = self._key if not isinstance(self._key, str) else _argument(function, self._key)
        return decorate(function, Keyed(self._breakers, key))


def _argument(function: Any, name: str) -> Key:
    """What takes the argument `name` from a call of `function`."""
    found = _signatures.signature(function)
    if found is None or name not in found.parameters:
        raise ValueError(f"`key` must name a parameter of {function!r}, but is {name!r}")
    signature = found

    def key(*args: Any, **kwargs: Any) -> Hashable:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return cast(Hashable, bound.arguments[name])

    return key


def fallback(
    *fallbacks: Callable[..., Any] | Iterable[Callable[..., Any]] | FallbackChain,
    fallback_on: ErrorTypes | Predicate = UNSET,
    name: str | None = UNSET,
) -> Same:
    """Decorates a function so that others answer when it fails: ``fallback([a, b])`` or ``fallback(a, b)``.

    A fallback without required parameters and without ``*args`` is called with nothing, any other one
    with the function's arguments. A :class:`FallbackChain` does as well.
    """
    given: dict[str, Any] = {}
    if fallback_on is not UNSET:
        given["fallback_on"] = fallback_on
    if name is not UNSET:
        given["name"] = name
    if not fallbacks:
        raise TypeError("`fallback` needs its fallbacks: fallback([a, b]) or fallback(a, b)")
    if isinstance(fallbacks[0], FallbackChain):
        if len(fallbacks) > 1 or given:
            raise TypeError("a FallbackChain has all settings: nothing can be given beside it")
        return Same(fallbacks[0])
    return Same(FallbackChain(*cast(Any, fallbacks), **given))


AF = TypeVar("AF", bound=Callable[..., Coroutine[Any, Any, Any]])


class ForAsync(_Decorator):
    """A decorator for coroutine functions that gives one of the same type."""

    __slots__ = ()

    def __call__(self, function: AF) -> AF:
        return cast(AF, decorate(function, self._layer))


def timeout(seconds: Seconds, /) -> ForAsync:
    """Decorates a coroutine function so that a call is cancelled after so many seconds, or a ``timedelta``.

    It then raises TimedOutError. What the operation raises itself passes as it is, a TimeoutError included,
    and so does a cancellation from outside. A sync function is a TypeError.
    """
    if callable(seconds):
        raise TypeError("`timeout` needs its seconds: timeout(5)")
    return ForAsync(Timeout(seconds))
