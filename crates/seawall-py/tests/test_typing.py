"""The types say what the code does: one file must pass both checkers, and each marked line of the other fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typing"
PASSES, FAILS = HERE / "passes.py", HERE / "fails.py"


def mypy(file: Path) -> dict[int, str]:
    """The errors by line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    command += ["--config-file=", "--no-color-output", "--cache-dir", str(HERE / ".mypy_cache"), str(file)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent.parent, check=False)
    assert told.stderr == ""
    found = re.findall(rf"^[^\n]*{file.name}:(\d+): error: (.*)$", told.stdout, re.MULTILINE)
    assert len(found) > 0 or told.returncode == 0, told.stdout
    return {int(line): text for line, text in found}


def pyright(file: Path) -> dict[int, str]:
    """The errors by line."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(file)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent.parent, check=False)
    if not told.stdout.startswith("{"):
        pytest.skip(f"pyright cannot run here: {told.stdout[-200:]}{told.stderr[-200:]}")
    report = json.loads(told.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, told.stdout
    errors = [found for found in report["generalDiagnostics"] if found["severity"] == "error"]
    return {found["range"]["start"]["line"] + 1: found["message"] for found in errors}


@pytest.mark.parametrize("check", [mypy, pyright])
def test_what_is_right_passes(check: object) -> None:
    assert callable(check) and check(PASSES) == {}


@pytest.mark.parametrize("check", [mypy, pyright])
def test_what_is_wrong_is_refused_line_by_line(check: object) -> None:
    marked = {n for n, line in enumerate(FAILS.read_text().splitlines(), 1) if "# refused" in line}
    assert callable(check) and len(marked) > 10
    refused = check(FAILS)
    assert set(refused) == marked, refused
