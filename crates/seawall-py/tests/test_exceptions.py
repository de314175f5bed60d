"""What `seawall.exceptions` promises of joined errors, for many types of errors."""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import copy
import dataclasses
import gc
import http.client
import io
import json
import os
import pickle
import re
import socket
import ssl
import subprocess
import sys
import threading
import traceback
import urllib.error
import weakref
import zlib
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any, Generic, TypeVar

import botocore.exceptions
import grpc
import grpc.aio
import httpx
import psycopg
import psycopg2
import pytest
import requests

import seawall
from seawall.exceptions import (
    CircuitBreakerOpenError,
    FallbackExhaustedError,
    RetryExhaustedError,
    SeawallError,
    TimedOutError,
    can_join,
    exhausted,
    fallback_exhausted,
)

OWN = {"attempts", "elapsed", "last_error", "attempt_errors"}
ran: list[str] = []
address = re.compile(" at 0x[0-9a-f]+")


class Plain(Exception):
    pass


class Required(Exception):
    def __init__(self, code: int, *, url: str) -> None:
        ran.append("Required.__init__")
        super().__init__(f"{code} from {url}")
        self.code = code
        self.url = url


class SilentArgs(Exception):
    """Hands nothing to Exception.__init__."""

    def __init__(self, code: int) -> None:
        ran.append("SilentArgs.__init__")
        self.code = code

    def __str__(self) -> str:
        return f"code {self.code}"


class MadeByNew(Exception):
    def __new__(cls, code: int, extra: str = "") -> MadeByNew:
        ran.append("MadeByNew.__new__")
        made = super().__new__(cls, code)
        made.extra = extra  # type: ignore[attr-defined]
        return made

    def __init__(self, code: int, extra: str = "") -> None:
        super().__init__(code)


class Slotted(Exception):
    __slots__ = ("__hidden", "code", "never_set")

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        self.__hidden = "hidden"

    def hidden(self) -> str:
        return self.__hidden


class SlottedOs(OSError):
    __slots__ = ("host",)


class Registered(Exception):
    codes: dict[int, type[Registered]] = {}

    def __init_subclass__(cls, *, code: int, **options: Any) -> None:
        ran.append("Registered.__init_subclass__")
        super().__init_subclass__(**options)
        assert code not in Registered.codes, "registered twice"
        Registered.codes[code] = cls
        cls.code = code  # type: ignore[attr-defined]


class NotFound(Registered, code=404):
    pass


class Final(Exception):
    def __init_subclass__(cls, **options: Any) -> None:
        raise TypeError("final")


class Abstract(Exception, metaclass=abc.ABCMeta):
    @abc.abstractmethod
    def explain(self) -> str: ...


class Concrete(Abstract):
    def explain(self) -> str:
        return "concrete"


class Naming(type):
    """A metaclass that keeps a list of its classes, and will not have one twice."""

    known: dict[str, type] = {}

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Naming:
        ran.append("Naming.__new__")
        assert name not in mcs.known, "named twice"
        made = super().__new__(mcs, name, bases, body)
        mcs.known[name] = made
        return made

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        ran.append("Naming.__init__")
        super().__init__(name, bases, body)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        ran.append("Naming.__call__")
        return super().__call__(*args, **kwargs)

    def __setattr__(cls, name: str, value: object) -> None:
        raise AttributeError("frozen")


class Foreign(Exception, metaclass=Naming):
    pass


class AbstractForeign(abc.ABCMeta):
    def __new__(mcs, *args: Any, **kwargs: Any) -> AbstractForeign:
        ran.append("AbstractForeign.__new__")
        return super().__new__(mcs, *args, **kwargs)


class ForeignAndAbstract(Exception, metaclass=AbstractForeign):
    pass


@dataclasses.dataclass
class Data(Exception):
    code: int
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class FrozenData(Exception):
    code: int


Value = TypeVar("Value")


class Generics(Exception, Generic[Value]):
    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


class WithProperty(Exception):
    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__("no")
        self._payload = payload

    @property
    def code(self) -> Any:
        return self._payload["code"]


class NamesItself(Exception):
    def __str__(self) -> str:
        return f"{type(self).__name__} in {type(self).__module__}: {self.args[0]}"


class Cooperative(Plain):
    def __str__(self) -> str:
        return "<" + super().__str__() + ">"


