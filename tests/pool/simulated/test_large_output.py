"""Output of any size: written in steps, with flat memory, continued after a kill."""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated.execution import write_outputs
from birdbath.pool.simulated.programs import FileRange, Piece
from birdbath.pool.simulated.runs import WRITE_STEP
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Sandbox, Spool
from tests.pool.harness import becomes, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness

LARGE = 5 * WRITE_STEP + 12345


def large_job(pool: SimulatedHarness) -> tuple[JobId, Path]:
    """A job that copies a large file (mostly a hole) twice, at the end of its run; the path of its output."""
    job = submit(pool, "/bin/cat", "big small big", {"big": b"start", "small": b"small"}, Out="out")
    folder = pool.queue.sandbox(job).path
    with open(folder / "big", "r+b") as file:
        file.truncate(LARGE)
        file.seek(LARGE - 3)
        file.write(b"end")
    pool.wait_for(becomes(pool, job, JobStatus.RUNNING))
    pool.clock.step(1)
    return job, folder / "out"


def check(out: Path) -> None:
    """The output is exactly what `cat big small big` prints, as far as that is not a hole."""
    assert out.stat().st_size == 2 * LARGE + 5
    with open(out, "rb") as file:
        assert file.read(6) == b"start\0"
        file.seek(LARGE - 3)
        assert file.read(13) == b"endsmallstart"
        file.seek(-3, os.SEEK_END)
        assert file.read() == b"end"


def test_a_large_file_is_copied_in_steps_with_flat_memory(simulated: SimulatedHarness) -> None:
    job, out = large_job(simulated)
    tracemalloc.start()
    steps = 0
    while status_of(simulated, job) is JobStatus.RUNNING:
        simulated.write(simulated.pool.advance)
        steps += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert steps >= 10
    assert peak < 4 << 20
    check(out)


def test_a_kill_between_two_steps_does_no_harm(simulated: SimulatedHarness) -> None:
    job, out = large_job(simulated)
    for _ in range(3):
        simulated.write(simulated.pool.advance)
    assert status_of(simulated, job) is JobStatus.RUNNING
    assert 0 < out.stat().st_size < LARGE
    simulated.restart()
    simulated.step()
    assert status_of(simulated, job) is JobStatus.COMPLETED
    check(out)


def test_a_step_that_is_undone_is_done_again(simulated: SimulatedHarness) -> None:
    job, out = large_job(simulated)

    def killed(unit: UnitOfWork) -> None:
        simulated.pool.advance(unit)
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            simulated.write(killed)
    simulated.step()
    assert status_of(simulated, job) is JobStatus.COMPLETED
    check(out)


PIECES = st.lists(
    st.one_of(st.binary(max_size=9), st.integers(1, 9).map(lambda length: FileRange("source", length))),
    max_size=5,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), PIECES, min_size=1),
    st.lists(st.integers(1, 12), min_size=1),
)
def test_any_division_into_steps_gives_the_same_files(
    outputs: dict[str, Sequence[Piece]], steps: list[int]
) -> None:
    source = b"123456789"
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Spool(Path(folder) / "spool").sandbox(1, 0)
        engine = open_engine(f"sqlite:///{folder}/pool.db")
        writer = Writer(engine)

        def prepare(unit: UnitOfWork) -> None:
            sandbox.replace(unit, "source", source)
            sandbox.replace(unit, "a", b"what was there before")

        writer.write_now(prepare)
        _write_all(writer, sandbox, outputs, steps)
        writer.close()
        engine.dispose()
        for name, pieces in outputs.items():
            expected = [source[: p.length] if isinstance(p, FileRange) else p for p in pieces]
            assert sandbox.read(name) == b"".join(expected)


def _write_all(
    writer: Writer, sandbox: Sandbox, outputs: dict[str, Sequence[Piece]], steps: list[int]
) -> None:
    progress: int | None = 0
    turn = 0
    while progress is not None:
        most, before = steps[turn % len(steps)], progress
        step = partial(_step, sandbox=sandbox, outputs=outputs, progress=before, most=most)
        progress = writer.write_now(step)
        assert progress is None or before < progress <= before + most
        turn += 1


def _step(
    unit: UnitOfWork, sandbox: Sandbox, outputs: dict[str, Sequence[Piece]], progress: int, most: int
) -> int | None:
    return write_outputs(unit, sandbox, outputs, progress, most)
