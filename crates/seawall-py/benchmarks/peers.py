"""What a decorator costs on the good path, and an open breaker's rejection, beside the peers.

    pip install '.[peers]'
    python benchmarks/peers.py            # a Markdown table
    python benchmarks/peers.py --check    # exit status 1 if a promise does not hold
    python benchmarks/peers.py --docs     # rewrite the table in docs/performance.md

All in one process. Every contestant of every row is measured once a round, round after round, and its
fastest round counts, so that a busy moment of the machine hits all alike. The garbage collector is off
while the clock runs. A peer that is not installed has no column. Each is set up the way that costs it
least: no logging, no hooks, exponential backoff, five failures for a breaker.

Two reference columns: `bare` is the function itself, `pass-through` a wrapper in plain Python that does
nothing (`functools.wraps`, `*args, **kwargs`), with code that no other function shares: the best case.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import functools
import gc
import importlib
import importlib.metadata
import itertools
import json
import logging
import pathlib
import platform
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import seawall

Function = Callable[..., Any]
Decorator = Callable[[Function], Any]
DAY = 86_400


# What is called.


def fixed(item: int) -> int:
    return item


def variadic(*args: int, **kwargs: int) -> int:
    return 1


async def fixed_async(item: int) -> int:
    return item


async def variadic_async(*args: int, **kwargs: int) -> int:
    return 1


def failing(item: int) -> int:
    raise ConnectionError("down")


async def failing_async(item: int) -> int:
    raise ConnectionError("down")


def apart(function: Any) -> Any:
    """The same with code of its own: CPython adapts code to what it has called, and it is shared else."""
    made = types.FunctionType(
        function.__code__.replace(), function.__globals__, closure=function.__closure__
    )
    return functools.update_wrapper(made, function)


def pass_through(function: Function) -> Function:
    if asyncio.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaiting(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return apart(awaiting)  # type: ignore[no-any-return]

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return apart(calling)  # type: ignore[no-any-return]


# How each is set up: what it offers, as decorators. `None`: it has no such thing.

Offer = dict[str, Decorator]


def of_seawall() -> Offer:
    retry = seawall.retry(max_attempts=3, base_delay=0.1)
    breaker = functools.partial(seawall.circuit_breaker, failure_threshold=5, recovery_timeout=DAY)
    fallback = seawall.fallback([lambda: -1])
    return {
        "retry": retry,
        "breaker": lambda f: breaker()(f),
        "fallback": fallback,
        "timeout": seawall.timeout(30),
        "stack": lambda f: fallback(breaker()(retry(f))),
        "open": lambda f: breaker()(f),
    }


def of_tenacity() -> Offer:
    tenacity = importlib.import_module("tenacity")
    retry = tenacity.retry(
        stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_exponential(0.1), reraise=True
    )
    return {"retry": retry}


def of_stamina() -> Offer:
    stamina = importlib.import_module("stamina")
    stamina.instrumentation.set_on_retry_hooks([])
    return {"retry": stamina.retry(on=Exception, attempts=3)}


def of_backoff() -> Offer:
    backoff = importlib.import_module("backoff")
    return {"retry": backoff.on_exception(backoff.expo, Exception, max_tries=3, logger=None)}


def of_pybreaker() -> Offer:
    pybreaker = importlib.import_module("pybreaker")

    def breaker(function: Function) -> Any:
        if asyncio.iscoroutinefunction(function):
            raise NotImplementedError("only for tornado")
        return pybreaker.CircuitBreaker(fail_max=5, reset_timeout=DAY)(function)

    return {"breaker": breaker, "open": breaker}


def of_circuitbreaker() -> Offer:
    circuitbreaker = importlib.import_module("circuitbreaker")

    def breaker(function: Function) -> Any:
        return circuitbreaker.circuit(failure_threshold=5, recovery_timeout=DAY)(function)

    return {"breaker": breaker, "open": breaker}


def of_aiobreaker() -> Offer:
    aiobreaker = importlib.import_module("aiobreaker")

    def breaker(function: Function) -> Any:
        return aiobreaker.CircuitBreaker(fail_max=5, timeout_duration=datetime.timedelta(seconds=DAY))(
            function
        )

    return {"breaker": breaker, "open": breaker}


def of_hyx() -> Offer:
    retry = importlib.import_module("hyx.retry").retry
    consecutive = importlib.import_module("hyx.circuitbreaker").consecutive_breaker
    fallback = importlib.import_module("hyx.fallback").fallback
    timeout = importlib.import_module("hyx.timeout").timeout

    async def handler(*args: Any, **kwargs: Any) -> int:
        return -1

    def only_async(make: Function) -> Function:
        def decorator(function: Function) -> Any:
            if not asyncio.iscoroutinefunction(function):
                raise NotImplementedError("only for async functions")
            return make(function)

        return decorator

    def breaker(function: Function) -> Any:
        return consecutive(failure_threshold=5, recovery_time_secs=DAY, recovery_threshold=1)(function)

    tried = retry(on=Exception, attempts=3, backoff=0.1)
    fallen = fallback(handler, on=Exception)
    return {
        "retry": only_async(tried),
        "breaker": only_async(breaker),
        "fallback": only_async(fallen),
        "timeout": only_async(timeout(30)),
        "stack": only_async(lambda f: fallen(breaker(tried(f)))),
        "open": only_async(breaker),
    }


def of_pyfailsafe() -> Offer:
    failsafe = importlib.import_module("failsafe")

    def policy() -> Any:
        return failsafe.RetryPolicy(allowed_retries=2, backoff=failsafe.Delay(datetime.timedelta(0, 0, 0, 100)))

    def breaker() -> Any:
        return failsafe.CircuitBreaker(maximum_failures=5, reset_timeout_seconds=DAY)

    def run(**parts: Callable[[], Any]) -> Function:
        def decorator(function: Function) -> Any:
            if not asyncio.iscoroutinefunction(function):
                raise NotImplementedError("only for async functions")
            made = failsafe.Failsafe(**{name: part() for name, part in parts.items()})
            return functools.partial(made.run, function)

        return decorator

    return {
        "retry": run(retry_policy=policy),
        "breaker": run(circuit_breaker=breaker),
        "open": run(circuit_breaker=breaker),
    }


PEERS: dict[str, Callable[[], Offer]] = {
    "tenacity": of_tenacity,
    "stamina": of_stamina,
    "backoff": of_backoff,
    "pybreaker": of_pybreaker,
    "circuitbreaker": of_circuitbreaker,
    "aiobreaker": of_aiobreaker,
    "hyx": of_hyx,
    "pyfailsafe": of_pyfailsafe,
}

# No peer but hyx has all three. For sync code, the fastest of each kind are stacked, without a fallback.
MIXED = ("circuitbreaker", "backoff")


def offers() -> tuple[dict[str, Offer], dict[str, str]]:
    found, versions = {"Seawall": of_seawall()}, {"seawall": importlib.metadata.version("seawall")}
    for name, make in PEERS.items():
        try:
            found[name] = make()
            versions[name] = importlib.metadata.version(name)
        except ImportError:
            print(f"{name} is not installed: no column", file=sys.stderr)
    if all(name in found for name in MIXED):
        breaker, retry = found[MIXED[0]]["breaker"], found[MIXED[1]]["retry"]
        found[" > ".join(MIXED)] = {"stack": lambda function: breaker(retry(function))}
    return found, versions


# Rows and contestants.

ROWS: list[tuple[str, str, Function]] = [
    (f"{title}, {kind}", what, function)
    for title, what in (
        ("retry", "retry"),
        ("breaker, closed", "breaker"),
        ("fallback", "fallback"),
        ("fallback > breaker > retry", "stack"),
    )
    for kind, function in (
        ("sync", fixed),
        ("sync, variadic", variadic),
        ("async", fixed_async),
        ("async, variadic", variadic_async),
    )
]
ROWS += [
    ("timeout, async", "timeout", fixed_async),
    ("breaker, open: rejected, sync", "open", failing),
    ("breaker, open: rejected, async", "open", failing_async),
]


class Contestant:
    """One function in one row, with its fastest round in ns a call."""

    def __init__(self, function: Function, is_async: bool, rejects: bool) -> None:
        self.best = float("inf")
        self.calls = 1_000
        self.is_async = is_async
        body = {
            (False, False): calls,
            (False, True): rejections,
            (True, False): calls_async,
            (True, True): rejections_async,
        }[is_async, rejects]
        self.body: Function = functools.partial(apart(body), function)

    def round(self, loop: asyncio.AbstractEventLoop) -> float:
        gc.disable()
        if self.is_async:
            took: int = loop.run_until_complete(self.body(self.calls))
        else:
            took = self.body(self.calls)
        gc.enable()
        self.best = min(self.best, took / self.calls)
        return took


def calls(function: Function, count: int) -> int:
    began = time.perf_counter_ns()
    for _ in itertools.repeat(None, count):
        function(1)
    return time.perf_counter_ns() - began


async def calls_async(function: Function, count: int) -> int:
    began = time.perf_counter_ns()
    for _ in itertools.repeat(None, count):
        await function(1)
    return time.perf_counter_ns() - began


def rejections(function: Function, count: int) -> int:
    began = time.perf_counter_ns()
    for _ in itertools.repeat(None, count):
        try:
            function(1)
        except Exception:
            pass
    return time.perf_counter_ns() - began


async def rejections_async(function: Function, count: int) -> int:
    began = time.perf_counter_ns()
    for _ in itertools.repeat(None, count):
        try:
            await function(1)
        except Exception:
            pass
    return time.perf_counter_ns() - began


def decorate(
    decorator: Function, function: Function, loop: asyncio.AbstractEventLoop | None
) -> Function:
    async def on_loop() -> Function:
        return decorator(function)  # type: ignore[no-any-return]

    return decorator(function) if loop is None else loop.run_until_complete(on_loop())


def tripped(function: Function, loop: asyncio.AbstractEventLoop, is_async: bool) -> bool:
    """Opens the breaker; whether what it raises then is its own, and no failure of the operation."""

    async def awaited() -> Any:
        return await function(1)

    for _ in range(20):
        try:
            if is_async:
                loop.run_until_complete(awaited())
            else:
                function(1)
        except ConnectionError:
            continue
        except Exception:
            return True
    return False


def measure(
    loop: asyncio.AbstractEventLoop, found: dict[str, Offer], wanted: str, rounds: int, batch: float
) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, Contestant]] = {}
    for title, what, function in ROWS:
        if wanted not in title:
            continue
        is_async, rejects = asyncio.iscoroutinefunction(function), what == "open"
        row = rows[title] = {}
        if not rejects:
            row["bare"] = Contestant(apart(function), is_async, False)
            row["pass-through"] = Contestant(pass_through(apart(function)), is_async, False)
        for name, offer in found.items():
            if what not in offer:
                continue
            try:
                decorated = decorate(offer[what], apart(function), loop if is_async else None)
            except NotImplementedError:
                continue
            if rejects and not tripped(decorated, loop, is_async):
                raise SystemExit(f"the breaker of {name} does not open")
            row[name] = Contestant(decorated, is_async, rejects)
    contestants = [contestant for row in rows.values() for contestant in row.values()]
    for contestant in contestants:
        took = contestant.round(loop)
        contestant.calls = max(100, int(contestant.calls * batch * 1e9 / took))
        contestant.best = float("inf")
    for _ in range(rounds):
        gc.collect()
        for contestant in contestants:
            contestant.round(loop)
    return {title: {name: c.best for name, c in row.items()} for title, row in rows.items()}


# What is promised.


def broken(measured: dict[str, dict[str, float]]) -> Iterator[str]:
    for title, row in measured.items():
        ours = row["Seawall"]
        peers = {name: ns for name, ns in row.items() if name not in ("bare", "pass-through", "Seawall")}
        best = min(peers, key=lambda name: peers[name], default=None)
        if "bare" not in row:
            if best is not None and ours > peers[best] / 2:
                yield f"{title}: {ours:.0f} ns, more than half of {best}'s {peers[best]:.0f}"
            continue
        if not title.startswith("timeout"):
            allowed = row["pass-through"] * (1.25 if "variadic" in title else 1)
            if ours > allowed:
                yield f"{title}: {ours:.0f} ns, more than the {allowed:.0f} that a pass-through may cost"
        if best is not None and ours - row["bare"] > (peers[best] - row["bare"]) / 2:
            yield (
                f"{title}: {ours - row['bare']:.0f} ns over the bare call, "
                f"more than half of {best}'s {peers[best] - row['bare']:.0f}"
            )


# What is printed.


def table(measured: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for row in measured.values() for name in row))
    # The references first, and ours beside them.
    names.sort(key=lambda name: {"bare": 0, "pass-through": 1, "Seawall": 2}.get(name, 3))
    lines = [f"| ns a call | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for title, row in measured.items():
        cells = []
        for name in names:
            cell = f"{row[name]:.0f}" if name in row else "-"
            if name in row and "pass-through" in row and name not in ("bare", "pass-through"):
                cell += f" (x{row[name] / row['pass-through']:.1f})"
            cells.append(cell)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def setting(versions: dict[str, str]) -> str:
    peers = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "seawall")
    return (
        f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"Seawall {versions['seawall']}. Peers: {peers}. In brackets: times the pass-through."
    )


BEGIN, END = "<!-- python: begin -->", "<!-- python: end -->"


def write_docs(page: pathlib.Path, text: str) -> None:
    old = page.read_text()
    if BEGIN not in old or END not in old:
        raise SystemExit(f"{page} has no place for the table: {BEGIN} and {END}")
    before, rest = old.split(BEGIN, 1)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="how often each is measured")
    parser.add_argument("--batch", type=float, default=0.004, help="seconds that a round of one takes")
    parser.add_argument("--rows", default="", metavar="TEXT", help="only the rows with this in their title")
    parser.add_argument("--json", action="store_true", help="print figures instead of a table")
    parser.add_argument("--check", action="store_true", help="exit status 1 if a promise does not hold")
    parser.add_argument("--docs", action="store_true", help="rewrite the table in docs/performance.md")
    given = parser.parse_args()
    if given.rounds < 1 or given.batch <= 0:
        parser.error("--rounds must be at least 1, and --batch more than 0")
    if not any(given.rows in title for title, _, _ in ROWS):
        parser.error(f"--rows: no title has {given.rows!r} in it")
    if given.rows and given.docs:
        parser.error("--docs is for all rows")
    warnings.simplefilter("ignore")  # peers use what is deprecated
    logging.disable(logging.CRITICAL)
    found, versions = offers()
    # No loop runs while sync functions are measured: some peers ask for one, at a price.
    with asyncio.Runner() as runner:
        measured = measure(runner.get_loop(), found, given.rows, given.rounds, given.batch)
    failures = list(broken(measured))
    if given.json:
        print(json.dumps({"versions": versions, "ns": measured, "broken": failures}, indent=2))
    else:
        print(f"{setting(versions)}\n\n{table(measured)}")
    if given.docs:
        root = pathlib.Path(__file__).resolve().parents[3]
        write_docs(root / "docs" / "performance.md", f"{setting(versions)}\n\n{table(measured)}")
    if given.check:
        for failure in failures:
            print(f"does not hold: {failure}", file=sys.stderr)
        return 1 if failures else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
