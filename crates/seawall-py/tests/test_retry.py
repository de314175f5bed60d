"""Retry: how often, when, and what the caller gets."""

from __future__ import annotations

import asyncio
import copy
import datetime
import logging
import os
import pickle
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Run

from seawall import (
    BackoffStrategy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    Event,
    RetryBudget,
    RetryExecutor,
    RetryExhaustedError,
    RetryPolicy,
    TimedOutError,
    http_retry_after,
    observe,
    retry,
)
from seawall.testing import ManualClock


class Operation:
    """Fails with the errors given, then returns `value`; counts its calls."""

    def __init__(self, *errors: BaseException | None, value: object = "done") -> None:
        self.errors = list(errors)
        self.value = value
        self.calls = 0

    def __call__(self, *args: object) -> object:
        self.calls += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return self.value

    async def later(self, *args: object) -> object:
        await checkpoint()
        return self()


async def checkpoint() -> None:
    from seawall import _waiting

    await _waiting.checkpoint()


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    with ManualClock() as clock:
        yield clock


exact = RetryPolicy(jitter=False)


@pytest.mark.parametrize(
    ("settings", "delays"),
    [
        ({"backoff": "fixed"}, [1, 1, 1, 1, 1]),
        ({"backoff": "linear"}, [1, 2, 3, 4, 5]),
        ({"backoff": BackoffStrategy.LINEAR, "multiplier": 1.5}, [1, 2.5, 4, 5.5, 7]),
        ({"backoff_strategy": "exponential"}, [1, 2, 4, 8, 16]),
        ({"multiplier": 3.0}, [1, 3, 9, 27, 60]),
        ({"backoff": "fibonacci", "base_delay": 2}, [2, 2, 4, 6, 10]),
        ({"base_delay": datetime.timedelta(milliseconds=100)}, [0.1, 0.2, 0.4, 0.8, 1.6]),
    ],
)
def test_delays_follow_the_strategy(settings: dict[str, Any], delays: list[float]) -> None:
    policy = RetryPolicy(jitter=False, **settings)
    assert [policy.calculate_delay(n) for n in range(1, 6)] == delays


@pytest.mark.parametrize(
    ("jitter", "low", "high"),
    [(True, 0.75, 1.25), ("full", 0, 1), ("equal", 0.5, 1), ("none", 1, 1), ("plus_minus_10", 0.9, 1.1)],
)
def test_jitter_spreads_as_its_word_says(jitter: bool | str, low: float, high: float) -> None:
    draws = [RetryPolicy(jitter=jitter).calculate_delay(1) for _ in range(2000)]
    width = high - low
    assert low <= min(draws) <= low + width * 0.05 and high - width * 0.05 <= max(draws) <= high


def test_decorrelated_is_a_strategy_that_jitter_selects_too() -> None:
    policy = RetryPolicy(jitter="decorrelated")
    assert policy == RetryPolicy(backoff="decorrelated")
    assert all(1 <= policy.calculate_delay(1) <= 3 for _ in range(100))


