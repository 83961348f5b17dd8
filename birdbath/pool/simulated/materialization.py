"""Late materialization: of a large cluster only some jobs are in the queue at a time.

A job whose ad has JobMaterializeLimit or JobMaterializeMaxIdle waits outside the queue, unseen, until fewer
than JobMaterializeLimit jobs of its cluster are in the queue and fewer than JobMaterializeMaxIdle of them are
idle; then it enters it as others do, by proc. Each job was submitted with its own ad and files, so that there
is no digest to make it from. When all jobs of a cluster that are in the queue were removed, so are those that
wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import and_, bindparam, delete, func, insert, select

from birdbath.classads import Ad
from birdbath.pool.base import JobId, JobStatus, NewJob
from birdbath.store.tables import jobs, simulated_jobs, simulated_waiting
from birdbath.store.unit_of_work import UnitOfWork

LIMIT = "JobMaterializeLimit"
MAX_IDLE = "JobMaterializeMaxIdle"
MOST = 200
"""So many jobs of a cluster enter the queue in one go."""

_w, _s = simulated_waiting.c, simulated_jobs.c
_WAIT = insert(simulated_waiting)
_CLUSTERS = select(_w.cluster_id).distinct().order_by(_w.cluster_id)
_IDS = select(_w.cluster_id, _w.proc_id)
_FIRST = (
    select(_w.proc_id, _w.ad)
    .where(_w.cluster_id == bindparam("cluster"))
    .order_by(_w.proc_id)
    .limit(bindparam("most"))
)
_TAKE = delete(simulated_waiting).where(
    _w.cluster_id == bindparam("cluster"), _w.proc_id <= bindparam("through")
)
_QUEUED = select(func.count().label("queued"), func.count(_s.signature).label("idle")).where(
    _s.cluster_id == bindparam("cluster")
)
_WANTED = (
    select(_s.proc_id)
    .join_from(simulated_jobs, jobs, and_(jobs.c.cluster_id == _s.cluster_id, jobs.c.proc_id == _s.proc_id))
    .where(_s.cluster_id == bindparam("cluster"), jobs.c.status != int(JobStatus.REMOVED))
    .limit(1)
)


def is_late(ad: Ad) -> bool:
    """Whether a job enters the queue only when there is room for it."""
    return ad.integer(LIMIT) > 0 or ad.integer(MAX_IDLE) > 0


def wait(unit: UnitOfWork, late: Iterable[NewJob]) -> None:
    """Keep jobs outside the queue until `enter` gives them."""
    rows = [{"cluster_id": new.id.cluster, "proc_id": new.id.proc, "ad": new.ad.to_json()} for new in late]
    unit.execute_many(_WAIT, rows)


def clusters(unit: UnitOfWork) -> list[int]:
    """The clusters of which jobs wait."""
    return [row[0] for row in unit.execute(_CLUSTERS)]


def waiting(unit: UnitOfWork) -> list[JobId]:
    """All jobs that wait."""
    return [JobId(row[0], row[1]) for row in unit.execute(_IDS)]


def enter(unit: UnitOfWork, cluster: int) -> list[NewJob]:
    """Take the jobs of the cluster for which there is room, as written so far, at most `MOST`."""
    first = unit.first(_FIRST, {"cluster": cluster, "most": 1})
    if first is None:
        return []
    ad, counts = Ad.from_json(first.ad), unit.first(_QUEUED, {"cluster": cluster})
    assert counts is not None
    room = MOST
    if ad.integer(LIMIT) > 0:
        room = min(room, ad.integer(LIMIT) - counts.queued)
    if ad.integer(MAX_IDLE) > 0:
        room = min(room, ad.integer(MAX_IDLE) - counts.idle)
    return _taken(unit, cluster, room)


def give_up(unit: UnitOfWork, cluster: int) -> Sequence[JobId]:
    """Forget what waits of a cluster if all of its jobs in the queue were removed; which those were."""
    if unit.first(_WANTED, {"cluster": cluster}) is not None:
        return ()
    gone: list[JobId] = []
    while taken := _taken(unit, cluster, MOST):
        gone += [new.id for new in taken]
    return gone


def _taken(unit: UnitOfWork, cluster: int, most: int) -> list[NewJob]:
    rows = unit.execute(_FIRST, {"cluster": cluster, "most": most}) if most > 0 else ()
    if rows:
        unit.execute(_TAKE, {"cluster": cluster, "through": rows[-1].proc_id})
    return [NewJob(JobId(cluster, row.proc_id), Ad.from_json(row.ad)) for row in rows]
