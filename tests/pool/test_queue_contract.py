"""The Pool contract's JobQueue, against every implementation: submission, queries, runs.

A job that must stay as it is has Requirements that nothing meets; what takes a pool time is waited for.
"""

from __future__ import annotations

import pytest

from birdbath.classads import Constraint, Expression
from birdbath.errors import UnknownJob
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.store import UnitOfWork
from tests.pool.harness import (
    Harness,
    ad_of,
    becomes,
    event_types,
    events_of,
    expect_events,
    new_job,
    selected,
    status_of,
    submit,
    submit_many,
)


class Refused(Exception):
    """Raised to undo a unit."""


def test_cluster_ids_are_never_given_out_twice(harness: Harness) -> None:
    first = [harness.write(harness.queue.reserve_cluster) for _ in range(3)]
    both = harness.write(lambda unit: [harness.queue.reserve_cluster(unit) for _ in range(2)])
    ids = [*first, *both]
    assert len(set(ids)) == 5
    assert min(ids) >= 1


def test_a_job_is_seen_by_others_only_when_its_unit_is_committed(harness: Harness) -> None:
    def work(unit: UnitOfWork) -> JobId:
        job = JobId(harness.queue.reserve_cluster(unit), 0)
        harness.queue.accept(unit, [new_job(harness, job, "/bin/true", Requirements=False)])
        assert harness.queue.job(job) is None
        assert selected(harness, None) == []
        own = harness.queue.job_ad(unit, job)
        assert own is not None
        assert own.string("Cmd") == "/bin/true"
        assert harness.queue.cluster_jobs(unit, job.cluster) == [job]
        return job

    job = harness.write(work)
    assert status_of(harness, job) is JobStatus.IDLE
    assert selected(harness, None) == [job]


def test_a_unit_that_fails_leaves_no_job_and_no_event(harness: Harness) -> None:
    before = submit(harness, "/bin/true", Requirements=False)
    refused: list[JobId] = []

    def work(unit: UnitOfWork) -> None:
        refused.extend(JobId(harness.queue.reserve_cluster(unit), 0) for _ in range(2))
        harness.queue.accept(unit, [new_job(harness, job, "/bin/true") for job in refused])
        raise Refused

    with pytest.raises(Refused):
        harness.write(work)
    assert selected(harness, None) == [before]
    after = submit(harness, "/bin/true")
    harness.wait_for(becomes(harness, after, JobStatus.COMPLETED))
    assert not [job for job in refused if event_types(harness, job) and job != after]


def test_several_clusters_are_accepted_together(harness: Harness) -> None:
    def work(unit: UnitOfWork) -> list[JobId]:
        ids = [JobId(harness.queue.reserve_cluster(unit), proc) for proc in (0, 1, 0)]
        harness.queue.accept(unit, [new_job(harness, job, "/bin/true", Requirements=False) for job in ids])
        return ids

    ids = harness.write(work)
    assert selected(harness, None) == sorted(ids)
    for job in ids:
        expect_events(harness, job, EventType.SUBMIT)


def test_the_submit_event_names_the_submit_host(harness: Harness) -> None:
    job = submit(harness, "/bin/true", Requirements=False)
    expect_events(harness, job, EventType.SUBMIT)
    ((_, event),) = events_of(harness, job)
    assert event.string("SubmitHost").startswith("<")
    assert (event.integer("Cluster"), event.integer("Proc")) == job


@pytest.mark.parametrize(
    ("constraint", "procs"),
    [
        (None, [0, 1, 2]),
        ("", [0, 1, 2]),
        ("TRUE", [0, 1, 2]),
        ("ProcId == 1", [1]),
        ("ProcId > 0", [1, 2]),
        ("7", [0, 1, 2]),
        ("0", []),
        ("Undefined", []),
        ("NoSuchAttribute > 3", []),
        ('"text"', []),
        ('owner == "{OWNER}"', [0, 1, 2]),
        ('owner =?= "{OWNER}"', []),
        ('Owner == "{owner}" && ProcId == 2', [2]),
        ("1 / 0", []),
        ("ServerTime >= QDate && ServerTime < QDate + 100", [0, 1, 2]),
    ],
)
def test_a_constraint_selects(harness: Harness, constraint: str | None, procs: list[int]) -> None:
    cluster = submit_many(harness, 3, "/bin/true", Requirements=False)[0].cluster
    owner = harness.owners[0]
    if constraint:
        constraint = constraint.replace("{owner}", owner).replace("{OWNER}", owner.upper())
    assert selected(harness, constraint) == [JobId(cluster, proc) for proc in procs]
    assert selected(harness, f"ClusterId == {cluster} && ({constraint or 'TRUE'})") == [
        JobId(cluster, proc) for proc in procs
    ]


