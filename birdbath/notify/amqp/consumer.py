"""Events from a broker: publish-subscribe with a queue of one's own, round-robin with one that is shared."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from aio_pika.abc import (
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
)

from birdbath.events import EventRecord
from birdbath.events.reading import NotAnEvent, from_cloudevent
from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp.connection import BROKER_ERRORS, connected, shown, topic_exchange
from birdbath.notify.deliveries import Delivery
from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.pauses import Pauses
from birdbath.notify.topics import Topic

_log = logging.getLogger(__name__)

EVERYTHING = ("job.#",)
PREFETCH = 1000


@dataclass(frozen=True)
class ConsumerSettings:
    """Which broker, which exchange, and which queue.

    A named queue is durable and keeps events while nobody listens; all consumers on it share them
    (round-robin). It stays bound by what former listeners asked for, which the broker does not tell: `unbind`
    are those of their topics that are not wanted any more. Without a name the queue is exclusive: it is gone
    with the connection, and with it what came meanwhile. `prefetch` bounds what is handed out and not yet
    acknowledged.
    """

    url: str
    exchange: str = EXCHANGE
    queue: str | None = None
    prefetch: int = PREFETCH
    unbind: tuple[str, ...] = ()


@dataclass
class _Session:
    """One connection's queue and its bindings."""

    queue: AbstractQueue
    exchange: AbstractExchange
    bound: tuple[str, ...] = ()
    arrived: asyncio.Queue[AbstractIncomingMessage | None] = field(default_factory=asyncio.Queue)

    async def bind(self, topics: Sequence[str]) -> None:
        """Let the queue get what matches `topics`, and no more what only matches earlier ones.

        New ones first: nothing that both want is lost in between.
        """
        for topic in topics:
            await self.queue.bind(self.exchange, topic)
        for topic in self.bound:
            if topic not in topics:
                await self.queue.unbind(self.exchange, topic)
        self.bound = tuple(topics)


class AmqpSource:
    """A `Source` on a broker. The broker applies the filter's topics, the listener its constraint."""

    def __init__(
        self, settings: ConsumerSettings, filter: Filter, pauses: Callable[[], Pauses] = Pauses
    ) -> None:
        self._settings = settings
        self._topics = filter.topics or EVERYTHING
        self._bound_before = settings.unbind
        self._asked = set(self._topics)
        self._told = False
        self._pauses = pauses()
        self._session: _Session | None = None

    def unapplied(self, filter: Filter) -> Filter:
        """See `Source.unapplied`: all of it, which is judged by the event alone."""
        return filter.without_jobs()

    async def use(self, filter: Filter) -> None:
        """See `Source.use`. While there is no connection it takes effect with the next one."""
        self._topics = filter.topics or EVERYTHING
        self._asked.update(self._topics)
        if self._session is not None:
            try:
                await self._session.bind(self._topics)
            except BROKER_ERRORS as error:
                _log.warning("The new topics are bound with the next connection: %s", error)

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """See `Source.deliveries`."""
        settings = self._settings
        while True:
            try:
                async with connected(settings.url) as connection:
                    session = await self._begin(connection)
                    self._pauses.reset()
                    while (delivery := await _next(session)) is not None:
                        self._say_of_strangers(delivery.events)
                        yield delivery
                    raise ConnectionResetError("the connection was lost")
            except BROKER_ERRORS as error:
                self._session = None
                await self._pauses.after(f"The broker at {shown(settings.url)}", error, _log)

    def _say_of_strangers(self, events: Sequence[EventRecord]) -> None:
        """Say once that the queue has what nobody here has asked for, which is left out."""
        if self._settings.queue is None or self._told or self._asked.issuperset(EVERYTHING):
            return
        asked = [Topic(pattern) for pattern in self._asked]
        for entry in (Entry(event, lambda: None) for event in events):
            if not any(topic.matches_words(entry.words) for topic in asked):
                self._told = True
                _log.warning(
                    "The queue %s is bound by other topics, too, and gets events such as %s, which are left"
                    " out; unbind what earlier listeners asked for (--unbind)",
                    self._settings.queue,
                    entry.key,
                )
                return

    async def _begin(self, connection: AbstractConnection) -> _Session:
        settings = self._settings
        channel, exchange = await topic_exchange(connection, settings.exchange)
        await channel.set_qos(prefetch_count=settings.prefetch)
        named = settings.queue is not None
        queue = await channel.declare_queue(settings.queue or "", durable=named, exclusive=not named)
        session = _Session(queue, exchange, self._bound_before if named else ())
        await session.bind(self._topics)
        self._bound_before = session.bound
        arrived = session.arrived
        connection.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
        await queue.consume(arrived.put)
        while session.bound != tuple(self._topics):  # other ones are wanted meanwhile
            await session.bind(self._topics)
            self._bound_before = session.bound
        self._session = session
        _log.info("Listening on %s at %s", queue.name, shown(settings.url))
        return session


async def _next(session: _Session) -> Delivery | None:
    """What has arrived, at least one event; None when the connection is lost."""
    while True:
        messages = [await session.arrived.get()]
        while not session.arrived.empty():
            messages.append(session.arrived.get_nowait())
        alive = [message for message in messages if message is not None]
        if len(alive) < len(messages):
            return None  # what is not acknowledged comes again
        events = [event for message in alive if (event := await _event(message)) is not None]
        if events:
            return Delivery(events, partial(_acknowledge, alive[-1]))


async def _acknowledge(last: AbstractIncomingMessage) -> None:
    try:
        await last.ack(multiple=True)
    except BROKER_ERRORS as error:
        # The connection is lost, and the next delivery finds out. They come again, and are told by their ids.
        _log.debug("Could not acknowledge: %s", error)


async def _event(message: AbstractIncomingMessage) -> EventRecord | None:
    try:
        return from_cloudevent(message.body)
    except NotAnEvent as error:
        _log.error("Rejected a message of the queue, %s", error)
        await message.reject(requeue=False)
        return None
