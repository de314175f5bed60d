"""Circuit breaker: when it opens, whom it lets through, and what it tells."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import gc
import logging
import random
import sys
import threading
import weakref
from typing import Any

import pytest
from conftest import Run

from seawall import (
    CircuitBreaker,
    CircuitBreakerOpenError,
    CircuitBreakers,
    CircuitState,
    RetryExhaustedError,
    TimedOutError,
    _waiting,
    circuit_breaker,
    fallback,
    observe,
    retry,
)
from seawall.testing import ManualClock

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def fail(error: BaseException | None = None) -> None:
    raise ValueError if error is None else error


def failing(breaker: CircuitBreaker, times: int = 1, error: BaseException | None = None) -> None:
    for _ in range(times):
        with pytest.raises(ValueError if error is None else type(error)):
            breaker.call(fail, error)


def made(**settings: Any) -> tuple[CircuitBreaker, ManualClock]:
    clock = ManualClock()
    return CircuitBreaker(time_source=clock, **settings), clock


def test_it_opens_after_failures_in_a_row_and_closes_by_a_probe() -> None:
    breaker, clock = made(failure_threshold=3, recovery_timeout=30)
    failing(breaker, 2)
    assert breaker.call(int) == 0 and breaker.failure_count == 0
    failing(breaker, 2)
    assert breaker.state is CLOSED and breaker.failure_count == 2
    failing(breaker)
    assert breaker.state is OPEN and breaker.time_until_probe == 30
    clock.advance(29.999)
    with pytest.raises(CircuitBreakerOpenError) as caught:
        breaker.call(int)
    assert caught.value.retry_after == pytest.approx(0.001)
    clock.advance(0.001)
    failing(breaker)
    assert breaker.state is OPEN and breaker.counters.reopenings == 1
    clock.advance(30)
    assert breaker.call(int) == 0 and breaker.state is CLOSED
    assert breaker.counters.rejected == 1 and breaker.counters.opened == 2


def test_a_clock_that_steps_back_changes_nothing() -> None:
    breaker, clock = made(failure_threshold=1, recovery_timeout=30)
    clock.advance(-100)
    failing(breaker)
    clock.advance(-30)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call(int)
    assert breaker.state is OPEN
    clock.advance(60)
    assert breaker.call(int) == 0 and breaker.state is CLOSED
    # While it is closed, no step at all matters.
    failing(breaker, 1)
    breaker.reset()
    clock.advance(-1e6)
    assert breaker.call(int) == 0 and breaker.state is CLOSED


def test_the_machine_s_clock_ends_the_open_time() -> None:
    import time

    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=0.03)
    failing(breaker)
    with pytest.raises(CircuitBreakerOpenError):
        breaker.call(int)
    time.sleep(0.03)
    assert breaker.call(int) == 0


def test_a_rejection_carries_its_data() -> None:
    breaker, _ = made(failure_threshold=1, recovery_timeout=30, name="payments")
    failing(breaker)
    with pytest.raises(RuntimeError) as caught:
        breaker.call(int)
    error = caught.value
    assert isinstance(error, CircuitBreakerOpenError)
    assert (error.name, error.retry_after) == ("payments", 30) and "payments" in str(error)
    breaker.isolate()
    with pytest.raises(CircuitBreakerOpenError) as isolated:
        breaker.call(int)
    assert isolated.value.retry_after is None


def test_unexpected_errors_count_as_answers() -> None:
    breaker, _ = made(failure_threshold=2, expected_exception=ValueError)
    failing(breaker)
    failing(breaker, 1, KeyError())
    assert breaker.failure_count == 0
    several, _ = made(failure_threshold=1, expected_exception=(KeyError, OSError))
    failing(several, 5)
    failing(several, 1, TimeoutError())
    assert several.state is OPEN
    chosen, _ = made(failure_threshold=1, failure_predicate=lambda error: error.args == (503,))
    failing(chosen, 1, ValueError(404))
    assert chosen.state is CLOSED
    failing(chosen, 1, ValueError(503))
    assert chosen.state is OPEN


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_ends_the_caller_counts_neither_way(kind: type[BaseException]) -> None:
    breaker, clock = made(failure_threshold=2, recovery_timeout=1, expected_exception=BaseException)
    decorated = breaker.protect(fail)
    failing(breaker)
    for call in (lambda: breaker.call(fail, kind()), lambda: decorated(kind())):
        with pytest.raises(kind):
            call()
    assert breaker.failure_count == 1
    failing(breaker)
    clock.advance(1)
    # As a probe it gives its slot back at once.
    for _ in range(3):
        with pytest.raises(kind):
            breaker.call(fail, kind())
        assert breaker.state is HALF_OPEN and breaker.counters.probes_in_flight == 0
    breaker.call(int)
    assert breaker.state is CLOSED


def test_rates_over_the_last_calls_are_exact() -> None:
    breaker, _ = made(failure_rate=0.5, over_calls=4, minimum_calls=4)
    decorated = breaker.protect(lambda error=None: error and fail(error))
    for _ in range(10):
        decorated()
    failing(breaker)
    assert breaker.failure_rate == 0.25 and breaker.state is CLOSED
    for _ in range(4):
        decorated()
    assert breaker.failure_rate == 0
    with pytest.raises(ValueError):
        decorated(ValueError())
    with pytest.raises(ValueError):
        decorated(ValueError())
    assert breaker.state is OPEN


def test_rates_over_time_forget() -> None:
    breaker, clock = made(failure_rate=0.5, failure_window=10, minimum_calls=4)
    decorated = breaker.protect(lambda: None)
    for _ in range(4):
        decorated()
    failing(breaker, 3)
    assert breaker.counters.calls == 7 and breaker.state is CLOSED
    clock.advance(11)
    assert breaker.counters.calls == 0
    failing(breaker, 4)
    assert breaker.state is OPEN


def test_slow_calls_can_open_it() -> None:
    breaker, clock = made(slow_call_rate=1.0, slow_call_duration=2, over_calls=2)
    decorated = breaker.protect(clock.advance)
    decorated(1)
    decorated(2)
    assert breaker.state is CLOSED and breaker.counters.slow_calls == 1
    decorated(3)
    assert breaker.state is OPEN


def test_several_probes_and_successes() -> None:
    breaker, clock = made(failure_threshold=1, recovery_timeout=1, success_threshold=2, probes=2)
    failing(breaker)
    clock.advance(1)
    with breaker, breaker, pytest.raises(CircuitBreakerOpenError):
        breaker.call(int)
    assert breaker.state is CLOSED


def test_with_blocks_are_calls(run: Run) -> None:
    breaker, clock = made(failure_threshold=2, recovery_timeout=1)
    with pytest.raises(ValueError), breaker:
        fail()

    async def block(error: BaseException | None = None) -> None:
        async with breaker:
            if error is not None:
                raise error

    with pytest.raises(ValueError):
        run(block(ValueError()))
    assert breaker.state is OPEN
    for rejected in (lambda: run(block()), lambda: breaker.__enter__()):
        with pytest.raises(CircuitBreakerOpenError):
            rejected()
    clock.advance(1)
    run(block())
    assert breaker.state is CLOSED


def test_a_block_may_be_left_in_another_context() -> None:
    breaker, clock = made(failure_threshold=1, recovery_timeout=1)
    failing(breaker)
    clock.advance(1)
    contextvars.copy_context().run(breaker.__enter__)
    assert breaker.counters.probes_in_flight == 1
    contextvars.copy_context().run(breaker.__exit__, None, None, None)
    assert breaker.state is CLOSED


def test_calls_and_decorated_functions_are_the_same(run: Run) -> None:
    breaker, _ = made(failure_threshold=4)

    async def fail_async() -> None:
        raise ValueError

    for call in (
        lambda: breaker.call(fail),
        lambda: breaker.protect(fail)(),
        lambda: run(breaker.call_async(fail_async)),
        lambda: run(breaker.protect(fail_async)()),
    ):
        assert breaker.state is CLOSED
        with pytest.raises(ValueError):
            call()
    assert breaker.state is OPEN
    for call in (
        lambda: breaker.call(fail),
        lambda: breaker.protect(fail)(),
        lambda: run(breaker.call_async(fail_async)),
        lambda: run(breaker.protect(fail_async)()),
    ):
        with pytest.raises(CircuitBreakerOpenError):
            call()
    with pytest.raises(TypeError, match="call_async"):
        breaker.call(fail_async)


def test_by_hand() -> None:
    breaker, _ = made()
    breaker.isolate()
    assert breaker.state is CircuitState.ISOLATED and breaker.time_until_probe is None
    breaker.close()
    assert breaker.state is CLOSED
    failing(breaker, 3)
    breaker.reset()
    assert breaker.failure_count == 0
    assert "closed" in repr(breaker) and breaker.settings["failure_threshold"] == 5
    for copying in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="state of its own"):
            copying(breaker)


def test_a_success_that_began_before_the_trip_closes_nothing() -> None:
    """Nor does it take back failures of a later time."""
    breaker, clock = made(failure_threshold=2, recovery_timeout=1)

    async def operation(gate: asyncio.Event) -> str:
        await gate.wait()
        return "late"

    async def main() -> None:
        gate = asyncio.Event()
        late = asyncio.ensure_future(breaker.protect(operation)(gate))
        await asyncio.sleep(0)
        failing(breaker, 2)
        clock.advance(1)
        with breaker:
            assert breaker.state is HALF_OPEN
            gate.set()
            assert await late == "late"
            assert breaker.state is HALF_OPEN
        assert breaker.state is CLOSED
        # The same for one that began two generations ago.
        gate.clear()
        late = asyncio.ensure_future(breaker.protect(operation)(gate))
        await asyncio.sleep(0)
        breaker.reset()
        failing(breaker)
        gate.set()
        await late
        assert breaker.failure_count == 1

    asyncio.run(main())


def test_a_success_among_failures_takes_their_run_back() -> None:
    """Calls that began on the healthy breaker and succeed after failures of others count all the same."""
    breaker, _ = made(failure_threshold=3)

    async def operation(gate: asyncio.Event) -> None:
        await gate.wait()

    async def main() -> None:
        gate = asyncio.Event()
        running = asyncio.ensure_future(breaker.protect(operation)(gate))
        await asyncio.sleep(0)
        failing(breaker, 2)
        gate.set()
        await running
        assert breaker.failure_count == 0

    asyncio.run(main())


def test_a_late_failure_counts_once_and_only_in_its_time() -> None:
    breaker, _ = made(failure_threshold=2)

    async def operation(gate: asyncio.Event) -> None:
        await gate.wait()
        raise ValueError

    async def main() -> None:
        gate = asyncio.Event()
        first = asyncio.ensure_future(breaker.protect(operation)(gate))
        await asyncio.sleep(0)
        breaker.reset()
        second = asyncio.ensure_future(breaker.protect(operation)(gate))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, second, return_exceptions=True)
        assert breaker.failure_count == 1

    asyncio.run(main())


def test_a_cancelled_probe_frees_its_slot() -> None:
    breaker, clock = made(failure_threshold=1, recovery_timeout=1)

    async def main(protected: Any) -> None:
        for end in ("cancel", "close"):
            breaker.reset()
            failing(breaker)
            clock.advance(1)
            if end == "cancel":
                task = asyncio.ensure_future(protected())
                await asyncio.sleep(0)
                assert breaker.counters.probes_in_flight == 1
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                coroutine = protected()
                coroutine.send(None)
                assert breaker.counters.probes_in_flight == 1
                coroutine.close()
            assert breaker.state is HALF_OPEN and breaker.counters.probes_in_flight == 0
            breaker.call(int)
            assert breaker.state is CLOSED

    async def operation() -> None:
        await asyncio.sleep(60)

    async def failing_first() -> None:
        raise ValueError

    asyncio.run(main(breaker.protect(operation)))
    # Also where it is cancelled while a retry inside waits.
    asyncio.run(main(breaker.protect(retry(base_delay=60)(failing_first))))


@pytest.mark.parametrize("timed", [{}, {"over_calls": 9, "slow_call_rate": 1.0, "slow_call_duration": 9}])
@pytest.mark.parametrize("reading", range(1, 5))
def test_a_clock_that_fails_keeps_no_probe_s_slot(reading: int, timed: dict[str, Any], run: Run) -> None:
    """Whichever of its readings it is that fails."""
    readings = 0
    now = 0.0

    def clock() -> float:
        nonlocal readings
        readings += 1
        if readings == reading:
            raise OSError("no clock")
        return now

    def entered() -> None:
        with breaker:
            pass

    error = LookupError()
    breaker: CircuitBreaker
    for attempt in (
        lambda: breaker.call(int),
        lambda: breaker.call(fail, error),
        lambda: run(breaker.call_async(_waiting.checkpoint)),
        entered,
    ):
        readings = 10
        breaker = CircuitBreaker(1, 1, time_source=clock, **timed)
        with pytest.raises(LookupError):
            breaker.call(fail, error)
        now, readings = now + 2, 0
        with contextlib.suppress(OSError, LookupError):
            attempt()
        readings = 10
        assert breaker.counters.probes_in_flight == 0


def test_a_predicate_that_fails_shows_the_error() -> None:
    error = LookupError()

    def predicate(error: BaseException) -> bool:
        raise RuntimeError

    for protected in (
        CircuitBreaker(failure_predicate=predicate).protect(fail),
        fallback(int, fallback_on=predicate)(fail),
    ):
        with pytest.raises(RuntimeError) as caught:
            protected(error)
        assert caught.value.__context__ is error


def test_sixteen_threads_in_half_open_admit_the_permitted_probes() -> None:
    for probes in (1, 3):
        breaker, clock = made(failure_threshold=1, recovery_timeout=1, probes=probes, success_threshold=probes)
        failing(breaker)
        clock.advance(1)
        start, release = threading.Barrier(16), threading.Event()
        outcomes: list[str] = []

        def operation() -> None:
            outcomes.append("probe")
            release.wait(10)

        protected = breaker.protect(operation)

        def thread() -> None:
            start.wait(10)
            try:
                protected()
            except CircuitBreakerOpenError:
                outcomes.append("rejected")
            if outcomes.count("rejected") == 16 - probes:
                release.set()

        threads = [threading.Thread(target=thread) for _ in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(outcomes) == ["probe"] * probes + ["rejected"] * (16 - probes)
        assert breaker.state is CLOSED


def test_no_schedule_of_threads_leaves_a_probe_or_a_ticket_behind() -> None:
    breaker = CircuitBreaker(failure_threshold=2, recovery_timeout=0, probes=2, success_threshold=3)
    protected = breaker.protect(fail_if_odd)
    outcomes: list[str] = []

    def thread(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(2000):
            try:
                protected(int(draw.random() < 0.4))
            except ValueError:
                pass
            except CircuitBreakerOpenError:
                outcomes.append("rejected")
            if draw.random() < 0.001:
                breaker.reset()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=thread, args=(seed,)) for seed in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)
    assert breaker.counters.probes_in_flight == 0 and breaker.counters.opened > 10
    for _ in range(3):
        protected(0)
    # Healthy again, and the fast way knows it.
    assert breaker.state is CLOSED and breaker._seen == breaker._acquire()


def test_many_threads_count_every_failure() -> None:
    breaker = CircuitBreaker(failure_threshold=4000)
    protected = breaker.protect(fail)

    def thread() -> None:
        for _ in range(499):
            try:
                protected()
            except ValueError:
                pass

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert breaker.failure_count == 8 * 499


def test_changes_are_told_once_and_in_order(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "seawall")
    told: list[tuple[Any, ...]] = []

    def listener(old: CircuitState, new: CircuitState) -> None:
        told.append((old, new))
        if new is OPEN and len(told) < 3:
            # What a listener causes comes after what it is told of.
            breaker.reset()
            assert len(told) == 1
            raise RuntimeError("a listener that fails")

    breaker, _ = made(failure_threshold=1, name="b", on_state_change=listener)
    failing(breaker)
    assert told == [(CLOSED, OPEN), (OPEN, CLOSED)]
    failing(breaker)
    assert told[2:] == [(CLOSED, OPEN)]
    records = [vars(record) for record in caplog.records if hasattr(record, "to_state")]
    assert [(r["from_state"], r["to_state"], r["cause"]) for r in records] == [
        ("closed", "open", "consecutive_failures"),
        ("open", "closed", "reset"),
        ("closed", "open", "consecutive_failures"),
    ]
    assert records[0]["levelname"] == "WARNING" and records[0]["open_for_ms"] == 60_000
    assert records[0]["policy_name"] == "b"


def test_whoever_has_told_all_does_not_let_a_third_tell_beside_a_second() -> None:
    second: list[Any] = []

    class Interleaved(CircuitBreaker):
        __slots__ = ()

        def _next_told(self, first: bool) -> Any:
            told = super()._next_told(first)
            if told is None and not second:
                # Here, as another thread might: one more change, which that thread is telling now.
                self._by_hand("close")
                second.append(super()._next_told(True))
            return told

    breaker = Interleaved()
    breaker.isolate()
    assert second[0] is not None
    breaker._by_hand("isolate")
    assert CircuitBreaker._next_told(breaker, True) is None


def test_listeners_may_take_the_breaker_too() -> None:
    told: list[Any] = []
    breaker, _ = made(failure_threshold=1, on_state_change=lambda *given: told.append(given))
    failing(breaker)
    assert told == [(breaker, CLOSED, OPEN)]


def test_a_breaker_that_its_listener_holds_can_be_freed() -> None:
    breaker = CircuitBreaker(on_state_change=lambda old, new: breaker.reset())
    watch = weakref.ref(breaker)
    del breaker
    gc.collect()
    assert watch() is None


def test_a_retry_inside_is_one_call_and_a_retry_outside_many(run: Run) -> None:
    calls: list[int] = []

    def operation() -> None:
        calls.append(1)
        raise ValueError

    async def operation_async() -> None:
        operation()

    inside = circuit_breaker(failure_threshold=2)(retry(max_attempts=3, base_delay=0)(operation))
    for _ in range(2):
        assert inside.seawall.breaker.state is CLOSED  # type: ignore[attr-defined]
        with pytest.raises(RetryExhaustedError):
            inside()
    assert inside.seawall.breaker.state is OPEN and len(calls) == 6  # type: ignore[attr-defined]
    calls.clear()
    outside = retry(max_attempts=5, base_delay=0)(circuit_breaker(failure_threshold=2)(operation_async))
    with pytest.raises(CircuitBreakerOpenError):
        run(outside())
    assert len(calls) == 2


def test_an_inner_breaker_s_rejection_counts_neither_way() -> None:
    inner = CircuitBreaker()
    inner.isolate()
    outer, _ = made(failure_threshold=1)
    for stack in (outer.protect(inner.protect(lambda: 0)), lambda: outer.call(lambda: inner.call(int))):
        with pytest.raises(CircuitBreakerOpenError):
            stack()
        assert outer.state is CLOSED
    failing(outer, 1, TimedOutError(1.0))
    assert outer.state is OPEN


def test_one_breaker_for_each_key() -> None:
    @circuit_breaker(key="host", failure_threshold=1, max_keys=2, name="hosts")
    def fetch(path: str, host: str = "a") -> str:
        if path == "/down":
            raise ValueError
        return host

    with pytest.raises(ValueError):
        fetch("/down")
    with pytest.raises(CircuitBreakerOpenError, match=r"hosts\[a\]"):
        fetch("/")
    assert fetch("/", "b") == "b" and fetch("/", host="c") == "c"
    breakers = fetch.seawall.breaker  # type: ignore[attr-defined]
    # The healthy ones make way before the one that is open.
    assert sorted(breakers.keys()) == ["a", "c"] and len(breakers) == 2
    by_function = circuit_breaker(key=lambda number: number % 2, failure_threshold=1)(fail_if_odd)
    with pytest.raises(ValueError):
        by_function(3)
    assert by_function(2) == 2
    with pytest.raises(CircuitBreakerOpenError):
        by_function(5)
    with pytest.raises(ValueError, match="`key` .* 'port'"):
        circuit_breaker(key="port")(fail_if_odd)


def fail_if_odd(number: int) -> int:
    if number % 2:
        raise ValueError
    return number


def test_a_dry_run_lets_everything_through() -> None:
    breaker, _ = made(failure_threshold=1, dry_run=True)
    failing(breaker, 3)
    assert breaker.state is OPEN and breaker.counters.rejected == 2


def test_two_breakers_in_a_stack_both_count() -> None:
    one, two = CircuitBreaker(failure_threshold=1), CircuitBreaker(failure_threshold=2)
    both = fallback([lambda: "fallback"])(one.protect(two.protect(fail)))
    assert both() == both() == "fallback"
    assert (one.state, two.state, two.failure_count) == (OPEN, CLOSED, 1)


@pytest.mark.parametrize(
    ("error", "settings", "words"),
    [
        (TypeError, {"failure_threshold": True}, "`failure_threshold` .* True"),
        (TypeError, {"failure_threshold": 2.5}, "`failure_threshold` .* 2.5"),
        (ValueError, {"failure_threshold": 0}, "`failure_threshold` .* 0"),
        (ValueError, {"failure_threshold": -3}, "`failure_threshold` .* -3"),
        (ValueError, {"recovery_timeout": float("nan")}, "`recovery_timeout` .* nan"),
        (ValueError, {"recovery_timeout": -1}, "`recovery_timeout` .* -1"),
        (ValueError, {"recovery_timeout": 10**9}, "`recovery_timeout` .*`isolate`.* 1000000000s"),
        (TypeError, {"recovery_timeout": "30"}, "`recovery_timeout` .* '30'"),
        (ValueError, {"expected_exception": ()}, r"`expected_exception` .* \(\)"),
        (TypeError, {"expected_exception": 5}, "`expected_exception` .* 5"),
        (TypeError, {"expected_exception": (ValueError, int)}, "`expected_exception` .* 'int'"),
        (TypeError, {"expected_exception": asyncio.sleep}, "`expected_exception` .* coroutine"),
        (TypeError, {"failure_predicate": 5}, "`failure_predicate` .* 5"),
        (TypeError, {"dry_run": "no"}, "`dry_run` .* 'no'"),
        (TypeError, {"failure_predicate": bool, "expected_exception": OSError}, "`failure_predicate`"),
        (ValueError, {"success_threshold": 0}, "`success_threshold` .* 0"),
        (ValueError, {"failure_rate": 1.5, "over_calls": 5}, "`failure_rate` .* 1.5"),
        (ValueError, {"failure_rate": float("nan"), "over_calls": 5}, "`failure_rate` .* NaN"),
        (TypeError, {"failure_rate": True, "over_calls": 5}, "`failure_rate` .* True"),
        (ValueError, {"failure_rate": 0.5}, "`failure_rate` needs a window: .*`failure_window`, but is 0.5"),
        (ValueError, {"failure_window": 60}, "`failure_window` needs a rule"),
        (ValueError, {"failure_rate": 0.5, "failure_window": 60, "over_calls": 5}, "`failure_window` .* 60"),
        (ValueError, {"minimum_calls": 5}, "`minimum_calls` .* 5"),
        (ValueError, {"slow_call_duration": 5}, "`slow_call_duration` needs `slow_call_rate` beside it, but is 5"),
        (ValueError, {"slow_call_rate": 0.5}, "`slow_call_rate` needs `slow_call_duration` .* 0.5"),
        (ValueError, {"slow_call_rate": 0.5, "slow_call_duration": 5}, "`slow_call_rate` needs a window: .* 0.5"),
        (ValueError, {"failure_window": 9}, "`failure_window` needs a rule: `failure_rate` or `slow_call_rate`.* 9"),
        (ValueError, {"failure_window": 9, "failure_threshold": 3}, "`failure_window` needs a rule"),
        (ValueError, {"failure_window": 9, "slow_call_duration": 5}, "`slow_call_duration` needs `slow_call_rate`"),
        (ValueError, {"failure_rate": 0.5}, "`failure_rate` needs a window: `over_calls` or `failure_window`.* 0.5"),
        (ValueError, {"probes": 256}, "`probes` .* 256"),
        (TypeError, {"name": 5}, "`name` .* 5"),
        (TypeError, {"on_state_change": lambda: None}, "2 to 3 arguments"),
        (TypeError, {"on_state_change": asyncio.sleep}, "`on_state_change` .* coroutine"),
        (TypeError, {"time_source": 5}, "`time_source` .* 5"),
        (TypeError, {"threshold": 5}, "threshold"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_value(
    error: type[Exception], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(error, match=words):
        CircuitBreaker(**settings)
    with pytest.raises(error, match=words):
        circuit_breaker(**settings)
    with pytest.raises(error, match=words):
        CircuitBreakers(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"failure_rate": 0.5, "failure_window": 60, "success_threshold": 2},
        {"slow_call_rate": 0.5, "slow_call_duration": 2, "over_calls": 20, "failure_threshold": 3},
    ],
)
def test_settings_go_by_the_names_that_they_are_given_by(settings: dict[str, Any]) -> None:
    complete = CircuitBreaker(**settings).settings
    assert settings.items() <= complete.items()
    assert CircuitBreaker(**complete).settings == complete


def test_keys_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="`max_keys` .* 0"):
        circuit_breaker(key="a", max_keys=0)
    with pytest.raises(TypeError, match="`max_keys` .* True"):
        circuit_breaker(key="a", max_keys=True)
    with pytest.raises(TypeError, match="`max_keys` needs"):
        circuit_breaker(max_keys=5)
    with pytest.raises(TypeError, match="`key` .* coroutine"):
        circuit_breaker(key=asyncio.sleep)
    with pytest.raises(TypeError, match="`key` .* 5"):
        circuit_breaker(key=5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="by name"):
        circuit_breaker(5)  # type: ignore[call-overload]


def test_a_plain_rejection_is_told_and_counted_as_any_other() -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=30, name="b")
    decorated = breaker.protect(fail)
    with pytest.raises(ValueError):
        decorated()
    with pytest.raises(CircuitBreakerOpenError) as caught:
        decorated()
    # The machine's clock is coarse here, and the wait never too short.
    assert 29 < (caught.value.retry_after or 0) < 30.05 and caught.value.name == "b"
    heard: list[Any] = []
    stop = observe(heard.append)
    try:
        with pytest.raises(CircuitBreakerOpenError):
            decorated()
    finally:
        stop()
    with pytest.raises(CircuitBreakerOpenError):
        decorated()
    (event,) = heard
    assert event.kind == "circuit_breaker_rejected" and 29_000 < event.retry_after_ms <= 30_000
    assert decorated.seawall.statistics["rejected"] == 3 == breaker.counters.rejected  # type: ignore[attr-defined]