class Guarded(Exception):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return f"made-up {name}"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("read-only")


class OwnReduce(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        return _own_reduce, (self.code,)


def _own_reduce(code: int) -> OwnReduce:
    return OwnReduce(code=code)


class OwnCopy(Exception):
    def __copy__(self) -> Any:
        return type(self)(*self.args)

    def __deepcopy__(self, memo: Any) -> Any:
        return type(self)(*self.args)


class Mixin:
    colour = "red"


class TwoBases(Mixin, KeyError, OSError):
    pass


class Unhashable(Exception):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class OwnGroup(ExceptionGroup[Exception]):
    def __new__(cls, message: str, errors: list[Exception], code: int) -> OwnGroup:
        made = super().__new__(cls, message, errors)
        made.code = code  # type: ignore[attr-defined]
        return made

    def derive(self, errors: Any) -> OwnGroup:
        return OwnGroup(self.message, errors, self.code)  # type: ignore[attr-defined]


class BaseOnly(BaseException):
    pass


def renamed_args() -> BaseException:
    error = OSError(5, "five", "a", None, "b")
    error.args = ("another",)
    return error


def decoding() -> BaseException:
    try:
        b"ab\xff".decode("utf-8")
    except UnicodeDecodeError as error:
        return error
    raise AssertionError


def syntax() -> BaseException:
    try:
        compile("a = (1,\nb = 2", "page.py", "exec")
    except SyntaxError as error:
        return error
    raise AssertionError


def caught(operation: Callable[[], object]) -> BaseException:
    try:
        operation()
    except Exception as error:
        return error
    raise AssertionError


def stopped() -> BaseException:
    def generator() -> Any:
        return {"answer": 42}
        yield

    return caught(lambda: next(generator()))


def noted() -> BaseException:
    error = ValueError("noted")
    error.add_note("one")
    return error


def chained() -> BaseException:
    try:
        try:
            {}["missing"]
        except KeyError as missing:
            raise ValueError("bad") from missing
    except ValueError as error:
        return error


def in_context() -> BaseException:
    try:
        try:
            {}["missing"]
        except KeyError:
            raise ValueError("bad")  # noqa: B904
    except ValueError as error:
        return error


def http_status() -> BaseException:
    request = httpx.Request("GET", "https://prices.test/tea")
    return caught(httpx.Response(503, request=request).raise_for_status)


def connect_timeout() -> BaseException:
    return httpx.ConnectTimeout("timed out", request=httpx.Request("GET", "https://prices.test/tea"))


def requests_http() -> BaseException:
    response = requests.Response()
    response.status_code = 503
    response.reason = "Service Unavailable"
    response.url = "https://prices.test/tea"
    response.request = requests.Request("GET", response.url).prepare()
    return caught(response.raise_for_status)


def requests_json() -> BaseException:
    response = requests.Response()
    response._content = b"{"
    return caught(response.json)


def requests_connection() -> BaseException:
    return requests.ConnectionError("refused", request=requests.Request("GET", "https://prices.test/").prepare())


def client_error() -> BaseException:
    answer = {"Error": {"Code": "Throttling", "Message": "slow down"}, "ResponseMetadata": {"RetryAttempts": 2}}
    return botocore.exceptions.ClientError(answer, "PutItem")  # type: ignore[arg-type]


def endpoint_error() -> BaseException:
    return botocore.exceptions.EndpointConnectionError(endpoint_url="https://prices.test")


def rpc_error() -> BaseException:
    with grpc.insecure_channel("unix:/nowhere/at/all") as channel:
        return caught(lambda: channel.unary_unary("/prices/Get")(b"", timeout=30))


def aio_rpc_error() -> BaseException:
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, details="down")


def psycopg_refused() -> BaseException:
    return caught(lambda: psycopg.connect("host=/nowhere/at/all"))


