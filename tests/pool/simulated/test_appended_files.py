"""Programs that append to a file: the old content stays, and what is new comes once, kills or not."""

from __future__ import annotations

import pytest

from birdbath.classads import Expression
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.pool.simulated.execution import OLD_SIZES
from birdbath.pool.simulated.runs import WRITE_STEP
from birdbath.store import UnitOfWork
from tests.pool.harness import ad_of, becomes, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness
from tests.pool.test_action_contract import act

SCRIPT = "-c 'echo second >> d.txt; cat d.txt > copy; date +%s >> new.txt'"
BIG = "-c 'cat big >> d.txt; cat big >> new.txt'"


def appender(pool: SimulatedHarness, script: str, **files: bytes) -> JobId:
    """A job whose program has just ended, and whose output is not written yet."""
    job = submit(pool, "/bin/sh", script, {"d.txt": b"first\n", **files})
    pool.wait_for(becomes(pool, job, JobStatus.RUNNING))
    pool.clock.step(1)
    return job


def killed_after_writing(pool: SimulatedHarness) -> None:
    """Advance, and lose what the database was told, but not what files were."""

    def work(unit: UnitOfWork) -> None:
        pool.pool.advance(unit)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.write(work)


def test_the_old_content_stays(simulated: SimulatedHarness) -> None:
    job = appender(simulated, SCRIPT)
    simulated.step()
    sandbox = simulated.queue.sandbox(job)
    assert sandbox.read("d.txt") == sandbox.read("copy") == b"first\nsecond\n"
    ad = ad_of(simulated, job)
    assert ad.integer("JobStatus") == JobStatus.COMPLETED
    assert OLD_SIZES not in ad


def test_a_kill_in_the_middle_appends_nothing_twice(simulated: SimulatedHarness) -> None:
    job = appender(simulated, SCRIPT)
    sandbox = simulated.queue.sandbox(job)
    simulated.write(simulated.pool.advance)
    assert sandbox.read("d.txt") == b"first\n"
    for _ in range(3):
        killed_after_writing(simulated)
        assert sandbox.read("d.txt") == b"first\nsecond\n"
        with open(sandbox.path / "d.txt", "ab") as file:
            file.write(b"what a longer attempt left")
        simulated.restart()
    simulated.step()
    assert sandbox.read("d.txt") == sandbox.read("copy") == b"first\nsecond\n"
    assert sandbox.read("new.txt").count(b"\n") == 1


def test_it_is_written_in_steps(simulated: SimulatedHarness) -> None:
    big = b"x" * (WRITE_STEP + 5)
    job = appender(simulated, BIG, big=big)
    for _ in range(2):
        simulated.write(simulated.pool.advance)
        killed_after_writing(simulated)
    assert status_of(simulated, job) is JobStatus.RUNNING
    simulated.restart()
    simulated.step()
    assert simulated.queue.sandbox(job).read("d.txt") == b"first\n" + big
    assert simulated.queue.sandbox(job).read("new.txt") == big


def test_a_job_held_in_the_middle_starts_again_from_the_old_content(simulated: SimulatedHarness) -> None:
    big = b"x" * (WRITE_STEP + 5)
    job = appender(simulated, BIG, big=big)
    for _ in range(2):
        simulated.write(simulated.pool.advance)
    assert simulated.queue.sandbox(job).size("d.txt") > 6
    for action in (JobAction.HOLD, JobAction.RELEASE):
        act(simulated, action, job, ActionDetails())
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert simulated.queue.sandbox(job).read("d.txt") == b"first\n" + big


def test_each_run_appends_once(simulated: SimulatedHarness) -> None:
    again = "NumJobStarts >= 3"
    job = submit(simulated, "/bin/sh", "-c 'echo x >> log'", OnExitRemove=Expression(again))
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert simulated.queue.sandbox(job).read("log") == b"x\nx\nx\n"


@pytest.mark.parametrize("sizes", ["x", "99999999999999999999 d.txt", "-5 d.txt", "/ / 3", "2"])
def test_nonsense_in_the_ad_does_no_harm(simulated: SimulatedHarness, sizes: str) -> None:
    job = submit(simulated, "/bin/sh", SCRIPT, {"d.txt": b"first\n"}, **{OLD_SIZES: sizes})
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert simulated.queue.sandbox(job).read("d.txt") == b"first\nsecond\n"
