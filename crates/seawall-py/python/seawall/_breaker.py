"""Circuit breaker: stop calling what keeps failing, and find out when it is well again."""

from __future__ import annotations

import contextvars
import enum
import time
from collections.abc import Awaitable, Callable, Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar, cast

from . import _calls, _events, _seawall, _signatures, _state
from ._arguments import ErrorTypes, Predicate, Seconds, checked_flag, checked_name, checked_sync, names
from ._arguments import optional_sync, read_clock, types_or_predicate
from ._calls import AnyLayer, AsyncStep, Call, Failed, Step, is_control, keep, own_error
from .exceptions import CircuitBreakerOpenError

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class CircuitState(str, enum.Enum):
    """The state of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    ISOLATED = "isolated"

    __str__ = str.__str__


class Counters(NamedTuple):
    """What an operator reads off a breaker."""

    #: Failures in a row, while closed.
    consecutive_failures: int
    #: Calls in the window, while closed; 0 without a window.
    calls: int
    failures: int
    slow_calls: int
    #: Probes in flight, while half-open.
    probes_in_flight: int
    probe_successes: int
    #: How often a probe has failed since the breaker last opened from closed; counts to 15.
    reopenings: int
    #: Since the breaker was made.
    rejected: int
    opened: int


Entry = tuple["CircuitBreaker", "CircuitBreaker", int, "float | None"]

#: What `with breaker:` has open here, the latest last: the breaker, who decides for it, ticket, beginning.
_entered: Final[contextvars.ContextVar[tuple[Entry, ...]]] = contextvars.ContextVar(
    "seawall_entered", default=()
)


class CircuitBreaker(_seawall.Breaker, AnyLayer):
    """Stops calling an operation that keeps failing; for sync and async code alike.

    It belongs to one callee: share it between all functions, threads and loops that call it. Times are
    seconds or a ``timedelta``.

    - ``failure_threshold`` (5, or none where a rate is set): opens after so many failures in a row.
    - ``failure_rate`` (none): opens when this share of calls failed, of the last ``over_calls`` exactly, or in
      the last ``failure_window`` seconds. ``minimum_calls`` (10, at most ``over_calls``) must be in there.
    - ``slow_call_rate`` (none): opens when this share of these calls took ``slow_call_duration`` or longer.
    - ``expected_exception`` (``Exception``): the types of errors that are failures, or a predicate; others are
      answers, as successes are. ``failure_predicate`` is another name for a predicate. What ends the caller
      counts neither way: KeyboardInterrupt, SystemExit, GeneratorExit, cancellation.
    - ``recovery_timeout`` (60): stays open so long, up to 3 days. Each failed probe multiplies it by
      ``recovery_multiplier`` (1), up to ``max_recovery_timeout`` (ten times it); ``recovery_jitter`` (0) adds a
      random share of up to so much, so that a fleet does not probe in one instant.
    - ``probes`` (1): how many calls half-open lets through at once; ``success_threshold`` (1): how many of
      them must succeed to close. A probe that is cancelled frees its slot at once, one that hangs loses it
      after ``probe_lease`` (``recovery_timeout``, at least 60) if another needs it.
    - ``name``: in events and errors. ``dry_run`` (``False``): counts and tells, but rejects nothing.
    - ``on_state_change(old, new)`` or ``(breaker, old, new)``: is called after each change, holding no lock;
      what it raises is logged.
    - ``time_source``: gives seconds, in the place of the machine's monotonic clock.

    A rejected call raises CircuitBreakerOpenError. What makes no sense is a ValueError or TypeError that
    names it.
    """

    __slots__ = (
        "__weakref__",
        "_counts",
        "_on_state_change",
        "_on_state_change_takes",
        "_open",
        "_quiet",
        "_seen",
        "_timed",
        "name",
        "time_source",
    )

    def __new__(
        cls,
        failure_threshold: int | None = None,
        recovery_timeout: Seconds | None = None,
        expected_exception: ErrorTypes | Predicate = Exception,
        *,
        name: str | None = None,
        success_threshold: int | None = None,
        failure_window: Seconds | None = None,
        over_calls: int | None = None,
        failure_rate: float | None = None,
        minimum_calls: int | None = None,
        failure_predicate: Predicate | None = None,
        slow_call_rate: float | None = None,
        slow_call_duration: Seconds | None = None,
        recovery_multiplier: float | None = None,
        max_recovery_timeout: Seconds | None = None,
        recovery_jitter: float | None = None,
        probes: int | None = None,
        probe_lease: Seconds | None = None,
        on_state_change: Callable[..., object] | None = None,
        time_source: Callable[[], float] | None = None,
        dry_run: bool = False,
    ) -> CircuitBreaker:
        name = checked_name(name)
        counts = types_or_predicate("expected_exception", expected_exception)
        if failure_predicate is not None:
            if expected_exception is not Exception:
                raise TypeError("`failure_predicate` stands for `expected_exception`: give one of them")
            counts = failure_predicate = checked_sync("failure_predicate", failure_predicate)
        self = super().__new__(
            cls,
            failure_threshold=failure_threshold,
            recovery_timeout=recovery_timeout,
            name=name,
            success_threshold=success_threshold,
            failure_window=failure_window,
            over_calls=over_calls,
            failure_rate=failure_rate,
            minimum_calls=minimum_calls,
            slow_call_rate=slow_call_rate,
            slow_call_duration=slow_call_duration,
            recovery_multiplier=recovery_multiplier,
            max_recovery_timeout=max_recovery_timeout,
            recovery_jitter=recovery_jitter,
            probes=probes,
            probe_lease=probe_lease,
            dry_run=checked_flag("dry_run", dry_run),
        )
        self._fill(name, counts, on_state_change, optional_sync("time_source", time_source))
        return self

    def _fill(
        self,
        name: str | None,
        counts: ErrorTypes | Predicate,
        on_state_change: Callable[..., object] | None = None,
        time_source: Callable[[], float] | None = None,
    ) -> None:
        self.name = name
        self.time_source = time_source
        self._counts = counts
        self._timed = "slow_call_rate" in self._settings()
        self._on_state_change = None
        self._on_state_change_takes = 0
        if on_state_change is not None:
            self._on_state_change = checked_sync("on_state_change", on_state_change)
            self._on_state_change_takes = _signatures.accepts(on_state_change, 3, 2)
        self._open = []
        self._seen = self._quiet = None
        self._show()

    @classmethod
    def _of(
        cls,
        settings: _seawall.BreakerSettings,
        name: str | None,
        expected_exception: ErrorTypes | Predicate = Exception,
        on_state_change: Callable[..., object] | None = None,
        time_source: Callable[[], float] | None = None,
    ) -> CircuitBreaker:
        """One of settings that are checked already, as those of a policy file are."""
        self = super().__new__(cls, made=settings, name=name)
        self._fill(name, expected_exception, on_state_change, time_source)
        return self

    name: str | None
    time_source: Callable[[], float] | None
    _counts: ErrorTypes | Predicate
    _timed: bool
    _on_state_change: Callable[..., object] | None
    _on_state_change_takes: int
    _open: list[Entry]
    #: The ticket of any call while the breaker is closed, and the very same object while one more success
    #: changes nothing; the native half sees to both.
    _seen: int | None
    _quiet: int | None

    if not TYPE_CHECKING:

        def __init__(self, *settings: Any, **more: Any) -> None:
            # All is done in `__new__`, since the native half is made with its settings.
            super().__init__()

    def __repr__(self) -> str:
        of = "" if self.name is None else f" {self.name!r}"
        return f"<CircuitBreaker{of}: {self.state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a CircuitBreaker has a state of its own and cannot be copied or pickled")

    # What can be seen.

    @property
    def state(self) -> CircuitState:
        """The state. An open breaker whose recovery timeout is over stays open until a call arrives."""
        return CircuitState(self._here()._state)

    @property
    def counters(self) -> Counters:
        """The figures that the breaker decides by."""
        here = self._here()
        return Counters(**here._counters(here._now()))

    @property
    def failure_count(self) -> int:
        """Failures in a row, while closed."""
        return self.counters.consecutive_failures

    @property
    def failure_rate(self) -> float | None:
        """The share of failures in the window, while closed; none without a window, or without calls."""
        here = self._here()
        return here._failure_rate(here._now())

    @property
    def time_until_probe(self) -> float | None:
        """Seconds until a call is let through to probe; none while closed or isolated."""
        here = self._here()
        return here._time_until_probe(here._now())

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting of the decisions, complete and by its name here; times in seconds."""
        return self._settings()

    # By hand.

    def reset(self) -> None:
        """Makes the breaker as new: closed, nothing on record. Calls in flight count no more."""
        self._here()._move("reset")

    def isolate(self) -> None:
        """Holds the breaker open by hand. Calls in flight count no more."""
        self._here()._move("isolate")

    def close(self) -> None:
        """Closes the breaker by hand. Its window starts empty."""
        self._here()._move("close")

    # To run something.

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls ``function``, or raises CircuitBreakerOpenError; its own errors pass as they are."""
        return cast(T, _calls.execute(self, function, args, kwargs, "call_async"))

    async def call_async(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Awaits what ``function`` gives, or raises CircuitBreakerOpenError; its own errors pass as they are.

        Cancelled, the call counts neither way, and gives a probe's slot back at once.
        """
        return cast(T, await _calls.execute_async(self, function, args, kwargs))

    def protect(self, function: F) -> F:
        """Decorates a function, sync or async, so that this breaker stands before it."""
        from ._wrapper import decorate

        return cast(F, decorate(function, self))

    def __enter__(self) -> CircuitBreaker:
        here = self._here()
        ticket = here._admit()
        if type(ticket) is not int:
            raise self._rejected(ticket)
        try:
            started = here._clock() if here._timed else None
        except BaseException:
            here._give_back(ticket)
            raise
        entry = (self, here, ticket, started)
        _entered.set((*_entered.get(), entry))
        self._open.append(entry)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        open_here = _entered.get()
        # A fixture may be left in another context than it was entered in: then the latest of all.
        entry = next((entry for entry in reversed(open_here) if entry[0] is self), None) or self._open[-1]
        _entered.set(tuple(other for other in open_here if other is not entry))
        # By identity: the same ticket is held by many.
        _state.remove_last(self._open, entry)
        _, here, ticket, started = entry
        self._settle(here, ticket, None if error is None else Failed(error), started)

    async def __aenter__(self) -> CircuitBreaker:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    # As a layer of a stack.

    @property
    def always(self) -> bool:
        return self._timed

    def _here(self) -> CircuitBreaker:
        """This one, or the mock that stands in for it here."""
        if _state.switches:
            mocks = _state.breaker_mocks.get()
            if mocks:
                return mocks[-1]
        return self

    def _now(self) -> float | None:
        """The time, where it is not the machine's."""
        if self.time_source is not None:
            return read_clock(self.time_source)
        return _state.world_now() if _state.switches else None

    def _clock(self) -> float:
        now = self._now()
        return time.monotonic() if now is None else now

    def _move(self, how: str) -> None:
        self._by_hand(how, self._now())
        self._tell()

    def _admit(self) -> int | float | None:
        """A ticket, or when to come back."""
        leave = self._acquire(self._now())
        if self._seen is None:
            # What was closed, and is, has not moved.
            self._tell()
        return leave

    def _rejected(self, retry_after: float | None) -> CircuitBreakerOpenError:
        if _events.heard("circuit_breaker_rejected"):
            _events.tell(
                "circuit_breaker_rejected",
                {
                    "policy": "breaker",
                    "name": self.name,
                    "retry_after_ms": _events.milliseconds(retry_after),
                },
            )
        return CircuitBreakerOpenError(self.name, retry_after)

    def _is_failure(self, error: BaseException) -> bool | None:
        """Whether an error counts as a failure; `None` if it counts neither way."""
        counts = self._counts
        if is_control(error):
            return None
        if isinstance(error, CircuitBreakerOpenError) and not (
            isinstance(counts, (type, tuple)) and names(counts, CircuitBreakerOpenError)
        ):
            return None
        own = own_error(error)
        if isinstance(counts, (type, tuple)):
            if isinstance(own, counts) or isinstance(error, counts):
                return True
        elif isinstance(own, Exception):
            return bool(counts(own))
        # The callee was well enough to answer; what is no Exception is nobody's answer.
        return False if isinstance(own, Exception) else None

    def _settle(self, here: CircuitBreaker, ticket: int, outcome: Any, started: float | None) -> None:
        try:
            now = here._now()
            took = None if started is None else here._clock() - started
            failed = self._is_failure(outcome.error) if type(outcome) is Failed else False
        except BaseException as raised:
            here._give_back(ticket)
            if type(outcome) is Failed:
                keep(outcome.error, raised)
                outcome.drop()
            raise
        if failed is None:
            here._give_back(ticket)
        elif here._record(ticket, failed, took, now):
            here._tell()

    def _give_back(self, ticket: int) -> None:
        """Settles a ticket by which nothing is known of the callee."""
        if self._abandon(ticket):
            self._tell()

    def _tell(self) -> None:
        """Tells what has happened, in order; what it causes in turn comes after it."""
        told = self._next_told(True)
        if told is None:
            return
        try:
            while told is not None:
                self._tell_one(*told)
                told = self._next_told(False)
        except BaseException:
            # Else it has stopped already, and another may have begun.
            self._stopped_telling()
            raise

    def _tell_one(self, kind: str, old: str, new: str, cause: str, open_for: float | None) -> None:
        fields: dict[str, Any] = {"policy": "breaker", "name": self.name}
        if kind == "transition":
            listener = self._on_state_change
            if listener is not None:
                given = (self, CircuitState(old), CircuitState(new))
                try:
                    listener(*given[3 - self._on_state_change_takes :])
                except Exception:
                    _events.harmless("`on_state_change`", listener)
            kind = "circuit_breaker_opened" if new == "open" else "circuit_breaker_changed"
            fields["from_state"] = old
            fields["to_state"] = new
            fields["cause"] = cause
            fields["open_for_ms"] = _events.milliseconds(open_for)
        if _events.heard(kind):
            _events.tell(kind, fields)

    def run(self, inner: Step, call: Call) -> Any:
        admitted = self._admit_call(call)
        if isinstance(admitted, Failed):
            return admitted
        here, ticket = admitted
        try:
            started = here._clock() if here._timed else None
            outcome = inner(call)
        except BaseException:
            # A listener or predicate further in has failed: that says nothing of the callee.
            here._give_back(ticket)
            raise
        self._settle(here, ticket, outcome, started)
        return outcome

    async def run_async(self, inner: AsyncStep, call: Call) -> Any:
        admitted = self._admit_call(call)
        if isinstance(admitted, Failed):
            return admitted
        here, ticket = admitted
        try:
            started = here._clock() if here._timed else None
            outcome = await inner(call)
        except BaseException:
            # Cancelled while a retry further in was waiting, or a listener has failed.
            here._give_back(ticket)
            raise
        self._settle(here, ticket, outcome, started)
        return outcome

    def _admit_call(self, call: Call) -> Failed | tuple[CircuitBreaker, int]:
        """Who decides here, with a ticket for the call; or its rejection."""
        ticket, call.ticket = call.ticket, None
        if ticket is not None:
            # A ticket of the fast way is this breaker's own, also if a mock has come since.
            return self, ticket
        here = self._here()
        leave = here._admit()
        if type(leave) is int:
            return here, leave
        call.count("rejected")
        return Failed(self._rejected(leave))


