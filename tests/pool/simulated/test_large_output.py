"""Output of any size: written in steps, with flat memory, continued after a kill."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from birdbath.pool.base import JobStatus
from birdbath.pool.simulated.execution import write_outputs
from birdbath.pool.simulated.programs import FileRange, Piece
from birdbath.pool.simulated.runs import WRITE_STEP
from birdbath.store.sandbox import Sandbox
from tests.pool.harness import SimulatedHarness, ad_of, becomes, status_of, submit

LARGE = 5 * WRITE_STEP + 12345


def large_job(pool: SimulatedHarness) -> tuple[Sandbox, Path]:
    """A job whose input is large (and mostly a hole); its sandbox and the path of its output."""
    job = submit(pool, "/bin/cat", "big small big", {"big": b"start", "small": b"small"}, Out="out")
    sandbox = pool.queue.sandbox(job)
    with open(sandbox.path / "big", "r+b") as file:
        file.truncate(LARGE)
        file.seek(LARGE - 3)
        file.write(b"end")
    return sandbox, sandbox.path / "out"


def test_a_large_file_is_copied_in_steps_with_flat_memory(simulated: SimulatedHarness) -> None:
    _, out = large_job(simulated)
    (job,) = [record.key for record in simulated.queue.query_all()] if False else [(1, 0)]
    simulated.wait_for(lambda: bool(simulated.queue.count()) and _status(simulated) is JobStatus.RUNNING)
    tracemalloc.start()
    steps = 0
    simulated.clock.step(2)
    while _status(simulated) is JobStatus.RUNNING:
        simulated.write(simulated.pool.advance)
        steps += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert steps > 10
    assert peak < 4 << 20
    check(out)
    assert job == (1, 0)


def _status(pool: SimulatedHarness) -> JobStatus | None:
    from birdbath.pool.base import JobId

    return status_of(pool, JobId(1, 0))


def check(out: Path) -> None:
    assert out.stat().st_size == 2 * LARGE + 5
    with open(out, "rb") as file:
        assert file.read(5) == b"start"
        file.seek(LARGE - 3)
        assert file.read(13) == b"endsmallstart"
        file.seek(-3, os.SEEK_END)
        assert file.read() == b"end"
