"""One connection: Uvicorn's protocol, with bounds that it has not, and what it does not tell of TLS."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from birdbath.credentials.mapfile import one_line
from birdbath.http.asgi import Receive, Scope, Send, respond
from birdbath.http.heads import HeadWithBody
from birdbath.http.overload import Overload

MAX_URL: Final = 8 * 1024
_TEXTS: Final = {414: b"The URL is too long\n", 431: b"The request has too many or too long headers\n"}
_PHRASES: Final = {414: b"URI Too Long", 431: b"Request Header Fields Too Large"}


@dataclass(frozen=True)
class ConnectionLimits:
    """Bounds of one connection, and of how many there are.

    header_count, header_bytes: of one request. header_seconds: from its first byte to the end of its
    headers, from a connection's begin to its first byte, for a TLS handshake before that, and for the rest of
    a request that was refused unread. stall_seconds: how long a client may read
    nothing while an answer waits for it. connections, per_client: at a time; more are closed without a word.
    """

    header_count: int = 100
    header_bytes: int = 64 * 1024
    header_seconds: float = 20.0
    stall_seconds: float = 60.0
    connections: int = 4096
    per_client: int = 2048


@dataclass
class Connections:
    """The connections of one server; `overload` refuses requests for it, None: nobody."""

    limits: ConnectionLimits = ConnectionLimits()
    by_client: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    overload: Overload | None = None

    def protocol(self) -> type[Connection]:
        """The protocol class for Uvicorn."""
        return type("Connection", (Connection,), {"family": self})

    @property
    def count(self) -> int:
        return self.by_client.total()

    def enter(self, client: str) -> bool:
        """Count one more of `client`, unless that is too many: whether it may stay, and `leave` later."""
        if self.count >= self.limits.connections or self.by_client[client] >= self.limits.per_client:
            self.refused += 1
            return False
        self.by_client[client] += 1
        return True

    def leave(self, client: str) -> None:
        """Count one less."""
        self.by_client[client] -= 1
        if self.by_client[client] <= 0:
            del self.by_client[client]


class Connection(HttpToolsProtocol):
    """Requests of a TLS connection have the subject of its client certificate in their scope.

    `entered_as`: the client that it was counted for already, before its handshake; None: not counted yet.
    """

    family: Connections
    entered_as: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions = _tls_extension(transport)
        self._watch: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._refusal = 0
        self._answering: RequestResponseCycle | None = None
        self._last = False
        self._away = self._told = False
        self._address = self.client[0] if self.client else ""
        if self.entered_as is None and self.family.enter(self._address):
            self.entered_as = self._address
        if self.entered_as is None:
            transport.abort()
        else:
            self._start_watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        self._end_stall()
        self._forget_requests()
        if self.entered_as is not None:
            self.family.leave(self.entered_as)
        super().connection_lost(exc)

    # Requests that begin and never end

    def _start_watch(self) -> None:
        self._watch = self.loop.call_later(self.family.limits.header_seconds, self._cut)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _cut(self) -> None:
        """End the connection now; whoever still answers on it finds nobody there."""
        self._forget_requests()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.transport = HeadWithBody(self.transport, cycle, self.loop)  # type: ignore[assignment]
        self._answering = cycle  # with pipelining not the one that was read last, which Uvicorn knows
        super()._start_asgi_task(cycle, partial(self._answer, cycle, app))
        # Not before: what waits behind another on its connection occupies nothing yet.
        if self.family.overload is not None:
            self.family.overload.let_in(self.loop)

    async def _answer(
        self, cycle: RequestResponseCycle, app: ASGI3Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request. What a stopping server cancels ends here, for whoever waits for it: Uvicorn has
        said that it does so, and takes the cancellation for a failure of the application.
        """
        try:
            await app(scope, receive, send)  # type: ignore[arg-type]
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                raise  # it was something else that was cancelled
            if cycle.response_started:
                self._cut()
            else:
                await respond(send, 503, "text/plain; charset=utf-8", [b"The server is stopping\n"])

    def _forget_requests(self) -> None:
        if self._answering is not None:
            self._answering.disconnected = True
        self.pipeline.clear()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._room = self.family.limits.header_bytes
        if self._watch is None:
            self._start_watch()
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._room -= len(name) + len(value)
        if self._room < 0 or len(self.headers) >= self.family.limits.header_count:
            self._refuse(431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_watch()
        self._unset_keepalive_if_required()
        if self._told or self._is_too_much():
            self._away = True
            return
        super().on_headers_complete()
        if self._last:
            self.cycle.keep_alive = False

    # Requests that are more than the server can take

    def _is_too_much(self) -> bool:
        """Whether the request whose headers are here is refused unread.

        The calls are: POST, but for JSON, which the routes besides SOAP take. Requests behind others on the
        connection wait for those first.
        """
        overload = self.family.overload
        if overload is None or not overload.is_full or self.parser.get_method() != b"POST":
            return False
        before: RequestResponseCycle | None = self.cycle
        if self.parser.should_upgrade() or (before is not None and not before.response_complete):
            return False
        return not any(name == b"content-type" and b"json" in value for name, value in self.headers)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._away and not self._told and not self.transport.is_closing():
            # Its body is still to come, and the connection ends then: ended now, it would be reset by what
            # comes, and a client that reads only after it has sent all would not get its answer.
            self._turn_away(keep=False)
            self._start_watch()

    def on_body(self, body: bytes) -> None:
        if not self._away:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._away:
            super().on_message_complete()
        elif self._told:
            self.transport.close()
        else:
            self._away = False
            lasts = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
            self._turn_away(keep=lasts and not self._last)

    def _turn_away(self, keep: bool) -> None:
        assert self.family.overload is not None
        self._told = not keep
        self.transport.write(self.family.overload.answer(self._address, keep))
        if keep:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif not self._away:
            self.transport.close()

    def shutdown(self) -> None:
        """See Uvicorn. A request that is awaited or half received is answered still: who has just connected
        cannot know that the server is about to stop.
        """
        if self._watch is None:
            super().shutdown()
        else:
            self._last = True

    def show_again(self) -> None:
        """Other authorities are trusted: who has shown a client certificate shows it on a new connection, if
        at all. What is being answered has as long for its end as headers have; a stream has none by itself.
        """
        if self._extensions is not None and self._extensions["tls"]["client_subject"] is not None:
            self.shutdown()
            self.loop.call_later(self.family.limits.header_seconds, self._cut)

    def _refuse(self, status: int) -> None:
        """End the connection: what is raised in a callback of the parser is an error of the request."""
        self._refusal = status
        raise ValueError(status)

    def send_400_response(self, msg: str) -> None:
        status = self._refusal
        if not status:
            super().send_400_response(msg)
            return
        text = _TEXTS[status]
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, _PHRASES[status], len(text), text)
        )
        self.transport.close()

    # Answers that nobody takes

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self.loop.call_later(self.family.limits.stall_seconds, self._cut)

    def resume_writing(self) -> None:
        self._end_stall()
        super().resume_writing()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _tls_extension(transport: asyncio.Transport) -> dict[str, Any] | None:
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    certificate = tls.getpeercert()  # empty unless it was verified
    subject = one_line(certificate["subject"]) if certificate else None
    return {"tls": {"client_subject": subject}}
