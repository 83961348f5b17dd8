"""The job queue of the simulated pool: the Pool contract's JobQueue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from birdbath.classads import Ad, AdList, AdRecord, Constraint
from birdbath.errors import UnknownJob, WrongJobStatus
from birdbath.events import JobEvent
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus, NewJob, Part
from birdbath.pool.simulated import interruptions, lifecycle, materialization
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.history import JobHistory
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.materialization import is_late
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.store.sandbox import Sandbox
from birdbath.store.tables import jobs
from birdbath.store.unit_of_work import UnitOfWork

_AD = select(jobs.c.ad).where(
    jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc"), jobs.c.in_queue
)
_CLUSTER = (
    select(jobs.c.cluster_id, jobs.c.proc_id)
    .where(jobs.c.cluster_id == bindparam("cluster"), jobs.c.in_queue)
    .order_by(jobs.c.proc_id)
)
_USER_REQUEST = 1


class SimulatedQueue:
    """See `pool.base.JobQueue`."""

    def __init__(self, context: PoolContext, history: JobHistory) -> None:
        self._context = context
        self._history = history

    def reserve_cluster(self, unit: UnitOfWork) -> int:
        return unit.advance_reserved("cluster")

    def accept(self, unit: UnitOfWork, jobs: Sequence[NewJob]) -> None:
        context = self._context
        now = context.now()
        table = context.table(unit)
        late = [new for new in jobs if is_late(new.ad)]
        sizes = Counter(new.id.cluster for new in jobs)
        for new in late:
            new.ad.set(materialization.TOTAL, sizes[new.id.cluster])
        for first in {new.id.cluster: new for new in reversed(late)}.values():
            came = materialization.cluster_came(first, context.identity.sinful, now)
            context.report(unit, table, first, came)
        materialization.wait(unit, late)
        for new in jobs:
            if not is_late(new.ad):
                context.enqueue(unit, table, new, now)
        table.flush()
        context.materialize(unit, table, {new.id.cluster for new in late}, now)
        context.negotiate_soon(unit, now + context.description.cycle_delay)

    def query(self, constraint: Constraint, now: float, part: Part | None = None) -> AdList:
        return AdList(self._context.mirror.select(constraint, now), int(now))

    def listing(self, constraint: Constraint, now: float) -> AdList:
        return self.query(constraint, now)

    def job(self, job: JobId) -> AdRecord | None:
        return self._context.mirror.get(job)

    def history(self, constraint: Constraint, before: JobId | None, most: int, now: float) -> AdList:
        return AdList(self._history.select(constraint, before, most, now), int(now))

    def count(self, owner: str | None = None) -> int:
        return self._context.mirror.count(owner)

    def job_ad(self, unit: UnitOfWork, job: JobId) -> Ad | None:
        row = unit.first(_AD, {"cluster": job.cluster, "proc": job.proc})
        return None if row is None else Ad.from_json(row[0])

    def cluster_jobs(self, unit: UnitOfWork, cluster: int) -> list[JobId]:
        return [JobId(row[0], row[1]) for row in unit.execute(_CLUSTER, {"cluster": cluster})]

    def act(self, unit: UnitOfWork, action: JobAction, job: JobId, details: ActionDetails) -> None:
        context = self._context
        now = context.now()
        table = context.table(unit)
        queued = self._load(table, job)
        was_running = queued.running
        events = _ACTIONS[action](queued, now, details)
        context.settle(unit, table, queued, events, now)
        if action is JobAction.REMOVE and details.force and table.load(job) is not None:
            context.leave(unit, table, queued)
        if action is JobAction.REMOVE and details.cluster and is_late(queued.ad):
            for waiting in materialization.give_up(unit, job.cluster):
                unit.after_commit(context.sandbox(waiting).remove)
        table.flush()
        context.report_gone(unit, table, now)
        self._note_late(table)
        if was_running or table.late or action is JobAction.RELEASE:
            context.negotiate_soon(unit, now)

    def collected(self, unit: UnitOfWork, job: JobId) -> None:
        table = self._context.table(unit)
        queued = self._load(table, job)
        queued.ad.set("FilesRetrieved", True)
        self._context.settle(unit, table, queued, (), self._context.now())
        table.flush()
        self._context.report_gone(unit, table, self._context.now())
        self._note_late(table)
        if table.late:
            self._context.negotiate_soon(unit, self._context.now())

    def _note_late(self, table: JobTable) -> None:
        """Others may be materialized, but not before all that is done at once is done: the next cycle sees to
        it.
        """
        self._context.late |= table.late

    def sandbox(self, job: JobId) -> Sandbox:
        return self._context.sandbox(job)

    def fetch(self, job: JobId) -> None:
        """It is there: the pool's programs write into the sandbox."""

    def software(self) -> tuple[str, str]:
        return "", ""

    def reschedule(self) -> None:
        self._context.asked = True
        self._context.kick_now()

    def time(self) -> float:
        return self._context.clock.time()

    @staticmethod
    def _load(table: JobTable, job: JobId) -> QueuedJob:
        queued = table.load(job)
        if queued is None:
            raise UnknownJob(f"Job {job} is not in the queue")
        return queued


def _hold(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    if job.status is JobStatus.HELD:
        raise WrongJobStatus(f"Job {job.id} is held already")
    why = lifecycle.Hold(
        details.reason,
        _USER_REQUEST,
        system=details.system_hold,
        email_user=details.email_user,
        email_admin=details.email_admin,
    )
    return lifecycle.hold(job, now, why)


def _release(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    if job.status is not JobStatus.HELD:
        raise WrongJobStatus(f"Job {job.id} is not held")
    return lifecycle.release(job, now, details)


def _remove(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    return lifecycle.remove(job, now, details.reason)


def _suspend(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    if job.status is not JobStatus.RUNNING or not job.slot:
        raise WrongJobStatus(f"Job {job.id} does not run")
    return interruptions.suspend(job, now)


def _continue(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    if job.status is not JobStatus.SUSPENDED:
        raise WrongJobStatus(f"Job {job.id} is not suspended")
    return interruptions.unsuspend(job, now)


def _vacate(job: QueuedJob, now: float, details: ActionDetails) -> list[JobEvent]:
    if not job.running or not job.slot:
        raise WrongJobStatus(f"Job {job.id} does not run")
    return interruptions.evict(job, now, details.reason or "via condor_vacate_job")


_ACTIONS = {
    JobAction.HOLD: _hold,
    JobAction.RELEASE: _release,
    JobAction.REMOVE: _remove,
    JobAction.SUSPEND: _suspend,
    JobAction.CONTINUE: _continue,
    JobAction.VACATE: _vacate,
}
