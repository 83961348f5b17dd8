"""Followers over HTTP: server-sent events and long polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import orjson

from birdbath.access import Caller
from birdbath.errors import BirdbathError
from birdbath.events import Form
from birdbath.http.asgi import Headers, Receive, Send, respond
from birdbath.http.event_requests import Question
from birdbath.notify import Batch, Follower, Notifier, SubscribedFollower, Superseded
from birdbath.notify.log import LogClosed

T = TypeVar("T")

HEARTBEAT = 15.0
"""Seconds without an event after which a stream says how far it has looked, so that proxies keep it open."""

STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_NOT_STORED: Headers = [(b"cache-control", b"no-store")]


AnyFollower = Follower | SubscribedFollower


async def stream(notifier: Notifier, caller: Caller, asked: Question, receive: Receive, send: Send) -> None:
    """Answer with server-sent events until the client is gone or the server stops.

    An event's id is its sequence number, which browsers send back as Last-Event-ID: nothing is missed or
    repeated after a reconnect. `missed`, `filter` and `superseded`, the last one when another follower takes
    the subscription over, are events of the stream itself.
    """
    async with _following(notifier, caller, asked, "sse", from_now=True) as following:
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
        await while_connected(receive, _send_until_superseded(notifier, following, asked, send))
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _following(
    notifier: Notifier, caller: Caller, asked: Question, kind: str, from_now: bool
) -> AsyncIterator[AnyFollower]:
    """The follower for a request, counted as one of its kind until the block ends."""
    following = await notifier.follow(
        caller, asked.filter, asked.after, asked.subscription, from_now=from_now
    )
    notifier.metrics.followers[kind] += 1
    try:
        yield following
    finally:
        notifier.metrics.followers[kind] -= 1
        if isinstance(following, SubscribedFollower):
            following.close()


async def _send_until_superseded(
    notifier: Notifier, following: AnyFollower, asked: Question, send: Send
) -> None:
    try:
        await _send_all(notifier, following, asked, send)
    except Superseded as error:  # the answer has begun: it cannot become an error any more
        told = _message(orjson.dumps({"detail": str(error)}), event=b"superseded")
        await send({"type": "http.response.body", "body": told, "more_body": True})


async def _send_all(notifier: Notifier, following: AnyFollower, asked: Question, send: Send) -> None:
    told = following.filter
    with suppress(LogClosed):
        while True:
            wait = HEARTBEAT if following.filter == told else 0.0
            batch = await following.next(asked.most, wait, heed_filter=True)
            parts: list[bytes] = []
            if following.filter != told:
                told = following.filter
                said = {**told.value(), "filter_holds_after": following.filter_since}
                parts.append(_message(orjson.dumps(said), event=b"filter"))
            parts += _messages(batch, asked.form)
            await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})
            notifier.metrics.delivered["sse"] += len(batch.entries)
            notifier.metrics.missed["sse"] += batch.missed


def _messages(batch: Batch, form: Form) -> Iterable[bytes]:
    if batch.missed:
        yield _message(orjson.dumps({"missed": batch.missed}), event=b"missed")
    last = -1  # an empty log has something to say, too: that its server is there
    for entry in batch.entries:
        last = entry.event.sequence
        yield _message(entry.rendered(form), sequence=last)
    if last < batch.through:
        yield b"id: %d\n\n" % batch.through  # no message, but where to go on from


def _message(data: bytes, *, event: bytes = b"", sequence: int | None = None) -> bytes:
    lines = [b"data: " + line for line in data.rstrip(b"\n").replace(b"\r", b"").split(b"\n")]
    if event:
        lines.insert(0, b"event: " + event)
    if sequence is not None:
        lines.insert(0, b"id: %d" % sequence)
    return b"\n".join(lines) + b"\n\n"


async def poll(notifier: Notifier, caller: Caller, asked: Question, receive: Receive, send: Send) -> None:
    """Answer with the events after the place that is asked for, as soon as there is one that passes, or with
    none after the wait.

    `Last-Event-ID` of the answer is where the next question begins, `Missed-Events` how many retention had
    deleted before.
    """
    async with _following(notifier, caller, asked, "poll", from_now=False) as following:
        batch = await while_connected(receive, _next(following, asked))
    if batch is None:
        return
    notifier.metrics.delivered["poll"] += len(batch.entries)
    notifier.metrics.missed["poll"] += batch.missed
    body = _document(batch, asked.form)
    extra: Headers = [(b"last-event-id", b"%d" % batch.through), *_NOT_STORED]
    if batch.missed:
        extra.append((b"missed-events", b"%d" % batch.missed))
    await respond(send, 200, _media_type(asked.form), body, extra=extra)


def poll_headers(form: Form) -> Headers:
    """The headers of `poll`'s answer that do not depend on the events in it."""
    return [(b"content-type", _media_type(form).encode()), *_NOT_STORED]


async def _next(following: AnyFollower, asked: Question) -> Batch:
    try:
        return await following.next(asked.most, asked.wait)
    except LogClosed:
        raise Stopping from None


class Stopping(BirdbathError):
    """The server is stopping; the same question can be asked of the next one."""

    def __init__(self) -> None:
        super().__init__("The server is stopping")


def _media_type(form: Form) -> str:
    batch = form.name == "cloudevents"
    return "application/cloudevents-batch+json; charset=utf-8" if batch else form.media_type


def _document(batch: Batch, form: Form) -> list[bytes]:
    rendered = [entry.rendered(form) for entry in batch.entries]
    return [b"[", b",\n".join(rendered), b"]\n"] if form.name == "cloudevents" else rendered


async def while_connected(receive: Receive, work: Awaitable[T]) -> T | None:
    """The result of `work`; it is cancelled, and None returned, when the client goes away before."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
