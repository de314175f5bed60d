"""Fallback: answer in the operation's place when it has failed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, ParamSpec, TypeVar, cast

from . import _calls, _events, _signatures
from ._arguments import ErrorTypes, Predicate, checked_name, types_or_predicate
from ._calls import AnyLayer, AsyncStep, Call, Failed, NoneLeft, Step, is_control, keep, own_error

P = ParamSpec("P")
T = TypeVar("T")
Fallback = Callable[..., Any]


class FallbackChain(AnyLayer):
    """What to try, in order, when the primary fails: ``FallbackChain([a, b])`` or ``FallbackChain(a, b)``.

    A fallback without required parameters and without ``*args`` is called with nothing, any other one
    with the primary's arguments. The first that succeeds answers. Where none does, the primary's error is
    raised, also as a FallbackExhaustedError.

    - ``fallback_on`` (``Exception``): the types of errors that they answer for, or a predicate; others pass.
      What ends the caller always does.
    - ``name``: is told in events.
    """

    __slots__ = ("__weakref__", "_async", "_entries", "fallback_on", "name")

    def __init__(
        self,
        *fallbacks: Fallback | Iterable[Fallback],
        fallback_on: ErrorTypes | Predicate = Exception,
        name: str | None = None,
    ) -> None:
        given: list[Any] = list(fallbacks)
        if len(given) == 1 and not callable(given[0]) and isinstance(given[0], Iterable):
            given = list(given[0])
        if not given:
            raise ValueError("`fallbacks` must hold at least one callable, but is empty")
        for entry in given:
            if not callable(entry):
                raise TypeError(
                    f"`fallbacks` must be callables, but has {entry!r}: a value is written `lambda: value`"
                )
            if _signatures.is_generator(entry):
                raise TypeError(f"`fallbacks` must not be generator functions, but has {entry!r}")
        self._entries: Final[tuple[tuple[Fallback, bool], ...]] = tuple(
            (entry, _signatures.wants_arguments(entry)) for entry in given
        )
        self._async: Final = [entry for entry in given if _signatures.is_async(entry)]
        self.fallback_on: Final = types_or_predicate("fallback_on", fallback_on)
        self.name: Final = checked_name(name)

    @property
    def fallbacks(self) -> tuple[Fallback, ...]:
        """The fallbacks in order."""
        return tuple(entry for entry, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"FallbackChain({list(self.fallbacks)!r})"

    def execute_sync(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls ``function``, and the fallbacks in turn if it fails."""
        return cast(T, _calls.execute(self, function, args, kwargs, "execute_async"))

    async def execute_async(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Awaits what ``function`` gives, and the fallbacks in turn if it fails."""
        return cast(T, await _calls.execute_async(self, function, args, kwargs))

    # As a layer of a stack.

    always = False

    def check_sync(self) -> None:
        """Refuses what a sync function cannot await."""
        if self._async:
            raise TypeError(
                f"`fallbacks` of a sync function must not be coroutine functions, but has {self._async[0]!r}"
            )

    def covers(self, outcome: Failed) -> bool:
        """Whether the fallbacks answer in its place."""
        error = outcome.error
        if is_control(error):
            return False
        by = self.fallback_on
        if isinstance(by, (type, tuple)):
            return isinstance(error, by) or isinstance(own_error(error), by)
        try:
            return isinstance(error, Exception) and bool(by(own_error(error)))
        except BaseException as raised:
            keep(error, raised)
            outcome.drop()
            raise

    def run(self, inner: Step, call: Call) -> Any:
        outcome = inner(call)
        if type(outcome) is not Failed or not self.covers(outcome):
            return outcome
        tried = _Tried(self, call, outcome)
        for fallback, wants_arguments in self._entries:
            try:
                value = fallback(*call.args, **call.kwargs) if wants_arguments else fallback()
                if inspect.iscoroutine(value):
                    value.close()
                    raise TypeError(
                        f"`fallbacks` of a sync function must not give coroutines, but {fallback!r} does"
                    )
            except BaseException as error:
                value = Failed(error)
            if tried.is_over(value):
                return value
        return tried.none_left()

    async def run_async(self, inner: AsyncStep, call: Call) -> Any:
        outcome = await inner(call)
        if type(outcome) is not Failed or not self.covers(outcome):
            return outcome
        tried = _Tried(self, call, outcome)
        for fallback, wants_arguments in self._entries:
            try:
                value = fallback(*call.args, **call.kwargs) if wants_arguments else fallback()
                if inspect.isawaitable(value):
                    value = await value
            except BaseException as error:
                value = Failed(error)
            if tried.is_over(value):
                return value
        return tried.none_left()

    def _exhausted(self, outcome: Failed, errors: list[BaseException]) -> Failed:
        if _events.heard("fallback_exhausted"):
            _events.tell(
                "fallback_exhausted",
                {
                    "policy": "fallback",
                    "name": self.name,
                    "tried": len(errors),
                    "error_type": _events.type_name(outcome.error),
                },
            )
        outcome.note = NoneLeft(tuple(errors), outcome.note)
        return outcome


class _Tried:
    """What the fallbacks came to that were tried for one failure."""

    __slots__ = ("call", "chain", "errors", "outcome")

    def __init__(self, chain: FallbackChain, call: Call, outcome: Failed) -> None:
        self.chain = chain
        self.call = call
        self.outcome = outcome
        self.errors: list[BaseException] = []

    def is_over(self, value: Any) -> bool:
        """Whether what a fallback came to is what the caller gets."""
        if type(value) is Failed and isinstance(value.error, Exception):
            self.errors.append(value.error)
            value.drop()
            return False
        entry = len(self.errors) + 1
        error_type = _events.type_name(self.outcome.error)
        self.outcome.drop()
        self.errors.clear()
        if type(value) is not Failed:
            self._tell_used(entry, error_type)
        # Else the fallback was ended, and the caller with it.
        return True

    def _tell_used(self, entry: int, error_type: str | None) -> None:
        self.call.count("fallbacks")
        if _events.heard("fallback_used"):
            _events.tell(
                "fallback_used",
                {
                    "policy": "fallback",
                    "name": self.chain.name,
                    "entry": entry,
                    "error_type": error_type,
                },
            )

    def none_left(self) -> Failed:
        """What the caller gets when all have failed."""
        ended = self.chain._exhausted(self.outcome, self.errors)
        if ended is not self.outcome:
            self.outcome.drop()
        self.errors.clear()
        return ended
