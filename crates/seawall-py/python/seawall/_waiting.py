"""Waiting: on the thread, on asyncio's loop or on trio's."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from . import _state


def in_trio() -> bool:
    """Whether the task that runs here is trio's."""
    if asyncio._get_running_loop() is not None:
        return False
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def sleep(seconds: float) -> None:
    """Blocks the thread, or asks the test to."""
    if not _state.world_sleep(seconds):
        time.sleep(seconds)


async def sleep_async(seconds: float) -> None:
    """Waits on the loop that runs here, or asks the test to."""
    if _state.world_sleep(seconds):
        await checkpoint()
    elif in_trio():
        await sys.modules["trio"].sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def checkpoint() -> None:
    """Lets other tasks run once."""
    if in_trio():
        await sys.modules["trio"].lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)
