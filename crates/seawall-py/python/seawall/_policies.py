"""Policy files: the same policies that Rust programs and the command ``seawall`` read from them."""

from __future__ import annotations

import copy
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar, cast

from . import _calls, _seawall
from ._arguments import UNSET, ErrorTypes, Predicate
from ._breaker import CircuitBreaker
from ._calls import AnyLayer, AsyncStep, Call, Layer, Step
from ._fallback import FallbackChain
from ._loops import Attempt
from ._retry import RetryAfter, RetryExecutor, RetryPolicy, warn_of_unjoinable
from ._timeout import Timeout
from ._wrapper import decorate
from .exceptions import ConfigError

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class ConfigProblem(NamedTuple):
    """One thing that is wrong with a policy file, or with a variable of the environment over it."""

    #: All of it in one line, as in the error.
    text: str
    #: In one word: ``unreadable``, ``syntax``, ``unknown-name``, ``conflict``, ``wrong-type``,
    #: ``invalid-value``, ``missing``, ``circular-extends``.
    kind: str
    #: What is wrong, and what is allowed.
    message: str
    #: The field's full path, such as ``payments.retry.max_attempts``.
    field: str | None
    #: The value, as it was written.
    value: str | None
    #: The nearest valid name, if one is near.
    suggestion: str | None
    notes: tuple[str, ...]
    #: The file with line and column, both from 1; or the variable or preset that the value is from.
    file: str | None
    line: int | None
    column: int | None
    variable: str | None
    preset: str | None

    def __str__(self) -> str:
        return self.text


