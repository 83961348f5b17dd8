"""The relay: from the event log to a broker, at least once, in order, whatever dies on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from birdbath.events import Form
from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp.connection import BROKER_ERRORS, shown
from birdbath.notify.brokers import publishing
from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.followers import Batch
from birdbath.notify.notifier import Notifier
from birdbath.notify.pauses import Pauses
from birdbath.notify.publications import Portions, Publication, Publishes
from birdbath.notify.subscriptions import RELAY, SubscribedFollower

_log = logging.getLogger(__name__)

KIND = RELAY
BATCH = 500
IN_FLIGHT = 4
"""Batches that may be on their way besides those whose confirmation is awaited, which are as many and one
more at most.
"""
IDLE = 60.0


@dataclass(frozen=True)
class RelaySettings:
    """Where the events go, which of them, and in what form. `key` names the durable cursor."""

    url: str
    form: Form
    filter: Filter = field(default_factory=Filter)
    exchange: str = EXCHANGE
    key: str = RELAY


@dataclass(frozen=True)
class _Sent:
    """A batch on its way."""

    batch: Batch
    confirmed: asyncio.Future[None]


class Relay:
    """Publishes what the event log has, from its durable cursor on; `run` it as a task."""

    def __init__(
        self, notifier: Notifier, settings: RelaySettings, pauses: Callable[[], Pauses] = Pauses
    ) -> None:
        self._notifier = notifier
        self._settings = settings
        self._pauses = pauses()
        self._portions = Portions(BATCH)

    async def run(self) -> None:
        """Publish until cancelled. The cursor moves only past events that the broker has confirmed."""
        settings = self._settings
        await self._notifier.subscriptions.ensure(settings.key, KIND, settings.filter)
        while True:
            try:
                async with publishing(settings.url, settings.exchange) as publisher:
                    _log.info("Publishing events to %s at %s", settings.exchange, shown(settings.url))
                    await self._pump(publisher)
            except BROKER_ERRORS as error:
                self._portions.failed(error)
                await self._pauses.after(f"The broker at {shown(settings.url)}", error, _log)

    async def _pump(self, publisher: Publishes) -> None:
        """Publish batch after batch, while those before are being confirmed and dealt with."""
        follower = self._notifier.subscriptions.open(self._settings.key)
        sent: asyncio.Queue[_Sent] = asyncio.Queue(IN_FLIGHT)
        tasks = [
            asyncio.ensure_future(self._send(publisher, follower, sent)),
            asyncio.ensure_future(self._settle(follower, sent)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            follower.close()
            unsettled = [sent.get_nowait().confirmed for _ in range(sent.qsize())]
            for unwanted in (*tasks, *unsettled):
                unwanted.cancel()
            await asyncio.gather(*tasks, *unsettled, return_exceptions=True)

    async def _send(
        self, publisher: Publishes, follower: SubscribedFollower, sent: asyncio.Queue[_Sent]
    ) -> None:
        while True:
            batch = await follower.next(self._portions.size, wait=IDLE)
            publications = [self._publication(entry) for entry in batch.entries]
            confirmed = asyncio.ensure_future(publisher.publish(publications))
            try:
                await sent.put(_Sent(batch, confirmed))
            except asyncio.CancelledError:
                confirmed.cancel()
                raise
            if not self._portions.are_whole:  # no later events before those that may be refused
                await asyncio.wait([confirmed])
                if confirmed.exception() is not None:
                    return  # which is told by who settles

    async def _settle(self, follower: SubscribedFollower, sent: asyncio.Queue[_Sent]) -> None:
        """Move the cursor past the batches that are under way, in one commit, when all of them are confirmed.

        Raises one of BROKER_ERRORS.
        """
        metrics = self._notifier.metrics
        while True:
            several = [await sent.get()]
            several += [sent.get_nowait() for _ in range(sent.qsize())]
            count = sum(len(one.batch.entries) for one in several)
            try:
                await asyncio.gather(*(one.confirmed for one in several))
            except BROKER_ERRORS:
                metrics.retried[KIND] += count
                raise
            self._pauses.reset()
            self._portions.taken()
            await follower.acknowledge(several[-1].batch.through)
            metrics.delivered[KIND] += count
            metrics.missed[KIND] += sum(one.batch.missed for one in several)

    def _publication(self, entry: Entry) -> Publication:
        form = self._settings.form
        return Publication(entry.event, entry.rendered(form), form.media_type)
