"""The ids that clients know, after the jobs have left the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from birdbath.classads import Constraint
from birdbath.events import EventType
from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.htcondor.journal import Journal, Queued
from birdbath.store import Writer, open_engine
from tests.htcondor.harness import HTCondorHarness
from tests.htcondor.sweeper import Sweeper
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.pool.harness import event_types, expect_events, status_of, submit

OWN, SCHEDDS = 1_000_000_001, 17


@pytest.fixture
def harness(tmp_path: Path, htcondor_pool: HTCondorPool, sweeper: Sweeper) -> Iterator[HTCondorHarness]:
    found = HTCondorHarness(tmp_path, htcondor_pool, sweeper)
    yield found
    found.close()


def test_ids_are_remembered_until_the_history_is_too_old(tmp_path: Path) -> None:
    now = [1_000.0]
    engine = open_engine(f"sqlite:///{tmp_path}/journal.db")
    writer = Writer(engine, lambda: now[0])
    journal = Journal(engine, "htcondor")
    try:
        writer.write_now(lambda unit: journal.begin(unit, "run-1", OWN))
        writer.write_now(lambda unit: journal.decide(unit, "run-1", [Queued(OWN, 3, "alice", SCHEDDS, 4)]))
        assert (journal.clusters(), journal.count("alice")) == ({OWN: 3}, 3)
        last = JobId(SCHEDDS, 6)
        assert (journal.own_job(last), journal.has_own(SCHEDDS)) == (JobId(OWN, 2), True)
        assert [journal.own_job(JobId(SCHEDDS, proc)) for proc in (3, 7)] == [None, None]

        writer.write_now(lambda unit: journal.leave(unit, OWN))
        assert (journal.clusters(), journal.count(None), journal.count("alice")) == ({}, 0, 0)
        assert (journal.own_job(last), journal.has_own(SCHEDDS)) == (None, False)
        assert (journal.place(OWN), journal.former_job(last)) == (JobId(SCHEDDS, 4), JobId(OWN, 2))

        now[0] += 50
        writer.write_now(lambda unit: journal.leave(unit, OWN))  # it has left long since
        writer.write_now(lambda unit: journal.forget(unit, 60))
        assert journal.former_job(last) == JobId(OWN, 2)
        now[0] += 20
        writer.write_now(lambda unit: journal.forget(unit, 60))
        assert (journal.place(OWN), journal.former_job(last)) == (None, None)
    finally:
        journal.close()
        writer.close()
        engine.dispose()


@pytest.mark.toolkit
def test_events_that_come_after_the_job_has_left_are_the_clients(harness: HTCondorHarness) -> None:
    """As when the gateway was away while the job ran."""
    job = submit(harness, "/bin/true", LeaveJobInQueue=False)
    until(lambda: status_of(harness, job) is None)
    harness.sweep()
    assert harness.pool.journal.clusters() == {}
    assert event_types(harness, job) == []
    expect_events(harness, job, EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_TERMINATED)
    past = harness.queue.history(Constraint(f"ClusterId == {job.cluster}"), None, 10, harness.queue.time())
    assert [JobStatus(record.ad().integer("JobStatus")) for record in past.records] == [JobStatus.COMPLETED]
    assert [record.ad().integer("ClusterId") for record in past.records] == [job.cluster]
