"""The engine: it does whatever is due, in the order of its instants, one bounded step at a time.

At one instant jobs are first removed because others ended, then the runs of jobs go on, by cluster and proc,
then their periodic policies are looked at, then the negotiator runs. What is done depends on the database
alone, never on where a step ended or how late it came: so a pool that was killed goes on as if nothing had
been, event by event.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, nextafter
from typing import NamedTuple

from sqlalchemy import func, select

from birdbath.events import JobEvent
from birdbath.pool.base import ActionDetails, JobId
from birdbath.pool.simulated import interruptions, lifecycle, other_removals, policies
from birdbath.pool.simulated.autoclusters import SUBMIT_MACHINE
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.execution import MAX_OPEN_FILES
from birdbath.pool.simulated.hosting import Hosting
from birdbath.pool.simulated.job_table import JobTable, renew_lanes
from birdbath.pool.simulated.lanes import Queue, any_idle, first_of
from birdbath.pool.simulated.machines import Resources, parent_name
from birdbath.pool.simulated.materialization import clusters, room_for
from birdbath.pool.simulated.negotiator import Negotiator
from birdbath.pool.simulated.outages import Outages
from birdbath.pool.simulated.policies import Verdict
from birdbath.pool.simulated.queued_job import PROGRAM, STOPPING, QueuedJob
from birdbath.pool.simulated.runs import WRITE_STEP, Runs
from birdbath.pool.simulated.state import PoolState, read_state, save_state, take_rule
from birdbath.pool.simulated.watching import watch, watched_kinds
from birdbath.store.tables import simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

MAX_TRANSITIONS = 200
"""The most transitions of jobs in one step."""
MAX_EVALUATIONS = 2000
"""The most matches evaluated in one step."""
RETRY_AFTER = 0.1
"""So long (pool seconds) the driver rests when too many files were open."""

_s = simulated_jobs.c
# Not "slot IS NULL": an index on slots would lead through all idle jobs.
_LOCAL_RUNS = select(_s.cluster_id).where(_s.due_at > 0, func.coalesce(_s.slot, "") == "")


@dataclass
class Agenda:
    """When what is due next: infinity for never."""

    removal: float
    outage: float
    run: float
    policy: float
    cycle: float

    @property
    def first(self) -> float:
        return min(self.removal, self.outage, self.run, self.policy, self.cycle)


class Engine:
    """Advances one pool. What it remembers between steps only saves work; it may be lost."""

    def __init__(self, context: PoolContext, negotiator: Negotiator, hosting: Hosting) -> None:
        self._context = context
        self._negotiator = negotiator
        self._hosting = hosting
        self._rule = ""
        self._watched = watched_kinds(context.slots.values())

    def advance(self, unit: UnitOfWork) -> float | None:
        """Do what the clock has reached, as far as one step goes; when something is due next (None: never).

        A time that the clock has reached already means that there is more to do at once.
        """
        self._renew_lanes(unit)
        step = _Step(self, self._context, unit)
        step.run()
        due = step.agenda.first
        if step.put_off:
            return max(due, self._context.clock.time() + RETRY_AFTER)
        if due <= step.state.time:
            return step.state.time
        return None if due == inf else due

    def _renew_lanes(self, unit: UnitOfWork) -> None:
        """Compute the lanes of all idle jobs anew when the pool's description has changed what they depend
        on.
        """
        context = self._context
        rule = context.autoclusters.rule
        if self._rule == rule:
            return
        # A server that was killed may not have come to it: the runs before it, or the cycle that it was for,
        # are still due.
        found = {cluster for cluster in clusters(unit) if room_for(unit, cluster) > 0}
        if found:
            run, _ = context.table(unit).next_due()
            crowded = run <= read_state(unit, context.started).time
            context.crowded, context.late = (found, set()) if crowded else (set(), found)
        if take_rule(unit, rule):
            renew_lanes(unit, context.autoclusters.lane)
        unit.after_commit(lambda: setattr(self, "_rule", rule))

    def outages(self, state: PoolState) -> Outages:
        """The pool's outages, from its birth on."""
        known = self._negotiator.outages
        if known is None:
            context = self._context
            known = self._negotiator.outages = Outages(context.description, context.machines, state.born)
        return known

    def next_watch(self, unit: UnitOfWork, now: float) -> float:
        """When machines look at their policies next: together, every policy interval, if jobs run where it
        matters.
        """
        kinds = self._context.floor.read(unit).kinds if self._watched else {}
        if not any(kinds.get(kind) for kind in self._watched):
            return inf
        interval = self._context.description.policy_interval
        return (now // interval + 1) * interval

    def remove_others(self, step: _Step) -> None:
        """Remove jobs because another one ended."""
        context, now = self._context, step.state.time
        found, reason = other_removals.take(step.unit, now)
        for job_id in found:
            job = step.table.load(job_id)
            if job is None:
                continue
            was_running = job.running
            context.settle(step.unit, step.table, job, lifecycle.remove(job, now, reason), now)
            step.spent += 1
            if was_running:
                step.negotiate_now()
        step.spent += 1

    def suffer(self, step: _Step) -> None:
        """Let machines die, come back, or look at their policies."""
        now, context = step.state.time, self._context
        if self._watched and now % context.description.policy_interval == 0:
            watch(context, step.unit, step.table, self._watched, self._negotiator.verdicts, now)
        dead = set(self.outages(step.state).begun(now))
        claims = context.floor.read(step.unit).jobs.values() if dead else ()
        for claim in sorted(claims, key=lambda claim: claim.job):
            if context.slots[parent_name(claim.slot)].machine.number in dead:
                job = step.table.load(claim.job)
                if job is not None and job.running:
                    lost = self._lose(job, now)
                    context.settle(step.unit, step.table, job, lost, now)
        step.spent += 1
        step.negotiate_now()

    @staticmethod
    def _lose(job: QueuedJob, now: float) -> list[JobEvent]:
        if job.ad.integer("JobLeaseDuration") > 0:
            return interruptions.disconnect(job, now)
        return interruptions.evict(job, now, f"The machine of {job.ad.string('RemoteHost')} died")

    def go_on(self, step: _Step) -> None:
        """Let the runs of jobs go on that are due before anything else is."""
        runs = Runs(self._context, step.unit, step.table, step.state.time, self._hosting)
        lanes: dict[str, list[Queue]] = {}
        for job in step.due_runs():
            runs.now = step.state.time
            if job.phase in (PROGRAM, STOPPING):
                step.table.flush()
                save_state(step.unit, step.state)
                self._hosting.go_on(step.unit, step.table, job, step.state.time)
                # The program may have asked for a cycle by what it did.
                step.state.cycle_at = min(step.state.cycle_at, read_state(step.unit, 0.0).cycle_at)
                step.spent += 1
                return
            before, claim = job.running, self._claim_of(job)
            step.written += runs.go_on(job)
            if runs.put_off or job.progress or job.due_at == step.state.time:
                step.end()  # what was written must be durable before the run goes on
            vacant = before and not job.running and not self._reuse(step, runs, claim, lanes)
            if vacant and (step.table.idled or any_idle(step.unit)):
                step.negotiate_now()
            step.put_off = step.put_off or runs.put_off

    def _claim_of(self, job: QueuedJob) -> _Reusable | None:
        if not job.slot or job.claimed_at is None or not self._context.description.claim_worklife:
            return None
        resources = Resources(job.cpus, job.memory, job.disk, job.gpus)
        return _Reusable(job.slot, job.submitter, resources, job.claimed_at, job.claim_rank)

    def _reuse(self, step: _Step, runs: Runs, claim: _Reusable | None, lanes: dict[str, list[Queue]]) -> bool:
        """Give the claim of a job that has ended to another of the same submitter, as a schedd does.

        `lanes` are the submitters' waiting jobs as they were found; they are looked for anew when others
        became idle, or too few were found.
        """
        now, context = step.state.time, self._context
        if claim is None or now >= claim.since + context.description.claim_worklife:
            return False
        slot = context.slots.get(parent_name(claim.slot))
        if slot is None or slot.machine.number in self.outages(step.state).dead(now):
            return False
        waiting = None if step.table.idled else lanes.get(claim.submitter)
        if waiting is None or any(queue.cut and not queue.waiting for queue in waiting):
            if step.table.idled:
                lanes.clear()
            step.table.flush()
            waiting = lanes[claim.submitter] = self._negotiator.queues(step.unit, claim.submitter)
        following = self._negotiator.next_for(step.unit, waiting, slot, claim.resources, now)
        if following is None:
            return False
        place = slot.part(claim.slot, claim.resources)
        return runs.start(following, place, claim.rank, claim.since)

    def apply_policies(self, step: _Step) -> None:
        """Look at the periodic expressions of jobs that are due for it."""
        now = step.state.time
        for job in step.table.policies_due(now, MAX_TRANSITIONS):
            step.spent += 1
            if self._apply_policy(step, job, now):
                step.negotiate_now()
            if step.table.removing:
                return

    def _apply_policy(self, step: _Step, job: QueuedJob, now: float) -> bool:
        context = self._context
        decision = policies.periodic(job.ad, job.status, now)
        # Nobody vacates the submit machine.
        if decision.verdict is Verdict.STAY or (decision.verdict is Verdict.VACATE and not job.slot):
            interval = context.description.policy_interval
            job.next_policy_at = policies.next_evaluation(job.ad, job.status, now, interval)
            step.table.touch(job)
            return False
        if decision.verdict is Verdict.HOLD:
            events = lifecycle.hold(job, now, decision.as_hold())
        elif decision.verdict is Verdict.RELEASE:
            events = lifecycle.release(job, now, ActionDetails(decision.reason))
        elif decision.verdict is Verdict.REMOVE:
            events = lifecycle.remove(job, now, decision.reason, evicts=False)
        elif decision.verdict is Verdict.VACATE:
            events = interruptions.evict(job, now, decision.reason, interruptions.PERIODICALLY)
        else:
            events = []
        context.settle(step.unit, step.table, job, events, now)
        return True

    def negotiate(self, step: _Step) -> None:
        """Match idle jobs with free slots."""
        context, unit, now = self._context, step.unit, step.state.time
        step.state.last_cycle = now
        if context.late:
            late, context.late = context.late, set()
            unit.if_undone(lambda: context.late.update(late))
            context.materialize(unit, step.table, late, now)
        if self.outages(step.state).negotiator_stands(now):
            step.state.cycle_at = now + context.description.cycle_interval
            return
        runs = Runs(context, unit, step.table, now, self._hosting)
        if first_of(unit, SUBMIT_MACHINE, 1):
            room = context.description.max_local_jobs - len(unit.execute(_LOCAL_RUNS))
            for job in first_of(unit, SUBMIT_MACHINE, room):
                runs.start(job, None)
        context.floor.read(unit)

        def evict(job_id: JobId, reason: str) -> None:
            job = step.table.load(job_id)
            if job is not None and job.running:
                context.settle(unit, step.table, job, interruptions.evict(job, now, reason), now)

        more = self._negotiator.match(unit, now, runs.start, evict, MAX_EVALUATIONS)
        step.spent += 1
        step.put_off = step.put_off or runs.put_off
        if more or runs.put_off:
            step.end()
            step.state.cycle_at = now
        else:
            step.state.cycle_at = now + context.description.cycle_interval


class _Reusable(NamedTuple):
    """The claim of a job that may have ended."""

    slot: str
    submitter: str
    resources: Resources
    since: float
    rank: float


class _Step:
    """One step: its bounds, what is due, and the jobs it touches."""

    def __init__(self, engine: Engine, context: PoolContext, unit: UnitOfWork) -> None:
        self._engine = engine
        self._context = context
        self.unit = unit
        self.table: JobTable = context.table(unit)
        self.state: PoolState = read_state(unit, context.started)
        self.agenda = Agenda(inf, inf, inf, inf, inf)
        self.spent = 0
        self.written = 0
        self.put_off = False
        self._barrier = inf

    def negotiate_now(self) -> None:
        """Let a negotiation cycle be due at this very instant."""
        self.state.cycle_at = min(self.state.cycle_at, self.state.time)
        self._barrier = min(self._barrier, self._cycle())

    def end(self) -> None:
        """Nothing more in this step."""
        self.spent = MAX_TRANSITIONS

    def run(self) -> None:
        stand = replace(self.state)
        self._take_over()
        try:
            while True:
                self._look()
                if self._exhausted() or not self._context.clock.reach(self.agenda.first):
                    break
                self._enter(self.agenda.first)
                self._act()
                self.table.flush()
                self._materialize()
            self._leave_over()
        finally:
            self._context.instant = None
        if self.state != stand:
            save_state(self.unit, self.state)

    def _materialize(self) -> None:
        """Let jobs come for which there is room, once no more runs are due at this instant: where a step ends
        must not matter.
        """
        context, table, now = self._context, self.table, self.state.time
        if table.late and table.next_due()[0] <= now:
            context.report_gone(self.unit, table, now)
        elif table.late and context.materialize(self.unit, table, table.late, now):
            self.negotiate_now()

    def _take_over(self) -> None:
        """Go on with what an earlier step had to leave."""
        context, left = self._context, self._context.crowded
        if left:
            self.table.late |= left
            context.crowded = set()
            self.unit.if_undone(lambda: context.crowded.update(left))

    def _leave_over(self) -> None:
        """Leave to the next step what the rest of this instant's runs come before."""
        self._context.crowded |= self.table.late

    def _exhausted(self) -> bool:
        crowded = self.spent > 0 and self.unit.open_files > MAX_OPEN_FILES
        return self.spent >= MAX_TRANSITIONS or self.written >= WRITE_STEP or crowded

    def _look(self) -> None:
        if self._context.asked:
            self._context.asked, self.state.cycle_at = False, self._context.clock.time()
        run, policy = self.table.next_due()
        if not self._context.late and not any_idle(self.unit):
            self.state.cycle_at = inf
        outage = self._engine.outages(self.state).next_change(self.state.time)
        outage = min(outage, self._engine.next_watch(self.unit, self.state.time))
        removal = other_removals.next_due(self.unit)
        self.table.removing = False
        self.agenda = Agenda(removal, outage, run, policy, self._cycle())

    def _cycle(self) -> float:
        """When the next cycle may be: not too soon after the last one, unless that goes on."""
        pause = self._context.description.cycle_pause
        if self.state.last_cycle == self.state.time:
            return self.state.cycle_at
        return max(self.state.cycle_at, self.state.last_cycle + pause)

    def _enter(self, instant: float) -> None:
        self.state.time = self._context.instant = self.table.now = max(self.state.time, instant)

    def _act(self) -> None:
        agenda = self.agenda
        if agenda.removal == agenda.first:
            self._engine.remove_others(self)
        elif agenda.outage <= min(agenda.run, agenda.policy, agenda.cycle):
            self._engine.suffer(self)
        elif agenda.run <= min(agenda.policy, agenda.cycle):
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
        first = min(self.agenda.removal, self.agenda.outage)  # they come before runs of their instant
        before_them = nextafter(first, 0.0) if first < inf else inf
        self._barrier = min(self.agenda.policy, self.agenda.cycle, before_them)
        found = self.table.due(self._barrier, most)
        # What lies beyond those that were found must wait: there may be others before it.
        horizon = found[-1][0] if len(found) == most else None
        queue = found
        while queue and queue[0][0] <= self._barrier and not self._exhausted():
            at, key = heapq.heappop(queue)
            job = self.table.load(key)
            if job is None or job.due_at != at:
                continue
            # What may be materialized now comes before what is due later.
            if (self.table.late and at > self.state.time) or not self._context.clock.reach(at):
                return
            self._enter(at)
            self.table.scheduled.clear()
            yield job
            self.spent += 1
            if self.table.removing:
                return
            self._take_scheduled(queue, horizon)

    def _take_scheduled(self, queue: list[tuple[float, JobId]], horizon: float | None) -> None:
        for job in self.table.scheduled:
            self._barrier = min(self._barrier, inf if job.next_policy_at is None else job.next_policy_at)
            if job.due_at is not None and (horizon is None or job.due_at < horizon):
                heapq.heappush(queue, (job.due_at, job.id))
