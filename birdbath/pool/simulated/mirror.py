"""An in-memory mirror of the job queue, brought up to date by row versions; it may be dropped at any time."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, bindparam, select

from birdbath.classads import AdMemory, AdRecord, Constraint, is_true
from birdbath.pool.base import JobId
from birdbath.store.tables import jobs

_CHANGED = (
    select(jobs.c.cluster_id, jobs.c.proc_id, jobs.c.version, jobs.c.in_queue, jobs.c.owner, jobs.c.status, jobs.c.ad)
    .where(jobs.c.version > bindparam("seen"))
    .order_by(jobs.c.version)
)


class QueueMirror:
    """Records of all committed jobs in the queue, indexed by cluster and by owner. Thread-safe.

    Each read first asks the database for rows newer than the newest it has seen, so it shows whatever any process
    committed before.
    """

    def __init__(self, engine: Engine, memory: AdMemory) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._memory = memory
        self._lock = threading.Lock()
        self._seen = 0
        self._records: dict[JobId, AdRecord] = {}
        self._clusters: dict[int, dict[JobId, AdRecord]] = {}
        self._owners: dict[str, dict[JobId, AdRecord]] = {}
        self._owner_of: dict[JobId, str] = {}

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

    def select(self, constraint: Constraint, now: float) -> list[AdRecord]:
        """The records that `constraint` selects, in the order in which the jobs were last queued."""
        with self._lock:
            self._refresh()
            candidates = self._candidates(constraint)
        if constraint.selects_all:
            return candidates
        evaluate = constraint.evaluator()
        if constraint.mentions_time:
            return [r for r in candidates if is_true(evaluate(r.parsed_at(now)))]
        return [r for r in candidates if (value := evaluate(r.parsed)) is True or (value and is_true(value))]

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
        for row in self._connection.execute(_CHANGED, {"seen": self._seen}):
            job = JobId(row.cluster_id, row.proc_id)
            old = self._records.get(job)
            if old is not None:
                old.forget()
            if row.in_queue:
                self._put(job, row.owner, AdRecord(row.ad, self._memory, job))
            elif old is not None:
                self._drop(job)
            self._seen = row.version

    def _put(self, job: JobId, owner: str, record: AdRecord) -> None:
        if self._owner_of.get(job, owner) != owner:
            self._drop(job)
        self._owner_of[job] = owner
        self._records[job] = record
        self._clusters.setdefault(job.cluster, {})[job] = record
        self._owners.setdefault(owner, {})[job] = record

    def _drop(self, job: JobId) -> None:
        owner = self._owner_of.pop(job)
        del self._records[job]
        for index, key in ((self._clusters, job.cluster), (self._owners, owner)):
            group = index[key]  # type: ignore[index]
            del group[job]
            if not group:
                del index[key]  # type: ignore[attr-defined]
