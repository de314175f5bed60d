"""Fallback: who answers, with what arguments, and what the caller gets where nobody does."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import Any

import pytest
from conftest import Run

from seawall import FallbackChain, FallbackExhaustedError, RetryExhaustedError, _signatures, fallback, retry


def fail(*args: object) -> Any:
    raise ValueError(*args)


async def fail_async(*args: object) -> Any:
    raise ValueError(*args)


def test_the_first_that_succeeds_answers() -> None:
    asked: list[str] = []

    def cache() -> str:
        asked.append("cache")
        raise KeyError

    def backup() -> str:
        asked.append("backup")
        return "backup"

    def default() -> str:
        raise AssertionError

    for decorated in (fallback([cache, backup, default])(fail), fallback(cache, backup, default)(fail)):
        assert decorated() == "backup" and asked == ["cache", "backup"]
        asked.clear()
    assert fallback([fail])(lambda: "primary")() == "primary"


class Method:
    def bound(self) -> str:
        return "nothing"

    def __call__(self, *given: object) -> object:
        return given


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (lambda: "nothing", "nothing"),
        (lambda optional=1: "nothing", "nothing"),
        (lambda **more: "nothing", "nothing"),
        (Method().bound, "nothing"),
        (functools.partial(lambda a, b: "nothing", 1, 2), "nothing"),
        (dict, {}),
        (lambda a, b: (a, b), (1, 2)),
        (lambda *given: given, (1, 2)),
        (lambda a, *, b: (a, b), (1, 2)),
        (Method(), (1, 2)),
        (functools.partial(lambda c, a, b: (a, b), 9), (1, 2)),
    ],
)
def test_a_fallback_is_called_with_what_its_signature_asks_for(entry: Any, answer: object) -> None:
    def by_name(a: int, *, b: int) -> int:
        raise ValueError

    def in_order(a: int, b: int) -> int:
        raise ValueError

    if _signatures.wants_arguments(entry) and "*, b" in str(_signatures.signature(entry)):
        assert fallback(entry)(by_name)(1, b=2) == answer
    else:
        assert fallback(entry)(in_order)(1, 2) == answer


def test_its_own_type_error_is_no_reason_to_call_it_otherwise() -> None:
    calls: list[tuple[object, ...]] = []

    def broken(*given: object) -> Any:
        calls.append(given)
        raise TypeError("missing 1 required positional argument")

    with pytest.raises(FallbackExhaustedError):
        fallback(broken)(fail)(1)
    assert calls == [(1,)]


def test_sync_and_async_can_be_mixed(run: Run) -> None:
    async def later() -> str:
        return "later"

    for entries in ([fail, later], [lambda: fail_async(), lambda: later()], [lambda: "later"], [fail_async, later]):
        assert run(fallback(entries)(fail_async)()) == "later"
    with pytest.raises(TypeError, match="`fallbacks` .* coroutine"):
        fallback([later])(fail)
    # What cannot be seen before is an error of the fallback, and no coroutine is left behind.
    with pytest.raises(FallbackExhaustedError) as caught:
        fallback([lambda: later()])(fail)()
    assert "coroutines" in str(caught.value.fallback_errors)


def test_where_nobody_answers_all_is_told() -> None:
    primary, first, second = ValueError("primary"), KeyError("first"), OSError("second")

    def raising(error: Exception) -> Any:
        def operation() -> None:
            raise error

        return operation

    with pytest.raises(FallbackExhaustedError) as caught:
        fallback([raising(first), raising(second)])(raising(primary))()
    assert caught.value.primary_error is primary and caught.value.fallback_errors == (first, second)


def test_it_says_when_the_primary_had_been_tried_again() -> None:
    with pytest.raises(FallbackExhaustedError) as caught:
        fallback([fail])(retry(max_attempts=2, base_delay=0)(fail))()
    assert isinstance(caught.value.primary_error, ValueError)
    assert "gave up after 2 attempts" in caught.value.__notes__[0]


class OwnNames(Exception):
    attempts = 0  # ours are called so: it cannot be joined


@pytest.mark.parametrize("between", [lambda function: function, lambda function: lambda: function()])
@pytest.mark.parametrize("error", [KeyError("a"), OwnNames()])
def test_every_clause_of_the_page_catches_what_it_is_named_for(between: Any, error: Exception) -> None:
    """In one stack as across a foreign decorator, whichever stands outside."""

    def operation() -> None:
        raise error

    again = retry(max_attempts=2, base_delay=0)
    with pytest.raises(FallbackExhaustedError) as caught:
        fallback(fail)(between(again(operation)))()
    assert isinstance(caught.value, RetryExhaustedError) and caught.value.attempts == 2
    assert isinstance(caught.value.primary_error, RetryExhaustedError)
    assert caught.value.last_error is caught.value.primary_error.last_error is error
    with pytest.raises(RetryExhaustedError) as outside:
        again(between(fallback(fail)(operation)))()
    assert outside.value.attempts == 2
    if isinstance(error, KeyError):
        assert isinstance(caught.value, KeyError) and isinstance(outside.value, KeyError)
        assert isinstance(outside.value, FallbackExhaustedError)
        assert isinstance(outside.value.fallback_errors[0], ValueError)
    else:
        assert isinstance(outside.value.__cause__, FallbackExhaustedError)


def test_it_answers_only_for_what_it_is_told_to() -> None:
    covered = fallback([lambda *given: "fallback"], fallback_on=(KeyError, OSError))
    with pytest.raises(ValueError):
        covered(fail)()
    by_predicate = fallback([lambda *given: "fallback"], fallback_on=lambda error: error.args == (1,))
    assert by_predicate(fail)(1) == "fallback"
    with pytest.raises(ValueError):
        by_predicate(fail)(2)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_ends_the_caller_is_not_covered(kind: type[BaseException]) -> None:
    def end() -> None:
        raise kind

    with pytest.raises(kind):
        fallback([lambda: None], fallback_on=BaseException)(end)()
    with pytest.raises(kind):
        fallback([end, lambda: None])(fail)()


def test_a_chain_runs_by_itself_and_decorates(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "seawall")
    chain = FallbackChain([lambda: "fallback"], name="chain")
    assert chain.execute_sync(fail, 1) == "fallback" == run(chain.execute_async(fail_async, 1))
    assert chain.execute_sync(lambda a: a, 5) == 5
    assert fallback(chain)(fail)() == "fallback"
    assert len(chain) == 1 and len(chain.fallbacks) == 1 and "FallbackChain" in repr(chain)
    with pytest.raises(TypeError, match="execute_async"):
        chain.execute_sync(fail_async)
    record = vars(caplog.records[0])
    assert (record["event"], record["entry"], record["policy_name"]) == ("fallback_used", 1, "chain")
    assert record["error_type"] == "ValueError" and record["levelname"] == "INFO"


@pytest.mark.parametrize(
    ("error", "given", "words"),
    [
        (ValueError, ([],), "`fallbacks`"),
        (TypeError, ([5],), "`fallbacks` .* 5: a value is written"),
        (TypeError, (None,), "`fallbacks` .* None"),
        (TypeError, ([lambda: 1], 5), "`fallbacks`"),
        (TypeError, (), "fallbacks"),
    ],
)
def test_what_is_no_fallback_is_refused(error: type[Exception], given: tuple[Any, ...], words: str) -> None:
    with pytest.raises(error, match=words):
        fallback(*given)


def test_other_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="`fallback_on`"):
        fallback([fail], fallback_on=())
    with pytest.raises(TypeError, match="`name` .* 5"):
        fallback([fail], name=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="FallbackChain"):
        fallback(FallbackChain(fail), name="other")