@pytest.mark.parametrize(
    ("error", "settings", "words"),
    [
        (TypeError, {"max_attempts": True}, "`max_attempts` .* True"),
        (TypeError, {"max_attempts": 3.0}, "`max_attempts` .* 3.0"),
        (TypeError, {"max_attempts": None}, "`max_attempts` .* None"),
        (ValueError, {"max_attempts": 0}, "`max_attempts` .* 0"),
        (ValueError, {"max_attempts": -1}, "`max_attempts` .* -1"),
        (ValueError, {"max_attempts": 2**40}, "`max_attempts` .* 1099511627776"),
        (TypeError, {"base_delay": True}, "`base_delay` .* True"),
        (TypeError, {"base_delay": "1"}, "`base_delay` .* '1'"),
        (ValueError, {"base_delay": -0.5}, "`base_delay` .* -0.5"),
        (ValueError, {"base_delay": float("nan")}, "`base_delay` .* nan"),
        (ValueError, {"base_delay": float("inf")}, "`base_delay` .* inf"),
        (ValueError, {"base_delay": datetime.timedelta(-1)}, "`base_delay` .*days=-1"),
        (ValueError, {"base_delay": 10**400}, "`base_delay`"),
        (ValueError, {"max_delay": -1}, "`max_delay` .* -1"),
        (ValueError, {"base_delay": 5, "max_delay": 1}, "`max_delay` .* `base_delay`, but is 1s"),
        (ValueError, {"multiplier": -1.0}, "`multiplier` .* -1"),
        (ValueError, {"multiplier": float("nan")}, "`multiplier` .* NaN"),
        (TypeError, {"multiplier": "2"}, "`multiplier` .* '2'"),
        (ValueError, {"backoff": "quadratic"}, "`backoff_strategy` .* quadratic"),
        (TypeError, {"backoff": 1}, "`backoff_strategy` .* 1"),
        (TypeError, {"backoff": "fixed", "backoff_strategy": "fixed"}, "`backoff`"),
        (ValueError, {"jitter": "some"}, "`jitter` .* some"),
        (ValueError, {"jitter": "plus_minus_101"}, "`jitter` .* plus_minus_101"),
        (TypeError, {"jitter": 0.5}, "`jitter` .* 0.5"),
        (ValueError, {"total_timeout": float("nan")}, "`total_timeout` .* nan"),
        (ValueError, {"max_retry_after": -1}, "`max_retry_after` .* -1"),
        (ValueError, {"retry_on": ()}, r"`retry_on` .* \(\)"),
        (TypeError, {"retry_on": (ValueError, 5)}, "`retry_on` .* 5"),
        (TypeError, {"retry_on": int}, "`retry_on` .* <class 'int'>"),
        (TypeError, {"retry_on": "ValueError"}, "`retry_on` .* 'ValueError'"),
        (TypeError, {"retry_on": asyncio.sleep}, "`retry_on` .* coroutine"),
        (TypeError, {"retry_after": 5}, "`retry_after` .* 5"),
        (TypeError, {"retry_if_result": 5}, "`retry_if_result` .* 5"),
        (TypeError, {"retry_if_result": 0}, "`retry_if_result` .* 0"),
        (TypeError, {"retry_after": ()}, r"`retry_after` .* \(\)"),
        (TypeError, {"retry_on_open": "no"}, "`retry_on_open` .* 'no'"),
        (TypeError, {"retry_on_exhausted": None}, "`retry_on_exhausted` .* None"),
        (TypeError, {"attempts": 5}, "attempts"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_value(
    error: type[Exception], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(error, match=words):
        RetryPolicy(**settings)
    with pytest.raises(error, match=words):
        retry(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"on_retry": 5}, "`on_retry` .* 5"),
        ({"on_retry": lambda: None}, "2 to 3 arguments"),
        ({"budget": 5}, "`budget` .* 5"),
        ({"time_source": asyncio.sleep}, "`time_source` .* coroutine"),
        ({"sleep_func": asyncio.sleep}, "`sleep_func` .* coroutine"),
        ({"policy": 5}, "`policy` .* 5"),
        ({"policy": exact, "max_attempts": 5}, "`policy` .*`max_attempts`"),
        ({"name": 5}, "`name` .* 5"),
        ({"reraise": "no"}, "`reraise` .* 'no'"),
    ],
)
def test_what_cannot_be_attached_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        retry(**settings)


def test_errors_are_named_in_front_or_as_a_setting() -> None:
    with pytest.raises(ValueError, match="`exceptions`"):
        retry(())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="as both"):
        retry(ValueError, retry_on=KeyError)
    with pytest.raises(TypeError, match="`policy`"):
        retry(ValueError, policy=exact)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="`exceptions` .* 5"):
        retry(5)  # type: ignore[call-overload]


