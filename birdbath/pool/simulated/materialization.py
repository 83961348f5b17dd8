"""Late materialization: of a large cluster only some jobs are in the queue at a time.

A job whose ad has JobMaterializeLimit or JobMaterializeMaxIdle waits outside the queue, unseen, until fewer
than JobMaterializeLimit jobs of its cluster are in the queue and fewer than JobMaterializeMaxIdle of them are
idle; then it enters it as others do, by proc. Each job was submitted with its own ad and files, so that there
is no digest to make it from, and no items. When the whole cluster is removed, so are those that wait; of jobs
removed one by one the others take the place. The log has an event when such a cluster comes, before any of
its jobs does, and when the last of them has left. The ads of schedd and submitter count those that wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, func, insert, select

from birdbath.classads import Ad
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import JobId, NewJob
from birdbath.store.reader import Reader
from birdbath.store.tables import jobs, simulated_jobs, simulated_waiting
from birdbath.store.unit_of_work import UnitOfWork

LIMIT = "JobMaterializeLimit"
MAX_IDLE = "JobMaterializeMaxIdle"
TOTAL = "TotalSubmitProcs"
DATE = "JobMaterializeDate"
NEXT = "JobMaterializeNextProcId"
MOST = 200
"""So many jobs of a cluster enter the queue in one go."""

_w, _s = simulated_waiting.c, simulated_jobs.c
_WAIT = insert(simulated_waiting)
_CLUSTERS = select(_w.cluster_id).distinct().order_by(_w.cluster_id)
_IDS = select(_w.cluster_id, _w.proc_id)
# Some jobs of a cluster enter the queue when it comes, so that there is one that says whose it is.
_OWNER = select(jobs.c.owner).where(jobs.c.cluster_id == _w.cluster_id).limit(1).scalar_subquery()
_COUNTS = select(_OWNER.label("owner"), func.count().label("number"))
_COUNTS = _COUNTS.select_from(simulated_waiting).group_by(_w.cluster_id)
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
_CAME = (
    select(jobs.c.proc_id, jobs.c.ad)
    .where(jobs.c.cluster_id == bindparam("cluster"))
    .order_by(jobs.c.proc_id.desc())
    .limit(1)
)
_INCOMPLETE, _COMPLETE = 0, 1


def is_late(ad: Ad) -> bool:
    """Whether a job enters the queue only when there is room for it."""
    return ad.integer(LIMIT) > 0 or ad.integer(MAX_IDLE) > 0


def cluster_came(first: NewJob, submit_host: str, now: float) -> JobEvent:
    """The event that says that the cluster of its `first` job came."""
    fields = {"SubmitHost": submit_host}
    return JobEvent(EventType.CLUSTER_SUBMIT, first.id.cluster, -1, first.ad.string("Owner"), now, fields)


def cluster_went(last: NewJob, now: float) -> JobEvent:
    """The event that says that the cluster of its `last` job is gone."""
    following = last.id.proc + 1
    completion = _COMPLETE if following >= last.ad.integer(TOTAL) else _INCOMPLETE
    fields = {"NextProcId": following, "NextRow": 0, "Completion": completion}
    return JobEvent(EventType.CLUSTER_REMOVE, last.id.cluster, -1, last.ad.string("Owner"), now, fields)


def last_of_gone(unit: UnitOfWork, cluster: int) -> NewJob | None:
    """The last job of a cluster of which, as written so far, no job is in the queue or waits; else None."""
    key = {"cluster": cluster}
    counts = unit.first(_QUEUED, key)
    if (counts is not None and counts.queued) or unit.first(_FIRST, {**key, "most": 1}):
        return None
    row = unit.first(_CAME, key)
    return None if row is None else NewJob(JobId(cluster, row.proc_id), Ad.from_json(row.ad))


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


def unmaterialized(reader: Reader) -> Counter[str]:
    """How many jobs of each owner wait, as committed."""
    found: Counter[str] = Counter()
    for row in reader.rows(_COUNTS):
        found[row.owner] += row.number
    return found


def room_for(unit: UnitOfWork, cluster: int) -> int:
    """For how many of a cluster's waiting jobs there is room, as written so far: at most `MOST`, and 0 or
    less for none.
    """
    first = unit.first(_FIRST, {"cluster": cluster, "most": 1})
    if first is None:
        return 0
    ad, counts = Ad.from_json(first.ad), unit.first(_QUEUED, {"cluster": cluster})
    assert counts is not None
    room = MOST
    if ad.integer(LIMIT) > 0:
        room = min(room, ad.integer(LIMIT) - counts.queued)
    if ad.integer(MAX_IDLE) > 0:
        room = min(room, ad.integer(MAX_IDLE) - counts.idle)
    return room


def enter(unit: UnitOfWork, cluster: int, now: float) -> list[NewJob]:
    """Take the jobs of the cluster for which there is room, as written so far, at most `MOST`; their ads say
    that they were materialized `now`.
    """
    found = _taken(unit, cluster, room_for(unit, cluster))
    for new in found:
        new.ad.update({DATE: int(now), NEXT: found[-1].id.proc + 1})
    return found


def give_up(unit: UnitOfWork, cluster: int) -> Sequence[JobId]:
    """Forget what waits of a cluster, which is removed; which those were."""
    gone: list[JobId] = []
    while taken := _taken(unit, cluster, MOST):
        gone += [new.id for new in taken]
    return gone


def _taken(unit: UnitOfWork, cluster: int, most: int) -> list[NewJob]:
    rows = unit.execute(_FIRST, {"cluster": cluster, "most": most}) if most > 0 else ()
    if rows:
        unit.execute(_TAKE, {"cluster": cluster, "through": rows[-1].proc_id})
    return [NewJob(JobId(cluster, row.proc_id), Ad.from_json(row.ad)) for row in rows]
