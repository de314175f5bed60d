"""What the two breakers share."""

from __future__ import annotations

from collections.abc import Callable

from ..._arguments import ErrorTypes
from ..._breaker import CircuitBreaker, CircuitState
from ...exceptions import CircuitBreakerOpenError


class CircuitOpenError(CircuitBreakerOpenError):
    """The same, in the words that its users look for."""

    def __str__(self) -> str:
        return "Circuit breaker is open"


class Breaker(CircuitBreaker):
    __slots__ = ()

    def _rejected(self, retry_after: float | None) -> CircuitBreakerOpenError:
        return CircuitOpenError(*super()._rejected(retry_after).args)

    def _is_failure(self, error: BaseException) -> bool | None:
        # An error of another kind says neither that the callee is well nor that it is not.
        return super()._is_failure(error) or None


class Circuit:
    """Settings and state; how calls run is added by kind."""

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 30.0,
        expected_exception: ErrorTypes = Exception,
        time_source: Callable[[], float] | None = None,
    ) -> None:
        self.failure_threshold = failure_threshold
        self.recovery_timeout = recovery_timeout
        self.expected_exception = expected_exception
        self._breaker = Breaker(
            failure_threshold=failure_threshold,
            recovery_timeout=recovery_timeout,
            expected_exception=expected_exception,
            time_source=time_source,
        )

    def _state(self) -> CircuitState:
        # Half-open as soon as the time is over, and not only when a call arrives.
        state = self._breaker.state
        if state is CircuitState.OPEN and not self._breaker.time_until_probe:
            return CircuitState.HALF_OPEN
        return state

    def _failure_count(self) -> int:
        counters = self._breaker.counters
        if self._breaker.state is CircuitState.CLOSED:
            return counters.consecutive_failures
        return self.failure_threshold + counters.reopenings

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._state()}>"
