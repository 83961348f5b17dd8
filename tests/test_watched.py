"""What tests start does not outlive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_RUN = """
from tests.watched import Watched
Watched(["sh", "-c", "sleep 1000 & echo started; wait"])
input()
"""


def test_what_a_killed_run_had_started_is_killed_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _RUN],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"started\n"
        run.kill()
        rest, _ = run.communicate(timeout=60)  # ends when nobody is left who could write
    assert rest == b""
