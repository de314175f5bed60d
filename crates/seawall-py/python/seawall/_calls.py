"""The slow way of a call: the policies of a stack around the operation, one after the other.

Outcomes are handed outwards as values: nothing is raised between the layers, so no attempt becomes
the context of another, and tracebacks show the user's frames and not ours.
"""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import Any, Protocol, cast

from . import _signatures, exceptions
from ._arguments import checked_callable
from ._seawall import Tally

#: What is passed on at once: never retried, never counted, whatever was named.
CONTROL = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)


def is_control(error: BaseException) -> bool:
    """Whether an error ends the caller and says nothing of the operation."""
    if isinstance(error, Exception):
        return False
    # trio's is private to trio, and asking for it must not import trio.
    return isinstance(error, CONTROL) or type(error).__name__ == "Cancelled"


class Failed:
    """An outcome that is an error. Any other object is what the operation returned."""

    __slots__ = ("error", "note")

    error: BaseException
    #: What a policy has to say of it, which becomes part of the error when the last layer is left.
    note: Note | None

    def __init__(self, error: BaseException, note: Note | None = None) -> None:
        self.error = error
        self.note = note

    def take(self) -> BaseException:
        """The error that the caller gets, taken out."""
        error = self.error
        made = error if self.note is None else self.note.made(error)
        self.drop()
        return made

    def drop(self) -> None:
        """Lets go of the error.

        An error holds the frames that it went through, and these hold those below them: what a layer's
        frame holds must not hold the error in turn, or only the garbage collector could free them.
        """
        del self.error
        self.note = None


class Note(Protocol):
    """What a policy has to say of an error."""

    def made(self, error: BaseException) -> BaseException: ...


class GaveUp:
    """A retry gave up."""

    __slots__ = ("attempts", "before", "elapsed", "errors")

    def __init__(
        self, attempts: int, elapsed: float, errors: tuple[BaseException, ...], before: Note | None
    ) -> None:
        self.attempts = attempts
        self.elapsed = elapsed
        self.errors = errors
        # A retry further in has the same name, and this one knows more.
        self.before = before if isinstance(before, NoneLeft) else None

    def made(self, error: BaseException) -> BaseException:
        if self.before is not None:
            error = self.before.made(error)
        return exceptions.exhausted(
            error, attempts=self.attempts, elapsed=self.elapsed, attempt_errors=self.errors
        )


class NoneLeft:
    """Every fallback failed too."""

    __slots__ = ("before", "errors")

    def __init__(self, errors: tuple[BaseException, ...], before: Note | None) -> None:
        self.errors = errors
        self.before = before

    def made(self, error: BaseException) -> BaseException:
        before = self.before
        if before is not None:
            error = before.made(error)
        made = exceptions.fallback_exhausted(error, fallback_errors=self.errors)
        if isinstance(before, GaveUp):
            made.add_note(f"the primary gave up after {before.attempts} attempts in {before.elapsed:.3f} s")
        return made


class Waits:
    """What the native half gives for a coroutine that it has begun and that waits for something."""

    __slots__ = ("what",)

    what: Any

    def __init__(self, what: Any) -> None:
        self.what = what


class Call:
    """One call: the operation with its arguments, and its first outcome if that is known already."""

    __slots__ = ("args", "first", "function", "kwargs", "started", "tally", "ticket")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        tally: Tally | None = None,
        ticket: int | None = None,
        first: BaseException | None = None,
        started: tuple[Coroutine[Any, Any, Any], Any] | None = None,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.tally = tally
        #: The breaker's leave for the first attempt, where that was made on the fast way.
        self.ticket = ticket
        #: What the first attempt ended in, where it was made on the fast way.
        self.first = first
        #: The first attempt and what it waits for, where it was started on the fast way.
        self.started = started

    def count(self, what: str) -> None:
        if self.tally is not None:
            self.tally.add(what)


Step = Callable[[Call], Any]
AsyncStep = Callable[[Call], Awaitable[Any]]


class Layer(Protocol):
    """A policy in a stack."""

    #: Whether it has a part in each call, also in one that succeeds at once on the good path.
    @property
    def always(self) -> bool: ...

    def check_sync(self) -> None: ...

    def check_async(self) -> None: ...

    def run(self, inner: Step, call: Call) -> Any: ...

    async def run_async(self, inner: AsyncStep, call: Call) -> Any: ...


