"""``AsyncCircuitBreaker``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ._breaker import Circuit
from .types import CircuitState

__all__ = ["AsyncCircuitBreaker", "CircuitState"]

T = TypeVar("T")


class AsyncCircuitBreaker(Circuit):
    """Stops awaiting functions that keep failing. May be used on any loop, also on several."""

    async def state(self) -> CircuitState:
        """The state now."""
        return self._state()

    async def failure_count(self) -> int:
        """Failures since the last success."""
        return self._failure_count()

    async def call(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Awaits ``func``, or raises a RuntimeError while the circuit is open."""
        return await self._breaker.call_async(func, *args, **kwargs)

    async def reset(self) -> None:
        """Closes the circuit and forgets the failures."""
        self._breaker.reset()
