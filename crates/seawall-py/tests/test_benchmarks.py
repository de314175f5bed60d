"""The comparison with the peers runs with whichever are installed, and its check can fail."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "peers.py"


def peers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--rounds", "1", "--batch", "0.0001", *options],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_row_has_ours_and_the_references() -> None:
    done = run("--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)["ns"]
    assert measured.keys() == {title for title, _, _ in peers().ROWS}
    for title, row in measured.items():
        assert row["Seawall"] > 0
        assert ("open" in title) != ({"bare", "pass-through"} <= row.keys())


def test_rows_can_be_chosen_and_nonsense_is_refused() -> None:
    assert "| retry, async, variadic |" in run("--rows", "retry, async").stdout
    for options in (["--rows", "nothing such"], ["--rounds", "0"], ["--rows", "retry", "--docs"]):
        assert run(*options).returncode == 2


HOLDS = {"bare": 20.0, "pass-through": 80.0, "Seawall": 60.0, "peer": 110.0}


@pytest.mark.parametrize(
    ("title", "row", "words"),
    [
        ("retry, sync", HOLDS, None),
        ("retry, sync", HOLDS | {"Seawall": 81.0, "peer": 900.0}, "81 ns, more than the 80"),
        ("retry, sync, variadic", HOLDS | {"Seawall": 100.0, "peer": 900.0}, None),
        ("retry, sync, variadic", HOLDS | {"Seawall": 101.0, "peer": 900.0}, "101 ns, more than the 100"),
        ("retry, sync", HOLDS | {"peer": 90.0}, "more than half of peer's 70"),
        ("timeout, async", HOLDS | {"Seawall": 400.0, "peer": 900.0}, None),
        ("breaker, open: rejected, sync", {"Seawall": 300.0, "peer": 600.0}, None),
        ("breaker, open: rejected, sync", {"Seawall": 301.0, "peer": 600.0}, "more than half of peer's 600"),
        ("fallback, sync", {"bare": 20.0, "pass-through": 80.0, "Seawall": 60.0}, None),
    ],
)
def test_the_check_tells_what_does_not_hold(title: str, row: dict[str, float], words: str | None) -> None:
    told = list(peers().broken({title: row}))
    assert (told == []) if words is None else (len(told) == 1 and words in told[0])
