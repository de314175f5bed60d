"""A decorated function is a function: everything that one does with functions goes on working."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import logging
import pickle
import sys
import traceback
import types
import weakref
from typing import Any

import pytest

from seawall import (
    CircuitBreaker,
    CircuitBreakerOpenError,
    FallbackChain,
    FallbackExhaustedError,
    RetryExecutor,
    RetryExhaustedError,
    RetryPolicy,
    TimedOutError,
    circuit_breaker,
    fallback,
    retry,
    timeout,
)

quick = retry(max_attempts=2, base_delay=0)


@fallback([lambda: "fallback"])
@circuit_breaker(failure_threshold=5)
@retry(max_attempts=2, base_delay=0)
def protected(a: int, /, b: int = 2, *args: int, c: int, d: int = 4, **more: int) -> tuple[Any, ...]:
    """Its documentation."""
    return a, b, args, c, d, more


def test_a_wrapper_is_a_real_function_with_the_parameters_of_its_own() -> None:
    assert type(protected) is types.FunctionType
    assert protected.__name__ == protected.__qualname__ == "protected"
    assert protected.__doc__ == "Its documentation." and protected.__module__ == __name__
    text = "(a: 'int', /, b: 'int' = 2, *args: 'int', c: 'int', d: 'int' = 4, **more: 'int') -> 'tuple[Any, ...]'"
    assert str(inspect.signature(protected)) == text
    own = inspect.signature(protected, follow_wrapped=False)
    assert [str(p.kind) for p in own.parameters.values()] == [
        str(p.kind) for p in inspect.signature(protected).parameters.values()
    ]
    assert protected(1, c=3) == (1, 2, (), 3, 4, {})
    assert protected(1, 5, 6, 7, c=3, d=8, e=9) == (1, 5, (6, 7), 3, 8, {"e": 9})
    with pytest.raises(TypeError, match=r"protected\(\) missing 1 required keyword-only argument: 'c'"):
        protected(1)  # type: ignore[call-arg]


def test_what_is_no_call_of_the_operation_is_no_failure_of_it() -> None:
    calls = CircuitBreaker(failure_threshold=1).protect(lambda a: a)
    with pytest.raises(TypeError):
        calls()
    assert calls.seawall.breaker.state == "closed"


def test_defaults_are_the_very_objects() -> None:
    default: list[int] = []

    @quick
    def append(value: int, to: list[int] = default, *, also: list[int] = default) -> list[int]:
        assert also is default
        to.append(value)
        return to

    assert append(1) is default and append(2) is default and default == [1, 2]


def test_what_is_called_has_its_own_parameters_whatever_it_shows() -> None:
    """Frameworks show less, or other, than they take."""

    @functools.wraps(test_defaults_are_the_very_objects)
    def shows_less(*args: object, **more: object) -> tuple[Any, ...]:
        return args, more

    shown = inspect.Signature(
        [inspect.Parameter("a", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=1)]
    )
    shows_less.__signature__ = shown  # type: ignore[attr-defined]
    for function in (quick(shows_less), quick(functools.partial(shows_less))):
        assert function() == ((), {}) and function(1, 2, hidden=3) == ((1, 2), {"hidden": 3})
    assert inspect.signature(quick(shows_less)) == shown

    def keywords(*, a: int = 1) -> int:
        return a

    keywords.__signature__ = shown  # type: ignore[attr-defined]
    assert quick(keywords)(a=3) == 3 and quick(keywords)() == 1


def test_parameters_may_be_called_as_ours() -> None:
    @circuit_breaker
    def awkward(_seawall_core: int, core: int, self: int, fn: int, *, _seawall__error: int) -> int:
        return _seawall_core + core + self + fn + _seawall__error

    assert awkward(1, 2, 3, fn=4, _seawall__error=5) == 15


def test_a_stack_is_one_wrapper() -> None:
    assert protected.__wrapped__ is protected.seawall.unprotected  # type: ignore[attr-defined]
    assert not hasattr(protected.__wrapped__, "seawall")  # type: ignore[attr-defined]
    assert repr(protected.seawall) == "<fallback > breaker > retry>"  # type: ignore[attr-defined]
    assert protected.seawall.policy.max_attempts == 2  # type: ignore[attr-defined]


def test_a_stack_ends_at_a_foreign_decorator() -> None:
    calls = []

    def foreign(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper() -> Any:
            calls.append("foreign")
            return function()

        return wrapper

    def operation() -> None:
        calls.append("operation")
        raise ValueError

    inner = foreign(retry(max_attempts=2, base_delay=0)(operation))
    # `functools.wraps` has copied our mark to it.
    assert inner.seawall.policy.max_attempts == 2
    outer = retry(max_attempts=3, base_delay=0, retry_on_exhausted=True)(inner)
    with pytest.raises(RetryExhaustedError):
        outer()
    assert calls == ["foreign", "operation", "operation"] * 3
    assert len(outer.seawall.layers) == 1


def test_methods_of_all_kinds_are_protected() -> None:
    class Client:
        calls = 0

        @quick
        def method(self, fail: bool = False) -> object:
            Client.calls += 1
            if fail:
                raise ValueError
            return self

        @classmethod
        @quick
        def below_class(cls) -> object:
            return cls

        @quick
        @classmethod
        def above_class(cls) -> object:
            return cls

        @staticmethod
        @quick
        def below_static() -> int:
            return 1

        @quick
        @staticmethod
        def above_static() -> int:
            return 2

        @quick
        async def coroutine(self) -> object:
            return self

    client = Client()
    assert client.method() is client
    assert Client.below_class() is Client and client.above_class() is Client
    assert Client.below_static() == 1 and client.above_static() == 2
    assert asyncio.run(client.coroutine()) is client
    with pytest.raises(RetryExhaustedError):
        client.method(fail=True)
    assert Client.calls == 3
    assert client.method.seawall.policy is not None  # type: ignore[attr-defined]


class AsyncCallable:
    """Called, it gives a coroutine."""

    async def __call__(self, value: int) -> int:
        return value


def test_partials_and_callable_objects_are_seen_for_what_they_are() -> None:
    async def add(a: int, b: int) -> int:
        return a + b

    partial = quick(functools.partial(add, 1))
    assert inspect.iscoroutinefunction(partial) and asyncio.run(partial(2)) == 3
    assert partial.__name__ == "add"  # type: ignore[attr-defined]
    by_name = quick(functools.partial(add, b=1))
    assert asyncio.run(by_name(2)) == 3 and asyncio.run(by_name(2, b=5)) == 7
    called = quick(AsyncCallable())
    assert inspect.iscoroutinefunction(called) and asyncio.run(called(5)) == 5
    assert called.__name__ == "AsyncCallable"  # type: ignore[attr-defined]
    assert quick(max)(3, 9) == 9 and quick(len)([1]) == 1
    assert quick(AsyncCallable().__call__).__name__ == "__call__"


def test_a_coroutine_function_stays_one() -> None:
    @quick
    async def operation() -> int:
        return 1

    assert inspect.iscoroutinefunction(operation)
    assert not inspect.iscoroutinefunction(protected)
    assert asyncio.run(operation()) == 1


def sync_generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


def traced(function: Any) -> Any:
    """As many tracing packages do it, for sync and async functions alike."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


