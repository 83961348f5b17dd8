"""Starting and ending the runs of jobs: the lifecycle together with the sandbox."""

from __future__ import annotations

import errno
from math import inf, nextafter

from birdbath.errors import BirdbathError
from birdbath.events import JobEvent
from birdbath.execution import Command, Ended
from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated import interruptions, lifecycle, policies
from birdbath.pool.simulated.clock import LATEST
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.evaluation import evaluate_at
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
from birdbath.pool.simulated.fates import Cut, Fate, allowed, is_lasting
from birdbath.pool.simulated.fates import fate as fate_of
from birdbath.pool.simulated.hosting import Hosting
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.lifecycle import Ending, Hold
from birdbath.pool.simulated.policies import Verdict
from birdbath.pool.simulated.queued_job import (
    DEFERRED,
    DISCONNECTED,
    EXECUTING,
    FINISH,
    IMAGE,
    TRANSFER,
    Place,
    QueuedJob,
)
from birdbath.store.unit_of_work import UnitOfWork

TRANSFER_OUTPUT_ERROR = 12
MISSED_DEFERRED_TIME = 18
_HOLDS = {
    Cut.TRANSFER_FAILURE: Hold(
        "Transfer output files failure: the connection was lost", TRANSFER_OUTPUT_ERROR
    ),
    Cut.JOB_DURATION: Hold("The job exceeded allowed job duration", 46, evicts=False),
    Cut.EXECUTE_DURATION: Hold("The job exceeded allowed execute duration", 47, evicts=False),
}
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

    def start(
        self, job_id: JobId, place: Place | None, rank: float = 0.0, since: float | None = None
    ) -> bool:
        """Start an idle job at a place whose Rank of it is given, by a claim made at `since` (None: on the
        submit machine). False when it was held or put off instead, or is not idle.
        """
        job = self._table.load(job_id)
        if job is None or job.status is not JobStatus.IDLE:
            return False
        if place is None and self._hosting.hosts(self._unit, job):
            self._settle(job, lifecycle.start(job, self._submit_machine(), self.now, None, 0.0, 0))
            return True
        where = place or self._submit_machine()
        command = None
        try:
            fate = self._plan(job, where.slot)
            run, begins = fate.run, self._deferred(job)
            if self._context.local is not None:
                sandbox = self._context.files_of(self._unit, job)
                command = self._context.local.command(job.ad, sandbox, where.slot, where.memory)
        except CannotRun as refused:
            self._hold(job, refused.hold)
            return False
        except (OSError, BirdbathError) as error:
            self._refuse(job, error, Hold(f"Transfer input files failure: {error}", TRANSFER_INPUT_ERROR))
            return False
        if place is not None:
            job.claim(place, self.now if since is None else since, rank)
        if command is not None:
            events = lifecycle.start(job, where, self.now, LATEST, LATEST, run.received)
            if begins > self.now:
                job.phase, job.due_at = DEFERRED, begins
                self._settle(job, events)
            else:
                self._execute(job, command, events)
            return True
        image_at = begins + self._context.description.image_update_after
        ends_at = begins + run.duration
        started = lifecycle.start(job, where, self.now, ends_at, image_at, run.received)
        self._see(job, run, begins, -inf)
        self._settle(job, started)
        return True

    def _execute(self, job: QueuedJob, command: Command, events: list[JobEvent]) -> None:
        local, limit = self._context.local, allowed(job.ad, self.now)
        assert local is not None
        until = None if limit is None else self.now + limit[0]
        local.start(self._unit, job, command, self._context.files_of(self._unit, job), until)
        self._settle(job, events)

    def _go_on_executing(self, job: QueuedJob) -> None:
        """Start the program of a deferred job, or stop one that has run as long as it may."""
        local, limit = self._context.local, allowed(job.ad, self.now)
        if local is None:
            self._settle(job, interruptions.evict(job, self.now, "The server executes no more"))
        elif job.phase == EXECUTING:
            assert limit is not None
            self._settle(job, self._cut(job, limit[1]))
        else:
            try:
                sandbox = self._context.files_of(self._unit, job)
                memory = job.memory or self._submit_machine().memory
                command = local.command(job.ad, sandbox, job.ad.string("RemoteHost"), memory)
            except CannotRun as refused:
                self._hold(job, refused.hold)
            else:
                job.ad.set("JobCurrentStartExecutingDate", int(self.now))
                self._execute(job, command, [])

    def take_up(self, job: QueuedJob, ended: Ended) -> None:
        """The process that a job ran as has ended."""
        if ended.error:
            reason = f"Error from {job.ad.string('RemoteHost')}: Failed to execute: {ended.error}"
            self._hold(job, Hold(reason, FAILED_TO_CREATE_PROCESS, ended.errno))
            return
        if (missing := self._missing_output(job)) is not None:
            reason = (
                f"Transfer output files failure at execution point {job.ad.string('RemoteHost')}. Details: "
                f"1 total failures: first failure: reading from file {missing}: "
                "(errno 2) No such file or directory"
            )
            self._hold(job, Hold(reason, TRANSFER_OUTPUT_ERROR, errno.ENOENT))
            return
        if ended.memory:
            job.ad.update({"ResidentSetSize_RAW": ended.memory, "ResidentSetSize": ended.memory})
        cpu = ended.user + ended.system
        received = job.ad.get("BytesRecvd")
        arrived = int(received) if isinstance(received, float) else 0
        self._settle(job, self._end(job, Ending(ended.exit_code, cpu, arrived, 0, ended.signal)))

    def _missing_output(self, job: QueuedJob) -> str | None:
        """The first of the files that the job is to give back and has not written, or whose folder is not
        there.
        """
        if job.ad.string("ShouldTransferFiles").upper() == "NO":
            return None
        names = [name.strip().removeprefix("./") for name in job.ad.string("TransferOutput").split(",")]
        wanted = [name for name in names if name and not name.startswith("/")]
        if not wanted:
            return None
        present = {entry.name for entry in self._context.files_of(self._unit, job).entries()} | {".", ".."}
        return next((name for name in wanted if name.split("/")[0] not in present), None)

    def go_on(self, job: QueuedJob) -> int:
        """Do what is due with a running job; returns how many bytes of output that wrote."""
        if job.phase in (DEFERRED, EXECUTING):
            self._go_on_executing(job)
            return 0
        if job.phase == DISCONNECTED:
            self._settle(job, interruptions.give_up_reconnecting(job, self.now))
            return 0
        try:
            fate = self._plan(job, job.ad.string("RemoteHost"))
            if job.phase in (IMAGE, FINISH) and self.now < (job.ends_at or 0.0):
                return self._look_on(job, fate.run)
            if fate.cut is not None:
                self._settle(job, self._cut(job, fate.cut))
                return 0
            run = fate.run
            if job.phase == TRANSFER:
                self._settle(job, interruptions.output_arrived(job, self.now) + self._end(job, _ending(fate)))
                return 0
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
        takes = self._context.description.transfer_output
        if takes > 0 and job.slot:
            self._settle(job, interruptions.send_output(job, self.now, takes))
        else:
            self._settle(job, self._end(job, _ending(fate)))
        return run.sent - before

    def _see(self, job: QueuedJob, run: Run, begun: float, seen: float) -> None:
        """Let the running job be due earlier if its output grows before, after what was `seen`."""
        grows = run.live.next_after(begun, seen) if run.live is not None else None
        if grows is not None and job.due_at is not None:
            job.due_at = min(job.due_at, grows)

    def _look_on(self, job: QueuedJob, run: Run) -> int:
        """Do what is due in the midst of a run: its size is reported, or its output has grown."""
        begun = (job.ends_at or 0.0) - run.duration
        image_at = begun + self._context.description.image_update_after
        if job.phase == IMAGE and (run.live is None or self.now >= image_at):
            events = lifecycle.grow(job, self.now)
            self._see(job, run, begun, nextafter(self.now, -inf))
            self._settle(job, events)
            return 0
        if run.live is None:
            job.due_at = job.ends_at
            self._table.touch(job)
            return 0
        if note_old_sizes(job.ad, run.appended):
            self._table.save(job)  # it is due again at once, when that is durable
            return 0
        sandbox, written = self._context.files_of(self._unit, job), run.live.by(begun, self.now)
        for name, data in written.items():
            sandbox.replace(self._unit, name, data)
        job.due_at = image_at if job.phase == IMAGE else job.ends_at
        self._see(job, run, begun, self.now)
        self._table.touch(job)
        return sum(map(len, written.values()))

    def _plan(self, job: QueuedJob, slot: str) -> Fate:
        description, number = self._context.description, job.ad.integer("NumJobStarts") - job.running
        sandbox, fates = self._context.files_of(self._unit, job), self._context.fates
        known = fates.get(job.id)
        if known is not None and known[:2] == (number, slot) and not sandbox.exists():
            return known[2]
        run = plan_run(job.ad, sandbox, slot, self.now, description.default_runtime)
        found = fate_of(description, job.ad, job.id, number, run, self.now)
        if is_lasting(job.ad, found):
            fates[job.id] = number, slot, found
        return found

    def _cut(self, job: QueuedJob, cut: Cut) -> list[JobEvent]:
        """End a run before its time."""
        if cut is Cut.EVICTION:
            return interruptions.evict(job, self.now, "The slot was wanted back")
        if cut is Cut.SHADOW_EXCEPTION:
            return interruptions.shadow_exception(job, self.now, "Error from simulated starter: it went away")
        return lifecycle.hold(job, self.now, _HOLDS[cut])

    def _deferred(self, job: QueuedJob) -> float:
        """When the program begins: now, or at the DeferralTime. Raises CannotRun when that is over."""
        wanted = evaluate_at(job.ad, "DeferralTime", self.now)
        if not isinstance(wanted, int | float) or isinstance(wanted, bool):
            return self.now
        window = evaluate_at(job.ad, "DeferralWindow", self.now)
        late = self.now - wanted
        if late > (window if isinstance(window, int | float) else 0):
            raise CannotRun(MISSED_DEFERRED_TIME, 0, "Job missed deferred execution time")
        return max(self.now, float(wanted))

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
        if decision.verdict is Verdict.REMOVE:
            return lifecycle.remove(job, self.now, decision.reason, evicts=False)
        if decision.verdict is Verdict.REQUEUE:
            return lifecycle.requeue(job, self.now, ending, decision.reason)
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


def _ending(fate: Fate) -> Ending:
    run = fate.run
    return Ending(run.exit_code, run.cpu, run.received, run.sent, fate.signal)
