"""Drives the ASGI application in process, message by message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from birdbath.http import HttpApplication, HttpSettings
from birdbath.http.asgi import Message, Scope
from tests.soap.wire import Daemons


@dataclass
class Response:
    """What an application sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.body.decode()


def application(daemons: Daemons | None = None, **settings: Any) -> HttpApplication:
    return HttpApplication(daemons or Daemons(), HttpSettings(**settings))


def scope(method: str = "POST", path: str = "/", query: str = "", **headers: str) -> Scope:
    """A request's scope; header names are written with underscores."""
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": named,
        "scheme": "http",
        "client": ("192.0.2.7", 4711),
        "server": ("192.0.2.1", 8080),
    }


async def exchange(app: HttpApplication, request: Scope, messages: Iterable[Message]) -> Response:
    """The response to a request that arrives in these messages; waits for ever after the last."""
    incoming = iter(messages)
    response = Response()

    async def receive() -> Message:
        for message in incoming:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nothing sets the event")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert response.status == 0, "a second response"
            response.status = message["status"]
            response.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            response.pieces.append(message["body"])

    await app(request, receive, send)
    return response


def post(app: HttpApplication, body: bytes, path: str = "/", **headers: str) -> Response:
    """The response to a POST whose body comes in one message."""
    request = scope("POST", path, **headers)
    return asyncio.run(exchange(app, request, [{"type": "http.request", "body": body, "more_body": False}]))


def get(app: HttpApplication, path: str, query: str = "", method: str = "GET", **headers: str) -> Response:
    return asyncio.run(exchange(app, scope(method, path, query, **headers), []))
