"""One SOAP call from its body to its reply: who makes it, whether it is let in, done once, written down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from birdbath.access import Caller, Unit, check, operation_info
from birdbath.http.asgi import Headers, Scope, header
from birdbath.http.audit import Audit, Refusals
from birdbath.http.authentication import Authentication
from birdbath.http.browsers import Refused, check_soap_type
from birdbath.http.idempotency import Keys, Once, Units, key_of
from birdbath.http.metrics import Metrics
from birdbath.http.tracing import Tracing
from birdbath.soap import Backend, Bounds, Call, Operations, Reply, SoapServer, new_reference

REFERENCE = b"birdbath-reference"


class OnceBackend(Units, Protocol):
    """A backend that keeps replies in the unit of work of the change."""

    async def run_once(
        self, operation: str, caller: Caller, work: Callable[[Operations], Reply], once: Once
    ) -> Reply:
        """`Backend.run` for an operation that writes, unless `once` has the reply: it is kept in the unit of
        the change.
        """


@dataclass
class _Request:
    """What is known of a request so far."""

    scope: Scope
    caller: Caller
    by_page: bool
    secure: bool
    body: bytes
    reference: str
    call: Call | None = None
    refused: Refused | None = None
    once: Once | None = None
    started: float = field(default_factory=time.perf_counter)


class SoapCalls:
    """Answers SOAP requests whose body has arrived."""

    def __init__(
        self,
        backend: Backend,
        authentication: Authentication,
        bounds: Bounds,
        once_backend: OnceBackend | None,
        audit: Audit | None,
        metrics: Metrics | None,
        tracing: Tracing | None,
    ) -> None:
        self._backend = backend
        self._authentication = authentication
        self._once_backend = once_backend
        self._audit = audit or Audit()
        self._metrics = metrics
        self._tracing = tracing
        self._refusals = Refusals(self._audit)
        self._keys = Keys()
        self._soap = SoapServer(authentication.reads_soap_header, bounds)

    async def answer(
        self, scope: Scope, caller: Caller, by_page: bool, secure: bool, body: bytes
    ) -> tuple[Reply, Headers]:
        """The reply to a request, and headers that go with it; whatever happens, it is well-formed."""
        request = _Request(scope, caller, by_page, secure, body, new_reference())
        content_type = header(scope, b"content-type").decode("latin-1")
        reply = await self._soap.answer(
            body, content_type, lambda call: self._run(request, call), request.reference
        )
        headers: Headers = []
        if request.refused is not None:
            reply = replace(reply, status=request.refused.status)
            headers = request.refused.headers
        if request.once is not None and request.once.replayed:
            headers = [(b"idempotent-replayed", b"true")]
        if reply.status != 200:
            reply, headers = _with_reference(reply, request.reference, headers)
        self._note(request, reply)
        return reply, headers

    def refused(self, address: str, reply: Reply) -> tuple[Reply, Headers]:
        """The reply to a request that was not read, with its reference, which the trail has."""
        return _with_reference(reply, self._reference(address, reply.status), [])

    def refused_route(self, address: str, status: int) -> Headers:
        """The headers of a refusal of a request that is no SOAP: its reference, which the trail has."""
        return [(REFERENCE, self._reference(address, status).encode())]

    def _reference(self, address: str, status: int) -> str:
        if self._metrics is not None:
            self._metrics.request("", str(status), 0.0)
        return self._refusals.reference(address, status)

    def note_route(self, scope: Scope, caller: Caller, status: int, seconds: float) -> None:
        """Count, and write into the trail, a request that is no SOAP and was to change something."""
        route = f"{scope['method']} {scope['path']}"
        if self._metrics is not None:
            self._metrics.request("/".join(route.split("/", 2)[:2]), str(status), seconds)
        self._audit.route(route, caller, str(status), seconds)

    async def _run(self, request: _Request, call: Call) -> Reply:
        request.call = call
        try:
            request.caller = await self._admitted(request, call)
            if self._tracing is None:
                return await self._execute(request, call)
            with self._tracing.span(call.operation, request.scope, request.caller):
                return await self._execute(request, call)
        except Refused as error:
            request.refused = error
            raise

    async def _admitted(self, request: _Request, call: Call) -> Caller:
        """Who makes the call. Raises Refused for what HTTP has a status for; other refusals are the
        backend's.
        """
        info, caller = operation_info(call.operation), request.caller
        if (token := call.security) is not None:
            caller = await self._authentication.message_caller(caller, token, request.secure)
        self._authentication.demand(caller, info.level)
        if info.changes_something:
            check_soap_type(request.scope, request.by_page)
        return caller

    async def _execute(self, request: _Request, call: Call) -> Reply:
        key = key_of(request.scope)
        if key is None or self._once_backend is None or self._keeps_nothing(request.caller, call):
            return await self._backend.run(call.operation, request.caller, call.execute)
        backend = self._once_backend
        request.once = once = Once(request.caller.account, key, request.body)
        return await self._keys.run(once, lambda: self._execute_once(backend, once, request, call))

    def _keeps_nothing(self, caller: Caller, call: Call) -> bool:
        """Whether the call only reads and nobody in particular makes it where callers say who they are."""
        nobody = caller.account is None and self._authentication.asks
        return nobody and operation_info(call.operation).unit is not Unit.WRITE

    async def _execute_once(self, backend: OnceBackend, once: Once, request: _Request, call: Call) -> Reply:
        info = operation_info(call.operation)
        check(info, request.caller)  # a reply is replayed to those only who might still ask
        if info.unit is Unit.WRITE:
            return await backend.run_once(call.operation, request.caller, call.execute, once)
        found = await backend.write(once.find)
        if found is not None:
            return found
        reply = await (await self._backend.run(call.operation, request.caller, call.execute)).whole()
        if self._keys.may_keep(once, reply.length):
            await backend.write(lambda unit: once.keep(unit, reply))
        return reply

    def _note(self, request: _Request, reply: Reply) -> None:
        seconds = time.perf_counter() - request.started
        call, outcome = request.call, str(reply.status)
        operation = "" if call is None else call.operation
        if request.once is not None and request.once.replayed:
            outcome = "REPLAYED"
        elif request.refused is None and call is not None:
            outcome = call.outcome
        elif request.refused is None:
            outcome = "fault"
        if self._metrics is not None:
            self._metrics.request(operation, outcome, seconds)
        if call is None:
            return
        if operation_info(operation).changes_something:
            self._audit.call(operation, request.caller, call.ids, outcome, seconds, request.reference)


def _with_reference(reply: Reply, reference: str, headers: Headers) -> tuple[Reply, Headers]:
    """A fault tells its reference number, in its text and in a header."""
    mark = reference.encode()
    body = b"".join(reply.chunks)
    if mark not in body:
        for end in (b"</faultstring>", b"</SOAP-ENV:Text>"):
            body = body.replace(end, b" (reference %s)%s" % (mark, end), 1)
    return replace(reply, chunks=[body]), [*headers, (REFERENCE, mark)]
