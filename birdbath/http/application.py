"""The ASGI application: SOAP by POST on any path, the WSDL files and a page by GET."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from birdbath.access import Caller, Level, Unit, operation_info
from birdbath.http import addresses, pages
from birdbath.http.asgi import (
    Disconnected,
    Headers,
    Receive,
    Scope,
    Send,
    Stopping,
    TooLarge,
    TooSlow,
    header,
    read_body,
    respond,
    with_headers,
)
from birdbath.http.authentication import Authentication
from birdbath.http.browsers import ANY, Browsers, Refused, check_soap_type
from birdbath.http.event_routes import EventRoutes
from birdbath.soap import USUAL, Backend, Bounds, Call, Reply, ServiceName, SoapServer, refusal

_CLOSE: Headers = [(b"connection", b"close")]
_FRESH: Headers = [(b"cache-control", b"no-cache"), (b"vary", b"Host")]
_ALLOW: Headers = [(b"allow", b"GET, HEAD, POST")]
_TEXT = "text/plain; charset=utf-8"
_BODY_STATUS = {TooLarge: 413, TooSlow: 408, Stopping: 503}


@dataclass(frozen=True)
class HttpSettings:
    """What the HTTP side has to know.

    public_url: the URL of the server's root that the WSDL names; None: the request's own host.
    trusted_proxies: addresses or CIDR networks whose X-Forwarded-Proto, -Host, -Prefix and -For are believed.
    max_request_bytes: the longest request body; a longer one is answered 413.
    bounds: what the XML document in it may hold; more is a fault.
    body_seconds: how long the client may send nothing while its body is incomplete; then it is answered 408.
    allowed_hosts, allowed_origins: see `Browsers`.
    """

    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    max_request_bytes: int = 64 * 1024 * 1024
    bounds: Bounds = USUAL
    body_seconds: float = 60.0
    allowed_hosts: tuple[str, ...] = (ANY,)
    allowed_origins: tuple[str, ...] = ()


def create_application(
    backend: Backend,
    settings: HttpSettings | None = None,
    default_service: Literal["schedd", "collector"] = "schedd",
    authentication: Authentication | None = None,
    events: EventRoutes | None = None,
) -> HttpApplication:
    """The application over `backend`; `default_service` is whose WSDL `/?wsdl` gives.

    Both services are answered whatever the path. Without `authentication` nobody is asked who he is, and
    everybody may do everything; without `events` there is nothing to follow. Raises ValueError for settings
    that make no sense.
    """
    return HttpApplication(
        backend, settings or HttpSettings(), default_service, authentication or Authentication(), events
    )


class HttpApplication:
    """See `create_application`."""

    def __init__(
        self,
        backend: Backend,
        settings: HttpSettings,
        default_service: str,
        authentication: Authentication,
        events: EventRoutes | None,
    ) -> None:
        self._events = events
        self._backend = backend
        self._settings = settings
        self._authentication = authentication
        self._browsers = Browsers(settings.allowed_hosts, settings.allowed_origins)
        self._trusted = addresses.networks(settings.trusted_proxies)
        self._default: ServiceName = "condorCollector" if default_service == "collector" else "condorSchedd"
        self._soap = SoapServer(authentication.reads_soap_header, settings.bounds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})
        elif self._events is not None and self._events.handles(scope):
            await self._follow(self._events, scope, receive, send)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await self._get(scope, send)
        else:
            text = f"{scope['method']} is not supported here: SOAP comes by POST, the WSDL by GET.\n"
            await respond(send, 405, _TEXT, [text.encode()], extra=_ALLOW)

    async def _follow(self, events: EventRoutes, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._browsers.check_host(scope)
            if scope["method"] != "GET":
                self._browsers.check_origin(scope)
            caller = await self._caller(scope)
            self._authentication.demand(caller, events.level(scope))
            await events(scope, receive, with_headers(send, self._browsers.sharing(scope)), caller)
        except Refused as error:  # the body stays unread
            await respond(send, error.status, _TEXT, [f"{error}\n".encode()], extra=error.headers + _CLOSE)
        except (TooLarge, TooSlow, Stopping) as error:
            await respond(send, _BODY_STATUS[type(error)], _TEXT, [b"The body was not read\n"], extra=_CLOSE)
        except Disconnected:
            return

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._settings
        extra: Headers | None = None
        try:
            self._browsers.check_host(scope)
            by_page = self._browsers.check_origin(scope)
            caller = await self._caller(scope)
            body = await read_body(
                scope, receive, settings.max_request_bytes, settings.body_seconds, settings.bounds.longest
            )
        except Disconnected:
            return
        except Refused as error:  # the body stays unread
            reply, extra = refusal(str(error), error.status), error.headers + _CLOSE
        except Stopping:
            reply, extra = refusal("The server is stopping; nothing was done", 503), _CLOSE
        except TooLarge as error:
            reply = refusal(f"The request is longer than {error.limit} bytes", 413)
            extra = _CLOSE
        except TooSlow:
            reply = refusal(
                f"The request did not arrive: nothing came for {settings.body_seconds:g} seconds", 408
            )
            extra = _CLOSE
        else:
            reply, extra = await self._answer(scope, caller, by_page, body)
        await respond(send, reply.status, reply.content_type, reply.chunks, extra=extra)

    async def _answer(
        self, scope: Scope, caller: Caller, by_page: bool, body: bytes
    ) -> tuple[Reply, Headers | None]:
        content_type = header(scope, b"content-type").decode("latin-1")
        refused: list[Refused] = []

        async def run(call: Call) -> Reply:
            try:
                admitted = await self._admit(scope, caller, by_page, call)
            except Refused as error:
                refused.append(error)
                raise
            return await self._backend.run(call.operation, admitted, call.execute)

        reply = await self._soap.answer(body, content_type, run)
        if refused:
            return replace(reply, status=refused[0].status), refused[0].headers
        return reply, None

    async def _caller(self, scope: Scope) -> Caller:
        address = addresses.caller_address(scope, self._trusted)
        return await self._authentication.caller(scope, address, self._is_secure(scope))

    def _is_secure(self, scope: Scope) -> bool:
        return addresses.is_secure(scope, self._trusted)

    async def _admit(self, scope: Scope, caller: Caller, by_page: bool, call: Call) -> Caller:
        """Who makes the call. Raises Refused for what HTTP has a status for; other refusals are the
        backend's.
        """
        info = operation_info(call.operation)
        if (token := call.security) is not None:
            caller = await self._authentication.message_caller(caller, token, self._is_secure(scope))
        self._authentication.demand(caller, info.level)
        if info.unit is Unit.WRITE or info.level is Level.WRITE:
            check_soap_type(scope, by_page)
        return caller

    async def _get(self, scope: Scope, send: Send) -> None:
        try:
            self._browsers.check_host(scope)
        except Refused as error:
            await respond(send, error.status, _TEXT, [f"{error}\n".encode()])
            return
        path, query = scope["path"], scope.get("query_string", b"").decode("latin-1")
        head = scope["method"] == "HEAD"
        base = addresses.base_url(scope, self._settings.public_url, self._trusted)
        service = pages.service_of(path, query, self._default)
        if service is not None:
            page = pages.wsdl_page(service, base)
            await respond(send, 200, "text/xml; charset=utf-8", [page], extra=_FRESH, head=head)
        elif path in ("", "/"):
            await respond(
                send, 200, "text/html; charset=utf-8", [pages.index_page(base)], extra=_FRESH, head=head
            )
        else:
            text = b"There is nothing here. See / for what is; SOAP comes by POST, on any path.\n"
            await respond(send, 404, _TEXT, [text], head=head)


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing to start or stop: whoever made the backend also closes it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
