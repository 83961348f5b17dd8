"""Publishing events with confirms: what `publish` returned for is the broker's, on its disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from aio_pika import DeliveryMode
from aiormq import Channel, spec
from aiormq.abc import ChannelFrame
from aiormq.exceptions import DeliveryError
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from birdbath.events.forms import moment
from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp.connection import connected, topic_exchange
from birdbath.notify.publications import CONFIRM_TIMEOUT, Publication, Refused

AT_ONCE = 50
"""Messages that are made and written without a chance for other tasks of the loop."""


class Publisher:
    """Publishes to one exchange over a channel with publisher confirms; made by `publishing`."""

    def __init__(self, channel: Channel, exchange: str) -> None:
        self._channel = channel
        self._exchange = exchange

    async def publish(self, batch: Sequence[Publication]) -> None:
        """See `Publishes.publish`."""
        async with asyncio.timeout(CONFIRM_TIMEOUT):
            confirmations: list[asyncio.Future[object]] = []
            async with self._channel.lock:
                for start in range(0, len(batch), AT_ONCE):
                    confirmations += await self._write(batch[start : start + AT_ONCE])
                    await asyncio.sleep(0)  # the connection writes
            results = await asyncio.gather(*confirmations, return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, DeliveryError):
                raise failure
        if failures:
            raise Refused(len(failures), len(batch))

    async def _write(self, messages: Sequence[Publication]) -> list[asyncio.Future[object]]:
        """Hand messages to the connection; the futures of their confirmations. The channel's lock is held.

        What the channel's basic_publish does, whose task, lock and timeouts for each single message cost more
        than all else that is done for an event.
        """
        channel = self._channel
        first = channel.delivery_tag + 1
        tags = range(first, first + len(messages))
        confirmations: list[asyncio.Future[object]] = [channel.create_future() for _ in tags]
        frames = [frame for one in messages for frame in self._frames(one)]
        channel.delivery_tag = tags[-1]
        channel.confirmations.update(zip(tags, confirmations, strict=True))
        try:
            await channel.write_queue.put(ChannelFrame.marshall(channel.number, frames))
        except BaseException:  # the broker does not see these, nor count them
            channel.delivery_tag = first - 1
            for tag in tags:
                channel.confirmations.pop(tag).cancel()
            raise
        return confirmations

    def _frames(self, one: Publication) -> Iterator[Frame | ContentHeader | ContentBody]:
        yield spec.Basic.Publish(exchange=self._exchange, routing_key=one.key)
        yield ContentHeader(properties=_properties(one), body_size=len(one.body))
        size = self._channel.max_content_size
        for start in range(0, len(one.body), size):
            yield ContentBody(one.body[start : start + size])


def _properties(one: Publication) -> spec.Basic.Properties:
    """The message is persistent, with the event's id, type and time, and its job in the headers."""
    return spec.Basic.Properties(
        content_type=one.media_type,
        headers=dict(one.headers),
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=one.event.id,
        timestamp=moment(max(0.0, one.event.time), utc=True),  # it has no sign there
        message_type=one.type,
        app_id="birdbath",
    )


@asynccontextmanager
async def publishing(url: str, exchange: str = EXCHANGE) -> AsyncIterator[Publisher]:
    """A publisher over a connection of its own, to `topic_exchange`. Raises one of BROKER_ERRORS."""
    async with connected(url) as connection:
        channel, _ = await topic_exchange(
            connection, exchange, publisher_confirms=True, on_return_raises=False
        )
        underlay = await channel.get_underlay_channel()
        assert isinstance(underlay, Channel)
        yield Publisher(underlay, exchange)
