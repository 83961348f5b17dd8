"""What the parts of one simulated pool share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from birdbath.classads import AdMemory
from birdbath.events import JobEvent
from birdbath.pool.base import JobId, JobStatus
from birdbath.pool.simulated.autoclusters import Autoclusters
from birdbath.pool.simulated.clock import Clock
from birdbath.pool.simulated.description import PoolDescription, PoolIdentity
from birdbath.pool.simulated.job_table import JobTable
from birdbath.pool.simulated.machines import Slot
from birdbath.pool.simulated.mirror import QueueMirror
from birdbath.pool.simulated.policies import next_evaluation, stays_in_queue
from birdbath.pool.simulated.queued_job import QueuedJob
from birdbath.store.sandbox import Sandbox, Spool
from birdbath.store.unit_of_work import UnitOfWork


@dataclass
class PoolContext:
    """The parts themselves, and three notes that a restart may lose.

    `kick`: whom to tell of news; `cycle_at`: when to negotiate next; `promised`: until when the driver waits.
    """

    description: PoolDescription
    identity: PoolIdentity
    clock: Clock
    spool: Spool
    memory: AdMemory
    mirror: QueueMirror
    slots: dict[str, Slot]
    started: float
    autoclusters: Autoclusters = field(init=False)
    kick: Callable[[], None] = field(default=lambda: None)
    cycle_at: float = 0.0
    promised: float | None = None

    def __post_init__(self) -> None:
        self.autoclusters = Autoclusters(slot.ad for slot in self.slots.values())

    def table(self, unit: UnitOfWork) -> JobTable:
        """The jobs of the queue as `unit` sees and changes them."""
        return JobTable(unit, self.autoclusters.signature)

    def sandbox(self, job: JobId) -> Sandbox:
        """The job's sandbox; it need not exist."""
        return self.spool.sandbox(job.cluster, job.proc)

    def settle(
        self, unit: UnitOfWork, table: JobTable, job: QueuedJob, events: Iterable[JobEvent], now: float
    ) -> None:
        """Save a job whose state changed, or let it leave when it is finished and nothing keeps it."""
        table.save(job, events)
        if job.status in (JobStatus.COMPLETED, JobStatus.REMOVED) and not stays_in_queue(job.ad, now):
            self.leave(unit, table, job)
        else:
            job.next_policy_at = next_evaluation(job.ad, job.status, now, self.description.policy_interval)
            self.wake(unit, job.next_policy_at)

    def leave(self, unit: UnitOfWork, table: JobTable, job: QueuedJob) -> None:
        """Let a job leave the queue; its sandbox is deleted once that is durable."""
        table.leave(job)
        unit.after_commit(self.sandbox(job.id).remove)

    def negotiate_soon(self, unit: UnitOfWork, at: float) -> None:
        """Negotiate at pool time `at` or before."""
        self.cycle_at = min(self.cycle_at, at)
        self.wake(unit, self.cycle_at)

    def wake(self, unit: UnitOfWork, at: float | None) -> None:
        """Once the unit is durable, tell the driver that something is due at `at`, if it waits for later."""
        if at is not None and (self.promised is None or at < self.promised):
            unit.after_commit(self.kick_now)

    def kick_now(self) -> None:
        """Tell whoever drives the pool that something may be due."""
        self.kick()
