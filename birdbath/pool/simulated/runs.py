"""Starting and ending the runs of jobs: the lifecycle together with the sandbox."""

from __future__ import annotations

from birdbath.errors import BirdbathError
from birdbath.events import JobEvent
from birdbath.execution import Command, Ended
from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated import lifecycle, policies
from birdbath.pool.simulated.clock import LATEST
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.execution import (
    FAILED_TO_CREATE_PROCESS,
    OLD_SIZES,
    TRANSFER_INPUT_ERROR,
    CannotRun,
    Run,
    note_old_sizes,
    out_of_descriptors,
    plan_run,
    write_outputs,
)
from birdbath.pool.simulated.hosting import Hosting
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.lifecycle import Ending, Hold, Place
from birdbath.pool.simulated.machines import Slot
from birdbath.pool.simulated.policies import Verdict
from birdbath.pool.simulated.queued_job import IMAGE, QueuedJob
from birdbath.store.unit_of_work import UnitOfWork

TRANSFER_OUTPUT_ERROR = 12
WRITE_STEP = 16 * 1024 * 1024
"""So many bytes of a job's output are written in one unit of work, so that none holds up the others for long.
"""


class Runs:
    """The runs that one unit of work starts and ends.

    `put_off` says that some of it has to be tried again later, because too many files are open.
    """

    def __init__(
        self, context: PoolContext, unit: UnitOfWork, table: JobTable, now: float, hosting: Hosting
    ) -> None:
        self._context = context
        self._unit = unit
        self._table = table
        self.now = now
        self.put_off = False
        self._hosting = hosting

    def start(self, job_id: JobId, slot: Slot | None) -> bool:
        """Start an idle job on a slot (None: on the submit machine). False when it was held or put off
        instead, or is not idle.
        """
        job = self._table.load(job_id)
        if job is None or job.status is not JobStatus.IDLE:
            return False
        if slot is None and self._hosting.hosts(self._unit, job):
            self._settle(job, lifecycle.start(job, self._submit_machine(), self.now, None, 0.0, 0))
            return True
        place = self._submit_machine() if slot is None else slot.place
        command = None
        try:
            run = self._plan(job, place.slot)
            if self._context.local is not None:
                sandbox = self._context.files_of(self._unit, job)
                command = self._context.local.command(job.ad, sandbox, place.slot, place.memory)
        except CannotRun as refused:
            self._hold(job, refused.hold)
            return False
        except (OSError, BirdbathError) as error:
            self._refuse(job, error, Hold(f"Transfer input files failure: {error}", TRANSFER_INPUT_ERROR))
            return False
        job.slot = None if slot is None else slot.name
        if command is not None:
            self._execute(job, command, lifecycle.start(job, place, self.now, LATEST, LATEST, run.received))
            return True
        image_at = self.now + self._context.description.image_update_after
        ends_at = self.now + run.duration
        self._settle(job, lifecycle.start(job, place, self.now, ends_at, image_at, run.received))
        return True

    def _execute(self, job: QueuedJob, command: Command, events: list[JobEvent]) -> None:
        local = self._context.local
        assert local is not None
        local.start(self._unit, job, command, self._context.files_of(self._unit, job))
        self._settle(job, events)

    def take_up(self, job: QueuedJob, ended: Ended) -> None:
        """The process that a job ran as has ended."""
        if ended.error:
            reason = f"Error from {job.ad.string('RemoteHost')}: Failed to execute: {ended.error}"
            self._hold(job, Hold(reason, FAILED_TO_CREATE_PROCESS, ended.errno))
            return
        if ended.memory:
            job.ad.update({"ResidentSetSize_RAW": ended.memory, "ResidentSetSize": ended.memory})
        cpu = ended.user + ended.system
        received = job.ad.get("BytesRecvd")
        arrived = int(received) if isinstance(received, float) else 0
        self._settle(job, self._end(job, Ending(ended.exit_code, cpu, arrived, 0, ended.signal)))

    def go_on(self, job: QueuedJob) -> int:
        """Do what is due with a running job; returns how many bytes of output that wrote."""
        if job.phase == IMAGE:
            self._table.save(job, lifecycle.grow(job, self.now))
            return 0
        try:
            run = self._plan(job, job.ad.string("RemoteHost"))
            before = job.progress
            progress = self._write(job, run)
        except CannotRun as refused:
            self._hold(job, refused.hold)
            return 0
        except (OSError, BirdbathError) as error:
            self._refuse(job, error, Hold(f"Transfer output files failure: {error}", TRANSFER_OUTPUT_ERROR))
            return 0
        if progress is not None:
            job.progress = progress
            self._table.touch(job)
            return progress - before
        self._settle(job, self._end(job, Ending(run.exit_code, run.cpu, run.received, run.sent)))
        return run.sent - before

    def _plan(self, job: QueuedJob, slot: str) -> Run:
        default = self._context.description.default_runtime
        return plan_run(job.ad, self._context.files_of(self._unit, job), slot, self.now, default)

    def _write(self, job: QueuedJob, run: Run) -> int | None:
        """Write some of the run's output; the new progress, or None at its end."""
        if note_old_sizes(job.ad, run.appended):
            # They must be durable first: after a kill nothing else tells old content from new.
            self._table.save(job)
            return job.progress
        sandbox = self._context.files_of(self._unit, job)
        return write_outputs(self._unit, sandbox, run.outputs, job.progress, WRITE_STEP)

    def _end(self, job: QueuedJob, ending: Ending) -> list[JobEvent]:
        lifecycle.note_exit(job, ending)
        job.ad.delete(OLD_SIZES)
        decision = policies.on_exit(job.ad, self.now)
        if decision.verdict is Verdict.HOLD:
            return lifecycle.hold(job, self.now, decision.as_hold())
        if decision.verdict is Verdict.REQUEUE:
            return lifecycle.requeue(job, self.now, ending)
        return lifecycle.complete(job, self.now, ending)

    def _hold(self, job: QueuedJob, why: Hold) -> None:
        self._settle(job, lifecycle.hold(job, self.now, why))

    def _refuse(self, job: QueuedJob, error: Exception, why: Hold) -> None:
        if out_of_descriptors(error):
            self.put_off = True
        else:
            self._hold(job, why)

    def _settle(self, job: QueuedJob, events: list[JobEvent]) -> None:
        self._context.settle(self._unit, self._table, job, events, self.now)

    def _submit_machine(self) -> Place:
        identity = self._context.identity
        return Place(identity.name, 0, identity.machine, identity.sinful, 1, 1024, 1024 * 1024)
