"""Publishing events over AMQP 1.0: what `publish` returned for was accepted by the peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from proton import Delivery, Message, Sender

from birdbath.notify.amqp10.address import PeerAddress
from birdbath.notify.amqp10.peer import Peer, connected
from birdbath.notify.publications import CONFIRM_TIMEOUT, Publication, Refused


class Publisher:
    """Publishes over one link; made by `publishing`."""

    def __init__(self, peer: Peer, link: Sender) -> None:
        self._peer = peer
        self._link = link
        self._turn = asyncio.Lock()

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Send a batch in its order and return when the peer has accepted every message of it.

        Raises PeerLost, Refused or TimeoutError otherwise; then any of the batch may have arrived, and all of
        it has to be sent again over a new connection.
        """
        async with self._turn:
            unsettled = await self._send(batch)
        for delivery in unsettled:
            await self._peer.until(partial(_is_answered, delivery), CONFIRM_TIMEOUT)
        refused = [sent.remote_state for sent in unsettled if sent.remote_state != Delivery.ACCEPTED]
        for delivery in unsettled:
            delivery.settle()
        if refused:
            raise Refused(len(refused), len(batch))

    async def _send(self, batch: Sequence[Publication]) -> list[Delivery]:
        sent: list[Delivery] = []
        for one in batch:
            if self._link.credit <= 0:
                self._peer.flush()
                await self._peer.until(lambda: self._link.credit > 0, CONFIRM_TIMEOUT)
            sent.append(self._link.send(_message(one)))
        self._peer.flush()
        return sent


def _is_answered(delivery: Delivery) -> bool:
    return bool(delivery.remote_state)


def _message(one: Publication) -> Message:
    """The message: durable, with the event's id and its routing key as the subject."""
    event = one.event
    message = Message(
        one.body,
        inferred=True,
        durable=True,
        id=event.id,
        subject=one.key,
        content_type=one.media_type,
        creation_time=event.time,
    )
    message.properties = {"type": one.type, **one.headers}
    return message


@asynccontextmanager
async def publishing(address: PeerAddress, node: str) -> AsyncIterator[Publisher]:
    """A publisher to the address's node, or to `node`, over a connection of its own.

    Raises PeerLost, OSError, TimeoutError.
    """
    async with connected(address) as peer:
        yield Publisher(peer, await peer.sender(address.node or node))
