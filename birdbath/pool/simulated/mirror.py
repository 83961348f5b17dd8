"""An in-memory mirror of the job queue, brought up to date by row versions; it may be dropped at any time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, bindparam, select

from birdbath.classads import AdMemory, AdRecord, Constraint
from birdbath.pool.base import JobId, JobStatus
from birdbath.store.reader import Reader
from birdbath.store.statements import Row
from birdbath.store.tables import counters, jobs

_ROW = select(
    jobs.c.version, jobs.c.cluster_id, jobs.c.proc_id, jobs.c.in_queue, jobs.c.owner, jobs.c.status, jobs.c.ad
)
_CHANGED = _ROW.where(jobs.c.version > bindparam("seen")).order_by(jobs.c.version)
_QUEUED = _ROW.where(jobs.c.in_queue).order_by(jobs.c.version)
_NEWEST = select(counters.c.value).where(counters.c.name == "version")


class QueueMirror:
    """Records of all committed jobs in the queue, indexed by cluster and by owner. Thread-safe.

    Each read first asks the database for rows newer than the newest it has seen, so it shows whatever any
    process committed before.
    """

    def __init__(self, engine: Engine, memory: AdMemory) -> None:
        self._reader = Reader(engine)
        self._memory = memory
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._records: dict[JobId, AdRecord] = {}
        self._clusters: dict[int, dict[JobId, AdRecord]] = {}
        self._owners: dict[str, dict[JobId, AdRecord]] = {}
        self._standing: dict[JobId, tuple[str, int]] = {}
        self._census: Counter[tuple[str, int]] = Counter()

    def close(self) -> None:
        """Give the connection back; the mirror must not be read any more."""
        with self._lock:
            self._reader.close()

    def get(self, job: JobId) -> AdRecord | None:
        """The record of one job, or None when it is not in the queue."""
        with self._lock:
            self._refresh()
            return self._records.get(job)

    def count(self, owner: str | None = None) -> int:
        """How many jobs are in the queue, of one owner or of all."""
        with self._lock:
            self._refresh()
            return len(self._records) if owner is None else len(self._owners.get(owner, {}))

    def census(self) -> dict[str, Counter[JobStatus]]:
        """How many jobs each owner has in each state; owners without jobs are left out."""
        with self._lock:
            self._refresh()
            found: dict[str, Counter[JobStatus]] = {}
            for (owner, status), number in self._census.items():
                found.setdefault(owner, Counter())[JobStatus(status)] = number
            return found

    def select(self, constraint: Constraint, now: float) -> list[AdRecord]:
        """The records that `constraint` selects, in the order in which the jobs were queued."""
        with self._lock:
            self._refresh()
            candidates = self._candidates(constraint)
        return constraint.select(candidates, now)

    def _candidates(self, constraint: Constraint) -> list[AdRecord]:
        pinned = constraint.pinned("clusterid", "procid", "owner")
        cluster, proc, owner = pinned.get("clusterid"), pinned.get("procid"), pinned.get("owner")
        if isinstance(cluster, int) and isinstance(proc, int):
            record = self._records.get(JobId(cluster, proc))
            return [record] if record else []
        if isinstance(cluster, int):
            return list(self._clusters.get(cluster, {}).values())
        if isinstance(owner, str):
            # == compares strings without case, so every spelling of the owner's name is a candidate.
            names = [name for name in self._owners if name.lower() == owner.lower()]
            return [record for name in names for record in self._owners[name].values()]
        return list(self._records.values())

    def _refresh(self) -> None:
        if self._seen is None:
            self._load()
        rows = self._reader.rows(_CHANGED, {"seen": self._seen})
        if rows:
            self._apply(rows, rows[-1].version)

    def _load(self) -> None:
        # Not the history: only what is queued. What changes meanwhile is newer than the number read first.
        newest = self._reader.rows(_NEWEST)
        queued = self._reader.rows(_QUEUED)
        # What a load that was interrupted left here may have left the queue since.
        for known in (self._records, self._clusters, self._owners, self._standing, self._census):
            known.clear()
        self._apply(queued, newest[0].value if newest else 0)

    def _apply(self, rows: Sequence[Row], newest: int) -> None:
        # Nothing counts as seen before everything is applied: what is interrupted is loaded anew.
        self._seen = None
        for _, cluster, proc, in_queue, owner, status, ad in rows:
            job = JobId(cluster, proc)
            old = self._records.get(job)
            if old is not None:
                old.forget()
                self._uncount(self._standing[job])
            if in_queue:
                self._put(job, owner, status, AdRecord(ad, self._memory, job))
            elif old is not None:
                self._drop(job)
        self._seen = newest

    def _uncount(self, standing: tuple[str, int]) -> None:
        self._census[standing] -= 1
        if not self._census[standing]:
            del self._census[standing]

    def _put(self, job: JobId, owner: str, status: int, record: AdRecord) -> None:
        self._standing[job] = owner, status
        self._census[owner, status] += 1
        self._records[job] = record
        self._clusters.setdefault(job.cluster, {})[job] = record
        self._owners.setdefault(owner, {})[job] = record

    def _drop(self, job: JobId) -> None:
        owner, _ = self._standing.pop(job)
        del self._records[job]
        _drop_from(self._clusters, job.cluster, job)
        _drop_from(self._owners, owner, job)


def _drop_from(index: dict[Any, dict[JobId, AdRecord]], key: int | str, job: JobId) -> None:
    del index[key][job]
    if not index[key]:
        del index[key]
