"""A job as the simulated pool works on it: its ad, and where and how far it is in its run."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.classads import Ad
from birdbath.pool.base import JobId, JobStatus

_STATUSES = {int(status): status for status in JobStatus}

IMAGE = "image"
"""The phase of a running program up to the first report of its size."""
FINISH = "finish"
"""The phase from then on to its end, and while its output is written."""
PROGRAM = "program"
"""The phase of a job whose program runs inside the pool, see `hosted`; due when it has to be woken."""
EXECUTING = "executing"
"""The phase of a job whose program is a process of this machine, see `local_runs`; it ends by itself, or is
due when it has run as long as it may.
"""
DEFERRED = "deferred"
"""The phase before that of a job that waits on its slot for its DeferralTime."""
TRANSFER = "transfer"
"""The program has ended, and its output is on its way."""
SUSPENDED = "suspended"
"""The program stands still, until somebody lets it go on."""
PAUSED = "paused"
"""The program stands still, until the machine's CONTINUE is true or somebody lets it go on."""
DISCONNECTED = "disconnected"
"""The machine does not answer; due when the job's lease is over."""
STOPPING = "stopping"
"""The job runs no more, but its program is still to be told."""
LINGERING = -1
"""The `progress` of a job that is stopping, and whose program was told and still has something to do."""


@dataclass(frozen=True)
class Place:
    """Where a job runs: a slot, or the submit machine. Memory in MiB, disk in KiB."""

    slot: str
    slot_id: int
    machine: str
    address: str
    cpus: int
    memory: int
    disk: int
    gpus: int = 0


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A job in the queue, as the unit of work that loaded it may change it; see `tables.simulated_jobs`.

    `kept_slot` is the slot as it was last written, `charged` the weight that the accountant knows of.
    """

    id: JobId
    owner: str
    ad: Ad
    slot: str | None = None
    phase: str | None = None
    due_at: float | None = None
    ends_at: float | None = None
    progress: int = 0
    next_policy_at: float | None = None
    submitter: str = ""
    cpus: int = 0
    memory: int = 0
    disk: int = 0
    gpus: int = 0
    claimed_at: float | None = None
    claim_rank: float = 0.0
    kept_slot: str | None = None
    charged: int = 0

    def __post_init__(self) -> None:
        self.kept_slot, self.charged = self.slot, self.weight

    @property
    def weight(self) -> int:
        """What the accountant charges for what the job holds."""
        return self.cpus if self.slot else 0

    @property
    def status(self) -> JobStatus:
        """What the ad says; anything that is no status counts as Idle."""
        return _STATUSES.get(self.ad.integer("JobStatus"), JobStatus.IDLE)

    @property
    def running(self) -> bool:
        """Whether the job's program is in execution."""
        return self.phase is not None and self.phase != STOPPING

    @property
    def listens(self) -> bool:
        """Whether the job's program is told of the events of its jobs."""
        return self.phase == PROGRAM or (self.phase == STOPPING and self.progress == LINGERING)

    @property
    def parent(self) -> JobId | None:
        """The job whose program is told of this job's events."""
        cluster = self.ad.integer("DAGManJobId")
        return JobId(cluster, 0) if cluster > 0 else None

    def claim(self, place: Place, now: float, rank: float) -> None:
        """Get what `place` says of a slot whose Rank of the job is given."""
        self.slot, self.claimed_at, self.claim_rank = place.slot, now, rank
        self.cpus, self.memory, self.disk, self.gpus = place.cpus, place.memory, place.disk, place.gpus

    def vacate(self, now: float) -> None:
        """Give the slot back and forget the run."""
        hosted = self.phase == PROGRAM
        self.slot = self.phase = self.due_at = self.ends_at = None
        self.progress = 0
        if hosted:
            self.phase, self.due_at = STOPPING, now
