"""The event log: every change of a job, written in the database transaction of the change itself."""

from __future__ import annotations

import uuid

from sqlalchemy import insert

from birdbath.events import JobEvent
from birdbath.store.tables import events
from birdbath.store.unit_of_work import UnitOfWork

_NAMESPACE = uuid.UUID("6f1d2c8e-94a3-5f0b-8a52-3d2b6f6c0a11")
_INSERT = insert(events)


def append(unit: UnitOfWork, event: JobEvent) -> int:
    """Append `event` and return its sequence number: gapless, and durable exactly when the unit is.

    The id is derived from the sequence number, so that a replayed history has the same ids.
    """
    sequence = unit.advance("event")
    unit.execute(
        _INSERT,
        {
            "sequence": sequence,
            "id": str(uuid.uuid5(_NAMESPACE, str(sequence))),
            "time": event.time,
            "type": int(event.type),
            "cluster_id": event.cluster,
            "proc_id": event.proc,
            "owner": event.owner,
            "ad": event.ad().to_json(),
        },
    )
    return sequence
