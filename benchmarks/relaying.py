"""The relay against a bare client of the same library, which publishes the same bytes to the same broker."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import uvloop
from aio_pika import DeliveryMode, ExchangeType, Message, connect
from sqlalchemy import Engine

from benchmarks.figures import Figure, alternated, compared
from benchmarks.scale import Scale
from birdbath.classads import Scalar
from birdbath.events import EventType, JobEvent, form
from birdbath.notify import Filter, Notifier
from birdbath.notify.amqp.relay import BATCH, Relay, RelaySettings
from birdbath.notify.publications import publication
from birdbath.store import Writer, event_log, open_engine
from birdbath.store.reader import Reader
from tests import rabbitmq

GROUP = "relaying events"
EVENTS_PER_SECOND = 100
_SOURCE = "urn:condor:pool"


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """Events relayed to a RabbitMQ server with confirms; none where there is no RabbitMQ."""
    if rabbitmq.program() is None:
        return []
    engine = open_engine(f"sqlite:///{folder / 'relayed.db'}")
    try:
        count = max(BATCH, scale.calls * 2)
        _write(engine, count)
        with rabbitmq.running() as broker:
            relayed = partial(_timed, lambda: _relay(engine, broker.url, count), count)
            bare = partial(_timed, lambda: _publish(_messages(engine, count), broker.url), count)
            with_relay, alone = alternated([relayed, bare], scale.repeats)
            delays = _delays(folder, broker.url, scale.calls // 8)
    finally:
        engine.dispose()
    name = "events relayed to RabbitMQ, each confirmed"
    return [
        compared(GROUP, name, with_relay, "events/s", "a bare client, the same bytes", alone, at_least=0.8),
        *delays,
    ]


def _delays(folder: Path, url: str, events: int) -> list[Figure]:
    """How long after its commit began an event is with a consumer of the broker."""
    engine = open_engine(f"sqlite:///{folder / 'delays.db'}")
    try:
        delays = sorted(uvloop.run(_consume(engine, url, events)))
    finally:
        engine.dispose()
    at = f"at {EVENTS_PER_SECOND} events/s, from before the commit to RabbitMQ's consumer"
    return [
        Figure(GROUP, f"delay {at}, median", statistics.median(delays) * 1e3, "ms"),
        Figure(GROUP, f"delay {at}, 99th percentile", delays[int(len(delays) * 0.99)] * 1e3, "ms"),
    ]


async def _consume(engine: Engine, url: str, events: int) -> list[float]:
    """Seconds that each of `events` events took, which are committed one by one."""
    began: list[float] = []
    delays: list[float] = []

    async def take() -> None:
        async with queue.iterator(no_ack=True) as messages:
            async for message in messages:
                delays.append(time.perf_counter() - began[int(str(message.headers["sequence"])) - 1])
                if len(delays) == events:
                    return

    async with _relaying(engine, url, "benchmark.delays") as (writer, _), await connect(url) as connection:
        channel = await connection.channel()
        topic = await channel.declare_exchange("benchmark.delays", ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(topic, "job.#")
        taking = asyncio.create_task(take())
        due = time.perf_counter()
        for number in range(events):
            held = JobEvent(EventType.JOB_HELD, 1, number, "alice", time.time(), {"HoldReason": "r"})
            began.append(time.perf_counter())
            await writer.write(lambda unit, held=held: event_log.append_all(unit, [held]))  # type: ignore[misc]
            due += 1 / EVENTS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await taking
    return delays


def _write(engine: Engine, count: int) -> None:
    writer = Writer(engine)
    fields: dict[str, Scalar] = {
        "HoldReason": "The job is held for a while",
        "HoldReasonCode": 1,
        "HoldReasonSubCode": 0,
    }
    events = [
        JobEvent(EventType.JOB_HELD, 1 + number // 100, number % 100, "alice", time.time(), fields)
        for number in range(count)
    ]
    try:
        writer.write_now(lambda unit: event_log.append_all(unit, events))
    finally:
        writer.close()


def _timed(work: object, count: int) -> float:
    """Events a second; `work` is a function that makes a coroutine of seconds."""
    assert callable(work)
    return count / float(uvloop.run(work()))


async def _bind(url: str, exchange: str) -> None:
    """A queue for what is published, as one who listens would have; it is as empty as it was before."""
    async with await connect(url) as connection:
        channel = await connection.channel()
        topic = await channel.declare_exchange(exchange, ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue("benchmark", durable=True)
        await queue.bind(topic, "job.#")
        await queue.purge()


@asynccontextmanager
async def _relaying(engine: Engine, url: str, exchange: str) -> AsyncIterator[tuple[Writer, Notifier]]:
    """A relay of all events of a database, from the first on."""
    writer = Writer(engine)
    notifier = Notifier(engine, writer, source=_SOURCE)
    try:
        async with notifier.running():
            await notifier.log.caught_up()
            if "amqp" in {known.id for known in notifier.subscriptions.all()}:
                await notifier.subscriptions.remove("amqp")
            settings = RelaySettings(url, form("cloudevents", _SOURCE), Filter.of(), exchange)
            notifier.tasks.start("relay", Relay(notifier, settings).run)
            yield writer, notifier
    finally:
        notifier.close()
        writer.close()


async def _relay(engine: Engine, url: str, count: int) -> float:
    """Seconds from the relay's start to the durable cursor after the last event."""
    await _bind(url, "benchmark.events")
    async with _relaying(engine, url, "benchmark.events") as (_, notifier):
        started = time.perf_counter()
        while notifier.metrics.cursors.get("amqp", 0) < count:
            await asyncio.sleep(0.005)  # what is measured takes seconds
        return time.perf_counter() - started


def _messages(engine: Engine, count: int) -> list[tuple[str, Message]]:
    """The same messages as the relay's."""
    reader = Reader(engine)
    try:
        records = event_log.read(reader, 0, count)
    finally:
        reader.close()
    chosen = form("cloudevents", _SOURCE)
    found = [publication(record, chosen) for record in records]
    return [
        (
            one.key,
            Message(
                one.body,
                content_type=one.media_type,
                delivery_mode=DeliveryMode.PERSISTENT,
                message_id=one.event.id,
                timestamp=one.event.time,
                type=one.type,
                app_id="birdbath",
                headers=dict(one.headers),
            ),
        )
        for one in found
    ]


async def _publish(messages: Sequence[tuple[str, Message]], url: str) -> float:
    """Seconds to publish them in batches as large as the relay's, each confirmed before the next."""
    await _bind(url, "benchmark.events")
    started = time.perf_counter()
    async with await connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange("benchmark.events")
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            await asyncio.gather(*(exchange.publish(message, key, mandatory=False) for key, message in batch))
    return time.perf_counter() - started