async def fail_later() -> None:
    raise KeyError


@pytest.mark.parametrize(
    "looks_sync", [traced(fail_later), lambda: fail_later(), functools.partial(traced(fail_later))]
)
def test_a_coroutine_from_a_sync_function_is_no_success(looks_sync: Any) -> None:
    """It has not run yet: to take it for a result would protect nothing, and say nothing."""
    breaker = CircuitBreaker()
    decorated = [retry(looks_sync), breaker.protect(looks_sync), fallback(lambda: 1)(retry(looks_sync))]
    by_hand = [
        lambda: breaker.call(looks_sync),
        lambda: RetryExecutor().execute_sync(looks_sync),
        lambda: FallbackChain(lambda: 1).execute_sync(looks_sync),
    ]
    for call in decorated + by_hand:
        for _ in range(3):
            with pytest.raises(TypeError, match="gives a coroutine"):
                call()


def test_what_the_first_call_gives_is_looked_at_once_and_not_as_long_as_it_fails() -> None:
    gives: list[Any] = [KeyError(), None, 1]

    @circuit_breaker
    def operation() -> Any:
        given = gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given or fail_later()

    with pytest.raises(KeyError):
        operation()
    with pytest.raises(TypeError, match="gives a coroutine"):
        operation()
    assert operation() == 1
    assert not operation.seawall._stack.core  # type: ignore[attr-defined]


