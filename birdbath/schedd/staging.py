"""What a transaction has built so far: clusters, jobs, declared files, and actions until its commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import BindParameter, bindparam, delete, func, insert, select, update

from birdbath.classads import Ad
from birdbath.errors import UnknownJob
from birdbath.pool.base import JobId
from birdbath.schedd.ranges import Ranges
from birdbath.store.tables import staged_actions, staged_clusters, staged_files, staged_jobs, transactions
from birdbath.store.unit_of_work import UnitOfWork

_UNKNOWN = "Unknown cluster or job"
_OF_TRANSACTION: BindParameter[int] = bindparam("transaction")


def _of_job(table: Any) -> Any:
    return (table.c.cluster_id == bindparam("cluster")) & (table.c.proc_id == bindparam("proc"))


_ADD_CLUSTER = insert(staged_clusters)
_NEXT_PROC = (
    update(staged_clusters)
    .where(staged_clusters.c.cluster_id == bindparam("cluster"))
    .values(next_proc=staged_clusters.c.next_proc + 1)
    .returning(staged_clusters.c.next_proc)
)
_ADD_JOB = insert(staged_jobs)
_GET_JOB = select(staged_jobs.c.ad).where(
    _of_job(staged_jobs), staged_jobs.c.transaction_id == _OF_TRANSACTION
)
_GET_WRITABLE = _GET_JOB.where(~staged_jobs.c.removed)
_STAGED_WITH = (staged_files.c.cluster_id == staged_jobs.c.cluster_id) & (
    staged_files.c.proc_id == staged_jobs.c.proc_id
)


def _of_writable(files: Any) -> Any:
    """A job's files, without any one row of nothing, and no row when no files can be had."""
    return (
        select(staged_files)
        .select_from(staged_jobs)
        .join(staged_files, files, isouter=True)
        .where(_of_job(staged_jobs), staged_jobs.c.transaction_id == _OF_TRANSACTION, ~staged_jobs.c.removed)
    )


_WRITABLE_FILES = _of_writable(_STAGED_WITH).order_by(staged_files.c.position)
_WRITABLE_FILE = _of_writable(_STAGED_WITH & (staged_files.c.name == bindparam("file")))
_STAGER = (
    select(transactions.c.account)
    .join(staged_jobs, staged_jobs.c.transaction_id == transactions.c.id)
    .where(_of_job(staged_jobs))
)
_REMOVE_JOB = update(staged_jobs).where(_of_job(staged_jobs)).values(removed=True)
_CLUSTER_JOBS = (
    select(staged_jobs.c.proc_id)
    .where(staged_jobs.c.cluster_id == bindparam("cluster"), staged_jobs.c.transaction_id == _OF_TRANSACTION)
    .order_by(staged_jobs.c.proc_id)
)
_SET_JOB = update(staged_jobs).where(_of_job(staged_jobs)).values(ad=bindparam("text"))
_JOBS = (
    select(staged_jobs.c.cluster_id, staged_jobs.c.proc_id, staged_jobs.c.ad)
    .where(staged_jobs.c.transaction_id == _OF_TRANSACTION)
    .order_by(staged_jobs.c.cluster_id, staged_jobs.c.proc_id)
)
_JOB_COUNT = select(func.count()).where(staged_jobs.c.transaction_id == _OF_TRANSACTION)
_SIZE = select(
    _JOB_COUNT.scalar_subquery(),
    select(func.count()).where(staged_actions.c.transaction_id == _OF_TRANSACTION).scalar_subquery(),
)
_JOB_IDS = select(staged_jobs.c.cluster_id, staged_jobs.c.proc_id).where(
    staged_jobs.c.transaction_id == _OF_TRANSACTION
)
_ALL_JOBS = select(staged_jobs.c.cluster_id, staged_jobs.c.proc_id)
_ADD_FILE = insert(staged_files)
_FILES = select(staged_files).where(_of_job(staged_files)).order_by(staged_files.c.position)
_SET_RANGES = (
    update(staged_files)
    .where(_of_job(staged_files), staged_files.c.name == bindparam("file"))
    .values(ranges=bindparam("received"))
)
_DELETE_FILES = delete(staged_files).where(
    staged_files.c.cluster_id.in_(
        select(staged_clusters.c.cluster_id).where(staged_clusters.c.transaction_id == _OF_TRANSACTION)
    )
)
_DELETE = [
    delete(t).where(t.c.transaction_id == _OF_TRANSACTION)
    for t in (staged_jobs, staged_actions, staged_clusters)
]
_JOB_FILES = (
    select(staged_jobs.c.cluster_id, staged_jobs.c.proc_id, staged_files.c.name)
    .join_from(
        staged_jobs,
        staged_files,
        _STAGED_WITH,
        isouter=True,
    )
    .order_by(staged_jobs.c.cluster_id, staged_jobs.c.proc_id)
)
_OWN_FILES = _JOB_FILES.where(staged_jobs.c.transaction_id == _OF_TRANSACTION)
_ALL_JOBS_COUNT = select(func.count()).select_from(staged_jobs)
_ADD_ACTION = insert(staged_actions)
_LAST_ACTION = select(func.max(staged_actions.c.position)).where(
    staged_actions.c.transaction_id == _OF_TRANSACTION
)
_ACTIONS = (
    select(staged_actions)
    .where(staged_actions.c.transaction_id == _OF_TRANSACTION)
    .order_by(staged_actions.c.position)
)
_ACTIONS_ON_JOB = _ACTIONS.where(_of_job(staged_actions))