def load_policies(
    path: str | os.PathLike[str],
    *,
    environment: Mapping[str, str] | None = None,
    prefix: str = "SEAWALL",
    keeping: Policies | None = None,
) -> Policies:
    """Reads a policy file: TOML, YAML or JSON, by its extension.

    Variables of the ``environment`` (``os.environ``) that begin with ``prefix`` and two underscores are laid
    over it: ``SEAWALL__PAYMENTS__RETRY__MAX_ATTEMPTS=5``; ``environment={}`` lays nothing over it.

    For a file that is read again, ``keeping`` takes over the circuit breakers and budgets of what it gave before,
    with all that they have on record, where a policy of the same name has them with the same settings. Where
    the file is broken now, what it gave before stays as it is.

    Raises ConfigError, a ValueError, with everything that is wrong: file, line, column, field, value, what
    is allowed, and the nearest valid name.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"`prefix` must be a string, but is {prefix!r}")
    given = os.environ if environment is None else environment
    if not isinstance(given, Mapping):
        raise TypeError(f"`environment` must be a mapping, but is {environment!r}")
    if keeping is not None and not isinstance(keeping, Policies):
        raise TypeError(f"`keeping` must be Policies, but is {keeping!r}")
    loaded = _seawall.LoadedPolicies(os.fspath(path), list(given.items()), prefix)
    return Policies(loaded, os.fspath(path), keeping)


class Policies(Mapping[str, "Pipeline"]):
    """The policies of a file by name, in the order of the file.

    Each has its circuit breaker once, and budgets are shared by all who name them: load a file once and use
    what it gives everywhere.
    """

    __slots__ = ("_breakers", "_by_name", "_loaded", "_path")

    def __init__(
        self, loaded: _seawall.LoadedPolicies, path: str, keeping: Policies | None = None
    ) -> None:
        before: dict[int, CircuitBreaker] = {}
        if keeping is not None:
            loaded = loaded.keeping(keeping._loaded)
            before = keeping._breakers
        self._loaded: Final[_seawall.LoadedPolicies] = loaded
        self._path: Final = path
        self._by_name: Final[dict[str, Pipeline]] = {}
        #: Each by the identity that the library gives it, which `keeping` looks for.
        self._breakers: Final[dict[int, CircuitBreaker]] = {}
        for told in loaded.policies():
            ids = (layer["id"] for layer in told["layers"] if layer["kind"] == "circuit_breaker")
            known: int = next(ids, 0)
            pipeline = Pipeline(told, breaker=before.get(known))
            self._by_name[told["name"]] = pipeline
            if pipeline.circuit_breaker is not None:
                self._breakers[known] = pipeline.circuit_breaker

    def __getitem__(self, name: str) -> Pipeline:
        found = self._by_name.get(name)
        if found is None:
            near = self._loaded.nearest(name) if isinstance(name, str) else None
            hint = "" if near is None else f"; did you mean `{near}`?"
            raise KeyError(f"{self._path}: there is no policy `{name}`{hint}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"<Policies of {self._path}: {', '.join(self)}>"


_NOTHING: Final[Mapping[str, Any]] = {}


class Pipeline(AnyLayer):
    """A policy of a file: a decorator for sync and async functions, or run by hand.

    - ``@policy`` above a function fuses with other decorators, as they do with each other.
    - ``policy.call(function, *args)``, ``await policy.call_async(function, *args)``.
    - ``for attempt in policy:``, sync and async, where it is a retry and nothing else.
    - ``policy.using(...)`` adds what no file can say.

    A fallback's ``value`` is the answer, made anew for each call. Where the file says only that there is one
    (``fallback = true``, or a ``command``), the program gives it by ``using(fallback=...)``; to use the policy
    without is a ConfigError. Where there is a time limit, a sync function is a TypeError.
    """

    __slots__ = ("_by_kind", "_given", "_missing", "_told", "name")

    def __init__(
        self, told: Mapping[str, Any], given: Mapping[str, Any] = _NOTHING, breaker: CircuitBreaker | None = None
    ) -> None:
        self.name: Final[str] = told["name"]
        self._told: Final = told
        self._given: Final = given
        #: What is wrong if it is used as it is.
        self._missing: ConfigProblem | None = None
        self._by_kind: Final[dict[str, Layer]] = {}
        for layer in told["layers"]:
            kind = layer["kind"]
            if kind == "fallback":
                chain = _fallback(layer, given)
                if chain is None:
                    self._missing = _problem("missing", f"{self.name}.fallback", layer["place"], _NO_ANSWER)
                else:
                    self._by_kind[kind] = chain
            elif kind == "circuit_breaker":
                self._by_kind[kind] = breaker or _breaker(layer, given)
            elif kind == "retry":
                self._by_kind[kind] = _retry(layer, given)
            elif kind in ("timeout", "total_timeout"):
                where = f"{layer['place'][0]}: {self.name}.{kind}: "
                self._by_kind[kind] = Timeout(layer["limit"], where)
            else:
                raise _error(
                    _problem("unknown-name", f"{self.name}.{kind}", layer["place"], f"Python has no `{kind}` yet")
                )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The policies, outermost first. Raises ConfigError where the fallback's answer is missing."""
        if self._missing is not None:
            raise _error(self._missing)
        return tuple(self._by_kind.values())

    @property
    def retry(self) -> RetryExecutor | None:
        """The retry, with its policy and its budget."""
        return cast("RetryExecutor | None", self._by_kind.get("retry"))

    @property
    def circuit_breaker(self) -> CircuitBreaker | None:
        """The circuit breaker: one and the same each time."""
        return cast("CircuitBreaker | None", self._by_kind.get("circuit_breaker"))

    @property
    def fallback(self) -> FallbackChain | None:
        """The fallbacks, once there is an answer."""
        return cast("FallbackChain | None", self._by_kind.get("fallback"))

    @property
    def timeout(self) -> float | None:
        """The limit of each attempt in seconds."""
        return self._limit("timeout")

    @property
    def total_timeout(self) -> float | None:
        """The limit of the call in seconds, attempts and delays included."""
        return self._limit("total_timeout")

    def _limit(self, kind: str) -> float | None:
        layer = self._by_kind.get(kind)
        return layer.limit if isinstance(layer, Timeout) else None

    def __call__(self, function: F) -> F:
        layers = self.layers
        # A policy without layers lets every call through as it is.
        return cast(F, decorate(function, *layers)) if layers else function

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls ``function`` with the policy around it."""
        return cast(T, _calls.execute(self, function, args, kwargs, "call_async"))

    async def call_async(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Awaits what ``function`` gives with the policy around it."""
        return cast(T, await _calls.execute_async(self, function, args, kwargs))

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._loop())

    def __aiter__(self) -> AsyncIterator[Attempt]:
        return aiter(self._loop())

    def _loop(self) -> RetryExecutor:
        layers = self.layers
        if len(layers) == 1 and isinstance(layers[0], RetryExecutor):
            return layers[0]
        raise TypeError(
            f"a loop is a retry and nothing else, but policy `{self.name}` is {str(self) or 'empty'}: use it as a"
            " decorator, or by `call`"
        )

    def using(
        self,
        *,
        fallback: Callable[..., Any] | Iterable[Callable[..., Any]] | FallbackChain = UNSET,
        fallback_on: ErrorTypes | Predicate = UNSET,
        retry_on: ErrorTypes | Predicate = UNSET,
        retry_if_result: Callable[[Any], object] | None = UNSET,
        retry_after: RetryAfter | None = UNSET,
        on_retry: Callable[..., object] | None = UNSET,
        on_success: Callable[..., object] | None = UNSET,
        reraise: bool = UNSET,
        seed: int | None = UNSET,
        time_source: Callable[[], float] | None = UNSET,
        sleep_func: Callable[[float], object] | None = UNSET,
        async_sleep_func: Callable[[float], Awaitable[object]] | None = UNSET,
        expected_exception: ErrorTypes | Predicate = UNSET,
        on_state_change: Callable[..., object] | None = UNSET,
    ) -> Pipeline:
        """The same policy, with what no file can say: functions, types of errors, a seed.

        They mean what they mean in :class:`RetryExecutor`, :class:`RetryPolicy`, :class:`FallbackChain` and
        :class:`CircuitBreaker`. The file decides which layers there are: what is given for one that it does not
        have is checked and not used. The budget is shared with this policy, and so is the circuit breaker, unless
        ``expected_exception``, ``on_state_change`` or ``time_source`` is given, which are a breaker's own: then
        it is a new one with the same settings.
        """
        given = {name: value for name, value in locals().items() if name != "self" and value is not UNSET}
        # What makes no sense is refused whichever layers the file has.
        policy = RetryPolicy(**_some(given, _OF_POLICY))
        RetryExecutor(policy, **_some(given, _OF_EXECUTOR))
        CircuitBreaker(**_some(given, _OF_BREAKER))
        _chain(given.get("fallback", _nothing), _some(given, ("fallback_on",)))
        if isinstance(policy.retry_on, (type, tuple)) and not given.get("reraise"):
            warn_of_unjoinable(policy.retry_on)
        breaker = None if given.keys() & _OF_BREAKER else self.circuit_breaker
        return Pipeline(self._told, {**self._given, **given}, breaker)

    # As a layer: what runs functions by hand.

    always = True

    def check_sync(self) -> None:
        for layer in self.layers:
            layer.check_sync()

    def check_async(self) -> None:
        for layer in self.layers:
            layer.check_async()

    def run(self, inner: Step, call: Call) -> Any:
        step = inner
        for layer in reversed(self.layers):
            step = _calls.around(layer, step)
        return step(call)

    async def run_async(self, inner: AsyncStep, call: Call) -> Any:
        step = inner
        for layer in reversed(self.layers):
            step = _calls.around_async(layer, step)
        return await step(call)

    def __str__(self) -> str:
        stack: str = self._told["stack"]
        return stack

    def __repr__(self) -> str:
        return f"<Pipeline {self.name!r}: {self}>"


