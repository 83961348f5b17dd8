"""Webhooks: signed as their standard says, in order per job, retried, given up, to public addresses only."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from birdbath.notify import Visibility
from birdbath.notify.receivers import AddressRule
from birdbath.notify.webhooks import _retry_after
from tests.notify.house import RELEASED, Open, event
from tests.notify.serving import LOOPBACK, receiving, serving

pytestmark = pytest.mark.anyio

SUBSCRIPTIONS = "/events/subscriptions"


async def test_a_webhook_gets_signed_events(house: Open) -> None:
    with receiving() as receiver:
        async with house() as open_house, serving(open_house) as client:
            wanted = {"kind": "webhook", "url": receiver.url, "topics": ["job.held.#"], "after": 0}
            made = (await client.post(SUBSCRIPTIONS, json=wanted)).json()
            assert "secret" not in (await client.get(f"{SUBSCRIPTIONS}/{made['id']}")).json()
            await open_house.write(event(1), event(2, RELEASED), event(3))
            await receiver.until(lambda: len(receiver.taken) == 2)
    assert sorted(receiver.clusters) == [1, 3]  # in order per job only
    for headers, body in receiver.taken:
        verified = Webhook(made["secret"]).verify(body, headers)
        assert verified["id"] == headers["webhook-id"]
        assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert headers["host"] == receiver.url.split("/")[2]


async def test_what_fails_is_tried_again_with_the_same_id_and_in_order(house: Open) -> None:
    answers = iter([500, 0, 429, 302])
    with receiving(lambda headers, body: next(answers, 200)) as receiver:
        async with house() as open_house, serving(open_house) as client:
            await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})
            await open_house.write(event(1), event(1, RELEASED), event(1))
            await receiver.until(lambda: len(receiver.taken) == 3)
            while (await client.get(SUBSCRIPTIONS)).json()["subscriptions"][0]["cursor"] < 3:
                pass
            assert open_house.notifier.metrics.retried["webhook"] == 4
            assert open_house.notifier.metrics.delivered["webhook"] == 3
    ids = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert len(set(ids[:5])) == 1
    assert len(set(ids)) == 3
    assert [json.loads(body)["sequence"] for _, body in receiver.taken] == ["1", "2", "3"]


async def test_a_job_whose_event_is_not_taken_holds_up_no_other(house: Open) -> None:
    def judge(headers: dict[str, str], body: bytes) -> int:
        return 500 if json.loads(body)["subject"] == "1.0" else 200

    with receiving(judge) as receiver:
        async with house() as open_house, serving(open_house) as client:
            await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})
            await open_house.write(event(1), event(2), event(1, RELEASED), event(3))
            await receiver.until(lambda: sorted(receiver.clusters) == [2, 3])
            others = list(range(4, 64))
            for first in range(0, len(others), 20):
                await open_house.write(*(event(job) for job in others[first : first + 20]))
            await receiver.until(lambda: len(receiver.taken) == len(others) + 2)
            assert sorted(receiver.clusters) == [2, 3, *others]
            assert (await client.get(SUBSCRIPTIONS)).json()["subscriptions"][0]["cursor"] == 0
        async with house() as open_house, serving(open_house):  # at least once, and nothing is lost
            await receiver.until(lambda: len(receiver.taken) == 2 * (len(others) + 2))
    asked = [json.loads(body) for _, body in receiver.requests]
    assert {event["sequence"] for event in asked if event["subject"] == "1.0"} == {"1"}


async def test_what_is_refused_again_and_again_goes_to_the_dead_letters(house: Open) -> None:
    poisonous = True

    def judge(headers: dict[str, str], body: bytes) -> int:
        return 422 if poisonous and json.loads(body)["sequence"] == "2" else 200

    with receiving(judge) as receiver:
        async with house() as open_house, serving(open_house) as client:
            made = (await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})).json()
            dead = f"{SUBSCRIPTIONS}/{made['id']}/dead-letters"
            await open_house.write(event(1), event(1), event(1))
            await receiver.until(lambda: len(receiver.taken) == 2)
            (letter,) = (await client.get(dead)).json()["dead_letters"]
            assert (letter["sequence"], letter["attempts"], letter["job"]) == (2, 5, "1.0")
            assert letter["reason"] == "status 422"
            again = await client.post(f"{dead}/2", json={})
            assert (again.status_code, "status 422" in again.json()["detail"]) == (400, True)
            poisonous = False
            assert (await client.post(f"{dead}/2", json={})).status_code == 204
            assert (await client.get(dead)).json() == {"dead_letters": []}
            assert open_house.notifier.metrics.given_up["webhook"] == 1
    assert [json.loads(body)["sequence"] for _, body in receiver.taken] == ["1", "3", "2"]


async def test_an_event_that_nobody_takes_for_too_long_is_given_up(house: Open) -> None:
    impatient = replace(LOOPBACK, give_up=2.0)
    with receiving(lambda headers, body: 503) as receiver:
        async with house() as open_house, serving(open_house, impatient) as client:
            made = (await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})).json()
            dead = f"{SUBSCRIPTIONS}/{made['id']}/dead-letters"
            await open_house.write(event(1))
            await receiver.until(lambda: len(receiver.requests) >= 2)
            while not (letters := (await client.get(dead)).json()["dead_letters"]):
                pass
            assert letters[0]["reason"] == "status 503"
            assert (await client.delete(f"{dead}/1")).status_code == 204
            assert (await client.delete(f"{dead}/1")).status_code == 404


async def test_a_receiver_that_is_gone_ends_its_subscription(house: Open) -> None:
    with receiving(lambda headers, body: 410) as receiver:
        async with house() as open_house, serving(open_house) as client:
            await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})
            await open_house.write(event(1))
            while (await client.get(SUBSCRIPTIONS)).json()["subscriptions"]:
                pass
    assert len(receiver.requests) == 1


async def test_a_server_that_stops_remembers_what_was_taken(house: Open) -> None:
    """The receiver takes all but what belongs to job 3; the events before it need not come again."""
    with receiving(lambda headers, body: 503 if b'"subject":"3.0"' in body else 204) as receiver:
        async with house() as open_house, serving(open_house) as client:
            made = (await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})).json()
            await open_house.write(event(1), event(2), event(3), event(3))
            while open_house.notifier.metrics.delivered["webhook"] < 2:
                await asyncio.sleep(0)
        async with house() as open_house:
            assert open_house.notifier.subscriptions.get(made["id"]).cursor == 2


async def test_a_restarted_server_goes_on_where_the_receiver_was(house: Open) -> None:
    with receiving() as receiver:
        async with house() as open_house, serving(open_house) as client:
            await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})
            await open_house.write(event(1))
            await receiver.until(lambda: len(receiver.taken) == 1)
        async with house() as open_house:
            await open_house.write(event(2))
        async with house() as open_house, serving(open_house):
            await open_house.write(event(3))
            await receiver.until(lambda: {1, 2, 3} <= set(receiver.clusters))


async def test_an_answer_that_comes_byte_by_byte_is_none_in_time(house: Open) -> None:
    hasty = replace(LOOPBACK, timeout=1.0, give_up=0.0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 Well\r\nServer: ")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)  # each byte is in time
        writer.close()

    receiver = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/"
    async with house() as open_house, serving(open_house, hasty) as client:
        made = (await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": url})).json()
        await open_house.write(event(1))
        dead = f"{SUBSCRIPTIONS}/{made['id']}/dead-letters"
        while not (letters := (await client.get(dead)).json()["dead_letters"]):
            pass
    assert letters[0]["reason"] == "no answer in time"
    receiver.close()
    await receiver.wait_closed()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("9" * 400, 999999999),
        ("", 0),
        ("-1", 0),
        ("soon", 0),
        (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", 0),
        (f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}", 0),
    ],
)
def test_when_to_try_again(said: str, seconds: float) -> None:
    assert _retry_after(httpx.Response(503, headers={"retry-after": said})) == seconds


def test_when_to_try_again_may_be_a_date() -> None:
    said = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < _retry_after(httpx.Response(503, headers={"retry-after": said})) <= 100


async def test_nothing_is_delivered_to_an_address_that_is_not_allowed_any_more(house: Open) -> None:
    """The name may lead elsewhere than when it was subscribed, and the settings may have changed."""
    with receiving() as receiver:
        async with house() as open_house, serving(open_house) as client:
            made = (await client.post(SUBSCRIPTIONS, json={"kind": "webhook", "url": receiver.url})).json()
        strict = replace(LOOPBACK, networks=(), give_up=0.0)
        async with house() as open_house, serving(open_house, strict) as client:
            await open_house.write(event(1))
            dead = f"{SUBSCRIPTIONS}/{made['id']}/dead-letters"
            while not (letters := (await client.get(dead)).json()["dead_letters"]):
                pass
        assert "which is not public" in letters[0]["reason"]
        assert receiver.requests == []


async def test_a_webhook_gets_events_of_its_own_accounts_jobs_only(house: Open) -> None:
    with receiving() as receiver:
        async with (
            house(Visibility(queue_all_users_trusted=False)) as open_house,
            serving(open_house) as client,
        ):
            wanted = {"kind": "webhook", "url": receiver.url}
            await client.post(SUBSCRIPTIONS, json=wanted, headers={"x-account": "ann"})
            await open_house.write(event(1, owner="bob"), event(2, owner="ann"))
            await receiver.until(lambda: len(receiver.taken) == 1)
            assert receiver.clusters == [2]


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("10.9.0.1", True),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d70e", True),
        ("2002:a00:1::", False),
        ("64:ff9b:1::a00:1", False),
        ("::a00:1", False),
        ("fec0::1", False),
        ("192.0.0.8", False),
    ],
)
def test_which_addresses_may_receive(address: str, permitted: bool) -> None:
    rule = AddressRule(["10.9.0.0/16"])
    assert rule.permits(ipaddress.ip_address(address)) is permitted