def test_a_query_says_at_which_time_it_was_answered(harness: Harness) -> None:
    assert harness.queue.query(Constraint(None), 1234567890.7).server_time == 1234567890


def test_jobs_are_counted_in_all_and_by_owner(harness: Harness) -> None:
    one, other = harness.owners
    submit_many(harness, 2, "/bin/true", Requirements=False)
    submit(harness, "/bin/true", Owner=other, Requirements=False)
    assert harness.queue.count() == 3
    assert harness.queue.count(one) == 2
    assert harness.queue.count("nobody") == 0


def test_a_cluster_lists_its_jobs_by_proc(harness: Harness) -> None:
    ids = submit_many(harness, 3, "/bin/true", Requirements=False)
    submit(harness, "/bin/true", Requirements=False)
    assert harness.write(lambda unit: harness.queue.cluster_jobs(unit, ids[0].cluster)) == ids
    assert harness.write(lambda unit: harness.queue.cluster_jobs(unit, 999_999)) == []


def test_an_unknown_job_is_none(harness: Harness) -> None:
    unknown = JobId(999_999, 0)
    assert harness.queue.job(unknown) is None
    assert harness.write(lambda unit: harness.queue.job_ad(unit, unknown)) is None


def test_a_job_runs_and_completes(harness: Harness) -> None:
    job = submit(harness, "/bin/sleep", "5")
    harness.wait_for(becomes(harness, job, JobStatus.RUNNING))
    running = ad_of(harness, job)
    assert "@" in running.string("RemoteHost")
    assert running.integer("NumJobStarts") == 1
    assert running.integer("CurrentHosts") == 1
    assert running.integer("LastJobStatus") == JobStatus.IDLE
    assert running.integer("ShadowBday") >= running.integer("JobCurrentStartDate") > 0
    assert running.integer("JobStartDate") >= running.integer("QDate")

    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
    done = ad_of(harness, job)
    assert done.get("ExitCode") == 0
    assert done.get("ExitBySignal") is False
    assert done.string("LastRemoteHost") == running.string("RemoteHost")
    assert "RemoteHost" not in done
    assert done.integer("CurrentHosts") == 0
    assert done.integer("LastJobStatus") in (JobStatus.RUNNING, JobStatus.TRANSFERRING_OUTPUT)
    assert done.integer("CompletionDate") - done.integer("JobStartDate") >= 5
    assert done.integer("EnteredCurrentStatus") >= done.integer("CompletionDate")
    wall = done.get("RemoteWallClockTime")
    assert isinstance(wall, float)
    assert wall >= 5
    expect_events(harness, job, EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_TERMINATED)


def test_a_terminated_event_says_how_the_program_ended(harness: Harness) -> None:
    job = submit(harness, "/bin/sh", "-c 'exit 3'")
    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
    assert ad_of(harness, job).get("ExitCode") == 3
    expect_events(harness, job, EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_TERMINATED)
    _, event = events_of(harness, job)[-1]
    assert event.get("TerminatedNormally") is True
    assert event.get("ReturnValue") == 3
    for name in ("RunLocalUsage", "RunRemoteUsage", "TotalLocalUsage", "TotalRemoteUsage"):
        assert event.string(name).startswith("Usr 0 ")
    for name in ("SentBytes", "ReceivedBytes", "TotalSentBytes", "TotalReceivedBytes"):
        assert isinstance(event.get(name), float)