Key = Callable[..., Hashable]


class CircuitBreakers:
    """Circuit breakers by key, made when a key is first seen, at most ``max_keys`` at a time.

    When there are too many, the one unused for the longest time makes way, among those that are healthy
    if there are any.
    """

    __slots__ = ("_known", "_name", "_settings", "_time", "max_keys")

    def __init__(self, *, max_keys: int = 1024, name: str | None = None, **settings: Any) -> None:
        if type(max_keys) is not int:
            raise TypeError(f"`max_keys` must be an integer, but is {max_keys!r}")
        if max_keys < 1:
            raise ValueError(f"`max_keys` must be 1 or more, but is {max_keys!r}")
        # What makes no sense is refused now, and not by the first call.
        CircuitBreaker(name=name, **settings)
        self.max_keys: Final = max_keys
        self._name = name
        self._settings = settings
        self._time = 0
        #: Each with the reading of a counter when it was last used.
        self._known: dict[Hashable, list[Any]] = {}

    def get(self, key: Hashable) -> CircuitBreaker:
        """The breaker of ``key``."""
        self._time += 1
        found = self._known.get(key)
        if found is None:
            return self._make(key)
        found[1] = self._time
        return cast(CircuitBreaker, found[0])

    def _make(self, key: Hashable) -> CircuitBreaker:
        name = str(key) if self._name is None else f"{self._name}[{key}]"
        made = CircuitBreaker(name=name, **self._settings)
        with _state.lock:
            found = self._known.get(key)
            if found is not None:
                return cast(CircuitBreaker, found[0])
            if len(self._known) >= self.max_keys:
                least = min(self._known.items(), key=lambda item: (_is_sick(item[1][0]), item[1][1]))
                del self._known[least[0]]
            self._known[key] = [made, self._time]
        return made

    def __len__(self) -> int:
        return len(self._known)

    def keys(self) -> list[Hashable]:
        """The keys that have a breaker now."""
        return list(self._known)

    def __repr__(self) -> str:
        return f"<CircuitBreakers with {len(self)} keys>"


def _is_sick(breaker: CircuitBreaker) -> bool:
    return breaker._state != "closed" or breaker._counters()["consecutive_failures"] > 0


class Keyed(AnyLayer):
    """A layer with a breaker for each key that a call's arguments give."""

    __slots__ = ("breakers", "key")

    always = True

    def __init__(self, breakers: CircuitBreakers, key: Key) -> None:
        self.breakers = breakers
        self.key = key

    def run(self, inner: Step, call: Call) -> Any:
        return self.breakers.get(self.key(*call.args, **call.kwargs)).run(inner, call)

    async def run_async(self, inner: AsyncStep, call: Call) -> Any:
        return await self.breakers.get(self.key(*call.args, **call.kwargs)).run_async(inner, call)