_OF_POLICY: Final = frozenset({"retry_on", "retry_if_result", "retry_after"})
_OF_EXECUTOR: Final = frozenset(
    {"on_retry", "on_success", "reraise", "seed", "time_source", "sleep_func", "async_sleep_func"}
)
_OF_BREAKER: Final = frozenset({"expected_exception", "on_state_change", "time_source"})


def _some(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _retry(told: Mapping[str, Any], given: Mapping[str, Any]) -> RetryExecutor:
    rules: _seawall.RetryRules = told["rules"]
    beside = _some(given, _OF_POLICY)
    if told["keeps_errors"]:
        beside["keep_errors"] = rules.settings()["keep_errors"]
    return RetryExecutor(
        RetryPolicy._of(rules, **beside),
        name=told["name"],
        budget=told["budget"],
        **_some(given, _OF_EXECUTOR),
    )


def _breaker(told: Mapping[str, Any], given: Mapping[str, Any]) -> CircuitBreaker:
    return CircuitBreaker._of(told["settings"], told["name"], **_some(given, _OF_BREAKER))


def _fallback(told: Mapping[str, Any], given: Mapping[str, Any]) -> FallbackChain | None:
    """The fallbacks of the program, else the file's answer; none where there is neither."""
    settings = _some(given, ("fallback_on",))
    if "fallback" in given:
        return _chain(given["fallback"], settings)
    if "value" not in told:
        return None
    value = told["value"]
    # Each caller gets its own: one that changes its answer must not change the next one's.
    return FallbackChain(lambda: copy.deepcopy(value), **settings)


def _chain(fallback: Any, settings: Mapping[str, Any]) -> FallbackChain:
    if not isinstance(fallback, FallbackChain):
        return FallbackChain(fallback, **settings)
    if settings:
        raise TypeError("a FallbackChain has all settings: nothing can be given beside it")
    return fallback


def _nothing() -> None: ...


_NO_ANSWER: Final = (
    "the program gives no answer for this fallback: `using(fallback=...)` does, and so does a `value` in the file;"
    " `fallback = false` leaves it out"
)


def _problem(kind: str, field: str, place: tuple[Any, ...], message: str) -> ConfigProblem:
    where, *at = place
    return ConfigProblem(f"{where}: {field}: {message}", kind, message, field, None, None, (), *at)


def _error(problem: ConfigProblem) -> ConfigError:
    return ConfigError(problem.text, [problem])
