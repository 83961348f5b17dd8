"""OtherJobRemoveRequirements: when a job that has it ends, other jobs of its owner are removed.

As a schedd does it: the attribute is a text (or an expression that gives one), a constraint; when the job is
removed or completed, all jobs of the same owner for which it is true, and that are not over themselves, are
removed, and theirs in turn. Jobs that are submitted later are not.

The constraint comes from a client and is evaluated while others wait, in all jobs of an owner. So it has the
limits of any expression of a client, at most `MOST` jobs are looked at in one go, fewer when that costs as
much as one expression may, and the rest is due `PAUSE` later; of each owner one constraint at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import orjson
from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from birdbath.classads import Ad, Attribute, Constraint, Costs, is_true
from birdbath.classads.limits import limits
from birdbath.errors import InvalidAd
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated.evaluation import closure, compiled_at, evaluate_at, words
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.store.tables import jobs, simulated_jobs, simulated_removals
from birdbath.store.unit_of_work import UnitOfWork

ATTRIBUTE = "OtherJobRemoveRequirements"
MOST = 200
PAUSE = 0.1
"""Seconds of pool time."""

_LONGEST_QUOTED = 1000
"""Characters of the constraint that are told in each RemoveReason."""
_ENDINGS = frozenset({EventType.JOB_TERMINATED, EventType.JOB_ABORTED})

_r, _s = simulated_removals.c, simulated_jobs.c
_OF_JOB = (_r.cluster_id == bindparam("cluster"), _r.proc_id == bindparam("proc"))
_KNOWN = select(_r.cluster_id).where(*_OF_JOB)
_WAITING = (
    select(_r.cluster_id, _r.proc_id)
    .where(_r.owner == bindparam("of"))
    .order_by(_r.cluster_id, _r.proc_id)
    .limit(1)
)
_NEWEST = select(func.max(_s.cluster_id).label("cluster"))
_ADD = insert(simulated_removals)
_NEXT_DUE = select(_r.due_at).where(_r.due_at.is_not(None)).order_by(_r.due_at).limit(1)
_DUE = (
    select(simulated_removals)
    .where(_r.due_at <= bindparam("now"))
    .order_by(_r.due_at, _r.cluster_id, _r.proc_id)
    .limit(1)
)
_GO_ON = (
    update(simulated_removals)
    .where(*_OF_JOB)
    .values(due_at=bindparam("due"), seen_cluster=bindparam("seen"), seen_proc=bindparam("seen_of_it"))
)
_SCHEDULE = update(simulated_removals).where(*_OF_JOB).values(due_at=bindparam("due"))
_DONE = delete(simulated_removals).where(*_OF_JOB)
_CANDIDATES = (
    select(jobs.c.cluster_id, jobs.c.proc_id, jobs.c.ad)
    .join_from(simulated_jobs, jobs, and_(jobs.c.cluster_id == _s.cluster_id, jobs.c.proc_id == _s.proc_id))
    .where(
        or_(
            _s.cluster_id > bindparam("seen"),
            and_(_s.cluster_id == bindparam("seen"), _s.proc_id > bindparam("seen_of_it")),
        ),
        _s.cluster_id <= bindparam("last"),
        jobs.c.owner == bindparam("of"),
        jobs.c.status != int(JobStatus.REMOVED),
        jobs.c.status != int(JobStatus.COMPLETED),
    )
    .order_by(_s.cluster_id, _s.proc_id)
    .limit(MOST)
)


def note(unit: UnitOfWork, job: QueuedJob, events: Iterable[JobEvent], now: float) -> bool:
    """Let others be removed, beginning at pool time `now`, if by these events a job ended that wants it;
    whether it does.
    """
    if not any(event.type in _ENDINGS for event in events) or ATTRIBUTE not in job.ad:
        return False
    if job.status is JobStatus.REMOVED and job.ad.integer("LastJobStatus") == JobStatus.COMPLETED:
        return False  # it did when it was completed
    text = evaluate_at(job.ad, ATTRIBUTE, now)
    key = {"cluster": job.id.cluster, "proc": job.id.proc}
    if not isinstance(text, str) or _constraint(text) is None or unit.first(_KNOWN, key) is not None:
        return False
    newest = unit.first(_NEWEST)
    values = {"cluster_id": job.id.cluster, "proc_id": job.id.proc, "owner": job.owner, "requirements": text}
    values |= {"last_cluster": job.id.cluster if newest is None else newest.cluster or job.id.cluster}
    first = unit.first(_WAITING, {"of": job.owner}) is None
    values |= {"due_at": now if first else None, "seen_cluster": 0, "seen_proc": -1}
    unit.execute(_ADD, values)
    return True


def next_due(unit: UnitOfWork) -> float:
    """When the next jobs are to be looked at; infinity for never."""
    row = unit.first(_NEXT_DUE)
    return inf if row is None else float(row.due_at)


def take(unit: UnitOfWork, now: float) -> tuple[list[JobId], str]:
    """Look at the next jobs that are due by `now`: those that are to be removed, and why."""
    row = unit.first(_DUE, {"now": now})
    if row is None:
        return [], ""
    key = {"cluster": row.cluster_id, "proc": row.proc_id}
    constraint, place = _constraint(row.requirements), {"seen": row.seen_cluster, "seen_of_it": row.seen_proc}
    wanted = {**place, "last": row.last_cluster, "of": row.owner}
    candidates = unit.execute(_CANDIDATES, wanted)
    found: list[JobId] = []
    more, spent = len(candidates) == MOST, 0.0
    for cluster, proc, text in candidates:
        if constraint is None or spent > limits().cost:  # none any more: the limits are lower now
            more = constraint is not None
            break
        selects, cost = _selects(constraint, text, now)
        spent += cost
        if selects:
            found.append(JobId(cluster, proc))
        place = {"seen": cluster, "seen_of_it": proc}
    if more:
        unit.execute(_GO_ON, {**key, **place, "due": now + PAUSE})
    else:
        unit.execute(_DONE, key)
        following = unit.first(_WAITING, {"of": row.owner})
        if following is not None:
            due = {"cluster": following.cluster_id, "proc": following.proc_id, "due": now + PAUSE}
            unit.execute(_SCHEDULE, due)
    return found, _reason(row.requirements, JobId(row.cluster_id, row.proc_id))


def _constraint(text: str) -> Constraint | None:
    """What a text means; None when it is no constraint, or empty, which would select everything."""
    try:
        return Constraint(text) if text.strip() else None
    except InvalidAd:
        return None


def _selects(constraint: Constraint, text: str, now: float) -> tuple[bool, float]:
    """Whether the constraint selects the ad of this JSON text, and what finding out may have cost."""
    attributes: list[Attribute] = orjson.loads(text)
    cost = constraint.cost(Costs(attributes))
    if cost > limits().cost:
        return False, 0.0
    scope = compiled_at(closure(Ad(attributes), words(constraint.text)), now)
    return is_true(constraint.evaluator()(scope)), cost


def _reason(text: str, job: JobId) -> str:
    quoted = text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}..."
    return f"removed because <{ATTRIBUTE} = {quoted}> fired when job ({job}) was removed"
