"""What tests put in the place of retries, circuit breakers, clocks and waiting.

All of it takes over functions that it was never given, in the task or thread that entered it and in the
tasks started from there (it is found by a context variable). Other threads enter it themselves, by
``with mock.attach():``. While none lives, it costs nothing.

    with MockRetryExecutor(max_attempts=3) as mock:
        mock.configure_failures(2)
        assert resilient_function() == "success"
        assert mock.attempt_count == 3
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from . import _state
from ._breaker import CircuitBreaker, CircuitState, Counters
from ._course import InjectedError
from ._waiting import checkpoint

__all__ = [
    "InjectedError",
    "ManualClock",
    "MockCircuitBreaker",
    "MockRetryExecutor",
    "no_waiting",
    "set_waiting",
]


class _StandIn:
    """Something that is put in place by `with`, as often as one likes."""

    def __init__(self) -> None:
        #: How often it was entered and not left yet.
        self._entered = 0

    def _place(self) -> tuple[ContextVar[Any], Any]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        variable, stand_in = self._place()
        variable.set((*variable.get(), stand_in))
        _state.switch(1)
        self._entered += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._entered == 0:
            raise RuntimeError(f"{type(self).__name__} is left more often than it was entered")
        self._entered -= 1
        _state.switch(-1)
        variable, stand_in = self._place()
        # A fixture may leave it elsewhere than it was entered.
        inside = list(variable.get())
        _state.remove_last(inside, stand_in)
        variable.set(tuple(inside))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    @contextlib.contextmanager
    def attach(self) -> Iterator[Self]:
        """Puts it in place for another thread, which calls this."""
        with self:
            yield self


class MockRetryExecutor(_StandIn):
    """Makes attempts fail without the operation, counts them, and waits for nothing.

    Delays are listed in ``delays``, and a :class:`ManualClock` moves on by them. Budgets are left alone. All
    else is the policy's own: backoff, total timeout, predicates, listeners. A loop over a policy runs its
    body itself: the mock spares it the waiting and the budget, and nothing else.
    """

    limit: int | None

    def __init__(self, max_attempts: int | None = None) -> None:
        super().__init__()
        if max_attempts is not None:
            if type(max_attempts) is not int:
                raise TypeError(f"`max_attempts` must be an integer, but is {max_attempts!r}")
            if not 1 <= max_attempts < 2**32:
                raise ValueError(f"`max_attempts` must be within 1..=4294967295, but is {max_attempts!r}")
        #: Has calls make so many attempts, whatever their policies say.
        self.limit = max_attempts
        #: How many attempts were begun, those that the mock made fail included.
        self.attempt_count = 0
        #: How many calls were begun.
        self.call_count = 0
        #: How many attempts the mock made fail.
        self.failure_count = 0
        #: The delays before the retries of its calls, in seconds and in order. None was waited for.
        self.delays: list[float] = []
        self._failures = 0
        self._error: Callable[[], BaseException] = lambda: InjectedError("a mock has this attempt fail")
        self._sequence: deque[bool | BaseException] = deque()

    def configure_failures(
        self, failures: int, error: BaseException | Callable[[], BaseException] | None = None
    ) -> None:
        """Has the next ``failures`` attempts fail, in whichever calls they are made.

        With ``error`` they fail with that, and the policy's predicates see it.
        """
        if type(failures) is not int:
            raise TypeError(f"`failures` must be an integer, but is {failures!r}")
        if failures < 0:
            raise ValueError(f"`failures` must be 0 or more, but is {failures!r}")
        if error is not None:
            self.fail_with(error)
        self._failures = failures

    def fail_with(self, error: BaseException | Callable[[], BaseException]) -> None:
        """What failing attempts end in: an error, a type of errors, or a function that makes them."""
        if isinstance(error, BaseException):
            given = error
            self._error = lambda: given
        elif callable(error):
            self._error = error
        else:
            raise TypeError(f"`error` must be an error or make one, but is {error!r}")

    def fail_in_sequence(self, failing: Iterable[bool | BaseException]) -> None:
        """Has the next attempts fail where this is true, or an error; before what is given by number."""
        self._sequence = deque(failing)

    def begin(self) -> None:
        self.call_count += 1

    def attempt(self) -> BaseException | None:
        self.attempt_count += 1
        error: BaseException | None = None
        if self._sequence:
            fails = self._sequence.popleft()
            error = fails if isinstance(fails, BaseException) else self._error() if fails else None
        elif self._failures > 0:
            self._failures -= 1
            error = self._error()
        if error is not None:
            self.failure_count += 1
        return error

    def delayed(self, seconds: float) -> None:
        self.delays.append(seconds)

    def _place(self) -> tuple[ContextVar[Any], Any]:
        return _state.retry_mocks, self

    def __repr__(self) -> str:
        return f"<MockRetryExecutor: {self.attempt_count} attempts in {self.call_count} calls>"


class MockCircuitBreaker(_StandIn):
    """Stands in for every circuit breaker: its state is the test's, and the real ones are left alone.

    It is a breaker itself, with the settings given: what is forced moves on as it would, by outcomes and
    by time. What an outcome means is up to the breaker that it stands in for. Calls by hand on the real
    ones (``state``, ``counters``, ``isolate``, ``reset``) act on the mock.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        listener = settings.pop("on_state_change", None)
        #: Every change of state so far, forced ones included.
        self.transitions: list[tuple[CircuitState, CircuitState]] = []

        def moved(breaker: CircuitBreaker, old: CircuitState, new: CircuitState) -> None:
            self.transitions.append((old, new))
            if listener is not None:
                listener(old, new)

        self._breaker = CircuitBreaker(on_state_change=moved, **settings)

    def force_open(self) -> None:
        """Opens it: calls are rejected until the recovery timeout is over."""
        breaker = self._breaker
        if breaker._state != "closed":
            breaker._by_hand("reset", breaker._now())
        while breaker._state == "closed":
            ticket = breaker._acquire(breaker._now())
            assert type(ticket) is int
            breaker._record(ticket, True, float("inf"), breaker._now())
        breaker._tell()

    def force_half_open(self) -> None:
        """Makes it half-open: the next call is a probe."""
        breaker = self._breaker
        if breaker._state != "open":
            self.force_open()
        # A probe from the time when it will be over, which comes to nothing.
        probe = breaker._probe_early(breaker._now())
        assert type(probe) is int
        breaker._abandon(probe)
        breaker._tell()

    def force_closed(self) -> None:
        """Closes it, with nothing on record."""
        self._breaker._move("reset")

    @property
    def state(self) -> CircuitState:
        """The state."""
        return CircuitState(self._breaker._state)

    @property
    def counters(self) -> Counters:
        """The figures that it decides by."""
        return Counters(**self._breaker._counters(self._breaker._now()))

    @property
    def rejection_count(self) -> int:
        """How many calls were rejected."""
        return self.counters.rejected

    def _place(self) -> tuple[ContextVar[Any], Any]:
        return _state.breaker_mocks, self._breaker

    def __repr__(self) -> str:
        return f"<MockCircuitBreaker: {self.state}>"


