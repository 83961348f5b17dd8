"""From the event log through RabbitMQ to consumers."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest

from birdbath.events import EventRecord, form
from birdbath.notify import Filter, Follower
from birdbath.notify.amqp.connection import InvalidBrokerUrl, check_url, shown
from birdbath.notify.amqp.consumer import AmqpSource, ConsumerSettings, _Session
from birdbath.notify.amqp.publisher import publishing
from birdbath.notify.amqp.relay import Relay, RelaySettings
from birdbath.notify.amqp.steady import SteadyPublisher
from birdbath.notify.pauses import Pauses
from birdbath.notify.publications import publication
from birdbath.notify.tasks import Tasks, end
from tests.events.test_forms import record
from tests.notify.amqp.queues import declared, taken
from tests.notify.house import RELEASED, House, Open, event, take
from tests.rabbitmq import PRIVATE, Broker

pytestmark = [pytest.mark.anyio, pytest.mark.toolkit]


def quick() -> Pauses:
    return Pauses(first=0.05, longest=0.2)


def a_name() -> str:
    return f"test.{uuid.uuid4()}"


@asynccontextmanager
async def relaying(
    house: House, url: str, exchange: str, filter: Filter | None = None
) -> AsyncIterator[None]:
    settings = RelaySettings(url, form("cloudevents", "urn:pool"), filter or Filter.of(), exchange)
    tasks = Tasks()
    tasks.start("relay", Relay(house.notifier, settings, quick).run)
    try:
        yield
    finally:
        await tasks.stop()


async def consume(
    url: str,
    exchange: str,
    count: int,
    queue: str | None = None,
    *topics: str,
    ready: asyncio.Event | None = None,
) -> list[EventRecord]:
    """The next `count` events of a queue, acknowledged."""
    source = AmqpSource(ConsumerSettings(url, exchange, queue), Filter.of(topics), quick)
    return await take(source, count)


async def test_events_arrive_as_messages(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    async with house() as opened, relaying(opened, broker.url, exchange):
        await opened.write(event(7, HoldReason="why"))
        async with await aio_pika.connect(broker.url) as connection:
            found = await (await connection.channel()).get_queue(queue)
            async with found.iterator() as messages:
                message = await anext(messages)
                await message.ack()
    body = json.loads(message.body)
    assert message.routing_key == "job.held.ann.7.0"
    assert message.message_id == body["id"]
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.content_type == "application/cloudevents+json; charset=utf-8"
    assert message.type == body["type"] == "org.htcondor.job.held"
    assert message.headers == {"sequence": 1, "owner": "ann", "cluster": 7, "proc": 0}
    assert body["source"] == "urn:pool"
    assert body["data"]["HoldReason"] == "why"


async def test_each_subscriber_gets_all_that_it_wants(house: Open, broker: Broker) -> None:
    exchange, all_of_it, released = a_name(), a_name(), a_name()
    await declared(broker.url, exchange, all_of_it)
    await declared(broker.url, exchange, released, "job.released.#")
    async with house() as opened, relaying(opened, broker.url, exchange):
        await opened.write(event(1), event(2, RELEASED), event(3))
        first = await consume(broker.url, exchange, 3, all_of_it)
        second = await consume(broker.url, exchange, 1, released, "job.released.#")
    assert [found.cluster for found in first] == [1, 2, 3]
    assert [found.cluster for found in second] == [2]


async def test_competing_consumers_share_a_queue(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    got: dict[int, list[str]] = {0: [], 1: []}
    enough = asyncio.Event()
    settings = ConsumerSettings(broker.url, exchange, queue, prefetch=1)
    sources = [AmqpSource(settings, Filter.of(), quick) for _ in got]

    async def work(number: int) -> None:
        async for delivery in sources[number].deliveries():
            got[number] += [found.id for found in delivery.events]
            await delivery.acknowledge()
            if sum(map(len, got.values())) == 40:
                enough.set()

    async with house() as opened:
        workers = [asyncio.create_task(work(number)) for number in (0, 1)]
        while not all(source._session for source in sources):  # one alone might be done with all
            await asyncio.sleep(0.001)
        async with relaying(opened, broker.url, exchange):
            for cluster in range(40):
                await opened.write(event(cluster))
            await enough.wait()
        await end(*workers)
    assert len(set(got[0]) | set(got[1])) == 40
    assert not set(got[0]) & set(got[1])
    assert got[0]
    assert got[1]


async def test_an_exclusive_queue_goes_with_its_connection(house: Open, broker: Broker) -> None:
    exchange = a_name()
    async with house() as opened, relaying(opened, broker.url, exchange):
        source = AmqpSource(ConsumerSettings(broker.url, exchange), Filter.of(), quick)
        deliveries = source.deliveries()
        first = asyncio.ensure_future(anext(deliveries))
        while not first.done():  # nothing that was published before it listened is for it
            await opened.write(event(5))
            await asyncio.wait([first], timeout=0.05)
        assert first.result().events[0].cluster == 5
        assert source._session is not None
        name = source._session.queue.name
        await deliveries.aclose()
        async with await aio_pika.connect(broker.url) as connection:
            with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
                await (await connection.channel()).get_queue(name)


async def test_new_topics_are_for_the_broker(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    async with house() as opened:
        source = AmqpSource(ConsumerSettings(broker.url, exchange, queue), Filter.of(["job.held.#"]), quick)
        deliveries = source.deliveries()
        async with relaying(opened, broker.url, exchange):
            first = asyncio.ensure_future(anext(deliveries))
            while not first.done():
                await opened.write(event(1))
                await asyncio.wait([first], timeout=0.05)
            await first.result().acknowledge()
            await source.use(Filter.of(["job.released.#"]))
            await opened.write(event(2), event(3, RELEASED))
            while (delivery := await anext(deliveries)).events[-1].cluster != 3:
                assert {found.cluster for found in delivery.events} == {1}
                await delivery.acknowledge()
            assert {found.cluster for found in delivery.events} <= {1, 3}
            await deliveries.aclose()


async def test_topics_that_are_wanted_while_it_connects_are_bound(
    house: Open, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = AmqpSource(ConsumerSettings(broker.url, a_name()), Filter.of(["job.held.#"]), quick)
    bind, wanted = _Session.bind, Filter.of(["job.released.#"])

    async def bind_and_change(session: _Session, topics: Sequence[str]) -> None:
        await bind(session, topics)
        if tuple(topics) != wanted.topics:
            await source.use(wanted)

    monkeypatch.setattr(_Session, "bind", bind_and_change)
    deliveries = source.deliveries()
    upcoming = asyncio.ensure_future(anext(deliveries))
    while source._session is None:
        await asyncio.sleep(0.001)
    assert source._session.bound == wanted.topics
    await end(upcoming)
    await deliveries.aclose()


async def test_a_queue_that_an_earlier_listener_bound_is_told_of_and_unbound(
    house: Open, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue, "job.held.#")
    async with house() as opened, relaying(opened, broker.url, exchange):
        await opened.write(event(1))
        found = await consume(broker.url, exchange, 1, queue, "job.released.#")
        assert [one.cluster for one in found] == [1]
        assert f"The queue {queue} is bound by other topics, too" in caplog.text
        assert "such as job.held.ann.1.0" in caplog.text
        settings = ConsumerSettings(broker.url, exchange, queue, unbind=("job.held.#",))
        source = AmqpSource(settings, Filter.of(["job.released.#"]), quick)
        deliveries = source.deliveries()
        upcoming = asyncio.ensure_future(anext(deliveries))
        while source._session is None:
            await asyncio.sleep(0.01)
        await opened.write(event(2), event(3, RELEASED))
        assert [one.cluster for one in (await upcoming).events] == [3]
        await deliveries.aclose()


async def test_the_broker_keeps_the_events_of_others_from_an_account(
    house: Open, shared_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """With the permissions on topics that RabbitMQ has, as the README tells."""
    settings = ConsumerSettings(shared_broker.url_of("ann"), PRIVATE)
    async with house() as opened, relaying(opened, shared_broker.url, PRIVATE):
        greedy = AmqpSource(settings, Filter.of(), quick).deliveries()
        refused = asyncio.ensure_future(anext(greedy))
        while "ACCESS_REFUSED - access to topic 'job.#'" not in caplog.text:
            await asyncio.sleep(0.01)
        source = AmqpSource(settings, Filter.of(["job.*.ann.#"]), quick)
        deliveries = source.deliveries()
        upcoming = asyncio.ensure_future(anext(deliveries))
        while source._session is None:
            await asyncio.sleep(0.01)
        await opened.write(event(1, owner="bob"), event(2, owner="ann"))
        assert [one.cluster for one in (await upcoming).events] == [2]
        await deliveries.aclose()
        await end(refused)


async def test_what_could_not_be_acknowledged_comes_again(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    async with house() as opened, relaying(opened, broker.url, exchange):
        source = AmqpSource(ConsumerSettings(broker.url, exchange, queue), Filter.of(), quick)
        deliveries = source.deliveries()
        await opened.write(event(1))
        first = await anext(deliveries)
        assert source._session is not None
        channel = await source._session.queue.channel.get_underlay_channel()
        await channel.connection.close()
        await first.acknowledge()
        again = await anext(deliveries)
        await again.acknowledge()
        await opened.write(event(2))
        last = await anext(deliveries)
        await deliveries.aclose()
    assert [found.id for found in again.events] == [found.id for found in first.events]
    assert [found.cluster for found in last.events] == [2]


async def test_nothing_is_published_twice_after_a_restart(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    for number in (1, 2):
        async with house() as opened, relaying(opened, broker.url, exchange):
            last = await opened.write(event(number))
            while opened.notifier.metrics.cursors.get("amqp", 0) < last:
                await asyncio.sleep(0.01)  # only the cursor says that it is confirmed
    found = await consume(broker.url, exchange, 2, queue)
    assert [one.cluster for one in found] == [1, 2]


@pytest.mark.parametrize("forwarded", [False, True])
async def test_a_queue_that_refuses_what_it_has_no_room_for_gets_everything(
    house: Open, broker: Broker, forwarded: bool
) -> None:
    exchange, queue = a_name(), a_name()
    full: dict[str, int | str] = {"x-max-length": 20, "x-overflow": "reject-publish"}
    await declared(broker.url, exchange, queue, arguments=full)
    async with house() as opened:
        last = await opened.write(*map(event, range(1, 301)))
        batch = await Follower(opened.notifier.log, 0, Filter.of()).next()
        if forwarded:
            publisher = SteadyPublisher(broker.url, exchange, form("cloudevents"))
            publisher._pauses = quick()
            publishing = asyncio.create_task(publisher.publish([entry.event for entry in batch.entries]))
            found = await taken(broker.url, queue, last)
            await publishing
            await publisher.close()
        else:
            async with relaying(opened, broker.url, exchange):
                found = await taken(broker.url, queue, last)
    assert set(found) == {entry.event.id for entry in batch.entries}


async def test_an_event_from_before_all_time_is_published(broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    async with publishing(broker.url, exchange) as publisher:
        await publisher.publish([publication(record(0, {}, -1e9), form("cloudevents"))])
    (found,) = await consume(broker.url, exchange, 1, queue)
    assert found.time == -1e9


async def test_only_what_the_filter_lets_pass(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    wanted = Filter.of(["job.*.bob.#"], "HoldReasonCode == 3")
    async with house() as opened, relaying(opened, broker.url, exchange, wanted):
        await opened.write(
            event(1, HoldReasonCode=3), event(2, owner="bob"), event(3, owner="bob", HoldReasonCode=3)
        )
        (found,) = await consume(broker.url, exchange, 1, queue)
    assert found.cluster == 3


async def test_tls(house: Open, shared_broker: Broker, certificates: Path) -> None:
    exchange, queue = a_name(), a_name()
    url = f"{shared_broker.tls_url}?cafile={certificates}/ca.pem"
    await declared(shared_broker.url, exchange, queue)
    async with house() as opened, relaying(opened, url, exchange):
        await opened.write(event(1))
        assert len(await consume(url, exchange, 1, queue)) == 1
    with pytest.raises(aio_pika.exceptions.AMQPConnectionError):
        await aio_pika.connect(shared_broker.tls_url)


async def test_messages_that_are_no_events_are_put_aside(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(b"hello"), queue)
    async with house() as opened, relaying(opened, broker.url, exchange):
        await opened.write(event(1))
        (found,) = await consume(broker.url, exchange, 1, queue)
    assert found.cluster == 1


@pytest.mark.parametrize("url", ["", "http://host", "amqp://", "host:5672"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(InvalidBrokerUrl):
        check_url(url)


def test_passwords_are_not_logged() -> None:
    assert shown("amqp://ann:secret@host:5673/vhost?cafile=x") == "amqp://host:5673/vhost"
