"""What a call ends in when a policy had a say in it.

============================  ==========================================================  ===============
error                         raised when                                                 is also
============================  ==========================================================  ===============
``RetryExhaustedError``       the attempts, the time or the budget are used up            your own error
``CircuitBreakerOpenError``   the breaker let nothing through: the operation did not run  ``RuntimeError``
``FallbackExhaustedError``    the operation failed, and every fallback after it           your own error
``TimedOutError``             no answer came within the limit                             ``TimeoutError``
============================  ==========================================================  ===============

All four are a ``SeawallError``.

"Your own error": what is raised at the end is of a class *joined* from ours and that of the last error, so
both of these catch it, and everything else about it (text, ``args``, fields, notes, traceback, cause) is
as your operation raised it:

    >>> from seawall.exceptions import RetryExhaustedError, exhausted
    >>> try:
    ...     raise exhausted(FileNotFoundError(2, "gone", "a.txt"), attempts=3, elapsed=0.5)
    ... except FileNotFoundError as error:
    ...     print(error, error.filename, isinstance(error, RetryExhaustedError), error.attempts)
    [Errno 2] gone: 'a.txt' a.txt True 3

Where a retry and a fallback of one stack both come to an end, the error has the names of both, as it has
when each stands alone.

Some types cannot be joined (their fields are out of reach, or are named like ours), and some errors come
out different: then a plain ``RetryExhaustedError`` is raised ``from`` the original. ``can_join`` tells.
"""

from __future__ import annotations

import builtins
import copy
import itertools
import os
import pickle
import struct
import threading
import weakref
from abc import ABCMeta
from types import BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator

if TYPE_CHECKING:
    from ._policies import ConfigProblem

__all__ = [
    "CircuitBreakerOpenError",
    "ConfigError",
    "FallbackExhaustedError",
    "RetryExhaustedError",
    "SeawallError",
    "TimedOutError",
    "can_join",
    "exhausted",
    "fallback_exhausted",
]


class SeawallError(Exception):
    """What a policy ended a call with, whichever it was."""

    __slots__ = ()


class RetryExhaustedError(SeawallError):
    """The attempts, the time or the budget are used up; the last error is in ``last_error``."""

    attempts: int = 0
    """How often the operation was started."""
    elapsed: float = 0.0
    """Seconds from the first attempt to the last error."""
    last_error: BaseException | None = None
    """What the last attempt raised, the very object."""
    attempt_errors: tuple[BaseException, ...] = ()
    """What the attempts raised, in order, as far as they were kept."""

    def __init__(
        self,
        attempts: int = 0,
        elapsed: float = 0.0,
        last_error: BaseException | None = None,
        attempt_errors: Iterable[BaseException] = (),
    ) -> None:
        attempt_errors = tuple(attempt_errors)
        super().__init__(attempts, elapsed, last_error, attempt_errors)
        self.attempts = attempts
        self.elapsed = elapsed
        self.last_error = last_error
        self.attempt_errors = attempt_errors

    def __init_subclass__(cls, *, _joined: bool = False, **options: Any) -> None:
        # A registry in the user's __init_subclass__ must not come to know of joined classes.
        if not _joined:
            super().__init_subclass__(**options)

    def __str__(self) -> str:
        times = "attempt" if self.attempts == 1 else "attempts"
        text = f"retry gave up after {self.attempts} {times} in {_seconds(self.elapsed)}"
        return text if self.last_error is None else f"{text}: {_brief(self.last_error)}"


class FallbackExhaustedError(SeawallError):
    """The operation failed, and so did every fallback after it."""

    primary_error: BaseException | None = None
    """What the primary ended in: what the operation raised, the very object, unless a retry gave up on it."""
    fallback_errors: tuple[BaseException, ...] = ()
    """What each fallback raised, in order."""

    def __init__(
        self,
        primary_error: BaseException | None = None,
        fallback_errors: Iterable[BaseException] = (),
    ) -> None:
        fallback_errors = tuple(fallback_errors)
        super().__init__(primary_error, fallback_errors)
        self.primary_error = primary_error
        self.fallback_errors = fallback_errors

    def __init_subclass__(cls, *, _joined: bool = False, **options: Any) -> None:
        if not _joined:
            super().__init_subclass__(**options)

    def __str__(self) -> str:
        failed = len(self.fallback_errors)
        text = f"the operation and {failed} fallback{'' if failed == 1 else 's'} failed"
        if self.primary_error is not None:
            text += f": {_brief(self.primary_error)}"
        for n, error in enumerate(self.fallback_errors, 1):
            text += f"; fallback {n}: {_brief(error)}"
        return text


