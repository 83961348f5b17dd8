"""A job as the simulated pool works on it: its ad, and where and how far it is in its run."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.classads import Ad
from birdbath.pool.base import JobId, JobStatus

_STATUSES = frozenset(JobStatus)

IMAGE = "image"
"""The phase of a running program up to the first report of its size."""
FINISH = "finish"
"""The phase from then on to its end, and while its output is written."""
PROGRAM = "program"
"""The phase of a job whose program runs inside the pool, see `hosted`; due when it has to be woken."""
EXECUTING = "executing"
"""The phase of a job whose program is a process of this machine, see `local_runs`; it ends by itself."""
STOPPING = "stopping"
"""The job runs no more, but its program is still to be told."""


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A job in the queue, as the unit of work that loaded it may change it; see `tables.simulated_jobs`."""

    id: JobId
    owner: str
    ad: Ad
    slot: str | None = None
    phase: str | None = None
    due_at: float | None = None
    ends_at: float | None = None
    progress: int = 0
    next_policy_at: float | None = None

    @property
    def status(self) -> JobStatus:
        """What the ad says; anything that is no status counts as Idle."""
        value = self.ad.integer("JobStatus")
        return JobStatus(value) if value in _STATUSES else JobStatus.IDLE

    @property
    def running(self) -> bool:
        """Whether the job's program is in execution."""
        return self.phase is not None and self.phase != STOPPING

    @property
    def parent(self) -> JobId | None:
        """The job whose program is told of this job's events."""
        cluster = self.ad.integer("DAGManJobId")
        return JobId(cluster, 0) if cluster > 0 else None

    def vacate(self, now: float) -> None:
        """Give the slot back and forget the run."""
        hosted = self.phase == PROGRAM
        self.slot = self.phase = self.due_at = self.ends_at = None
        self.progress = 0
        if hosted:
            self.phase, self.due_at = STOPPING, now