@dataclass(frozen=True)
class StagedFile:
    """A declared file; `size` in bytes and `hash` as the client declared them, `ranges` what has arrived."""

    name: str
    size: int
    hash_type: int
    hash: str | None
    ranges: Ranges


@dataclass(frozen=True)
class StagedAction:
    """Something to be done to a job when the transaction commits; `arguments` are those of the operation."""

    action: str
    job: JobId
    arguments: Mapping[str, Any]


def add_cluster(unit: UnitOfWork, transaction: int, cluster: int) -> None:
    """Record a cluster of the transaction, without jobs yet."""
    unit.execute(_ADD_CLUSTER, {"cluster_id": cluster, "transaction_id": transaction, "next_proc": 0})


def next_proc(unit: UnitOfWork, cluster: int) -> int:
    """The next proc id of a cluster that a transaction made, counted from 0."""
    (row,) = unit.execute(_NEXT_PROC, {"cluster": cluster})
    return int(row.next_proc) - 1


def add_job(unit: UnitOfWork, transaction: int, job: JobId, ad: Ad) -> None:
    """Record a new job of the transaction."""
    values = {"cluster_id": job.cluster, "proc_id": job.proc, "transaction_id": transaction, "removed": False}
    unit.execute(_ADD_JOB, {**values, "ad": ad.to_json()})


def job_ad(unit: UnitOfWork, transaction: int, job: JobId) -> Ad | None:
    """The ad so far of a job that this transaction created, removed since or not; or None."""
    row = unit.first(_GET_JOB, {"transaction": transaction, **_key(job)})
    return None if row is None else Ad.from_json(row.ad)


def writable_ad(unit: UnitOfWork, transaction: int, job: JobId) -> Ad:
    """The ad so far of a job that this transaction created and has not removed. Raises UnknownJob."""
    row = unit.first(_GET_WRITABLE, {"transaction": transaction, **_key(job)})
    if row is None:
        raise UnknownJob(_UNKNOWN)
    return Ad.from_json(row.ad)


def writable_files(unit: UnitOfWork, transaction: int, job: JobId) -> list[StagedFile]:
    """The declared files, in order of declaration, of a job that this transaction created and has not
    removed. Raises UnknownJob.
    """
    rows = unit.execute(_WRITABLE_FILES, {"transaction": transaction, **_key(job)})
    if not rows:
        raise UnknownJob(_UNKNOWN)
    return [_file(row) for row in rows if row.name is not None]


def writable_file(unit: UnitOfWork, transaction: int, job: JobId, name: str) -> StagedFile | None:
    """One declared file of such a job, or None. Raises UnknownJob."""
    row = unit.first(_WRITABLE_FILE, {"transaction": transaction, "file": name, **_key(job)})
    if row is None:
        raise UnknownJob(_UNKNOWN)
    return None if row.name is None else _file(row)


def stager(unit: UnitOfWork, job: JobId) -> str | None:
    """The account whose open transaction created the job, empty when it has none; None when there is no such
    job.
    """
    row = unit.first(_STAGER, _key(job))
    return None if row is None else row.account or ""


def remove_job(unit: UnitOfWork, job: JobId) -> None:
    """Take no more files and attributes for the job, if it is a staged one."""
    unit.execute(_REMOVE_JOB, _key(job))


def cluster_jobs(unit: UnitOfWork, transaction: int, cluster: int) -> list[JobId]:
    """The jobs of a cluster that this transaction created, by proc."""
    rows = unit.execute(_CLUSTER_JOBS, {"transaction": transaction, "cluster": cluster})
    return [JobId(cluster, row.proc_id) for row in rows]


def set_job_ad(unit: UnitOfWork, job: JobId, ad: Ad) -> None:
    """Replace the ad of a staged job."""
    unit.execute(_SET_JOB, {"text": ad.to_json(), **_key(job)})