def test_a_policy_is_frozen_plain_data() -> None:
    policy = RetryPolicy(max_attempts=5, base_delay=2, retry_on=(ValueError, KeyError))
    same = RetryPolicy(max_attempts=5, base_delay=2.0, retry_on=(ValueError, KeyError))
    assert policy == same and hash(policy) == hash(same) and len({policy, same, exact}) == 2
    assert policy != RetryPolicy() and policy != 5
    with pytest.raises(AttributeError, match="max_attempts"):
        policy.max_attempts = 3
    with pytest.raises(AttributeError):
        del policy.max_attempts
    with pytest.raises(TypeError):
        RetryPolicy(3)  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert copy.copy(policy) is policy and copy.deepcopy(policy) is policy
    assert repr(RetryPolicy(jitter=False)) == (
        "RetryPolicy(max_attempts=3, backoff_strategy='exponential', base_delay=1.0, max_delay=60.0,"
        " multiplier=2.0, jitter=False, max_retry_after=60.0)"
    )
    assert (policy.jitter, exact.jitter, RetryPolicy(jitter="full").jitter) == (True, False, "full")
    assert RetryPolicy(base_delay=90).max_delay == 90 and RetryPolicy(max_delay=0.5).base_delay == 0.5


def test_a_policy_says_what_it_would_do() -> None:
    policy = RetryPolicy(retry_on=ValueError)
    assert policy.should_retry(ValueError(), 2) and not policy.should_retry(ValueError(), 3)
    assert not policy.should_retry(KeyError(), 1)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="`attempt`"):
            policy.calculate_delay(wrong)
    with pytest.raises(TypeError, match="`attempt`"):
        policy.calculate_delay(True)
    assert 45 <= policy.calculate_delay(10**30) <= 60


def test_transient_failures_are_tried_again_and_waited_for(clock: ManualClock) -> None:
    operation = Operation(ValueError(), ValueError())
    assert retry(jitter=False)(operation)() == "done"
    assert operation.calls == 3 and clock.sleeps == [1, 2]


def test_transient_failures_are_tried_again_on_every_loop(clock: ManualClock, run: Run) -> None:
    operation = Operation(ValueError(), ValueError())
    assert run(retry(jitter=False)(operation.later)()) == "done"
    assert operation.calls == 3 and clock.sleeps == [1, 2]
    with pytest.raises(RetryExhaustedError):
        run(retry(jitter=False)(Operation(*[ValueError()] * 3).later)())


def test_real_waiting_takes_its_time(run: Run) -> None:
    import time

    began = time.monotonic()
    assert retry(base_delay=0.02, jitter=False)(Operation(ValueError()))() == "done"
    assert run(retry(base_delay=0.02, jitter=False)(Operation(ValueError()).later)()) == "done"
    assert 0.04 <= time.monotonic() - began < 5


def test_exhaustion_tells_all() -> None:
    errors = [ValueError(n) for n in range(3)]
    with pytest.raises(RetryExhaustedError) as caught:
        retry(base_delay=0)(Operation(*errors))()
    error = caught.value
    assert error.attempts == 3 and error.last_error is errors[2] and error.elapsed >= 0
    assert error.attempt_errors == tuple(errors)


class Unjoinable(Exception):
    """Its fields are named like ours."""

    attempts = "mine"


def test_the_error_is_of_the_operation_s_type_as_well() -> None:
    error = FileNotFoundError(2, "gone", "a.txt")
    with pytest.raises(FileNotFoundError) as caught:
        retry(FileNotFoundError, base_delay=0)(Operation(error, error, error))()
    assert isinstance(caught.value, RetryExhaustedError) and caught.value.attempts == 3
    assert caught.value.filename == "a.txt" and caught.value.last_error is error


def test_a_type_that_cannot_be_joined_is_warned_of_at_decoration() -> None:
    with pytest.warns(RuntimeWarning, match="Unjoinable cannot be joined") as warned:
        decorated = retry(Unjoinable, base_delay=0)(Operation(*[Unjoinable()] * 3))
    assert warned[0].filename == __file__
    with pytest.raises(RetryExhaustedError) as caught:
        decorated()
    assert not isinstance(caught.value, Unjoinable) and isinstance(caught.value.__cause__, Unjoinable)
    with pytest.raises(Unjoinable):
        retry(Unjoinable, base_delay=0, reraise=True)(Operation(*[Unjoinable()] * 3))()


