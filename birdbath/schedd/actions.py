"""Hold, release, remove and closeSpool, at once or when the transaction commits (reference sections 3.10 to
3.17).

Inside a transaction an action is checked against what the job's state will be by then, recorded, and done at
commit.
"""

from __future__ import annotations

from dataclasses import asdict

from birdbath.errors import BirdbathError, UnknownJob, WrongJobStatus
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.schedd import staging
from birdbath.schedd.context import ScheddContext
from birdbath.schedd.staging import StagedAction
from birdbath.schedd.transactions import Lease

CLOSE_SPOOL = "close"
SMALL_CLUSTER = 50

_REFUSED = {
    JobAction.HOLD: "Failed to hold job.",
    JobAction.RELEASE: "Failed to release job.",
    JobAction.REMOVE: "Failed to abort the job.",
}


def act(
    context: ScheddContext, lease: Lease | None, action: JobAction, job: JobId, details: ActionDetails
) -> None:
    """Do `action` now, or stage it. Raises BirdbathError (FAIL) when the job is unknown or its state forbids
    it.
    """
    context.check_writable(_REFUSED[action])
    context.check_owner(job)
    if lease is None:
        _act_now(context, action, job, details)
        return
    held = _will_be_held(context, lease, job)
    if held is None or _is_refused(action, held):
        raise BirdbathError(_REFUSED[action])
    _stage(context, lease, action, job, details)


def _act_now(context: ScheddContext, action: JobAction, job: JobId, details: ActionDetails) -> None:
    try:
        context.queue.act(context.unit, action, job, details)
    except (UnknownJob, WrongJobStatus):
        raise BirdbathError(_REFUSED[action]) from None


def remove_cluster(context: ScheddContext, lease: Lease | None, cluster: int, reason: str | None) -> None:
    """Remove every job of a cluster, all or none.

    An unauthenticated caller is told SUCCESS when there is none; an authenticated one FAIL.
    """
    context.check_writable("Failed to remove the cluster")
    jobs = context.queue.cluster_jobs(context.unit, cluster)
    if lease is not None:
        jobs = jobs + staging.cluster_jobs(context.unit, lease.id, cluster)
    if not jobs and context.caller.account is not None:
        raise BirdbathError("Cluster not found")
    context.expect(small=len(jobs) <= SMALL_CLUSTER)
    details = ActionDetails(reason=reason, cluster=True)
    with context.unit.savepoint():
        for job in jobs:
            context.check_owner(job)
            if lease is None:
                _act_now(context, JobAction.REMOVE, job, details)
            else:
                _stage(context, lease, JobAction.REMOVE, job, details)


def close_spool(context: ScheddContext, lease: Lease | None, job: JobId) -> None:
    """Note that the client has all it wants of the job's files. Raises BirdbathError (FAIL) for an unknown
    job.
    """
    context.check_writable("Failed to close the spool directory")
    context.check_owner(job)
    if lease is None:
        _close_now(context, job)
    elif _will_be_held(context, lease, job) is None:
        raise BirdbathError("The job is unknown")
    else:
        _stage(context, lease, CLOSE_SPOOL, job)


def _close_now(context: ScheddContext, job: JobId) -> None:
    try:
        context.queue.collected(context.unit, job)
    except UnknownJob:
        raise BirdbathError("The job is unknown") from None


def apply_staged(context: ScheddContext, actions: list[StagedAction]) -> None:
    """Do at commit what was staged. A job that has left the queue, or changed state, meanwhile is passed
    over.
    """
    for staged in actions:
        try:
            if staged.action == CLOSE_SPOOL:
                context.queue.collected(context.unit, staged.job)
            else:
                details = ActionDetails(**staged.arguments)
                context.queue.act(context.unit, JobAction(staged.action), staged.job, details)
        except (UnknownJob, WrongJobStatus):
            continue


def _stage(
    context: ScheddContext, lease: Lease, action: str, job: JobId, details: ActionDetails | None = None
) -> None:
    arguments = {} if details is None else asdict(details)
    staging.add_action(context.unit, lease.id, StagedAction(str(action), job, arguments))
    if action == JobAction.REMOVE:
        staging.remove_job(context.unit, job)


def _is_refused(action: JobAction, held: bool) -> bool:
    return held if action is JobAction.HOLD else action is JobAction.RELEASE and not held


def _will_be_held(context: ScheddContext, lease: Lease, job: JobId) -> bool | None:
    """Whether the job will be Held once the staged actions are done; None for an unknown job."""
    ad = staging.job_ad(context.unit, lease.id, job) or context.queue.job_ad(context.unit, job)
    if ad is None:
        return None
    held = ad.get("JobStatus") == JobStatus.HELD
    for earlier in staging.actions_on(context.unit, lease.id, job):
        if earlier.action != CLOSE_SPOOL:
            held = earlier.action == JobAction.HOLD
    return held
