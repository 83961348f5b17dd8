"""Queues of a broker, made before anything is published."""

from __future__ import annotations

import aio_pika


async def declared(url: str, exchange: str, queue: str, *topics: str) -> None:
    """Let a durable queue be there before anything is published."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        where = await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        made = await channel.declare_queue(queue, durable=True)
        for topic in topics or ("job.#",):
            await made.bind(where, topic)
