"""Request-response: a job's events and ad on a reply queue."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from birdbath.access import Caller
from birdbath.classads import Ad
from birdbath.notify import Visibility
from birdbath.notify.amqp.requests import Answers, Responder, ask
from birdbath.notify.tasks import Tasks, end
from tests.events.test_forms import record
from tests.rabbitmq import Broker
from tests.server_process import REPOSITORY

pytestmark = pytest.mark.anyio

HISTORY = [record(0), record(12, {"HoldReason": "why"})]


def job_ad() -> Ad:
    ad = Ad()
    ad.update({"Owner": "ann", "ClusterId": 12, "ClaimId": "secret"})
    return ad


def answers(visibility: Visibility | None = None) -> Answers:
    def ad(cluster: int, proc: int) -> Ad | None:
        return job_ad() if (cluster, proc) == (12, 3) else None

    return Answers(lambda cluster, proc: HISTORY, ad, (visibility or Visibility()).sees, "urn:pool")


@pytest.mark.toolkit
async def test_over_a_broker(broker: Broker) -> None:
    task = asyncio.create_task(Responder(broker.url, answers()).run())
    try:
        events = await ask(broker.url, "12.3")
        ad = await ask(broker.url, "12.3", "ad")
        nothing = await ask(broker.url, "13.0", "ad")
    finally:
        await end(task)
    assert events.type == "events"
    assert [one["type"] for one in json.loads(events.body)] == [
        "org.htcondor.job.submit",
        "org.htcondor.job.held",
    ]
    assert (ad.type, json.loads(ad.body)) == ("ad", {"Owner": "ann", "ClusterId": 12})
    assert (nothing.type, nothing.body) == ("error", b"There is no job 13.0 that you may see")


@pytest.mark.toolkit
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["12.3"], 0, "org.htcondor.job.submit"),
        (["12.3", "ad"], 0, '"ClusterId":12'),
        (["13.0"], 1, "There is no job 13.0 that you may see"),
    ],
)
async def test_the_script_that_asks(broker: Broker, words: list[str], status: int, said: str) -> None:
    tasks = Tasks()
    tasks.start("answers", Responder(broker.url, answers()).run)
    script = str(REPOSITORY / "scripts" / "ask_for_job.py")
    try:
        asking = await asyncio.create_subprocess_exec(
            sys.executable, script, broker.url, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await asking.communicate()
    finally:
        await tasks.stop()
    assert said in output.decode()
    assert asking.returncode == status


@pytest.mark.toolkit
async def test_a_request_waits_for_a_server(broker: Broker) -> None:
    asked = asyncio.create_task(ask(broker.url, "12.3"))
    await asyncio.sleep(0)
    task = asyncio.create_task(Responder(broker.url, answers()).run())
    try:
        assert (await asked).type == "events"
    finally:
        await end(task)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"x", "not JSON"),
        (b"[]", "an object"),
        (b'{"job": "12"}', "the id of a job"),
        (b'{"job": "12.3", "get": "file"}', '"events" or "ad"'),
        (b'{"job": "12.3", "form": "yaml"}', "No event form"),
        (b'{"job": "12.3", "get": "ad", "form": "text"}', "json, xml, classad"),
        (b'{"job": "12.3", "colour": 1}', "an object with"),
    ],
)
async def test_requests_that_make_no_sense(request_: bytes, reason: str) -> None:
    reply = answers().reply(request_, None)
    assert reply.type == "error"
    assert reason in reply.body.decode()


@pytest.mark.parametrize("form", ["text", "json", "xml", "classad"])
async def test_events_in_any_form(form: str) -> None:
    reply = answers().reply(json.dumps({"job": "12.3", "form": form}).encode(), None)
    assert reply.type == "events"
    assert b"why" in reply.body


@pytest.mark.parametrize("form", ["json", "xml", "classad"])
async def test_ads_in_any_form_without_what_is_private(form: str) -> None:
    reply = answers().reply(json.dumps({"job": "12.3", "get": "ad", "form": form}).encode(), None)
    assert b"ann" in reply.body
    assert b"secret" not in reply.body


async def test_only_who_may_see_the_job_is_told() -> None:
    asked = answers(Visibility(queue_all_users_trusted=False))
    request = b'{"job": "12.3", "get": "ad"}'
    assert asked.reply(request, "ann").type == "ad"
    assert asked.reply(request, "bob").type == "error"
    assert asked.reply(request, None).type == "error"
    assert asked.sees(Caller("amqp", "root"), "ann")
