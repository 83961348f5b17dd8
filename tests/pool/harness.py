"""What the conformance suite needs of a pool besides the contract: a way to write, to let pool time pass, to
look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Engine, select

from birdbath.classads import Ad, Constraint, Expression, Scalar
from birdbath.events import EventType
from birdbath.pool.base import AdDirectory, JobId, JobQueue, JobStatus, NewJob
from birdbath.pool.simulated import ManualClock, PoolDescription, SimulatedPool
from birdbath.pool.simulated.hosted import ProgramFactory, no_programs
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool
from birdbath.store.tables import events

T = TypeVar("T")

NOT_COLLECTED = Expression("FilesRetrieved =?= false")


class Harness(Protocol):
    """A pool under test."""

    engine: Engine

    @property
    def queue(self) -> JobQueue: ...

    @property
    def directory(self) -> AdDirectory: ...

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in a unit of work of its own, durable on return."""

    def wait_for(self, condition: Callable[[], bool], within: float = 1000.0) -> None:
        """Let pool time pass until `condition` holds; fail when it does not within so many pool seconds."""


class SimulatedHarness:
    """The simulated pool on a clock that moves only in `wait_for`."""

    def __init__(
        self,
        home: Path,
        description: PoolDescription | None = None,
        programs: ProgramFactory = no_programs,
    ) -> None:
        self._home = home
        self._programs = programs
        self._description = description
        self.clock = ManualClock()
        self._open()

    def _open(self) -> None:
        self.engine = open_engine(f"sqlite:///{self._home}/pool.db")
        self._writer = Writer(self.engine, self.clock.time)
        self.spool = Spool(self._home / "spool")
        self.pool = SimulatedPool(
            self.engine, self.spool, self._description, self.clock, programs=self._programs
        )

    @property
    def queue(self) -> JobQueue:
        return self.pool.queue

    @property
    def directory(self) -> AdDirectory:
        return self.pool.directory

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        return self._writer.write_now(work)

    def step(self) -> float | None:
        """Let the pool do what is due now, and say when something is due next."""
        for _ in range(10_000):
            due = self.write(self.pool.advance)
            if due is None or due > self.clock.time():
                return due
        raise AssertionError("the pool always has more to do")

    def wait_for(self, condition: Callable[[], bool], within: float = 1000.0) -> None:
        end = self.clock.time() + within
        while True:
            due = self.step()
            if condition():
                return
            assert due is not None, "nothing will happen any more"
            assert due <= end, f"it did not come true within {within} s"
            self.clock.step(due - self.clock.time())

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass, with all that is due in them at its time."""
        end = self.clock.time() + seconds
        while (due := self.step()) is not None and due <= end:
            self.clock.step(due - self.clock.time())
        self.clock.step(end - self.clock.time())
        self.step()

    def restart(self) -> None:
        """What a kill and a new start leave: only the database and the spool folder."""
        self.close()
        self._open()

    def close(self) -> None:
        self.pool.close()
        self._writer.close()
        self.engine.dispose()


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
    queue = harness.queue
    return NewJob(job, job_ad(job, cmd, queue.time(), str(queue.sandbox(job).path), more))


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
    length.
    """
    return [kind for kind, _ in events_of(harness, job) if kind is not EventType.IMAGE_SIZE]


def selected(harness: Harness, constraint: str | None) -> list[JobId]:
    """The jobs that a constraint selects, in order of their ids."""
    found = harness.queue.query(Constraint(constraint), harness.queue.time()).records
    ads = [record.ad() for record in found]
    return sorted(JobId(ad.integer("ClusterId"), ad.integer("ProcId")) for ad in ads)
