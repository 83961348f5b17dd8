"""Events over AMQP 1.0, from a broker's exchange or queue, or from any other peer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from proton import Delivery, Message, Receiver

from birdbath.events import EventRecord
from birdbath.events.reading import NotAnEvent, from_cloudevent
from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp10.address import PeerAddress
from birdbath.notify.amqp10.peer import Peer, connected
from birdbath.notify.deliveries import Delivery as Delivered
from birdbath.notify.filters import Filter
from birdbath.notify.pauses import Pauses

_log = logging.getLogger(__name__)

PREFETCH = 1000
EVERYTHING = "job.#"


@dataclass(frozen=True)
class PeerSettings:
    """Which peer, and which node of it: the address's own, else RabbitMQ's names for a queue that is there
    (`queue`, shared by all who listen on it) or for an exchange and a topic.
    """

    address: PeerAddress
    exchange: str = EXCHANGE
    queue: str | None = None


@dataclass
class _Session:
    peer: Peer
    link: Receiver | None = None
    node: str = ""


class PeerSource:
    """A `Source` over AMQP 1.0.

    A filter of one topic is the broker's to apply when the source is an exchange; anything else is the
    listener's, which gets every event then: two links, one for each topic, would not keep their order.
    """

    def __init__(self, settings: PeerSettings, filter: Filter) -> None:
        self._settings = settings
        self._filter = filter
        self._pauses = Pauses()
        self._session: _Session | None = None
        self._arrived: asyncio.Queue[tuple[Delivery, Message]] = asyncio.Queue()

    def unapplied(self, filter: Filter) -> Filter:
        """See `Source.unapplied`: all of it, which is judged by the event alone."""
        return filter.without_jobs()

    async def use(self, filter: Filter) -> None:
        """See `Source.use`. While there is no connection it takes effect with the next one."""
        self._filter = filter
        if self._session is not None and self._session.node != self._node():
            try:
                await self._change_over(self._session)
            except OSError as error:
                _log.warning("The new topic is for the next connection: %s", error)

    async def deliveries(self) -> AsyncGenerator[Delivered, None]:
        """See `Source.deliveries`."""
        where = f"{self._settings.address.host}:{self._settings.address.port}"
        while True:
            try:
                async with connected(self._settings.address) as peer:
                    self._arrived = asyncio.Queue()
                    session = _Session(peer)
                    await self._attach(session, PREFETCH)
                    while session.node != self._node():  # another one is wanted meanwhile
                        await self._change_over(session)
                    self._session = session
                    self._pauses.reset()
                    _log.info("Listening on %s at %s", session.node, where)
                    while True:
                        yield await self._next(peer)
            except OSError as error:
                await self._pauses.after(f"The peer at {where}", error, _log)
            finally:
                self._session = None

    def _node(self) -> str:
        settings, topics = self._settings, self._filter.topics
        if settings.address.node:
            return settings.address.node
        if settings.queue is not None:
            return f"/amq/queue/{settings.queue}"
        return f"/exchange/{settings.exchange}/{topics[0] if len(topics) == 1 else EVERYTHING}"

    async def _attach(self, session: _Session, credit: int) -> None:
        session.node = self._node()
        session.link = await session.peer.receiver(session.node, credit, self._take)

    async def _change_over(self, session: _Session) -> None:
        """Go over to another node: what the former has comes first, and nothing that both have is missed."""
        former, peer = session.link, session.peer
        await self._attach(session, 0)
        if former is not None:
            # With credit left it has nothing more to send. RabbitMQ 3 does not outlive being asked to drain.
            await peer.until(lambda: former.credit > 0)
            await peer.detach(former)
        assert session.link is not None
        session.link.flow(PREFETCH)
        peer.flush()

    def _take(self, delivery: Delivery) -> None:
        message = Message()
        if delivery.readable and message.recv(delivery.link) is not None:
            self._arrived.put_nowait((delivery, message))

    async def _next(self, peer: Peer) -> Delivered:
        """What has arrived, at least one event. Raises PeerLost."""
        while True:
            await peer.until(lambda: not self._arrived.empty())
            taken: list[Delivery] = []
            events: list[EventRecord] = []
            while not self._arrived.empty():
                delivery, message = self._arrived.get_nowait()
                event = _event(message)
                if event is None:
                    _settle(peer, [delivery], Delivery.REJECTED)
                else:
                    taken.append(delivery)
                    events.append(event)
            if events:
                return Delivered(events, partial(_acknowledge, peer, taken))


def _event(message: Message) -> EventRecord | None:
    body = message.body
    try:
        return from_cloudevent(body.encode() if isinstance(body, str) else bytes(body or b""))
    except (NotAnEvent, TypeError, ValueError) as error:
        _log.error("Rejected a message, %s", error)
        return None


async def _acknowledge(peer: Peer, taken: list[Delivery]) -> None:
    _settle(peer, taken, Delivery.ACCEPTED)


def _settle(peer: Peer, deliveries: list[Delivery], state: int) -> None:
    """Tell the peer what became of deliveries, and that as many more may come; over a lost connection nobody
    is told.
    """
    if peer.lost:
        return
    for delivery in deliveries:
        link = delivery.link
        if link.state & link.LOCAL_ACTIVE:
            delivery.update(state)
            delivery.settle()
            link.flow(1)
    peer.flush()
