"""Replaying a trace: its jobs come to a pool at their times, and how they fared is read from the event log.

The pool's clock jumps. Many instants go into one unit of work: a replay that is interrupted begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from sqlalchemy import select

from birdbath.classads import Ad, Expression
from birdbath.events import EventType
from birdbath.pool.base import JobId, NewJob
from birdbath.pool.simulated.clock import ManualClock
from birdbath.pool.simulated.description import MachineDescription, PoolDescription
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.pool.template import job_template
from birdbath.store.database import open_engine
from birdbath.store.sandbox import Spool
from birdbath.store.tables import events, simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork
from birdbath.store.writer import Writer
from birdbath.traces import JobRecord, TraceJob

BEGIN = 1_000_000_000.0
"""Pool time of second 0 of a trace."""
_STEPS = 500
_REQUIREMENTS = Expression("TARGET.Cpus >= RequestCpus && TARGET.Memory >= RequestMemory")
_RUNNING = select(simulated_jobs.c.cluster_id).where(simulated_jobs.c.due_at > 0).limit(1)
_TOLD = (int(EventType.EXECUTE), int(EventType.JOB_EVICTED), int(EventType.JOB_TERMINATED))


@dataclass(frozen=True)
class Outcome:
    """How the jobs fared that ran to their end, in the order of their ends; the others are `unfinished`."""

    records: tuple[JobRecord, ...]
    unfinished: int = 0


def one_machine(processors: int) -> PoolDescription:
    """A pool of one machine with so many processors, which negotiates whenever something changes."""
    machine = MachineDescription(
        "machine", cpus=processors, memory=processors * 1_000_000, partitionable=True
    )
    return eager(PoolDescription(machines=(machine,)))


def eager(description: PoolDescription) -> PoolDescription:
    """The pool without the delays of its negotiator and the reports of programs' sizes."""
    return replace(description, cycle_delay=0.0, cycle_interval=3600.0, image_update_after=inf)


def replay(
    jobs: Sequence[TraceJob],
    description: PoolDescription,
    folder: Path,
    progress: Callable[[int], None] = lambda submitted: None,
    fair: bool = False,
) -> Outcome:
    """Run the jobs (ascending by submit time) through a new pool whose database is made in `folder`.

    All jobs are one submitter's and so first come, first served, as far as they fit; with `fair` each user of
    the trace is a submitter, and the negotiator shares fairly among them. `progress` is told now and then how
    many jobs have been submitted. A job that fits no machine stays unfinished.
    """
    engine = open_engine(f"sqlite:///{folder / 'replay.db'}")
    clock = ManualClock(BEGIN + min((job.submit for job in jobs), default=0.0))
    writer = Writer(engine, clock.time)
    pool = SimulatedPool(engine, Spool(folder / "spool"), description, clock)
    run = _Run(pool, clock, jobs, fair)
    try:
        while not run.over:
            writer.write_now(run.some)
            progress(run.submitted)
        with engine.connect() as connection:
            wanted = select(events.c.type, events.c.cluster_id, events.c.time, events.c.ad)
            rows = connection.execute(wanted.where(events.c.type.in_(_TOLD)).order_by(events.c.sequence))
            records = tuple(_records(run.trace_jobs, ((r[0], r[1], r[2], r[3]) for r in rows)))
        return Outcome(records, len(jobs) - len(records))
    finally:
        pool.close()
        writer.close()
        engine.dispose()


@dataclass
class _Run:
    """How far a replay is."""

    pool: SimulatedPool
    clock: ManualClock
    jobs: Sequence[TraceJob]
    fair: bool
    submitted: int = 0
    over: bool = False
    trace_jobs: dict[int, TraceJob] = field(default_factory=dict)
    idle_cycles: int = 0

    def some(self, unit: UnitOfWork) -> None:
        """Let the next instants happen."""
        for _ in range(_STEPS):
            self._arrivals(unit)
            due = self._work_off(unit)
            following = min(due, self._next_arrival())
            if following == inf or self._stuck(unit):
                self.over = True
                return
            self.clock.step(max(0.0, following - self.clock.time()))

    def _work_off(self, unit: UnitOfWork) -> float:
        while True:
            due = self.pool.advance(unit)
            if due is None or due > self.clock.time():
                return inf if due is None else due

    def _next_arrival(self) -> float:
        return BEGIN + self.jobs[self.submitted].submit if self.submitted < len(self.jobs) else inf

    def _stuck(self, unit: UnitOfWork) -> bool:
        """Whether all jobs have come, none runs, and those that wait were looked at once more in vain."""
        waiting = self.submitted == len(self.jobs) and unit.first(_RUNNING) is None
        self.idle_cycles = self.idle_cycles + 1 if waiting else 0
        return self.idle_cycles > 2

    def _arrivals(self, unit: UnitOfWork) -> None:
        new: list[NewJob] = []
        while self._next_arrival() <= self.clock.time():
            job = self.jobs[self.submitted]
            cluster = self.pool.queue.reserve_cluster(unit)
            self.trace_jobs[cluster] = job
            new.append(
                NewJob(
                    JobId(cluster, 0),
                    _ad(job, cluster, job.user if self.fair else "trace", self.clock.time()),
                )
            )
            self.submitted += 1
        if new:
            self.pool.queue.accept(unit, new)


def _ad(job: TraceJob, cluster: int, owner: str, now: float) -> Ad:
    ad = job_template(cluster, 0, owner, 5, "/trace/job", "", None, int(now), None, "", "")
    ad.update({"User": f"{owner}@birdbath.example.org", "Iwd": "/", "LeaveJobInQueue": False})
    ad.update({"SimRuntime": job.runtime, "RequestCpus": job.cpus, "RequestMemory": job.memory or 1})
    ad.update({"RequestDisk": 1, "Requirements": _REQUIREMENTS, "TransferExecutable": False})
    return ad


def _records(
    trace_jobs: dict[int, TraceJob], rows: Iterator[tuple[int, int, float, str]]
) -> Iterator[JobRecord]:
    """The jobs that ended; one that was evicted counts from its last start."""
    started: dict[int, tuple[float, str]] = {}
    for kind, cluster, when, text in rows:
        if kind == EventType.EXECUTE:
            started[cluster] = when - BEGIN, Ad.from_json(text).string("SlotName").rpartition("@")[2]
        elif kind == EventType.JOB_TERMINATED and cluster in started:
            job, (start, machine) = trace_jobs[cluster], started.pop(cluster)
            yield JobRecord(job.number, job.submit, start, when - BEGIN, job.cpus, job.user, machine)
