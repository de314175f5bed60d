"""What users hand in: taken as it is, or refused by name and value."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Callable
from typing import Any, Final, cast

from . import _signatures

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]
Predicate = Callable[[BaseException], object]
Seconds = float | datetime.timedelta


class _Unset:
    def __repr__(self) -> str:
        return "<default>"


#: What is left out, where `None` means something else, or is to be told from it.
UNSET: Final[Any] = _Unset()


def checked_types(field: str, given: object) -> ErrorTypes:
    """`given` as what `isinstance` takes, or an error that names the argument."""
    kinds = given if isinstance(given, tuple) else (given,)
    if not kinds:
        raise ValueError(f"`{field}` must name at least one type of error, but is ()")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"`{field}` must be types of errors, but has {kind!r}")
    return cast(ErrorTypes, given)


def types_or_predicate(field: str, given: object) -> ErrorTypes | Predicate:
    if isinstance(given, (type, tuple)):
        return checked_types(field, given)
    return cast(Predicate, checked_sync(field, given))


def checked_callable(field: str, given: object) -> Callable[..., Any]:
    if not callable(given):
        raise TypeError(f"`{field}` must be callable, but is {given!r}")
    return given


def checked_sync(field: str, given: object) -> Callable[..., Any]:
    function = checked_callable(field, given)
    if _signatures.is_async(function):
        raise TypeError(f"`{field}` must not be a coroutine function, but is {given!r}")
    return function


def optional_sync(field: str, given: object) -> Callable[..., Any] | None:
    return None if given is None else checked_sync(field, given)


def checked_flag(field: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise TypeError(f"`{field}` must be a bool, but is {given!r}")
    return given


def checked_name(name: object) -> str | None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"`name` must be a string, but is {name!r}")
    return name


def checked_whole(field: str, given: object, least: int, most: int) -> int:
    if type(given) is not int:
        raise TypeError(f"`{field}` must be an integer, but is {given!r}")
    if not least <= given <= most:
        raise ValueError(f"`{field}` must be within {least}..={most}, but is {_shown(given)}")
    return given


def checked_attempt(attempt: object) -> int:
    if type(attempt) is not int:
        raise TypeError(f"`attempt` must be an integer, but is {attempt!r}")
    if attempt < 1:
        raise ValueError(f"`attempt` must be 1 or more, but is {attempt!r}")
    return attempt


def read_clock(source: Callable[[], float]) -> float:
    """The seconds that a `time_source` gives."""
    now: object = source()
    if not isinstance(now, numbers.Real):
        raise TypeError(f"`time_source` must give seconds, but {source!r} gave {now!r}")
    try:
        return float(now)
    except OverflowError:
        raise ValueError(
            f"`time_source` must give seconds that a float can hold, but {source!r} gave one that is {_shown(now)}"
        ) from None


def _shown(given: object) -> str:
    try:
        return repr(given)
    except ValueError:
        # Python refuses to print integers of thousands of digits.
        return f"too long to print (type {type(given).__name__})"


def names(types: ErrorTypes, own: type[BaseException]) -> bool:
    """Whether a policy's own error is named itself, and not only a base of it."""
    kinds = types if isinstance(types, tuple) else (types,)
    return any(issubclass(kind, own) for kind in kinds)