@pytest.mark.parametrize("decorator", [quick, circuit_breaker(), fallback([int]), timeout(1)])
def test_what_cannot_be_protected_is_refused_at_decoration(decorator: Any) -> None:
    for generator in (sync_generator, async_generator, functools.partial(sync_generator)):
        with pytest.raises(TypeError, match="generator"):
            decorator(generator)
    with pytest.raises(TypeError, match="not a class"):
        decorator(AsyncCallable)
    with pytest.raises(TypeError, match="only functions"):
        decorator(5)


def test_a_wrapper_pickles_by_reference_and_copies_as_itself() -> None:
    assert pickle.loads(pickle.dumps(protected)) is protected
    assert copy.copy(protected) is protected and copy.deepcopy(protected) is protected


def test_attributes_can_be_set_and_are_taken_over() -> None:
    def operation() -> None: ...

    operation.mark = 1  # type: ignore[attr-defined]
    wrapped = quick(operation)
    assert wrapped.mark == 1  # type: ignore[attr-defined]
    wrapped.mark = 2  # type: ignore[attr-defined]
    assert weakref.ref(wrapped)() is wrapped


@pytest.mark.parametrize("failing", [False, True])
def test_a_decorated_closure_can_be_freed(failing: bool) -> None:
    class Big: ...

    big = Big()
    watch = weakref.ref(big)

    @fallback([lambda: 1])
    @circuit_breaker
    @quick
    def closure(big: Big = big) -> None:
        if failing:
            raise ValueError

    closure()
    breaker = weakref.ref(closure.seawall.breaker)  # type: ignore[attr-defined]
    del big, closure
    gc.collect()
    assert watch() is None and breaker() is None


def fail(*args: object) -> None:
    raise ValueError


async def fail_async() -> None:
    raise ValueError


def fail_once() -> Any:
    left = iter([True])

    def operation() -> None:
        if next(left, False):
            raise ValueError

    return operation


def breaks(*given: object) -> Any:
    raise RuntimeError


async def stays() -> None:
    await asyncio.sleep(60)


def looping_until_it_works() -> None:
    operation = fail_once()
    for attempt in RetryPolicy(max_attempts=2, base_delay=0):
        with attempt:
            operation()


def looping() -> None:
    for attempt in RetryPolicy(max_attempts=2, base_delay=0):
        with attempt:
            raise ValueError


@pytest.mark.parametrize(
    "call",
    [
        quick(fail),
        retry(max_attempts=2, base_delay=0, reraise=True)(fail),
        circuit_breaker(fail),
        circuit_breaker(key=lambda: 1)(fail),
        circuit_breaker(quick(fail)),
        quick(circuit_breaker(fail)),
        retry(max_attempts=4, base_delay=0)(circuit_breaker(fail)),
        retry(max_attempts=4, base_delay=0)(circuit_breaker(fail_async)),
        fallback([lambda: 1])(quick(fail)),
        fallback([fail, fail])(quick(fail)),
        fallback([fail, lambda: 1])(fail),
        lambda: quick(fail_once())(),
        lambda: RetryExecutor(RetryPolicy(base_delay=0)).execute_sync(fail),
        lambda: CircuitBreaker().call(fail),
        looping,
        looping_until_it_works,
        retry(on_retry=breaks)(circuit_breaker(fail)),
        retry(retry_on=breaks)(circuit_breaker(fail)),
        retry(time_source=breaks)(fail),
        retry(sleep_func=breaks)(circuit_breaker(fail)),
        CircuitBreaker(failure_predicate=breaks).protect(fail),
        fallback([int], fallback_on=breaks)(fail),
        quick(fail_async),
        fallback([fail_async, fail])(circuit_breaker(quick(fail_async))),
    ],
)
def test_a_failed_call_leaves_no_cycle_behind(call: Any) -> None:
    class Local: ...

    watches = []

    def one() -> None:
        local = Local()
        watches.append(weakref.ref(local))
        try:
            called = call()
            if inspect.iscoroutine(called):
                # No loop: nothing of it waits.
                called.send(None)
        except (ValueError, RuntimeError, TimedOutError, StopIteration):
            pass

    gc.collect()
    gc.disable()
    try:
        one()
        assert watches[0]() is None
    finally:
        gc.enable()


