"""Every Python block of the page runs as written, in order; only its import lines change."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

import seawall
from seawall.testing import ManualClock

sys.path.insert(0, str(Path(__file__).parent / "page"))

from world import HttpClient, HTTPError, Logger, Server, Service

PAGE = Path(__file__).parent / "page" / "resilience-patterns-api.md"

IMPORTS = [
    ("from provide.foundation.resilience.exceptions import", "from seawall.exceptions import"),
    ("from provide.foundation.testing.resilience import", "from seawall.testing import"),
    ("from provide.foundation.resilience import", "from seawall import"),
    ("from provide.foundation import logger", "from the_log import logger"),
]


def blocks(is_async: bool) -> list[str]:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for old, new in IMPORTS:
        found = [block.replace(old, new) for block in found]
    assert not any("provide" in block for block in found)
    if not is_async:
        found = [block.replace("async def", "def").replace("await ", "") for block in found]
    return found


class Page:
    """The page's blocks in one namespace, and the world around them."""

    def __init__(self, server: Server, is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.is_async = is_async
        self.logger = Logger()
        log = ModuleType("the_log")
        log.logger = self.logger  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "the_log", log)
        self.blocks = iter(blocks(is_async))
        self.names: dict[str, Any] = {
            "__name__": "page",
            "logger": self.logger,
            "http_client": HttpClient(server, is_async),
            "external_service": Service(server, "external", is_async),
            "primary_service": Service(server, "primary", is_async),
            "unreliable_service": Service(server, "unreliable", is_async),
            "get_from_backup_service": Service(server, "backup", is_async).get,
            "get_from_cache": Service(server, "cache", is_async).get,
            "get_default_data": lambda: "default",
            "get_cached_data": lambda: "cached",
            "HTTPError": HTTPError,
            # The page catches it one block before it imports it.
            "CircuitBreakerOpenError": seawall.CircuitBreakerOpenError,
        }

    async def run(self, block: str) -> None:
        code = compile(block, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, CodeType)
        running = eval(code, self.names)
        if inspect.isawaitable(running):
            await running

    async def next(self) -> str:
        block = next(self.blocks)
        await self.run(block)
        return block

    async def call(self, name: str, *args: Any) -> Any:
        value = self.names[name](*args)
        return await value if inspect.isawaitable(value) else value


