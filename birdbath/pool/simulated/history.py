"""Jobs that have left the queue: their rows stay, in the order in which they left, until they are too old or
too many.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, bindparam, delete, func, select

from birdbath.classads import Ad, AdMemory, AdRecord, Constraint
from birdbath.errors import UnknownJob
from birdbath.pool.base import JobId
from birdbath.store.reader import Reader
from birdbath.store.tables import jobs
from birdbath.store.unit_of_work import UnitOfWork

AT_ONCE = 500
_NEWEST = (1 << 63) - 1
_ROW = select(jobs.c.version, jobs.c.cluster_id, jobs.c.proc_id, jobs.c.ad).where(~jobs.c.in_queue)
_LEFT = (
    _ROW.where(jobs.c.version < bindparam("before")).order_by(jobs.c.version.desc()).limit(bindparam("most"))
)
_CLUSTER = _ROW.where(jobs.c.cluster_id == bindparam("cluster"), jobs.c.version < bindparam("before"))
_CLUSTER = _CLUSTER.order_by(jobs.c.version.desc())
_PLACE = select(jobs.c.version).where(
    jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc"), ~jobs.c.in_queue
)
_OLDEST = _ROW.order_by(jobs.c.version).limit(bindparam("most"))
_COUNT = select(func.count()).select_from(jobs).where(~jobs.c.in_queue)
_DELETE = delete(jobs).where(~jobs.c.in_queue, jobs.c.version <= bindparam("through"))


@dataclass(frozen=True)
class HistoryRetention:
    """How many jobs that have left the queue are kept, and for how many seconds of the pool's time; 0: any
    number, for good.
    """

    max_age: float = 0.0
    max_jobs: int = 0


KEEP_ALL = HistoryRetention()


class JobHistory:
    """Reads the history that is committed. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._reader = Reader(engine)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._reader.close()

    def select(self, constraint: Constraint, before: JobId | None, most: int, now: float) -> list[AdRecord]:
        """See `pool.base.JobQueue.history`. Raises TooManySeconds as `Constraint.select` does."""
        found: list[AdRecord] = []
        begun = time.monotonic()
        for records in self._records(constraint, self._place(before)):
            found += constraint.select(records, now, begun)
            if len(found) >= most:
                break
        return found[:most]

    def _place(self, job: JobId | None) -> int:
        if job is None:
            return _NEWEST
        with self._lock:
            rows = self._reader.rows(_PLACE, {"cluster": job.cluster, "proc": job.proc})
        if not rows:
            raise UnknownJob(f"Job {job} is not in the history")
        return int(rows[0].version)

    def _records(self, constraint: Constraint, before: int) -> Iterator[list[AdRecord]]:
        """What may be selected, the last that left first, some at a time."""
        memory = AdMemory(0)  # nothing of it is kept
        cluster = constraint.pinned("clusterid").get("clusterid")
        while True:
            with self._lock:
                if isinstance(cluster, int):
                    rows = self._reader.rows(_CLUSTER, {"cluster": cluster, "before": before})
                else:
                    rows = self._reader.rows(_LEFT, {"before": before, "most": AT_ONCE})
            yield [AdRecord(row.ad, memory, JobId(row.cluster_id, row.proc_id)) for row in rows]
            if isinstance(cluster, int) or len(rows) < AT_ONCE:
                return
            before = rows[-1].version


def prune(unit: UnitOfWork, retention: HistoryRetention, now: float, most: int = AT_ONCE) -> int:
    """Forget the jobs that left first, as far as they are too many or too old at `now`, the pool's time; how
    many, at most `most`.
    """
    too_many = 0
    if retention.max_jobs:
        counted = unit.first(_COUNT)
        assert counted is not None
        too_many = counted[0] - retention.max_jobs
    since = now - retention.max_age if retention.max_age else float("-inf")
    through, pruned = 0, 0
    for row in unit.execute(_OLDEST, {"most": most}):
        if pruned >= too_many and Ad.from_json(row.ad).integer("EnteredCurrentStatus", int(now)) >= since:
            break
        through, pruned = row.version, pruned + 1
    if pruned:
        unit.execute(_DELETE, {"through": through})
    return pruned
