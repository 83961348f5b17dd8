"""Calling the programs that run inside the pool: see `hosted` for the contract."""

from __future__ import annotations

from birdbath.events import JobEvent
from birdbath.pool.base import JobQueue, JobStatus
from birdbath.pool.simulated import lifecycle
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.hosted import Host, Program, ProgramTable, any_notices, take_notices
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.lifecycle import Ending
from birdbath.pool.simulated.policies import Verdict, on_exit
from birdbath.pool.simulated.queued_job import FINISH, LINGERING, STOPPING, QueuedJob
from birdbath.store.unit_of_work import UnitOfWork


class Hosting:
    """The programs of one pool."""

    def __init__(self, context: PoolContext, programs: ProgramTable, queue: JobQueue) -> None:
        self._context = context
        self._programs = programs
        self._queue = queue

    def hosts(self, unit: UnitOfWork, job: QueuedJob) -> bool:
        """Whether a job that is about to start on the submit machine is run by a program of this kind."""
        return self._programs.factory(job.ad, self._context.files_of(unit, job)) is not None

    def go_on(self, unit: UnitOfWork, table: JobTable, job: QueuedJob, now: float) -> None:
        """Start, wake or stop the job's program. Everything in `table` was flushed before."""
        host = Host(job.id, job.ad, self._context.files_of(unit, job), unit, self._queue, now)
        program = self._programs.find(host)
        if program is None:  # the program that started it is not known any more
            host.exit_code = None if job.phase == STOPPING else 1
        else:
            self._call(job, host, program)
            self._programs.keep(host, program)
        self._after(unit, table, job, host, now)

    def _call(self, job: QueuedJob, host: Host, program: Program) -> None:
        notices = take_notices(host.unit, job.id)
        if job.phase == STOPPING and job.progress == LINGERING:
            program.wake(host, notices)
        elif job.phase == STOPPING:
            program.stop(host)
        elif job.ad.integer("JobRunCount") != job.progress:
            job.progress = job.ad.integer("JobRunCount")
            program.start(host)
        else:
            program.wake(host, notices)

    def _after(self, unit: UnitOfWork, table: JobTable, job: QueuedJob, host: Host, now: float) -> None:
        """Save the job as its program left it; what it did to its own jobs came in tables of its own."""
        table.forget_loaded(job)
        events: list[JobEvent] = []
        if job.phase == STOPPING and self._lingers(job, host):
            job.progress = LINGERING
            job.due_at = now if any_notices(unit, job.id) else host.wake
        elif job.phase == STOPPING:
            job.phase = job.due_at = None
            job.progress = 0
        elif host.exit_code is not None:
            events = self._end(job, host.exit_code, now)
        else:
            # Events of its own doing are news as well.
            job.due_at = now if any_notices(unit, job.id) else host.wake
        self._context.settle(unit, table, job, events, now)

    @staticmethod
    def _lingers(job: QueuedJob, host: Host) -> bool:
        began = host.lingers or job.progress == LINGERING
        return began and job.status is JobStatus.REMOVED and host.exit_code is None

    @staticmethod
    def _end(job: QueuedJob, exit_code: int, now: float) -> list[JobEvent]:
        ending = Ending(exit_code)
        lifecycle.note_exit(job, ending)
        decision = on_exit(job.ad, now)
        job.phase = FINISH  # it need not be stopped any more
        if decision.verdict is Verdict.HOLD:
            return lifecycle.hold(job, now, decision.as_hold())
        if decision.verdict is Verdict.REMOVE:
            return lifecycle.remove(job, now, decision.reason, evicts=False)
        if decision.verdict is Verdict.REQUEUE:
            return lifecycle.requeue(job, now, ending, decision.reason)
        return lifecycle.complete(job, now, ending)
