"""Request-response over a broker: a job's events so far, or its ad as it is now, on a reply queue.

A request is a JSON object, `{"job": "12.0", "get": "events"}` or `"ad"`, with an optional `"form"`, sent to
the queue `condor.requests` with a reply queue and a correlation id of the asker's choice. The answer's type
is `events`, `ad` or `error`; an error's body says in words what was wrong.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import yarl
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from birdbath.access import Caller
from birdbath.classads import Ad
from birdbath.classads.ads import PRIVATE
from birdbath.classads.documents import to_classad, to_json, to_xml
from birdbath.errors import BirdbathError
from birdbath.events import EventRecord, form
from birdbath.notify.amqp import REQUESTS
from birdbath.notify.amqp.connection import BROKER_ERRORS, CONNECT_TIMEOUT, connected, shown
from birdbath.notify.pauses import Pauses

_log = logging.getLogger(__name__)

_JOB = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\Z")
_AD_FORMS: dict[str, tuple[Callable[[Ad], bytes | str], str]] = {
    "json": (to_json, "application/json; charset=utf-8"),
    "xml": (to_xml, "application/xml; charset=utf-8"),
    "classad": (to_classad, "text/plain; charset=utf-8"),
}
PREFETCH = 16


class InvalidRequest(BirdbathError):
    """The request cannot be answered; the text says why."""


@dataclass(frozen=True)
class Request:
    """What is asked for, of which job, in which form."""

    cluster: int
    proc: int
    get: str
    form: str

    @classmethod
    def parse(cls, body: bytes) -> Request:
        """Raises InvalidRequest or UnknownForm."""
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise InvalidRequest("The request is not JSON") from None
        if not isinstance(value, dict) or value.keys() - {"job", "get", "form"}:
            raise InvalidRequest('A request is an object with "job", "get" and "form"')
        match = _JOB.match(str(value.get("job")))
        if match is None:
            raise InvalidRequest('"job" is the id of a job, such as "12.0"')
        get = value.get("get", "events")
        if get not in ("events", "ad"):
            raise InvalidRequest('"get" is "events" or "ad"')
        wanted = str(value.get("form", "cloudevents" if get == "events" else "json"))
        if get == "events":
            form(wanted)
        elif wanted not in _AD_FORMS:
            raise InvalidRequest(f"No form of an ad {wanted[:40]!r}: there are {', '.join(_AD_FORMS)}")
        return cls(int(match[1]), int(match[2]), get, wanted)


@dataclass(frozen=True)
class Reply:
    """An answer: its type (`events`, `ad`, `error`), its media type and its body."""

    type: str
    media_type: str
    body: bytes


@dataclass(frozen=True)
class Answers:
    """What is known of jobs, and who may know it.

    `history` and `ad` read the database and are called in a thread; `sees` tells whether a caller may see the
    jobs of an owner.
    """

    history: Callable[[int, int], list[EventRecord]]
    ad: Callable[[int, int], Ad | None]
    sees: Callable[[Caller, str], bool]
    source: str

    def reply(self, body: bytes, account: str | None) -> Reply:
        """Answer a request of `account`, which the broker has made sure of, or None."""
        try:
            return self._reply(Request.parse(body), Caller("amqp", account))
        except BirdbathError as error:
            return Reply("error", "text/plain; charset=utf-8", str(error).encode())

    def _reply(self, request: Request, caller: Caller) -> Reply:
        ad = self.ad(request.cluster, request.proc)
        if ad is None or not self.sees(caller, ad.string("Owner")):
            raise InvalidRequest(f"There is no job {request.cluster}.{request.proc} that you may see")
        if request.get == "ad":
            return _ad_reply(ad, request.form)
        wanted = form(request.form, self.source)
        rendered = [wanted(event) for event in self.history(request.cluster, request.proc)]
        if request.form == "cloudevents":
            batch = b"[" + b",\n".join(rendered) + b"]\n"
            return Reply("events", "application/cloudevents-batch+json; charset=utf-8", batch)
        return Reply("events", wanted.media_type, b"".join(rendered))


def _ad_reply(ad: Ad, name: str) -> Reply:
    public = Ad(attribute for attribute in ad if attribute[0].lower() not in PRIVATE)
    render, media_type = _AD_FORMS[name]
    body = render(public)
    return Reply("ad", media_type, body if isinstance(body, bytes) else body.encode(errors="replace"))


class Responder:
    """Answers requests; `run` it as a task. Several servers may share the queue."""

    def __init__(self, url: str, answers: Answers) -> None:
        self._url = url
        self._answers = answers

    async def run(self) -> None:
        """Answer until cancelled. A request that was not answered is asked of the next server."""
        pauses = Pauses()
        while True:
            try:
                async with connected(self._url) as connection:
                    channel = await connection.channel(publisher_confirms=True, on_return_raises=False)
                    await channel.set_qos(prefetch_count=PREFETCH)
                    queue = await channel.declare_queue(REQUESTS, durable=True)
                    pauses.reset()
                    async with queue.iterator() as requests:
                        async for request in requests:
                            await self._answer(channel, request)
            except BROKER_ERRORS as error:
                _log.debug("Answering requests at %s: %s", shown(self._url), error)
            await asyncio.sleep(pauses.next())

    async def _answer(self, channel: AbstractChannel, request: AbstractIncomingMessage) -> None:
        if request.reply_to:
            reply = await asyncio.to_thread(self._answers.reply, request.body, request.user_id)
            message = Message(
                reply.body,
                content_type=reply.media_type,
                type=reply.type,
                correlation_id=request.correlation_id,
                delivery_mode=DeliveryMode.PERSISTENT,
                app_id="birdbath",
            )
            await channel.default_exchange.publish(message, request.reply_to, mandatory=False)
        await request.ack()


async def ask(
    url: str, job: str, get: str = "events", form: str | None = None, timeout: float = 30.0
) -> Reply:
    """Ask for a job's `events` or `ad` and return the answer, an error among them.

    Raises TimeoutError when nobody answers within `timeout` seconds, and one of BROKER_ERRORS.
    """
    request = {"job": job, "get": get} | ({"form": form} if form else {})
    answer: asyncio.Future[AbstractIncomingMessage] = asyncio.get_running_loop().create_future()
    correlation = str(uuid.uuid4())
    async with connected(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue(exclusive=True)

        async def arrived(message: AbstractIncomingMessage) -> None:
            if message.correlation_id == correlation and not answer.done():
                answer.set_result(message)

        await queue.consume(arrived, no_ack=True)
        message = Message(orjson.dumps(request), reply_to=queue.name, correlation_id=correlation)
        message.user_id = connection_account(url)
        await channel.declare_queue(REQUESTS, durable=True)
        await channel.default_exchange.publish(message, REQUESTS, timeout=CONNECT_TIMEOUT)
        async with asyncio.timeout(timeout):
            found = await answer
    return Reply(found.type or "error", found.content_type or "", found.body)


def connection_account(url: str) -> str | None:
    """The account in a broker's URL, which the broker checks when a message names it."""
    return yarl.URL(url).user
