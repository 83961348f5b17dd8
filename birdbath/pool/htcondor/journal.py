"""What the gateway remembers of a pool, in its database: ids, commits that are not over, its own name."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import Engine, String, bindparam, delete, func, insert, null, select, update

from birdbath.pool.base import JobId
from birdbath.store.reader import Reader
from birdbath.store.tables import (
    htcondor_actions,
    htcondor_clusters,
    htcondor_commits,
    htcondor_pools,
    staged_clusters,
    transactions,
)
from birdbath.store.unit_of_work import UnitOfWork

PREPARING, DECIDED, UNDOING = "preparing", "decided", "undoing"
_LONG = 1e9
"""Seconds by which the lease of a transaction that is being committed is out of reach."""

_c, _k, _a = htcondor_clusters.c, htcondor_commits.c, htcondor_actions.c
_POOL = bindparam("of_pool", type_=String)
_GATEWAY = select(htcondor_pools.c.gateway).where(htcondor_pools.c.pool == _POOL)
_NAME = insert(htcondor_pools)
_ADD_CLUSTER = insert(htcondor_clusters)
_FIND = select(_c.schedd_cluster, _c.first_proc).where(
    _c.pool == _POOL, _c.cluster_id == bindparam("cluster")
)
_OF_SCHEDD = select(_c.cluster_id, _c.first_proc).where(
    _c.pool == _POOL, _c.schedd_cluster == bindparam("cluster")
)
_ANY = _OF_SCHEDD.where(_c.left_at.is_(None)).limit(1)
_WITH_PROC = _OF_SCHEDD.where(
    _c.first_proc <= bindparam("proc"), _c.first_proc + _c.procs > bindparam("proc")
)
_REVERSE = _WITH_PROC.where(_c.left_at.is_(None))
_LATEST = _WITH_PROC.order_by(_c.cluster_id.desc()).limit(1)
_CLUSTERS = select(_c.cluster_id, _c.procs).where(_c.pool == _POOL, _c.left_at.is_(None))
_COUNT = select(func.coalesce(func.sum(_c.procs), 0)).where(_c.pool == _POOL, _c.left_at.is_(None))
_COUNT_OF = _COUNT.where(_c.owner == bindparam("whose"))
_LEAVE = (
    update(htcondor_clusters)
    .where(_c.pool == _POOL, _c.cluster_id == bindparam("cluster"), _c.left_at.is_(None))
    .values(left_at=bindparam("now"))
)
_FORGET = delete(htcondor_clusters).where(_c.pool == _POOL, _c.left_at < bindparam("before"))
_BEGIN = insert(htcondor_commits)
_STATE = (
    update(htcondor_commits)
    .where(_k.marker == bindparam("commit"), _k.state == bindparam("before"))
    .values(state=bindparam("after"))
    .returning(_k.transaction_id)
)
_OPEN = select(_k.marker, _k.state).where(_k.pool == _POOL)
_OF_COMMIT = select(_k.state).where(_k.marker == bindparam("commit"))
_END = delete(htcondor_commits).where(_k.marker == bindparam("commit"))
_TRANSACTION = select(staged_clusters.c.transaction_id).where(
    staged_clusters.c.cluster_id == bindparam("cluster")
)
_MARK = (
    update(transactions)
    .where(transactions.c.id == bindparam("transaction"))
    .values(committing=bindparam("commit"), expires_at=bindparam("expires"))
)
_UNMARK = (
    update(transactions)
    .where(transactions.c.id == bindparam("transaction"), transactions.c.committing == bindparam("commit"))
    .values(committing=null(), expires_at=transactions.c.duration + bindparam("now"))
)
_ADD_ACTION = insert(htcondor_actions)
_LAST_ACTION = select(func.max(_a.position)).where(_a.marker == bindparam("commit"))
_ACTIONS = select(htcondor_actions).where(_a.marker == bindparam("commit")).order_by(_a.position)
_ACTION_DONE = delete(htcondor_actions).where(
    _a.marker == bindparam("commit"), _a.position == bindparam("place")
)


@dataclass(frozen=True)
class Queued:
    """A cluster that is in the schedd's queue: its id and owner as clients know them, and which procs of
    which of the schedd's clusters it is.
    """

    cluster: int
    procs: int
    owner: str
    schedd_cluster: int
    first_proc: int = 0

    def jobs(self) -> list[str]:
        """The ids of its jobs in the schedd."""
        procs = range(self.first_proc, self.first_proc + self.procs)
        return [f"{self.schedd_cluster}.{proc}" for proc in procs]


@dataclass(frozen=True)
class Deferred:
    """Something that a decided commit has still to do to a job."""

    position: int
    action: str
    job: JobId
    arguments: dict[str, Any]


def gateway(unit: UnitOfWork, pool: str) -> str:
    """The name by which this database marks its jobs in a pool, made at the first time."""
    row = unit.first(_GATEWAY, {"of_pool": pool})
    if row is not None:
        return str(row.gateway)
    name = f"birdbath-{secrets.token_hex(8)}"
    unit.execute(_NAME, {"pool": pool, "gateway": name})
    return name


class Journal:
    """The records of one pool, `pool` being its name in the settings. Reading is thread-safe."""

    def __init__(self, engine: Engine, pool: str) -> None:
        self._pool = pool
        self._reader = Reader(engine)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._reader.close()

    # Ids

    def place(self, cluster: int) -> JobId | None:
        """What the schedd calls proc 0 of a committed cluster that is remembered; its other procs follow."""
        rows = self._rows(_FIND, cluster=cluster)
        return JobId(rows[0].schedd_cluster, rows[0].first_proc) if rows else None

    def has_own(self, schedd_cluster: int) -> bool:
        """Whether one of the schedd's clusters in the queue is the gateway's own."""
        return bool(self._rows(_ANY, cluster=schedd_cluster))

    def own_job(self, job: JobId) -> JobId | None:
        """The id that clients know of a job that the schedd calls `job`, if it is in the queue."""
        return self._own(_REVERSE, job)

    def former_job(self, job: JobId) -> JobId | None:
        """The same of a job that may have left the queue, as long as its cluster is remembered."""
        return self._own(_LATEST, job)

    def _own(self, statement: Any, job: JobId) -> JobId | None:
        rows = self._rows(statement, cluster=job.cluster, proc=job.proc)
        return JobId(rows[0].cluster_id, job.proc - rows[0].first_proc) if rows else None

    def clusters(self) -> dict[int, int]:
        """Committed clusters that may have jobs in the queue, and how many procs they had."""
        return {row.cluster_id: row.procs for row in self._rows(_CLUSTERS)}

    def count(self, owner: str | None) -> int:
        """How many jobs the committed clusters had, of one owner or of all."""
        rows = self._rows(_COUNT) if owner is None else self._rows(_COUNT_OF, whose=owner)
        return int(rows[0][0])

    def leave(self, unit: UnitOfWork, cluster: int) -> None:
        """None of the cluster's jobs is in the queue any more: its ids are remembered for the history."""
        unit.execute(_LEAVE, {"of_pool": self._pool, "cluster": cluster, "now": unit.now})

    def forget(self, unit: UnitOfWork, age: float) -> None:
        """Forget the ids of clusters that left the queue more than `age` seconds ago."""
        unit.execute(_FORGET, {"of_pool": self._pool, "before": unit.now - age})

    # Commits

    def begin(self, unit: UnitOfWork, marker: str, cluster: int) -> None:
        """A commit begins; the transaction that made `cluster`, if any, is its alone from now on."""
        row = unit.first(_TRANSACTION, {"cluster": cluster})
        transaction = None if row is None else int(row.transaction_id)
        unit.execute(_BEGIN, self._commit(marker, transaction, PREPARING))
        if transaction is not None:
            expires = unit.now + _LONG
            unit.execute(_MARK, {"transaction": transaction, "commit": marker, "expires": expires})

    def decide(self, unit: UnitOfWork, marker: str, clusters: Sequence[Queued]) -> None:
        """The commit is decided with the unit: its clusters are in the queue.

        Raises LookupError when it is not being prepared any more.
        """
        if not unit.execute(_STATE, {"commit": marker, "before": PREPARING, "after": DECIDED}):
            raise LookupError(f"commit {marker} was given up")
        for queued in clusters:
            values = {"pool": self._pool, "cluster_id": queued.cluster, **asdict(queued)}
            del values["cluster"]
            unit.execute(_ADD_CLUSTER, values)

    def decide_actions(self, unit: UnitOfWork, marker: str) -> None:
        """A commit that has nothing to submit, but something to do, is decided with the unit."""
        unit.execute(_BEGIN, self._commit(marker, None, DECIDED))

    def give_up(self, unit: UnitOfWork, marker: str) -> None:
        """A commit that was not decided is taken back; its transaction is its client's again."""
        for row in unit.execute(_STATE, {"commit": marker, "before": PREPARING, "after": UNDOING}):
            if row.transaction_id is not None:
                values = {"transaction": row.transaction_id, "commit": marker, "now": unit.now}
                unit.execute(_UNMARK, values)

    def end(self, unit: UnitOfWork, marker: str) -> None:
        """There is nothing left to do for a commit."""
        unit.execute(_END, {"commit": marker})

    def state(self, marker: str) -> str | None:
        """The state of a commit that is not over."""
        rows = self._rows(_OF_COMMIT, commit=marker)
        return str(rows[0].state) if rows else None

    def commits(self) -> dict[str, str]:
        """The commits that are not over, with their states."""
        return {row.marker: row.state for row in self._rows(_OPEN)}

    def undecided(self) -> list[str]:
        """The commits that may still be decided."""
        return [marker for marker, state in self.commits().items() if state == PREPARING]

    # Actions

    def defer(
        self, unit: UnitOfWork, marker: str, action: str, job: JobId, arguments: dict[str, Any]
    ) -> None:
        """Something is to be done when the commit is decided, after what was deferred before."""
        ((last,),) = unit.execute(_LAST_ACTION, {"commit": marker})
        unit.execute(
            _ADD_ACTION,
            {
                "marker": marker,
                "position": 1 if last is None else last + 1,
                "action": action,
                "cluster_id": job.cluster,
                "proc_id": job.proc,
                "arguments": orjson.dumps(arguments).decode(),
            },
        )

    def deferred(self, marker: str) -> list[Deferred]:
        """What is still to be done, in order."""
        return [
            Deferred(
                row.position, row.action, JobId(row.cluster_id, row.proc_id), orjson.loads(row.arguments)
            )
            for row in self._rows(_ACTIONS, commit=marker)
        ]

    def done(self, unit: UnitOfWork, marker: str, position: int) -> None:
        """One of the deferred actions was done, or cannot be."""
        unit.execute(_ACTION_DONE, {"commit": marker, "place": position})

    def _commit(self, marker: str, transaction: int | None, state: str) -> dict[str, object]:
        return {"marker": marker, "pool": self._pool, "transaction_id": transaction, "state": state}

    def _rows(self, statement: Any, **values: object) -> Sequence[Any]:
        used = values if statement in (_ACTIONS, _OF_COMMIT) else {"of_pool": self._pool, **values}
        with self._lock:
            return self._reader.rows(statement, used)
