"""However many files jobs write, the pool keeps to the number that a process may have open."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated import PoolDescription
from birdbath.pool.simulated.execution import MAX_OPEN_FILES
from birdbath.store import UnitOfWork
from tests.pool.harness import becomes, event_types, status_of, submit, submit_many
from tests.pool.simulated.harness import SimulatedHarness

TWELVE = "-c '" + "; ".join(f"echo {n} > f{n}" for n in range(12)) + "'"


@contextmanager
def room_for(more: int) -> Iterator[None]:
    """So many more files, and no more, may be open in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    while fillers[-1] < highest:
        fillers.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1 + more, hard))
    try:
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[SimulatedHarness]:
    """A pool that runs a hundred jobs at a time on the submit machine."""
    pool = SimulatedHarness(tmp_path, PoolDescription(max_local_jobs=100))
    yield pool
    pool.close()


def hundred_jobs(pool: SimulatedHarness) -> list[JobId]:
    """A hundred jobs that all end in the same step."""
    jobs = submit_many(pool, 100, "/bin/sh", TWELVE, JobUniverse=7)
    pool.wait_for(becomes(pool, jobs[-1], JobStatus.RUNNING))
    pool.clock.step(1)
    return jobs


def check(pool: SimulatedHarness, jobs: list[JobId]) -> None:
    assert {status_of(pool, job) for job in jobs} == {JobStatus.COMPLETED}
    for job in jobs:
        assert [pool.queue.sandbox(job).read(f"f{n}") for n in range(12)] == [b"%d\n" % n for n in range(12)]


def test_a_step_ends_before_too_many_files_are_open(local: SimulatedHarness) -> None:
    jobs = hundred_jobs(local)
    most = steps = 0

    def work(unit: UnitOfWork) -> float | None:
        nonlocal most
        due = local.pool.advance(unit)
        most = max(most, unit.open_files)
        return due

    with room_for(MAX_OPEN_FILES + 40):
        while (due := local.write(work)) is not None and due <= local.clock.time():
            steps += 1
    assert steps >= 5
    assert MAX_OPEN_FILES < most < MAX_OPEN_FILES + 10
    check(local, jobs)


def test_what_finds_no_room_is_done_later(local: SimulatedHarness) -> None:
    jobs = hundred_jobs(local)
    with room_for(20):
        local.wait_for(lambda: status_of(local, jobs[-1]) is JobStatus.COMPLETED)
    check(local, jobs)


def test_nothing_is_held_or_hurried_while_there_is_no_room_at_all(local: SimulatedHarness) -> None:
    ending = submit(local, "/bin/sh", TWELVE, {"data": b""}, JobUniverse=7)
    local.wait_for(becomes(local, ending, JobStatus.RUNNING))
    starting = [
        submit(local, "/bin/cat", "data", {"data": b""}, JobUniverse=universe, In="data")
        for universe in (5, 7)
    ]
    local.clock.step(1)
    before = status_of(local, ending)
    with room_for(0):
        due = local.write(local.pool.advance)
    assert due is not None
    assert due > local.clock.time()
    assert status_of(local, ending) is before
    assert {status_of(local, job) for job in starting} == {JobStatus.IDLE}
    local.wait_for(lambda: all(status_of(local, job) is JobStatus.COMPLETED for job in (ending, *starting)))
    assert len(event_types(local, ending)) == 3


@pytest.mark.parametrize("command", ["echo {0} > f{0}", "true > f{0}", "echo {0} >> f{0}"])
def test_one_job_may_write_more_files_than_may_be_open(local: SimulatedHarness, command: str) -> None:
    script = "; ".join(command.format(n) for n in range(900))
    job = submit(local, "/bin/sh", f"-c '{script}'")
    with room_for(MAX_OPEN_FILES + 40):
        local.wait_for(lambda: status_of(local, job) in (JobStatus.COMPLETED, JobStatus.HELD))
    assert status_of(local, job) is JobStatus.COMPLETED
    expected = [b"%d\n" % n if "echo" in command else b"" for n in range(900)]
    assert [local.queue.sandbox(job).read(f"f{n}") for n in range(900)] == expected
