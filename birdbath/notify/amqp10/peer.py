"""A connection to an AMQP 1.0 peer: Proton's engine between an asyncio transport and whoever sends or
receives.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

from proton import Collector, Connection, Delivery, Event, Link, Receiver, Sender, Transport

from birdbath.notify.amqp10.address import PeerAddress

CONNECT_TIMEOUT = 20.0
CLOSE_TIMEOUT = 5.0
_MAX_FRAME = 64 * 1024

OnDelivery = Callable[[Delivery], None]


class PeerLost(ConnectionError):
    """The peer refused something, hangs, or is gone; it is worth trying again over a new connection."""


class Peer(asyncio.Protocol):
    """One connection and its only session; made by `connected`.

    Whoever changes something in the engine calls `flush`, and waits for what comes of it with `until`.
    """

    def __init__(self, address: PeerAddress) -> None:
        self._address = address
        self._collector = Collector()
        self._connection = Connection()
        self._engine = Transport()
        self._wire: asyncio.Transport | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._on_delivery: dict[str, OnDelivery] = {}
        self._detached: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = asyncio.get_running_loop().create_future()
        self._lost: str | None = None
        self._set_up()

    def _set_up(self) -> None:
        address, connection, engine = self._address, self._connection, self._engine
        connection.collect(self._collector)
        connection.container = f"birdbath-{uuid.uuid4()}"
        connection.hostname = address.host
        connection.user, connection.password = address.user, address.password
        engine.max_frame_size = _MAX_FRAME
        engine.idle_timeout = address.heartbeat
        sasl = engine.sasl()
        sasl.allow_insecure_mechs = True  # PLAIN without TLS is for whoever wrote amqp1 and not amqps1
        sasl.allowed_mechs("PLAIN" if address.user is not None else "ANONYMOUS")
        engine.bind(connection)
        connection.open()
        self._session = connection.session()
        self._session.open()

    # ---------------------------------------------------------------- links

    async def sender(self, node: str) -> Sender:
        """A link that sends to `node`, open, each delivery to be settled by the peer. Raises PeerLost."""
        link = self._session.sender(f"birdbath-{uuid.uuid4()}")
        link.target.address = node
        link.snd_settle_mode = Link.SND_UNSETTLED
        link.rcv_settle_mode = Link.RCV_FIRST
        return cast(Sender, await self._opened(link))

    async def receiver(self, node: str, credit: int, on_delivery: OnDelivery) -> Receiver:
        """A link that receives from `node`, `credit` deliveries that are not settled at most. Raises
        PeerLost.
        """
        link = self._session.receiver(f"birdbath-{uuid.uuid4()}")
        link.source.address = node
        link.snd_settle_mode = Link.SND_UNSETTLED
        self._on_delivery[link.name] = on_delivery
        link.flow(credit)
        return cast(Receiver, await self._opened(link))

    async def detach(self, link: Link) -> None:
        """Close a receiving link. Raises PeerLost."""
        link.close()
        self.flush()
        await self.until(lambda: link.name in self._detached, CLOSE_TIMEOUT)
        self._detached.discard(link.name)
        del self._on_delivery[link.name]

    async def _opened(self, link: Link) -> Link:
        link.open()
        self.flush()
        await self.until(lambda: bool(link.state & link.REMOTE_ACTIVE), CONNECT_TIMEOUT)
        return link

    # ---------------------------------------------------------------- waiting

    @property
    def lost(self) -> bool:
        """Whether the connection is lost."""
        return self._lost is not None

    async def until(self, reached: Callable[[], bool], seconds: float | None = None) -> None:
        """Return when `reached` is true, which is looked at whenever something came.

        Raises PeerLost when the connection is lost before, TimeoutError after `seconds`.
        """
        async with asyncio.timeout(seconds):
            while not reached():
                if self._lost is not None:
                    raise PeerLost(self._lost)
                waiting = asyncio.get_running_loop().create_future()
                self._waiting.append(waiting)
                await waiting

    def _wake(self) -> None:
        woken, self._waiting = self._waiting, []
        for waiting in woken:
            if not waiting.done():
                waiting.set_result(None)

    # ---------------------------------------------------------------- the engine and the wire

    def flush(self) -> None:
        """Let the engine deal with what came and write what it has to say."""
        while (event := self._collector.peek()) is not None:
            self._handle(event)
            self._collector.pop()
        deadline = self._engine.tick(time.monotonic())
        while (pending := self._engine.pending()) > 0:
            data = self._engine.peek(pending)
            self._engine.pop(pending)
            if self._wire is not None and data:
                self._wire.write(data)
        if pending < 0 and self._wire is not None:
            self._wire.close()
        if self._timer is not None:
            self._timer.cancel()
        if deadline and self._lost is None:
            pause = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(pause, self.flush)
        self._wake()

    def _handle(self, event: Event) -> None:
        if event.type == Event.DELIVERY:
            taken = self._on_delivery.get(event.link.name)
            if taken is not None:
                taken(event.delivery)
        elif event.type == Event.CONNECTION_REMOTE_CLOSE:
            self._fail(event.connection.remote_condition)
        elif event.type == Event.SESSION_REMOTE_CLOSE:
            self._fail(event.session.remote_condition)
        elif event.type in (Event.LINK_REMOTE_CLOSE, Event.LINK_REMOTE_DETACH):
            self._detached.add(event.link.name)  # RabbitMQ answers a closing detach by one that is not
            if event.link.state & event.link.LOCAL_ACTIVE:
                self._fail(event.link.remote_condition)
        elif event.type == Event.TRANSPORT_ERROR:
            self._fail(event.transport.condition)

    def _fail(self, condition: object) -> None:
        if self._lost is None:
            name, text = getattr(condition, "name", None), getattr(condition, "description", None)
            self._lost = ": ".join(part for part in (name, text) if part) or "the peer closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The wire is there."""
        self._wire = cast(asyncio.Transport, transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        while data:
            capacity = self._engine.capacity()
            if capacity <= 0:  # the engine takes no more: it is at its end
                break
            self._engine.push(data[:capacity])
            data = data[capacity:]
            self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """The wire is gone."""
        self._wire = None
        self._lost = self._lost or (str(error) if error else "the connection was lost")
        with suppress(Exception):  # what the engine has to say of its unexpected end is of no use
            self._engine.close_tail()
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        if not self._ended.done():
            self._ended.set_result(None)

    async def open(self) -> None:
        """Return when the peer has opened its side. Raises PeerLost."""
        connection = self._connection
        await self.until(lambda: bool(connection.state & connection.REMOTE_ACTIVE))

    async def close(self) -> None:
        """Say goodbye and end the connection, whether the peer answers or not."""
        try:
            if self._lost is None:
                self._connection.close()
                self.flush()
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await asyncio.shield(self._ended)
        finally:
            if self._wire is not None:
                self._wire.abort()


@asynccontextmanager
async def connected(address: PeerAddress) -> AsyncIterator[Peer]:
    """A connection for the length of the block. Raises PeerLost, OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_TIMEOUT):
        _, peer = await loop.create_connection(
            lambda: Peer(address), address.host, address.port, ssl=address.tls
        )
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await peer.open()
        yield peer
    finally:
        await peer.close()
