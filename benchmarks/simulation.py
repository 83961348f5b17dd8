"""How fast the simulated pool is: a day on a campus, and jobs without end, everything durable."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from pathlib import Path

from benchmarks.figures import Figure, compared
from benchmarks.scale import Scale
from birdbath.classads import Ad, Expression, Scalar
from birdbath.pool.base import JobId, NewJob
from birdbath.pool.simulated import ClockState, PoolDescription, SimulatedPool, VirtualClock
from birdbath.pool.simulated.description import MachineDescription
from birdbath.pool.simulated.description_file import load_description
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool

GROUP = "simulation"
START = 1_767_571_200.0
DAY = 86400.0
OF_2011 = 55.0
"""Jobs a second that a schedd of 2011 was measured to submit, run and finish; ten times that is the
target.
"""
_CLUSTER = 25
_AT_ONCE = 1000
_WAITING = 4000
_STEPS = 20
_MIB = 1 << 20


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """All figures of the group, in CPU time: what other processes do to the machine is not the pool's."""
    few, many = scale.simulated_jobs
    cpu, little = _flow(folder / "few", few)
    more_cpu, memory = _flow(folder / "many", many)
    per_job, per_job_of_many = cpu / few, more_cpu / many
    day = _day(folder / "day", scale.simulated_day)
    rate = f"submitted, matched, run and finished per CPU second, {few:,} jobs"
    name = f"a day of a campus pool with {scale.simulated_day:,} jobs, CPU time"
    return [
        compared(GROUP, name, day, "s", "a minute", 60.0, at_most=1.0),
        compared(GROUP, rate, few / cpu, "jobs/s", "a schedd of 2011", OF_2011, at_least=10.0),
        compared(
            GROUP,
            f"CPU time per job, {many:,} jobs",
            per_job_of_many,
            "s",
            f"{few:,} jobs",
            per_job,
            at_most=1.2,
        ),
        compared(
            GROUP, f"memory, {many:,} jobs", memory / _MIB, "MiB", f"{few:,} jobs", little / _MIB, at_most=1.2
        ),
        compared(GROUP, f"memory after {many:,} jobs", memory / _MIB, "MiB", "4 GiB", 4096.0, at_most=1.0),
    ]


@contextmanager
def _pool(folder: Path, description: PoolDescription) -> Iterator[tuple[SimulatedPool, Writer, VirtualClock]]:
    folder.mkdir(parents=True)
    engine = open_engine(f"sqlite:///{folder}/pool.db")
    writer = Writer(engine)
    clock = VirtualClock(ClockState(START, speed=inf, paused=True))
    pool = SimulatedPool(engine, Spool(folder / "spool"), description, clock)
    yield pool, writer, clock
    pool.close()
    writer.close()
    engine.dispose()


def _go_to(pool: SimulatedPool, writer: Writer, clock: VirtualClock, moment: float) -> None:
    clock.change(paused=False, limit=moment)
    while not clock.stands:
        writer.write_now(partial(_some, pool, clock))


def _some(pool: SimulatedPool, clock: VirtualClock, unit: UnitOfWork) -> None:
    """Some thousand transitions at most in one unit of work, as a replay does: nobody else waits."""
    for _ in range(_STEPS):
        if clock.stands:
            return
        pool.advance(unit)


def _submit(
    pool: SimulatedPool, runtimes: list[float], unit: UnitOfWork, **more: Scalar | Expression
) -> None:
    cluster = pool.queue.reserve_cluster(unit)
    now = pool.queue.time()
    jobs = [
        NewJob(JobId(cluster, proc), _ad(cluster, proc, now, {**more, "SimRuntime": runtime}))
        for proc, runtime in enumerate(runtimes)
    ]
    pool.queue.accept(unit, jobs)


def _ad(cluster: int, proc: int, now: float, more: dict[str, Scalar | Expression]) -> Ad:
    ad = Ad()
    ad.update({"MyType": "Job", "TargetType": "Machine", "Owner": "alice", "User": "alice@example.org"})
    ad.update({"ClusterId": cluster, "ProcId": proc, "JobUniverse": 5, "JobStatus": 1, "JobPrio": 0})
    ad.update(
        {"Cmd": "/opt/program", "Arguments": "", "In": "/dev/null", "Out": "/dev/null", "Err": "/dev/null"}
    )
    ad.update({"Requirements": Expression('TARGET.Arch == "X86_64" && TARGET.Memory >= RequestMemory')})
    ad.update(
        {"QDate": int(now), "EnteredCurrentStatus": int(now), "Iwd": "/nowhere", "LeaveJobInQueue": False}
    )
    ad.update({"RequestCpus": 1, "RequestMemory": 512, "RequestDisk": 1024})
    ad.update(more)
    return ad


def _day(folder: Path, jobs: int) -> float:
    """CPU seconds for a day in which so many jobs of fifty users come to the campus."""
    chance = random.Random(1)
    times = sorted(chance.uniform(0.0, 0.9 * DAY) for _ in range(jobs // _CLUSTER))
    started = time.process_time()
    with _pool(folder, load_description("campus")) as (pool, writer, clock):

        def some(first: int, unit: UnitOfWork) -> None:
            for number, at in enumerate(times[first : first + _STEPS], first):
                clock.change(paused=False, limit=START + at)
                while not clock.stands:
                    pool.advance(unit)
                runtimes = [chance.expovariate(1 / 2400) for _ in range(_CLUSTER)]
                group = ("physics", "biology", "teaching", "")[number % 4]
                _submit(pool, runtimes, unit, Owner=f"user{number % 50}", AcctGroup=group)

        for first in range(0, len(times), _STEPS):
            writer.write_now(partial(some, first))
        _go_to(pool, writer, clock, START + DAY)
    return time.process_time() - started


def _flow(folder: Path, jobs: int) -> tuple[float, int]:
    """CPU seconds for so many jobs through 2,000 slots, some thousand in the queue at a time; and bytes of
    memory, without the pages of the database file that are mapped.
    """
    machines = (MachineDescription("node-{}.example.org", count=125, slots=16, cpus=16, memory=65536),)
    description = PoolDescription(machines, claim_worklife=1200.0, cycle_pause=20.0, cycle_interval=60.0)
    chance = random.Random(2)
    started = time.process_time()
    with _pool(folder, description) as (pool, writer, clock):
        given, moment = 0, START
        while given < jobs:
            runtimes = [chance.uniform(50.0, 150.0) for _ in range(min(_AT_ONCE, jobs - given))]
            writer.write_now(partial(_submit, pool, runtimes))
            given += len(runtimes)
            # The queue is fed as fast as 2,000 slots work it off: 1,000 jobs of 100 seconds in 50.
            moment += 50.0 if given > _WAITING else 0.0
            _go_to(pool, writer, clock, max(moment, clock.time()))
        _go_to(pool, writer, clock, clock.time() + DAY)
        _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    memory = (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    return time.process_time() - started, memory
