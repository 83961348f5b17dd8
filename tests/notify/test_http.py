"""Followers over HTTP: the event stream, long polling, subscriptions as resources."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from sqlalchemy import Engine, select

from birdbath.access import AccessRules, Level
from birdbath.notify import Filter, Follower, UnknownSubscription, Visibility
from birdbath.store import subscriptions as rows
from birdbath.store.subscriptions import DeadLetter
from birdbath.store.tables import dead_letters
from tests.notify.house import RELEASED, Open, event
from tests.notify.serving import data, messages, serving

pytestmark = pytest.mark.anyio

STREAM = {"accept": "text/event-stream"}
SUBSCRIPTIONS = "/events/subscriptions"


def of_cluster(batch: httpx.Response) -> list[str]:
    return [item["subject"] for item in batch.json()]


async def test_a_stream_begins_with_the_next_event_and_goes_on_from_the_last(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        await open_house.write(event(1))
        async with client.stream("GET", "/events", headers=STREAM) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            stream = messages(response.aiter_lines())
            assert await anext(stream) == {"retry": "1000"}
            await open_house.write(event(2), event(3))
            first = await anext(stream)
            assert (first["id"], data(first)["subject"]) == ("2", "2.0")
            assert data(first)["type"] == "org.htcondor.job.held"
        async with client.stream("GET", "/events", headers={**STREAM, "last-event-id": "2"}) as response:
            stream = messages(response.aiter_lines())
            await anext(stream)
            assert (await anext(stream))["id"] == "3"


async def test_a_stream_has_a_filter_and_a_form(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        query = {"topic": ["job.released.#", "job.*.bob.#"], "form": "text", "after": "0"}
        await open_house.write(event(1), event(2, RELEASED), event(3, owner="bob"))
        async with client.stream("GET", "/events", params=query, headers=STREAM) as response:
            stream = messages(response.aiter_lines())
            await anext(stream)
            assert (await anext(stream))["data"].endswith("Job was released.\n...")
            assert (await anext(stream))["data"].startswith("012 (003.000.000) ")


async def test_a_stream_says_how_far_it_has_looked_when_nothing_passes(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        await open_house.write(event(1), event(2, RELEASED), event(3))
        query = {"topic": "job.released.#", "after": "0"}
        async with client.stream("GET", "/events", params=query, headers=STREAM) as response:
            stream = messages(response.aiter_lines())
            await anext(stream)
            assert (await anext(stream))["id"] == "2"
            assert await anext(stream) == {"id": "3"}


async def test_a_stream_of_an_empty_log_says_that_its_server_is_there(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdbath.http.event_stream.HEARTBEAT", 0.01)
    async with (
        house() as open_house,
        serving(open_house) as client,
        client.stream("GET", "/events", headers=STREAM) as response,
    ):
        stream = messages(response.aiter_lines())
        await anext(stream)
        assert await anext(stream) == {"id": "0"}


async def test_a_stream_ends_with_the_server(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        async with client.stream("GET", "/events", headers=STREAM) as response:
            stream = messages(response.aiter_lines())
            await anext(stream)
            open_house.notifier.log.end()
            assert [message async for message in stream] == []
        assert (await client.get("/events")).status_code == 503


async def test_a_stream_that_another_takes_over_is_told_so_and_ends(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        made = (await client.post(SUBSCRIPTIONS, json={"after": 0})).json()["id"]
        query = {"subscription": made}
        async with (
            client.stream("GET", "/events", params=query, headers=STREAM) as former,
            client.stream("GET", "/events", params=query, headers=STREAM) as latter,
        ):
            first, second = messages(former.aiter_lines()), messages(latter.aiter_lines())
            assert await anext(first) == await anext(second) == {"retry": "1000"}
            await open_house.write(event(1))
            assert (await anext(second))["id"] == "1"
            last = [message async for message in first]  # to the end of the body, which is a whole one
        assert [message["event"] for message in last] == ["superseded"]
        assert "another follower" in data(last[0])["detail"]


async def test_a_follower_that_is_gone_is_forgotten(house: Open) -> None:
    async with house() as open_house, serving(open_house, max_followers=1) as client:
        async with client.stream("GET", "/events", headers=STREAM) as response:
            await anext(messages(response.aiter_lines()))
            assert open_house.notifier.metrics.followers["sse"] == 1
            assert (await client.get("/events", params={"wait": 0})).status_code == 503
        while open_house.notifier.metrics.followers["sse"]:
            await asyncio.sleep(0.001)
        assert (await client.get("/events", params={"wait": 0})).status_code == 200


async def test_a_long_poll_waits_for_an_event_that_passes(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        await open_house.write(event(1))
        first = await client.get("/events", params={"wait": 0})
        assert (first.headers["last-event-id"], of_cluster(first)) == ("1", ["1.0"])
        assert first.headers["content-type"].startswith("application/cloudevents-batch+json")
        query = {"after": "1", "topic": "job.released.#"}
        waiting = asyncio.create_task(client.get("/events", params=query))
        await open_house.write(event(2))
        await open_house.write(event(3, RELEASED))
        second = await waiting
        assert (second.headers["last-event-id"], of_cluster(second)) == ("3", ["3.0"])


async def test_a_long_poll_takes_so_many_at_most(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        await open_house.write(*map(event, range(1, 6)))
        reply = await client.get("/events", params={"max": 2, "form": "classad"})
        assert (reply.headers["last-event-id"], len(reply.text.splitlines())) == ("2", 2)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("topic=job.hold.%23", "there is no event 'hold'"),
        ("topic=job", "a routing key has five words"),
        ("topic=job.held.*.abc.0", "the last two words of a routing key are the numbers"),
        ("topic=%23.ann", "not 'ann'"),
        ("constraint=undefined", "true of no event"),
        ("constraint={1,2}", "true of no event"),
        ("constraint=((", "not a ClassAd expression"),
        ('constraint="held"', "a text, no condition"),
        ("form=yaml", "No event form 'yaml'"),
        ("after=-1", "after is a whole number"),
        ("after=7", "There is no event 7 yet"),
        ("wait=soon", "wait is a whole number"),
        ("max=0", "max is at least 1"),
        ("max=3&max=4", "Unknown or repeated parameter 'max'"),
        ("topics=x", "Unknown or repeated parameter 'topics'"),
        ("subscription=x&topic=%23", "A subscription has its own filter"),
    ],
)
async def test_a_question_that_is_nonsense_is_told_so(house: Open, query: str, said: str) -> None:
    async with house() as open_house, serving(open_house) as client:
        for headers in ({}, STREAM):
            reply = await client.get(f"/events?{query}", headers=headers)
            assert (reply.status_code, reply.headers["content-type"]) == (400, "application/problem+json")
            assert said in reply.json()["detail"]


async def test_a_subscription_keeps_its_place(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        made = await client.post(SUBSCRIPTIONS, json={"topics": ["job.held.#"], "after": 0})
        assert made.status_code == 201
        location = made.headers["location"]
        query = {"subscription": made.json()["id"], "wait": 0}
        await open_house.write(event(1), event(2, RELEASED), event(3))
        assert of_cluster(await client.get("/events", params=query)) == ["1.0", "3.0"]
        assert of_cluster(await client.get("/events", params={**query, "after": 1})) == ["3.0"]
        assert of_cluster(await client.get("/events", params=query)) == ["3.0"]
        shown = (await client.post(f"{location}/acknowledge", json={"through": 3})).json()
        assert (shown["cursor"], shown["lag"]) == (3, 0)
        assert of_cluster(await client.get("/events", params=query)) == []
        assert (await client.delete(location)).status_code == 204
        assert (await client.get("/events", params=query)).status_code == 404


async def test_the_filter_of_a_stream_is_changed_in_order(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        made = (await client.post(SUBSCRIPTIONS, json={"after": 0})).json()
        query = {"subscription": made["id"]}
        async with client.stream("GET", "/events", params=query, headers=STREAM) as response:
            stream = messages(response.aiter_lines())
            await anext(stream)
            await open_house.write(event(1))
            assert (await anext(stream))["id"] == "1"
            location = f"{SUBSCRIPTIONS}/{made['id']}"
            changed = (await client.patch(location, json={"topics": ["job.released.#"]})).json()
            assert (changed["filter_holds_after"], changed["topics"]) == (1, ["job.released.#"])
            told = await anext(stream)  # at once, while nothing happens
            wanted = {"topics": ["job.released.#"], "constraint": "", "filter_holds_after": 1}
            assert (told["event"], data(told)) == ("filter", wanted)
            assert await anext(stream) == {"id": "1"}
            await open_house.write(event(2), event(3, RELEASED))
            assert (await anext(stream))["id"] == "3"
        refused = await client.patch(location, json={"topics": ["job.hold.#"]})
        assert refused.status_code == 400
        assert (await client.get(location)).json()["topics"] == ["job.released.#"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"topic": "x"}, "topic: Extra inputs are not permitted"),
        ({"topics": "x"}, "topics: Input should be a valid array"),
        ({"lease": -1}, "lease: Input should be greater than 0"),
        ({"form": "zzz"}, "No event form 'zzz'"),
        ({"kind": "mail"}, "kind: Input should be 'pull' or 'webhook'"),
        ({"kind": "webhook"}, "A webhook needs a url"),
        ({"url": "http://example.org"}, "Only a webhook has a url"),
        ({"after": 5}, "There is no event 5 yet"),
        ({"constraint": "(("}, "not a ClassAd expression"),
        ({"kind": "webhook", "url": "ftp://example.org"}, "begins with https:// or http://"),
        ({"kind": "webhook", "url": "http://a:b@example.org"}, "has no user"),
        ({"kind": "webhook", "url": "http://a..b/"}, "'a..b' can be no host"),
        ({"kind": "webhook", "url": f"http://{'a' * 64}.org/"}, "can be no host"),
        ({"kind": "webhook", "url": "http://a\0b/"}, "ASCII only"),
        ({"kind": "webhook", "url": "http://[::1]/"}, "which is not public"),
        ({"kind": "webhook", "url": "http://[::ffff:10.0.0.1]/"}, "which is not public"),
        ({"kind": "webhook", "url": "http://169.254.169.254/"}, "which is not public"),
        ({"kind": "webhook", "url": "http://127.0.0.1/", "secret": "x"}, "secret is whsec_"),
        ({"kind": "webhook", "url": "http://127.0.0.1/", "form": "x"}, "No event form 'x'"),
    ],
)
async def test_a_subscription_that_is_nonsense_is_refused(
    house: Open, body: dict[str, object], said: str
) -> None:
    async with house() as open_house, serving(open_house) as client:
        reply = await client.post(SUBSCRIPTIONS, json=body)
        assert (reply.status_code, said in reply.json()["detail"]) == (400, True), reply.text
        assert (await client.get(SUBSCRIPTIONS)).json() == {"subscriptions": []}


async def test_what_is_not_there_is_not_found(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        for method, path in [
            ("GET", "/events/x"),
            ("DELETE", f"{SUBSCRIPTIONS}/x"),
            ("GET", f"{SUBSCRIPTIONS}/x/dead-letters"),
        ]:
            assert (await client.request(method, path)).status_code == 404, path


async def test_the_servers_own_subscriptions_are_for_administrators(house: Open) -> None:
    everybody = {level: ["*"] for level in (Level.READ, Level.WRITE)}
    rules = AccessRules.of({**everybody, Level.ADMINISTRATOR: ["root"]}, {})
    async with house() as open_house, serving(open_house, rules=rules) as client:
        await open_house.notifier.subscriptions.ensure("amqp", "amqp", Filter.of())
        mine = (await client.post(SUBSCRIPTIONS, json={})).json()["id"]
        location = f"{SUBSCRIPTIONS}/amqp"
        for by, status, seen in (({}, 404, {mine}), ({"x-account": "root"}, 200, {mine, "amqp"})):
            listed = (await client.get(SUBSCRIPTIONS, headers=by)).json()["subscriptions"]
            assert {known["id"] for known in listed} == seen
            assert (await client.get(location, headers=by)).status_code == status
            changed = await client.patch(location, json={"topics": ["job.held.#"]}, headers=by)
            assert changed.status_code == status
            query: dict[str, str | int] = {"subscription": "amqp", "wait": 0}
            assert (await client.get("/events", params=query, headers=by)).status_code == status
        assert (await client.delete(location)).status_code == 404
        assert (await client.delete(location, headers={"x-account": "root"})).status_code == 204


async def test_only_a_webhooks_dead_letters_can_be_sent_again(house: Open) -> None:
    async with house() as open_house, serving(open_house) as client:
        await open_house.notifier.subscriptions.ensure("mail", "mail", Filter.of())
        await open_house.write(event(1))
        batch = await Follower(open_house.notifier.log, 0, Filter.of()).next()
        letter = DeadLetter("mail", batch.entries[0].event, 1, 0.0, "refused")
        await open_house.notifier.subscriptions.give_up(letter)
        answer = await client.post(f"{SUBSCRIPTIONS}/mail/dead-letters/1", json={})
        assert (answer.status_code, "Only the dead letters of webhooks" in answer.text) == (400, True)
        assert len(open_house.notifier.subscriptions.letters("mail")) == 1


async def test_what_was_removed_meanwhile_has_no_dead_letters(house: Open, engine: Engine) -> None:
    async with house() as open_house:
        subscriptions = open_house.notifier.subscriptions
        await subscriptions.ensure("mail", "mail", Filter.of())
        await open_house.write(event(1))
        batch = await Follower(open_house.notifier.log, 0, Filter.of()).next()
        letter = DeadLetter("mail", batch.entries[0].event, 1, 0.0, "refused")
        # By another server on the database, and then by this one.
        await open_house.writer.write(lambda unit: rows.remove(unit, "mail"))
        await subscriptions.give_up(letter)
        await subscriptions.remove("mail")
        with pytest.raises(UnknownSubscription):
            await subscriptions.give_up(letter)
        with engine.connect() as connection:
            assert connection.execute(select(dead_letters)).all() == []


async def test_who_may_only_read_may_subscribe_but_not_have_the_server_call(house: Open) -> None:
    rules = AccessRules.of({Level.READ: ["*"], Level.WRITE: ["root"]}, {})
    webhook = {"kind": "webhook", "url": "http://127.0.0.1:9/hook"}
    async with house() as open_house, serving(open_house, rules=rules) as client:
        made = await client.post(SUBSCRIPTIONS, json={"after": 0})
        location = made.headers["location"]
        await open_house.write(event(1))
        assert of_cluster(await client.get("/events", params={"subscription": made.json()["id"]})) == ["1.0"]
        assert (await client.post(f"{location}/acknowledge", json={"through": 1})).json()["cursor"] == 1
        assert (await client.patch(location, json={"topics": ["job.held.#"]})).status_code == 200
        assert (await client.delete(location)).status_code == 204
        refused = await client.post(SUBSCRIPTIONS, json=webhook)
        assert (refused.status_code, "needs WRITE" in refused.json()["detail"]) == (403, True)
        allowed = await client.post(SUBSCRIPTIONS, json=webhook, headers={"x-account": "root"})
        assert allowed.status_code == 201


async def test_nobody_gets_anything_of_another_owners_jobs(house: Open) -> None:
    async with house(Visibility(queue_all_users_trusted=False)) as open_house, serving(open_house) as client:

        def by(name: str) -> dict[str, str]:
            return {"x-account": name}

        await open_house.write(event(1, owner="ann"), event(2, owner="bob"))
        everything = {"wait": 0}
        assert of_cluster(await client.get("/events", params=everything, headers=by("ann"))) == ["1.0"]
        by_root = await client.get("/events", params=everything, headers=by("root"))
        assert of_cluster(by_root) == [
            "1.0",
            "2.0",
        ]
        assert of_cluster(await client.get("/events", params=everything)) == []
        made = (await client.post(SUBSCRIPTIONS, json={"after": 0}, headers=by("ann"))).json()
        location, query = f"{SUBSCRIPTIONS}/{made['id']}", {"subscription": made["id"], **everything}
        assert of_cluster(await client.get("/events", params=query, headers=by("ann"))) == ["1.0"]
        assert (await client.get("/events", params=query, headers=by("bob"))).status_code == 404
        for method in ("GET", "PATCH", "DELETE"):
            assert (await client.request(method, location, headers=by("bob"))).status_code == 404
        assert (await client.get(SUBSCRIPTIONS, headers=by("bob"))).json() == {"subscriptions": []}
        headers = {**STREAM, **by("ann")}
        async with client.stream("GET", "/events", params={"after": 0}, headers=headers) as response:
            stream = messages(response.aiter_lines())
            await anext(stream)
            assert (await anext(stream))["id"] == "1"
            await open_house.write(event(3, owner="bob"), event(4, owner="ann"))
            assert [(await anext(stream))["id"] for _ in range(2)] == ["2", "4"]


@pytest.mark.parametrize("headers", [STREAM, {}], ids=["stream", "poll"])
async def test_a_head_has_the_headers_and_waits_for_nothing(house: Open, headers: dict[str, str]) -> None:
    async with house() as open_house, serving(open_house, max_followers=1) as client:
        made = (await client.post(SUBSCRIPTIONS, json={"after": 0})).json()["id"]
        query = {"subscription": made}
        async with client.stream("GET", "/events", params=query, headers=STREAM) as following:
            stream = messages(following.aiter_lines())
            await anext(stream)
            told = await client.head("/events", params=query, headers=headers)
            assert (told.status_code, told.content) == (200, b"")
            kind = "text/event-stream" if headers else "application/cloudevents-batch+json"
            assert told.headers["content-type"] == f"{kind}; charset=utf-8"
            await open_house.write(event(1))
            assert (await anext(stream))["id"] == "1", "nobody has taken the subscription over"
        assert (await client.head("/events", params={"subscription": "x"})).status_code == 404
        assert (await client.head("/events", params={"wait": "soon"})).status_code == 400
        shown = await client.get(f"{SUBSCRIPTIONS}/{made}")
        head = await client.head(f"{SUBSCRIPTIONS}/{made}")
        assert (head.status_code, head.headers["content-type"]) == (200, "application/json")
        assert (head.headers["content-length"], head.content) == (str(len(shown.content)), b"")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/events", "GET, HEAD, POST"),
        ("PATCH", "/events", "GET, HEAD, POST"),
        ("POST", "/events", "GET, HEAD"),  # of JSON
        ("DELETE", "", "GET, HEAD, POST"),
        ("PUT", "/{}", "GET, HEAD, PATCH, DELETE"),
        ("POST", "/{}", "GET, HEAD, PATCH, DELETE"),
        ("GET", "/{}/acknowledge", "POST"),
        ("HEAD", "/{}/acknowledge", "POST"),
        ("DELETE", "/{}/dead-letters", "GET, HEAD"),
        ("GET", "/{}/dead-letters/1", "POST, DELETE"),
        ("GET", "/{}/other", ""),
        ("PUT", "/events/other", ""),
        ("DELETE", "/events/subscriptionsx", ""),
    ],
)
async def test_a_method_that_is_not_there(house: Open, method: str, path: str, allowed: str) -> None:
    async with house() as open_house, serving(open_house) as client:
        made = (await client.post(SUBSCRIPTIONS, json={})).json()["id"]
        wanted = path if path.startswith("/events") else SUBSCRIPTIONS + path.format(made)
        reply = await client.request(method, wanted, json={} if method == "POST" else None)
        assert reply.status_code == (405 if allowed else 404)
        assert reply.headers.get("allow", "") == allowed
