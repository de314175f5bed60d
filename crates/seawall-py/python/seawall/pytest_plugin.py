"""Fixtures for pytest, found by its entry point; and a switch for a whole session.

``--seawall-no-waiting``, or ``seawall_no_waiting = true`` in the configuration file, has no retry wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import ManualClock, MockCircuitBreaker, MockRetryExecutor

# The stand-ins are imported only where they are used: a plugin is loaded for every project around.


def pytest_addoption(parser: pytest.Parser) -> None:
    help = "have no retry of seawall wait before it tries again"
    group = parser.getgroup("seawall")
    group.addoption("--seawall-no-waiting", action="store_true", default=None, help=help)
    parser.addini("seawall_no_waiting", help, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("seawall_no_waiting") or config.getini("seawall_no_waiting"):
        from . import testing

        testing.set_waiting(False)


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.getoption("seawall_no_waiting") or config.getini("seawall_no_waiting"):
        from . import testing

        testing.set_waiting(True)


@pytest.fixture
def seawall_clock() -> Iterator[ManualClock]:
    """A clock that stands still until it is told to go on, or until a retry sleeps."""
    from .testing import ManualClock

    with ManualClock() as clock:
        yield clock


@pytest.fixture
def seawall_mock_retry() -> Iterator[MockRetryExecutor]:
    """Stands in for every retry."""
    from .testing import MockRetryExecutor

    with MockRetryExecutor() as mock:
        yield mock


@pytest.fixture
def seawall_mock_breaker() -> Iterator[MockCircuitBreaker]:
    """Stands in for every circuit breaker."""
    from .testing import MockCircuitBreaker

    with MockCircuitBreaker() as mock:
        yield mock


@pytest.fixture
def seawall_no_waiting() -> Iterator[None]:
    """Has no retry wait."""
    from .testing import no_waiting

    with no_waiting():
        yield