def test_a_permanent_error_is_raised_as_it_is() -> None:
    for before in (0, 1):
        error = KeyError("no")
        operation = Operation(*[ValueError()] * before, error)
        with pytest.raises(KeyError) as caught:
            retry(ValueError, base_delay=0)(operation)()
        assert caught.value is error and operation.calls == before + 1


def test_reraise_raises_the_very_object() -> None:
    error = ValueError()
    with pytest.raises(ValueError) as caught:
        retry(base_delay=0, reraise=True)(Operation(error, error, error))()
    assert caught.value is error and error.__context__ is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_ends_the_caller_is_never_tried_again(kind: type[BaseException]) -> None:
    for decorator in (retry, retry(kind), retry(BaseException), retry(retry_on=lambda error: True)):
        operation = Operation(kind())
        with pytest.raises(kind):
            decorator(operation)()
        assert operation.calls == 1


def test_an_own_base_exception_is_tried_again_where_it_is_named() -> None:
    class Odd(BaseException): ...

    with pytest.raises(Odd):
        retry(base_delay=0)(Operation(Odd()))()
    assert retry(Odd, base_delay=0)(Operation(Odd()))() == "done"


def test_predicates_see_the_error() -> None:
    seen = []

    def is_busy(error: BaseException) -> bool:
        seen.append(error)
        return error.args == ("busy",)

    assert retry(retry_on=is_busy, base_delay=0)(Operation(ValueError("busy")))() == "done"
    with pytest.raises(ValueError, match="broken"):
        retry(retry_on=is_busy, base_delay=0)(Operation(ValueError("broken")))()
    assert [error.args for error in seen] == [("busy",), ("broken",)]


def test_results_can_be_tried_again_and_the_last_one_stands() -> None:
    values = iter([None, None, 5])
    decorated = retry(retry_if_result=lambda value: value is None, base_delay=0)(lambda: next(values))
    assert decorated() == 5
    refused = retry(retry_if_result=lambda value: value is None, base_delay=0)(Operation(value=None))
    assert refused() is None and refused.seawall.unprotected.calls == 3  # type: ignore[attr-defined]


def test_inner_exhaustion_and_open_breakers_are_not_multiplied() -> None:
    operation = Operation(*[ValueError()] * 99)
    both = retry(max_attempts=2, base_delay=0)(retry(max_attempts=3, base_delay=0)(operation))
    with pytest.raises(RetryExhaustedError):
        both()
    assert operation.calls == 3
    told = retry(max_attempts=2, base_delay=0, retry_on_exhausted=True)(
        retry(max_attempts=3, base_delay=0)(operation)
    )
    with pytest.raises(RetryExhaustedError):
        told()
    assert operation.calls == 9
    breaker = CircuitBreaker()
    breaker.isolate()
    rejections: list[int] = []
    rejected = retry(base_delay=0, on_retry=lambda n, error: rejections.append(n))(breaker.protect(operation))
    with pytest.raises(CircuitBreakerOpenError):
        rejected()
    assert rejections == []
    for how in (retry(retry_on_open=True, base_delay=0), retry(CircuitBreakerOpenError, base_delay=0)):
        with pytest.raises(RetryExhaustedError):
            how(breaker.protect(operation))()
    assert operation.calls == 9


def test_retry_after_is_a_floor_and_ends_the_call_above_its_limit(clock: ManualClock) -> None:
    def wish(error: BaseException) -> Any:
        return error.args[0]

    decorated = retry(retry_after=wish, jitter=False)
    assert decorated(Operation(ValueError(30), ValueError(None)))() == "done"
    assert clock.sleeps == [30, 2]
    clock.sleeps.clear()
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=40)
    assert decorated(Operation(ValueError(soon)))() == "done"
    assert decorated(Operation(ValueError(datetime.timedelta(seconds=7))))() == "done"
    assert decorated(Operation(ValueError(datetime.datetime.now() - datetime.timedelta(1))))() == "done"
    assert 39 < clock.sleeps[0] <= 40 and clock.sleeps[1:] == [7, 1]
    for too_long in (61, float("inf"), 10**400):
        operation = Operation(*[ValueError(too_long)] * 3)
        with pytest.raises(RetryExhaustedError):
            decorated(operation)()
        assert operation.calls == 1
    clock.sleeps.clear()
    # What is no time asks for nothing.
    for nonsense in ("soon", float("nan"), -1, True):
        assert decorated(Operation(ValueError(nonsense)))() == "done" and clock.sleeps.pop() == 1


