"""``RetryPolicy`` and ``RetryExecutor``."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from ... import _events, _retry
from ..._signatures import is_async
from .types import BackoffStrategy

__all__ = ["BackoffStrategy", "RetryExecutor", "RetryPolicy"]

T = TypeVar("T")
OnRetry = Callable[[int, Exception], object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often, how soon and after which errors to try again."""

    max_attempts: int = 3
    backoff: BackoffStrategy = BackoffStrategy.EXPONENTIAL
    base_delay: float = 1.0
    max_delay: float = 60.0
    jitter: bool = True
    retryable_errors: tuple[type[Exception], ...] | None = None
    retryable_status_codes: Collection[int] | None = None

    def __post_init__(self) -> None:
        # In the words that its users know; all else is refused in Seawall's.
        if self.max_attempts < 1:
            raise ValueError("max_attempts must be at least 1")
        if self.base_delay < 0:
            raise ValueError("base_delay must be positive")
        if self.max_delay < self.base_delay:
            raise ValueError("max_delay must be >= base_delay")
        if self.retryable_status_codes is not None:
            object.__setattr__(self, "retryable_status_codes", frozenset(self.retryable_status_codes))
        rules = _retry.RetryPolicy(
            max_attempts=self.max_attempts,
            backoff=self.backoff,
            base_delay=self.base_delay,
            max_delay=self.max_delay,
            jitter=self.jitter,
            retry_on=Exception if self.retryable_errors is None else self.retryable_errors,
        )
        object.__setattr__(self, "backoff", rules.backoff_strategy)
        object.__setattr__(self, "_rules", rules)

    def calculate_delay(self, attempt: int) -> float:
        """The delay in seconds after attempt ``attempt``, counted from 1."""
        return 0.0 if attempt < 1 else self._seawall.calculate_delay(attempt)

    def should_retry(self, error: Exception, attempt: int) -> bool:
        """Whether attempt ``attempt``, which raised ``error``, is followed by another one."""
        return attempt < self.max_attempts and self._seawall.is_transient(error)

    def should_retry_response(self, response: Any, attempt: int) -> bool:
        """Whether attempt ``attempt``, which got ``response``, is followed by another one."""
        codes = self.retryable_status_codes
        if codes is None or attempt >= self.max_attempts:
            return False
        return getattr(response, "status", getattr(response, "status_code", None)) in codes

    @property
    def _seawall(self) -> _retry.RetryPolicy:
        rules: _retry.RetryPolicy = self.__dict__["_rules"]
        return rules

    def __str__(self) -> str:
        delay = f"{self.base_delay}s"
        return f"RetryPolicy(max_attempts={self.max_attempts}, backoff={self.backoff}, base_delay={delay})"


class RetryExecutor:
    """Runs functions under a policy; the last error is raised as it is."""

    def __init__(
        self,
        policy: RetryPolicy,
        on_retry: OnRetry | None = None,
        time_source: Callable[[], float] | None = None,
        sleep_func: Callable[[float], object] | None = None,
        async_sleep_func: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        if not isinstance(policy, RetryPolicy):
            raise TypeError(f"`policy` must be a RetryPolicy, but is {policy!r}")
        self.policy = policy
        self.on_retry = on_retry

        def layer(tell: Callable[[int, Any, float], object] | None, **sleep: Any) -> _retry.RetryExecutor:
            return _retry.RetryExecutor(
                policy._seawall, on_retry=tell, reraise=True, time_source=time_source, **sleep
            )

        # Its users count sleeps, also those of no length, which Seawall leaves out.
        def tell(attempt: int, error: Any, delay: float) -> None:
            if on_retry is not None:
                try:
                    on_retry(attempt, error)
                except Exception:
                    _events.harmless("`on_retry`", on_retry)
            if delay == 0 and sleep_func is not None:
                sleep_func(0.0)

        async def tell_async(attempt: int, error: Any, delay: float) -> None:
            if on_retry is not None:
                try:
                    told = on_retry(attempt, error)
                    if inspect.isawaitable(told):
                        await told
                except Exception:
                    _events.harmless("`on_retry`", on_retry)
            if delay == 0 and async_sleep_func is not None:
                await async_sleep_func(0.0)

        hook = None if on_retry is None and sleep_func is None else tell
        self._sync = layer(hook, sleep_func=sleep_func)
        hook_async = None if on_retry is None and async_sleep_func is None else tell_async
        self._async = layer(hook_async, async_sleep_func=async_sleep_func)

    def execute_sync(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Calls ``func`` until it succeeds or the policy gives up."""
        return self._for(False).execute_sync(func, *args, **kwargs)

    async def execute_async(self, func: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        """Awaits ``func`` until it succeeds or the policy gives up."""
        return await self._for(True).execute_async(func, *args, **kwargs)

    def _for(self, asynchronous: bool) -> _retry.RetryExecutor:
        """The layer for functions of one kind."""
        if not asynchronous and self.on_retry is not None and is_async(self.on_retry):
            raise TypeError(f"`on_retry` must not be a coroutine function here, but is {self.on_retry!r}")
        return self._async if asynchronous else self._sync
