"""The rows of subscriptions: who follows the event log, from where, and what it could not be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, insert, select, update

from birdbath.classads import Ad
from birdbath.events import EventRecord
from birdbath.store.reader import Reader
from birdbath.store.statements import Row
from birdbath.store.tables import dead_letters, subscriptions
from birdbath.store.unit_of_work import UnitOfWork

_s, _d = subscriptions.c, dead_letters.c
_BY_ID = _s.id == bindparam("key")
_INSERT = insert(subscriptions)
_ALL = select(subscriptions).order_by(_s.created_at, _s.id)
_ONE = select(subscriptions).where(_BY_ID)
_DELETE = delete(subscriptions).where(_BY_ID)
_IS_OVER = select(_s.id).where(_BY_ID, _s.expires_at <= bindparam("now"))
_THERE = select(_s.id).where(_BY_ID)
_RENEW = update(subscriptions).where(_BY_ID).values(expires_at=bindparam("until"))
_OPTIONS = update(subscriptions).where(_BY_ID).values(options=bindparam("new_options"))
_FILTER = (
    update(subscriptions).where(_BY_ID).values(filter=bindparam("new_filter"), generation=_s.generation + 1)
)
_ADVANCE = (
    update(subscriptions).where(_BY_ID, _s.cursor < bindparam("through")).values(cursor=bindparam("through"))
)
_BURY = insert(dead_letters)
_DEAD = select(dead_letters).where(_d.subscription_id == bindparam("key")).order_by(_d.sequence)
_DIG_UP = delete(dead_letters).where(
    _d.subscription_id == bindparam("key"), _d.sequence == bindparam("number")
)
_FORGET = delete(dead_letters).where(_d.subscription_id == bindparam("key"))


@dataclass(frozen=True)
class Subscription:
    """A follower of the event log that outlives its connection.

    Events up to `cursor` are done with. `filter` is JSON text; `generation` tells its versions apart.
    `options` is what the `kind` needs. Times in seconds since the epoch; without `expires_at` it stays until
    it is removed.
    """

    id: str
    kind: str
    account: str | None
    cursor: int
    filter: str
    created_at: float
    expires_at: float | None = None
    generation: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeadLetter:
    """An event that a subscription gave up to deliver, after so many attempts, and why."""

    subscription: str
    event: EventRecord
    attempts: int
    failed_at: float
    reason: str


def add(unit: UnitOfWork, subscription: Subscription) -> None:
    """Write a new subscription."""
    unit.execute(
        _INSERT,
        {
            "id": subscription.id,
            "kind": subscription.kind,
            "account": subscription.account,
            "cursor": subscription.cursor,
            "filter": subscription.filter,
            "generation": subscription.generation,
            "options": orjson.dumps(subscription.options).decode(),
            "created_at": subscription.created_at,
            "expires_at": subscription.expires_at,
        },
    )


def everything(reader: Reader) -> list[Subscription]:
    """All committed subscriptions, the oldest first."""
    return [_subscription(row) for row in reader.rows(_ALL)]


def find(reader: Reader, key: str) -> Subscription | None:
    """The committed subscription with this id."""
    if "\0" in key:  # which PostgreSQL would not be asked for
        return None
    found = reader.rows(_ONE, {"key": key})
    return _subscription(found[0]) if found else None


def acknowledge(unit: UnitOfWork, key: str, through: int) -> None:
    """Move the cursor to `through`; it never moves back."""
    unit.execute(_ADVANCE, {"key": key, "through": through})


def set_filter(unit: UnitOfWork, key: str, filter: str) -> None:
    """Replace the filter, in a new generation."""
    unit.execute(_FILTER, {"key": key, "new_filter": filter})


def set_options(unit: UnitOfWork, key: str, options: Mapping[str, Any]) -> None:
    """Replace the options."""
    unit.execute(_OPTIONS, {"key": key, "new_options": orjson.dumps(options).decode()})


def renew(unit: UnitOfWork, key: str, until: float | None) -> None:
    """Let the subscription live until then, or for good."""
    unit.execute(_RENEW, {"key": key, "until": until})


def remove(unit: UnitOfWork, key: str) -> None:
    """Forget the subscription and its dead letters."""
    unit.execute(_DELETE, {"key": key})
    unit.execute(_FORGET, {"key": key})


def remove_expired(unit: UnitOfWork, key: str, now: float) -> bool:
    """The same if its lease is over by now, which an acknowledgement or another server may have renewed;
    whether it was.
    """
    over = unit.first(_IS_OVER, {"key": key, "now": now}) is not None
    if over:
        remove(unit, key)
    return over


def bury(unit: UnitOfWork, letter: DeadLetter) -> None:
    """Write down that an event could not be delivered, unless the subscription is gone: nobody would ever
    look at the letter, or remove it.
    """
    if unit.first(_THERE, {"key": letter.subscription}) is None:
        return
    remove_letter(unit, letter.subscription, letter.event.sequence)
    unit.execute(
        _BURY,
        {
            "subscription_id": letter.subscription,
            "sequence": letter.event.sequence,
            "event": _event_text(letter.event),
            "attempts": letter.attempts,
            "failed_at": letter.failed_at,
            "reason": letter.reason,
        },
    )


def letters(reader: Reader, key: str) -> list[DeadLetter]:
    """The dead letters of a subscription, in order."""
    return [
        DeadLetter(row.subscription_id, _event(row.event), row.attempts, row.failed_at, row.reason)
        for row in reader.rows(_DEAD, {"key": key})
    ]


def remove_letter(unit: UnitOfWork, key: str, sequence: int) -> None:
    """Forget a dead letter, if there is one of that sequence number."""
    unit.execute(_DIG_UP, {"key": key, "number": sequence})


def _subscription(row: Row) -> Subscription:
    return Subscription(
        row.id,
        row.kind,
        row.account,
        row.cursor,
        row.filter,
        row.created_at,
        row.expires_at,
        row.generation,
        orjson.loads(row.options),
    )


def _event_text(event: EventRecord) -> str:
    fixed = (event.sequence, event.id, event.time, event.type, event.cluster, event.proc, event.owner)
    return orjson.dumps([*fixed, event.ad.to_json()]).decode()


def _event(text: str) -> EventRecord:
    sequence, key, time, kind, cluster, proc, owner, ad = orjson.loads(text)
    return EventRecord(sequence, key, time, kind, cluster, proc, owner, Ad.from_json(ad))
