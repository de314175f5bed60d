"""Retry: try again after transient failures, with growing, spread delays."""

from __future__ import annotations

import datetime
import enum
import inspect
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import FrozenInstanceError
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar, cast, final

from . import _events, _seawall, _signatures, _state, _waiting, exceptions
from ._arguments import (
    ErrorTypes,
    Predicate,
    Seconds,
    checked_attempt,
    checked_callable,
    checked_flag,
    names,
    optional_sync,
    read_clock,
    types_or_predicate,
)
from ._calls import (
    CONTROL,
    AsyncStep,
    Call,
    Failed,
    GaveUp,
    Step,
    finish,
    is_control,
    keep,
    operation,
    operation_async,
    own_error,
    refuse_coroutine,
)
from ._seawall import RetryBudget

P = ParamSpec("P")
T = TypeVar("T")

RetryAfter = Callable[[Any], "float | datetime.timedelta | datetime.datetime | None"]


class BackoffStrategy(str, enum.Enum):
    """How delays grow; the words do as well."""

    FIXED = "fixed"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    FIBONACCI = "fibonacci"
    DECORRELATED = "decorrelated"

    __str__ = str.__str__


@final
class RetryPolicy:
    """How often and when to try again: plain, frozen data that can be shared by everything.

    Times are seconds or a ``timedelta``. What is left out stands in the policy with its default.

    - ``max_attempts`` (3): the most attempts of a call, the first included; 1 never retries.
    - ``backoff_strategy``, or ``backoff`` ("exponential"): how delays grow, by a :class:`BackoffStrategy` or
      its word.
    - ``base_delay`` (1): the first delay. ``max_delay`` (60): the longest that backoff and jitter make.
    - ``multiplier`` (2 for exponential, 1 for linear, 3 for decorrelated): what the strategy multiplies by.
    - ``jitter`` (``True``, plus/minus 25 %): how delays are spread; ``False``, or "full", "equal", "none",
      "decorrelated".
    - ``total_timeout`` (none): no delay is begun that would end past this age of the call. It cuts no attempt
      short; ``timeout`` around the retry does.
    - ``retry_on`` (``Exception``): types of errors, or a predicate; all others are permanent. What ends the
      caller is never tried again: KeyboardInterrupt, SystemExit, GeneratorExit, cancellation.
    - ``retry_if_result`` (none): a predicate; results for which it holds are tried again, and the last one
      is returned as it is.
    - ``retry_after`` (none): takes from an error the seconds, ``timedelta`` or point in time that the callee
      asks to wait; the delay is never shorter. Above ``max_retry_after`` (``max_delay``) the call ends at once.
    - ``retry_on_open``, ``retry_on_exhausted`` (``False``): also try again what a circuit breaker, or a retry,
      further in has ended.

    What makes no sense is a ValueError or TypeError that names it. A policy is also a loop, ``for attempt in
    policy:``, sync and async: ``with attempt:`` swallows a transient error while another attempt follows.
    """

    __slots__ = (
        "_key",
        "_rules",
        "backoff_strategy",
        "base_delay",
        "jitter",
        "max_attempts",
        "max_delay",
        "max_retry_after",
        "multiplier",
        "retry_after",
        "retry_if_result",
        "retry_on",
        "retry_on_exhausted",
        "retry_on_open",
        "total_timeout",
    )

    if TYPE_CHECKING:
        # Slots, which nobody sets: for whoever reads the types they are properties.
        @property
        def max_attempts(self) -> int: ...
        @property
        def backoff_strategy(self) -> BackoffStrategy: ...
        @property
        def base_delay(self) -> float: ...
        @property
        def max_delay(self) -> float: ...
        @property
        def multiplier(self) -> float: ...
        @property
        def jitter(self) -> bool | str: ...
        @property
        def total_timeout(self) -> float | None: ...
        @property
        def max_retry_after(self) -> float: ...
        @property
        def retry_on(self) -> ErrorTypes | Predicate: ...
        @property
        def retry_if_result(self) -> Callable[[Any], object] | None: ...
        @property
        def retry_after(self) -> RetryAfter | None: ...
        @property
        def retry_on_open(self) -> bool: ...
        @property
        def retry_on_exhausted(self) -> bool: ...
    _rules: _seawall.RetryRules
    _key: tuple[Any, ...]

    def __init__(
        self,
        *,
        max_attempts: int = 3,
        backoff_strategy: BackoffStrategy | str | None = None,
        backoff: BackoffStrategy | str | None = None,
        base_delay: Seconds | None = None,
        max_delay: Seconds | None = None,
        multiplier: float | None = None,
        jitter: bool | str = True,
        total_timeout: Seconds | None = None,
        max_retry_after: Seconds | None = None,
        retry_on: ErrorTypes | Predicate = Exception,
        retry_if_result: Callable[[Any], object] | None = None,
        retry_after: RetryAfter | None = None,
        retry_on_open: bool = False,
        retry_on_exhausted: bool = False,
    ) -> None:
        if backoff is not None and backoff_strategy is not None:
            raise TypeError("`backoff` is another name of `backoff_strategy`: give one of them")
        strategy = backoff if backoff_strategy is None else backoff_strategy
        rules = _seawall.RetryRules(
            max_attempts=max_attempts,
            backoff_strategy="exponential" if strategy is None else strategy,
            base_delay=base_delay,
            max_delay=max_delay,
            multiplier=multiplier,
            jitter=jitter,
            total_timeout=total_timeout,
            max_retry_after=max_retry_after,
        )
        settings = rules.settings()
        word = settings["jitter"]
        fields: dict[str, Any] = {
            "max_attempts": settings["max_attempts"],
            "backoff_strategy": BackoffStrategy(settings["backoff_strategy"]),
            "base_delay": settings["base_delay"],
            "max_delay": settings["max_delay"],
            "multiplier": settings["multiplier"],
            "jitter": {"plus_minus": True, "none": False}.get(word, word),
            "total_timeout": settings.get("total_timeout"),
            "max_retry_after": settings["max_retry_after"],
            "retry_on": types_or_predicate("retry_on", retry_on),
            "retry_if_result": optional_sync("retry_if_result", retry_if_result),
            "retry_after": optional_sync("retry_after", retry_after),
            "retry_on_open": checked_flag("retry_on_open", retry_on_open),
            "retry_on_exhausted": checked_flag("retry_on_exhausted", retry_on_exhausted),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(self, "_key", tuple(fields[name] for name in _FIELDS))

    def calculate_delay(self, attempt: int) -> float:
        """Draws the delay in seconds that follows attempt ``attempt``, counted from 1."""
        return self._rules.delay(min(checked_attempt(attempt), 2**64 - 1))

    def should_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether attempt ``attempt``, which ended in ``error``, is followed by another one."""
        if not isinstance(error, BaseException):
            raise TypeError(f"`error` must be an error, but is {error!r}")
        return checked_attempt(attempt) < self.max_attempts and self.is_transient(error)

    def is_transient(self, error: BaseException) -> bool:
        """Whether another attempt may mend ``error``."""
        by = self.retry_on
        if isinstance(by, (type, tuple)):
            named = isinstance(error, by)
            if isinstance(error, exceptions.CircuitBreakerOpenError):
                return self.retry_on_open or (
                    named and names(by, exceptions.CircuitBreakerOpenError)
                )
            if isinstance(error, exceptions.RetryExhaustedError):
                # An inner retry has given up. To go on would multiply the attempts.
                if not self.retry_on_exhausted:
                    return named and names(by, exceptions.RetryExhaustedError)
                named = isinstance(own_error(error), by) or named
            return named and not is_control(error)
        if not isinstance(error, Exception):
            return False
        if isinstance(error, exceptions.CircuitBreakerOpenError):
            return self.retry_on_open
        if isinstance(error, exceptions.RetryExhaustedError) and not self.retry_on_exhausted:
            return False
        return bool(by(own_error(error)))

    def __iter__(self) -> Iterator[Attempt]:
        return iter(RetryExecutor(self))

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return aiter(RetryExecutor(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RetryPolicy):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def _settings(self) -> dict[str, Any]:
        """What makes an equal policy."""
        return dict(zip(_FIELDS, self._key, strict=True))

    def __repr__(self) -> str:
        settings = self._settings()
        settings["backoff_strategy"] = str(self.backoff_strategy)
        if self.retry_on is Exception:
            del settings["retry_on"]
        shown = (
            f"{name}={value!r}"
            for name, value in settings.items()
            if value is not None and (value is not False or name == "jitter")
        )
        return f"RetryPolicy({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _policy, (self._settings(),)

    def __copy__(self) -> RetryPolicy:
        return self

    def __deepcopy__(self, memo: object) -> RetryPolicy:
        return self


#: As they stand in a policy's key.
_FIELDS: Final = (
    "max_attempts",
    "backoff_strategy",
    "base_delay",
    "max_delay",
    "multiplier",
    "jitter",
    "total_timeout",
    "max_retry_after",
    "retry_on",
    "retry_if_result",
    "retry_after",
    "retry_on_open",
    "retry_on_exhausted",
)


def _policy(settings: dict[str, Any]) -> RetryPolicy:
    return RetryPolicy(**settings)


def warn_of_unjoinable(types: ErrorTypes) -> None:
    """Says at decoration which of the errors named will be hidden behind a RetryExhaustedError."""
    for kind in types if isinstance(types, tuple) else (types,):
        # Ours are joined where they are made, the next are only bases, and the last never tried again.
        if issubclass(kind, exceptions.SeawallError) or kind in (Exception, BaseException):
            continue
        if issubclass(kind, CONTROL):
            continue
        if not exceptions.can_join(kind):
            warnings.warn(
                f"{kind.__qualname__} cannot be joined with RetryExhaustedError: after the last attempt catch"
                " RetryExhaustedError, or set `reraise=True`",
                RuntimeWarning,
                # The decorator's caller: past this, `retry`.
                stacklevel=3,
            )


class InjectedError(Exception):
    """What a mock makes an attempt end in; every retry takes it for transient."""


class RetryMock(Protocol):
    """What stands in for retries."""

    limit: int | None

    def begin(self) -> None: ...

    def attempt(self) -> BaseException | None: ...

    def delayed(self, seconds: float) -> None: ...


class RetryExecutor:
    """A policy and what one attaches to it: listeners, a budget, a clock, a way to wait.

    - ``on_retry(attempt, error)`` or ``(attempt, error, delay)``: is called before each wait. ``on_success(value)``
      when an attempt succeeds. Both may be coroutine functions where the operation is one. What they raise
      ends the call.
    - ``budget``: shared by whoever is given it; a retry that it does not pay for is not made.
    - ``reraise`` (``False``): at the end raises the very error of the last attempt.
    - ``name``: is told in events.
    - ``time_source``: gives seconds, in the place of ``time.monotonic``. ``sleep_func`` waits for sync
      operations, ``async_sleep_func`` for async ones; a delay of 0 calls neither.

    Cancellation while it waits ends the call at once, with the operation's error as its context.
    """

    __slots__ = (
        "__weakref__",
        "_on_retry_takes",
        "async_sleep_func",
        "budget",
        "name",
        "on_retry",
        "on_success",
        "policy",
        "reraise",
        "sleep_func",
        "time_source",
    )

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        *,
        on_retry: Callable[..., object] | None = None,
        on_success: Callable[..., object] | None = None,
        budget: RetryBudget | None = None,
        reraise: bool = False,
        name: str | None = None,
        time_source: Callable[[], float] | None = None,
        sleep_func: Callable[[float], object] | None = None,
        async_sleep_func: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        if policy is None:
            policy = RetryPolicy()
        if not isinstance(policy, RetryPolicy):
            raise TypeError(f"`policy` must be a RetryPolicy, but is {policy!r}")
        if budget is not None and not isinstance(budget, RetryBudget):
            raise TypeError(f"`budget` must be a RetryBudget, but is {budget!r}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"`name` must be a string, but is {name!r}")
        self.policy: Final = policy
        self.on_retry: Final = None if on_retry is None else checked_callable("on_retry", on_retry)
        self.on_success: Final = (
            None if on_success is None else checked_callable("on_success", on_success)
        )
        self.budget: Final = budget
        self.reraise: Final = checked_flag("reraise", reraise)
        self.name: Final = name
        self.time_source: Final = optional_sync("time_source", time_source)
        self.sleep_func: Final = optional_sync("sleep_func", sleep_func)
        self.async_sleep_func: Final = (
            None if async_sleep_func is None else checked_callable("async_sleep_func", async_sleep_func)
        )
        self._on_retry_takes: Final = 0 if on_retry is None else _signatures.accepts(on_retry, 3, 2)

    def __repr__(self) -> str:
        return f"RetryExecutor({self.policy!r})"

    # As a layer of a stack.

    @property
    def always(self) -> bool:
        """The fast way reads no clock, looks at no result and calls nobody."""
        policy = self.policy
        return (
            policy.total_timeout is not None
            or policy.retry_if_result is not None
            or self.on_success is not None
        )

    def check_sync(self) -> None:
        """Refuses what a sync function cannot await."""
        for field in ("on_retry", "on_success"):
            hook = getattr(self, field)
            if hook is not None and _signatures.is_async(hook):
                raise TypeError(f"`{field}` must not be a coroutine function here, but is {hook!r}")

    def run(self, inner: Step, call: Call) -> Any:
        course = Course(self, call)
        while True:
            outcome = course.injected()
            if outcome is None:
                outcome = inner(call)
            delay = course.settle(outcome)
            if delay is None:
                if course.succeeded and self.on_success is not None:
                    course.refuse_coroutine("on_success", self.on_success(outcome))
                return course.outcome
            if self.on_retry is not None:
                course.refuse_coroutine("on_retry", course.tell(delay))
            outcome = None
            course.let_go()
            course.sleep(delay)

    async def run_async(self, inner: AsyncStep, call: Call) -> Any:
        course = Course(self, call)
        while True:
            outcome = course.injected()
            if outcome is None:
                outcome = await inner(call)
            delay = course.settle(outcome)
            if delay is None:
                if course.succeeded and self.on_success is not None:
                    told = self.on_success(outcome)
                    if inspect.isawaitable(told):
                        await told
                return course.outcome
            if self.on_retry is not None:
                await course.tell_async(delay)
            outcome = None
            course.let_go()
            await course.sleep_async(delay)

    # By itself.

    def execute_sync(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls ``function`` until it succeeds or the policy gives up.

        Raises a permanent error as it is, else the last one, also as a RetryExhaustedError.
        """
        checked_callable("function", function)
        if _signatures.is_async(function):
            raise TypeError(
                f"`function` must not be a coroutine function, but is {function!r}: use execute_async"
            )
        self.check_sync()
        value = finish(self.run(operation, Call(function, args, kwargs)))
        refuse_coroutine(function, value)
        return cast(T, value)

    async def execute_async(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Awaits what ``function`` gives until it succeeds or the policy gives up.

        Raises a permanent error as it is, else the last one, also as a RetryExhaustedError.
        """
        checked_callable("function", function)
        return cast(T, finish(await self.run_async(operation_async, Call(function, args, kwargs))))

    def __iter__(self) -> Iterator[Attempt]:
        self.check_sync()
        return Loop(self)

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return AsyncLoop(self)


#: The errors of so many attempts are kept, the latest ones.
KEPT: Final = 64


class Course:
    """The course of one call: what its attempts ended in, and the decisions on them."""

    __slots__ = (
        "attempts", "call", "errors", "executor", "last", "made", "mock", "outcome", "started", "succeeded",
    )

    def __init__(self, executor: RetryExecutor, call: Call | None) -> None:
        self.executor = executor
        self.call = call
        self.made = 0
        self.errors: list[BaseException] = []
        self.last: Any = None
        #: What the caller gets, once nothing follows any more.
        self.outcome: Any = None
        self.succeeded = False
        self.mock: RetryMock | None = None
        limit = None
        if _state.switches:
            mocks = _state.retry_mocks.get()
            if mocks:
                self.mock = mocks[-1]
                self.mock.begin()
                limit = self.mock.limit
        # What a test makes fail is no load that others could be short of.
        budget = executor.budget if self.mock is None else None
        self.attempts = executor.policy._rules.attempts(budget, limit)
        self.started = self.now() if executor.policy.total_timeout is not None else None

    def now(self) -> float:
        source = self.executor.time_source
        if source is not None:
            return read_clock(source)
        now = _state.world_now()
        return time.monotonic() if now is None else now

    def injected(self) -> Any:
        """What a test has this attempt end in, without the operation; `None` for nothing."""
        if self.mock is None:
            return None
        error = self.mock.attempt()
        return None if error is None else Failed(error)

    def settle(self, outcome: Any) -> float | None:
        """The delay before the next attempt, or `None` if nothing follows: `self.outcome` stands."""
        try:
            return self._settle(outcome)
        except BaseException as raised:
            if type(outcome) is Failed:
                keep(outcome.error, raised)
            self.errors.clear()
            self.let_go()
            raise

    def _settle(self, outcome: Any) -> float | None:
        self.made += 1
        policy = self.executor.policy
        self.outcome = self.last = outcome
        if type(outcome) is Failed:
            note = outcome.note
            error = outcome.error
            # A retry further in has given up, and its error is joined later.
            if isinstance(note, GaveUp) and not policy.retry_on_exhausted:
                self.errors.clear()
                return None
            if not (isinstance(error, InjectedError) or policy.is_transient(error)):
                self.errors.clear()
                return None
            self.errors.append(error)
            del self.errors[:-KEPT]
            wish = None
            if policy.retry_after is not None:
                wish = as_seconds(policy.retry_after(error))
            if isinstance(error, exceptions.CircuitBreakerOpenError) and wish is None:
                wish = error.retry_after
        elif policy.retry_if_result is not None and policy.retry_if_result(outcome):
            error, wish = None, None
        else:
            self.succeed()
            return None
        if self.call is not None:
            self.call.count("failures")
        now = self.now()
        if self.started is None:
            self.started = now
        elapsed = max(0.0, now - self.started)
        follows = self.attempts.failed(elapsed, wish)
        if isinstance(follows, float):
            if self.mock is not None:
                self.mock.delayed(follows)
            if self.call is not None:
                self.call.count("retries")
            if _events.heard("retry_scheduled"):
                self.told("retry_scheduled", error, attempt=self.made, delay_ms=_events.milliseconds(follows))
            return follows
        if self.call is not None:
            self.call.count("exhausted")
        if _events.heard("retry_exhausted"):
            self.told(
                "retry_exhausted",
                error,
                attempts=self.made,
                elapsed_ms=_events.milliseconds(elapsed),
                reason=follows,
            )
        if error is not None and not self.executor.reraise:
            outcome.note = GaveUp(self.made, elapsed, tuple(self.errors), outcome.note)
        self.errors.clear()
        return None

    def let_go(self) -> None:
        """Drops an outcome that another attempt follows; its error is kept in `errors` alone."""
        if type(self.last) is Failed:
            self.last.drop()
        self.last = self.outcome = None

    def succeed(self) -> None:
        self.succeeded = True
        self.last = None
        self.errors.clear()
        self.attempts.succeeded()
        if self.made > 1 and self.call is not None:
            self.call.count("recovered")

    def told(self, kind: str, error: BaseException | None, **fields: Any) -> None:
        limit = self.mock.limit if self.mock is not None else None
        _events.tell(
            kind,
            {
                "policy": "retry",
                "name": self.executor.name,
                "max_attempts": limit or self.executor.policy.max_attempts,
                "error_type": _events.type_name(error),
                **fields,
            },
        )

    def tell(self, delay: float) -> Any:
        """Calls `on_retry`; what it gives may have to be awaited."""
        hook = self.executor.on_retry
        assert hook is not None
        last = self.last
        error = last.error if type(last) is Failed else None
        given = (self.made, error, delay)[: self.executor._on_retry_takes]
        try:
            return hook(*given)
        except BaseException as raised:
            self.interrupted(raised)
            raise
        finally:
            del last, error, given

    async def tell_async(self, delay: float) -> None:
        told = self.tell(delay)
        if inspect.isawaitable(told):
            try:
                await told
            except BaseException as raised:
                self.interrupted(raised)
                raise

    def refuse_coroutine(self, field: str, given: object) -> None:
        """Refuses what a sync call cannot await: a sleep of the kind would be none."""
        if inspect.iscoroutine(given):
            given.close()
            raise TypeError(
                f"`{field}` must not give a coroutine here, but {getattr(self.executor, field)!r} does"
            )

    def interrupted(self, raised: BaseException) -> None:
        """A listener, predicate, clock or sleep has failed, or the caller was ended while it waited."""
        if self.errors:
            keep(self.errors[-1], raised)
        self.errors.clear()
        self.let_go()

    def sleep(self, delay: float) -> None:
        if delay <= 0 or self.mocked(delay):
            return
        sleep = self.executor.sleep_func
        try:
            if sleep is None:
                _waiting.sleep(delay)
            else:
                self.refuse_coroutine("sleep_func", sleep(delay))
        except BaseException as raised:
            self.interrupted(raised)
            raise

    async def sleep_async(self, delay: float) -> None:
        if delay <= 0 or self.mocked(delay):
            # No timer; but a loop that never waits would shut out all others.
            if self.made % 8 == 0:
                await _waiting.checkpoint()
            return
        sleep = self.executor.async_sleep_func
        try:
            if sleep is None:
                await _waiting.sleep_async(delay)
                return
            waits = sleep(delay)
            if not inspect.isawaitable(waits):
                raise TypeError(f"`async_sleep_func` must give an awaitable, but {sleep!r} gave {waits!r}")
            await waits
        except BaseException as raised:
            self.interrupted(raised)
            raise

    def mocked(self, delay: float) -> bool:
        """A mocked call does not wait, whatever its sleeper: only a test's clock moves."""
        if self.mock is None:
            return False
        _state.world_sleep(delay)
        return True


def as_seconds(wish: float | datetime.timedelta | datetime.datetime | None) -> float | None:
    """What a callee asks for, in seconds from now; `None` for nothing, or for nonsense."""
    if wish is None or isinstance(wish, bool):
        return None
    if isinstance(wish, datetime.datetime):
        wish = wish - datetime.datetime.now(wish.tzinfo)
    if isinstance(wish, datetime.timedelta):
        return max(0.0, wish.total_seconds())
    # Not NaN; and a float cannot hold every integer, but what is that long ends the call anyway.
    if isinstance(wish, (int, float)) and wish == wish:
        return max(0.0, float(min(wish, 1e300)))
    return None


class Attempt:
    """One attempt of a loop: ``with attempt:`` around what may fail."""

    __slots__ = ("_loop", "number")

    #: Counted from 1.
    number: int

    def __init__(self, loop: _Loop, number: int) -> None:
        self._loop = loop
        self.number = number

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return self._loop.leave(error)

    def __repr__(self) -> str:
        return f"<attempt {self.number} of {self._loop.course.executor.policy.max_attempts}>"


class _Loop:
    __slots__ = ("course", "delay", "given")

    def __init__(self, executor: RetryExecutor) -> None:
        self.course = Course(executor, None)
        self.delay: float | None = None
        self.given = False

    def next(self) -> Attempt:
        self.given = True
        return Attempt(self, self.course.made + 1)

    @property
    def over(self) -> bool:
        """Whether the attempt given last is followed by none: it succeeded, or nobody entered it."""
        return self.given and self.delay is None

    def leave(self, error: BaseException | None) -> bool:
        self.delay = None
        if error is None:
            self.course.succeed()
            return False
        self.delay = self.course.settle(Failed(error))
        if self.delay is not None:
            return True
        final = cast(Failed, self.course.outcome).take()
        if final is error:
            return False
        context = final.__context__
        try:
            raise final
        finally:
            # Not the error that is handled here: that is what `final` was made of.
            exceptions.set_context(final, context)
            del final, error, context


class Loop(_Loop):
    """``for attempt in policy:``"""

    __slots__ = ()

    def __iter__(self) -> Loop:
        return self

    def __next__(self) -> Attempt:
        if self.over:
            raise StopIteration
        delay, self.delay = self.delay, None
        if delay is not None:
            if self.course.executor.on_retry is not None:
                self.course.refuse_coroutine("on_retry", self.course.tell(delay))
            self.course.let_go()
            self.course.sleep(delay)
        return self.next()


class AsyncLoop(_Loop):
    """``async for attempt in policy:``"""

    __slots__ = ()

    def __aiter__(self) -> AsyncLoop:
        return self

    async def __anext__(self) -> Attempt:
        if self.over:
            raise StopAsyncIteration
        delay, self.delay = self.delay, None
        if delay is not None:
            if self.course.executor.on_retry is not None:
                await self.course.tell_async(delay)
            self.course.let_go()
            await self.course.sleep_async(delay)
        return self.next()
