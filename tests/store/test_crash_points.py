"""Points at which the process can be made to die."""

import os
import signal
import subprocess
import sys

import pytest

from birdbath.store.crash_points import CRASH_POINTS, arm, crash_point

_CODE = """
from birdbath.store.crash_points import crash_point
for number in range(3):
    crash_point("batch:written")
    print(number)
"""


def _run(armed: str) -> tuple[int, str, str]:
    environment = {**os.environ, "BIRDBATH_CRASH_AT": armed, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("armed", "passed"), [("batch:written", ""), ("batch:written:1", ""), ("batch:written:3", "0\n1\n")]
)
def test_the_process_dies_when_the_point_is_passed_for_the_nth_time(armed: str, passed: str) -> None:
    assert _run(armed)[:2] == (-signal.SIGKILL, passed)


@pytest.mark.parametrize("armed", ["", "batch:committed", "batch:written:4"])
def test_other_points_are_passed(armed: str) -> None:
    assert _run(armed)[:2] == (0, "0\n1\n2\n")


def test_a_point_that_does_not_exist_is_an_error_and_no_test_that_passes() -> None:
    for name in ("batch:writen", "batch", "batch:written:x"):
        with pytest.raises(ValueError, match="no crash point"):
            arm(name)
    assert "no crash point" in _run("nowhere")[2]


def test_arming_from_within(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    arm("commit:checked:2")
    for name in CRASH_POINTS:
        crash_point(name)
    assert killed == []
    crash_point("commit:checked")
    assert killed == [(os.getpid(), signal.SIGKILL)]
    arm("")
