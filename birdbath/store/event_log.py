"""The event log: every change of a job, written in the database transaction of the change itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import insert

from birdbath.events import JobEvent
from birdbath.store.tables import events
from birdbath.store.unit_of_work import UnitOfWork

_NAMESPACE = uuid.UUID("6f1d2c8e-94a3-5f0b-8a52-3d2b6f6c0a11")
_INSERT = insert(events)


def append(unit: UnitOfWork, event: JobEvent) -> int:
    """Append `event` and return its sequence number: gapless, and durable exactly when the unit is."""
    return append_all(unit, (event,))


def append_all(unit: UnitOfWork, batch: Sequence[JobEvent]) -> int:
    """Append events in their order and return the last sequence number; nothing, and 0, when there are none.

    Ids are derived from sequence numbers, so that a replayed history has the same ids.
    """
    if not batch:
        return 0
    last = unit.advance("event", len(batch))
    first = last - len(batch) + 1
    unit.execute_many(_INSERT, [_row(first + index, event) for index, event in enumerate(batch)])
    return last


def _row(sequence: int, event: JobEvent) -> dict[str, object]:
    return {
        "sequence": sequence,
        "id": str(uuid.uuid5(_NAMESPACE, str(sequence))),
        "time": event.time,
        "type": int(event.type),
        "cluster_id": event.cluster,
        "proc_id": event.proc,
        "owner": event.owner,
        "ad": event.ad().to_json(),
    }
