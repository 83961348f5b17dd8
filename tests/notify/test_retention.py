"""Retention: by age and rows, never past a cursor without saying so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from birdbath.notify import Filter, Follower, Notifier, RetentionSettings, Subscription
from birdbath.notify.job_mail import TOPICS
from birdbath.notify.retention import Retention
from birdbath.notify.services import add_services
from birdbath.settings import Settings, load_settings
from birdbath.store import Writer
from tests.notify.house import House, Open, clusters, event

pytestmark = pytest.mark.anyio


def retention(house: House, now: float = 0.0, **settings: float) -> Retention:
    notifier: Notifier = house.notifier
    return Retention(
        RetentionSettings(**settings),  # type: ignore[arg-type]
        house.writer,
        notifier.log,
        notifier.subscriptions,
        lambda: now,
    )


async def test_the_oldest_rows_go_first(house: Open) -> None:
    async with house() as open_house:
        await open_house.write(*map(event, range(1, 3001)))
        assert await retention(open_house, max_rows=500, max_age=0).apply() == 2500
        assert (open_house.notifier.log.oldest, open_house.notifier.log.newest) == (2501, 3000)
    async with house() as open_house:
        assert open_house.notifier.log.oldest == 2501
        assert await open_house.write(event(1)) == 3001


async def test_events_go_when_they_are_too_old(house: Open) -> None:
    async with house() as open_house:
        await open_house.write(*map(event, range(1, 11)))
        assert await retention(open_house, now=105, max_age=100, max_rows=0).apply() == 4
        assert open_house.notifier.log.oldest == 5
        assert await retention(open_house, now=1000, max_age=0, max_rows=0).apply() == 0


async def test_what_a_subscription_has_not_taken_is_kept(house: Open) -> None:
    async with house() as open_house:
        made = await open_house.notifier.subscriptions.create("pull", Filter.of(), after=0)
        await open_house.write(*map(event, range(1, 101)))
        keep_ten = retention(open_house, max_rows=10, max_age=0)
        assert await keep_ten.apply() == 0
        await open_house.notifier.subscriptions.acknowledge(made.id, 40)
        assert await keep_ten.apply() == 40
        follower = open_house.notifier.subscriptions.open(made.id)
        batch = await follower.next()
        assert (clusters(batch)[0], batch.missed) == (41, 0)


async def test_what_is_held_too_long_goes_and_everybody_is_told(
    house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    async with house() as open_house:
        made = await open_house.notifier.subscriptions.create("pull", Filter.of(), after=0)
        await open_house.write(*map(event, range(1, 101)))
        with caplog.at_level(logging.WARNING):
            assert await retention(open_house, max_rows=10, max_age=0, max_held_rows=30).apply() == 70
        assert f"The subscription {made.id} loses events 1 to 70" in caplog.text
        follower = open_house.notifier.subscriptions.open(made.id)
        batch = await follower.next()
        assert (clusters(batch), batch.missed, batch.through) == (list(range(71, 101)), 70, 100)


@asynccontextmanager
async def started(engine: Engine, settings: Settings) -> AsyncIterator[Notifier]:
    """What a server with these settings follows its events with."""
    writer = Writer(engine)
    notifier = Notifier(engine, writer, retention=RetentionSettings(max_age=0))
    try:
        add_services(notifier, settings, engine)
        async with notifier.running():
            yield notifier
    finally:
        notifier.close()
        writer.close()


async def changed(notifier: Notifier, leased: bool) -> Subscription:
    while (notifier.subscriptions.get("mail").expires_at is not None) != leased:
        await asyncio.sleep(0.001)
    return notifier.subscriptions.get("mail")


async def test_a_subscription_whose_setting_is_gone_gets_a_lease_until_it_is_back(
    house: Open, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with house() as open_house:
        made = await open_house.notifier.subscriptions.ensure("mail", "mail", Filter.of(TOPICS))
        await open_house.write(*map(event, range(1, 11)))
    async with started(engine, load_settings(None)) as notifier:
        leased = await changed(notifier, True)
        assert "ask no more for the subscription mail, which is at event 0: it ends in 7 days" in caplog.text
    async with started(engine, load_settings(None)) as notifier:
        assert notifier.subscriptions.get("mail").expires_at == leased.expires_at
    async with started(engine, load_settings(None, smtp_server="127.0.0.1:9")) as notifier:
        assert replace(await changed(notifier, False), cursor=0) == made


async def test_a_follower_of_deleted_events_is_told_how_many_it_missed(house: Open) -> None:
    async with house() as open_house:
        await open_house.write(*map(event, range(1, 101)))
        await retention(open_house, max_rows=1, max_age=0).apply()
        follower = Follower(open_house.notifier.log, 50, Filter.of())
        batch = await follower.next()
        assert (clusters(batch), batch.missed) == ([100], 49)
        await retention(open_house, max_rows=0, max_age=1, now=1e9).apply()
        follower = Follower(open_house.notifier.log, 0, Filter.of())
        batch = await follower.next(wait=0)
        assert (clusters(batch), batch.missed, batch.through) == ([], 100, 100)


async def test_what_another_server_has_deleted_is_missed_too(house: Open) -> None:
    async with house() as one:
        await one.write(*map(event, range(1, 101)))
        async with house() as other:
            await retention(one, max_rows=0, max_age=1, now=1e9).apply()
            follower = Follower(other.notifier.log, 50, Filter.of())
            async with asyncio.timeout(60):
                batch = await follower.next(wait=0)
            assert (clusters(batch), batch.missed, batch.through) == ([], 50, 100)
            assert other.notifier.log.oldest == 101


async def test_what_another_server_has_written_and_deleted_meanwhile_is_missed(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdbath.notify.log.OTHERS_INTERVAL", 1e6)
    async with house() as one, house() as other:
        log = other.notifier.log
        await one.write(*map(event, range(1, 11)))
        assert await log.has(10)
        await one.write(*map(event, range(11, 21)))
        await retention(one, max_rows=5, max_age=0).apply()
        assert await log.has(20)
        assert log.oldest == 16
        batch = await Follower(log, 12, Filter.of()).next()
        assert (clusters(batch), batch.missed) == ([16, 17, 18, 19, 20], 3)
        batch = await Follower(log, 17, Filter.of()).next()
        assert (clusters(batch), batch.missed) == ([18, 19, 20], 0)


async def test_what_a_subscription_of_another_server_lacks_is_kept(house: Open) -> None:
    async with house() as one, house() as other:
        await one.write(*map(event, range(1, 11)))
        await one.notifier.subscriptions.create("pull", Filter.of(), after=2)
        assert await other.notifier.log.has(10)
        assert await retention(other, max_rows=5, max_age=0).apply() == 2


async def test_the_oldest_event_is_known_where_another_server_was_faster(house: Open) -> None:
    async with house() as one, house() as other:
        await one.write(*map(event, range(1, 11)))
        assert await other.notifier.log.has(10)
        assert await retention(one, max_rows=5, max_age=0).apply() == 5
        assert await retention(other, max_rows=5, max_age=0).apply() == 0
        assert other.notifier.log.oldest == 6
