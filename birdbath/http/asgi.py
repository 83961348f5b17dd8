"""The few ASGI shapes that the application uses, and how bodies are read and sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from io import BytesIO
from math import inf
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON: Final = "application/json"

BLOCK_BYTES: Final = 256 * 1024
"""A reply goes out in pieces of about this size, so that no second copy of a long one is ever made."""


LOOK_BYTES: Final = 4096
"""A body that is longer than this is looked at when so much of it has come."""

SLOWEST: Final = 16 * 1024
"""Bytes a second that a client has to send at least."""


class Disconnected(Exception):
    """The client is gone; nobody waits for a reply."""


class TooLarge(Exception):
    """The body is longer than allowed; `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class Stopping(Exception):
    """The server stops before the body has arrived."""


class TooSlow(Exception):
    """Nothing of the body arrived for too long."""


def header(scope: Scope, name: bytes) -> bytes:
    """The first value of a request header, by lower-case name; empty where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


async def read_body(
    scope: Scope,
    receive: Receive,
    limit: int,
    seconds: float,
    longest: Callable[[bytes], float] = lambda _: inf,
) -> bytes:
    """The whole request body of at most `limit` bytes, and of what its beginning allows (`longest`), each
    piece within `seconds`.

    Raises TooLarge, TooSlow, Stopping or Disconnected. A client whose body is too large is let finish for a
    while, because most read no reply before; what it sends is not kept.
    """
    declared = header(scope, b"content-length")
    too_large = declared.isdigit() and int(declared) > limit
    if too_large and header(scope, b"expect").lower() == b"100-continue":
        raise TooLarge(limit)
    body = BytesIO()  # gives its bytes back without a second copy of them
    size, looked, more, patience = 0, False, True, 2 * limit
    while more and size <= patience:
        piece, more = await _receive_piece(receive, seconds)
        size += len(piece)
        if not more and size == len(piece) <= limit:
            return piece
        if not too_large:
            body.write(piece)
        if not looked and size >= LOOK_BYTES:
            limit, looked = int(min(limit, longest(body.getvalue()))), True
        if size > limit:
            too_large, body = True, BytesIO()
    if too_large:
        raise TooLarge(limit)
    return body.getvalue()


async def has_arrived(scope: Scope, receive: Receive) -> bool:
    """Whether the whole body is here in one piece, which is dropped; nothing is waited for.

    Of a client that waits for `100 Continue` it is not.
    """
    if header(scope, b"expect"):
        return False
    try:
        async with asyncio.timeout(0):
            message = await receive()
    except TimeoutError:
        return False
    return message["type"] == "http.request" and not message.get("more_body", False)


def paced(receive: Receive, seconds: float) -> Receive:
    """`receive`, which raises TooSlow when a body takes more than `seconds`, and one for each 16 KiB of it.

    It is looked at when something comes; for a client that sends nothing at all there is `read_body`.
    """
    clock = asyncio.get_running_loop().time
    started, size = clock(), 0

    async def receive_in_time() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if clock() - started > seconds + size / SLOWEST:
            raise TooSlow
        return message

    return receive_in_time


async def _receive_piece(receive: Receive, seconds: float) -> tuple[bytes, bool]:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise TooSlow from None
    except asyncio.CancelledError:
        raise Stopping from None
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def blocks(chunks: Iterable[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes | memoryview]:
    """The same bytes in blocks of `size` to twice that, the last one shorter; made one at a time."""
    pending: list[bytes] = []
    length = 0
    for chunk in chunks:
        if len(chunk) > size:
            if pending:
                yield b"".join(pending)
                pending, length = [], 0
            whole = memoryview(chunk)
            yield from (whole[start : start + size] for start in range(0, len(chunk), size))
            continue
        pending.append(chunk)
        length += len(chunk)
        if length >= size:
            yield b"".join(pending)
            pending, length = [], 0
    if pending:
        yield b"".join(pending)


def with_headers(send: Send, headers: Headers) -> Send:
    """`send`, with more headers in every response."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return sending if headers else send


def without_content(send: Send) -> Send:
    """`send` for a HEAD, whose response has the headers alone."""

    async def sending(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sending


def is_reading(scope: Scope) -> bool:
    """Whether a request asks for something, and changes nothing."""
    return scope["method"] in ("GET", "HEAD")


async def respond(
    send: Send,
    status: int,
    content_type: str,
    chunks: list[bytes],
    *,
    extra: Headers | None = None,
    head: bool = False,
) -> None:
    """Send a response with its Content-Length; without the body when `head`."""
    length = sum(map(len, chunks))
    headers = [(b"content-type", content_type.encode("latin-1")), (b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": status, "headers": headers + (extra or [])})
    if not head and length > BLOCK_BYTES:
        for block in blocks(chunks):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        chunks = []
    await send({"type": "http.response.body", "body": b"" if head else b"".join(chunks)})


async def respond_as_it_comes(
    send: Send,
    receive: Receive,
    status: int,
    content_type: str,
    pieces: AsyncIterator[bytes],
    extra: Headers | None = None,
) -> None:
    """Send a response of unknown length, each piece when it is there, as long as the client is.

    When a piece cannot be had, what raised says so, and the response stays unfinished, as its client sees.
    """
    headers = [(b"content-type", content_type.encode("latin-1")), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    leaving = asyncio.ensure_future(receive())  # the request is here whole: this can only be its leaving
    try:
        async for piece in pieces:
            for block in blocks([piece]):
                await send({"type": "http.response.body", "body": block, "more_body": True})
            if leaving.done():
                return
    finally:
        leaving.cancel()
    await send({"type": "http.response.body", "body": b""})
