"""The course of one call of a retry: what its attempts ended in, and what was decided on them."""

from __future__ import annotations

import datetime
import inspect
import time
from typing import TYPE_CHECKING, Any, Protocol

from . import _events, _state, _waiting, exceptions
from ._arguments import read_clock
from ._calls import Call, Failed, GaveUp, keep

if TYPE_CHECKING:
    from ._retry import RetryExecutor


class InjectedError(Exception):
    """What a mock makes an attempt end in; every retry takes it for transient."""


class RetryMock(Protocol):
    """What stands in for retries."""

    limit: int | None

    def begin(self) -> None: ...

    def attempt(self) -> BaseException | None: ...

    def delayed(self, seconds: float) -> None: ...


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
        self.attempts = executor.policy._rules.attempts(budget, limit, executor._next_seed())
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
            del self.errors[: -1 - policy.keep_errors]
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
