"""What happened: events, those who listen, and the log.

Nothing is told on the good path. An event is made only when something happened and someone would hear
of it. The names, levels and fields are those of the Rust side's records.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from . import _seawall, _signatures, _state

logger: Final = logging.getLogger("seawall")
logger.addHandler(logging.NullHandler())

#: The level of each kind of event; ``None`` where it is told to observers only.
LEVELS: Final[dict[str, int | None]] = {
    "retry_scheduled": logging.DEBUG,
    "retry_exhausted": logging.WARNING,
    "circuit_breaker_opened": logging.WARNING,
    "circuit_breaker_changed": logging.INFO,
    # It can come thousands of times a second.
    "circuit_breaker_rejected": None,
    "probe_abandoned": logging.DEBUG,
    "stale_outcome": logging.DEBUG,
    "timed_out": logging.DEBUG,
    "fallback_used": logging.INFO,
    "fallback_exhausted": logging.WARNING,
}

Listener = Callable[["Event"], object]


class Event:
    """Something that a policy did: its kind in one word, and what there is to know of it."""

    __slots__ = ("fields", "kind")

    kind: str
    fields: Mapping[str, Any]

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        self.kind = kind
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        # For queues: what is copied without its fields would ask itself for them.
        return Event, (self.kind, dict(self.fields))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(f"a {self.kind} event has no {name!r}", name=name, obj=self) from None

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"Event({self.kind!r}, {fields})"


# Replaced and never changed, so that whoever goes through it needs no lock.
_listeners: tuple[Listener, ...] = ()


def observe(callback: Listener) -> Callable[[], None]:
    """Has ``callback`` hear of every event of the process, in the thread or task where it happens.

    Gives a function that takes it away again. It may use the policies itself, and add and take away
    listeners. What it raises is logged and harms nobody.
    """
    global _listeners
    if not callable(callback):
        raise TypeError(f"`callback` must be callable, but is {callback!r}")
    if _signatures.is_async(callback):
        raise TypeError(f"`callback` must not be a coroutine function, but is {callback!r}")
    entry: Listener = callback
    with _state.lock:
        _listeners = (*_listeners, entry)
        _seawall.hear(True)

    def stop() -> None:
        global _listeners
        with _state.lock:
            kept = list(_listeners)
            if entry in kept:
                kept.remove(entry)
            _listeners = tuple(kept)
            _seawall.hear(bool(kept))

    return stop


def heard(kind: str) -> bool:
    """Whether anyone would hear of such an event."""
    level = LEVELS[kind]
    return bool(_listeners) or (level is not None and logger.isEnabledFor(level))


def tell(kind: str, fields: dict[str, Any]) -> None:
    """Tells the listeners and the log."""
    if _listeners:
        event = Event(kind, fields)
        for listener in _listeners:
            try:
                listener(event)
            except Exception:
                harmless("an observer", listener)
    level = LEVELS[kind]
    if level is not None and logger.isEnabledFor(level):
        # `name` is the logger's own field.
        extra = {("policy_name" if key == "name" else key): value for key, value in fields.items()}
        extra["event"] = kind
        told = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
        logger.log(level, "%s: %s", kind.replace("_", " "), told, extra=extra)


def harmless(who: str, listener: object) -> None:
    """Logs what a listener raised, where that must not harm the call."""
    logger.exception("%s raised: %r", who, listener)


def type_name(error: BaseException | None) -> str | None:
    """The type of an error as events name it: texts of errors may hold secrets."""
    if error is None:
        return None
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def milliseconds(seconds: float | None) -> float | None:
    """As events have times."""
    return None if seconds is None else round(seconds * 1000, 3)
