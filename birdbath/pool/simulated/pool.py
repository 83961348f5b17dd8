"""The simulated pool: everything put together, and driven one bounded step at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from math import inf

from sqlalchemy import Engine, func, select

from birdbath.classads import AdMemory
from birdbath.pool.base import ActionDetails, JobId
from birdbath.pool.simulated import lifecycle, policies
from birdbath.pool.simulated.clock import Clock, RealClock
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.description import PoolDescription, PoolIdentity
from birdbath.pool.simulated.directory import SimulatedDirectory
from birdbath.pool.simulated.execution import MAX_OPEN_FILES
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.machines import Slot, build_slots
from birdbath.pool.simulated.mirror import QueueMirror
from birdbath.pool.simulated.negotiator import Negotiator, any_idle
from birdbath.pool.simulated.policies import Verdict
from birdbath.pool.simulated.queue import SimulatedQueue
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.pool.simulated.runs import WRITE_STEP, Runs
from birdbath.store.sandbox import Spool
from birdbath.store.tables import jobs, simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

MAX_TRANSITIONS = 100
"""The most jobs whose runs go on, and the most whose policies are looked at, in one step."""
MAX_EVALUATIONS = 2000
"""The most matches evaluated in one step."""
RETRY_AFTER = 0.1
"""So long (pool seconds) nothing is tried again when too many files were open."""

_s = simulated_jobs.c
_TAKEN = select(_s.slot).where(_s.slot > "")
# Not "slot IS NULL": an index on slots would lead through all idle jobs.
_LOCAL_RUNS = select(_s.cluster_id).where(_s.due_at > 0, func.coalesce(_s.slot, "") == "")
_QUEUED_IDS = select(jobs.c.cluster_id, jobs.c.proc_id).where(jobs.c.in_queue)


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
    ) -> None:
        clock = clock or RealClock()
        description, identity = description or PoolDescription(), identity or PoolIdentity()
        memory = memory or AdMemory()
        started = clock.time()
        slots = build_slots(description, identity, started)
        mirror = QueueMirror(engine, memory)
        self._context = PoolContext(description, identity, clock, spool, memory, mirror, slots, started)
        self._negotiator = Negotiator(self._context.autoclusters)
        self._verdicts_end = 0.0
        self._put_off = False
        self.clock = clock
        self.queue = SimulatedQueue(self._context)
        self.directory = SimulatedDirectory(engine, self._context, self._negotiator)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Let `callback` be called, in any thread, when something may be due earlier than `advance` said."""
        self._context.kick = callback

    def close(self) -> None:
        """Give the database connections back."""
        self._context.mirror.close()
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
        now = self.clock.time()
        self._put_off = False
        table = self._context.table(unit)
        more = self._go_on(unit, table, now)
        more = self._apply_policies(unit, table, now) or more
        more = self._negotiate(unit, table, now) or more
        due = now if more else self._next_due(unit, table)
        self._context.promised = max(due or now, now + RETRY_AFTER) if self._put_off else due
        return self._context.promised

    def _go_on(self, unit: UnitOfWork, table: JobTable, now: float) -> bool:
        runs = Runs(self._context, unit, table, now)
        due = table.due(now, MAX_TRANSITIONS)
        written, freed, unfinished = 0, False, len(due) == MAX_TRANSITIONS
        for turn, job in enumerate(due):
            if written >= WRITE_STEP or (turn > 0 and unit.open_files > MAX_OPEN_FILES):
                unfinished = True
                break
            written += runs.go_on(job)
            freed = freed or not job.running
            unfinished = unfinished or job.progress > 0
        self._put_off = self._put_off or runs.put_off
        table.flush()
        if freed:
            self._context.cycle_at = now
        return unfinished

    def _apply_policies(self, unit: UnitOfWork, table: JobTable, now: float) -> bool:
        due = table.policies_due(now, MAX_TRANSITIONS)
        for job in due:
            self._apply_policy(unit, table, job, now)
        table.flush()
        return len(due) == MAX_TRANSITIONS

    def _apply_policy(self, unit: UnitOfWork, table: JobTable, job: QueuedJob, now: float) -> None:
        context = self._context
        decision = policies.periodic(job.ad, job.status, now)
        if decision.verdict is Verdict.STAY:
            interval = context.description.policy_interval
            job.next_policy_at = policies.next_evaluation(job.ad, job.status, now, interval)
            table.touch(job)
            return
        context.cycle_at = now
        if decision.verdict is Verdict.HOLD:
            events = lifecycle.hold(job, now, decision.as_hold())
        elif decision.verdict is Verdict.RELEASE:
            events = lifecycle.release(job, now, ActionDetails(decision.reason))
        elif decision.verdict is Verdict.REMOVE:
            events = lifecycle.remove(job, now, decision.reason)
        else:
            events = []
        context.settle(unit, table, job, events, now)

    def _negotiate(self, unit: UnitOfWork, table: JobTable, now: float) -> bool:
        context = self._context
        if now < context.cycle_at:
            return False
        if not any_idle(unit):
            context.cycle_at = inf  # until somebody submits or releases a job
            return False
        if now >= self._verdicts_end:
            self._negotiator.begin_cycle(now)
            self._verdicts_end = now + context.description.cycle_interval
        runs = Runs(context, unit, table, now)
        running_here = len(unit.execute(_LOCAL_RUNS))
        for job in self._negotiator.local_jobs(unit, context.description.max_local_jobs - running_here):
            runs.start(job, None)
        more = self._negotiator.match(unit, self._free_slots(unit), now, runs.start, MAX_EVALUATIONS)
        table.flush()
        self._put_off = self._put_off or runs.put_off
        if not more and not runs.put_off:
            context.cycle_at = now + context.description.cycle_interval
        return more

    def _free_slots(self, unit: UnitOfWork) -> dict[str, Slot]:
        taken = {row[0] for row in unit.execute(_TAKEN)}
        return {name: slot for name, slot in self._context.slots.items() if name not in taken}

    def _next_due(self, unit: UnitOfWork, table: JobTable) -> float | None:
        times = [time for time in (table.next_due(),) if time is not None]
        if any_idle(unit):
            times.append(self._context.cycle_at)
        return min(times, default=None)

    def sweep(self, unit: UnitOfWork, older_than: float, staged: Iterable[JobId], most: int = 1000) -> int:
        """Delete sandboxes that belong neither to a job in the queue nor to a `staged` one; how many, at most
        `most`.

        Spared are those whose directory changed less than `older_than` (real) seconds ago. Client-inserted
        daemon ads that expired are forgotten as well.
        """
        self.directory.forget_expired(unit)
        wanted = set(staged).union(JobId(row[0], row[1]) for row in unit.execute(_QUEUED_IDS))
        removed = 0
        for cluster, proc in self._context.spool.jobs():
            job = JobId(cluster, proc)
            if job in wanted or not self._untouched(job, unit.now - older_than):
                continue
            self._context.sandbox(job).remove()
            removed += 1
            if removed >= most:
                break
        return removed

    def _untouched(self, job: JobId, since: float) -> bool:
        try:
            return os.stat(self._context.sandbox(job).path).st_mtime <= since
        except FileNotFoundError:
            return False
