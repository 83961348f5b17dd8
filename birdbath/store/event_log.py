"""The event log: every change of a job, written in the database transaction of the change itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from hashlib import sha1
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select

from birdbath.classads import Ad
from birdbath.events import EventRecord, JobEvent
from birdbath.store.reader import Reader
from birdbath.store.statements import Row
from birdbath.store.tables import counters, events, jobs
from birdbath.store.unit_of_work import UnitOfWork

_NAMESPACE = uuid.UUID("6f1d2c8e-94a3-5f0b-8a52-3d2b6f6c0a11")
_SEED = _NAMESPACE.bytes
_INSERT = insert(events)
_NAME = insert(counters)
_LOG = select(counters.c.value).where(counters.c.name == "log").scalar_subquery().label("log")
_AFTER = (
    select(events, _LOG)
    .where(events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("most"))
)
_OLDEST = select(func.min(events.c.sequence).label("sequence"))
_NEWEST = select(counters.c.value).where(counters.c.name == "event")
_OF_JOB = (
    select(events, _LOG)
    .where(events.c.cluster_id == bindparam("cluster"), events.c.proc_id == bindparam("proc"))
    .order_by(events.c.sequence)
)
_JOB_AD = select(jobs.c.ad).where(
    jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc")
)
_FIRST = (
    select(events.c.sequence, events.c.time)
    .where(events.c.sequence <= bindparam("through"))
    .order_by(events.c.sequence)
    .limit(bindparam("most"))
)
_PRUNE = delete(events).where(events.c.sequence <= bindparam("through"))


class Bounds(NamedTuple):
    """The oldest event that is kept and the newest that was written; `oldest` is `newest` + 1 when none is
    kept.
    """

    oldest: int
    newest: int


def append_all(unit: UnitOfWork, batch: Sequence[JobEvent]) -> int:
    """Append events in their order and return the last sequence number; nothing, and 0, when there are none.
    Numbers are gapless, and durable exactly when the unit is.

    An event's id is not stored. It is derived from its number and from one that the whole log gets from its
    first event, the time and the ad of which no other log has, but for one that is the same to the end: so
    several pools have no id in common, and a replayed history has the same ones.
    """
    if not batch:
        return 0
    last = unit.advance("event", len(batch))
    first = last - len(batch) + 1
    rows = [_row(first + index, event) for index, event in enumerate(batch)]
    if first == 1:
        unit.execute(_NAME, {"name": "log", "value": _log_number(rows[0])})
    unit.execute_many(_INSERT, rows)
    unit.events_written = last
    return last


def read(reader: Reader, after: int, most: int) -> list[EventRecord]:
    """At most `most` committed events with a sequence number above `after`, in order and without a gap
    between them.
    """
    return [_record(row) for row in reader.rows(_AFTER, {"after": after, "most": most})]


def history(reader: Reader, cluster: int, proc: int) -> list[EventRecord]:
    """The committed events of one job that are kept, in order."""
    return [_record(row) for row in reader.rows(_OF_JOB, {"cluster": cluster, "proc": proc})]


def bounds(reader: Reader) -> Bounds:
    """What the log holds, by what is committed."""
    newest = reader.rows(_NEWEST)
    last = int(newest[0].value) if newest else 0
    oldest = reader.rows(_OLDEST)[0].sequence
    return Bounds(last + 1 if oldest is None else int(oldest), last)


def job_ad(reader: Reader, cluster: int, proc: int) -> Ad | None:
    """The newest ad of a job, in the queue or in the history; None for a job that never was committed."""
    rows = reader.rows(_JOB_AD, {"cluster": cluster, "proc": proc})
    return Ad.from_json(rows[0].ad) if rows else None


class Pruned(NamedTuple):
    """How many events were deleted, and the oldest that is left (or the next that will be written); 0 where
    that was not looked at.
    """

    deleted: int
    oldest: int


def prune(unit: UnitOfWork, through: int, too_many: int, too_old: float, most: int) -> Pruned:
    """Delete at most `most` of the oldest events up to sequence number `through`, as long as they are among
    the first `too_many` numbers or from a time before `too_old`.
    """
    last = 0
    rows = unit.execute(_FIRST, {"through": through, "most": most})
    for row in rows:
        if row.sequence > too_many and row.time >= too_old:
            break
        last = row.sequence
    if not last:
        return Pruned(0, rows[0].sequence if rows else 0)
    unit.execute(_PRUNE, {"through": last})
    return Pruned(last - rows[0].sequence + 1, last + 1)


def _record(row: Row) -> EventRecord:
    return EventRecord(
        row.sequence,
        _event_id(row.log, row.sequence),
        row.time,
        row.type,
        row.cluster_id,
        row.proc_id,
        row.owner,
        Ad.from_json(row.ad),
    )


def _log_number(first: dict[str, object]) -> int:
    digest = sha1(repr(sorted(first.items())).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 2  # what every database has room for


def _event_id(log: int | None, sequence: int) -> str:
    """`uuid.uuid5(_NAMESPACE, f"{log}/{sequence}")`, in a quarter of its time.

    A log that was begun before logs had numbers keeps the ids that it has told: of the sequence number alone.
    """
    name = f"{sequence}" if log is None else f"{log}/{sequence}"
    digest = sha1(_SEED + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def _row(sequence: int, event: JobEvent) -> dict[str, object]:
    return {
        "sequence": sequence,
        "time": event.time,
        "type": int(event.type),
        "cluster_id": event.cluster,
        "proc_id": event.proc,
        "owner": event.owner,
        "ad": event.ad().to_json(),
    }
