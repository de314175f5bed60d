"""``SyncCircuitBreaker``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._breaker import Circuit
from .types import CircuitState

__all__ = ["CircuitState", "SyncCircuitBreaker"]

T = TypeVar("T")


class SyncCircuitBreaker(Circuit):
    """Stops calling functions that keep failing."""

    def state(self) -> CircuitState:
        """The state now."""
        return self._state()

    def failure_count(self) -> int:
        """Failures since the last success."""
        return self._failure_count()

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Calls ``func``, or raises a RuntimeError while the circuit is open."""
        return self._breaker.call(func, *args, **kwargs)

    def reset(self) -> None:
        """Closes the circuit and forgets the failures."""
        self._breaker.reset()