TABLE: dict[str, Callable[[], BaseException]] = {
    # built-in
    "Exception": lambda: Exception("boom"),
    "no arguments": lambda: ValueError(),
    "ValueError": lambda: ValueError("bad", 1, None),
    "KeyError": lambda: KeyError("missing"),
    "IndexError": lambda: caught(lambda: [][0]),
    "ZeroDivisionError": lambda: caught(lambda: 1 // 0),
    "RecursionError": lambda: RecursionError("deep"),
    "MemoryError": lambda: MemoryError("full"),
    "OSError, text": lambda: OSError("text"),
    "OSError, errno": lambda: OSError(28, "no space left"),
    "OSError, three": lambda: caught(lambda: open("/nowhere/at/all")),
    "OSError, two files": lambda: caught(lambda: os.rename("/nowhere/a", "/nowhere/b")),
    "OSError, other args": renamed_args,
    "OSError, one field set later": lambda: _with(OSError("text"), filename="later.txt"),
    "PermissionError": lambda: OSError(13, "denied", "a.txt"),
    "BlockingIOError": lambda: BlockingIOError(11, "later", 7),
    "TimeoutError": lambda: TimeoutError(),
    "ConnectionResetError": lambda: ConnectionResetError(104, "reset by peer"),
    "ImportError": lambda: caught(lambda: __import__("not_there_at_all")),
    "ImportError, from": lambda: caught(lambda: exec("from os import nothing_such")),
    "AttributeError": lambda: caught(lambda: (3).missing),  # type: ignore[attr-defined]
    "NameError": lambda: caught(lambda: missing),  # type: ignore[name-defined]  # noqa: F821
    "UnicodeDecodeError": decoding,
    "UnicodeEncodeError": lambda: caught(lambda: "é".encode("ascii")),
    "UnicodeTranslateError": lambda: UnicodeTranslateError("abc", 1, 2, "no"),
    "SyntaxError": syntax,
    "IndentationError": lambda: caught(lambda: compile("if 1:\nb", "page.py", "exec")),
    "StopIteration": stopped,
    "StopAsyncIteration": lambda: StopAsyncIteration("over"),
    "AssertionError": lambda: AssertionError(),
    "UserWarning": lambda: UserWarning("careful"),
    "ExceptionGroup": lambda: ExceptionGroup("two", [ValueError(1), ExceptionGroup("in", [KeyError(2)])]),
    "with notes": noted,
    "with cause": chained,
    "with context": in_context,
    # the standard library's
    "JSONDecodeError": lambda: caught(lambda: json.loads('{"a": ')),
    "re.error": lambda: caught(lambda: re.compile("(")),
    "zlib.error": lambda: caught(lambda: zlib.decompress(b"no")),
    "CalledProcessError": lambda: subprocess.CalledProcessError(2, ["make"], b"out", b"err"),
    "TimeoutExpired": lambda: subprocess.TimeoutExpired("make", 3.0, b"out"),
    "gaierror": lambda: socket.gaierror(-2, "name or service not known"),
    "SSLError": lambda: ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "SSLCertVerificationError": lambda: ssl.SSLCertVerificationError(1, "certificate verify failed"),
    "URLError": lambda: urllib.error.URLError(OSError(111, "refused")),
    "HTTPError": lambda: urllib.error.HTTPError("http://a.test", 503, "down", Message(), io.BytesIO(b"later")),
    "IncompleteRead": lambda: http.client.IncompleteRead(b"abc", 7),
    "IncompleteReadError": lambda: asyncio.IncompleteReadError(b"abc", 7),
    "BrokenExecutor": lambda: concurrent.futures.BrokenExecutor("broken"),
    "CancelledError of futures": lambda: concurrent.futures.CancelledError("cancelled"),
    # users' own
    "Plain": lambda: Plain("plain"),
    "Required": lambda: Required(503, url="/tea"),
    "SilentArgs": lambda: SilentArgs(7),
    "MadeByNew": lambda: MadeByNew(7, "extra"),
    "Slotted": lambda: Slotted(7),
    "SlottedOs": lambda: _with(SlottedOs(2, "gone", "a.txt"), host="here"),
    "NotFound": lambda: NotFound("registered"),
    "Final": lambda: Final("final"),
    "Concrete": lambda: Concrete("abstract"),
    "Foreign": lambda: Foreign("foreign"),
    "ForeignAndAbstract": lambda: ForeignAndAbstract("both"),
    "Data": lambda: Data(7, ["a"]),
    "FrozenData": lambda: FrozenData(7),
    "Generics": lambda: Generics[int](7),
    "WithProperty": lambda: WithProperty({"code": 7}),
    "NamesItself": lambda: NamesItself("named"),
    "Cooperative": lambda: Cooperative("text"),
    "Guarded": lambda: Guarded("guarded"),
    "OwnReduce": lambda: OwnReduce(code=7),
    "OwnCopy": lambda: OwnCopy("copied"),
    "TwoBases": lambda: TwoBases(2, "gone", "a.txt"),
    "Unhashable": lambda: Unhashable("equal to all"),
    "Unprintable": lambda: Unprintable("?"),
    "OwnGroup": lambda: OwnGroup("group", [ValueError(1)], 7),
    "BaseOnly": lambda: BaseOnly("base"),
    "CircuitBreakerOpenError": lambda: CircuitBreakerOpenError("prices", 12.5),
    "TimedOutError": lambda: TimedOutError(2.0),
    # other people's
    "httpx.HTTPStatusError": http_status,
    "httpx.ConnectTimeout": connect_timeout,
    "httpx.InvalidURL": lambda: caught(lambda: httpx.URL("http://a:port")),
    "requests.HTTPError": requests_http,
    "requests.ConnectionError": requests_connection,
    "requests.JSONDecodeError": requests_json,
    "grpc._InactiveRpcError": rpc_error,
    "grpc.AioRpcError": aio_rpc_error,
    "botocore.ClientError": client_error,
    "botocore.EndpointConnectionError": endpoint_error,
    "psycopg.OperationalError": psycopg_refused,
    "psycopg.UniqueViolation": lambda: psycopg.errors.UniqueViolation("duplicate key"),
}

each = pytest.mark.parametrize("make", TABLE.values(), ids=TABLE.keys())


def _with(error: BaseException, **fields: Any) -> BaseException:
    for name, value in fields.items():
        setattr(error, name, value)
    return error


def join(error: BaseException, attempts: int = 3) -> Any:
    return exhausted(error, attempts=attempts, elapsed=1.5, attempt_errors=(KeyError("first"), error))


def same(one: object, other: object) -> bool:
    return one is other or (type(one) is type(other) and address.sub("", repr(one)) == address.sub("", repr(other)))


def outcome(action: Callable[[], object]) -> object:
    try:
        return action()
    except Exception as failure:
        return type(failure)


def fields(error: BaseException) -> dict[str, object]:
    """Every attribute that holds data, in whatever way it is kept."""
    found = {}
    for name in dir(error):
        if name in OWN or name == "_abc_impl" or (name.startswith("__") and name not in ("__notes__", "__suppress_context__")):
            continue
        value = outcome(lambda name=name: getattr(error, name))
        if not callable(value) or isinstance(value, type):
            found[name] = value
    return found


@pytest.fixture(autouse=True)
def nothing_of_the_users_runs() -> None:
    ran.clear()


def test_the_table_has_at_least_fifty_types() -> None:
    assert len({type(make()) for make in TABLE.values()}) >= 50


@each
def test_a_joined_error_is_caught_by_both_names(make: Callable[[], BaseException]) -> None:
    error = make()
    theirs = type(error)
    joined = join(error)
    try:
        raise joined
    except RetryExhaustedError as seen:
        assert seen is joined
    try:
        raise joined
    except theirs as seen:
        assert seen is joined
    assert type(joined).__bases__ == (RetryExhaustedError, theirs)
    assert type(type(joined)) is type(theirs)
    assert isinstance(joined, SeawallError) and isinstance(joined, theirs)
    assert not issubclass(theirs, RetryExhaustedError)
    assert not isinstance(error, type(joined))
    match joined:
        case RetryExhaustedError(attempts=3, last_error=last):
            assert last is error
        case _:
            raise AssertionError("no match")
    assert can_join(theirs)


@each
def test_a_joined_error_reads_as_the_original(make: Callable[[], BaseException]) -> None:
    error = make()
    joined = join(error)
    assert outcome(lambda: str(joined)) == outcome(lambda: str(error))
    assert repr(joined) == repr(error)
    assert joined.args == error.args
    before, after = fields(error), fields(joined)
    assert before.keys() == after.keys()
    different = [name for name in before if not same(before[name], after[name])]
    assert different == []
    assert traceback.format_exception_only(joined) == traceback.format_exception_only(error)


@each
def test_a_joined_error_has_the_fields_of_the_original_and_four_of_ours(
    make: Callable[[], BaseException],
) -> None:
    error = make()
    before = dict(vars(error))
    joined = join(error)
    assert vars(joined).keys() - before.keys() == OWN
    assert all(vars(joined)[name] is before[name] for name in before if name != "__notes__")
    assert (joined.attempts, joined.elapsed, joined.last_error) == (3, 1.5, joined.last_error)
    assert joined.last_error is error and joined.attempt_errors[1] is error
    assert vars(error) == before


@each
def test_a_joined_error_carries_traceback_cause_and_context(make: Callable[[], BaseException]) -> None:
    error = make()
    reason, around = KeyError("reason"), KeyError("around")
    try:
        raise error
    except BaseException:
        pass
    vars(BaseException)["__context__"].__set__(error, around)
    assert join(error).__suppress_context__ is error.__suppress_context__
    vars(BaseException)["__cause__"].__set__(error, reason)
    joined = join(error)
    assert joined.__traceback__ is error.__traceback__ is not None
    assert joined.__cause__ is reason and joined.__context__ is around
    assert joined.__suppress_context__


@each
def test_joining_runs_none_of_the_users_code_that_makes_things(make: Callable[[], BaseException]) -> None:
    error = make()
    ran.clear()
    join(error)
    fallback_exhausted(error, fallback_errors=())
    assert ran == []


@each
def test_a_joined_error_pickles_when_the_original_does(make: Callable[[], BaseException]) -> None:
    error = make()
    joined = join(error)
    vars(joined)["added"] = "since"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        try:
            again = pickle.loads(pickle.dumps(error, protocol))
        except Exception:
            continue
        back = pickle.loads(pickle.dumps(joined, protocol))
        # The oldest protocols know some types by the name that they had long ago.
        assert type(back).__bases__ == (RetryExhaustedError, type(again))
        assert type(back) is type(joined) or type(again) is not type(error)
        assert outcome(lambda: str(back)) == outcome(lambda: str(again))
        assert vars(back).keys() - vars(again).keys() == OWN | {"added"}
        assert (back.attempts, back.elapsed, back.added) == (3, 1.5, "since")
        assert type(back.last_error) is type(again)
        assert back.attempt_errors[1] is back.last_error
        assert repr(back.attempt_errors[0]) == "KeyError('first')"


@each
def test_a_joined_error_copies_when_the_original_does(make: Callable[[], BaseException]) -> None:
    error = make()
    joined = join(error)
    for way in (copy.copy, copy.deepcopy):
        again = outcome(lambda way=way: way(error))
        if isinstance(again, type):
            continue
        back: Any = way(joined)
        assert type(back) is type(joined) and back is not joined
        # A shallow copy is of the very same error, so it keeps what some types lose in copies.
        like = error if way is copy.copy else again
        assert outcome(lambda: str(back)) == outcome(lambda like=like: str(like))
        assert back.attempts == 3
        assert back.attempt_errors[1] is back.last_error


@each
def test_a_fallback_joins_by_the_same_rule(make: Callable[[], BaseException]) -> None:
    error = make()
    failed = (KeyError("a"), KeyError("b"))
    joined: Any = fallback_exhausted(error, fallback_errors=failed)
    assert type(joined).__bases__ == (FallbackExhaustedError, type(error))
    assert joined.primary_error is error and joined.fallback_errors == failed
    assert vars(joined).keys() - vars(error).keys() == {"primary_error", "fallback_errors"}
    assert outcome(lambda: str(joined)) == outcome(lambda: str(error))


@each
def test_a_retry_below_a_fallback_is_caught_by_all_three_names(make: Callable[[], BaseException]) -> None:
    error = make()
    joined: Any = fallback_exhausted(join(error), fallback_errors=(KeyError(1),))
    assert isinstance(joined, FallbackExhaustedError)
    assert isinstance(joined, RetryExhaustedError)
    assert isinstance(joined, type(error))
    assert joined.attempts == 3 and joined.last_error is error
    assert outcome(lambda: str(joined)) == outcome(lambda: str(error))
    if not isinstance(outcome(lambda: pickle.loads(pickle.dumps(error))), type):
        back = pickle.loads(pickle.dumps(joined))
        assert type(back) is type(joined) and back.attempts == 3
        assert repr(back.fallback_errors) == "(KeyError(1),)"


@each
def test_joining_again_stays_one_class_and_tells_of_the_outer_retry(
    make: Callable[[], BaseException],
) -> None:
    error = make()
    inner = join(error, attempts=3)
    outer = join(inner, attempts=5)
    assert type(outer) is type(inner)
    assert (outer.attempts, inner.attempts) == (5, 3)
    assert outer.last_error is inner and inner.last_error is error
    assert outcome(lambda: str(outer)) == outcome(lambda: str(error))
    around: Any = exhausted(fallback_exhausted(inner, fallback_errors=()), attempts=7, elapsed=2.0)
    assert isinstance(around, (RetryExhaustedError)) and isinstance(around, type(error))
    assert around.attempts == 7
    assert around.last_error.attempts == 3  # type: ignore[union-attr]
    if not isinstance(outcome(lambda: pickle.loads(pickle.dumps(error))), type):
        back = pickle.loads(pickle.dumps(around))
        assert (back.attempts, back.last_error.attempts) == (7, 3)
        assert type(back) is type(around)


def handling(operation: Callable[[], object]) -> BaseException:
    """What comes of `operation` where the caller is handling an error of its own."""
    try:
        raise LookupError("the caller's")
    except LookupError:
        return caught(operation)


def context_of(error: BaseException | None) -> list[str]:
    found = []
    while error is not None:
        found.append(str(error))
        error = error.__context__
    return found


def fails_while_handling() -> None:
    try:
        raise OSError("the operation's")
    except OSError:
        raise FrozenData(7)  # noqa: B904


def loop() -> None:
    for attempt in seawall.RetryPolicy(max_attempts=2, base_delay=0):
        with attempt:
            fails_while_handling()


@pytest.mark.parametrize(
    "operation",
    [
        seawall.retry(max_attempts=2, base_delay=0)(fails_while_handling),
        seawall.retry(max_attempts=2, base_delay=0, reraise=True)(fails_while_handling),
        seawall.retry(KeyError)(fails_while_handling),
        seawall.fallback([fails_while_handling])(fails_while_handling),
        seawall.circuit_breaker(fails_while_handling),
        loop,
    ],
    ids=["retry", "reraise", "permanent", "fallback", "breaker", "loop"],
)
def test_what_was_being_handled_is_told_as_without_us(operation: Callable[[], object]) -> None:
    bare = context_of(handling(fails_while_handling))
    assert bare == ["7", "the operation's", "the caller's"]
    assert context_of(handling(operation)) == bare
    assert context_of(caught(operation)) == bare[:2]


# What cannot be joined, or comes out different.


class OwnAttempts(Exception):
    def __init__(self, attempts: int) -> None:
        super().__init__("mine")
        self.attempts = attempts


class OwnElapsed(Exception):
    elapsed = property(lambda self: 1)


class TellsItsAddress(Exception):
    def __str__(self) -> str:
        return f"at {id(self)}"


class TellsItsBases(Exception):
    def __str__(self) -> str:
        return ", ".join(c.__name__ for c in type(self).__mro__)


class OwnLine(type):
    def mro(cls) -> Any:
        line = list(super().mro())
        return line[:1] + [c for c in line[1:] if c is not RetryExhaustedError]


class LeavesUsOut(Exception, metaclass=OwnLine):
    pass


PLAIN: dict[str, Callable[[], BaseException]] = {
    "a field named like ours": lambda: OwnAttempts(1),
    "a property named like ours": OwnElapsed,
    "a text with its address": TellsItsAddress,
    "a text with its bases": TellsItsBases,
    "a metaclass that leaves us out": LeavesUsOut,
    "what C code keeps where none can reach it": lambda: psycopg2.OperationalError("refused"),
    "a group that holds an interrupt": lambda: BaseExceptionGroup("two", [KeyboardInterrupt()]),
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": lambda: SystemExit(3),
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "RetryExhaustedError": lambda: RetryExhaustedError(2, 1.0, ValueError("bad"), ()),
}


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN.keys())
def test_what_cannot_be_joined_is_the_cause_of_a_plain_error(make: Callable[[], BaseException]) -> None:
    error = make()
    joined = join(error)
    assert type(joined) is RetryExhaustedError
    assert joined.__cause__ is error and joined.last_error is error
    assert (joined.attempts, joined.elapsed) == (3, 1.5)
    assert joined.attempt_errors[1] is error
    assert str(joined).startswith(f"retry gave up after 3 attempts in 1.5 s: {type(error).__name__}")


