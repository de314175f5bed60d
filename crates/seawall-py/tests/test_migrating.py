"""Every snippet of MIGRATING.md runs: the right-hand ones always, the left-hand ones where their library is installed."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import seawall
from seawall import _events, _state
from seawall.testing import no_waiting

TEXT = (Path(__file__).parent.parent / "MIGRATING.md").read_text()
ROW = re.compile(r"^\| `(.+)` \| `(.+)` \|$", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MODULES = {"provide.foundation.resilience": "provide.foundation.resilience.retry"}


class Snippet(NamedTuple):
    library: str
    code: str
    ours: bool
    imports: str


def snippets() -> Iterator[Snippet]:
    head, *sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    our_imports = BLOCK.findall(head)[0]
    for section in sections:
        library, body = section.split("\n", 1)
        blocks = BLOCK.findall(body)
        their_imports = blocks.pop(0)
        assert their_imports.startswith("# before\n")
        for block in blocks:
            ours = {"# after": True, "# before": False}[block.split("\n", 1)[0]]
            yield Snippet(library, block, ours, our_imports if ours else their_imports)
        for left, right in ROW.findall(body):
            yield Snippet(library, left, False, their_imports)
            yield Snippet(library, right, True, our_imports)


ALL = list(snippets())


class World:
    """The names that snippets use: an operation that fails once, one that never does, and so on."""

    def __init__(self, library: str, ours: bool) -> None:
        self.failures = 1
        self.logged: list[Any] = []
        self.names: dict[str, Any] = {
            "fetch": self.fetch,
            "fetch_async": self.fetch_async,
            "steady": lambda *args: "done",
            "is_transient": lambda error: isinstance(error, ConnectionError),
            "asked_to_wait": self.asked_to_wait if ours else lambda error: 0.25,
            "log": lambda *what: self.logged.append(what),
        }
        if ours:
            self.names["breaker"] = seawall.CircuitBreaker()
            self.names["tried"] = seawall.retry(self.names["steady"])
            self.names["guarded"] = seawall.circuit_breaker(name="prices")(self.names["steady"])
            self.names["down"] = seawall.retry(max_attempts=2, base_delay=0)(self.down)
        elif library == "tenacity":
            tenacity = pytest.importorskip("tenacity")
            self.names["tried"] = tenacity.retry(self.names["steady"])
            self.names["down"] = tenacity.retry(stop=tenacity.stop_after_attempt(2))(self.down)
        elif library == "pybreaker":
            self.names["breaker"] = pytest.importorskip("pybreaker").CircuitBreaker()
        elif library == "circuitbreaker":
            circuit = pytest.importorskip("circuitbreaker").circuit
            self.names["guarded"] = circuit(name="prices")(self.names["steady"])

    def fetch(self) -> str:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("down")
        return "done"

    async def fetch_async(self) -> str:
        return self.fetch()

    def down(self) -> None:
        raise ConnectionError("down")

    @staticmethod
    def asked_to_wait(error: Exception) -> float:
        return 0.25


def run(snippet: Snippet) -> World:
    world = World(snippet.library, snippet.ours)
    exec(compile(snippet.imports, "imports", "exec"), world.names)
    if not snippet.code.startswith("@"):
        code = compile(snippet.code, "snippet", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, world.names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
        return world
    kinds = ["def decorated(): return fetch()", "async def decorated(): return await fetch_async()"]
    for kind in kinds:
        if snippet.library == "pybreaker" and not snippet.ours and "async" in kind:
            continue  # only for tornado
        exec(compile(f"{snippet.code}\n{kind}", "snippet", "exec"), world.names)
        world.failures = 1
        # A retry mends one failure. A breaker passes it on, and lets the next call through.
        if "circuit" in snippet.code or "breaker" in snippet.code:
            with pytest.raises(ConnectionError):
                call(world.names["decorated"])
        expected = None if snippet.code.startswith("@fallback") else "done"
        assert call(world.names["decorated"]) == expected
    return world


def call(function: Any) -> Any:
    result = function()
    return asyncio.run(finished(result)) if inspect.isawaitable(result) else result


async def finished(awaitable: Any) -> Any:
    return await awaitable


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undoes what a snippet puts in place without taking it away."""
    variables = (_state.retry_mocks, _state.breaker_mocks, _state.worlds)
    before = [variable.get() for variable in variables]
    switches = _state.switches
    # What stops it is the only way to take a listener away, and that is what `observe` gives.
    stops: list[Any] = []
    monkeypatch.setattr(seawall, "observe", lambda callback: stops.append(_events.observe(callback)))
    yield
    for stop in stops:
        stop()
    for variable, value in zip(variables, before, strict=True):
        variable.set(value)
    _state.switch(switches - _state.switches)


def named(ours: bool) -> Any:
    chosen = [s for s in ALL if s.ours is ours]
    return pytest.mark.parametrize("snippet", chosen, ids=[f"{s.library}: {s.code}" for s in chosen])


@named(True)
def test_what_it_becomes_runs(snippet: Snippet) -> None:
    with no_waiting() if "__enter__" not in snippet.code else contextlib.nullcontext():
        run(snippet)


@named(False)
@pytest.mark.filterwarnings("ignore")
def test_what_it_was_ran(snippet: Snippet, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(MODULES.get(snippet.library, snippet.library), reason=f"{snippet.library} is not installed")
    really = asyncio.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *result: really(0, *result))
    run(snippet)
    if snippet.library == "stamina":
        stamina = pytest.importorskip("stamina")
        stamina.set_active(True)
        stamina.set_testing(False)
        stamina.instrumentation.set_on_retry_hooks(None)


def test_every_row_and_every_name_is_there() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and "Seawall |" not in line]
    assert len(rows) == len(ROW.findall(TEXT)) > 50
    assert {s.library for s in ALL if s.ours} == {
        "tenacity",
        "stamina",
        "pybreaker",
        "circuitbreaker",
        "provide.foundation.resilience",
    }


@pytest.mark.parametrize(
    ("left", "delays"),
    [
        ("wait=wait_fixed(2)", [2, 2, 2]),
        ("wait=wait_exponential(multiplier=1, max=60)", [1, 2, 4]),
        ("wait=wait_incrementing(start=1, increment=2)", [1, 3, 5]),
    ],
)
def test_the_delays_are_those_of_the_left_hand_side(left: str, delays: list[float]) -> None:
    ((_, right),) = [row for row in ROW.findall(TEXT) if left in row[0]]
    names: dict[str, Any] = {}
    exec(f"from seawall import retry\nmade = {right.removeprefix('@')}(lambda: 1)", names)
    policy = names["made"].seawall.policy
    assert [policy.calculate_delay(n) for n in (1, 2, 3)] == delays
