"""``FallbackChain``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ... import _fallback, _signatures
from ..._calls import Failed

__all__ = ["FallbackChain"]

T = TypeVar("T")


class Chain(_fallback.FallbackChain):
    """Ends in the last fallback's error, and gives arguments to whatever can take some."""

    __slots__ = ()

    def __init__(self, fallbacks: Sequence[Callable[..., Any]], on: tuple[type[BaseException], ...]) -> None:
        super().__init__(fallbacks, fallback_on=on)
        self._entries = tuple((entry, _takes_any(entry)) for entry in fallbacks)  # type: ignore[misc]

    def _exhausted(self, outcome: Failed, errors: list[BaseException]) -> Failed:
        super()._exhausted(outcome, errors)  # tells
        return Failed(errors[-1])


def _takes_any(function: Callable[..., Any]) -> bool:
    found = _signatures.signature(function)
    return found is None or bool(found.parameters)


class FallbackChain:
    """What to try in order when a function fails; the last one's error is raised when all fail."""

    def __init__(
        self,
        *,
        fallbacks: Sequence[Callable[..., Any]] = (),
        expected_exceptions: tuple[type[Exception], ...] = (Exception,),
    ) -> None:
        self.fallbacks = list(fallbacks)
        self.expected_exceptions = expected_exceptions
        self._made: tuple[list[Callable[..., Any]], tuple[type[Exception], ...], Chain] | None = None
        if self.fallbacks:
            self._chain()

    def add_fallback(self, fallback_func: Callable[..., Any]) -> None:
        """Adds one at the end."""
        self.fallbacks.append(fallback_func)

    def execute(self, primary_func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Calls ``primary_func``, and the fallbacks in turn if it fails."""
        if not self.fallbacks:
            return primary_func(*args, **kwargs)
        return self._chain().execute_sync(primary_func, *args, **kwargs)

    async def execute_async(self, primary_func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Awaits ``primary_func``, and the fallbacks in turn if it fails; sync ones may be among them."""
        if not self.fallbacks:
            value = primary_func(*args, **kwargs)
            return await value if inspect.isawaitable(value) else value
        return await self._chain().execute_async(primary_func, *args, **kwargs)

    def _chain(self) -> Chain:
        made = self._made
        if made is None or made[0] != self.fallbacks or made[1] != self.expected_exceptions:
            given = list(self.fallbacks)
            made = self._made = (given, self.expected_exceptions, Chain(given, self.expected_exceptions))
        return made[2]

    def __repr__(self) -> str:
        return f"FallbackChain(fallbacks={self.fallbacks!r}, expected_exceptions={self.expected_exceptions!r})"