class ConfigError(ValueError):
    """What is wrong with a policy file: a line for each problem, and the same as data in ``problems``."""

    problems: tuple[ConfigProblem, ...]
    """All that one run could find, at least one, in the order of the file."""

    def __init__(self, text: str, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(text, self.problems)

    def __str__(self) -> str:
        return str(self.args[0])


class CircuitBreakerOpenError(SeawallError, RuntimeError):
    """The breaker let nothing through: the operation did not run. Made of ``(name, retry_after)``."""

    # A rejection has to be cheap: no slot of its own and no __init__, the data is in `args`, and the text is
    # made when asked for.
    __slots__ = ()

    @property
    def name(self) -> str | None:
        """The breaker's name."""
        return self.args[0] if self.args else None

    @property
    def retry_after(self) -> float | None:
        """Seconds to the next probe; None when only a hand closes it (isolated)."""
        return self.args[1] if len(self.args) > 1 else None

    def __str__(self) -> str:
        name = "" if self.name is None else f" `{self.name}`"
        wait = self.retry_after
        return f"circuit breaker{name} is open" + (
            "" if wait is None else f", next probe in {_seconds(wait)}"
        )


class TimedOutError(SeawallError, TimeoutError):
    """No answer came within the limit. Made of ``(limit,)``, in seconds."""

    @property
    def limit(self) -> float | None:
        """The limit, in seconds."""
        return self.args[0] if self.args else None

    def __str__(self) -> str:
        return "timed out" if self.limit is None else f"no answer within {_seconds(self.limit)}"


def _seconds(seconds: Any) -> str:
    return f"{seconds:.3g} s" if isinstance(seconds, (int, float)) and seconds < 1000 else f"{seconds} s"


def _brief(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as failure:  # a text that cannot be made must not hide the error
        text = f"<its text raised {type(failure).__name__}>"
    name = type(error).__qualname__
    return f"{name}: {text}" if text else name


def exhausted(
    error: BaseException,
    *,
    attempts: int,
    elapsed: float,
    attempt_errors: tuple[BaseException, ...] = (),
) -> BaseException:
    """Makes what a retry raises when it gives up: ``error``, as a ``RetryExhaustedError`` as well.

    Never raises. Where the two cannot be joined, a plain ``RetryExhaustedError`` whose cause is ``error``.
    """
    attempt_errors = tuple(attempt_errors)
    fields = (attempts, elapsed, error, attempt_errors)
    joined = _join(RetryExhaustedError, error, fields)
    if joined is None:
        joined = RetryExhaustedError(*fields)
        joined.__cause__ = error
    return joined


def fallback_exhausted(
    error: BaseException, *, fallback_errors: tuple[BaseException, ...] = ()
) -> BaseException:
    """Makes what a fallback raises when all failed: ``error``, as a ``FallbackExhaustedError`` as well.

    Never raises. Where the two cannot be joined, a plain ``FallbackExhaustedError`` whose cause is ``error``.
    """
    fields = (error, tuple(fallback_errors))
    joined = _join(FallbackExhaustedError, error, fields)
    if joined is None:
        joined = FallbackExhaustedError(*fields)
        joined.__cause__ = error
    return joined


def can_join(error_type: type[BaseException]) -> bool:
    """Tells whether errors of this very type can be joined with ours.

    Says nothing of an error whose text or fields come out different: that is only seen when it is there.
    """
    return _recipe(RetryExhaustedError, error_type) is not None


# Our fields, in the order of the constructors; the first error among them is what was joined.
_FIELDS: dict[type[BaseException], tuple[str, ...]] = {
    RetryExhaustedError: ("attempts", "elapsed", "last_error", "attempt_errors"),
    FallbackExhaustedError: ("primary_error", "fallback_errors"),
}
_OWN = frozenset(name for names in _FIELDS.values() for name in names)

# They say that the program or the task is to end. What is also an `Exception` would be swallowed.
_NEVER_JOINED: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, GeneratorExit)
_CANCELLATIONS = {("asyncio.exceptions", "CancelledError"), ("trio", "Cancelled")}

# The class keeps its recipes itself: a joined class holds its base, so any table beside it, weak keys or
# not, would keep both for ever. `copyreg` keeps `__slotnames__` in the same way.
_KEPT_AS = "__seawall_joined__"
_BUILT_IN = {c for c in vars(builtins).values() if isinstance(c, type) and issubclass(c, BaseException)}
_POINTER = struct.calcsize("P")
_UNSET = object()

_dict_of: Callable[[BaseException], dict[str, Any]] = vars(BaseException)["__dict__"].__get__
_args_of: Callable[[BaseException], tuple[Any, ...]] = vars(BaseException)["args"].__get__
_suppress = vars(BaseException)["__suppress_context__"]

#: Sets ``__context__`` also where the user's class lets nothing be set.
set_context: Callable[[BaseException, BaseException | None], None] = vars(BaseException)["__context__"].__set__


class _Recipe:
    """How errors of one type are joined: the class, what makes an empty one, where the fields are."""

    __slots__ = ("fields", "joined", "new")

    def __init__(self, joined: type[BaseException], new: Callable[..., Any], fields: tuple[Any, ...]):
        self.joined = joined
        self.new = new
        self.fields = fields


class _Kept(dict[type[BaseException], "_Recipe | None"]):
    """The recipes of one class, by ours."""

    __slots__ = ("owner",)
    owner: weakref.ref[type[BaseException]]

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, ())  # for what pickles classes by value