@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN.keys())
def test_a_fallback_is_plain_where_it_cannot_join(make: Callable[[], BaseException]) -> None:
    error = make()
    failed = fallback_exhausted(error, fallback_errors=(KeyError("a"),))
    assert isinstance(failed, FallbackExhaustedError)
    assert failed.primary_error is error
    if type(failed) is FallbackExhaustedError:
        assert failed.__cause__ is error


def test_a_field_that_comes_out_different_makes_the_error_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seawall.exceptions._POINTER", 1_000)  # as if all of its state were in members

    class Local(psycopg2.OperationalError):
        pass

    assert type(join(Local("refused"))) is RetryExhaustedError


def test_decoration_can_ask_which_types_join() -> None:
    assert all(can_join(t) for t in (Exception, ValueError, OSError, Required, Foreign, NotFound))
    never = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, OwnElapsed, psycopg2.Error)
    assert not any(can_join(t) for t in never)


def test_trio_is_left_alone_as_well() -> None:
    trio = pytest.importorskip("trio")
    assert not can_join(trio.Cancelled)
    assert can_join(trio.TooSlowError)


# Plain errors of ours.


def test_the_plain_errors_are_what_they_say_and_pickle() -> None:
    opened = CircuitBreakerOpenError("prices", 12.5)
    assert isinstance(opened, RuntimeError)
    assert (opened.name, opened.retry_after, opened.args) == ("prices", 12.5, ("prices", 12.5))
    assert str(opened) == "circuit breaker `prices` is open, next probe in 12.5 s"
    assert str(CircuitBreakerOpenError("prices", None)) == "circuit breaker `prices` is open"
    assert str(CircuitBreakerOpenError()) == "circuit breaker is open"

    late = TimedOutError(2.0)
    assert isinstance(late, TimeoutError) and isinstance(late, asyncio.TimeoutError)
    assert late.limit == 2.0
    assert str(late) == "no answer within 2 s"

    gone = RetryExhaustedError(1, 0.25, ValueError("bad"), [ValueError("bad")])
    assert str(gone) == "retry gave up after 1 attempt in 0.25 s: ValueError: bad"
    assert type(gone.attempt_errors) is tuple
    assert str(RetryExhaustedError()) == "retry gave up after 0 attempts in 0 s"

    failed = FallbackExhaustedError(ValueError("bad"), [KeyError("a"), OSError()])
    assert str(failed) == "the operation and 2 fallbacks failed: ValueError: bad; fallback 1: KeyError: 'a'; fallback 2: OSError"
    for error in (opened, late, gone, failed):
        for back in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(back) is type(error) and str(back) == str(error)
            assert repr(vars(back)) == repr(vars(error))


