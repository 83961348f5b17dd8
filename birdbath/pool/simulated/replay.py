"""Replaying a trace: its jobs come to a pool at their times, and how they fared is read from the event log.

The pool's clock jumps. Many instants go into one unit of work: a replay that is interrupted begins anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from sqlalchemy import bindparam, select

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
_ENDED = (
    select(events.c.sequence, events.c.cluster_id, events.c.time)
    .where(events.c.sequence > bindparam("seen"), events.c.type == int(EventType.JOB_TERMINATED))
    .order_by(events.c.sequence)
)


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

    A job that follows another one (see `TraceJob`) comes when that has ended in this run; if that is none of
    the jobs before it, when it came.

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
            records = tuple(_records(run.came, ((r[0], r[1], r[2], r[3]) for r in rows)))
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
    came: dict[int, tuple[TraceJob, float]] = field(default_factory=dict)
    idle_cycles: int = 0
    coming: list[tuple[float, int]] = field(default_factory=list)
    following: dict[int, list[int]] = field(default_factory=dict)
    seen: int = 0

    def __post_init__(self) -> None:
        before: set[int] = set()
        for position, job in enumerate(self.jobs):
            if job.preceding in before:
                self.following.setdefault(job.preceding, []).append(position)
            else:
                self.coming.append((job.submit, position))
            before.add(job.number)
        heapq.heapify(self.coming)

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
            self._follow(unit)
            if due is None or due > self.clock.time():
                return inf if due is None else due

    def _next_arrival(self) -> float:
        return BEGIN + self.coming[0][0] if self.coming else inf

    def _follow(self, unit: UnitOfWork) -> None:
        """Let the jobs come that follow those which have ended."""
        if not self.following:
            return
        for sequence, cluster, when in unit.execute(_ENDED, {"seen": self.seen}):
            self.seen = sequence
            for position in self.following.pop(self.came[cluster][0].number, ()):
                job, end = self.jobs[position], when - BEGIN
                at = max(job.submit, end) if job.think is None else end + job.think
                heapq.heappush(self.coming, (at, position))

    def _stuck(self, unit: UnitOfWork) -> bool:
        """Whether all jobs have come, none runs, and those that wait were looked at once more in vain."""
        waiting = not self.coming and unit.first(_RUNNING) is None
        self.idle_cycles = self.idle_cycles + 1 if waiting else 0
        return self.idle_cycles > 2

    def _arrivals(self, unit: UnitOfWork) -> None:
        new: list[NewJob] = []
        while self._next_arrival() <= self.clock.time():
            at, position = heapq.heappop(self.coming)
            job = self.jobs[position]
            cluster = self.pool.queue.reserve_cluster(unit)
            self.came[cluster] = job, at
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
    came: dict[int, tuple[TraceJob, float]], rows: Iterator[tuple[int, int, float, str]]
) -> Iterator[JobRecord]:
    """The jobs that ended; one that was evicted counts from its last start."""
    started: dict[int, tuple[float, str]] = {}
    for kind, cluster, when, text in rows:
        if kind == EventType.EXECUTE:
            started[cluster] = when - BEGIN, Ad.from_json(text).string("SlotName").rpartition("@")[2]
        elif kind == EventType.JOB_TERMINATED and cluster in started:
            (job, submit), (start, machine) = came[cluster], started.pop(cluster)
            yield JobRecord(job.number, submit, start, when - BEGIN, job.cpus, job.user, machine)
