"""What tests put in the place of the world: it takes over functions that it was never given."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from conftest import Run

from seawall import (
    CircuitBreaker,
    CircuitBreakerOpenError,
    RetryBudget,
    RetryExhaustedError,
    RetryPolicy,
    _seawall,
    _state,
    circuit_breaker,
    fallback,
    retry,
)
from seawall.testing import (
    InjectedError,
    ManualClock,
    MockCircuitBreaker,
    MockRetryExecutor,
    no_waiting,
    set_waiting,
)

calls: list[int] = []


@retry(ValueError, max_attempts=5)
def resilient_function() -> str:
    calls.append(1)
    return "success"


@retry(ValueError, max_attempts=5)
async def resilient_coroutine() -> str:
    calls.append(1)
    return "success"


@circuit_breaker
def guarded(error: BaseException | None = None) -> str:
    if error is not None:
        raise error
    return "success"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    calls.clear()
    yield
    assert _state.switches == 0 and _state.waiting
    assert not _seawall.Core(False, False, [], None, _seawall.Tally())


def test_a_mocked_retry_fails_without_the_operation_and_without_waiting() -> None:
    with MockRetryExecutor(max_attempts=3) as mock:
        mock.configure_failures(2)
        assert resilient_function() == "success"
        assert (mock.attempt_count, mock.call_count, mock.failure_count) == (3, 1, 2)
        assert len(calls) == 1
        assert 0.75 <= mock.delays[0] <= 1.25 and 1.5 <= mock.delays[1] <= 2.5
        assert resilient_function() == "success"
        assert mock.attempt_count == 4 and "4 attempts in 2 calls" in repr(mock)
    assert resilient_function() == "success" and mock.attempt_count == 4


def test_coroutines_are_mocked_in_their_task_and_its_children(run: Run) -> None:
    async def main() -> int:
        with MockRetryExecutor(max_attempts=3) as mock:
            mock.configure_failures(2)
            assert await resilient_coroutine() == "success"
        return mock.attempt_count

    async def children() -> int:
        async with MockRetryExecutor() as mock:
            await asyncio.gather(resilient_coroutine(), resilient_coroutine())
        return mock.call_count

    assert run(main()) == 3 and asyncio.run(children()) == 2


def test_another_task_or_thread_is_left_alone() -> None:
    async def main() -> None:
        entered, left = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            with MockRetryExecutor() as mock:
                mock.configure_failures(99)
                entered.set()
                await left.wait()
                assert mock.attempt_count == 0

        task = asyncio.ensure_future(other())
        await entered.wait()
        assert resilient_function() == "success"
        left.set()
        await task

    asyncio.run(main())
    with MockRetryExecutor() as mock:

        def alone() -> None:
            resilient_function()

        def attached() -> None:
            with mock.attach():
                resilient_function()

        for target in (alone, attached):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert mock.call_count == 1


def test_the_errors_of_a_mock_can_be_chosen() -> None:
    with MockRetryExecutor() as mock:
        mock.configure_failures(9)
        with pytest.raises(RetryExhaustedError) as caught:
            resilient_function()
        assert isinstance(caught.value.last_error, InjectedError) and mock.attempt_count == 5
        # Of a type of its own, it is up to the policy's predicates.
        mock.configure_failures(1, KeyError("permanent"))
        with pytest.raises(KeyError):
            resilient_function()
        mock.configure_failures(1, ValueError)
        assert resilient_function() == "success"
        before = mock.attempt_count
        mock.fail_in_sequence([True, ValueError("once"), False])
        assert resilient_function() == "success" and mock.attempt_count == before + 3
    assert fallback([lambda: "fallback"])(resilient_function)() == "success"


def test_a_mocked_call_spends_no_budget() -> None:
    budget = RetryBudget(0.1, 1)
    decorated = retry(budget=budget, max_attempts=9)(lambda: "done")
    with MockRetryExecutor() as mock:
        mock.configure_failures(5)
        assert decorated() == "done" and budget.available == 1
        # A loop runs its own body; it is spared the waiting.
        for attempt in RetryPolicy(base_delay=60):
            with attempt:
                if attempt.number < 3:
                    raise ValueError


@pytest.mark.parametrize(
    ("error", "make", "words"),
    [
        (ValueError, lambda: MockRetryExecutor(0), "`max_attempts` .* 0"),
        (TypeError, lambda: MockRetryExecutor(True), "`max_attempts` .* True"),
        (ValueError, lambda: MockRetryExecutor().configure_failures(-1), "`failures` .* -1"),
        (TypeError, lambda: MockRetryExecutor().configure_failures(1.5), "`failures` .* 1.5"),  # type: ignore[arg-type]
        (TypeError, lambda: MockRetryExecutor().fail_with(5), "`error` .* 5"),  # type: ignore[arg-type]
        (TypeError, lambda: set_waiting(1), "`on` .* 1"),  # type: ignore[arg-type]
        (TypeError, lambda: ManualClock("now"), "`start` .* 'now'"),  # type: ignore[arg-type]
        (ValueError, lambda: ManualClock().advance(float("nan")), "`seconds` .* nan"),
        (RuntimeError, lambda: MockRetryExecutor().__exit__(None, None, None), "entered"),
    ],
)
def test_nonsense_is_refused(error: type[Exception], make: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_a_mocked_breaker_stands_in_for_every_breaker() -> None:
    other = CircuitBreaker()
    real = guarded.seawall.breaker  # type: ignore[attr-defined]
    with MockCircuitBreaker() as mock:
        assert guarded() == "success"
        mock.force_open()
        for rejected in (guarded, lambda: other.call(guarded), lambda: other.__enter__()):
            with pytest.raises(CircuitBreakerOpenError) as caught:
                rejected()
        assert 0 < (caught.value.retry_after or 0) <= 60 and mock.rejection_count == 3
        assert other.state == real.state == mock.state == "open"
        mock.force_half_open()
        assert mock.state == "half_open" and mock.counters.probes_in_flight == 0
        assert guarded() == "success" and mock.state == "closed"
        mock.force_half_open()
        with pytest.raises(ValueError):
            guarded(ValueError())
        assert mock.state == "open"
        mock.force_closed()
        assert guarded() == "success"
        assert mock.transitions == [
            ("closed", "open"),
            ("open", "half_open"),
            ("half_open", "closed"),
            ("closed", "open"),
            ("open", "half_open"),
            ("half_open", "open"),
            ("open", "closed"),
        ]
    assert real.state == other.state == "closed" and real.counters.rejected == 0


def test_what_an_error_means_is_up_to_the_real_breaker() -> None:
    choosy = circuit_breaker(expected_exception=OSError)(guarded.seawall.unprotected)  # type: ignore[attr-defined]
    with MockCircuitBreaker(failure_threshold=1) as mock:
        with pytest.raises(ValueError):
            choosy(ValueError())
        assert mock.state == "closed"
        with pytest.raises(OSError):
            choosy(OSError())
        assert mock.state == "open"


def test_a_call_belongs_to_the_breaker_under_which_it_began() -> None:
    breaker = CircuitBreaker(failure_threshold=1)

    async def operation(gate: asyncio.Event) -> None:
        await gate.wait()
        raise ValueError

    async def main() -> None:
        gate = asyncio.Event()
        task = asyncio.ensure_future(breaker.protect(operation)(gate))
        await asyncio.sleep(0)
        with MockCircuitBreaker() as mock:
            gate.set()
            with pytest.raises(ValueError):
                await task
            assert mock.counters.consecutive_failures == 0

    asyncio.run(main())
    assert breaker.state == "open"


def test_time_stands_still_until_someone_sleeps() -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=30)
    with ManualClock(100) as clock:
        left = iter([1, 1])
        decorated = retry(jitter=False)(lambda: 1 / 0 if next(left, None) else clock())
        assert decorated() == 103 and clock.sleeps == [1, 2]
        with pytest.raises(ValueError):
            breaker.call(guarded, ValueError())
        assert breaker.time_until_probe == 30
        clock.advance(30)
        assert breaker.call(guarded) == "success" and breaker.state == "closed"
        # A mocked retry moves it on as well.
        with MockRetryExecutor() as mock:
            mock.configure_failures(1)
            before = clock.now()
            assert resilient_function() == "success"
            assert clock.now() - before == pytest.approx(mock.delays[0]) and "ManualClock" in repr(clock)
    assert calls == [1]


def test_waiting_can_be_turned_off(run: Run) -> None:
    left = iter(["a", "b"])

    @retry(base_delay=60)
    def operation() -> None:
        if next(left, None):
            raise ValueError

    @retry(base_delay=60)
    async def operation_async() -> None:
        operation.seawall.unprotected()  # type: ignore[attr-defined]

    with no_waiting():
        operation()
        left = iter(["a", "b"])
        run(operation_async())
    set_waiting(False)
    try:
        left = iter(["a"])
        operation()
    finally:
        set_waiting(True)


def test_stand_ins_may_be_left_in_any_order() -> None:
    one, two = MockRetryExecutor(), MockRetryExecutor()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    resilient_function()
    assert (one.call_count, two.call_count) == (0, 1)
    two.__exit__(None, None, None)
    resilient_function()
    assert (one.call_count, two.call_count) == (0, 1)


def test_the_plugin_brings_fixtures(
    seawall_clock: ManualClock,
    seawall_mock_retry: MockRetryExecutor,
    seawall_mock_breaker: MockCircuitBreaker,
    seawall_no_waiting: None,
) -> None:
    seawall_mock_retry.configure_failures(1)
    assert resilient_function() == "success" and seawall_clock.now() > 0
    seawall_mock_breaker.force_open()
    with pytest.raises(CircuitBreakerOpenError):
        guarded()
