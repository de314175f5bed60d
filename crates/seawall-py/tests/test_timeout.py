"""Timeout: what runs too long is cancelled, and the caller's own cancellation stays one."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any

import pytest
import trio
from conftest import Run

from seawall import CircuitBreaker, RetryExhaustedError, TimedOutError, _waiting, circuit_breaker, retry, timeout


async def forever() -> None:
    await _waiting.sleep_async(60)


def test_what_runs_too_long_is_cancelled(run: Run) -> None:
    ended: list[BaseException] = []

    @timeout(0.01)
    async def operation() -> None:
        try:
            await forever()
        except BaseException as error:
            ended.append(error)
            raise

    with pytest.raises(TimeoutError) as caught:
        run(operation())
    assert type(caught.value) is TimedOutError and caught.value.limit == 0.01
    assert type(ended[0]).__name__ in ("CancelledError", "Cancelled")
    assert run(timeout(60)(_waiting.checkpoint)()) is None


def test_the_operation_s_own_errors_pass(run: Run) -> None:
    error = TimeoutError("its own")

    @timeout(60)
    async def operation() -> None:
        raise error

    with pytest.raises(TimeoutError) as caught:
        run(operation())
    assert caught.value is error


def test_the_caller_s_cancellation_stays_one() -> None:
    async def main(protected: Any) -> None:
        task = asyncio.ensure_future(protected())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main(timeout(60)(forever)))
    asyncio.run(main(retry(timeout(60)(forever))))

    async def in_trio() -> bool:
        with trio.move_on_after(0.01) as scope:
            await retry(timeout(60)(forever))()
        return scope.cancelled_caught

    assert trio.run(in_trio)


def test_each_attempt_inside_a_retry_has_its_own_limit(run: Run) -> None:
    attempts: list[int] = []

    @retry(max_attempts=2, base_delay=0)
    @timeout(0.01)
    async def operation() -> None:
        attempts.append(1)
        await forever()

    with pytest.raises(RetryExhaustedError) as caught:
        run(operation())
    assert len(attempts) == 2 and isinstance(caught.value.last_error, TimedOutError)


def test_a_limit_around_a_retry_ends_its_waiting(run: Run) -> None:
    @timeout(0.01)
    @retry(base_delay=60)
    async def operation() -> None:
        raise ValueError

    with pytest.raises(TimedOutError):
        run(operation())


def test_a_breaker_around_it_counts_a_failure(run: Run) -> None:
    protected = circuit_breaker(failure_threshold=1)(timeout(0.01)(forever))
    with pytest.raises(TimedOutError):
        run(protected())
    assert protected.seawall.breaker.state == "open"  # type: ignore[attr-defined]


def test_context_variables_are_the_caller_s(run: Run) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @timeout(60)
    @retry(base_delay=0)
    async def operation() -> None:
        variable.set(variable.get() + 1)
        if variable.get() < 3:
            raise ValueError

    async def main() -> int:
        await operation()
        return variable.get()

    assert run(main()) == 3


@pytest.mark.parametrize("limit", [float("nan"), -1, float("inf")])
def test_limits_that_make_no_sense_are_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="`seconds`"):
        timeout(limit)


def test_it_is_for_coroutine_functions_and_needs_its_seconds() -> None:
    with pytest.raises(TypeError, match="async"):
        timeout(1)(lambda: None)  # type: ignore[arg-type, type-var]
    for nothing in (forever, True, None):
        with pytest.raises(TypeError, match="seconds"):
            timeout(nothing)  # type: ignore[arg-type]


def test_no_timer_is_armed_for_what_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", lambda limit: pytest.fail("armed"))
    breaker = CircuitBreaker(failure_threshold=1)

    @timeout(60)
    async def operation(value: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    guarded = breaker.protect(operation)

    async def main() -> None:
        assert await operation(1) == 1 == await guarded(1)
        for protected in (operation, guarded):
            with pytest.raises(KeyError):
                # Failed at once: what follows goes the slow way, which arms one.
                monkeypatch.undo()
                await protected(KeyError())
        assert breaker.state == "open"

    asyncio.run(main())


def test_asyncio_is_asked_for_its_loop_only_where_trio_could_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is a system call, dearer than all the rest of the call."""
    asked: list[bool] = []
    loop = asyncio._get_running_loop

    def asking() -> object:
        asked.append(True)
        return loop()

    async def operation(type: object) -> object:
        return type

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "_get_running_loop", asking)
        limited = timeout(60)(operation)
        guarded = CircuitBreaker().protect(limited)
    for protected in (limited, guarded):
        monkeypatch.delitem(sys.modules, "trio", raising=False)
        assert asyncio.run(protected(1)) == 1 and asked == []
        monkeypatch.setitem(sys.modules, "trio", trio)
        assert asyncio.run(protected(1)) == 1 and asked.pop()


def test_what_was_started_goes_on_as_it_began(run: Run) -> None:
    """The first attempt is run once, keeps what it is given, and sees what is thrown into it."""
    steps: list[object] = []

    @retry(max_attempts=2, base_delay=0)
    @circuit_breaker(failure_threshold=5)
    @timeout(60)
    async def operation() -> str:
        steps.append("begun")
        await _waiting.checkpoint()
        await _waiting.sleep_async(0.001)
        await _waiting.checkpoint()
        steps.append("on")
        if len(steps) < 4:
            raise ValueError
        return "done"

    assert run(operation()) == "done" and steps == ["begun", "on"] * 2


def test_a_limit_around_a_retry_counts_from_its_first_attempt() -> None:
    began: list[float] = []

    @timeout(0.05)
    @retry(max_attempts=99, base_delay=0)
    async def operation() -> None:
        began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        raise ValueError

    async def main() -> float:
        with pytest.raises(TimedOutError):
            await operation()
        return asyncio.get_running_loop().time() - began[0]

    assert 0.045 < asyncio.run(main()) < 1 and len(began) > 1


def test_a_coroutine_that_is_closed_while_it_waits_is_closed_inside() -> None:
    ended: list[BaseException] = []

    @timeout(60)
    async def operation() -> None:
        try:
            await asyncio.sleep(60)
        except BaseException as error:
            ended.append(error)
            raise

    async def main() -> None:
        coroutine = operation()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(main())
    assert [type(error) for error in ended] == [GeneratorExit]


class AsyncCallable:
    async def __call__(self) -> str:
        await _waiting.checkpoint()
        return "called"


def test_callable_objects_have_limits_too(run: Run) -> None:
    assert run(timeout(60)(AsyncCallable())()) == "called"
