"""Queues of a broker, made before anything is published."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aio_pika


async def declared(
    url: str, exchange: str, queue: str, *topics: str, arguments: Mapping[str, int | str] | None = None
) -> None:
    """Let a durable queue be there before anything is published."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        where = await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        made = await channel.declare_queue(queue, durable=True, arguments=dict(arguments or {}))
        for topic in topics or ("job.#",):
            await made.bind(where, topic)


async def taken(url: str, queue: str, count: int) -> list[str]:
    """The ids of the first `count` events that come out of a queue, each once; it is emptied whenever there
    is something in it.
    """
    found: dict[str, None] = {}
    async with await aio_pika.connect(url) as connection:
        from_it = await (await connection.channel()).get_queue(queue)
        while len(found) < count:
            while (message := await from_it.get(no_ack=True, fail=False)) is not None:
                assert message.message_id is not None
                found[message.message_id] = None
            await asyncio.sleep(0.01)  # who publishes does not say when it tries again
    return list(found)