def test_a_text_that_cannot_be_made_hides_no_error() -> None:
    assert str(RetryExhaustedError(2, 1.0, Unprintable())).endswith(": Unprintable: <its text raised ValueError>")


def test_a_users_own_kind_of_ours_is_an_ordinary_class() -> None:
    seen = []

    class Cooperating:
        def __init_subclass__(cls, **options: Any) -> None:
            seen.append((cls.__name__, options))

    class Mine(RetryExhaustedError, Cooperating, label="mine"):  # type: ignore[call-arg]
        def __str__(self) -> str:
            return "mine"

    assert seen == [("Mine", {"label": "mine"})]
    error = Mine(2, 1.0, ValueError(), ())
    joined = join(error)
    assert type(joined) is Mine
    assert (joined.attempts, joined.last_error) == (3, error)


# Edges.


@pytest.fixture
def switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_the_usual_way_to_rebuild_an_error_makes_the_users_type() -> None:
    joined = join(FileNotFoundError(2, "gone", "a.txt"))
    again = type(joined)(*joined.args)
    assert type(again) is FileNotFoundError and again.args == (2, "gone")


def test_a_class_looked_up_among_the_subclasses_makes_the_users_type() -> None:
    join(NotFound("x"))
    assert {type(c("y")) for c in NotFound.__subclasses__()} == {NotFound}
    assert Registered.codes == {404: NotFound}