def jobs(unit: UnitOfWork, transaction: int) -> list[tuple[JobId, Ad]]:
    """All jobs of the transaction by cluster and proc."""
    rows = unit.execute(_JOBS, {"transaction": transaction})
    return [(JobId(row.cluster_id, row.proc_id), Ad.from_json(row.ad)) for row in rows]


def size(unit: UnitOfWork, transaction: int) -> tuple[int, int]:
    """How many jobs and how many actions the transaction holds: what its end will have to do."""
    ((jobs, actions),) = unit.execute(_SIZE, {"transaction": transaction})
    return int(jobs), int(actions)


def job_ids(unit: UnitOfWork, transaction: int) -> list[JobId]:
    """The ids of all jobs of the transaction."""
    return [
        JobId(row.cluster_id, row.proc_id) for row in unit.execute(_JOB_IDS, {"transaction": transaction})
    ]


def job_count(unit: UnitOfWork, transaction: int) -> int:
    """How many jobs the transaction has created."""
    ((count,),) = unit.execute(_JOB_COUNT, {"transaction": transaction})
    return int(count)


def all_jobs_count(unit: UnitOfWork) -> int:
    """How many jobs the open transactions have created, all together."""
    ((count,),) = unit.execute(_ALL_JOBS_COUNT)
    return int(count)


def all_jobs(unit: UnitOfWork) -> set[JobId]:
    """Every job of every open transaction."""
    return {JobId(row.cluster_id, row.proc_id) for row in unit.execute(_ALL_JOBS)}


def add_file(unit: UnitOfWork, job: JobId, position: int, file: StagedFile) -> None:
    """Record a declared file of a staged job."""
    unit.execute(
        _ADD_FILE,
        {
            "cluster_id": job.cluster,
            "proc_id": job.proc,
            "name": file.name,
            "position": position,
            "size": file.size,
            "hash_type": file.hash_type,
            "hash": file.hash,
            "ranges": "[]",
        },
    )


def files(unit: UnitOfWork, job: JobId) -> list[StagedFile]:
    """The declared files of a staged job in order of declaration."""
    return [_file(row) for row in unit.execute(_FILES, _key(job))]


def own_files(unit: UnitOfWork, transaction: int) -> list[tuple[JobId, str | None]]:
    """The declared files of a transaction beside their jobs, by job; a job that has none is beside None."""
    rows = unit.execute(_OWN_FILES, {"transaction": transaction})
    return [(JobId(row[0], row[1]), row[2]) for row in rows]


def all_files(unit: UnitOfWork) -> list[tuple[JobId, str | None]]:
    """The same for all transactions."""
    return [(JobId(row[0], row[1]), row[2]) for row in unit.execute(_JOB_FILES)]


def set_ranges(unit: UnitOfWork, job: JobId, name: str, ranges: Ranges) -> None:
    """Record what has arrived of a declared file."""
    unit.execute(_SET_RANGES, {"file": name, "received": orjson.dumps(ranges).decode(), **_key(job)})


def add_action(unit: UnitOfWork, transaction: int, action: StagedAction) -> None:
    """Record an action that waits for the commit, after those recorded before."""
    ((last,),) = unit.execute(_LAST_ACTION, {"transaction": transaction})
    unit.execute(
        _ADD_ACTION,
        {
            "transaction_id": transaction,
            "position": 0 if last is None else last + 1,
            "action": action.action,
            "cluster_id": action.job.cluster,
            "proc_id": action.job.proc,
            "arguments": orjson.dumps(dict(action.arguments)).decode(),
        },
    )


def actions(unit: UnitOfWork, transaction: int) -> list[StagedAction]:
    """The waiting actions in the order in which they were asked for."""
    return [_action(row) for row in unit.execute(_ACTIONS, {"transaction": transaction})]


def actions_on(unit: UnitOfWork, transaction: int, job: JobId) -> list[StagedAction]:
    """Those of the waiting actions that are for one job."""
    return [_action(row) for row in unit.execute(_ACTIONS_ON_JOB, {"transaction": transaction, **_key(job)})]


def forget(unit: UnitOfWork, transaction: int) -> None:
    """Delete everything that the transaction staged; its jobs' sandboxes are left alone."""
    for statement in (_DELETE_FILES, *_DELETE):
        unit.execute(statement, {"transaction": transaction})


def _key(job: JobId) -> dict[str, int]:
    return {"cluster": job.cluster, "proc": job.proc}


def _action(row: Any) -> StagedAction:
    return StagedAction(row.action, JobId(row.cluster_id, row.proc_id), orjson.loads(row.arguments))


def _file(row: Any) -> StagedFile:
    ranges = [(start, end) for start, end in orjson.loads(row.ranges)]
    return StagedFile(row.name, row.size, row.hash_type, row.hash, ranges)
