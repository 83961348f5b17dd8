"""Transactions and their leases (reference sections 3.1 and 3.2), kept in the database from the moment they
begin.

A lease is restarted by every call that carries the transaction, with the duration in the struct that the
client sent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import String, bindparam, delete, insert, select, update

from birdbath.errors import BirdbathError, InvalidTransaction, PermissionDenied
from birdbath.store.tables import transactions
from birdbath.store.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Transaction:
    """What a client holds of its transaction: its id (never 0) and the duration of its lease in seconds."""

    id: int
    duration: int


@dataclass(frozen=True)
class Lease:
    """A live transaction: the cluster that accepts new jobs (0: none yet)."""

    id: int
    active_cluster: int


class LeaseNotExtended(BirdbathError):
    """The transaction could not be extended: its duration is less than one second."""

    def __init__(self) -> None:
        super().__init__("Could not extend the transaction: its duration is less than one second")


_INSERT = insert(transactions)
_RENEW = (
    update(transactions)
    .where(
        transactions.c.id == bindparam("transaction"),
        transactions.c.expires_at > bindparam("now"),
        transactions.c.account.is_not_distinct_from(bindparam("beginner", type_=String)),
        transactions.c.committing.is_not_distinct_from(bindparam("commit", type_=String)),
    )
    .values(expires_at=bindparam("expires"), duration=bindparam("seconds"))
    .returning(transactions.c.account, transactions.c.active_cluster)
)
_FIND = select(transactions.c.account, transactions.c.active_cluster).where(
    transactions.c.id == bindparam("transaction"),
    transactions.c.expires_at > bindparam("now"),
    transactions.c.committing.is_not_distinct_from(bindparam("commit", type_=String)),
)
_TAKEN = select(transactions.c.id).where(transactions.c.id == bindparam("transaction"))
_ACTIVATE = (
    update(transactions)
    .where(transactions.c.id == bindparam("transaction"))
    .values(active_cluster=bindparam("cluster"))
)
_DELETE = delete(transactions).where(transactions.c.id == bindparam("transaction"))
_EXPIRED = select(transactions.c.id).where(
    transactions.c.expires_at <= bindparam("now"), transactions.c.committing.is_(None)
)
_NO_MORE = (
    update(transactions)
    .where(
        transactions.c.id == bindparam("transaction"),
        transactions.c.expires_at <= bindparam("now"),
        transactions.c.committing.is_(None),
    )
    .values(duration=0)
)
_OPEN = select(transactions.c.id).where(transactions.c.committing.is_(None))
_RENEW_ALL = update(transactions).values(expires_at=transactions.c.duration + bindparam("now"))


def effective_duration(duration: int, maximum: int) -> int:
    """`duration` capped by `maximum` seconds (0 or less: no cap) and at least 1."""
    return max(1, min(duration, maximum) if maximum > 0 else duration)


def begin(unit: UnitOfWork, account: str | None, duration: int) -> Transaction:
    """Begin a transaction. Its id cannot be guessed; it is not that of any other open one."""
    identifier = 0
    while identifier == 0 or unit.first(_TAKEN, {"transaction": identifier}):
        identifier = secrets.randbits(31)
    unit.execute(
        _INSERT,
        {
            "id": identifier,
            "account": account,
            "duration": duration,
            "expires_at": unit.now + duration,
            "active_cluster": 0,
        },
    )
    return Transaction(identifier, duration)


def renew(
    unit: UnitOfWork,
    transaction: Transaction | None,
    account: str | None,
    maximum: int,
    commit: str | None = None,
) -> Lease:
    """Restart the lease of a transaction for a call that carries it (rules 1 to 3 and 6 of reference section
    3.1). One that is being committed is live for nobody but that very `commit`.

    Raises InvalidTransaction when it is none or not live, and will after a restart too; LeaseNotExtended when
    its duration is below 1 (its timer then runs on), PermissionDenied when somebody else began it.
    """
    if transaction is None or transaction.id == 0:
        raise InvalidTransaction
    if transaction.duration < 1:
        row = unit.first(_FIND, {"transaction": transaction.id, "now": unit.asked_at, "commit": commit})
    else:
        seconds = effective_duration(transaction.duration, maximum)
        values = {
            "transaction": transaction.id,
            "beginner": account,
            "now": unit.asked_at,
            "expires": unit.now + seconds,
            "seconds": seconds,
            "commit": commit,
        }
        row = unit.first(_RENEW, values)
        if row is None:  # somebody else's lease is not renewed
            row = unit.first(_FIND, {"transaction": transaction.id, "now": unit.asked_at, "commit": commit})
    if row is None:
        unit.execute(_NO_MORE, {"transaction": transaction.id, "now": unit.asked_at})
        raise InvalidTransaction
    if row.account != account:
        raise PermissionDenied
    if transaction.duration < 1:
        raise LeaseNotExtended
    return Lease(transaction.id, row.active_cluster)


def activate(unit: UnitOfWork, lease: Lease, cluster: int) -> None:
    """Make `cluster` the one that accepts new jobs."""
    unit.execute(_ACTIVATE, {"transaction": lease.id, "cluster": cluster})


def end(unit: UnitOfWork, identifier: int) -> None:
    """Forget the transaction; its id is invalid from then on."""
    unit.execute(_DELETE, {"transaction": identifier})


def expired(unit: UnitOfWork) -> list[int]:
    """The ids of transactions whose lease had run out when this was asked for.

    So one is not ended while a call that came in time, later than this, still waits for its turn.
    """
    return [row.id for row in unit.execute(_EXPIRED, {"now": unit.asked_at})]


def open_ones(unit: UnitOfWork) -> list[int]:
    """The ids of all transactions."""
    return [row.id for row in unit.execute(_OPEN)]


def renew_all(unit: UnitOfWork) -> None:
    """Renew every lease once, at a restart: the time that the server was away is not the client's fault.

    One that somebody was told has run out stays so.
    """
    unit.execute(_RENEW_ALL, {"now": unit.now})
