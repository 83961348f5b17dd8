"""What tests of followers do to the event log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from birdbath.events import EventRecord, EventType, JobEvent
from birdbath.notify import Batch, Notifier
from birdbath.notify.deliveries import Source
from birdbath.store import Writer, event_log

HELD, RELEASED = EventType.JOB_HELD, EventType.JOB_RELEASED


@dataclass(frozen=True)
class House:
    """A writer and the followers of what it writes."""

    writer: Writer
    notifier: Notifier

    async def write(self, *events: JobEvent) -> int:
        """Commit events together; the last sequence number."""
        return await self.writer.write(lambda unit: event_log.append_all(unit, events))


Open = Callable[..., AbstractAsyncContextManager[House]]


def event(cluster: int, kind: EventType = HELD, owner: str = "ann", **fields: str | int) -> JobEvent:
    """An event of job `cluster`.0 in the second that its cluster says."""
    return JobEvent(kind, cluster, 0, owner, float(cluster), fields)


def clusters(batch: Batch) -> list[int]:
    return [entry.event.cluster for entry in batch.entries]


async def take(source: Source, count: int) -> list[EventRecord]:
    """The next `count` events of a source, acknowledged."""
    found: list[EventRecord] = []
    async for delivery in source.deliveries():
        found += delivery.events
        await delivery.acknowledge()
        if len(found) >= count:
            return found
    raise AssertionError
