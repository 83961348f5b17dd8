"""A publisher that goes back to its broker by itself, for whoever has nothing better to do meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

from birdbath.events import EventRecord, Form
from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp.connection import BROKER_ERRORS, shown
from birdbath.notify.brokers import publishing
from birdbath.notify.pauses import Pauses
from birdbath.notify.publications import Portions, Publishes, publication

_log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Events that are sent before the confirmation of any is awaited."""


class SteadyPublisher:
    """Publishes to one exchange over connections that it makes when it needs one."""

    def __init__(self, url: str, exchange: str, form: Form) -> None:
        self._url = url
        self._exchange = exchange or EXCHANGE
        self._form = form
        self._pauses = Pauses()
        self._portions = Portions(AT_ONCE)
        self._turn = asyncio.Lock()
        self._connection = AsyncExitStack()
        self._publisher: Publishes | None = None

    async def publish(self, events: Sequence[EventRecord]) -> None:
        """Return when the broker has confirmed all of `events`, however long it takes: a broker that is away
        is waited for.
        """
        batch = [publication(event, self._form) for event in events]
        async with self._turn:  # two batches at once would mix on the wire, and one lost connection undo both
            while batch:
                portion = batch[: self._portions.size]
                try:
                    publisher = await self._connected()
                    await publisher.publish(portion)
                    self._pauses.reset()
                    self._portions.taken()
                    batch = batch[len(portion) :]
                except BROKER_ERRORS as error:
                    self._portions.failed(error)
                    await self.close()
                    await self._pauses.after(f"The broker at {shown(self._url)}", error, _log)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        self._publisher = None
        await self._connection.aclose()

    async def _connected(self) -> Publishes:
        if self._publisher is None:
            self._publisher = await self._connection.enter_async_context(
                publishing(self._url, self._exchange)
            )
        return self._publisher
