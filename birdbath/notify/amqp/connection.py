"""Connections to a broker: opened with a time limit, closed for sure, and which errors mean "try again"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aio_pika
import yarl
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aiormq.exceptions import AMQPError, ChannelAccessRefused

from birdbath.errors import BirdbathError

CONNECT_TIMEOUT = 20.0
CLOSE_TIMEOUT = 5.0
"""Seconds in which the broker may say goodbye; one that hangs shall not hold up whoever ends."""
BROKER_ERRORS = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What a broker that dies, restarts or hangs lets a call raise; a channel closed meanwhile, RuntimeError."""


class InvalidBrokerUrl(BirdbathError):
    """The broker's address is none; the text says what is wrong, without the password in it."""


def check_url(url: str) -> str:
    """`url` if it can be that of a broker: `amqp://user:password@host:5672/vhost`, or `amqps` for TLS.

    TLS takes the parameters `cafile`, `certfile`, `keyfile` and `no_verify_ssl=1` in the query; `heartbeat`
    is in seconds. Raises InvalidBrokerUrl.
    """
    try:
        parsed = yarl.URL(url)
    except ValueError:
        raise InvalidBrokerUrl("The broker's address is no URL") from None
    if parsed.scheme not in ("amqp", "amqps") or not parsed.host:
        raise InvalidBrokerUrl(
            "The broker's address must be like amqp://user:password@host:5672/vhost, or amqps"
        )
    return url


def shown(url: str) -> str:
    """The address without user and password, for logs."""
    return str(yarl.URL(url).with_user(None).with_query(None))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AbstractConnection]:
    """A connection for the length of the block. Raises one of BROKER_ERRORS."""
    connection = await aio_pika.connect(url, timeout=CONNECT_TIMEOUT)
    try:
        yield connection
    finally:
        with suppress(*BROKER_ERRORS):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await connection.close()


async def topic_exchange(
    connection: AbstractConnection, name: str, **options: Any
) -> tuple[AbstractChannel, AbstractExchange]:
    """The durable topic exchange `name`, on a channel with these options.

    It is declared; an account that may not do that has to find it there. Raises one of BROKER_ERRORS.
    """
    channel = await connection.channel(**options)
    try:
        return channel, await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC, durable=True)
    except ChannelAccessRefused:
        channel = await connection.channel(**options)
        return channel, await channel.get_exchange(name)
