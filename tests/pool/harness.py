"""What the conformance suite needs of a pool besides the contract: a way to write, to let pool time pass, to
look. Nothing here knows which pool it is: `conftest.harness` names those that the suite runs against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sqlalchemy import Engine, select

from birdbath.classads import Ad, Constraint, Expression, Scalar
from birdbath.events import EventType
from birdbath.pool.base import AdDirectory, JobId, JobQueue, JobStatus, NewJob
from birdbath.store import UnitOfWork
from birdbath.store.tables import events

T = TypeVar("T")

NOT_COLLECTED = Expression("FilesRetrieved =?= false")


class Harness(Protocol):
    """A pool under test, whose queue is empty when a test gets it.

    It has a free slot for one job, runs `/bin/true`, `/bin/sleep`, `/bin/cat`, `/bin/sh` and `/bin/echo`, and
    negotiates without being asked. `owners` are two accounts whose jobs it takes, `domain` is their
    UID_DOMAIN. The events of its jobs are in the event log of `engine`.
    """

    engine: Engine
    owners: tuple[str, str]
    domain: str

    @property
    def queue(self) -> JobQueue: ...

    @property
    def directory(self) -> AdDirectory: ...

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work of its own, durable on return."""

    def wait_for(self, condition: Callable[[], bool], within: float = 1000.0) -> None:
        """Let pool time pass until `condition` holds; fail when it does not within so many pool seconds."""

    def pass_time(self, seconds: float) -> None:
        """Let so many pool seconds pass, with all that happens in them."""


def job_ad(job: JobId, cmd: str, now: float, iwd: str, more: Mapping[str, Scalar | Expression]) -> Ad:
    """A job ad as the schedd hands it over: what the template has that a pool looks at, and `more`."""
    ad = Ad()
    ad.update({"MyType": "Job", "TargetType": "Machine", "Owner": "alice", "User": "alice@example.org"})
    ad.update({"ClusterId": job.cluster, "ProcId": job.proc, "JobUniverse": 5, "JobStatus": 1, "JobPrio": 0})
    ad.update({"Cmd": cmd, "Arguments": "", "In": "/dev/null", "Out": "/dev/null", "Err": "/dev/null"})
    ad.update({"Requirements": True, "QDate": int(now), "EnteredCurrentStatus": int(now), "Iwd": iwd})
    ad.update({"RemoteWallClockTime": 0.0, "NumJobStarts": 0, "NumSystemHolds": 0, "CompletionDate": 0})
    ad.update({"PeriodicHold": False, "PeriodicRemove": False, "PeriodicRelease": False, "OnExitHold": False})
    ad.update({"OnExitRemove": True, "FilesRetrieved": False, "LeaveJobInQueue": NOT_COLLECTED})
    ad.update({"ImageSize": 100, "DiskUsage": 1, "RequestCpus": 1, "RequestDisk": Expression("DiskUsage")})
    ad.set(
        "RequestMemory",
        Expression("ifthenelse(MemoryUsage =!= undefined,MemoryUsage,(ImageSize + 1023) / 1024)"),
    )
    ad.update(dict(more))
    return ad


def submit(
    harness: Harness,
    cmd: str,
    arguments: str = "",
    files: Mapping[str, bytes] | None = None,
    **more: Scalar | Expression,
) -> JobId:
    """Queue one job, with the files that were uploaded for it."""
    return submit_many(harness, 1, cmd, arguments, files, **more)[0]


def submit_many(
    harness: Harness,
    count: int,
    cmd: str,
    arguments: str = "",
    files: Mapping[str, bytes] | None = None,
    **more: Scalar | Expression,
) -> list[JobId]:
    """Queue the jobs of one cluster in one unit."""

    def work(unit: UnitOfWork) -> list[JobId]:
        cluster = harness.queue.reserve_cluster(unit)
        ids = [JobId(cluster, proc) for proc in range(count)]
        jobs = [new_job(harness, job, cmd, **{"Arguments": arguments, **more}) for job in ids]
        for job in ids:
            for name, data in (files or {}).items():
                harness.queue.sandbox(job).replace(unit, name, data)
        harness.queue.accept(unit, jobs)
        return ids

    return harness.write(work)


def new_job(harness: Harness, job: JobId, cmd: str, **more: Scalar | Expression) -> NewJob:
    """A job as it is handed over at commit."""
    queue, owner = harness.queue, str(more.get("Owner", harness.owners[0]))
    whose = {"Owner": owner, "User": f"{owner}@{harness.domain}"}
    return NewJob(job, job_ad(job, cmd, queue.time(), str(queue.sandbox(job).path), {**whose, **more}))


def ad_of(harness: Harness, job: JobId) -> Ad:
    """The committed ad of a job that is in the queue."""
    record = harness.queue.job(job)
    assert record is not None, f"job {job} is not in the queue"
    return record.ad()


def status_of(harness: Harness, job: JobId) -> JobStatus | None:
    """The committed state of a job; None when it is not in the queue."""
    record = harness.queue.job(job)
    return None if record is None else JobStatus(record.ad().integer("JobStatus"))


def becomes(harness: Harness, job: JobId, status: JobStatus | None) -> Callable[[], bool]:
    """The condition that the job is in that state (None: has left the queue)."""
    return lambda: status_of(harness, job) is status


def events_of(harness: Harness, job: JobId) -> list[tuple[EventType, Ad]]:
    """The events of a job in their order."""
    wanted = select(events.c.type, events.c.ad).where(
        events.c.cluster_id == job.cluster, events.c.proc_id == job.proc
    )
    with harness.engine.connect() as connection:
        rows = connection.execute(wanted.order_by(events.c.sequence)).all()
    return [(EventType(row.type), Ad.from_json(row.ad)) for row in rows]


def event_types(harness: Harness, job: JobId) -> list[EventType]:
    """The types of a job's events, in order, without the reports of its size, which depend on the run's
    length, and of its file transfers, which depend on the pool.
    """
    left_out = (EventType.IMAGE_SIZE, EventType.FILE_TRANSFER)
    return [kind for kind, _ in events_of(harness, job) if kind not in left_out]


def expect_events(harness: Harness, job: JobId, *kinds: EventType) -> None:
    """The job's events are of these types, in this order, once as many have come."""
    harness.wait_for(lambda: len(event_types(harness, job)) >= len(kinds))
    assert event_types(harness, job) == list(kinds)


def selected(harness: Harness, constraint: str | None) -> list[JobId]:
    """The jobs that a constraint selects, in order of their ids."""
    found = harness.queue.query(Constraint(constraint), harness.queue.time()).records
    ads = [record.ad() for record in found]
    return sorted(JobId(ad.integer("ClusterId"), ad.integer("ProcId")) for ad in ads)
