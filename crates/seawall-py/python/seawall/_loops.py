"""A retry as a loop: ``for attempt in policy:``, and ``with attempt:`` around what may fail."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, cast

from . import exceptions
from ._calls import Failed
from ._course import Course

if TYPE_CHECKING:
    from ._retry import RetryExecutor


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
