"""A short run of each fuzzer, and all that ever made one fail."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, TARGETS
from tests.toolkit import require

ROOT = Path(__file__).parents[2]
CRASHES = Path(__file__).parent / "crashes"
SECONDS = 4


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_pass(target: str) -> None:
    for seed in CORPUS[target]:
        TARGETS[target](seed)


def test_what_made_a_fuzzer_fail_does_so_no_more(subtests: pytest.Subtests) -> None:
    for crash in sorted(CRASHES.glob("*/*")):
        if crash.suffix != ".md":
            with subtests.test(crash.name):
                TARGETS[crash.parent.name](crash.read_bytes())


@pytest.mark.toolkit
@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run(target: str) -> None:
    require("atheris", importlib.util.find_spec("atheris") is not None)
    command = [sys.executable, "-m", "tests.fuzz", target, "--seconds", str(SECONDS)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS + 240)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done" in run.stderr
