"""An open breaker's rejections take a short way of their own, which nobody can tell from the long one."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import seawall
from seawall import CircuitBreaker, CircuitBreakerOpenError, CircuitState, fallback, retry
from seawall.testing import ManualClock


async def down_async() -> None:
    raise ConnectionError("down")


def down() -> None:
    raise ConnectionError("down")


def outcome(function: Callable[[], Any]) -> Any:
    try:
        result = function()
        return asyncio.run(awaited(result)) if inspect.isawaitable(result) else result
    except Exception as error:
        return error


async def awaited(awaitable: Any) -> Any:
    return await awaitable


both = pytest.mark.parametrize("operation", [down, down_async])


def opened(operation: Any, **settings: Any) -> tuple[CircuitBreaker, Any]:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=3_600, name="prices", **settings)
    function = breaker.protect(operation)
    assert isinstance(outcome(function), ConnectionError)
    return breaker, function


@both
def test_a_rejection_has_its_data_and_is_counted_everywhere(operation: Any) -> None:
    breaker, function = opened(operation)
    for _ in range(3):
        error = outcome(function)
        assert type(error) is CircuitBreakerOpenError
        assert error.name == "prices" and 3_590 < error.retry_after <= 3_600.1
    assert breaker.counters.rejected == 3
    assert function.seawall.statistics["rejected"] == 3
    assert isinstance(pickle.loads(pickle.dumps(error)), CircuitBreakerOpenError)


@both
def test_both_ways_say_the_same(operation: Any) -> None:
    breaker, function = opened(operation)
    short = outcome(function)
    long = outcome(lambda: breaker.call(down))
    assert (short.name, str(short)[:30]) == (long.name, str(long)[:30])
    assert short.retry_after == pytest.approx(long.retry_after, abs=0.5)


@both
def test_an_observer_hears_of_each(operation: Any) -> None:
    _, function = opened(operation)
    heard: list[str] = []
    stop = seawall.observe(lambda event: heard.append(event.kind))
    try:
        assert isinstance(outcome(function), CircuitBreakerOpenError)
    finally:
        stop()
    assert heard == ["circuit_breaker_rejected"]
    assert isinstance(outcome(function), CircuitBreakerOpenError)
    assert heard == ["circuit_breaker_rejected"]


@both
def test_what_stands_around_the_breaker_has_the_last_word(operation: Any) -> None:
    breaker, _ = opened(operation)
    assert outcome(fallback(lambda: "answer")(breaker.protect(operation))) == "answer"
    tried = retry(CircuitBreakerOpenError, max_attempts=2, base_delay=0, max_retry_after=7_200)
    with seawall.testing.no_waiting():
        error = outcome(tried(breaker.protect(operation)))
    assert isinstance(error, seawall.RetryExhaustedError) and error.attempts == 2


@both
def test_a_probe_that_is_due_is_made(operation: Any) -> None:
    with ManualClock() as clock:
        breaker, function = opened(operation)
        assert isinstance(outcome(function), CircuitBreakerOpenError)
        clock.advance(3_600)
        assert isinstance(outcome(function), ConnectionError)
        assert breaker.counters.reopenings == 1
    now = [0.0]
    breaker, function = opened(operation, time_source=lambda: now[0])
    assert outcome(function).retry_after == pytest.approx(3_600)
    now[0] = 3_600.0
    assert isinstance(outcome(function), ConnectionError)


@both
def test_a_breaker_held_open_says_no_time_and_one_that_only_tells_lets_through(operation: Any) -> None:
    breaker, function = opened(operation)
    breaker.isolate()
    assert outcome(function).retry_after is None
    assert breaker.state is CircuitState.ISOLATED
    breaker.reset()
    assert isinstance(outcome(function), ConnectionError)
    breaker, function = opened(operation, dry_run=True)
    assert isinstance(outcome(function), ConnectionError)
    assert breaker.counters.rejected == 1


@both
def test_a_kind_of_breaker_with_an_error_of_its_own_raises_it(operation: Any) -> None:
    class Refused(CircuitBreakerOpenError):
        pass

    class Own(CircuitBreaker):
        def _rejected(self, retry_after: float | None) -> CircuitBreakerOpenError:
            return Refused(self.name, retry_after)

    function = Own(failure_threshold=1).protect(operation)
    assert isinstance(outcome(function), ConnectionError)
    assert type(outcome(function)) is Refused
