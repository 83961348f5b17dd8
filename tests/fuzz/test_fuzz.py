"""A short run of the fuzzer, and every crash that it ever found."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from birdbath.soap import Reply
from tests.fuzz.targets import TARGETS
from tests.soap.wire import call
from tests.toolkit import require

HERE = Path(__file__).parent
CRASHES = sorted(path for path in (HERE / "crashes").glob("*/*") if path.is_file())
SEEDS = sorted(path for path in (HERE / "seeds").glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", [*SEEDS, *CRASHES], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_is_found_no_more(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_a_target_notices_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no target that can never fail."""
    monkeypatch.setattr("birdbath.soap.server.Call.execute", lambda *_: Reply(200, "text/xml", [b"<x/>"]))
    with pytest.raises(AssertionError):
        TARGETS["request"](call("getJobAds"))


@pytest.mark.slow
@pytest.mark.toolkit
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run(target: str, tmp_path: Path) -> None:
    require("atheris", importlib.util.find_spec("atheris") is not None)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, "--seconds", "5", "--crashes", str(tmp_path)],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    runs = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 100
