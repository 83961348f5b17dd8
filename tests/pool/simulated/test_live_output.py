"""What a job says can be read while it runs, as far as it has come by then."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.errors import UnknownFile
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.pool.simulated.description import FaultDescription, MachineDescription, PoolDescription
from tests.pool.harness import ad_of, becomes, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness

SCRIPT = b"""#!/bin/sh
echo one
sleep 10
echo two; echo oops >&2
sleep 30
echo three
"""


def started(pool: SimulatedHarness, **more: object) -> tuple[JobId, float]:
    attributes = {"Out": "job.out", "Err": "job.err", **more}
    job = submit(pool, "work.sh", "", {"work.sh": SCRIPT}, **attributes)  # type: ignore[arg-type]
    pool.wait_for(becomes(pool, job, JobStatus.RUNNING))
    return job, ad_of(pool, job).integer("JobCurrentStartDate")


def said(pool: SimulatedHarness, job: JobId, name: str = "job.out") -> bytes | None:
    try:
        return pool.queue.sandbox(job).read(name)
    except UnknownFile:
        return None


def come_to(pool: SimulatedHarness, moment: float) -> None:
    pool.pass_time(moment - pool.clock.time())


def test_output_grows_while_the_job_runs(simulated: SimulatedHarness) -> None:
    job, began = started(simulated)
    come_to(simulated, began + 1)
    assert (said(simulated, job), said(simulated, job, "job.err")) == (b"one\n", None)
    come_to(simulated, began + 9.5)
    assert said(simulated, job) == b"one\n"
    come_to(simulated, began + 11)
    assert (said(simulated, job), said(simulated, job, "job.err")) == (b"one\ntwo\n", b"oops\n")
    come_to(simulated, began + 39)
    assert said(simulated, job) == b"one\ntwo\n"
    assert status_of(simulated, job) is JobStatus.RUNNING
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert (said(simulated, job), said(simulated, job, "job.err")) == (b"one\ntwo\nthree\n", b"oops\n")
    assert not [name for name, _, _ in ad_of(simulated, job) if name.startswith("Sim")]
    assert ad_of(simulated, job).integer("CompletionDate") - began == 40


def test_a_given_run_time_stretches_what_the_program_says(simulated: SimulatedHarness) -> None:
    job, began = started(simulated, SimRuntime=400)
    come_to(simulated, began + 99)
    assert said(simulated, job) == b"one\n"
    come_to(simulated, began + 101)
    assert said(simulated, job) == b"one\ntwo\n"


def test_it_grows_to_the_same_after_a_restart(simulated: SimulatedHarness) -> None:
    job, began = started(simulated)
    come_to(simulated, began + 5)
    simulated.restart()
    come_to(simulated, began + 11)
    assert said(simulated, job) == b"one\ntwo\n"
    simulated.restart()
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert said(simulated, job) == b"one\ntwo\nthree\n"


def test_a_suspended_program_says_nothing(simulated: SimulatedHarness) -> None:
    job, began = started(simulated)
    come_to(simulated, began + 5)
    simulated.write(lambda unit: simulated.queue.act(unit, JobAction.SUSPEND, job, ActionDetails()))
    come_to(simulated, began + 105)
    assert said(simulated, job) == b"one\n"
    simulated.write(lambda unit: simulated.queue.act(unit, JobAction.CONTINUE, job, ActionDetails()))
    come_to(simulated, began + 109)
    assert said(simulated, job) == b"one\n"
    come_to(simulated, began + 111)
    assert said(simulated, job) == b"one\ntwo\n"
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert ad_of(simulated, job).integer("CompletionDate") - began == 140


def test_an_evicted_run_begins_its_output_anew(tmp_path: Path) -> None:
    faults = (FaultDescription("eviction", after=20.0, most=1),)
    pool = SimulatedHarness(
        tmp_path, PoolDescription((MachineDescription("one.example.org"),), faults=faults)
    )
    job, began = started(pool)
    come_to(pool, began + 15)
    assert said(pool, job) == b"one\ntwo\n"
    pool.wait_for(lambda: ad_of(pool, job).integer("NumJobStarts") == 2)
    began = ad_of(pool, job).integer("JobCurrentStartDate")
    come_to(pool, began + 3)
    assert said(pool, job) == b"one\n"
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert said(pool, job) == b"one\ntwo\nthree\n"
    pool.close()


@pytest.mark.parametrize("name", ["work.sh", "/dev/null"])
def test_only_fresh_files_show_what_was_said(simulated: SimulatedHarness, name: str) -> None:
    job, began = started(simulated, Out=name)
    come_to(simulated, began + 11)
    assert said(simulated, job, "work.sh") == SCRIPT
    assert status_of(simulated, job) is JobStatus.RUNNING