_static: dict[type[BaseException], _Kept] = {}
_lock = threading.RLock()  # may be entered again from a finalizer


def _forked() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _kept(theirs: type[BaseException]) -> _Kept | None:
    kept = vars(theirs).get(_KEPT_AS)
    # A decorator that builds a class anew takes over what was in the dict of the first.
    if type(kept) is _Kept and kept.owner() is theirs:
        return kept
    return _static.get(theirs)


def _recipe(ours: type[BaseException], theirs: type[BaseException]) -> _Recipe | None:
    kept = _kept(theirs)
    if kept is not None and ours in kept:
        return kept[ours]
    try:
        made = _make(ours, theirs)
    except Exception:
        made = None
    with _lock:
        kept = _kept(theirs)
        if kept is None:
            kept = _Kept()
            kept.owner = weakref.ref(theirs)
            try:
                type.__setattr__(theirs, _KEPT_AS, kept)
            except TypeError:  # immutable: such a class lives for ever
                _static[theirs] = kept
        return kept.setdefault(ours, made)


def _make(ours: type[BaseException], theirs: type[BaseException]) -> _Recipe | None:
    mro = theirs.__mro__
    if BaseException not in mro or any(
        c in _NEVER_JOINED or (c.__module__, c.__name__) in _CANCELLATIONS for c in mro
    ):
        return None
    # What a C extension keeps in the object without a member to reach it by cannot be carried over.
    for base, below in itertools.pairwise(_layouts(theirs)):
        if base in _BUILT_IN:
            break
        members = [name for name, member in vars(base).items() if type(member) is MemberDescriptorType]
        reachable = len(members) + ("__weakref__" in vars(base))
        if base.__basicsize__ - below.__basicsize__ > reachable * _POINTER:
            return None
    if ours in mro:
        joined = theirs
    else:
        names = _FIELDS[ours]
        if any(name in vars(c) for c in mro for name in names):
            return None
        joined = _joined_class(ours, theirs, mro)
        found = joined.__mro__
        if ours not in found or theirs not in found:
            return None
    # What may make an empty one is the nearest built-in `__new__` on the line of layouts.
    new = next(
        vars(base)["__new__"]
        for base in _layouts(joined)
        if type(vars(base).get("__new__")) is BuiltinFunctionType
    )
    fields = tuple(
        member
        for c in mro[:-1]
        for name, member in vars(c).items()
        if type(member) in (MemberDescriptorType, GetSetDescriptorType)
        and name not in ("__dict__", "__weakref__", "__suppress_context__")
    )
    return _Recipe(joined, new, fields)


def _layouts(of: type | None) -> Iterator[type]:
    while of is not None:
        yield of
        of = of.__base__


def _joined_class(
    ours: type[BaseException], theirs: type[BaseException], mro: tuple[type, ...]
) -> type[BaseException]:
    def new(cls: Any, *args: Any, **kwargs: Any) -> BaseException:
        return theirs(*args, **kwargs)

    # Named like theirs: the text of many an error begins with the name of its type, and so do the
    # labels of metrics and the groups of error trackers.
    body: dict[str, Any] = {
        "__module__": theirs.__module__,
        "__qualname__": theirs.__qualname__,
        "__doc__": theirs.__doc__,
        # `type(error)(*error.args)`, as many write it, makes one of theirs, not one of ours without fields.
        "__new__": new,
        # Ours stands before theirs in the joined class, but the text is theirs.
        "__str__": next(vars(c)["__str__"] for c in mro if "__str__" in vars(c)),
        "__reduce_ex__": _reduce,
        "__copy__": _copy,
        "__deepcopy__": _deepcopy,
    }
    # A metaclass of the user's own is not run either, only kept; what it left in `theirs` is inherited.
    metaclass = type(theirs)
    line = metaclass.__mro__
    maker = next(m for m in line if m is ABCMeta or m is type)
    if not set(line[line.index(maker) :]) <= {ABCMeta, type, object}:
        raise TypeError("a metaclass stands between ABCMeta and type")
    return maker.__new__(metaclass, theirs.__name__, (ours, theirs), body, _joined=True)


