"""Events over AMQP 1.0: against RabbitMQ's plugin, and against Proton itself with no broker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from birdbath.events import EventRecord
from birdbath.notify import Filter
from birdbath.notify.amqp10.address import InvalidPeerUrl, PeerAddress, is_amqp10
from birdbath.notify.brokers import check_url, source
from tests.notify.amqp.queues import declared
from tests.notify.amqp.test_relay import a_name, consume, relaying
from tests.notify.amqp10.proton import node, require_proton
from tests.notify.house import RELEASED, Open, event, take
from tests.rabbitmq import Broker

# The first one waits until Proton is built, or until another worker of the test run has built it.
pytestmark = [pytest.mark.anyio, pytest.mark.toolkit, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def _proton() -> None:
    require_proton()


@pytest.fixture(autouse=True)
def patience_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `tests.notify.conftest.patience`."""
    monkeypatch.setattr("birdbath.notify.amqp10.peer.CONNECT_TIMEOUT", 240.0)
    monkeypatch.setattr("birdbath.notify.amqp10.publisher.CONFIRM_TIMEOUT", 240.0)


def over_amqp10(url: str) -> str:
    return url.replace("amqp", "amqp1", 1).replace("amqp1s", "amqps1", 1)


def clusters(found: list[EventRecord]) -> list[int]:
    return [one.cluster for one in found]


async def test_the_broker_gets_messages_as_over_the_older_protocol(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue, "job.held.#")
    async with house() as opened, relaying(opened, over_amqp10(broker.url), exchange):
        await opened.write(event(1, HoldReason="why"), event(2, RELEASED), event(3))
        found = await consume(broker.url, exchange, 2, queue, "job.held.#")
    assert clusters(found) == [1, 3]
    assert found[0].ad.string("HoldReason") == "why"


async def test_listening_on_a_queue_of_the_broker(house: Open, broker: Broker) -> None:
    exchange, queue = a_name(), a_name()
    await declared(broker.url, exchange, queue)
    async with house() as opened, relaying(opened, broker.url, exchange):
        await opened.write(*(event(cluster) for cluster in range(2000)))
        found = await take(source(over_amqp10(broker.url), Filter.of(), exchange, queue), 2000)
        assert clusters(found) == list(range(2000))
        await opened.write(event(2000))  # what was acknowledged is gone from the queue
        assert clusters(await take(source(over_amqp10(broker.url), Filter.of(), exchange, queue), 1)) == [
            2000
        ]


async def test_another_topic_is_for_the_broker(house: Open, broker: Broker) -> None:
    exchange = a_name()
    await declared(broker.url, exchange, a_name())
    async with house() as opened, relaying(opened, broker.url, exchange):
        followed = source(over_amqp10(broker.url), Filter.of(["job.held.#"]), exchange)
        deliveries = followed.deliveries()
        first = asyncio.ensure_future(anext(deliveries))
        while not first.done():  # nothing that was published before it listened is for it
            await opened.write(event(1))
            await asyncio.wait([first], timeout=0.05)
        await first.result().acknowledge()
        await followed.use(Filter.of(["job.released.#"]))
        await opened.write(event(2), event(3, RELEASED))
        seen: list[int] = []
        while 3 not in seen:
            delivery = await anext(deliveries)
            seen += clusters(list(delivery.events))
            await delivery.acknowledge()
        await deliveries.aclose()
    assert set(seen) <= {1, 3}, "an event came that only the former topic matches"