def test_input_goes_in_and_output_comes_back(harness: Harness) -> None:
    payload = bytes(range(256)) * 400
    job = submit(
        harness,
        "/bin/cat",
        "payload.bin",
        {"payload.bin": payload},
        Out="job.out",
        TransferInput="payload.bin",
    )
    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
    harness.queue.fetch(job)
    sandbox = harness.queue.sandbox(job)
    assert sandbox.read("job.out") == payload
    assert [entry.name for entry in sandbox.entries()] == ["job.out", "payload.bin"]


def test_a_job_that_nothing_fits_stays_idle(harness: Harness) -> None:
    fits = submit(harness, "/bin/true")
    never = submit(harness, "/bin/true", Requirements=Expression("TARGET.Memory > 1000000000"))
    harness.wait_for(becomes(harness, fits, JobStatus.COMPLETED))
    assert status_of(harness, never) is JobStatus.IDLE
    expect_events(harness, never, EventType.SUBMIT)


def test_a_job_without_its_executable_is_held(harness: Harness) -> None:
    job = submit(harness, "not-uploaded.sh")
    harness.wait_for(becomes(harness, job, JobStatus.HELD))
    # The transfer of what is not there fails, or its execution.
    assert ad_of(harness, job).integer("HoldReasonCode") in (6, 13)
    assert "not-uploaded.sh" in ad_of(harness, job).string("HoldReason")


def test_a_job_without_its_input_is_held(harness: Harness) -> None:
    job = submit(harness, "/bin/cat", In="missing.txt")
    harness.wait_for(becomes(harness, job, JobStatus.HELD))
    held = ad_of(harness, job)
    assert held.integer("HoldReasonCode") == 13
    assert held.integer("HoldReasonSubCode") == 2
    assert "missing.txt" in held.string("HoldReason")
    harness.wait_for(lambda: EventType.JOB_HELD in event_types(harness, job))
    _, event = events_of(harness, job)[-1]
    assert event.get("HoldReasonCode") == 13


def test_a_completed_job_that_nothing_keeps_leaves_with_its_files(harness: Harness) -> None:
    job = submit(harness, "/bin/echo", "hello", {"input": b"x"}, Out="out", LeaveJobInQueue=False)
    assert harness.queue.sandbox(job).exists()
    harness.wait_for(becomes(harness, job, None))
    harness.wait_for(lambda: not harness.queue.sandbox(job).exists())
    expect_events(harness, job, EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_TERMINATED)


def test_a_pool_may_be_asked_to_negotiate_soon(harness: Harness) -> None:
    job = submit(harness, "/bin/true")
    harness.queue.reschedule()
    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))


def left(
    harness: Harness, constraint: str | None = None, before: JobId | None = None, most: int = 10
) -> list[JobId]:
    """The jobs in the history, the last that left first."""
    found = harness.queue.history(Constraint(constraint), before, most, harness.queue.time())
    return [JobId(*record.key) for record in found.records]


def remove(harness: Harness, job: JobId) -> None:
    details = ActionDetails("not wanted", force=True)
    harness.write(lambda unit: harness.queue.act(unit, JobAction.REMOVE, job, details))
    harness.wait_for(lambda: job in left(harness, f"ClusterId == {job.cluster}"))


def test_jobs_that_left_the_queue_are_the_history_the_last_first(harness: Harness) -> None:
    jobs = [submit(harness, "/bin/true", Requirements=False, Number=number) for number in range(4)]
    since = f"ClusterId >= {jobs[0].cluster}"
    assert left(harness, since) == []
    for job in (jobs[1], jobs[0], jobs[3]):
        remove(harness, job)
    assert left(harness, since) == [jobs[3], jobs[0], jobs[1]]
    assert left(harness, since, most=2) == [jobs[3], jobs[0]]
    assert left(harness, since, before=jobs[0]) == [jobs[1]]
    mine = f"Number == 1 && {since}"
    assert left(harness, mine, before=jobs[0]) == left(harness, mine) == [jobs[1]]
    assert left(harness, f"ClusterId == {jobs[2].cluster}") == []
    third = f"ClusterId == {jobs[3].cluster}"
    (record,) = harness.queue.history(Constraint(third), None, 5, harness.queue.time()).records
    assert (record.ad().integer("JobStatus"), record.ad().integer("ClusterId")) == (3, jobs[3].cluster)
    with pytest.raises(UnknownJob):
        left(harness, before=jobs[2])