def _join(ours: type[BaseException], error: BaseException, values: tuple[Any, ...]) -> BaseException | None:
    try:
        recipe = _recipe(ours, type(error))
        if recipe is None:
            return None
        joined = _empty(recipe, error)
        for field in recipe.fields:
            value = _read(field, error)
            if value is not _UNSET and _read(field, joined) is not value:
                try:
                    field.__set__(joined, value)
                except (AttributeError, TypeError):
                    pass  # read-only: it may hold the same already
        _suppress.__set__(joined, _suppress.__get__(error))
        names = _FIELDS[ours]
        theirs, own = _dict_of(error), _dict_of(joined)
        if recipe.joined is not type(error) and any(name in theirs for name in names):
            return None
        own.clear()
        own.update(theirs)
        if type(theirs.get("__notes__")) is list:
            own["__notes__"] = list(theirs["__notes__"])
        own.update(zip(names, values))
        same = all(_same(_read(field, joined), _read(field, error)) for field in recipe.fields)
        return joined if same and _text(joined) == _text(error) else None
    except Exception:
        return None


def _empty(recipe: _Recipe, error: BaseException) -> Any:
    if isinstance(error, BaseExceptionGroup):
        # Made of what it holds: its members are read-only, and `args` may have been set since.
        group = vars(BaseExceptionGroup)
        return recipe.new(recipe.joined, group["message"].__get__(error), group["exceptions"].__get__(error))
    try:
        return recipe.new(recipe.joined)
    except Exception:
        return recipe.new(recipe.joined, *_args_of(error))


def _read(field: Any, error: BaseException) -> Any:
    try:
        return field.__get__(error)
    except AttributeError:
        return _UNSET


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and type(one) in (int, str, bytes) and one == other)


def _text(error: BaseException) -> Any:
    try:
        return str(error)
    except Exception as failure:
        return type(failure)


def _outermost(joined: Any) -> type[BaseException]:
    # One class may be both of ours. Whichever was joined last holds an error with the fields of the other.
    if not isinstance(joined, FallbackExhaustedError):
        return RetryExhaustedError
    if not isinstance(joined, RetryExhaustedError):
        return FallbackExhaustedError
    inner = getattr(joined.last_error, "primary_error", None)
    if inner is not None and inner is joined.primary_error:
        return RetryExhaustedError
    return FallbackExhaustedError


class _Parts:
    """What a joined error is made of: which of ours, our fields, the error, what was put on it since."""

    def __init__(self, joined: Any) -> None:
        self.ours = _outermost(joined)
        self.values = [getattr(joined, name) for name in _FIELDS[self.ours]]
        error = next((value for value in self.values if isinstance(value, BaseException)), None)
        if error is None:
            raise TypeError(f"cannot copy {type(joined).__qualname__}: the error that it was made of is gone")
        self.error: BaseException = error
        before = _dict_of(error)
        self.since = {
            name: value
            for name, value in _dict_of(joined).items()
            if name not in _OWN
            and before.get(name, _UNSET) is not value
            and not (name == "__notes__" and before.get(name) == value)
        }

    def with_others(self, change: Callable[[BaseException], BaseException]) -> list[Any]:
        """Our fields, with the errors beside the joined one changed."""
        others = tuple(other if other is self.error else change(other) for other in self.values[-1])
        return [*self.values[:-1], others]


def _rebuild(ours: type[BaseException], values: list[Any], since: dict[str, Any]) -> Any:
    if ours is RetryExhaustedError:
        attempts, elapsed, error, errors = values
        joined = exhausted(error, attempts=attempts, elapsed=elapsed, attempt_errors=errors)
    else:
        joined = fallback_exhausted(values[0], fallback_errors=values[1])
    _dict_of(joined).update(since)
    return joined


def _reduce(self: Any, protocol: Any) -> tuple[Any, ...]:
    parts = _Parts(self)
    # A joined error pickles when the original does, so what the other attempts raised must not stand in
    # the way: what does not make the journey travels as its text.
    values = parts.with_others(lambda e: e if _pickles(e, protocol) else Exception(_brief(e)))
    since = {name: value for name, value in parts.since.items() if _pickles(value, protocol)}
    return _rebuild, (parts.ours, values, since)


def _pickles(value: Any, protocol: Any) -> bool:
    try:
        pickle.loads(pickle.dumps(value, protocol))
    except Exception:
        return False
    return True


def _copy(self: Any) -> Any:
    parts = _Parts(self)
    return _rebuild(parts.ours, parts.values, parts.since)


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    def deep(value: Any) -> Any:
        try:
            return copy.deepcopy(value, memo)
        except Exception:
            return value

    parts = _Parts(self)
    error = copy.deepcopy(parts.error, memo)
    values: list[Any] = [error if value is parts.error else value for value in parts.with_others(deep)]
    values[-1] = tuple(error if other is parts.error else other for other in values[-1])
    return _rebuild(parts.ours, values, {name: deep(value) for name, value in parts.since.items()})
