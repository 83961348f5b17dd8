"""The ASGI application: SOAP by POST on any path, the WSDL files and a page by GET."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, Protocol

from birdbath.access import Caller, Level
from birdbath.errors import BirdbathError
from birdbath.http import addresses, pages, probes
from birdbath.http.asgi import (
    Disconnected,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    Stopping,
    TooLarge,
    TooSlow,
    has_arrived,
    header,
    is_reading,
    paced,
    read_body,
    respond,
    respond_as_it_comes,
    with_headers,
    without_content,
)
from birdbath.http.audit import Audit
from birdbath.http.authentication import Authentication
from birdbath.http.bounds import Traffic
from birdbath.http.browsers import ANY, Browsers, Refused
from birdbath.http.event_stream import while_connected
from birdbath.http.idempotency import HEADER as IDEMPOTENCY_KEY
from birdbath.http.metrics import Metrics
from birdbath.http.probes import Probes
from birdbath.http.soap_calls import OnceBackend, SoapCalls
from birdbath.http.tracing import Tracing
from birdbath.notify import calls
from birdbath.soap import USUAL, Backend, Bounds, Reply, ServiceName, arriving, refusal

_log = logging.getLogger(__name__)

_CLOSE: Headers = [(b"connection", b"close")]
_FRESH: Headers = [(b"cache-control", b"no-cache"), (b"vary", b"Host")]
_ALLOW: Headers = [(b"allow", b"GET, HEAD, POST")]
UNDECLARED_BYTES: Final = 1 << 20
_TEXT = "text/plain; charset=utf-8"
_BODY_STATUS = {TooLarge: 413, TooSlow: 408, Stopping: 503}


class Routes(Protocol):
    """Routes besides SOAP, such as those of the event stream."""

    def handles(self, scope: Scope) -> bool:
        """Whether a request is for these routes."""

    def level(self, scope: Scope) -> Level:
        """The level that it needs, which callers are asked for before they get here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Answer it; of what answers a HEAD the headers are sent alone."""


@dataclass(frozen=True)
class HttpSettings:
    """What the HTTP side has to know.

    public_url: the URL of the server's root that the WSDL names; None: the request's own host.
    trusted_proxies: addresses or CIDR networks whose X-Forwarded-Proto, -Host, -Prefix and -For are believed.
    max_request_bytes: the longest request body; a longer one is answered 413.
    bounds: what the XML document in it may hold; more is a fault.
    body_seconds: how long the client may send nothing while its body is incomplete; then it is answered 408.
    allowed_hosts, allowed_origins: see `Browsers`.
    mount: the path below which all of this is, without a slash at its end; the WSDL names it.
    """

    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    max_request_bytes: int = 64 * 1024 * 1024
    bounds: Bounds = USUAL
    body_seconds: float = 60.0
    allowed_hosts: tuple[str, ...] = (ANY,)
    allowed_origins: tuple[str, ...] = ()
    mount: str = ""


@dataclass(frozen=True)
class Guard:
    """What watches over the calls: bounds, the trail, figures, probes; a part that is None is not there."""

    traffic: Traffic = field(default_factory=Traffic)
    once_backend: OnceBackend | None = None
    audit: Audit | None = None
    metrics: Metrics | None = None
    tracing: Tracing | None = None
    probes: Probes | None = None


class HttpApplication:
    """The application over `backend`; `default_service` is whose WSDL `/?wsdl` gives.

    Both services are answered whatever the path. Without `authentication` nobody is asked who he is, and
    everybody may do everything; `routes` answer what they handle. Raises ValueError for settings
    that make no sense.
    """

    def __init__(
        self,
        backend: Backend,
        settings: HttpSettings | None = None,
        default_service: Literal["schedd", "collector"] = "schedd",
        authentication: Authentication | None = None,
        routes: Sequence[Routes] = (),
        guard: Guard | None = None,
    ) -> None:
        settings, authentication = settings or HttpSettings(), authentication or Authentication()
        guard = guard or Guard()
        self._routes = routes
        events = {"type": "http", "method": "GET", "path": pages.EVENTS_PATH, "headers": []}
        self._followed = any(some.handles(events) for some in routes)
        self._settings = settings
        self._authentication = authentication
        self._browsers = Browsers(settings.allowed_hosts, settings.allowed_origins)
        self._trusted = addresses.networks(settings.trusted_proxies)
        self._default: ServiceName = "condorCollector" if default_service == "collector" else "condorSchedd"
        self._traffic = guard.traffic
        self._probes = guard.probes
        self._calls = SoapCalls(
            backend,
            authentication,
            settings.bounds,
            guard.once_backend,
            guard.audit,
            guard.metrics,
            guard.tracing,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif (routes := next((some for some in self._routes if some.handles(scope)), None)) is not None:
            await self._follow(routes, scope, receive, send)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send)
        elif is_reading(scope):
            await self._get(scope, send)
        else:
            text = f"{scope['method']} is not supported here: SOAP comes by POST, the WSDL by GET.\n"
            await respond(send, 405, _TEXT, [text.encode()], extra=_ALLOW)

    async def _follow(self, routes: Routes, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is no SOAP, under the same guard. What only reads takes no place among the requests: it
        may be answered for as long as its client listens.
        """
        address = addresses.caller_address(scope, self._trusted)
        send = with_headers(send, self._browsers.sharing(scope))
        if scope["method"] == "HEAD":
            send = without_content(send)
        try:
            if is_reading(scope):
                self._traffic.pace(address)
                await routes(scope, receive, send, await self._let_in(routes, scope))
                return
            self._traffic.enter(address)
            try:
                await self._change(routes, scope, receive, send)
            finally:
                self._traffic.leave(address)
        except Refused as error:  # the body stays unread
            extra = error.headers + self._calls.refused_route(address, error.status) + _CLOSE
            await respond(send, error.status, _TEXT, [f"{error}\n".encode()], extra=extra)
        except (TooLarge, TooSlow, Stopping) as error:
            status = _BODY_STATUS[type(error)]
            extra = self._calls.refused_route(address, status) + _CLOSE
            await respond(send, status, _TEXT, [b"The body was not read\n"], extra=extra)
        except Disconnected:
            return

    async def _let_in(self, routes: Routes, scope: Scope) -> Caller:
        self._browsers.check_host(scope)
        self._browsers.check_origin(scope)
        caller = await self._caller(scope)
        level = routes.level(scope)
        self._authentication.demand(caller, level)
        if level not in caller.levels:
            raise Refused("Permission denied", 403)
        return caller

    async def _change(self, routes: Routes, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await self._let_in(routes, scope)
        if header(scope, IDEMPOTENCY_KEY):
            raise Refused("An Idempotency-Key is for SOAP calls", 400)
        started, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await routes(scope, paced(receive, self._settings.body_seconds), noted, caller)
        finally:
            if status:  # else it was refused, which has a line of its own
                self._calls.note_route(scope, caller, status, time.perf_counter() - started)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        address = addresses.caller_address(scope, self._trusted)
        try:
            self._traffic.enter(address)
        except Refused as error:
            # A new connection for the next attempt would cost more than all else of a refusal.
            await self._refuse(send, address, error, close=not await has_arrived(scope, receive))
            return
        try:
            await self._post_admitted(scope, receive, send, address)
        finally:
            self._traffic.leave(address)

    async def _post_admitted(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        settings = self._settings
        try:
            self._browsers.check_host(scope)
            by_page = self._browsers.check_origin(scope)
            caller = await self._caller(scope)
            with self._traffic.body(address, _declared(scope)):
                body = await read_body(
                    scope,
                    paced(receive, settings.body_seconds),
                    settings.max_request_bytes,
                    settings.body_seconds,
                    settings.bounds.longest,
                )
                calls.while_connected.set(partial(while_connected, receive))
                reply, extra = await self._calls.answer(scope, caller, by_page, self._is_secure(scope), body)
                await self._respond(scope, receive, send, reply, extra)
        except Disconnected:
            return
        except (Refused, TooLarge, TooSlow, Stopping) as error:  # the body stays unread
            await self._refuse(send, address, error)

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, reply: Reply, extra: Headers
    ) -> None:
        if not reply.comes_later:
            await respond(send, reply.status, reply.content_type, reply.chunks, extra=extra)
            return
        if scope["http_version"] == "1.0":  # which has no pieces
            reply = await reply.whole()
            await respond(send, reply.status, reply.content_type, reply.chunks, extra=extra)
            return
        try:
            pieces = arriving(reply.chunks)
            await respond_as_it_comes(send, receive, reply.status, reply.content_type, pieces, extra)
        except BirdbathError as error:
            _log.error("A reply was broken off: %s", error)

    async def _refuse(self, send: Send, address: str, error: Exception, close: bool = True) -> None:
        headers: Headers = []
        if isinstance(error, Refused):
            reply, headers = refusal(str(error), error.status), error.headers
        elif isinstance(error, TooLarge):
            reply = refusal(f"The request is longer than {error.limit} bytes", 413)
        elif isinstance(error, TooSlow):
            reply = refusal(
                f"The request did not arrive: nothing came for {self._settings.body_seconds:g} seconds", 408
            )
        else:
            reply = refusal("The server is stopping; nothing was done", 503)
        reply, reference = self._calls.refused(address, reply)
        extra = headers + reference + (_CLOSE if close else [])
        await respond(send, reply.status, reply.content_type, reply.chunks, extra=extra)

    async def _caller(self, scope: Scope) -> Caller:
        address = addresses.caller_address(scope, self._trusted)
        return await self._authentication.caller(scope, address, self._is_secure(scope))

    def _is_secure(self, scope: Scope) -> bool:
        return addresses.is_secure(scope, self._trusted)

    async def _probe(self, answer: Probes, scope: Scope, send: Send) -> None:
        path = scope["path"]
        try:
            caller = await self._caller(scope)
            self._authentication.demand(caller, answer.level(path))
        except Refused as error:
            await respond(send, error.status, _TEXT, [f"{error}\n".encode()], extra=error.headers + _CLOSE)
            return
        await answer(path, caller, send, scope["method"] == "HEAD")

    async def _get(self, scope: Scope, send: Send) -> None:
        address = addresses.caller_address(scope, self._trusted)
        try:
            self._browsers.check_host(scope)
            if scope["path"] not in probes.HEALTH:  # whoever watches over the server has to hear
                self._traffic.pace(address)
        except Refused as error:
            extra = error.headers + self._calls.refused_route(address, error.status)
            await respond(send, error.status, _TEXT, [f"{error}\n".encode()], extra=extra)
            return
        path, query = scope["path"], scope.get("query_string", b"").decode("latin-1")
        if self._probes is not None and path in probes.PATHS:
            await self._probe(self._probes, scope, send)
            return
        head = scope["method"] == "HEAD"
        base = addresses.base_url(scope, self._settings.public_url, self._trusted) + self._settings.mount
        service = pages.service_of(path, query, self._default)
        if service is not None:
            page = pages.wsdl_page(service, base)
            await respond(send, 200, "text/xml; charset=utf-8", [page], extra=_FRESH, head=head)
        elif path in ("", "/"):
            near = "" if path else scope.get("root_path", "").rpartition("/")[2] + "/"
            page = pages.index_page(base, near, self._followed)
            await respond(send, 200, "text/html; charset=utf-8", [page], extra=_FRESH, head=head)
        else:
            text = b"There is nothing here. See / for what is; SOAP comes by POST, on any path.\n"
            await respond(send, 404, _TEXT, [text], head=head)


def _declared(scope: Scope) -> int:
    """Bytes that the body says it has; a guess where it does not."""
    length = header(scope, b"content-length")
    return int(length) if length.isdigit() else UNDECLARED_BYTES


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to start or stop: whoever made the backend also closes it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