async def read(page: Page, clock: ManualClock) -> None:
    server, logger = page.server, page.logger

    # Simple retry: two failures of the server are waited out, a third is told to the caller.
    server.plan["/api/data"].extend([503, 503])
    block = await page.next()
    assert page.names["data"] == {"path": "/api/data"} and server.asked["/api/data"] == 3
    assert len(clock.sleeps) == 2 and 0.75 <= clock.sleeps[0] <= 1.25 and 1.5 <= clock.sleeps[1] <= 2.5
    assert logger.take() == []
    server.down.add("/api/data")
    await page.run(block)
    ((level, event, fields),) = logger.take()
    assert (level, event) == ("error", "All retry attempts failed") and "503" in fields["error"]
    with pytest.raises(seawall.RetryExhaustedError):
        await page.call("unreliable_api_call")

    # Circuit breaker: five failures open it; then the service is spared, and the cache answers.
    await page.next()
    assert page.names["data"] == {"path": "/external/get_data"}
    usage = blocks(page.is_async)[1].split("# Usage\n")[1]
    server.down.add("/external/get_data")
    for _ in range(5):
        with pytest.raises(HTTPError):
            await page.run(usage)
    asked = server.asked["/external/get_data"]
    await page.run(usage)
    assert page.names["data"] == "cached" and server.asked["/external/get_data"] == asked
    assert logger.take() == [("warning", "Circuit breaker is open, using fallback", {})]
    # After 30 s a probe finds it well again.
    server.down.clear()
    clock.advance(30)
    await page.run(usage)
    assert page.names["data"] == {"path": "/external/get_data"}

    # Fallback chain: one after the other, until one answers.
    usage = blocks(page.is_async)[2].split("# Usage\n")[1]
    await page.next()
    for down, data in [
        (None, {"path": "/primary/get_user"}),
        ("/primary/get_user", {"path": "/cache/get"}),
        ("/cache/get", {"path": "/backup/get"}),
        ("/backup/get", "default"),
    ]:
        if down is not None:
            server.down.add(down)
        await page.run(usage)
        assert page.names["data"] == data

    # Combined: retry in the breaker, breaker in the fallback.
    await page.next()
    path = "/unreliable/get_data"
    assert await page.call("robust_data_fetch") == {"path": path} and server.asked[path] == 1
    server.down.add(path)
    for _ in range(5):
        assert await page.call("robust_data_fetch") == "cached"
    # Three calls of two attempts, then the breaker is open.
    assert server.asked[path] == 7
    assert page.names["robust_data_fetch"].seawall.breaker.state is seawall.CircuitState.OPEN

    # Policies, as configured.
    block = await page.next()
    policy = page.names["policy"]
    assert [policy.max_attempts, policy.backoff_strategy, policy.base_delay] == [3, "linear", 2.0]
    exact = seawall.RetryPolicy(backoff=policy.backoff_strategy, base_delay=2.0, multiplier=1.5, jitter=False)
    assert [exact.calculate_delay(n) for n in (1, 2, 3)] == [2.0, 5.0, 8.0]
    assert isinstance(page.names["BackoffStrategy"], type) and block.count("RetryPolicy(") == 2

    # A breaker, as configured: only HTTP errors count.
    await page.next()
    breaker = page.names["breaker"]

    def fail(error: Exception) -> None:
        raise error

    for _ in range(20):
        with pytest.raises(KeyError):
            breaker.call(fail, KeyError())
    for _ in range(10):
        assert breaker.state is seawall.CircuitState.CLOSED
        with pytest.raises(HTTPError):
            breaker.call(fail, HTTPError(503))
    assert breaker.state == "open" and breaker.time_until_probe == 60

    # Error handling: each error finds its clause.
    block = next(page.blocks)
    for error, line in [
        (seawall.RetryExhaustedError(3, 1.0, ValueError(), ()), ("error", "All retry attempts failed", {})),
        (seawall.CircuitBreakerOpenError("name", 1.0), ("warning", "Circuit breaker is open", {})),
        (seawall.FallbackExhaustedError(ValueError(), ()), ("error", "All fallback options failed", {})),
        (None, None),
    ]:
        page.names["resilient_operation"] = operation(page.is_async, error, "fine")
        await page.run(block)
        assert logger.take() == ([] if line is None else [line])
    assert page.names["result"] == "fine"

    # Logging beside a retry: each attempt tells of itself.
    page.names["some_operation"] = operation(page.is_async, [ValueError("no"), ValueError("no"), None], 7)
    await page.next()
    assert await page.call("logged_operation") == 7
    assert [event for _, event, _ in logger.take()] == [
        "operation_started",
        "operation_failed",
        "operation_started",
        "operation_failed",
        "operation_started",
        "operation_success",
    ]

    # Testing: the function was never given to the mock.
    page.names["resilient_function"] = seawall.retry(max_attempts=9)(lambda: "success")
    await page.next()
    page.names["test_retry_behavior"]()
    assert next(page.blocks, None) is None


def operation(is_async: bool, errors: Any, value: object) -> Callable[[], Any]:
    """Ends in the errors given, or in the first of them each time; then in the value."""
    left = iter(errors) if isinstance(errors, list) else None

    def call() -> object:
        error = errors if left is None else next(left)
        if error is not None:
            raise error
        return value

    async def call_async() -> object:
        return call()

    return call_async if is_async else call


def drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs what awaits nothing."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize("is_async", [True, False], ids=["as_written", "without_async"])
def test_the_page_runs_as_written(is_async: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server, ManualClock() as clock:
        page = read(Page(server, is_async, monkeypatch), clock)
        if is_async:
            asyncio.run(page)
        else:
            # Nothing is awaited, so no loop is needed: the sync half of everything is what runs.
            drive(page)
