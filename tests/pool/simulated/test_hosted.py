"""Programs that run inside the pool: told of each event of their jobs, in the unit of work of that event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from birdbath.classads import Ad, Expression, Scalar
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus, NewJob
from birdbath.pool.simulated.hosted import Host, Program
from birdbath.store.sandbox import Sandbox
from tests.pool.harness import ad_of, becomes, job_ad, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness


class Chain:
    """Submits one job after the other, as many as its Arguments say."""

    def start(self, host: Host) -> None:
        host.remember("")
        self._submit(host)

    def wake(self, host: Host, events: Sequence[JobEvent]) -> None:
        names = [f"{event.type.name}@{event.time - 1_800_000_000:.0f}" for event in events]
        host.remember(" ".join([*host.state.split(), *names]))
        host.ad.set("Told", host.state)
        if any(event.type is EventType.JOB_TERMINATED for event in events):
            if host.state.count("JOB_TERMINATED") == int(host.ad.string("Arguments")):
                host.finish(7)
            else:
                self._submit(host)

    def stop(self, host: Host) -> None:
        for job in host.queue.cluster_jobs(host.unit, host.job.cluster + 1):
            host.queue.act(host.unit, JobAction.REMOVE, job, ActionDetails("its chain was stopped"))

    def _submit(self, host: Host) -> None:
        job = JobId(host.queue.reserve_cluster(host.unit), 0)
        more: dict[str, Scalar | Expression] = {
            "Arguments": "50",
            "DAGManJobId": host.job.cluster,
            "LeaveJobInQueue": False,
        }
        ad = job_ad(job, "/bin/sleep", host.now, str(host.queue.sandbox(job).path), more)
        host.queue.accept(host.unit, [NewJob(job, ad)])


def chains(ad: Ad, sandbox: Sandbox) -> Program | None:
    return Chain() if ad.string("Cmd").endswith("/chain") else None


@pytest.fixture
def pool(tmp_path: Path) -> SimulatedHarness:
    return SimulatedHarness(tmp_path, programs=chains)


def test_a_program_is_told_of_its_jobs_events_at_their_time(pool: SimulatedHarness) -> None:
    job = submit(pool, "/usr/bin/chain", "2", JobUniverse=7, LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    ad = ad_of(pool, job)
    assert ad.integer("ExitCode") == 7
    first, second = ad.string("Told").split("SUBMIT")[1:]
    assert first.split()[1:] == ["EXECUTE@0", "IMAGE_SIZE@2", "JOB_TERMINATED@50"]
    assert second.split()[1:] == ["EXECUTE@50", "IMAGE_SIZE@52", "JOB_TERMINATED@100"]


def test_a_program_goes_on_after_a_restart_with_what_it_remembered(pool: SimulatedHarness) -> None:
    job = submit(pool, "/usr/bin/chain", "2", JobUniverse=7, LeaveJobInQueue=True)
    pool.pass_time(30)
    pool.restart()
    pool.pass_time(40)
    pool.restart()
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).string("Told").count("JOB_TERMINATED") == 2


@pytest.mark.parametrize("leave", [True, False])
def test_removing_the_job_stops_its_program(pool: SimulatedHarness, leave: bool) -> None:
    job = submit(pool, "/usr/bin/chain", "2", JobUniverse=7, LeaveJobInQueue=leave)
    pool.pass_time(30)
    child = JobId(job.cluster + 1, 0)
    assert status_of(pool, child) is JobStatus.RUNNING
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails("enough")))
    pool.step()
    assert status_of(pool, child) is None
    assert status_of(pool, job) is (JobStatus.REMOVED if leave else None)


def test_a_held_program_starts_anew_when_it_is_released(pool: SimulatedHarness) -> None:
    job = submit(pool, "/usr/bin/chain", "1", JobUniverse=7, LeaveJobInQueue=True)
    pool.pass_time(30)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.HOLD, job, ActionDetails("wait")))
    pool.step()
    assert status_of(pool, JobId(job.cluster + 1, 0)) is None
    pool.write(lambda unit: pool.queue.act(unit, JobAction.RELEASE, job, ActionDetails()))
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert ad_of(pool, job).integer("NumJobStarts") == 2
    assert status_of(pool, JobId(job.cluster + 2, 0)) is None


def test_other_jobs_of_the_submit_machine_run_as_ever(pool: SimulatedHarness) -> None:
    job = submit(pool, "/bin/sleep", "5", JobUniverse=7, LeaveJobInQueue=Expression("true"))
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
