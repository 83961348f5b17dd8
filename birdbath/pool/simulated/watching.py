"""Machines that look at their policies while jobs run on them: SUSPEND, CONTINUE and PREEMPT.

As HTCondor's startd with WANT_SUSPEND where SUSPEND is not simply false: a job is suspended first; whether it
runs or stands still, PREEMPT takes it off.
"""

from __future__ import annotations

from collections.abc import Iterable

from birdbath.events import JobEvent
from birdbath.pool.simulated import interruptions
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.machines import Slot, parent_name
from birdbath.pool.simulated.queued_job import FINISH, IMAGE, PAUSED, QueuedJob
from birdbath.pool.simulated.verdicts import Verdicts
from birdbath.store.unit_of_work import UnitOfWork


def watched_kinds(slots: Iterable[Slot]) -> frozenset[int]:
    """The kinds of slots whose policies have to be looked at."""
    return frozenset(
        slot.kind
        for slot in slots
        if slot.machine.description.preempt != "false" or slot.machine.description.suspend != "false"
    )


def watch(
    context: PoolContext,
    unit: UnitOfWork,
    table: JobTable,
    kinds: frozenset[int],
    verdicts: Verdicts,
    now: float,
) -> None:
    """Let the machines of these kinds act as their policies say, in the order of their jobs."""
    verdicts.begin(now)
    claimed = context.floor.read(unit).kinds
    claims = [claim for kind in kinds for claim in claimed.get(kind, {}).values()]
    for claim in sorted(claims, key=lambda claim: claim.job):
        slot, job = context.slots[parent_name(claim.slot)], table.load(claim.job)
        if job is not None and job.running and (events := _act(slot, job, verdicts, now)):
            context.settle(unit, table, job, events, now)


def _act(slot: Slot, job: QueuedJob, verdicts: Verdicts, now: float) -> list[JobEvent]:
    policy = slot.machine.description
    if policy.preempt != "false" and verdicts.wants("Preempt", policy.preempt, slot, job.ad, now):
        return interruptions.evict(job, now, "The machine's PREEMPT became true")
    if policy.suspend == "false":
        return []
    if job.phase == PAUSED:
        goes_on = verdicts.wants("Continue", policy.continue_, slot, job.ad, now)
        return interruptions.unsuspend(job, now) if goes_on else []
    if job.phase in (IMAGE, FINISH) and verdicts.wants("Suspend", policy.suspend, slot, job.ad, now):
        return interruptions.suspend(job, now, PAUSED)
    return []