def test_retry_after_is_read_off_http_responses() -> None:
    class Response:
        def __init__(self, **headers: str) -> None:
            self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    class HTTPError(Exception):
        response: Response

    error = HTTPError()
    assert http_retry_after(error) is None
    error.response = Response(Retry_After="120")
    assert http_retry_after(error) == 120
    error.response = Response(Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    when = http_retry_after(error)
    assert when == datetime.datetime(2015, 10, 21, 7, 28, tzinfo=datetime.timezone.utc)
    for nonsense in ("soon", "-1", ""):
        error.response = Response(Retry_After=nonsense)
        assert http_retry_after(error) is None


def test_no_sleep_ends_past_the_total_timeout(clock: ManualClock) -> None:
    policy = RetryPolicy(max_attempts=99, total_timeout=10, jitter=False, backoff="fixed", base_delay=4)
    operation = Operation(*[ValueError()] * 99)
    with pytest.raises(RetryExhaustedError) as caught:
        retry(policy=policy)(operation)()
    assert operation.calls == 3 and clock.sleeps == [4, 4] and caught.value.elapsed == 8


def test_a_budget_bounds_the_retries_of_all_who_share_it() -> None:
    budget = RetryBudget(ratio=0.1, floor=2)
    operations = [Operation(*[ValueError()] * 99) for _ in range(2)]
    for operation in operations:
        with pytest.raises(RetryExhaustedError):
            retry(max_attempts=9, base_delay=0, budget=budget)(operation)()
    assert [operation.calls for operation in operations] == [3, 1] and budget.available == 0
    healthy = retry(budget=budget)(Operation())
    for _ in range(10):
        healthy()
    assert budget.available == 1


@pytest.mark.parametrize(
    ("ratio", "floor", "words"),
    [(2.0, 1, "`ratio` .* 2"), (float("nan"), 1, "`ratio` .* NaN"), (0.5, 0, "`floor` .* 0"), (0.5, -1, "`floor`")],
)
def test_budgets_that_make_no_sense_are_refused(ratio: float, floor: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RetryBudget(ratio, floor)


def test_listeners_take_two_or_three_arguments(clock: ManualClock, run: Run) -> None:
    heard: list[tuple[Any, ...]] = []
    error = ValueError()

    async def later(attempt: int, failure: BaseException) -> None:
        await checkpoint()
        heard.append((attempt, failure))

    retry(jitter=False, on_retry=lambda attempt, error: heard.append((attempt, error)))(Operation(error))()
    retry(jitter=False, on_retry=lambda a, e, delay: heard.append((a, e, delay)))(Operation(error))()
    run(retry(jitter=False, on_retry=later)(Operation(error).later)())
    assert heard == [(1, error), (1, error, 1.0), (1, error)]
    with pytest.raises(TypeError, match="`on_retry` .* coroutine"):
        retry(on_retry=later)(Operation())
    successes: list[object] = []
    assert retry(on_success=successes.append)(Operation())() == "done"
    assert retry(base_delay=0, on_success=successes.append)(Operation(error))() == "done"
    assert successes == ["done", "done"]


def test_a_listener_that_fails_hides_no_error() -> None:
    error = ValueError()

    def listener(attempt: int, error: BaseException) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        retry(base_delay=0, on_retry=listener)(Operation(error))()
    assert caught.value.__context__ is error


def broken(*given: object) -> Any:
    raise RuntimeError


async def broken_async(*given: object) -> None:
    raise RuntimeError


def interrupted(seconds: float) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "settings",
    [
        {"retry_on": broken},
        {"retry_after": broken},
        {"time_source": broken},
        {"on_retry": broken},
        {"sleep_func": broken, "async_sleep_func": broken},
        {"sleep_func": interrupted, "async_sleep_func": interrupted},
        {"sleep_func": interrupted, "async_sleep_func": broken_async},
    ],
)
def test_whatever_fails_beside_the_operation_shows_its_error(settings: dict[str, Any], run: Run) -> None:
    error = ValueError()
    with pytest.raises((RuntimeError, KeyboardInterrupt)) as caught:
        retry(**settings)(Operation(error))()
    assert caught.value.__context__ is error
    with pytest.raises((RuntimeError, KeyboardInterrupt)) as caught:
        run(retry(**settings)(Operation(error).later)())
    assert caught.value.__context__ is error


def test_an_async_listener_that_fails_shows_the_error(run: Run) -> None:
    error = ValueError()
    with pytest.raises(RuntimeError) as caught:
        run(retry(on_retry=broken_async)(Operation(error).later)())
    assert caught.value.__context__ is error


@pytest.mark.parametrize("field", ["sleep_func", "on_retry", "on_success"])
def test_what_a_sync_call_cannot_await_is_refused(field: str) -> None:
    """A sleep that nobody awaits would be none."""
    settings: Any = {field: lambda *given: asyncio.sleep(0)}
    if field == "on_retry":
        settings = {field: lambda attempt, error: asyncio.sleep(0)}
    with pytest.raises(TypeError, match=f"`{field}` must not give a coroutine"):
        retry(**settings)(Operation(ValueError()) if field != "on_success" else Operation())()


def test_an_async_sleep_must_be_one(run: Run) -> None:
    settings: Any = {"async_sleep_func": lambda seconds: None}
    with pytest.raises(TypeError, match="`async_sleep_func` must give an awaitable, .* None"):
        run(retry(**settings)(Operation(ValueError()).later)())


@pytest.mark.parametrize("reading", ["now", None, 1j])
def test_a_clock_must_give_seconds(reading: Any) -> None:
    with pytest.raises(TypeError, match=f"`time_source` must give seconds, .* {reading!r}"):
        retry(time_source=lambda: reading)(Operation(ValueError()))()
    with pytest.raises(TypeError, match="`time_source` must give seconds"):
        CircuitBreaker(time_source=lambda: reading, failure_threshold=1).call(Operation(ValueError()))


@pytest.mark.parametrize(("reading", "shown"), [(10**400, "1000"), (10**5000, "too long")], ids=["400", "5000"])
def test_a_clock_that_shows_more_than_a_float_holds_is_named(reading: int, shown: str) -> None:
    told = f"`time_source` must give seconds that a float can hold, .*{shown}"
    with pytest.raises(ValueError, match=told):
        retry(time_source=lambda: reading)(Operation(ValueError()))()
    with pytest.raises(ValueError, match=told):
        CircuitBreaker(time_source=lambda: reading, failure_threshold=1).call(Operation(ValueError()))


def test_a_sleep_that_would_be_left_unused_is_refused(run: Run) -> None:
    def sleep(seconds: float) -> None: ...

    async def sleep_async(seconds: float) -> None: ...

    operation = Operation()
    executor = RetryExecutor(sleep_func=sleep)
    for use in (
        lambda: retry(sleep_func=sleep)(operation.later),
        lambda: retry(sleep_func=sleep)(retry(operation.later)),
        lambda: run(executor.execute_async(operation.later)),
        lambda: aiter(executor),
    ):
        with pytest.raises(TypeError, match="`sleep_func` is not used for a coroutine function: give `async_sleep_func`"):
            use()
    executor = RetryExecutor(async_sleep_func=sleep_async)
    for use in (
        lambda: retry(async_sleep_func=sleep_async)(operation),
        lambda: executor.execute_sync(operation),
        lambda: iter(executor),
    ):
        with pytest.raises(TypeError, match="`async_sleep_func` is not used for a sync function: give `sleep_func`"):
            use()
    assert operation.calls == 0
    both = retry(sleep_func=sleep, async_sleep_func=sleep_async)
    assert both(operation)() == "done" and run(both(operation.later)()) == "done"


def test_a_seed_draws_the_same_delays_again(clock: ManualClock) -> None:
    def delays(**settings: Any) -> list[list[float]]:
        guarded = retry(max_attempts=4, jitter="full", **settings)(Operation(*[ValueError()] * 8))
        told = []
        for _ in range(2):
            clock.sleeps.clear()
            with pytest.raises(ValueError):
                guarded()
            told.append(list(clock.sleeps))
        return told

    one, two = delays(seed=7)
    assert [one, two] == delays(seed=7) and one != two, "each call draws from a stream of its own"
    assert delays(seed=8)[0] == two, "the next seed's"
    assert delays() != delays(), "and without one, from chance"
    last = 2**64 - 1
    assert delays(seed=last)[1] == delays(seed=0)[0]
    for wrong in (-1, 2**64, 10**5000, True, 1.0, "7"):
        with pytest.raises((TypeError, ValueError), match="`seed`"):
            retry(seed=wrong)  # type: ignore[call-overload]


def test_so_many_errors_of_earlier_attempts_are_kept_as_one_asks_for() -> None:
    errors = [ValueError(n) for n in range(70)]
    for keep, kept in ({}, errors[-65:]), ({"keep_errors": 0}, errors[-1:]), ({"keep_errors": 99}, errors):
        settings: Any = keep
        with pytest.raises(RetryExhaustedError) as caught:
            retry(max_attempts=70, base_delay=0, **settings)(Operation(*errors))()
        assert caught.value.attempt_errors == tuple(kept)
    assert "keep_errors" not in repr(RetryPolicy()) and "keep_errors=0" in repr(RetryPolicy(keep_errors=0))
    assert RetryPolicy(keep_errors=1) != RetryPolicy() == RetryPolicy(keep_errors=64)
    for wrong in (-1, 65536, True, 1.0):
        with pytest.raises((TypeError, ValueError), match="`keep_errors`"):
            RetryPolicy(keep_errors=wrong)  # type: ignore[arg-type]


def test_clocks_and_sleeps_can_be_given(run: Run) -> None:
    clock = ManualClock()
    policy = RetryPolicy(jitter=False, total_timeout=100)
    executor = RetryExecutor(
        policy, time_source=clock, sleep_func=clock.sleep, async_sleep_func=clock.sleep_async
    )
    with pytest.raises(RetryExhaustedError) as caught:
        executor.execute_sync(Operation(*[ValueError()] * 3), 1)
    assert caught.value.elapsed == 3 and clock.sleeps == [1, 2]
    assert run(executor.execute_async(Operation(ValueError()).later, 1)) == "done"
    assert clock.sleeps == [1, 2, 1]


def test_a_delay_of_nothing_calls_no_sleep(run: Run) -> None:
    def never(seconds: float) -> Any:
        raise AssertionError

    executor = RetryExecutor(RetryPolicy(base_delay=0), sleep_func=never, async_sleep_func=never)
    assert executor.execute_sync(Operation(ValueError())) == "done"
    assert run(executor.execute_async(Operation(ValueError()).later)) == "done"


def test_executors_tell_sync_from_async(run: Run) -> None:
    executor = RetryExecutor(RetryPolicy(base_delay=0))
    with pytest.raises(TypeError, match="coroutine function"):
        executor.execute_sync(Operation().later)
    # A lambda that gives a coroutine, and a plain function, are awaited as they come.
    assert run(executor.execute_async(lambda: Operation().later())) == "done"
    assert run(executor.execute_async(Operation(ValueError()))) == "done"  # type: ignore[arg-type]


def test_loops_swallow_what_is_tried_again(clock: ManualClock, run: Run) -> None:
    def loop() -> list[int]:
        made = []
        for attempt in exact:
            with attempt:
                made.append(attempt.number)
                if attempt.number < 3:
                    raise ValueError
        return made

    async def loop_async() -> list[int]:
        made = []
        async for attempt in exact:
            with attempt:
                made.append(attempt.number)
                await checkpoint()
                if attempt.number < 3:
                    raise ValueError
        return made

    assert loop() == [1, 2, 3] == run(loop_async())
    assert clock.sleeps == [1, 2, 1, 2]


def test_loops_end_as_calls_do(run: Run) -> None:
    policy = RetryPolicy(retry_on=ValueError, base_delay=0)

    def loop(error: BaseException | None) -> str:
        for attempt in policy:
            with attempt:
                if error is not None:
                    raise error
                break
        else:
            return "ended"
        return "broken off"

    with pytest.raises(RetryExhaustedError) as caught:
        loop(ValueError())
    assert caught.value.attempts == 3
    key = KeyError()
    with pytest.raises(KeyError) as other:
        loop(key)
    assert other.value is key
    assert loop(None) == "broken off"
    # One that nobody enters has nothing to go on for.
    assert [attempt.number for attempt in policy] == [1]

    async def never_entered() -> list[int]:
        return [attempt.number async for attempt in policy]

    assert run(never_entered()) == [1]


def test_cancellation_while_waiting_stays_one(run: Run) -> None:
    async def main() -> int:
        operation = Operation(*[ValueError()] * 3)
        task = asyncio.ensure_future(retry(base_delay=60)(operation.later)())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return operation.calls

    assert asyncio.run(main()) == 1


def test_records_carry_their_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "seawall")
    with pytest.raises(RetryExhaustedError):
        retry(max_attempts=2, base_delay=0, name="fetch")(Operation(ValueError("secret"), ValueError()))()
    scheduled, exhausted = caplog.records
    assert (scheduled.levelname, exhausted.levelname) == ("DEBUG", "WARNING")
    fields = vars(scheduled)
    assert fields["event"] == "retry_scheduled" and fields["policy_name"] == "fetch"
    assert fields["attempt"] == 1 and fields["max_attempts"] == 2 and fields["delay_ms"] == 0
    assert fields["error_type"] == "ValueError" and vars(exhausted)["reason"] == "attempts"
    # The text of an error may hold what a log must not.
    assert "secret" not in caplog.text


