"""Publishing events with confirms: what `publish` returned for is the broker's, on its disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractExchange

from birdbath.events import EventRecord, Form, event_name, routing_key
from birdbath.events.forms import TYPE_PREFIX
from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp.connection import connected

CONFIRM_TIMEOUT = 30.0


@dataclass(frozen=True)
class Publication:
    """One event on its way to a broker."""

    event: EventRecord
    body: bytes
    media_type: str

    @property
    def key(self) -> str:
        """The routing key."""
        event = self.event
        return routing_key(event.type, event.owner, event.cluster, event.proc)

    def message(self) -> Message:
        """The message: persistent, with the event's id, type and time, and its job in the headers."""
        event = self.event
        return Message(
            self.body,
            content_type=self.media_type,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=event.id,
            timestamp=datetime.fromtimestamp(event.time, UTC),
            type=TYPE_PREFIX + event_name(event.type),
            app_id="birdbath",
            headers={
                "sequence": event.sequence,
                "owner": event.owner,
                "cluster": event.cluster,
                "proc": event.proc,
            },
        )


def publication(event: EventRecord, form: Form) -> Publication:
    """The event in a form."""
    return Publication(event, form(event), form.media_type)


class Publisher:
    """Publishes to one exchange; made by `publishing`."""

    def __init__(self, exchange: AbstractExchange) -> None:
        self._exchange = exchange

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Send a batch in its order and return when the broker has confirmed every message of it.

        Raises one of BROKER_ERRORS otherwise; then any of the batch may have arrived, and all of it has to
        be sent again: over a new connection the broker gets it after what it got over this one, so that what
        arrives for the first time arrives in order.
        """
        results = await asyncio.gather(
            *(
                self._exchange.publish(one.message(), one.key, timeout=CONFIRM_TIMEOUT, mandatory=False)
                for one in batch
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result


@asynccontextmanager
async def publishing(url: str, exchange: str = EXCHANGE) -> AsyncIterator[Publisher]:
    """A publisher over a connection of its own; the durable topic exchange is declared.

    Raises one of BROKER_ERRORS.
    """
    async with connected(url) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=False)
        yield Publisher(await channel.declare_exchange(exchange, ExchangeType.TOPIC, durable=True))
