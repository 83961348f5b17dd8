"""The simulated pool: everything put together, and driven one bounded step at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial

from sqlalchemy import Engine, select

from birdbath.classads import AdMemory
from birdbath.pool.base import JobId
from birdbath.pool.simulated import interruptions
from birdbath.pool.simulated.clock import Clock, ClockState, VirtualClock
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.dagman import dagman_programs
from birdbath.pool.simulated.description import PoolDescription, PoolIdentity
from birdbath.pool.simulated.directory import SimulatedDirectory
from birdbath.pool.simulated.engine import Engine as PoolEngine
from birdbath.pool.simulated.history import KEEP_ALL, HistoryRetention, JobHistory, prune
from birdbath.pool.simulated.hosted import ProgramFactory, ProgramTable
from birdbath.pool.simulated.hosting import Hosting
from birdbath.pool.simulated.local_runs import LocalRuns, lost
from birdbath.pool.simulated.machines import build_machines, build_slots
from birdbath.pool.simulated.materialization import waiting
from birdbath.pool.simulated.mirror import QueueMirror
from birdbath.pool.simulated.negotiator import Negotiator
from birdbath.pool.simulated.queue import SimulatedQueue
from birdbath.pool.simulated.queued_job import EXECUTING
from birdbath.pool.simulated.runs import Runs
from birdbath.pool.simulated.state import keep_time, save_clock
from birdbath.store.sandbox import Spool
from birdbath.store.tables import jobs
from birdbath.store.unit_of_work import UnitOfWork

_QUEUED_IDS = select(jobs.c.cluster_id, jobs.c.proc_id).where(jobs.c.in_queue)
_SWEPT_AT_ONCE = 1000


class SimulatedPool:
    """A pool whose whole state is in the database and the spool folder.

    Whoever drives it calls `advance` in a unit of work, again whenever that said something would be due, and
    when the callback given to `on_change` was called. One driver at a time; queries may come from any thread.
    A pool that is built anew on the same database goes on where the former one was killed.
    """

    def __init__(
        self,
        engine: Engine,
        spool: Spool,
        description: PoolDescription | None = None,
        clock: Clock | None = None,
        memory: AdMemory | None = None,
        identity: PoolIdentity | None = None,
        programs: ProgramFactory = dagman_programs,
        local: LocalRuns | None = None,
        history: HistoryRetention = KEEP_ALL,
    ) -> None:
        clock = clock or VirtualClock(ClockState(time.time()))
        description, identity = description or PoolDescription(), identity or PoolIdentity()
        memory = memory or AdMemory()
        started = clock.time()
        machines = build_machines(description)
        slots = build_slots(machines, identity, started)
        mirror = QueueMirror(engine, memory)
        self._context = PoolContext(
            description,
            identity,
            clock,
            spool,
            memory,
            mirror,
            slots,
            started,
            ProgramTable(programs),
            machines,
            local,
        )
        context = self._context
        self._negotiator = Negotiator(
            description,
            context.autoclusters,
            slots,
            context.floor,
            context.accountant,
        )
        self.clock = clock
        self._history = JobHistory(engine)
        self._kept = history
        self.queue = SimulatedQueue(self._context, self._history)
        self._hosting = Hosting(self._context, self._context.programs, self.queue)
        self._engine = PoolEngine(self._context, self._negotiator, self._hosting)
        self._recovered = False
        if local is not None:
            local.news = self._context.kick_now
        if isinstance(clock, VirtualClock):
            clock.on_change(self._context.kick_now)
        self.directory = SimulatedDirectory(engine, self._context, self._negotiator)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Let `callback` be called, in any thread, when something may be due earlier than `advance` said."""
        self._context.kick = callback

    def close(self) -> None:
        """Kill the processes of jobs, and give the database connections back."""
        if self._context.local is not None:
            self._context.local.close()
        self._context.mirror.close()
        self._history.close()
        self.directory.close()

    @property
    def evaluations(self) -> int:
        """How many times a job was matched against a slot so far."""
        return self._negotiator.evaluations

    def advance(self, unit: UnitOfWork) -> float | None:
        """Do what is due by now, as far as one step goes.

        Returns the pool time at which something is due next (now or earlier: call again at once;
        `clock.delay` says how many real seconds to wait), or None when nothing will happen before somebody
        submits or releases a job.
        """
        self._take_up_processes(unit)
        due = self._engine.advance(unit)
        if isinstance(self.clock, VirtualClock) and (kept := self.clock.to_keep()) is not None:
            keep_time(unit, kept[0])
            unit.after_commit(kept[1])
        self._context.promised = due
        self.clock.expect(due)
        return due

    def _take_up_processes(self, unit: UnitOfWork) -> None:
        """Go on with jobs whose processes have ended, or were lost with the server that had started them."""
        context = self._context
        over = [] if context.local is None else context.local.ended()
        gone = [] if self._recovered else lost(unit)
        if not over and not gone:
            self._recovered = True
            return
        now, table = context.now(), context.table(unit)
        runs = Runs(context, unit, table, now, self._hosting)
        for job_id in gone:
            if (job := table.load(job_id)) is not None:
                events = interruptions.evict(job, now, "The server that ran the job was restarted")
                context.settle(unit, table, job, events, now)
        for job_id, number, ended in over:
            job = table.load(job_id)
            if job is not None and job.phase == EXECUTING and job.ad.integer("JobRunCount") == number:
                runs.take_up(job, ended)
            if context.local is not None:
                unit.after_commit(partial(context.local.forget, job_id, number))
        unit.after_commit(self._note_recovered)
        table.flush()
        context.negotiate_soon(unit, now)

    def _note_recovered(self) -> None:
        self._recovered = True

    def set_clock(
        self,
        unit: UnitOfWork,
        speed: float | None = None,
        paused: bool | None = None,
        limit: float | None = None,
    ) -> ClockState:
        """Change how a virtual clock goes on (see `VirtualClock.change`); a restart goes on in the same way.

        Raises ValueError for what no clock can do, or when this pool's clock is not a virtual one.
        """
        if not isinstance(self.clock, VirtualClock):
            raise ValueError("this pool's clock is not a virtual one")
        if self._context.local is not None:
            raise ValueError("jobs are executed, which takes the time it takes")
        state = self.clock.change(speed, paused, limit)
        save_clock(unit, state)
        return state

    def keep_clock(self, unit: UnitOfWork) -> None:
        """Let a restart go on with the time that a virtual clock shows now: it tells no later one."""
        if isinstance(self.clock, VirtualClock):
            keep_time(unit, self.clock.state)

    def sweep(self, unit: UnitOfWork, older_than: float, staged: Iterable[JobId]) -> int:
        """Delete sandboxes that belong neither to a job in the queue nor to a `staged` one; how many, at most
        1,000.

        Spared are those whose directory changed less than `older_than` (real) seconds ago. Client-inserted
        daemon ads that expired are forgotten as well.
        """
        self.directory.forget_expired(unit)
        wanted = set(staged).union(JobId(row[0], row[1]) for row in unit.execute(_QUEUED_IDS))
        wanted.update(waiting(unit))
        removed = 0
        for cluster, proc in self._context.spool.jobs():
            job = JobId(cluster, proc)
            if job in wanted or not self._untouched(job, unit.now - older_than):
                continue
            self._context.sandbox(job).remove()
            removed += 1
            if removed >= _SWEPT_AT_ONCE:
                break
        return removed

    def prune_history(self, unit: UnitOfWork) -> int:
        """Forget jobs that have left the queue, as far as more or older ones are there than are kept; how
        many, at most a few hundred at a time.
        """
        return prune(unit, self._kept, self._context.now())

    def _untouched(self, job: JobId, since: float) -> bool:
        try:
            return os.stat(self._context.sandbox(job).path).st_mtime <= since
        except FileNotFoundError:
            return False
