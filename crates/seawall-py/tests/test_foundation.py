"""`seawall.compat.foundation` does what the users of `provide.foundation.resilience` rely on.

One script of uses, with what comes of each; it runs against Seawall, and against the other one where that
is installed.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

SUBMODULES = ("retry", "decorators", "fallback", "types", "circuit_sync", "circuit_async")


class Api:
    """All names, each from the submodule that its users import it from."""

    def __init__(self, package: str) -> None:
        parts: dict[str, ModuleType] = {
            name: importlib.import_module(f"{package}.{name}") for name in SUBMODULES
        }
        self.package = importlib.import_module(package)
        self.RetryPolicy = parts["retry"].RetryPolicy
        self.RetryExecutor = parts["retry"].RetryExecutor
        self.BackoffStrategy = parts["types"].BackoffStrategy
        self.CircuitState = parts["types"].CircuitState
        self.FallbackChain = parts["fallback"].FallbackChain
        self.SyncCircuitBreaker = parts["circuit_sync"].SyncCircuitBreaker
        self.AsyncCircuitBreaker = parts["circuit_async"].AsyncCircuitBreaker
        self.retry = parts["decorators"].retry
        self.circuit_breaker = parts["decorators"].circuit_breaker
        self.fallback = parts["decorators"].fallback


class World:
    """An operation that fails as told, a clock, and sleeps that only move it."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)
        self.calls: list[Any] = []
        self.slept: list[float] = []
        self.now = 0.0

    def operation(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((args, kwargs) if args or kwargs else ())
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return "done"

    async def operation_async(self, *args: Any, **kwargs: Any) -> Any:
        return self.operation(*args, **kwargs)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    @property
    def waits(self) -> dict[str, Any]:
        return {
            "time_source": self.time,
            "sleep_func": self.sleep,
            "async_sleep_func": self.sleep_async,
        }


def of(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except BaseException as error:
        return error_of(error)


def error_of(error: BaseException) -> str:
    for known in (KeyboardInterrupt, ValueError, KeyError, OSError, RuntimeError, AttributeError, TypeError):
        if isinstance(error, known):
            return f"{known.__name__}: {error}"
    return type(error).__name__


def down(count: int) -> list[BaseException]:
    return [ValueError(f"down {n}") for n in range(1, count + 1)]


Use = Callable[[Api], Any]
USES: list[tuple[str, Use, Any]] = []


def gives(expected: Any) -> Callable[[Use], Use]:
    def keep(use: Use) -> Use:
        USES.append((use.__name__, use, expected))
        return use

    return keep


@gives(["down 3", [(), (), ()], [1.0, 2.0], [(1, "down 1"), (2, "down 2")], True])
def the_last_error_is_raised_as_it_is(api: Api) -> Any:
    errors = down(3)
    world = World(*errors)
    seen: list[Any] = []
    executor = api.RetryExecutor(
        api.RetryPolicy(max_attempts=3, jitter=False),
        on_retry=lambda attempt, error: seen.append((attempt, str(error))),
        **world.waits,
    )
    try:
        executor.execute_sync(world.operation)
    except ValueError as error:
        return [str(error), world.calls, world.slept, seen, error is errors[2] and type(error) is ValueError]


@gives(["done", [((1,), {"x": 2}), ((1,), {"x": 2})], [1.0]])
def arguments_are_passed_on(api: Api) -> Any:
    world = World(*down(1))
    executor = api.RetryExecutor(api.RetryPolicy(jitter=False), **world.waits)
    return [executor.execute_sync(world.operation, 1, x=2), world.calls, world.slept]


@gives(["ValueError: down 3", [1.0, 2.0], [(1, "down 1"), (2, "down 2")]])
def async_retries_await_the_listener_and_the_sleep(api: Api) -> Any:
    world = World(*down(3))
    seen: list[Any] = []

    async def on_retry(attempt: int, error: Exception) -> None:
        seen.append((attempt, str(error)))

    executor = api.RetryExecutor(api.RetryPolicy(jitter=False), on_retry=on_retry, **world.waits)
    result = of(lambda: asyncio.run(executor.execute_async(world.operation_async)))
    return [result, world.slept, seen]


@gives(["done", 3])
def a_listener_that_fails_stops_nothing(api: Api) -> Any:
    world = World(*down(2))
    executor = api.RetryExecutor(api.RetryPolicy(), on_retry=lambda attempt, error: 1 / 0, **world.waits)
    return [executor.execute_sync(world.operation), len(world.calls)]


@gives(["ValueError: down 1", 1])
def other_errors_are_not_retried(api: Api) -> Any:
    world = World(*down(3))
    executor = api.RetryExecutor(api.RetryPolicy(retryable_errors=(KeyError, OSError)), **world.waits)
    return [of(lambda: executor.execute_sync(world.operation)), len(world.calls)]


@gives(["KeyboardInterrupt: ", 1])
def an_interrupt_is_not_retried(api: Api) -> Any:
    world = World(KeyboardInterrupt())
    executor = api.RetryExecutor(api.RetryPolicy(), **world.waits)
    return [of(lambda: executor.execute_sync(world.operation)), len(world.calls)]


@gives([0.0, 0.0])
def sleeps_of_no_length_are_counted(api: Api) -> Any:
    world = World(*down(2))
    api.RetryExecutor(api.RetryPolicy(base_delay=0), **world.waits).execute_sync(world.operation)
    return world.slept


@gives([0.0, 0.0])
def async_sleeps_of_no_length_are_counted(api: Api) -> Any:
    world = World(*down(2))
    executor = api.RetryExecutor(api.RetryPolicy(base_delay=0), **world.waits)
    asyncio.run(executor.execute_async(world.operation_async))
    return world.slept


@gives(
    {
        "fixed": [0, 0, 2, 2, 2, 2, 2, 2, 2, 2],
        "linear": [0, 0, 2, 4, 6, 8, 10, 12, 14, 16],
        "exponential": [0, 0, 2, 4, 8, 16, 32, 50, 50, 50],
        "fibonacci": [0, 0, 2, 2, 4, 6, 10, 16, 26, 42],
    }
)
def delays_grow_as_their_names_say(api: Api) -> Any:
    return {
        word: [
            api.RetryPolicy(
                backoff=api.BackoffStrategy(word), base_delay=2, max_delay=50, jitter=False
            ).calculate_delay(attempt)
            for attempt in range(-1, 9)
        ]
        for word in ("fixed", "linear", "exponential", "fibonacci")
    }


@gives([True, True, True])
def jitter_is_a_quarter_up_and_down(api: Api) -> Any:
    policy = api.RetryPolicy(base_delay=2.0, jitter=True)
    drawn = [policy.calculate_delay(2) for _ in range(4_000)]
    return [min(drawn) >= 3.0, max(drawn) <= 5.0, min(drawn) < 3.05 and max(drawn) > 4.95]


@gives(
    [
        "ValueError: max_attempts must be at least 1",
        "ValueError: max_attempts must be at least 1",
        "ValueError: base_delay must be positive",
        "ValueError: max_delay must be >= base_delay",
        "AttributeError",
        "TypeError",
    ]
)
def settings_that_make_no_sense_are_refused_in_plain_words(api: Api) -> Any:
    policy = api.RetryPolicy()
    return [
        of(lambda: api.RetryPolicy(max_attempts=0)),
        of(lambda: api.retry(max_attempts=-1)(print)),
        of(lambda: api.RetryPolicy(base_delay=-1)),
        of(lambda: api.RetryPolicy(base_delay=5, max_delay=1)),
        of(lambda: setattr(policy, "max_attempts", 4)).split(":")[0],
        of(lambda: api.RetryPolicy(3)).split(":")[0],
    ]


@gives(
    [
        "RetryPolicy(max_attempts=5, backoff=exponential, base_delay=0.5s)",
        True,
        [3, "exponential", 1.0, 60.0, True, None, None],
        [True, True, False],
        [True, False, False],
    ]
)
def a_policy_is_plain_data(api: Api) -> Any:
    policy = api.RetryPolicy(retryable_errors=(ValueError,))
    codes = api.RetryPolicy(retryable_status_codes={503})

    class Response:
        status = status_code = 503

    default = api.RetryPolicy()
    return [
        str(api.RetryPolicy(max_attempts=5, base_delay=0.5)),
        default == api.RetryPolicy() and hash(default) == hash(api.RetryPolicy()),
        [
            default.max_attempts,
            default.backoff.value,
            default.base_delay,
            default.max_delay,
            default.jitter,
            default.retryable_errors,
            default.retryable_status_codes,
        ],
        [policy.should_retry(ValueError(), n) for n in (1, 2, 3)],
        [
            codes.should_retry_response(Response(), 1),
            codes.should_retry_response(Response(), 3),
            codes.should_retry_response(object(), 1),
        ],
    ]


@gives(["done", 3, "ValueError: down 2", "ValueError: down 1", "ValueError: down 2", True])
def the_retry_decorator(api: Api) -> Any:
    def run(world: World, *args: Any, **kwargs: Any) -> Any:
        return of(api.retry(*args, **kwargs, **world.waits)(world.operation))

    three = World(*down(2))

    @api.retry
    def bare() -> str:
        return "bare"

    return [
        run(three),
        len(three.calls),
        run(World(*down(5)), max_attempts=2),
        run(World(*down(5)), KeyError),
        run(World(*down(5)), policy=api.RetryPolicy(max_attempts=2)),
        bare() == "bare" and bare.__name__ == "bare",
    ]


@gives(["done", True, True])
def the_retry_decorator_on_coroutine_functions_and_methods(api: Api) -> Any:
    world = World(*down(2))

    @api.retry(jitter=False, **world.waits)
    async def fetch() -> Any:
        return await world.operation_async()

    class Client:
        @api.retry(max_attempts=2)
        def me(self) -> Any:
            return self

    client = Client()
    return [asyncio.run(fetch()), inspect.iscoroutinefunction(fetch), client.me() is client]


@gives(True)
def a_policy_beside_other_settings_is_refused(api: Api) -> Any:
    try:
        api.retry(policy=api.RetryPolicy(), max_attempts=2)
    except Exception:
        return True
    return False


@gives(
    [
        ("closed", 0),
        ("ValueError: down 1", "closed", 1),
        ("ValueError: down 2", "open", 2),
        ("RuntimeError: Circuit breaker is open", "open", 2),
        ("half_open", 2),
        ("ValueError: down 3", "open", 3),
        ("half_open", 3),
        ("done", "closed", 0),
        ("closed", 0),
    ]
)
def a_circuit_opens_probes_and_closes(api: Api) -> Any:
    world = World(*down(3))
    breaker = api.SyncCircuitBreaker(failure_threshold=2, recovery_timeout=10, time_source=world.time)

    def see(*first: Any) -> Any:
        return (*first, breaker.state().name.lower(), breaker.failure_count())

    def call() -> Any:
        return see(of(lambda: breaker.call(world.operation)))

    told = [see(), call(), call(), call()]
    world.now = 10.0
    told += [see(), call()]
    world.now = 20.0
    told += [see(), call()]
    breaker.reset()
    return [*told, see()]


@gives(
    [
        ("ValueError: down 1", "CLOSED", 1),
        ("ValueError: down 2", "OPEN", 2),
        ("RuntimeError: Circuit breaker is open", "OPEN", 2),
        ("done", "CLOSED", 0),
        ("ValueError: down 3", "CLOSED", 1),
        ("CLOSED", 0),
    ]
)
def an_async_circuit_has_coroutines_for_methods(api: Api) -> Any:
    async def use() -> Any:
        errors: list[BaseException | None] = [*down(3)]
        errors.insert(2, None)
        world = World(*errors)
        breaker = api.AsyncCircuitBreaker(
            failure_threshold=2, recovery_timeout=10, time_source=world.time
        )

        async def call() -> Any:
            try:
                result = await breaker.call(world.operation_async)
            except Exception as error:
                result = error_of(error)
            return result, (await breaker.state()).name, await breaker.failure_count()

        told = [await call(), await call(), await call()]
        world.now = 10.0
        told += [await call(), await call()]
        await breaker.reset()
        return [*told, ((await breaker.state()).name, await breaker.failure_count())]

    return asyncio.run(use())


@gives([1, 1, "KeyError: 'other'", "HALF_OPEN"])
def errors_of_another_kind_count_neither_way(api: Api) -> Any:
    world = World(ValueError("down"), KeyError("other"), ValueError("down"), KeyError("other"))
    breaker = api.SyncCircuitBreaker(2, 10, ValueError, world.time)
    counts = []
    for _ in range(2):
        of(lambda: breaker.call(world.operation))
        counts.append(breaker.failure_count())
    of(lambda: breaker.call(world.operation))
    world.now = 10.0
    return [*counts, of(lambda: breaker.call(world.operation)), breaker.state().name]


@gives(["ValueError: down 1", "RuntimeError: Circuit breaker is open", 1, "done", "done"])
def the_circuit_breaker_decorator(api: Api) -> Any:
    world = World(*down(1))

    @api.circuit_breaker(failure_threshold=1, recovery_timeout=10, time_source=world.time)
    def fetch() -> Any:
        return world.operation()

    told = [of(fetch), of(fetch), len(world.calls)]
    world.now = 10.0
    return [*told, of(fetch), of(fetch)]


@gives(["ValueError: down 1", "RuntimeError: Circuit breaker is open", "done"])
def the_circuit_breaker_decorator_on_several_loops(api: Api) -> Any:
    world = World(*down(1))

    @api.circuit_breaker(failure_threshold=1, recovery_timeout=10, time_source=world.time)
    async def fetch() -> Any:
        return await world.operation_async()

    told = [of(lambda: asyncio.run(fetch())), of(lambda: asyncio.run(fetch()))]
    world.now = 10.0
    return [*told, of(lambda: asyncio.run(fetch()))]


@gives(["ValueError: down 1", "RuntimeError: Circuit breaker is open"])
def an_open_circuit_says_so_by_the_machines_clock_as_well(api: Api) -> Any:
    world = World(*down(1))

    @api.circuit_breaker(failure_threshold=1)
    def fetch() -> Any:
        return world.operation()

    return [of(fetch), of(fetch)]


@gives(["ValueError: down 1", "done"])
def one_decorator_makes_a_circuit_for_each_function(api: Api) -> Any:
    decorator = api.circuit_breaker(failure_threshold=1)
    bad, good = World(*down(9)), World()
    first, second = decorator(lambda: bad.operation()), decorator(lambda: good.operation())
    return [of(first), of(second)]


def lost(*args: Any, **kwargs: Any) -> Any:
    raise KeyError("lost")


@gives(["backup (1,) {'x': 2}", "KeyError: 'lost'", "ValueError: down 1", "ValueError: down 1"])
def a_chain_of_fallbacks(api: Api) -> Any:
    def backup(*args: Any, **kwargs: Any) -> str:
        return f"backup {args} {kwargs}"

    def run(**settings: Any) -> Any:
        return of(lambda: api.FallbackChain(**settings).execute(World(*down(1)).operation, 1, x=2))

    return [
        run(fallbacks=[lost, backup]),
        run(fallbacks=[lost]),
        run(),
        run(fallbacks=[backup], expected_exceptions=(OSError,)),
    ]


@gives(["backup", [7], "backup 7", 5])
def a_fallback_gets_the_arguments_that_it_can_take(api: Api) -> Any:
    seen: list[int] = []

    def with_default(user: int = 0) -> str:
        seen.append(user)
        return "backup"

    chain = api.FallbackChain()
    chain.add_fallback(with_default)
    first = chain.execute(lambda user: lost(), 7)
    named = api.FallbackChain(fallbacks=[lambda **given: f"backup {given['user']}"])
    return [
        first,
        seen,
        named.execute(lambda user: lost(), user=7),
        api.FallbackChain(fallbacks=[lambda: 5]).execute(lost),
    ]


@gives(["async backup (1,)", "sync backup", "KeyError: 'lost'"])
def a_chain_of_async_fallbacks(api: Api) -> Any:
    async def backup(*args: Any) -> str:
        return f"async backup {args}"

    async def lost_too(*args: Any) -> Any:
        return lost()

    def run(*fallbacks: Any) -> Any:
        chain = api.FallbackChain(fallbacks=list(fallbacks))
        return of(lambda: asyncio.run(chain.execute_async(World(*down(1)).operation_async, 1)))

    return [run(lost_too, backup), run(lambda *args: "sync backup"), run(lost_too)]


@gives(["backup 3", "backup 4", "KeyError: 'lost'"])
def the_fallback_decorator(api: Api) -> Any:
    @api.fallback(lost, lambda n: f"backup {n}")
    def first(n: int) -> str:
        raise ValueError("down")

    async def backup(n: int) -> str:
        return f"backup {n}"

    @api.fallback(backup)
    async def second(n: int) -> str:
        raise ValueError("down")

    @api.fallback(lost)
    def third() -> None:
        raise ValueError("down")

    return [first(3), asyncio.run(second(4)), of(third)]


@gives(["backup", 4, "backup", 4])
def all_three_stacked(api: Api) -> Any:
    world = World(*down(9))

    @api.fallback(lambda: "backup")
    @api.circuit_breaker(failure_threshold=2, time_source=world.time)
    @api.retry(max_attempts=2, **world.waits)
    def fetch() -> Any:
        return world.operation()

    fetch()
    told = [fetch(), len(world.calls)]
    return [*told, fetch(), len(world.calls)]


@pytest.mark.parametrize(("use", "expected"), [use[1:] for use in USES], ids=[use[0] for use in USES])
def test_seawall_has_the_shape_of_foundation(use: Use, expected: Any) -> None:
    assert use(Api("seawall.compat.foundation")) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("use", "expected"), [use[1:] for use in USES], ids=[use[0] for use in USES])
def test_foundation_itself_does_the_same(use: Use, expected: Any) -> None:
    pytest.importorskip("provide.foundation.resilience", reason="provide-foundation is not installed")
    assert use(Api("provide.foundation.resilience")) == expected


# Where it went wrong there.


def ours() -> Api:
    return Api("seawall.compat.foundation")


def test_all_names_are_in_the_package_and_fallback_is_the_decorator() -> None:
    import seawall.compat.foundation as package

    assert set(package.__all__) == {
        "AsyncCircuitBreaker",
        "BackoffStrategy",
        "CircuitState",
        "FallbackChain",
        "RetryExecutor",
        "RetryPolicy",
        "SyncCircuitBreaker",
        "circuit_breaker",
        "fallback",
        "retry",
    }
    api = ours()
    for name in package.__all__:
        assert getattr(package, name) is getattr(api, name)
    assert not [name for name in sys.modules if name.startswith("provide") and "seawall" in name]


def test_a_half_open_circuit_lets_one_call_through() -> None:
    world = World(*down(1))
    breaker = ours().SyncCircuitBreaker(1, 10, time_source=world.time)
    of(lambda: breaker.call(world.operation))
    world.now = 10.0
    inner = breaker.call(lambda: of(lambda: breaker.call(world.operation)))
    assert inner == "RuntimeError: Circuit breaker is open"
    assert breaker.state().name == "CLOSED"


def test_jitter_stays_below_the_cap() -> None:
    policy = ours().RetryPolicy(base_delay=2.0, max_delay=2.0)
    assert max(policy.calculate_delay(9) for _ in range(1_000)) <= 2.0


def test_a_fallback_without_parameters_is_called_with_nothing_and_a_lambdas_coroutine_is_awaited() -> None:
    api = ours()
    assert api.FallbackChain(fallbacks=[lambda: 5]).execute(lost, 1) == 5
    assert api.fallback([lambda: 5])(lost)(1) == 5

    async def backup() -> int:
        return 6

    async def primary(n: int) -> Any:
        lost()

    chain = api.FallbackChain(fallbacks=[lambda: backup()])
    assert asyncio.run(chain.execute_async(primary, 1)) == 6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda api: api.SyncCircuitBreaker(failure_threshold=0), "failure_threshold"),
        (lambda api: api.AsyncCircuitBreaker(recovery_timeout=-1), "recovery_timeout"),
        (lambda api: api.SyncCircuitBreaker(expected_exception="x"), "expected_exception"),
        (lambda api: api.RetryPolicy(base_delay=float("nan")), "base_delay"),
        (lambda api: api.RetryPolicy(backoff="nope"), "backoff"),
        (lambda api: api.RetryPolicy(max_attempts=True), "max_attempts"),
        (lambda api: api.RetryPolicy(retryable_errors=()), "retry"),
        (lambda api: api.retry(3), "exceptions"),
        (lambda api: api.retry(ValueError, policy=api.RetryPolicy()), "retryable_errors"),
        (lambda api: api.RetryExecutor("policy"), "policy"),
        (lambda api: api.retry()(generator), "generator"),
    ],
)
def test_nonsense_is_refused_by_name(make: Callable[[Api], Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        make(ours())


def generator() -> Iterator[int]:
    yield 1


def test_the_open_error_is_a_runtime_error_with_its_data() -> None:
    import seawall

    world = World(*down(1))
    breaker = ours().SyncCircuitBreaker(1, 10, time_source=world.time)
    of(lambda: breaker.call(world.operation))
    with pytest.raises(seawall.CircuitBreakerOpenError, match="^Circuit breaker is open$") as caught:
        breaker.call(world.operation)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.retry_after == pytest.approx(10, abs=0.01)
