"""Followers: in order, woken by the commit, filtered, at least once from a durable cursor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine

from birdbath.access import Caller
from birdbath.notify import (
    Batch,
    Filter,
    Follower,
    Notifier,
    Subscription,
    Superseded,
    UnknownSubscription,
)
from birdbath.notify.subscriptions import NoSuchEvent, TooManySubscriptions
from birdbath.store import Writer
from birdbath.store import subscriptions as rows
from birdbath.store.reader import Reader
from tests.notify.house import RELEASED, House, Open, clusters, event

pytestmark = pytest.mark.anyio

EVERYTHING = Filter.of()
ANYBODY = Caller("127.0.0.1")


async def test_a_follower_gets_what_is_there_and_then_what_comes(house: Open) -> None:
    async with house() as open_house:
        await open_house.write(event(1), event(2))
        follower = Follower(open_house.notifier.log, 0, EVERYTHING)
        assert clusters(await follower.next()) == [1, 2]
        waiting = asyncio.create_task(follower.next())
        await open_house.write(event(3))
        batch = await waiting
        assert (clusters(batch), batch.through, batch.missed) == ([3], 3, 0)


async def test_a_wait_is_over_after_its_time(house: Open) -> None:
    async with house() as open_house:
        await open_house.write(event(1))
        follower = Follower(open_house.notifier.log, 0, Filter.of(["job.released.#"]))
        assert await follower.next(wait=0) == Batch((), 1)
        assert await follower.next(wait=0.01) == Batch((), 1)


async def test_many_events_come_in_order_and_without_a_gap(house: Open) -> None:
    async with house() as open_house:
        for start in range(0, 3000, 100):
            await open_house.write(*(event(cluster) for cluster in range(start, start + 100)))
        follower = Follower(open_house.notifier.log, 0, EVERYTHING)
        seen: list[int] = []
        while len(seen) < 3000:
            seen += clusters(await follower.next(most=70))
        assert seen == list(range(3000))


async def test_what_is_not_acknowledged_comes_again_after_a_restart(house: Open) -> None:
    async with house() as open_house:
        made = await open_house.notifier.subscriptions.create("soap", Filter.of(["job.held.#"]), after=0)
        await open_house.write(event(1), event(2, RELEASED), event(3), event(4))
        follower = open_house.notifier.subscriptions.open(made.id)
        first = await follower.next(most=2)
        await follower.acknowledge(first.through)
        lost = await follower.next()
    async with house() as open_house:
        follower = open_house.notifier.subscriptions.open(made.id)
        again = await follower.next()
    assert clusters(first) == [1]
    assert clusters(again) == clusters(lost) == [3, 4]
    assert [e.event.id for e in again.entries] == [e.event.id for e in lost.entries]


async def test_a_filter_that_is_changed_holds_for_what_was_not_sent(house: Open) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made = await subscriptions.create("soap", EVERYTHING, after=0)
        follower = subscriptions.open(made.id)
        await open_house.write(event(1), event(2))
        assert clusters(await follower.next()) == [1, 2]
        waiting = asyncio.create_task(follower.next())
        await asyncio.sleep(0)
        assert await subscriptions.update_filter(made.id, Filter.of(["job.released.#"])) == 2
        await open_house.write(event(3), event(4, RELEASED))
        assert clusters(await waiting) == [4]
        await follower.acknowledge(4)
    async with house() as open_house:
        follower = open_house.notifier.subscriptions.open(made.id)
        await open_house.write(event(5), event(6, RELEASED))
        assert clusters(await follower.next()) == [6]


async def test_the_second_follower_of_a_subscription_takes_over(house: Open) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made = await subscriptions.create("soap", EVERYTHING, after=0)
        first = subscriptions.open(made.id)
        second = subscriptions.open(made.id)
        await open_house.write(event(1))
        with pytest.raises(Superseded):
            await first.next()
        first.close()
        assert clusters(await second.next()) == [1]


@dataclass
class Clock:
    """What subscriptions take for the time."""

    now: float

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(time.time())
    monkeypatch.setattr("birdbath.notify.subscriptions.time", made)
    return made


async def test_a_lease_that_ran_out_ends_a_subscription(house: Open) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made = await subscriptions.create("soap", EVERYTHING, lease=1e-6)
        kept = await subscriptions.create("soap", EVERYTHING, lease=60)
        with pytest.raises(UnknownSubscription):
            subscriptions.open(made.id)
        await subscriptions.expire()
        assert [known.id for known in subscriptions.all()] == [kept.id]
        await subscriptions.renew(kept.id, None)
    async with house() as open_house:
        (known,) = open_house.notifier.subscriptions.all()
        assert (known.id, known.expires_at) == (kept.id, None)


async def test_an_acknowledgement_renews_the_lease_also_where_nothing_is_new(
    house: Open, clock: Clock
) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made = await subscriptions.create("pull", EVERYTHING, lease=100)
        clock.now += 0.5
        await subscriptions.acknowledge(made.id, 0)
        assert subscriptions.get(made.id).expires_at == made.expires_at
        clock.now += 98
        await subscriptions.acknowledge(made.id, 0)
        assert subscriptions.get(made.id).expires_at == clock.now + 100


async def test_a_lease_that_is_being_renewed_does_not_end(house: Open, clock: Clock) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made = await subscriptions.create("pull", EVERYTHING, lease=100)
        clock.now += 99
        renewing = asyncio.create_task(subscriptions.acknowledge(made.id, 0))
        await asyncio.sleep(0)
        clock.now += 2
        assert await subscriptions.expire() == []
        await renewing
        assert subscriptions.get(made.id).expires_at == clock.now + 98


async def test_a_lease_that_ran_out_while_no_server_was_there_can_be_renewed(
    house: Open, clock: Clock
) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made, forgotten = [await subscriptions.create("pull", EVERYTHING, lease=60) for _ in range(2)]
    clock.now += 1000
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        clock.now += 200
        assert await subscriptions.expire() == []
        await subscriptions.acknowledge(made.id, 0)
        assert subscriptions.get(made.id).expires_at == clock.now + 60
        clock.now += 50
        assert await subscriptions.expire() == []
        clock.now += 51
        assert {known.id for known in await subscriptions.expire()} == {made.id, forgotten.id}


async def test_a_cursor_does_not_move_back(house: Open) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        made = await subscriptions.create("pull", EVERYTHING, after=0)
        await open_house.write(event(1), event(2))
        await open_house.notifier.log.caught_up()
        await asyncio.gather(*(subscriptions.acknowledge(made.id, through) for through in (2, 1)))
        assert subscriptions.get(made.id).cursor == 2
        await subscriptions.acknowledge(made.id, 3)
        assert subscriptions.get(made.id).cursor == 2


async def test_a_pushing_kind_has_a_task_for_each_subscription(house: Open) -> None:
    pushed: asyncio.Queue[tuple[str, list[int]]] = asyncio.Queue()

    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions

        async def push(subscription: object) -> None:
            follower = subscriptions.open(subscription.id)  # type: ignore[attr-defined]
            while True:
                batch = await follower.next()
                await pushed.put((follower.key, clusters(batch)))
                await follower.acknowledge(batch.through)

        open_house.notifier.kinds["push"] = push
        made = await subscriptions.create("push", EVERYTHING)
        await open_house.write(event(7))
        assert await pushed.get() == (made.id, [7])
        task = f"subscription {made.id}"
        assert task in open_house.notifier.tasks.names
        await subscriptions.remove(made.id)
        while task in open_house.notifier.tasks.names:
            await asyncio.sleep(0)


async def test_a_service_that_follows_ends_quietly_with_the_server(
    house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    ended = asyncio.Event()

    async with house() as open_house:
        notifier = open_house.notifier

        async def follow() -> None:
            try:
                await Follower(notifier.log, 0, EVERYTHING).next()
            finally:
                ended.set()

        notifier.tasks.start("a service", follow)
        await asyncio.sleep(0)
        notifier.log.end()
        await ended.wait()
    assert caplog.records == []


async def test_of_two_servers_on_one_database_one_pushes_and_then_the_other(house: Open) -> None:
    pushed: asyncio.Queue[tuple[int, list[int]]] = asyncio.Queue()

    def pushing(number: int, log: list[House]) -> Callable[[Subscription], Awaitable[None]]:
        async def push(subscription: Subscription) -> None:
            follower = log[0].notifier.subscriptions.open(subscription.id)
            try:
                while True:
                    batch = await follower.next()
                    await follower.acknowledge(batch.through)
                    await pushed.put((number, clusters(batch)))
            finally:
                follower.close()

        return push

    first: list[House] = []
    second: list[House] = []
    async with AsyncExitStack() as both:
        leading = await both.enter_async_context(AsyncExitStack())
        first.append(await leading.enter_async_context(house(push=pushing(1, first))))
        made = await first[0].notifier.subscriptions.create("push", EVERYTHING)
        await first[0].write(event(1))
        assert await pushed.get() == (1, [1])
        second.append(await both.enter_async_context(house(push=pushing(2, second))))
        await second[0].write(event(2))
        assert await pushed.get() == (1, [2])
        assert f"subscription {made.id}" not in second[0].notifier.tasks.names
        await leading.aclose()
        await second[0].write(event(3))
        assert await pushed.get() == (2, [3])
    assert pushed.empty()


async def test_two_servers_on_one_database_share_their_subscriptions(house: Open) -> None:
    async with house() as one, house() as other:
        mine, others = one.notifier.subscriptions, other.notifier.subscriptions
        made = await mine.create("pull", EVERYTHING, after=0)
        follower = others.open(made.id)
        await one.write(event(1), event(2))
        batch = await follower.next()
        assert clusters(batch) == [1, 2]
        await follower.acknowledge(batch.through)
        await mine.update_filter(made.id, Filter.of(["job.released.#"]))
        mine.refresh()
        assert mine.get(made.id).cursor == 2
        others.refresh()
        await other.write(event(3), event(4, RELEASED))
        assert clusters(await follower.next()) == [4]
        await mine.remove(made.id)
        others.refresh()
        with pytest.raises(Superseded):
            await follower.next(wait=0)


async def test_an_account_has_as_many_subscriptions_as_it_may(engine: Engine) -> None:
    """However many are asked for at once; the server's own do not count."""
    writer = Writer(engine)
    notifier = Notifier(engine, writer, max_subscriptions=3)
    async with notifier.running():
        await notifier.subscriptions.ensure("amqp", "amqp", EVERYTHING)
        asked = [notifier.subscriptions.create("pull", EVERYTHING) for _ in range(10)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        made = [one for one in answers if isinstance(one, Subscription)]
        assert len(made) == 3
        assert sum(isinstance(one, TooManySubscriptions) for one in answers) == 7
        await notifier.subscriptions.remove(made[0].id)
        await notifier.subscriptions.create("pull", EVERYTHING)
    notifier.close()
    writer.close()


async def test_a_subscription_that_is_none_does_not_have_all_others_read(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house() as one, house() as other:
        made = await one.notifier.subscriptions.create("pull", EVERYTHING)
        read: list[Reader] = []

        def everything(reader: Reader) -> list[Subscription]:
            read.append(reader)
            return []

        monkeypatch.setattr(rows, "everything", everything)
        for key in ("none", "", "\0"):
            with pytest.raises(UnknownSubscription):
                other.notifier.subscriptions.get(key)
        assert other.notifier.subscriptions.get(made.id) == made
        assert read == []
        monkeypatch.undo()


async def test_what_another_server_has_told_is_known(house: Open) -> None:
    async with house() as one, house() as other:
        made = await one.notifier.subscriptions.create("pull", EVERYTHING, after=0)
        other.notifier.subscriptions.refresh()
        told = await one.write(event(1), event(2))
        await other.notifier.subscriptions.acknowledge(made.id, told)
        assert other.notifier.subscriptions.get(made.id).cursor == told
        told = await one.write(event(3), event(4))
        follower = await other.notifier.follow(ANYBODY, EVERYTHING, told, None, from_now=True)
        told = await one.write(event(5))
        assert clusters(await follower.next()) == [5]
        assert (await other.notifier.subscriptions.create("pull", EVERYTHING, after=told)).cursor == told
        with pytest.raises(NoSuchEvent):
            await other.notifier.follow(ANYBODY, EVERYTHING, told + 1, None, from_now=True)
