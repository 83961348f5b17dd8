"""The engine: it does whatever is due, in the order of its instants, one bounded step at a time.

At one instant first the runs of jobs go on, by cluster and proc, then their periodic policies are looked at,
then the negotiator runs. What is done depends on the database alone, never on where a step ended or how late
it came: so a pool that was killed goes on as if nothing had been, event by event.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from sqlalchemy import func, select

from birdbath.pool.base import ActionDetails, JobId
from birdbath.pool.simulated import lifecycle, policies
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.execution import MAX_OPEN_FILES
from birdbath.pool.simulated.hosting import Hosting
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.machines import Slot
from birdbath.pool.simulated.negotiator import Negotiator, any_idle
from birdbath.pool.simulated.policies import Verdict
from birdbath.pool.simulated.queued_job import PROGRAM, STOPPING, QueuedJob
from birdbath.pool.simulated.runs import WRITE_STEP, Runs
from birdbath.pool.simulated.state import PoolState, read_state, save_state
from birdbath.store.tables import simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

MAX_TRANSITIONS = 200
"""The most transitions of jobs in one step."""
MAX_EVALUATIONS = 2000
"""The most matches evaluated in one step."""
RETRY_AFTER = 0.1
"""So long (pool seconds) the driver rests when too many files were open."""

_s = simulated_jobs.c
_TAKEN = select(_s.slot).where(_s.slot > "")
# Not "slot IS NULL": an index on slots would lead through all idle jobs.
_LOCAL_RUNS = select(_s.cluster_id).where(_s.due_at > 0, func.coalesce(_s.slot, "") == "")


@dataclass
class Agenda:
    """When what is due next: infinity for never."""

    run: float
    policy: float
    cycle: float

    @property
    def first(self) -> float:
        return min(self.run, self.policy, self.cycle)


class Engine:
    """Advances one pool. What it remembers between steps only saves work; it may be lost."""

    def __init__(self, context: PoolContext, negotiator: Negotiator, hosting: Hosting) -> None:
        self._context = context
        self._negotiator = negotiator
        self._hosting = hosting
        self._verdicts_end = 0.0

    def advance(self, unit: UnitOfWork) -> float | None:
        """Do what the clock has reached, as far as one step goes; when something is due next (None: never).

        A time that the clock has reached already means that there is more to do at once.
        """
        step = _Step(self, self._context, unit)
        step.run()
        due = step.agenda.first
        if step.put_off:
            return max(due, self._context.clock.time() + RETRY_AFTER)
        if due <= step.state.time:
            return step.state.time
        return None if due == inf else due

    def go_on(self, step: _Step) -> None:
        """Let the runs of jobs go on that are due before anything else is."""
        runs = Runs(self._context, step.unit, step.table, step.state.time, self._hosting)
        for job in step.due_runs():
            runs.now = step.state.time
            if job.phase in (PROGRAM, STOPPING):
                step.table.flush()
                self._hosting.go_on(step.unit, step.table, job, step.state.time)
                step.spent += 1
                return
            before = job.running
            step.written += runs.go_on(job)
            if runs.put_off or job.progress or job.due_at == step.state.time:
                step.end()  # what was written must be durable before the run goes on
            if before and not job.running:
                step.negotiate_now()
            step.put_off = step.put_off or runs.put_off

    def apply_policies(self, step: _Step) -> None:
        """Look at the periodic expressions of jobs that are due for it."""
        now = step.state.time
        for job in step.table.policies_due(now, MAX_TRANSITIONS):
            step.spent += 1
            if self._apply_policy(step, job, now):
                step.negotiate_now()

    def _apply_policy(self, step: _Step, job: QueuedJob, now: float) -> bool:
        context = self._context
        decision = policies.periodic(job.ad, job.status, now)
        if decision.verdict is Verdict.STAY:
            interval = context.description.policy_interval
            job.next_policy_at = policies.next_evaluation(job.ad, job.status, now, interval)
            step.table.touch(job)
            return False
        if decision.verdict is Verdict.HOLD:
            events = lifecycle.hold(job, now, decision.as_hold())
        elif decision.verdict is Verdict.RELEASE:
            events = lifecycle.release(job, now, ActionDetails(decision.reason))
        elif decision.verdict is Verdict.REMOVE:
            events = lifecycle.remove(job, now, decision.reason)
        else:
            events = []
        context.settle(step.unit, step.table, job, events, now)
        return True

    def negotiate(self, step: _Step) -> None:
        """Match idle jobs with free slots."""
        context, unit, now = self._context, step.unit, step.state.time
        if now >= self._verdicts_end:
            self._negotiator.begin_cycle(now)
            self._verdicts_end = now + context.description.cycle_interval
        runs = Runs(context, unit, step.table, now, self._hosting)
        running_here = len(unit.execute(_LOCAL_RUNS))
        for job in self._negotiator.local_jobs(unit, context.description.max_local_jobs - running_here):
            runs.start(job, None)
        more = self._negotiator.match(unit, self._free_slots(unit), now, runs.start, MAX_EVALUATIONS)
        step.spent += 1
        step.put_off = step.put_off or runs.put_off
        if more or runs.put_off:
            step.end()
            step.state.cycle_at = now
        else:
            step.state.cycle_at = now + context.description.cycle_interval

    def _free_slots(self, unit: UnitOfWork) -> dict[str, Slot]:
        taken = {row[0] for row in unit.execute(_TAKEN)}
        return {name: slot for name, slot in self._context.slots.items() if name not in taken}


class _Step:
    """One step: its bounds, what is due, and the jobs it touches."""

    def __init__(self, engine: Engine, context: PoolContext, unit: UnitOfWork) -> None:
        self._engine = engine
        self._context = context
        self.unit = unit
        self.table: JobTable = context.table(unit)
        self.state: PoolState = read_state(unit, context.started)
        self.agenda = Agenda(inf, inf, inf)
        self.spent = 0
        self.written = 0
        self.put_off = False
        self._barrier = inf

    def negotiate_now(self) -> None:
        """Let a negotiation cycle be due at this very instant."""
        self.state.cycle_at = self._barrier = min(self.state.cycle_at, self.state.time)

    def end(self) -> None:
        """Nothing more in this step."""
        self.spent = MAX_TRANSITIONS

    def run(self) -> None:
        stand = replace(self.state)
        try:
            while True:
                self._look()
                if self._exhausted() or not self._context.clock.reach(self.agenda.first):
                    break
                self._enter(self.agenda.first)
                self._act()
                self.table.flush()
                # Others may have asked for an earlier cycle meanwhile, programs that run inside the pool.
                self.state.cycle_at = min(self.state.cycle_at, read_state(self.unit, 0.0).cycle_at)
                save_state(self.unit, self.state)
        finally:
            self._context.instant = None
        if self.state != stand:
            save_state(self.unit, self.state)

    def _exhausted(self) -> bool:
        crowded = self.spent > 0 and self.unit.open_files > MAX_OPEN_FILES
        return self.spent >= MAX_TRANSITIONS or self.written >= WRITE_STEP or crowded

    def _look(self) -> None:
        if self._context.asked:
            self._context.asked, self.state.cycle_at = False, self._context.clock.time()
        run, policy = self.table.next_due()
        if not any_idle(self.unit):
            self.state.cycle_at = inf
        self.agenda = Agenda(run, policy, self.state.cycle_at)

    def _enter(self, instant: float) -> None:
        self.state.time = self._context.instant = max(self.state.time, instant)

    def _act(self) -> None:
        agenda = self.agenda
        negotiating = agenda.cycle < min(agenda.run, agenda.policy)
        self.state.cycle_at = inf if negotiating else self.state.cycle_at
        save_state(self.unit, self.state)
        if agenda.run <= min(agenda.policy, agenda.cycle):
            self._engine.go_on(self)
        elif agenda.policy <= agenda.cycle:
            self._engine.apply_policies(self)
        else:
            self._engine.negotiate(self)

    def due_runs(self) -> Iterator[QueuedJob]:
        """The jobs whose runs go on, in order, up to the next policy or cycle, while the bounds allow.

        What the treatment of one makes due comes in its turn.
        """
        most = MAX_TRANSITIONS - self.spent
        self._barrier = min(self.agenda.policy, self.agenda.cycle)
        found = self.table.due(self._barrier, most)
        # What lies beyond those that were found must wait: there may be others before it.
        horizon = found[-1].due_at if len(found) == most else None
        queue = [(job.due_at or 0.0, job.id) for job in found]
        waiting = {job.id: job for job in found}
        while queue and not self._exhausted():
            at, key = heapq.heappop(queue)
            job = waiting[key]
            if job.due_at != at or at > self._barrier:
                continue
            if not self._context.clock.reach(at):
                return
            self._enter(at)
            self.table.scheduled.clear()
            yield job
            self.spent += 1
            self._take_scheduled(queue, waiting, horizon)

    def _take_scheduled(
        self, queue: list[tuple[float, JobId]], waiting: dict[JobId, QueuedJob], horizon: float | None
    ) -> None:
        for job in self.table.scheduled:
            self._barrier = min(self._barrier, inf if job.next_policy_at is None else job.next_policy_at)
            if job.due_at is not None and (horizon is None or job.due_at < horizon):
                waiting[job.id] = job
                heapq.heappush(queue, (job.due_at, job.id))