class AnyLayer:
    """What a layer does not say about the functions that it may stand around: any will do."""

    __slots__ = ()

    def check_sync(self) -> None:
        """Refuses what a sync function cannot do."""

    def check_async(self) -> None:
        """Refuses what a coroutine function has no use for."""


def operate(call: Call) -> Any:
    """The operation itself."""
    if call.first is not None:
        first, call.first = call.first, None
        return Failed(first)
    try:
        return call.function(*call.args, **call.kwargs)
    except BaseException as error:
        return Failed(error)


async def operate_async(call: Call) -> Any:
    """The operation itself."""
    if call.first is not None:
        first, call.first = call.first, None
        return Failed(first)
    try:
        if call.started is not None:
            started, call.started = call.started, None
            return await go_on(*started)
        return await call.function(*call.args, **call.kwargs)
    except BaseException as error:
        return Failed(error)


def execute(layer: Layer, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], instead: str) -> Any:
    """Calls a sync function through a layer that stands by itself."""
    checked_callable("function", function)
    if _signatures.is_async(function):
        raise TypeError(
            f"`function` must not be a coroutine function, but is {function!r}: use {instead}"
        )
    layer.check_sync()
    value = finish(layer.run(operation, Call(function, args, kwargs)))
    refuse_coroutine(function, value)
    return value


async def execute_async(
    layer: Layer, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Awaits what a function gives, through a layer that stands by itself."""
    checked_callable("function", function)
    layer.check_async()
    return finish(await layer.run_async(operation_async, Call(function, args, kwargs)))


def operation(call: Call) -> Any:
    """The function of `execute_sync` and its like."""
    try:
        return call.function(*call.args, **call.kwargs)
    except BaseException as error:
        return Failed(error)


async def operation_async(call: Call) -> Any:
    """The function of `execute_async` and its like: a lambda may give a coroutine, or a plain value."""
    try:
        value = call.function(*call.args, **call.kwargs)
        return await value if inspect.isawaitable(value) else value
    except BaseException as error:
        return Failed(error)


@types.coroutine
def go_on(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Awaits the rest of a coroutine that was started by hand and waits for something."""
    try:
        while True:
            try:
                given = yield waits_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                waits_for = coroutine.throw(error)
            else:
                if given is None:
                    # As asyncio does it: from here on the interpreter goes by itself.
                    return (yield from cast(Generator[Any, Any, Any], coroutine))
                waits_for = coroutine.send(given)
    except StopIteration as stop:
        return stop.value


def around(layer: Layer, inner: Step) -> Step:
    run = layer.run
    return lambda call: run(inner, call)


def around_async(layer: Layer, inner: AsyncStep) -> AsyncStep:
    run = layer.run_async
    return lambda call: run(inner, call)


def finish(outcome: Any) -> Any:
    """Gives the outcome to the caller."""
    if type(outcome) is not Failed:
        return outcome
    error = outcome.take()
    context = error.__context__
    try:
        raise error
    finally:
        # Where the caller is handling an error, raising has just put that in the place of what the
        # operation was handling; which in turn leads to the caller's, so nothing is lost.
        if context is not None:
            exceptions.set_context(error, context)
        # The error holds this frame by its traceback: it must not hold the error in turn.
        del error, outcome, context


def refuse_coroutine(function: object, value: object) -> None:
    """Refuses what a sync function must not give: a coroutine has not run yet, so nothing watches over it."""
    if isinstance(value, types.CoroutineType):
        value.close()
        raise TypeError(
            f"{function!r} must be a coroutine function, since it gives a coroutine: decorate what it calls,"
            " or make it `async def`"
        )


def keep(error: BaseException, raised: BaseException) -> None:
    """Has what a listener, predicate, clock or sleep raised say which error of the operation it met."""
    if raised.__context__ is None and raised is not error:
        exceptions.set_context(raised, error)


def own_error(error: BaseException) -> BaseException:
    """The operation's own error, where a stack further in has given up on it."""
    while isinstance(error, exceptions.RetryExhaustedError):
        last = error.last_error
        if last is error or not isinstance(last, BaseException):
            break
        error = last
    return error
