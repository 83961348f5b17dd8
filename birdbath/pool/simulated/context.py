"""What the parts of one simulated pool share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import bindparam, select

from birdbath.classads import Ad, AdMemory
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import JobId, JobStatus, NewJob
from birdbath.pool.simulated import lifecycle, materialization, other_removals
from birdbath.pool.simulated.accountant import Accountant
from birdbath.pool.simulated.autoclusters import Autoclusters
from birdbath.pool.simulated.clock import Clock
from birdbath.pool.simulated.description import PoolDescription, PoolIdentity
from birdbath.pool.simulated.fates import Fate
from birdbath.pool.simulated.fitness import unfitness
from birdbath.pool.simulated.floor import Floor
from birdbath.pool.simulated.hosted import ProgramTable
from birdbath.pool.simulated.job_table import Charge, JobTable
from birdbath.pool.simulated.local_runs import LocalRuns
from birdbath.pool.simulated.machines import Machine, Slot
from birdbath.pool.simulated.mirror import QueueMirror
from birdbath.pool.simulated.policies import next_evaluation, stays_in_queue
from birdbath.pool.simulated.queued_job import STOPPING, QueuedJob
from birdbath.pool.simulated.state import negotiate_by, read_state
from birdbath.pool.simulated.user_log import forget_user_logs, write_user_log
from birdbath.store.sandbox import Sandbox, Spool
from birdbath.store.tables import jobs
from birdbath.store.unit_of_work import UnitOfWork

SCHEDULER_UNIVERSE = 7
_DEEPEST_DAG = 30
_OWNED = select(jobs.c.ad).where(
    jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == 0, jobs.c.owner == bindparam("owner")
)


@dataclass
class PoolContext:
    """The parts themselves, and notes that a restart may lose.

    `kick`: whom to tell of news; `asked`: somebody wants a negotiation cycle; `promised`: until when the
    driver waits; `instant`: the pool time of what the engine does at this moment; `fates`: what was found
    to become of running jobs, by the number of the run and the slot; `late`: clusters of which jobs may be
    materialized, as `JobTable.late`, at the next cycle; `crowded`: such clusters when this instant's runs are
    through.
    """

    description: PoolDescription
    identity: PoolIdentity
    clock: Clock
    spool: Spool
    memory: AdMemory
    mirror: QueueMirror
    slots: dict[str, Slot]
    started: float
    programs: ProgramTable
    machines: list[Machine]
    local: LocalRuns | None = None
    autoclusters: Autoclusters = field(init=False)
    floor: Floor = field(init=False)
    accountant: Accountant = field(init=False)
    kick: Callable[[], None] = field(default=lambda: None)
    asked: bool = False
    late: set[int] = field(default_factory=set)
    crowded: set[int] = field(default_factory=set)
    promised: float | None = None
    fates: dict[JobId, tuple[int, str, Fate]] = field(default_factory=dict)
    instant: float | None = None

    def __post_init__(self) -> None:
        kinds = {slot.kind: slot.ad for slot in self.slots.values()}
        schedds = [schedd.name for schedd in self.description.schedds]
        self.autoclusters = Autoclusters(kinds.values(), schedds, self.description.uid_domain)
        self.floor = Floor(self.slots)
        self.accountant = Accountant(self.description)

    def table(self, unit: UnitOfWork) -> JobTable:
        """The jobs of the queue as `unit` sees and changes them, now."""
        return JobTable(unit, self.autoclusters.lane, self, self.now())

    def submitter(self, ad: Ad) -> str:
        """Who is charged for a job."""
        return self.autoclusters.submitter(ad)

    def change(self, unit: UnitOfWork, moved: Sequence[QueuedJob], charges: Sequence[Charge]) -> None:
        """See `job_table.Claims`."""
        self.accountant.charge(unit, charges)
        self.accountant.follow(self.floor.change(unit, moved))

    def now(self) -> float:
        """The pool time at which a unit of work does what it does."""
        return self.clock.time() if self.instant is None else self.instant

    def sandbox(self, job: JobId) -> Sandbox:
        """The job's sandbox; it need not exist."""
        return self.spool.sandbox(job.cluster, job.proc)

    def files_of(self, unit: UnitOfWork, job: QueuedJob) -> Sandbox:
        """The sandbox that has the job's files, see `home_of`."""
        return self.sandbox(self.home_of(unit, job))

    def home_of(self, unit: UnitOfWork, job: QueuedJob) -> JobId:
        """The job whose sandbox has the job's files: it itself, or for a DAG's jobs the outermost DAGMan.

        A job belongs to a DAG when its DAGManJobId is a scheduler-universe job of the same owner.
        """
        found, ad = job.id, job.ad
        for _ in range(_DEEPEST_DAG):
            parent = JobId(ad.integer("DAGManJobId"), 0)
            row = (
                unit.first(_OWNED, {"cluster": parent.cluster, "owner": job.owner})
                if parent.cluster
                else None
            )
            if row is None:
                break
            ad = Ad.from_json(row[0])
            if ad.integer("JobUniverse") != SCHEDULER_UNIVERSE:
                break
            found = parent
        return found

    def enqueue(self, unit: UnitOfWork, table: JobTable, new: NewJob, now: float) -> None:
        """Put a new job into the queue, with its submit event."""
        job = QueuedJob(new.id, new.ad.string("Owner"), new.ad)
        table.add(job)
        events = lifecycle.submit(job, now, self.identity.sinful, self.identity.name)
        why = unfitness(job.ad) if job.status is JobStatus.IDLE else None
        if why is not None:
            events += lifecycle.hold(job, now, why)
        self.settle(unit, table, job, events, now)

    def materialize(self, unit: UnitOfWork, table: JobTable, late: Iterable[int], now: float) -> bool:
        """Let jobs of these clusters (see `JobTable.late`) into the queue for which there is room; whether
        any came. Everything in `table` was flushed before, and is again.
        """
        came = False
        for cluster in sorted(late):
            while found := materialization.enter(unit, cluster, now):
                came = True
                for new in found:
                    self.enqueue(unit, table, new, now)
                table.flush()
        self.report_gone(unit, table, now)
        table.late.clear()
        return came

    def report_gone(self, unit: UnitOfWork, table: JobTable, now: float) -> None:
        """Say of which clusters that are materialized late the last job has left, as flushed."""
        for cluster in sorted(table.thinned):
            last = materialization.last_of_gone(unit, cluster)
            if last is not None:
                self.report(unit, table, last, materialization.cluster_went(last, now))
        table.thinned.clear()
        table.flush()

    def report(self, unit: UnitOfWork, table: JobTable, new: NewJob, event: JobEvent) -> None:
        """Log an event of the whole cluster; in the user log of `new` as well, if that job is or its log
        outlives it.
        """
        table.report(event)
        job = QueuedJob(new.id, event.owner, new.ad)
        home = self.home_of(unit, job)
        if event.type is EventType.CLUSTER_SUBMIT or home != new.id:
            write_user_log(unit, home, self.sandbox(home), job, (event,))

    def settle(
        self, unit: UnitOfWork, table: JobTable, job: QueuedJob, events: Iterable[JobEvent], now: float
    ) -> None:
        """Save a job whose state changed, or let it leave when it is finished and nothing keeps it."""
        events = list(events)
        if events and "UserLog" in job.ad:
            home = self.home_of(unit, job)
            write_user_log(unit, home, self.sandbox(home), job, events)
        if other_removals.note(unit, job, events, now):
            table.removing = True
            self.wake(unit, now)
        table.save(job, events)
        if not job.running:
            self.fates.pop(job.id, None)
        self._stop(unit, job)
        ended = job.status in (JobStatus.COMPLETED, JobStatus.REMOVED) and job.phase != STOPPING
        if ended and not stays_in_queue(job.ad, now):
            self.leave(unit, table, job)
        else:
            job.next_policy_at = next_evaluation(job.ad, job.status, now, self.description.policy_interval)
            self.wake(unit, job.next_policy_at)
            self.wake(unit, job.due_at)

    def leave(self, unit: UnitOfWork, table: JobTable, job: QueuedJob) -> None:
        """Let a job leave the queue; its sandbox is deleted once that is durable."""
        table.leave(job)
        self.fates.pop(job.id, None)
        self._stop(unit, job)
        if job.ad.integer("JobUniverse") == SCHEDULER_UNIVERSE:
            self.programs.drop(unit, job.id)
        if "UserLog" in job.ad or job.ad.integer("JobUniverse") == SCHEDULER_UNIVERSE:
            forget_user_logs(unit, job.id)
        unit.after_commit(self.sandbox(job.id).remove)

    def _stop(self, unit: UnitOfWork, job: QueuedJob) -> None:
        """Once that is durable, kill the process of a job that runs no more, if it has one."""
        if self.local is not None and not (job.running and job.status is JobStatus.RUNNING):
            unit.after_commit(partial(self.local.kill, job.id))

    def negotiate_soon(self, unit: UnitOfWork, at: float) -> None:
        """Negotiate at pool time `at` or before."""
        read_state(unit, self.started)
        negotiate_by(unit, at)
        self.wake(unit, at)

    def wake(self, unit: UnitOfWork, at: float | None) -> None:
        """Once the unit is durable, tell the driver that something is due at `at`, if it waits for later."""
        if at is None or self.instant is not None:  # the engine looks for itself what is due next
            return
        self.clock.expect_earlier(at)
        if self.promised is None or at < self.promised:
            unit.after_commit(self.kick_now)

    def kick_now(self) -> None:
        """Tell whoever drives the pool that something may be due."""
        self.kick()
