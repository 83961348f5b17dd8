"""A listener: events from a source, those that pass a filter to a sink, acknowledged when they are there."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from birdbath.errors import BirdbathError
from birdbath.events import EventRecord
from birdbath.notify.deliveries import Delivery, Sink, SinkFailed, Source
from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.pauses import Pauses
from birdbath.notify.tasks import end as end_tasks

_log = logging.getLogger(__name__)

REMEMBERED = 100_000
"""Ids kept to tell repeated events by, in memory."""


class Listener:
    """Runs between one source and one sink.

    With `window` seconds, everything that comes within them after the first event is one delivery (a
    digest). An event whose id was delivered before by this process is not delivered again. Of the filter it
    applies what the source leaves to it. Raises InvalidFilter.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        filter: Filter,
        window: float = 0.0,
        pauses: Callable[[], Pauses] = Pauses,
    ) -> None:
        self.filter = filter
        self._unapplied = source.unapplied(filter)
        self._source = source
        self._sink = sink
        self._window = window
        self._pauses = pauses
        self._delivered: OrderedDict[str, None] = OrderedDict()

    async def use(self, filter: Filter, feedback: bool = True) -> None:
        """Apply another filter to everything that comes from now on; with `feedback` the server is told too,
        so that it sends nothing in vain. Raises InvalidFilter, or what the server says to it, and the one in
        force stays.
        """
        former = self.filter, self._unapplied
        self._unapplied = self._source.unapplied(filter)
        self.filter = filter
        if feedback:
            try:
                await self._source.use(filter)
            except BirdbathError:
                self.filter, self._unapplied = former
                raise

    async def run(self) -> None:
        """Listen until cancelled. A sink that fails is asked again, with growing pauses, for what it has not
        taken: the listener passes nothing over.
        """
        async with (
            aclosing(self._source.deliveries()) as deliveries,
            aclosing(_windows(deliveries, self._window)) as windows,
        ):
            async for gathered in windows:
                events = [event for delivery in gathered for event in delivery.events]
                await self._put([event for event in events if self._wanted(event)])
                await gathered[-1].acknowledge()

    def _wanted(self, event: EventRecord) -> bool:
        return event.id not in self._delivered and self._unapplied.passes(Entry(event, lambda: None))

    async def _put(self, events: Sequence[EventRecord]) -> None:
        pauses = self._pauses()
        while events:
            try:
                await self._sink.deliver(events)
                break
            except SinkFailed as error:
                self._remember(events[: error.taken])
                events = events[error.taken :]
                if error.taken:
                    pauses.reset()
                pause = pauses.next()
                _log.warning("%s; again in %.1f s", error, pause)
                await asyncio.sleep(pause)
        self._remember(events)

    def _remember(self, events: Sequence[EventRecord]) -> None:
        for event in events:
            self._delivered[event.id] = None
        while len(self._delivered) > REMEMBERED:
            self._delivered.popitem(last=False)


async def _windows(
    deliveries: AsyncIterator[Delivery], window: float
) -> AsyncGenerator[list[Delivery], None]:
    """Deliveries that come within `window` seconds of a first one, together."""
    loop = asyncio.get_running_loop()
    upcoming = asyncio.ensure_future(anext(deliveries))
    try:
        while True:
            gathered = [await upcoming]
            upcoming = asyncio.ensure_future(anext(deliveries))
            end = loop.time() + window
            while (left := end - loop.time()) > 0:
                await asyncio.wait([upcoming], timeout=left)
                if not upcoming.done():
                    break
                gathered.append(upcoming.result())
                upcoming = asyncio.ensure_future(anext(deliveries))
            yield gathered
    finally:
        await end_tasks(upcoming)
