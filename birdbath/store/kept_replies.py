"""Replies that are kept under an Idempotency-Key, to be given again when the same request comes again.

The reply of a call that changes something is written in the unit of work of the change: after a crash either
both are there or neither is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update

from birdbath.store.tables import kept_replies
from birdbath.store.unit_of_work import UnitOfWork

KEPT_SECONDS: Final = 86400.0


@dataclass(frozen=True)
class KeptReply:
    """A reply, and the digest of the request that it answers."""

    digest: str
    status: int
    content_type: str
    body: str


_WHICH = (kept_replies.c.account == bindparam("of")) & (kept_replies.c.key == bindparam("named"))
_FIND = select(
    kept_replies.c.digest, kept_replies.c.status, kept_replies.c.content_type, kept_replies.c.body
).where(_WHICH, kept_replies.c.expires_at > bindparam("now"))
_FORGET = delete(kept_replies).where(_WHICH)
_KEEP = insert(kept_replies)
_PROLONG = update(kept_replies).where(_WHICH).values(expires_at=bindparam("until"))
_SWEEP = delete(kept_replies).where(kept_replies.c.expires_at <= bindparam("now"))


def find(unit: UnitOfWork, account: str, key: str) -> KeptReply | None:
    """The reply that is kept for an account under a key."""
    row = unit.first(_FIND, {"of": account, "named": key, "now": unit.now})
    return None if row is None else KeptReply(row.digest, row.status, row.content_type, row.body)


def forget(unit: UnitOfWork, account: str, key: str) -> None:
    """Forget the reply that is kept for an account under a key, if any."""
    unit.execute(_FORGET, {"of": account, "named": key})


def keep(unit: UnitOfWork, account: str, key: str, reply: KeptReply, seconds: float = KEPT_SECONDS) -> None:
    """Keep a reply for so many seconds, a day unless it is said."""
    forget(unit, account, key)
    unit.execute(
        _KEEP,
        {
            "account": account,
            "key": key,
            "digest": reply.digest,
            "status": reply.status,
            "content_type": reply.content_type,
            "body": reply.body,
            "expires_at": unit.now + seconds,
        },
    )


def prolong(unit: UnitOfWork, account: str, key: str, seconds: float = KEPT_SECONDS) -> None:
    """Keep what is kept for an account under a key for so many seconds from now."""
    unit.execute(_PROLONG, {"of": account, "named": key, "until": unit.now + seconds})


def sweep(unit: UnitOfWork) -> None:
    """Forget what has been kept long enough."""
    unit.execute(_SWEEP, {"now": unit.now})