def test_nothing_is_built_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("seawall"), "disabled", True)
    monkeypatch.setattr("seawall._events.tell", lambda *told: pytest.fail("told"))
    assert retry(base_delay=0)(Operation(ValueError()))() == "done"


def test_observers_hear_of_everything_and_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("observer")

    stops = [observe(broken), observe(heard.append)]
    try:
        assert retry(base_delay=0)(Operation(ValueError()))() == "done"
    finally:
        for stop in stops:
            stop()
    (event,) = heard
    assert event.kind == "retry_scheduled" and event.attempt == 1 and "attempt=1" in repr(event)
    with pytest.raises(AttributeError, match="colour"):
        _ = event.colour
    assert "an observer raised" in caplog.text
    retry(base_delay=0)(Operation(ValueError()))()
    assert len(heard) == 1
    with pytest.raises(TypeError, match="`callback` .* 5"):
        observe(5)  # type: ignore[arg-type]


def test_events_can_be_sent_on() -> None:
    event = Event("retry_scheduled", {"attempt": 1})
    for sent in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert sent.kind == "retry_scheduled" and sent.attempt == 1


def test_timed_out_attempts_are_transient() -> None:
    assert retry(base_delay=0)(Operation(TimedOutError(1.0)))() == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_draws_its_own_jitter() -> None:
    policy = RetryPolicy(jitter="full", base_delay=60)
    policy.calculate_delay(1)

    def child() -> float:
        here, there = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(there, repr(policy.calculate_delay(1)).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(there)
        with os.fdopen(here) as pipe:
            return float(pipe.read())

    draws = {child(), child(), child(), policy.calculate_delay(1)}
    assert len(draws) == 4