class ManualClock(_StandIn):
    """A clock that stands still until it is told to go on, or until someone sleeps.

    Inside ``with ManualClock() as clock:`` retries do not wait, they move it on; breakers, total timeouts
    and elapsed times go by it. It is also a ``time_source`` for a single policy or breaker, with
    ``clock.sleep`` and ``clock.sleep_async`` beside it. Limits of ``timeout`` are timers of the event loop
    and do not see it.
    """

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self._now = _seconds("start", start)
        #: What was slept, in seconds and in order.
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self._now

    def now(self) -> float:
        """The time in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves on; back with a negative number, as clocks do."""
        self._now += _seconds("seconds", seconds)

    def sleep(self, seconds: float) -> bool:
        """Moves on as if someone had slept."""
        self.sleeps.append(seconds)
        self._now += seconds
        return True

    async def sleep_async(self, seconds: float) -> None:
        """Moves on as if someone had slept, and lets other tasks run once."""
        self.sleep(seconds)
        await checkpoint()

    def _place(self) -> tuple[ContextVar[Any], Any]:
        return _state.worlds, self

    def __repr__(self) -> str:
        return f"<ManualClock at {self._now} s>"


def _seconds(field: str, given: float) -> float:
    """Seconds, of either sign."""
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"`{field}` must be a number, but is {given!r}")
    if not -1e15 < given < 1e15:
        raise ValueError(f"`{field}` must be a number of seconds that a clock can show, but is {given!r}")
    return float(given)


def set_waiting(on: bool) -> None:
    """Turns off, or on again, that retries wait before they try again, in the whole process.

    A ``sleep_func`` or ``async_sleep_func`` that was given is called all the same.
    """
    if not isinstance(on, bool):
        raise TypeError(f"`on` must be a bool, but is {on!r}")
    _state.waiting = on


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Turns waiting off, and back to what it was."""
    before = _state.waiting
    _state.waiting = False
    try:
        yield
    finally:
        _state.waiting = before
