"""What the federation keeps: the pools' numbers, which cluster is which, and the commits under way.

A commit is written down before its pool is told to do it, and crossed out when it is known what came of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, null, select, update

from birdbath.errors import BirdbathError, InvalidTransaction
from birdbath.federation.ids import MOST_POOLS
from birdbath.store import kept_replies
from birdbath.store.tables import (
    federation_clusters,
    federation_commits,
    federation_pools,
    transactions,
)
from birdbath.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Decided:
    """A commit that its pool was to be told of: the federation's transaction, the pool and its transaction,
    the account that began both, the mark by which the pool knows it, and the Idempotency-Key under which the
    reply is kept, if any.
    """

    transaction: int
    pool: str
    pool_transaction: int
    account: str | None
    mark: str
    key: str | None = None


class Place:
    """Where a cluster is: the pool, and its id there."""

    __slots__ = ("cluster", "pool")

    def __init__(self, pool: str, cluster: int) -> None:
        self.pool = pool
        self.cluster = cluster


_POOLS: Final = select(federation_pools.c.number, federation_pools.c.name)
_ADD_POOL: Final = insert(federation_pools)
_CLUSTERS: Final = select(federation_clusters)
_CLUSTERS_OF: Final = select(federation_clusters.c.cluster_id, federation_clusters.c.pool_cluster_id).where(
    federation_clusters.c.mark == bindparam("of")
)
_ADD_CLUSTER: Final = insert(federation_clusters)
_COMMITS: Final = select(federation_commits)
_ADD_COMMIT: Final = insert(federation_commits)
_END_COMMIT: Final = delete(federation_commits).where(
    federation_commits.c.transaction_id == bindparam("transaction")
)
_DROP_CLUSTERS: Final = delete(federation_clusters).where(federation_clusters.c.mark == bindparam("of"))
_CLOSE: Final = (
    update(transactions)
    .where(transactions.c.id == bindparam("transaction"), transactions.c.committing.is_(None))
    .values(committing=bindparam("commit"))
)
_CLOSED: Final = select(transactions.c.id).where(
    transactions.c.id == bindparam("transaction"), transactions.c.committing == bindparam("commit")
)
_LEFT: Final = select(transactions.c.id, transactions.c.committing).where(
    transactions.c.committing.is_not(None),
    transactions.c.id.not_in(select(federation_commits.c.transaction_id)),
)
_OPEN: Final = (
    update(transactions)
    .where(transactions.c.id == bindparam("transaction"))
    .values(committing=null(), expires_at=transactions.c.duration + bindparam("now"))
)


def numbered(unit: UnitOfWork, names: Iterable[str]) -> dict[str, int]:
    """The number of each pool; a pool that has none yet gets one that no other ever had."""
    known = {row.name: int(row.number) for row in unit.execute(_POOLS)}
    for name in names:
        if name not in known:
            known[name] = max(known.values(), default=0) + 1
            if known[name] > MOST_POOLS:
                raise BirdbathError(f"A federation numbers at most {MOST_POOLS} pools, one after the other")
            unit.execute(_ADD_POOL, {"number": known[name], "name": name})
    return {name: known[name] for name in names}


def clusters(unit: UnitOfWork) -> dict[int, Place]:
    """Where every cluster is that was submitted through the federation."""
    return {int(row.cluster_id): Place(row.pool, int(row.pool_cluster_id)) for row in unit.execute(_CLUSTERS)}


def clusters_of(unit: UnitOfWork, mark: str) -> dict[int, int]:
    """What the clusters of a commit are called in its pool."""
    rows = unit.execute(_CLUSTERS_OF, {"of": mark})
    return {int(row.cluster_id): int(row.pool_cluster_id) for row in rows}


def commits(unit: UnitOfWork) -> list[Decided]:
    """The commits of which it is not known yet what came of them."""
    return [
        Decided(
            int(row.transaction_id), row.pool, int(row.pool_transaction_id), row.account, row.mark, row.key
        )
        for row in unit.execute(_COMMITS)
    ]


def pool_to_do(unit: UnitOfWork, account: str | None, key: str) -> str | None:
    """The pool that is yet to do the commit which an account asked for under an Idempotency-Key, if any."""
    asked = (decided for decided in commits(unit) if (decided.account, decided.key) == (account, key))
    return next((decided.pool for decided in asked), None)


def close(unit: UnitOfWork, transaction: int, mark: str) -> None:
    """A commit begins: from now on its transaction takes no calls and does not expire."""
    unit.execute(_CLOSE, {"transaction": transaction, "commit": mark})


def reopen(unit: UnitOfWork, spared: Collection[str]) -> None:
    """Let transactions go on, their leases renewed, that a commit has closed which was not decided; those
    with a mark that is `spared` are being committed.
    """
    for row in unit.execute(_LEFT):
        if row.committing not in spared:
            unit.execute(_OPEN, {"transaction": row.id, "now": unit.now})


def decide(unit: UnitOfWork, commit: Decided, placed: Mapping[int, int]) -> None:
    """Write down that the pool is to be told; `placed` says what each cluster is called there.

    Raises InvalidTransaction when the transaction is not closed for this commit any more.
    """
    if unit.first(_CLOSED, {"transaction": commit.transaction, "commit": commit.mark}) is None:
        raise InvalidTransaction
    unit.execute(
        _ADD_COMMIT,
        {
            "transaction_id": commit.transaction,
            "pool": commit.pool,
            "pool_transaction_id": commit.pool_transaction,
            "account": commit.account,
            "mark": commit.mark,
            "key": commit.key,
        },
    )
    unit.execute_many(
        _ADD_CLUSTER,
        [
            {"cluster_id": own, "pool": commit.pool, "pool_cluster_id": theirs, "mark": commit.mark}
            for own, theirs in placed.items()
        ],
    )


def done(unit: UnitOfWork, commit: Decided) -> None:
    """Cross out a commit that the pool has done; its reply is kept as long as others from now on."""
    unit.execute(_END_COMMIT, {"transaction": commit.transaction})
    if commit.key is not None:
        kept_replies.prolong(unit, commit.account or "", commit.key)


def undone(unit: UnitOfWork, commit: Decided) -> None:
    """Cross out a commit that came to nothing, and forget its reply; its transaction stays closed."""
    unit.execute(_END_COMMIT, {"transaction": commit.transaction})
    unit.execute(_DROP_CLUSTERS, {"of": commit.mark})
    if commit.key is not None:
        kept_replies.forget(unit, commit.account or "", commit.key)
