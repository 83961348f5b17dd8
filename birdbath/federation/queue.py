"""The federation's own queue: it holds nothing, and knows committed jobs only while a call is about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from birdbath.classads import Ad, AdList, AdRecord, Constraint
from birdbath.errors import UnknownJob
from birdbath.federation.ids import own_id
from birdbath.pool.base import ActionDetails, AdKind, JobAction, JobId, NewJob, Part
from birdbath.store.sandbox import Sandbox, Spool
from birdbath.store.unit_of_work import UnitOfWork


class FederationQueue:
    """What the Schedd needs of a queue to stage submissions that other queues will take; see `JobQueue`."""

    def __init__(self, spool: Spool, now: Callable[[], float] = time.time) -> None:
        self._spool = spool
        self._now = now
        self._shown: dict[JobId, AdRecord] = {}

    @contextmanager
    def showing(self, records: Sequence[AdRecord]) -> Iterator[None]:
        """Let the block's call, which stages an action, see these committed jobs."""
        self._shown = {JobId(*record.key): record for record in records}
        try:
            yield
        finally:
            self._shown = {}

    def reserve_cluster(self, unit: UnitOfWork) -> int:
        return own_id(unit.advance("federation-cluster"))

    def accept(self, unit: UnitOfWork, jobs: Sequence[NewJob]) -> None:
        if jobs:
            raise AssertionError("the pools take the jobs of the federation")

    def query(self, constraint: Constraint, now: float, part: Part | None = None) -> AdList:
        return AdList([], int(now))

    def listing(self, constraint: Constraint, now: float) -> AdList:
        return AdList([], int(now))

    def history(self, constraint: Constraint, before: JobId | None, most: int, now: float) -> AdList:
        return AdList([], int(now))

    def job(self, job: JobId) -> AdRecord | None:
        return self._shown.get(job)

    def count(self, owner: str | None = None) -> int:
        return 0

    def job_ad(self, unit: UnitOfWork, job: JobId) -> Ad | None:
        record = self._shown.get(job)
        return None if record is None else record.ad()

    def cluster_jobs(self, unit: UnitOfWork, cluster: int) -> list[JobId]:
        return sorted(job for job in self._shown if job.cluster == cluster)

    def act(self, unit: UnitOfWork, action: JobAction, job: JobId, details: ActionDetails) -> None:
        raise UnknownJob(f"The specified job is unknown: {job}")

    def collected(self, unit: UnitOfWork, job: JobId) -> None:
        raise UnknownJob(f"The specified job is unknown: {job}")

    def sandbox(self, job: JobId) -> Sandbox:
        return self._spool.sandbox(job.cluster, job.proc)

    def fetch(self, job: JobId) -> None:
        """Nothing: what is staged is here."""

    def software(self) -> tuple[str, str]:
        return "", ""

    def reschedule(self) -> None:
        """Nothing: the pools are told."""

    def time(self) -> float:
        return self._now()


class NoDirectory:
    """No ads of daemons: the federation has none of its own; see `AdDirectory`."""

    def query(
        self, kinds: Sequence[AdKind], constraint: Constraint, now: float, names: Sequence[str] = ()
    ) -> AdList:
        return AdList([], int(now))

    def listing(self, kinds: Sequence[AdKind], constraint: Constraint, now: float) -> AdList:
        return self.query(kinds, constraint, now)

    def insert(self, unit: UnitOfWork, kind: AdKind, key: str, ad: Ad, expires_at: float) -> bool:
        raise AssertionError("the federation takes no ads")

    def invalidate(self, unit: UnitOfWork, kind: AdKind, key: str | None = None) -> int:
        return 0
