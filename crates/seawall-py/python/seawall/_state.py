"""What is shared by the whole process, and what a test puts in its place."""

from __future__ import annotations

import contextvars
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from . import _seawall

if TYPE_CHECKING:
    from ._breaker import CircuitBreaker
    from ._course import RetryMock

#: Held for a few assignments at a time, never while other code runs.
lock = threading.RLock()


class World(Protocol):
    """Clock and waiting, where a test has put its own in their place."""

    def now(self) -> float | None: ...

    def sleep(self, seconds: float) -> bool: ...


# Each is looked at only on the slow way, and only while `switches` says that there is one somewhere.
worlds: Final[contextvars.ContextVar[tuple[World, ...]]] = contextvars.ContextVar(
    "seawall_worlds", default=()
)
retry_mocks: Final[contextvars.ContextVar[tuple[RetryMock, ...]]] = contextvars.ContextVar(
    "seawall_retry_mocks", default=()
)
breaker_mocks: Final[contextvars.ContextVar[tuple[CircuitBreaker, ...]]] = contextvars.ContextVar(
    "seawall_breaker_mocks", default=()
)

#: How many mocks, clocks and other stand-ins live in the process.
switches: int = 0
#: Whether retries wait at all; turned off for a whole test session.
waiting: bool = True


def switch(by: int) -> None:
    """A stand-in came (1) or went (-1)."""
    global switches
    with lock:
        switches += by
        _seawall.switch(by)


def remove_last(inside: list[Any], entry: object) -> None:
    """Takes out the last of it, by identity, wherever others have been put since."""
    for at in range(len(inside) - 1, -1, -1):
        if inside[at] is entry:
            del inside[at]
            return


def world_now() -> float | None:
    """The time by a test's clock, where there is one here."""
    if switches:
        for world in reversed(worlds.get()):
            now = world.now()
            if now is not None:
                return now
    return None


def world_sleep(seconds: float) -> bool:
    """Whether a test has taken over the waiting."""
    if not waiting:
        for world in reversed(worlds.get()):
            world.sleep(seconds)
        return True
    if switches:
        for world in reversed(worlds.get()):
            if world.sleep(seconds):
                return True
    return False


def _after_fork() -> None:
    global lock
    # Another thread may have held it; there is none left that could give it back.
    lock = threading.RLock()
    _seawall.reseed(int.from_bytes(os.urandom(8), "little"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