def test_a_call_that_timed_out_leaves_no_cycle_behind() -> None:
    limited = quick(timeout(0)(stays))

    async def left() -> int:
        gc.collect()
        with contextlib.suppress(TimedOutError):
            await limited()
        return gc.collect()

    async def main() -> None:
        await left()  # asyncio makes things of its own, once
        assert await left() == 0

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_attempts_are_no_context_of_one_another() -> None:
    errors = [ValueError(1), ValueError(2)]
    left = iter(errors)

    @retry(max_attempts=2, base_delay=0, reraise=True)
    def fails() -> None:
        raise next(left)

    with pytest.raises(ValueError) as caught:
        fails()
    assert caught.value is errors[1]
    assert [error.__context__ for error in errors] == [None, None]
    shown = "".join(traceback.format_exception(caught.value))
    assert "raise next(left)" in shown and ", in fails\n    return _seawall_" in shown


def test_recursion_goes_as_deep_as_without() -> None:
    @fallback([lambda depth: -1])
    @circuit_breaker
    @quick
    def down(depth: int) -> int:
        return 0 if depth == 0 else down(depth - 1) + 1

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(30_000)
    try:
        assert down(10_000) == 10_000
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("kind", [RetryPolicy, RetryExecutor, CircuitBreaker, FallbackChain])
def test_every_setting_is_explained(kind: type) -> None:
    explained = str(kind.__doc__)
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name != "policy":
            assert f"``{name}``" in explained or f"``{name}(" in explained, name


def test_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    # The records that pytest keeps are not ours.
    monkeypatch.setattr(logging.getLogger("seawall"), "disabled", True)

    @fallback([lambda flag: "fallback"])
    @circuit_breaker
    @quick
    def operation(flag: object) -> object:
        return flag

    async def operation_async(flag: object) -> object:
        return flag

    wrapped_async = circuit_breaker(quick(operation_async))
    rejecting = CircuitBreaker()
    rejecting.isolate()

    @rejecting.protect
    def rejected() -> None: ...

    @fallback([lambda: 1])
    @quick
    def failing() -> int:
        raise ValueError

    async def many() -> None:
        for _ in range(2000):
            await wrapped_async(flag)

    def all_of_it() -> None:
        for _ in range(2000):
            operation(flag)
            try:
                rejected()
            except CircuitBreakerOpenError:
                pass
        for _ in range(200):
            failing()
        asyncio.run(many())
        gc.collect()

    flag = object()
    all_of_it()
    blocks, references = sys.getallocatedblocks(), sys.getrefcount(flag)
    for _ in range(3):
        all_of_it()
    assert sys.getrefcount(flag) == references
    assert sys.getallocatedblocks() - blocks < 200


def test_statistics_tell_what_happened() -> None:
    fails = iter([True, False, True, True, False])

    @fallback([lambda: None])
    @retry(max_attempts=2, base_delay=0)
    def operation() -> None:
        if next(fails):
            raise ValueError

    for _ in range(3):
        operation()
    counts = operation.seawall.statistics  # type: ignore[attr-defined]
    assert {kind: count for kind, count in counts.items() if count} == {
        "failures": 3,
        "retries": 2,
        "recovered": 1,
        "exhausted": 1,
        "fallbacks": 1,
    }
