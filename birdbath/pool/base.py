"""The Pool contract: what the Schedd and the Collector need of whatever runs the jobs.

`JobQueue` owns every job from its commit on; `AdDirectory` owns the daemon ads. Methods that change something
run in a `UnitOfWork` and are durable when it is. One conformance suite, `tests/pool/`, runs against every
implementation.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from birdbath.classads import Ad, AdList, AdRecord, Constraint
from birdbath.store.sandbox import Sandbox
from birdbath.store.unit_of_work import UnitOfWork


class JobId(NamedTuple):
    """A job: its cluster and its proc in the cluster."""

    cluster: int
    proc: int

    def __str__(self) -> str:
        return f"{self.cluster}.{self.proc}"


class JobStatus(enum.IntEnum):
    """The JobStatus attribute."""

    IDLE = 1
    RUNNING = 2
    REMOVED = 3
    COMPLETED = 4
    HELD = 5
    TRANSFERRING_OUTPUT = 6
    SUSPENDED = 7


class JobAction(enum.StrEnum):
    """What can be done to a job in the queue."""

    HOLD = "hold"
    RELEASE = "release"
    REMOVE = "remove"
    SUSPEND = "suspend"
    CONTINUE = "continue"
    VACATE = "vacate"


@dataclass(frozen=True)
class NewJob:
    """A job to be queued, complete: its ad has Owner, JobStatus, Iwd and what else the schedd adds."""

    id: JobId
    ad: Ad


@dataclass(frozen=True)
class ActionDetails:
    """Why an action is taken: `reason` as the client gave it (None leaves the job's reason alone).

    `cluster`: it is taken on the whole cluster of the job.
    """

    reason: str | None = None
    system_hold: bool = False
    email_user: bool = False
    email_admin: bool = False
    force: bool = False
    cluster: bool = False


@dataclass(frozen=True)
class Part:
    """What is wanted of a listing of jobs: at most `most`, those after a job in the order of their ids, with
    the attributes `names`; all of them when it is empty.
    """

    after: JobId
    most: int
    names: Sequence[str] = ()


def incomplete(ad: Ad) -> str:
    """Why a job with this ad cannot run in any pool, so that it is held; empty for others (3.6, 8 no. 2)."""
    required = ("Owner", "JobUniverse", "Cmd", "Requirements")
    missing = [n for n in required if (attribute := ad.attribute(n)) is None or attribute[1] in "ue"]
    return f"The job cannot run: its ad lacks {', '.join(missing)}" if missing else ""


class JobQueue(Protocol):
    """The queue of committed jobs."""

    def reserve_cluster(self, unit: UnitOfWork) -> int:
        """A cluster id, at least 1, that was never given out before and never will be again."""

    def accept(self, unit: UnitOfWork, jobs: Sequence[NewJob]) -> None:
        """Queue `jobs`, all or none, each with its submit event. Their ids come from `reserve_cluster`."""

    def query(self, constraint: Constraint, now: float, part: Part | None = None) -> AdList:
        """Committed jobs that `constraint` selects, completed and removed ones included as long as they are
        queued.

        Thread-safe; reads committed state only. `now` is what ServerTime means in the constraint. With a
        `part`, there need only be what is in it: some jobs in the order of their ids, some attributes.
        """

    def listing(self, constraint: Constraint, now: float) -> AdList:
        """What `query` selects as it goes to a client, perhaps `written` already."""

    def job(self, job: JobId) -> AdRecord | None:
        """One committed job in the queue, or None. Thread-safe."""

    def history(self, constraint: Constraint, before: JobId | None, most: int, now: float) -> AdList:
        """Jobs that have left the queue and that `constraint` selects, the last that left first, at most
        `most`; with `before` only those that left before that job did.

        Thread-safe; reads committed state only. Raises UnknownJob when `before` is not in the history.
        """

    def count(self, owner: str | None = None) -> int:
        """How many committed jobs are in the queue, of one owner or of all. Thread-safe."""

    def job_ad(self, unit: UnitOfWork, job: JobId) -> Ad | None:
        """The ad of a job as this unit sees it, or None when it is not in the queue."""

    def cluster_jobs(self, unit: UnitOfWork, cluster: int) -> list[JobId]:
        """The jobs of a cluster that are in the queue as this unit sees it, by proc."""

    def act(self, unit: UnitOfWork, action: JobAction, job: JobId, details: ActionDetails) -> None:
        """Hold, release, remove, suspend, continue or vacate a job, with its event. Raises UnknownJob;
        WrongJobStatus when its state forbids it.
        """

    def collected(self, unit: UnitOfWork, job: JobId) -> None:
        """The client has what it wants of the job's sandbox: FilesRetrieved becomes TRUE. Raises UnknownJob.

        A completed or removed job whose LeaveJobInQueue is then false leaves the queue, its sandbox with it.
        """

    def sandbox(self, job: JobId) -> Sandbox:
        """Where the job's files are; it need not exist."""

    def fetch(self, job: JobId) -> None:
        """Bring what the job has written by now into its sandbox, if it is not there anyway. Thread-safe."""

    def reschedule(self) -> None:
        """Negotiate soon."""

    def software(self) -> tuple[str, str]:
        """The pool's own `$CondorVersion: ... $` and `$CondorPlatform: ... $`; empty where there is no
        pool but Birdbath, or it cannot be reached.
        """

    def time(self) -> float:
        """The pool's time in seconds since the epoch; that of a simulated pool may not be the wall's."""


class AdKind(enum.StrEnum):
    """The collector's tables of ads, in the order in which a query of any kind returns them (reference
    section 4.2).
    """

    STORAGE = "storage"
    CKPTSRVR = "ckptsrvr"
    LICENSE = "license"
    COLLECTOR = "collector"
    STARTD = "startd"
    SCHEDD = "schedd"
    MASTER = "master"
    SUBMITTOR = "submittor"
    NEGOTIATOR = "negotiator"
    QUILL = "quill"
    HAD = "had"
    GENERIC = "generic"


class AdDirectory(Protocol):
    """The ads of the pool's daemons, its own and those that clients inserted."""

    def query(
        self, kinds: Sequence[AdKind], constraint: Constraint, now: float, names: Sequence[str] = ()
    ) -> AdList:
        """Unexpired ads of `kinds`, in that order, that `constraint` selects. Thread-safe; committed state
        only. With `names`, there need only be these attributes, and those that tell one ad from another.
        """

    def listing(self, kinds: Sequence[AdKind], constraint: Constraint, now: float) -> AdList:
        """What `query` selects as it goes to a client, perhaps `written` already."""

    def insert(self, unit: UnitOfWork, kind: AdKind, key: str, ad: Ad, expires_at: float) -> bool:
        """Insert or replace the ad with this identity; whether it is new.

        `expires_at` is in the pool's time; an ad that has expired counts as not there.
        """

    def invalidate(self, unit: UnitOfWork, kind: AdKind, key: str | None = None) -> int:
        """Forget the ad with this identity, or all client-inserted ones of the kind; how many."""
