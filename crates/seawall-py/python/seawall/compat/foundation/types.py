"""The enumerations, the same as Seawall's own."""

from ..._breaker import CircuitState
from ..._retry import BackoffStrategy

__all__ = ["BackoffStrategy", "CircuitState"]
