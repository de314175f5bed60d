"""The functions that decorators make.

A wrapper is a real Python function with the parameters of the function that it wraps, made from a
template. A stack of decorators is one wrapper: on the good path it asks one native object (`if core:`),
takes the breaker's ticket from a slot, and calls. All else is a cold function, which is entered after
the `except` block has been left, so that no attempt becomes the context of another.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import linecache
import sys
import weakref
from collections.abc import Callable, Coroutine
from types import FunctionType
from typing import Any, Final, Literal

from . import _seawall, _signatures
from ._breaker import CircuitBreaker, CircuitBreakers, Keyed
from ._calls import (
    AsyncStep,
    Call,
    Layer,
    Step,
    Waits,
    around,
    around_async,
    finish,
    operate,
    operate_async,
    refuse_coroutine,
)
from ._fallback import FallbackChain
from ._retry import RetryExecutor, RetryPolicy
from ._timeout import Timeout


class Stack:
    """The policies around one function, outermost first, and the cold half of its wrapper."""

    __slots__ = ("_chain", "_known", "breaker", "core", "function", "is_async", "layers", "tally")

    def __init__(self, layers: tuple[Layer, ...], function: Callable[..., Any], is_async: bool) -> None:
        self.layers: Final = layers
        self.function: Final = function
        self.is_async: Final = is_async
        self.tally: Final = _seawall.Tally()
        breakers = [layer for layer in layers if isinstance(layer, CircuitBreaker)]
        #: The one whose ticket the fast way takes. Where there are more, all calls go the slow way.
        self.breaker: Final = breakers[0] if len(breakers) == 1 else None
        budgets = [
            layer.budget for layer in layers if isinstance(layer, RetryExecutor) and layer.budget is not None
        ]
        always = len(breakers) > 1 or any(layer.always for layer in layers)
        if any(isinstance(layer, Timeout) for layer in layers):
            # Only a coroutine of Python's own can be started by hand.
            always = always or not _signatures.is_plain_async(function)
        # Whether what it gives was seen; a coroutine function says it itself.
        self._known = is_async
        self.core: Final = _seawall.Core(
            always, not self._known, budgets, _rejecting(layers[0]), self.tally
        )
        self._chain: Any = None

    def chain(self) -> Any:
        """The layers, linked; made when something happens for the first time."""
        chain = self._chain
        if chain is None:
            if self.is_async:
                step: AsyncStep = operate_async
                for layer in reversed(self.layers):
                    step = around_async(layer, step)
                chain = step
            else:
                sync_step: Step = operate
                for layer in reversed(self.layers):
                    sync_step = around(layer, sync_step)
                chain = sync_step
            self._chain = chain
        return chain

    def slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call in which something is other than on the good path."""
        call = Call(self.function, args, kwargs, self.tally)
        return finish(self.chain()(call)) if self._known else self._first(call)

    def _first(self, call: Call) -> Any:
        """The first call, which sees that what was taken for a sync function is one.

        A wrapper around a coroutine function that is not `async def` itself, or a lambda, looks like it.
        """
        # What it calls in turn goes the fast way, so that recursion goes as deep as any other.
        self.core.first(False)
        try:
            value = finish(self.chain()(call))
            refuse_coroutine(self.function, value)
            self._known = True
            return value
        finally:
            self.core.first(not self._known)

    def failed(
        self, ticket: int | None, error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A call whose first attempt has failed on the fast way."""
        call = Call(self.function, args, kwargs, self.tally, ticket, error)
        try:
            return finish(self.chain()(call))
        finally:
            del error, call

    async def slow_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return finish(await self.chain()(Call(self.function, args, kwargs, self.tally)))

    async def failed_async(
        self, ticket: int | None, error: BaseException, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        call = Call(self.function, args, kwargs, self.tally, ticket, error)
        try:
            return finish(await self.chain()(call))
        finally:
            del error, call

    async def waiting_async(
        self,
        ticket: int | None,
        coroutine: Coroutine[Any, Any, Any],
        waits: Waits,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A call whose first attempt was started on the fast way and waits: now the timers are armed."""
        started = (coroutine, waits.what)
        call = Call(self.function, args, kwargs, self.tally, ticket, None, started)
        return finish(await self.chain()(call))

    def late(self, ticket: int | None, value: Any) -> Any:
        """A call that succeeded on the fast way, while the breaker has something on record."""
        breaker = self.breaker
        if breaker is not None and ticket is not None and breaker._record(ticket, False, None, breaker._now()):
            breaker._tell()
        return value


def _rejecting(outermost: Layer) -> CircuitBreaker | None:
    """The breaker whose rejection is the end of the call, and so needs no slow way."""
    if not isinstance(outermost, CircuitBreaker) or outermost.time_source is not None:
        return None
    # One of its own kind may have an error of its own.
    return outermost if type(outermost)._rejected is CircuitBreaker._rejected else None


class Protection:
    """What stands around a function: ``function.seawall``."""

    __slots__ = ("_stack", "_wrapper")

    def __init__(self, stack: Stack, wrapper: FunctionType) -> None:
        self._stack = stack
        # `functools.wraps` copies our mark to whatever wraps us: only the wrapper itself is ours.
        self._wrapper = weakref.ref(wrapper)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The policies, outermost first."""
        return self._stack.layers

    @property
    def unprotected(self) -> Callable[..., Any]:
        """The function without its policies."""
        return self._stack.function

    @property
    def policy(self) -> RetryPolicy | None:
        """The retry policy, the outermost if there are several."""
        for layer in self.layers:
            if isinstance(layer, RetryExecutor):
                return layer.policy
        return None

    @property
    def breaker(self) -> CircuitBreaker | CircuitBreakers | None:
        """The circuit breaker, or those of each key; the outermost if there are several."""
        for layer in self.layers:
            if isinstance(layer, CircuitBreaker):
                return layer
            if isinstance(layer, Keyed):
                return layer.breakers
        return None

    @property
    def statistics(self) -> dict[str, int]:
        """What happened to its calls. Those that succeed at once are not counted: they write nothing."""
        return self._stack.tally.counts()

    def __repr__(self) -> str:
        names = {
            RetryExecutor: "retry",
            CircuitBreaker: "breaker",
            Keyed: "breakers",
            FallbackChain: "fallback",
            Timeout: "timeout",
        }
        return "<" + " > ".join(names.get(type(layer), type(layer).__name__) for layer in self.layers) + ">"


def stack_of(function: Any) -> Stack | None:
    """The stack that made `function`, if it is a wrapper of ours itself."""
    mark = getattr(function, "__dict__", {}).get("seawall")
    if isinstance(mark, Protection) and mark._wrapper() is function:
        return mark._stack
    return None


def decorate(function: Any, *layers: Layer) -> Any:
    """`function` with more policies around it, the outermost first."""
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(decorate(function.__func__, *layers))
    if not callable(function):
        raise TypeError(f"only functions can be decorated, and what is made of them goes above: {function!r}")
    if isinstance(function, type):
        raise TypeError(f"only functions can be decorated, and not a class: {function!r}")
    if _signatures.is_generator(function):
        raise TypeError(
            f"a generator function runs while it is iterated, not when it is called: {function!r} cannot be decorated"
        )
    inner = stack_of(function)
    is_async = _signatures.is_async(function) if inner is None else inner.is_async
    for layer in layers:
        if is_async:
            layer.check_async()
        else:
            layer.check_sync()
    if inner is not None:
        layers, function = (*layers, *inner.layers), inner.function
    return _wrap(Stack(layers, function, is_async))


def _wrap(stack: Stack) -> FunctionType:
    function = stack.function
    found = _signatures.real_signature(function)
    parameters = () if found is None else tuple(found.parameters.values())
    if found is None or not all(parameter.name.isidentifier() for parameter in parameters):
        shape: Shape = (("args", _VAR_POSITIONAL, False), ("kwargs", _VAR_KEYWORD, False))
        parameters = ()
    else:
        shape = tuple((p.name, int(p.kind), p.default is not p.empty) for p in parameters)
    style: Style = "async" if stack.is_async else "sync"
    if any(isinstance(layer, Timeout) for layer in stack.layers):
        style = "timed"
    make = _template(shape, style, stack.breaker is not None)
    cold = (stack.slow_async, stack.failed_async) if stack.is_async else (stack.slow, stack.failed)
    wrapper: FunctionType = make(
        stack.core,
        function,
        stack.breaker,
        *cold,
        stack.late,
        stack.core.reject,
        stack.waiting_async,
        _seawall.begin,
        Waits,
        type,
        sys.modules,
        asyncio._get_running_loop,
    )
    positional = [p for p in parameters if p.kind <= _POSITIONAL_OR_KEYWORD and p.default is not p.empty]
    by_name = [p for p in parameters if p.kind == _KEYWORD_ONLY and p.default is not p.empty]
    wrapper.__defaults__ = tuple(p.default for p in positional) or None
    wrapper.__kwdefaults__ = {p.name: p.default for p in by_name} or None
    functools.update_wrapper(wrapper, function)
    # Partials and callable objects have no name of their own.
    named = _signatures.innermost(function)
    for attribute in ("__name__", "__qualname__"):
        if not hasattr(function, attribute):
            name = getattr(named, attribute, None) or type(named).__name__
            setattr(wrapper, attribute, name)
    if not hasattr(function, "__module__"):
        wrapper.__module__ = getattr(named, "__module__", __name__)
    wrapper.__code__ = wrapper.__code__.replace(
        co_name=wrapper.__name__, co_qualname=wrapper.__qualname__
    )
    wrapper.seawall = Protection(stack, wrapper)  # type: ignore[attr-defined]
    return wrapper


_POSITIONAL_ONLY: Final = int(inspect.Parameter.POSITIONAL_ONLY)
_POSITIONAL_OR_KEYWORD: Final = int(inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VAR_POSITIONAL: Final = int(inspect.Parameter.VAR_POSITIONAL)
_KEYWORD_ONLY: Final = int(inspect.Parameter.KEYWORD_ONLY)
_VAR_KEYWORD: Final = int(inspect.Parameter.VAR_KEYWORD)

Style = Literal["sync", "async", "timed"]

#: Name, kind and whether there is a default, of each parameter.
Shape = tuple[tuple[str, int, bool], ...]

_SYNC: Final = """\
def make({given}):
    def wrapper({parameters}):
        if {core}:
            return {slow}({args}, {kwargs})
        try:
            return {call}({forward})
        except BaseException as {caught}:
            {error} = {caught}
        try:
            return {failed}(None, {error}, {args}, {kwargs})
        finally:
            del {error}
    return wrapper
"""

# A timeout arms no timer unless the operation has to wait. Under asyncio only: scopes of trio are a stack,
# and ours would have to be entered before those of the operation. To ask asyncio costs more than all the
# rest (a system call), so it is asked only where trio was imported at all.
_TIMED: Final = """\
def make({given}):
    async def wrapper({parameters}):
        if {core} or "trio" in {modules} and {loop}() is None:
            return await {slow}({args}, {kwargs})
        {coroutine} = {call}({forward})
        try:
            {value} = {begin}({coroutine}, {waits})
        except BaseException as {caught}:
            {error} = {caught}
        else:
            if {kind}({value}) is not {waits}:
                return {value}
            return await {waiting}(None, {coroutine}, {value}, {args}, {kwargs})
        try:
            return await {failed}(None, {error}, {args}, {kwargs})
        finally:
            del {error}
    return wrapper
"""

_TIMED_BREAKER: Final = """\
def make({given}):
    async def wrapper({parameters}):
        {seen} = {breaker}._seen
        if {seen} is None or {core} or "trio" in {modules} and {loop}() is None:
            {reject}()
            return await {slow}({args}, {kwargs})
        {coroutine} = {call}({forward})
        try:
            {value} = {begin}({coroutine}, {waits})
        except BaseException as {caught}:
            {error} = {caught}
        else:
            if {kind}({value}) is {waits}:
                return await {waiting}({seen}, {coroutine}, {value}, {args}, {kwargs})
            if {breaker}._quiet is {seen}:
                return {value}
            return {late}({seen}, {value})
        try:
            return await {failed}({seen}, {error}, {args}, {kwargs})
        finally:
            del {error}
    return wrapper
"""

_SYNC_BREAKER: Final = """\
def make({given}):
    def wrapper({parameters}):
        {seen} = {breaker}._seen
        if {seen} is None or {core}:
            {reject}()
            return {slow}({args}, {kwargs})
        try:
            {value} = {call}({forward})
        except BaseException as {caught}:
            {error} = {caught}
        else:
            if {breaker}._quiet is {seen}:
                return {value}
            return {late}({seen}, {value})
        try:
            return {failed}({seen}, {error}, {args}, {kwargs})
        finally:
            del {error}
    return wrapper
"""


def _awaiting(template: str) -> str:
    for what in ("{slow}(", "{call}(", "{failed}("):
        template = template.replace(f"return {what}", f"return await {what}")
        template = template.replace(f"= {what}", f"= await {what}")
    return template.replace("    def wrapper(", "    async def wrapper(")


#: What a template is given, in order.
_GIVEN: Final = (
    "core",
    "call",
    "breaker",
    "slow",
    "failed",
    "late",
    "reject",
    "waiting",
    "begin",
    "waits",
    "kind",
    "modules",
    "loop",
)
#: What its wrapper has of its own.
_LOCAL: Final = ("seen", "value", "caught", "error", "coroutine")
_numbers: Final = itertools.count(1)


@functools.lru_cache(maxsize=1024)
def _template(shape: Shape, style: Style, has_breaker: bool) -> Callable[..., FunctionType]:
    """What makes wrappers of one shape."""
    prefix = "_seawall_"
    while any(name.startswith(prefix) for name, _, _ in shape):
        prefix += "_"
    parameters, args, kwargs, forward = [], [], [], []
    last_positional_only = -1
    starred = False
    for at, (name, kind, has_default) in enumerate(shape):
        default = "=None" if has_default else ""
        if kind == _VAR_POSITIONAL:
            starred = True
            parameters.append(f"*{name}")
            args.append(f"*{name}")
            forward.append(f"*{name}")
        elif kind == _VAR_KEYWORD:
            parameters.append(f"**{name}")
            kwargs.append(f"**{name}")
            forward.append(f"**{name}")
        elif kind == _KEYWORD_ONLY:
            if not starred:
                starred = True
                parameters.append("*")
            parameters.append(f"{name}{default}")
            kwargs.append(f"{name!r}: {name}")
            forward.append(f"{name}={name}")
        else:
            if kind == _POSITIONAL_ONLY:
                last_positional_only = at
            parameters.append(f"{name}{default}")
            args.append(name)
            forward.append(name)
    if last_positional_only >= 0:
        parameters.insert(last_positional_only + 1, "/")
    if style == "timed":
        text = _TIMED_BREAKER if has_breaker else _TIMED
    else:
        text = _SYNC_BREAKER if has_breaker else _SYNC
    source = (_awaiting(text) if style == "async" else text).format(
        parameters=", ".join(parameters),
        args=f"({', '.join(args)}{',' if args else ''})",
        kwargs="{" + ", ".join(kwargs) + "}",
        forward=", ".join(forward),
        given=", ".join(prefix + name for name in _GIVEN),
        **{name: prefix + name for name in _GIVEN + _LOCAL},
    )
    file = f"<seawall wrapper {next(_numbers)}>"
    # So that tracebacks show its lines, as those of dataclasses do.
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space: dict[str, Any] = {}
    exec(compile(source, file, "exec"), space)
    make: Callable[..., FunctionType] = space["make"]
    return make