async def test_a_topic_that_is_wanted_while_it_connects_is_the_one(
    house: Open, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = a_name()
    await declared(broker.url, exchange, a_name())
    # Not above: what it imports is built by the fixture.
    from birdbath.notify.amqp10.consumer import PeerSettings, PeerSource
    from birdbath.notify.amqp10.peer import Peer

    settings = PeerSettings(PeerAddress.parse(over_amqp10(broker.url)), exchange)
    followed = PeerSource(settings, Filter.of(["job.held.#"]))
    receiver, wanted = Peer.receiver, Filter.of(["job.released.#"])

    async def receiver_and_change(self: Peer, *arguments: Any) -> Any:
        made = await receiver(self, *arguments)
        if followed._filter is not wanted:
            await followed.use(wanted)
        return made

    monkeypatch.setattr(Peer, "receiver", receiver_and_change)
    deliveries = followed.deliveries()
    upcoming = asyncio.ensure_future(anext(deliveries))
    while followed._session is None:
        await asyncio.sleep(0.001)
    assert followed._session.node == f"/exchange/{exchange}/job.released.#"
    async with house() as opened, relaying(opened, broker.url, exchange):
        await opened.write(event(1), event(2, RELEASED))
        assert clusters(list((await upcoming).events)) == [2]
    await deliveries.aclose()


async def test_tls(house: Open, shared_broker: Broker, certificates: Path) -> None:
    exchange, queue = a_name(), a_name()
    await declared(shared_broker.url, exchange, queue)
    url = f"{over_amqp10(shared_broker.tls_url)}?cafile={certificates}/ca.pem"
    async with house() as opened, relaying(opened, url, exchange):
        await opened.write(event(1))
        assert clusters(await take(source(url, Filter.of(), exchange, queue), 1)) == [1]


async def test_without_a_broker(house: Open) -> None:
    with node() as peer:
        async with house() as opened, relaying(opened, peer.url, "unused"):
            await opened.write(*(event(cluster) for cluster in range(1500)), event(1500, HoldReason="why"))
            found = await take(source(peer.url, Filter.of()), 1501)
    assert clusters(found) == list(range(1501))
    message = peer.accepted[-1]
    assert message["durable"]
    assert message["id"] == json.loads(message["body"])["id"] == found[-1].id
    assert message["subject"] == "job.held.ann.1500.0"
    assert message["content_type"] == "application/cloudevents+json; charset=utf-8"
    assert message["properties"] == {
        "type": "org.htcondor.job.held",
        "sequence": 1501,
        "owner": "ann",
        "cluster": 1500,
        "proc": 0,
    }


async def test_a_peer_that_refuses_and_goes_away_gets_everything_in_the_end(house: Open) -> None:
    async with house() as opened:
        with node(refusals=3) as peer:
            async with relaying(opened, peer.url, "unused"):
                await opened.write(event(1), event(2))
                await caught_up(opened.notifier.metrics.cursors, 2)
        async with relaying(opened, peer.url, "unused"):
            await opened.write(event(3))
            with node(peer.port) as again:
                await caught_up(opened.notifier.metrics.cursors, 3)
    assert [message["subject"] for message in peer.accepted[-2:]] == ["job.held.ann.1.0", "job.held.ann.2.0"]
    assert [message["subject"] for message in again.accepted] == ["job.held.ann.3.0"]


async def caught_up(cursors: dict[str, int], wanted: int) -> None:
    while cursors.get("amqp", 0) < wanted:
        await asyncio.sleep(0.01)  # only the cursor says that it is confirmed


async def test_what_was_not_acknowledged_comes_again(house: Open) -> None:
    with node() as peer:
        async with house() as opened, relaying(opened, peer.url, "unused"):
            deliveries = source(peer.url, Filter.of()).deliveries()
            await opened.write(event(1))
            first = await anext(deliveries)
            again = asyncio.ensure_future(anext(deliveries))
            peer.drop_receivers()
            repeated = await again
            await first.acknowledge()  # over the lost connection: nobody is told
            await repeated.acknowledge()
            await opened.write(event(2))
            last = await anext(deliveries)
            await deliveries.aclose()
    assert [one.id for one in repeated.events] == [one.id for one in first.events]
    assert clusters(list(last.events)) == [2]


@pytest.mark.parametrize(
    "url",
    [
        "amqp1://",
        "amqp1://host/vhost",
        "amqp1://host?adress=x",
        "amqps1://h?cafile=/no/such",
        "amqp1://h?heartbeat=x",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(InvalidPeerUrl):
        check_url(url)


def test_what_a_url_says() -> None:
    found = PeerAddress.parse("amqps1://ann:secret@host?address=/exchange/x&heartbeat=5")
    assert (found.host, found.port, found.user, found.node, found.heartbeat) == (
        "host",
        5671,
        "ann",
        "/exchange/x",
        5.0,
    )
    assert found.tls is not None
    assert "secret" not in repr(found)
    assert not is_amqp10("amqp://host")