def test_notes_are_each_errors_own() -> None:
    error = noted()
    joined = join(error)
    joined.add_note("two")
    assert error.__notes__ == ["one"] and joined.__notes__ == ["one", "two"]
    assert pickle.loads(pickle.dumps(joined)).__notes__ == ["one", "two"]
    assert copy.copy(joined).__notes__ == ["one", "two"]
    assert copy.deepcopy(joined).__notes__ == ["one", "two"]


def test_a_group_is_split_and_caught_in_parts() -> None:
    joined = join(OwnGroup("group", [ValueError(1), KeyError(2)], 7))
    kept, rest = joined.split(ValueError)
    assert type(kept) is type(rest) is OwnGroup and rest.code == 7
    seen: list[BaseException] = []
    try:
        raise joined
    except* ValueError as group:
        seen.extend(group.exceptions)
    except* KeyError as group:
        seen.extend(group.exceptions)
    assert [str(error) for error in seen] == ["1", "2"]
    try:
        raise joined
    except* RetryExhaustedError as group:
        assert group is joined


def test_abstract_classes_keep_their_checks_apart() -> None:
    joined = join(Concrete("x"))
    assert isinstance(joined, Abstract) and joined.explain() == "concrete"
    assert isinstance(joined, type(joined))
    assert not isinstance(Concrete("y"), type(joined))
    assert issubclass(type(joined), Concrete) and not issubclass(Concrete, type(joined))


