"""What a call ends in when a policy ends it."""

from __future__ import annotations

__all__ = [
    "CircuitBreakerOpenError",
    "FallbackExhaustedError",
    "RetryExhaustedError",
    "SeawallError",
    "TimedOutError",
    "exhausted",
    "fallback_exhausted",
]


class SeawallError(Exception):
    """What all of Seawall's own errors are."""


class RetryExhaustedError(SeawallError):
    """A retry gave up: attempts, time or budget ran out."""

    attempts: int
    elapsed: float
    last_error: BaseException
    attempt_errors: tuple[BaseException, ...]

    def __init__(
        self,
        attempts: int,
        elapsed: float,
        last_error: BaseException,
        attempt_errors: tuple[BaseException, ...] = (),
    ) -> None:
        super().__init__(attempts, elapsed, last_error, attempt_errors)
        self.attempts = attempts
        self.elapsed = elapsed
        self.last_error = last_error
        self.attempt_errors = attempt_errors

    def __str__(self) -> str:
        return f"gave up after {self.attempts} attempts in {self.elapsed:.3f} s: {self.last_error!r}"


class CircuitBreakerOpenError(SeawallError, RuntimeError):
    """A circuit breaker let the call not through."""

    # The text is made when it is asked for: a rejection must be cheap.
    @property
    def name(self) -> str | None:
        """The breaker's name."""
        name: str | None = self.args[0] if self.args else None
        return name

    @property
    def retry_after(self) -> float | None:
        """Seconds until a probe will be let through, if that is known."""
        retry_after: float | None = self.args[1] if len(self.args) > 1 else None
        return retry_after

    def __init__(self, name: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(name, retry_after)

    def __str__(self) -> str:
        of = f" {self.name!r}" if self.name else ""
        when = "" if self.retry_after is None else f", retry after {self.retry_after:.3f} s"
        return f"circuit breaker{of} is open{when}"


class FallbackExhaustedError(SeawallError):
    """The primary failed, and so did every fallback."""

    error: BaseException
    errors: tuple[BaseException, ...]

    def __init__(self, error: BaseException, errors: tuple[BaseException, ...] = ()) -> None:
        super().__init__(error, errors)
        self.error = error
        self.errors = errors

    def __str__(self) -> str:
        return f"{self.error!r}, and {len(self.errors)} fallbacks failed"


class TimedOutError(SeawallError, TimeoutError):
    """The call took longer than its limit."""

    limit: float

    def __init__(self, limit: float) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"timed out after {self.limit:g} s"


def exhausted(
    error: BaseException,
    *,
    attempts: int,
    elapsed: float,
    attempt_errors: tuple[BaseException, ...],
) -> BaseException:
    """The error to raise when a retry has given up on ``error``."""
    made = RetryExhaustedError(attempts, elapsed, error, attempt_errors)
    made.__cause__ = error
    return made


def fallback_exhausted(
    error: BaseException, *, fallback_errors: tuple[BaseException, ...]
) -> BaseException:
    """The error to raise when the primary ended in ``error`` and every fallback failed."""
    made = FallbackExhaustedError(error, fallback_errors)
    made.__cause__ = error
    return made
