"""One policy file drives the Rust quickstart, the command and this package, with the same delays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from seawall import load_policies
from seawall.testing import ManualClock

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(not (ROOT / "examples").exists(), reason="without the repository")

#: Real waiting is done by two of the three, so the delays are short; each has jitter of another kind.
FILE = """
[budgets.shop]
ratio = 0.1
floor = 50

[prices]
extends = "aws"
timeout = "5s"
total_timeout = "1m"
circuit_breaker = { failure_threshold = 3, recovery_timeout = "30s" }
fallback = { value = "41.90", command = "echo 41.90" }

[prices.retry]
max_attempts = 4
base_delay = "30ms"
max_delay = "100ms"
budget = "shop"

[spread]
extends = "prices"
retry = { backoff = "linear", jitter = "plus_minus_20" }

[chance]
extends = "prices"
retry = { backoff = "decorrelated", jitter = true }

[half]
extends = "prices"
retry = { backoff = "fibonacci", jitter = "equal", base_delay = 0.02 }
"""
POLICIES = ["prices", "spread", "chance", "half"]
SEED = 7

#: The same over all three.
ENVIRONMENT = {"SEAWALL__CHANCE__RETRY__MAX_ATTEMPTS": "6"}
ATTEMPTS = {"chance": 6}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("one") / "policies.toml"
    file.write_text(FILE)
    return file


@pytest.fixture(scope="module")
def programs() -> dict[str, str]:
    """The quickstart and the command, as cargo builds them."""
    packages = ["--package", "seawall-cli", "--package", "seawall-examples"]
    command = ["cargo", "build", "--quiet", *packages, "--bin", "seawall", "--example", "quickstart"]
    told = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    ).stdout
    messages = (json.loads(line) for line in told.splitlines())
    made = {message["target"]["name"]: message["executable"] for message in messages if message.get("executable")}
    return {name: made[name] for name in ("seawall", "quickstart")}


def run(*command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEAWALL")}
    return subprocess.run(
        command, env=environment | ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    ).stdout


def in_python(file: Path, name: str, seed: int) -> list[int]:
    """The delays of a call that never succeeds, in nanoseconds."""
    policy = load_policies(file, environment=ENVIRONMENT)[name].using(seed=seed)

    @policy
    async def price() -> str:
        raise ConnectionError("refused")

    with ManualClock() as clock:
        assert asyncio.run(price()) == "41.90"
    return [round(delay * 1e9) for delay in clock.sleeps]


def in_rust(programs: dict[str, str], file: Path, name: str, seed: int) -> list[int]:
    told = run(programs["quickstart"], "--policy", f"{file}#{name}", "--seed", str(seed))
    assert "the fallback answered: 41.90" in told
    units = {"s": 10**9, "ms": 10**6, "µs": 10**3, "ns": 1}
    found: list[tuple[str, str]] = re.findall(r"next in ([\d.]+)(s|ms|µs|ns)$", told, re.MULTILINE)
    return [int(Decimal(number) * units[unit]) for number, unit in found]


def of_the_command(programs: dict[str, str], file: Path, name: str, seed: int, folder: Path) -> list[int]:
    """In milliseconds, which is what its events have."""
    events = folder / f"{name}.jsonl"
    options = ["--seed", str(seed), "--state", folder / "state.db", "--events", events, "--quiet"]
    assert run(programs["seawall"], "run", "--policy", f"{file}#{name}", *options, "--", "false") == "41.90\n"
    told: list[dict[str, Any]] = [json.loads(line) for line in events.read_text().splitlines()]
    return [event["delay_ms"] for event in told if event["event"] == "retry_scheduled"]


@pytest.mark.parametrize("name", POLICIES)
def test_one_file_gives_the_same_delays_in_rust_in_python_and_by_the_command(
    programs: dict[str, str], file: Path, tmp_path: Path, name: str
) -> None:
    delays = in_python(file, name, SEED)
    assert len(delays) == ATTEMPTS.get(name, 4) - 1
    assert in_rust(programs, file, name, SEED) == delays
    assert of_the_command(programs, file, name, SEED, tmp_path) == [delay // 10**6 for delay in delays]
    explained = json.loads(run(programs["seawall"], "explain", "--json", "--seed", str(SEED), f"{file}#{name}"))
    assert [round(delay * 1e9) for delay in explained["drawn"]["delays"]] == delays
    # Jitter is at work: another seed draws others.
    other = in_python(file, name, SEED + 1)
    assert other != delays and in_rust(programs, file, name, SEED + 1) == other


def test_the_stacks_print_alike(programs: dict[str, str], file: Path) -> None:
    policies = load_policies(file, environment=ENVIRONMENT)
    for name in POLICIES:
        told = run(programs["quickstart"], "--policy", f"{file}#{name}").splitlines()[0]
        explained = json.loads(run(programs["seawall"], "explain", "--json", f"{file}#{name}"))
        assert told == f"{name}: {explained['stack']}" == f"{name}: {policies[name]}"
