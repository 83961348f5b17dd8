"""Publishing events with confirms: what `publish` returned for is the broker's, on its disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractExchange

from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp.connection import connected
from birdbath.notify.publications import CONFIRM_TIMEOUT, Publication


class Publisher:
    """Publishes to one exchange; made by `publishing`."""

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    async def publish(self, batch: Sequence[Publication]) -> None:
        """See `Publishes.publish`."""
        publish = self._exchange.publish
        async with asyncio.timeout(CONFIRM_TIMEOUT):
            results = await asyncio.gather(
                *(publish(_message(one), one.key, mandatory=False) for one in batch), return_exceptions=True
            )
        for result in results:
            if isinstance(result, BaseException):
                raise result


def _message(one: Publication) -> Message:
    """The message: persistent, with the event's id, type and time, and its job in the headers."""
    return Message(
        one.body,
        content_type=one.media_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=one.event.id,
        timestamp=datetime.fromtimestamp(one.event.time, UTC),
        type=one.type,
        app_id="birdbath",
        headers=dict(one.headers),
    )


@asynccontextmanager
async def publishing(url: str, exchange: str = EXCHANGE) -> AsyncIterator[Publisher]:
    """A publisher over a connection of its own; the durable topic exchange is declared.

    Raises one of BROKER_ERRORS.
    """
    async with connected(url) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=False)
        yield Publisher(await channel.declare_exchange(exchange, ExchangeType.TOPIC, durable=True))