def test_what_another_attempt_raised_does_not_stand_in_the_way_of_pickling() -> None:
    cannot = _with(ValueError("held"), lock=threading.Lock())
    joined: Any = exhausted(OSError(5, "five"), attempts=2, elapsed=0.1, attempt_errors=(cannot, http_status()))
    back = pickle.loads(pickle.dumps(joined))
    assert type(back) is type(joined)
    assert [str(error) for error in back.attempt_errors][0] == "ValueError: held"
    assert str(back.attempt_errors[1]).startswith("HTTPStatusError: Server error '503")
    kept = copy.deepcopy(joined)
    assert kept.attempt_errors[0] is cannot
    assert copy.copy(joined).attempt_errors is joined.attempt_errors


def test_an_iterator_still_ends_by_a_joined_stop() -> None:
    class Numbers:
        def __iter__(self) -> Numbers:
            return self

        def __next__(self) -> int:
            raise join(StopIteration(5))

    assert list(Numbers()) == []  # type: ignore[call-overload]


def test_an_error_decorated_into_another_class_is_joined_as_that_class() -> None:
    join(Plain("first"))
    body = {name: value for name, value in vars(Plain).items() if name not in ("__dict__", "__weakref__")}
    Again = type("Again", (Exception,), body)
    joined = join(Again("second"))
    assert isinstance(joined, Again) and not isinstance(joined, Plain)


