"""With the same seed and the same calls at the same pool times, two runs give byte-identical event logs;
also when one of them was killed again and again.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from tests.pool.simulated.scenario import event_log
from tests.server_process import REPOSITORY


def scenario(home: Path) -> subprocess.Popen[bytes]:
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pool.simulated.scenario", str(home)], cwd=REPOSITORY
    )


def test_two_runs_give_the_same_events_even_if_one_is_killed(tmp_path: Path) -> None:
    chance = random.Random(1)
    assert scenario(tmp_path / "whole").wait() == 0
    kills = 0
    while True:
        process = scenario(tmp_path / "killed")
        try:
            assert process.wait(chance.uniform(0.9, 2.2) + 0.2 * kills) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert kills > 0
    log = event_log(tmp_path / "whole")
    assert len(log.splitlines()) > 2000
    assert log == event_log(tmp_path / "killed")
