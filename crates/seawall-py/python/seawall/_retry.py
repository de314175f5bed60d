"""Retry: try again after transient failures, with growing, spread delays."""

from __future__ import annotations

import datetime
import enum
import inspect
import itertools
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, final

from . import _calls, _seawall, _signatures, exceptions
from ._arguments import (
    ErrorTypes,
    Predicate,
    Seconds,
    checked_attempt,
    checked_callable,
    checked_flag,
    checked_name,
    checked_whole,
    names,
    optional_sync,
    types_or_predicate,
)
from ._calls import CONTROL, AsyncStep, Call, Step, is_control, own_error
from ._course import Course
from ._loops import AsyncLoop, Attempt, Loop
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
    - ``keep_errors`` (64): of so many earlier attempts, the latest ones, the errors are kept in
      ``attempt_errors``, beside the last one's.

    What makes no sense is a ValueError or TypeError that names it. A policy is also a loop, ``for attempt in
    policy:``, sync and async: ``with attempt:`` swallows a transient error while another attempt follows.
    """

    __slots__ = (
        "_key",
        "_rules",
        "backoff_strategy",
        "base_delay",
        "jitter",
        "keep_errors",
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
        @property
        def keep_errors(self) -> int: ...
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
        keep_errors: int = 64,
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
        self._fill(
            rules,
            {
                "retry_on": types_or_predicate("retry_on", retry_on),
                "retry_if_result": optional_sync("retry_if_result", retry_if_result),
                "retry_after": optional_sync("retry_after", retry_after),
                "retry_on_open": checked_flag("retry_on_open", retry_on_open),
                "retry_on_exhausted": checked_flag("retry_on_exhausted", retry_on_exhausted),
                "keep_errors": checked_whole("keep_errors", keep_errors, 0, 65535),
            },
        )

    def _fill(self, rules: _seawall.RetryRules, beside: dict[str, Any]) -> None:
        """Takes the settings of the decisions as they are, and what stands beside them."""
        fields = {**rules.settings(), **beside}
        fields["backoff_strategy"] = BackoffStrategy(fields["backoff_strategy"])
        fields["jitter"] = {"plus_minus": True, "none": False}.get(fields["jitter"], fields["jitter"])
        fields.setdefault("total_timeout", None)
        for name in _FIELDS:
            object.__setattr__(self, name, fields[name])
        object.__setattr__(self, "_rules", rules)
        object.__setattr__(self, "_key", tuple(fields[name] for name in _FIELDS))

    @classmethod
    def _of(cls, rules: _seawall.RetryRules, **beside: Any) -> RetryPolicy:
        """One of settings that are checked already, as those of a policy file are."""
        self = cls.__new__(cls)
        open_ended = {"retry_on": Exception, "retry_if_result": None, "retry_after": None, "keep_errors": 64}
        self._fill(rules, open_ended | beside)
        return self

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
            if value is not None
            and (value is not False or name == "jitter")
            and (name, value) != ("keep_errors", 64)
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
    "keep_errors",
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


class RetryExecutor:
    """A policy and what one attaches to it: listeners, a budget, a clock, a way to wait.

    - ``on_retry(attempt, error)`` or ``(attempt, error, delay)``: is called before each wait. ``on_success(value)``
      when an attempt succeeds. Both may be coroutine functions where the operation is one. What they raise
      ends the call.
    - ``budget``: shared by whoever is given it; a retry that it does not pay for is not made.
    - ``reraise`` (``False``): at the end raises the very error of the last attempt.
    - ``name``: is told in events.
    - ``seed``: draws the jitter from the stream of this number, 0 to 2**64 - 1, and of the next one at each
      further call, so that a run can be repeated: the delays are those of the same seed in Rust and in the
      command ``seawall``.
    - ``time_source``: gives seconds, in the place of ``time.monotonic``. ``sleep_func`` waits for sync
      operations, ``async_sleep_func`` for async ones; a delay of 0 calls neither. One that is given for the
      other kind alone would be left unused, and is a TypeError.

    Cancellation while it waits ends the call at once, with the operation's error as its context.
    """

    __slots__ = (
        "__weakref__",
        "_on_retry_takes",
        "_seeds",
        "async_sleep_func",
        "budget",
        "name",
        "on_retry",
        "on_success",
        "policy",
        "reraise",
        "seed",
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
        seed: int | None = None,
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
        self.policy: Final = policy
        self.on_retry: Final = None if on_retry is None else checked_callable("on_retry", on_retry)
        self.on_success: Final = (
            None if on_success is None else checked_callable("on_success", on_success)
        )
        self.budget: Final = budget
        self.reraise: Final = checked_flag("reraise", reraise)
        self.name: Final = checked_name(name)
        self.seed: Final = None if seed is None else checked_whole("seed", seed, 0, 2**64 - 1)
        #: The next call's seed; counting needs no lock.
        self._seeds: Final = None if seed is None else itertools.count(seed)
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
        self._check_sleep("async_sleep_func", "sleep_func", "a sync function")

    def check_async(self) -> None:
        """Refuses what a coroutine function has no use for."""
        self._check_sleep("sleep_func", "async_sleep_func", "a coroutine function")

    def _check_sleep(self, given: str, wanted: str, function: str) -> None:
        # Left unused, a test's sleep would be a real wait, and nobody would be told.
        if getattr(self, given) is not None and getattr(self, wanted) is None:
            raise TypeError(f"`{given}` is not used for {function}: give `{wanted}`, or both")

    def _next_seed(self) -> int | None:
        return None if self._seeds is None else next(self._seeds) % 2**64

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
        return cast(T, _calls.execute(self, function, args, kwargs, "execute_async"))

    async def execute_async(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Awaits what ``function`` gives until it succeeds or the policy gives up.

        Raises a permanent error as it is, else the last one, also as a RetryExhaustedError.
        """
        return cast(T, await _calls.execute_async(self, function, args, kwargs))

    def __iter__(self) -> Iterator[Attempt]:
        self.check_sync()
        return Loop(self)

    def __aiter__(self) -> AsyncIterator[Attempt]:
        self.check_async()
        return AsyncLoop(self)
