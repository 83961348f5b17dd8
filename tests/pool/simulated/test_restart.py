"""What is left after a kill is enough to go on: nothing that counts is in the process."""

from __future__ import annotations

import pytest

from birdbath.classads import Constraint, Expression
from birdbath.events import EventType
from birdbath.pool.base import AdKind, JobId, JobStatus
from birdbath.store import UnitOfWork
from tests.pool.harness import ad_of, becomes, event_types, status_of, submit, submit_many
from tests.pool.simulated.harness import SimulatedHarness
from tests.pool.test_directory_contract import insert, inserted


def test_a_run_goes_on_after_a_restart(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sleep", "100", Out="out")
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    before = ad_of(simulated, job)
    simulated.clock.step(30)
    simulated.restart()
    assert ad_of(simulated, job).to_json() == before.to_json()
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    done = ad_of(simulated, job)
    assert done.get("RemoteWallClockTime") == 100.0
    assert done.integer("NumJobStarts") == 1
    assert event_types(simulated, job) == [EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_TERMINATED]


def test_a_run_that_ended_while_the_server_was_down_is_finished(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/echo", "x", Out="out")
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    simulated.clock.step(5000)
    simulated.restart()
    simulated.step()
    assert status_of(simulated, job) is JobStatus.COMPLETED
    assert simulated.queue.sandbox(job).read("out") == b"x\n"


def test_idle_jobs_are_matched_after_a_restart(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/true")
    simulated.restart()
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))


def test_slots_in_use_stay_in_use(simulated: SimulatedHarness) -> None:
    first = submit_many(simulated, 16, "/bin/sleep", "100")
    simulated.wait_for(becomes(simulated, first[-1], JobStatus.RUNNING))
    simulated.restart()
    late = submit(simulated, "/bin/sleep", "100")
    simulated.pass_time(50)
    assert status_of(simulated, late) is JobStatus.IDLE
    claimed = simulated.directory.query(
        [AdKind.STARTD], Constraint('State == "Claimed"'), simulated.clock.time()
    )
    assert len(claimed.records) == 16


@pytest.mark.parametrize("restarts", [0, 1])
def test_the_event_log_is_the_same_with_and_without_a_kill(
    simulated: SimulatedHarness, restarts: int
) -> None:
    jobs = [
        submit(simulated, "/bin/sleep", str(10 + number), JobPrio=number % 2, RequestMemory=number)
        for number in range(30)
    ]
    policy = Expression("NumJobStarts > 0 && time() - JobStartDate > 5")
    jobs.append(submit(simulated, "/bin/sleep", "1000", PeriodicRemove=policy))
    simulated.pass_time(15)
    for _ in range(restarts):
        simulated.restart()
    simulated.pass_time(300)
    log = [(job, kind) for job in jobs for kind in event_types(simulated, job)]
    finished = [EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_TERMINATED]
    removed = [EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_ABORTED]
    assert log == [(job, kind) for job in jobs for kind in (removed if job == jobs[-1] else finished)]


def test_an_advance_that_is_undone_has_not_happened(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/echo", "x", Out="out")
    simulated.clock.step(1)

    def killed(unit: UnitOfWork) -> None:
        simulated.pool.advance(unit)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulated.write(killed)
    assert status_of(simulated, job) is JobStatus.IDLE
    assert event_types(simulated, job) == [EventType.SUBMIT]
    simulated.pass_time(50)
    assert status_of(simulated, job) is JobStatus.COMPLETED


def test_history_stays_but_is_not_in_the_queue(simulated: SimulatedHarness) -> None:
    gone = submit(simulated, "/bin/true", LeaveJobInQueue=False)
    stays = submit(simulated, "/bin/true")
    simulated.wait_for(
        lambda: status_of(simulated, gone) is None and status_of(simulated, stays) is JobStatus.COMPLETED
    )
    simulated.restart()
    assert simulated.queue.count() == 1
    assert status_of(simulated, gone) is None
    assert simulated.write(lambda unit: simulated.queue.job_ad(unit, gone)) is None
    with simulated.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT status FROM jobs WHERE NOT in_queue").all()
    assert [row[0] for row in kept] == [JobStatus.COMPLETED]


def test_inserted_ads_survive(simulated: SimulatedHarness) -> None:
    insert(simulated, "kept")
    simulated.restart()
    assert inserted(simulated) == ["kept"]


class TestSweeping:
    """Sandboxes that belong to nobody are deleted, never one that somebody may still want."""

    def sweep(self, pool: SimulatedHarness, older_than: float = 0.0, staged: tuple[JobId, ...] = ()) -> int:
        pool.clock.step(3_000_000_000)  # the writer's clock is the pool's: every directory is old
        return pool.write(lambda unit: pool.pool.sweep(unit, older_than, staged))

    def abandon(self, pool: SimulatedHarness, job: JobId) -> None:
        pool.write(lambda unit: pool.queue.sandbox(job).replace(unit, "left", b"x"))

    def test_an_abandoned_sandbox_is_deleted(self, simulated: SimulatedHarness) -> None:
        self.abandon(simulated, JobId(70, 0))
        assert self.sweep(simulated) == 1
        assert not simulated.queue.sandbox(JobId(70, 0)).exists()
        assert self.sweep(simulated) == 0

    def test_one_of_a_job_or_of_a_transaction_is_not(self, simulated: SimulatedHarness) -> None:
        queued = submit(simulated, "/bin/true", files={"input": b"x"}, Requirements=False)
        self.abandon(simulated, JobId(70, 1))
        assert self.sweep(simulated, staged=(JobId(70, 1),)) == 0
        assert simulated.queue.sandbox(queued).exists()
        assert simulated.queue.sandbox(JobId(70, 1)).exists()

    def test_a_young_one_is_spared(self, simulated: SimulatedHarness) -> None:
        self.abandon(simulated, JobId(70, 0))
        assert self.sweep(simulated, older_than=4_000_000_000) == 0
        assert simulated.queue.sandbox(JobId(70, 0)).exists()

    def test_what_a_kill_left_of_a_job_that_was_done_is_deleted(self, simulated: SimulatedHarness) -> None:
        job = submit(simulated, "/bin/true", LeaveJobInQueue=False)
        simulated.wait_for(becomes(simulated, job, None))
        self.abandon(simulated, job)  # as if the process had died between the commit and the deletion
        assert self.sweep(simulated) == 1
