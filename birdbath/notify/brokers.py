"""Brokers by their URL: AMQP 0-9-1 (`amqp`, `amqps`) or AMQP 1.0 (`amqp1`, `amqps1`)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from birdbath.notify.amqp import EXCHANGE
from birdbath.notify.amqp10.address import PeerAddress, is_amqp10
from birdbath.notify.deliveries import Source
from birdbath.notify.filters import Filter
from birdbath.notify.publications import Publishes


def check_url(url: str) -> str:
    """`url` if it can be that of a broker. Raises InvalidBrokerUrl, InvalidPeerUrl, ProtonMissing."""
    if is_amqp10(url):
        PeerAddress.parse(url)
        return url
    from birdbath.notify.amqp import connection

    return connection.check_url(url)


def publishing(url: str, exchange: str = EXCHANGE) -> AbstractAsyncContextManager[Publishes]:
    """A publisher to an exchange, over a connection of its own for the length of the block.

    The exchange is declared, a durable topic exchange, but over AMQP 1.0, which cannot: there it has to be
    there, and the URL's `address` may name another node. Raises one of BROKER_ERRORS.
    """
    if is_amqp10(url):
        from birdbath.notify.amqp10 import publisher as publisher10

        return publisher10.publishing(PeerAddress.parse(url), f"/exchange/{exchange}")
    from birdbath.notify.amqp import publisher

    return publisher.publishing(url, exchange)


def source(
    url: str,
    filter: Filter,
    exchange: str = EXCHANGE,
    queue: str | None = None,
    unbind: tuple[str, ...] = (),
) -> Source:
    """Where a listener gets the events of an exchange, by a queue of its own or one that is shared; this is
    unbound from the topics of `unbind`, which only AMQP 0-9-1 can do.
    """
    if is_amqp10(url):
        from birdbath.notify.amqp10.consumer import PeerSettings, PeerSource

        return PeerSource(PeerSettings(PeerAddress.parse(url), exchange, queue), filter)
    from birdbath.notify.amqp.consumer import AmqpSource, ConsumerSettings

    return AmqpSource(ConsumerSettings(url, exchange, queue, unbind=unbind), filter)
