"""Timeout: give up an async operation after so long."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

from . import _events, _seawall, _waiting
from ._arguments import Seconds
from ._calls import AnyLayer, AsyncStep, Call, Failed, Step, is_control
from .exceptions import TimedOutError


class Timeout(AnyLayer):
    """Cancels what runs inside after ``limit`` seconds. A caller's own cancellation stays one."""

    __slots__ = ("limit", "where")

    # The wrapper starts the operation itself, and comes here only if that has to wait.
    always = False

    def __init__(self, limit: Seconds, where: str = "") -> None:
        self.limit: Final = _seawall.seconds("seconds", limit)
        #: What to say first where it is refused: the place in a policy file.
        self.where: Final = where

    def check_sync(self) -> None:
        raise TypeError(
            f"{self.where}`timeout` is for async functions: a thread cannot be stopped from outside"
        )

    def __repr__(self) -> str:
        return f"Timeout({self.limit:g})"

    def run(self, inner: Step, call: Call) -> Any:
        self.check_sync()

    async def run_async(self, inner: AsyncStep, call: Call) -> Any:
        try:
            if _waiting.in_trio():
                with sys.modules["trio"].move_on_after(self.limit):
                    return _cancellation_raised(await inner(call))
            else:
                async with asyncio.timeout(self.limit) as scope:
                    return _cancellation_raised(await inner(call))
        except TimeoutError as error:
            # The operation's own is an outcome, and not raised here.
            if not scope.expired():
                raise error
        except BaseException as error:
            if not is_control(error):
                raise
            return Failed(error)
        return self._timed_out(call)

    def _timed_out(self, call: Call) -> Failed:
        call.count("timed_out")
        if _events.heard("timed_out"):
            limit = _events.milliseconds(self.limit)
            _events.tell("timed_out", {"policy": "timeout", "name": None, "limit_ms": limit})
        return Failed(TimedOutError(self.limit))


def _cancellation_raised(outcome: Any) -> Any:
    """The layers hand errors on as values; a timer has to see its own cancellation come by."""
    if type(outcome) is Failed and is_control(outcome.error):
        error = outcome.error
        outcome.drop()
        try:
            raise error
        finally:
            # The error holds this frame by its traceback: it must not hold the error in turn.
            del error
    return outcome