def test_a_class_and_what_was_joined_of_it_can_be_freed() -> None:
    def forget() -> tuple[weakref.ref[type], ...]:
        class Local(Exception):
            pass

        joined, failed = join(Local("x")), fallback_exhausted(join(Local("y")), fallback_errors=())
        return weakref.ref(Local), weakref.ref(type(joined)), weakref.ref(type(failed))

    dead = forget()
    gc.collect()
    assert [ref() for ref in dead] == [None, None, None]


def test_one_class_is_made_however_many_threads_ask_for_it(switching: None) -> None:
    for _ in range(100):

        class Local(Exception):
            pass

        found: list[type] = []
        barrier = threading.Barrier(8)

        def work() -> None:
            barrier.wait()
            found.append(type(join(Local("x"))))  # noqa: B023

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8 and len(set(found)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_a_class_is_made_leaves_no_lock_held() -> None:
    import seawall.exceptions as module

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with module._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(10)  # a lock that is still held would hang here

        class Local(Exception):
            pass

        os._exit(0 if isinstance(join(Local()), Local) else 1)
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert status == 0


def test_a_hundred_thousand_joined_errors_leave_nothing() -> None:
    def operation(n: int) -> None:
        try:
            raise OSError(n % 7, "down", "a.txt")
        except OSError as error:
            last = error
        raise fallback_exhausted(
            exhausted(last, attempts=3, elapsed=0.1, attempt_errors=(last,)), fallback_errors=()
        )

    def rounds(count: int) -> None:
        for n in range(count):
            try:
                operation(n)
            except OSError:
                pass

    rounds(1_000)
    gc.collect()
    blocks, objects = sys.getallocatedblocks(), len(gc.get_objects())
    rounds(100_000)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 500
    assert len(gc.get_objects()) - objects < 100
