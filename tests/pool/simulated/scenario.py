"""A scenario that uses everything random, as a process of its own that can be killed at any moment.

`python -m tests.pool.simulated.scenario HOME` makes its calls at fixed pool times, and ends when all is
over; started again on the same home it goes on. `event_log` gives all events of a home in HTCondor's own
text form.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from math import inf
from pathlib import Path

from sqlalchemy import select

from birdbath.classads import Ad, Expression, Scalar
from birdbath.events.forms import FormatOptions, text
from birdbath.pool.base import ActionDetails, JobAction, JobId, NewJob
from birdbath.pool.simulated import ClockState, PoolDescription, SimulatedPool, VirtualClock
from birdbath.pool.simulated.description import (
    Duration,
    FaultDescription,
    GroupDescription,
    MachineDescription,
    ProgramDescription,
)
from birdbath.pool.simulated.state import read_clock, save_clock
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.event_log import read
from birdbath.store.reader import Reader
from birdbath.store.sandbox import Spool
from birdbath.store.tables import counters
from tests.pool.harness import job_ad

START = 1_800_000_000.0
CALLS = 60
DESCRIPTION = PoolDescription(
    (
        MachineDescription("part-{}.example.org", count=3, cpus=8, memory=8192, partitionable=True),
        MachineDescription(
            "node-{}.example.org", count=2, slots=4, cpus=4, memory=4096, rank="TARGET.JobPrio"
        ),
        MachineDescription(
            "desk.example.org", slots=2, cpus=2, memory=2048, preempt="ClockMin >= 8 * 60 + 40"
        ),
    ),
    groups=(GroupDescription("physics", 0.4), GroupDescription("law", 4, accept_surplus=False)),
    programs=(ProgramDescription("*", Duration(400.0, "lognormal", 600.0)),),
    faults=(
        FaultDescription("machine dies", "part-*", every=Duration(1500.0, "exponential"), duration=300.0),
        FaultDescription("shadow exception", probability=0.1, most=2),
        FaultDescription("eviction", probability=0.1, most=2),
        FaultDescription("signal", probability=0.1, value=9, most=1),
    ),
    seed=7,
    claim_worklife=600.0,
    cycle_pause=5.0,
    transfer_output=2.0,
    priority_halflife=1000.0,
    preemption_requirements="RemoteUserPrio > 1.5 * SubmitterUserPrio",
)


def run(home: Path) -> None:
    """Make the calls that are still to be made, and let everything come to its end."""
    engine = open_engine(f"sqlite:///{home}/pool.db")
    writer = Writer(engine)
    state = writer.write_now(read_clock) or ClockState(START)
    clock = VirtualClock(replace(state, speed=inf, paused=True))
    writer.write_now(lambda unit: save_clock(unit, clock.state))
    pool = SimulatedPool(engine, Spool(home / "spool"), DESCRIPTION, clock)
    done = writer.write_now(_clusters)
    for number in range(done, CALLS):
        _go_to(pool, writer, clock, START + 37.0 * number)
        writer.write_now(lambda unit, number=number: _call(pool, unit, number))  # type: ignore[misc]
    _go_to(pool, writer, clock, START + 100_000.0)
    pool.close()
    writer.close()
    engine.dispose()


def _go_to(pool: SimulatedPool, writer: Writer, clock: VirtualClock, time: float) -> None:
    clock.change(paused=False, limit=time)
    while not clock.stands:
        writer.write_now(pool.advance)


def _clusters(unit: UnitOfWork) -> int:
    row = unit.first(_COUNTER)
    return 0 if row is None else int(row.value)


_COUNTER = select(counters.c.value).where(counters.c.name == "cluster")


def _call(pool: SimulatedPool, unit: UnitOfWork, number: int) -> None:
    """One call: some jobs are submitted, and an earlier one is held."""
    cluster = pool.queue.reserve_cluster(unit)
    more: dict[str, Scalar | Expression] = {
        "Owner": ("alice", "bob", "carol")[number % 3],
        "JobPrio": number % 4,
        "RequestCpus": 1 + number % 3,
        "JobLeaseDuration": 100 * (number % 2),
        "LeaveJobInQueue": False,
        "PeriodicRelease": Expression("time() - EnteredCurrentStatus > 90"),
    }
    more["AcctGroup"] = ("physics", "law", "")[number % 3]
    ids = [JobId(cluster, proc) for proc in range(4)]
    pool.queue.accept(unit, [NewJob(job, _ad(pool, job, more)) for job in ids])
    for job in pool.queue.cluster_jobs(unit, cluster - 3)[:1]:
        ad = pool.queue.job_ad(unit, job)
        if ad is not None and ad.integer("JobStatus") != 5:
            pool.queue.act(unit, JobAction.HOLD, job, ActionDetails("held by the scenario"))


def _ad(pool: SimulatedPool, job: JobId, more: dict[str, Scalar | Expression]) -> Ad:
    return job_ad(job, "/opt/work", pool.queue.time(), "/nowhere", more)


def event_log(home: Path) -> bytes:
    """All events, in HTCondor's own form."""
    engine = open_engine(f"sqlite:///{home}/pool.db")
    reader = Reader(engine)
    records = read(reader, 0, 1_000_000)
    reader.close()
    engine.dispose()
    return b"".join(
        record.id.encode() + b" " + text(record, "", FormatOptions(utc=True)) for record in records
    )


if __name__ == "__main__":
    run(Path(sys.argv[1]))
