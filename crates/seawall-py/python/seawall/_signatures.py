"""What can be told of a callable without calling it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any


def innermost(function: Any) -> Any:
    """What a partial or a method is made of."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        else:
            return function


def _either(test: Callable[[Any], bool], function: Any) -> bool:
    inner = innermost(function)
    if test(function) or test(inner):
        return True
    if inspect.isroutine(inner) or isinstance(inner, type):
        return False
    return test(getattr(type(inner), "__call__", None))


def is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine."""
    return _either(inspect.iscoroutinefunction, function)


def is_plain_async(function: Any) -> bool:
    """Whether it is an `async def` itself, whose call gives a coroutine of Python's own."""
    function = innermost(function)
    return isinstance(function, FunctionType) and bool(function.__code__.co_flags & inspect.CO_COROUTINE)


def is_generator(function: Any) -> bool:
    """Whether calling it gives a generator, sync or async."""
    return _either(inspect.isgeneratorfunction, function) or _either(inspect.isasyncgenfunction, function)


def signature(function: Any) -> inspect.Signature | None:
    """The signature of the callable itself, not of what it wraps."""
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None


def real_signature(function: Any) -> inspect.Signature | None:
    """The parameters that it has, whatever ``__signature__`` shows to others."""
    if isinstance(function, FunctionType) and hasattr(function, "__signature__"):
        bare = FunctionType(
            function.__code__, {}, None, function.__defaults__, function.__closure__
        )
        bare.__kwdefaults__ = function.__kwdefaults__
        return inspect.signature(bare)
    return None if hasattr(innermost(function), "__signature__") else signature(function)


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def wants_arguments(function: Any) -> bool:
    """Whether a fallback is called with the primary's arguments: if it has required parameters or `*args`."""
    found = signature(function)
    if found is None:
        # Of a type such as `dict` nothing is known; empty is what is meant.
        return not isinstance(function, type)
    return any(
        parameter.kind is inspect.Parameter.VAR_POSITIONAL
        or (
            parameter.default is inspect.Parameter.empty
            and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        )
        for parameter in found.parameters.values()
    )


def accepts(function: Any, most: int, least: int) -> int:
    """How many positional arguments, `most` or as few as `least`, a listener takes.

    Raises TypeError if it takes none of these numbers.
    """
    found = signature(function)
    if found is None:
        return most
    for count in range(most, least - 1, -1):
        try:
            found.bind(*range(count))
        except TypeError:
            continue
        return count
    raise TypeError(f"{function!r} must take {least} to {most} arguments, but takes {found}")
