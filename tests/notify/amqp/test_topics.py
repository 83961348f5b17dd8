"""The topic matcher against the broker's own."""

from __future__ import annotations

import random
import uuid

import aio_pika
import pytest

from birdbath.notify.topics import Topic
from tests.rabbitmq import Broker

pytestmark = [pytest.mark.anyio, pytest.mark.toolkit]

PATTERNS, KEYS = 70, 70
WORDS = ("", "job", "held", "a", "b", "a*", "#b")


def some(chance: random.Random, words: tuple[str, ...], count: int) -> list[str]:
    """Different texts of up to six words."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[".".join(chance.choice(words) for _ in range(chance.randint(0, 6)))] = None
    return list(found)


async def routed(url: str, patterns: list[str], keys: list[str]) -> dict[tuple[str, str], bool]:
    """Which of the patterns the broker's topic exchange lets which of the keys pass."""
    found = {(pattern, key): False for pattern in patterns for key in keys}
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=False)
        exchange = await channel.declare_exchange(
            f"test.{uuid.uuid4()}", aio_pika.ExchangeType.TOPIC, auto_delete=True
        )
        queues = {pattern: await channel.declare_queue(exclusive=True) for pattern in patterns}
        for pattern, queue in queues.items():
            await queue.bind(exchange, pattern)
        for key in keys:  # confirmed when it is in every queue that it goes to
            await exchange.publish(aio_pika.Message(key.encode()), key, mandatory=False)
        for pattern, queue in queues.items():
            while (message := await queue.get(no_ack=True, fail=False)) is not None:
                found[pattern, message.body.decode()] = True
    return found


async def test_it_agrees_with_rabbitmq(broker: Broker) -> None:
    chance = random.Random(4)
    patterns = some(chance, (*WORDS, "*", "#", "*", "#"), PATTERNS)
    keys = some(chance, (*WORDS, "*", "#"), KEYS)
    judged = await routed(broker.url, patterns, keys)
    assert len(judged) >= 1000
    assert sum(judged.values()) >= len(judged) / 50, "hardly anything matches: that shows nothing"
    assert {pair: Topic(pair[0]).matches(pair[1]) for pair in judged} == judged
