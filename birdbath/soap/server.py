"""The SOAP server without a transport: bytes in, one call of the daemons' logic, a reply out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import Application, ComplexModel, MethodContext
from spyne.server import ServerBase

from birdbath.access import operation_info
from birdbath.errors import BirdbathError, RequestFault, StatusCode, Unavailable
from birdbath.soap import (
    event_service,
    event_types,
    federation_service,
    federation_types,
    query_service,
    query_types,
    replies,
    services,
    types,
    writing,
)
from birdbath.soap.bounds import USUAL, Bounds
from birdbath.soap.cutting import CutOut, cut
from birdbath.soap.envelope import LARGE_BYTES
from birdbath.soap.faults import ClientFault, ServerFault, SoapFault, new_reference
from birdbath.soap.operations import Operations
from birdbath.soap.protocol import CondorSoap, is_soap_12
from birdbath.soap.replies import Outcome
from birdbath.soap.security import UsernameToken, cut_token, username_token
from birdbath.store.trouble import StorageTrouble, trouble_of

assert spyne_compat.SIX_MOVES

logger = logging.getLogger(__name__)

THREAD_BYTES: Final = LARGE_BYTES
"""Requests above this size are read in a thread: it takes milliseconds, and others are waiting."""

CONTENT_TYPE: Final = "text/xml; charset=utf-8"
CONTENT_TYPE_12: Final = "application/soap+xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: an HTTP status, a content type, and the body in pieces that are not joined.

    One that is `Later` stands for pieces which are not there yet.
    """

    status: int
    content_type: str
    chunks: list[bytes]

    @property
    def length(self) -> int:
        """Bytes of the whole body; of one that is not there yet, none can be told."""
        return sum(map(len, self.chunks))

    @property
    def comes_later(self) -> bool:
        """Whether pieces of the body are not there yet."""
        return any(isinstance(chunk, writing.Later) for chunk in self.chunks)

    async def whole(self) -> Reply:
        """The same, once all of its pieces are there. Raises what kept one from coming."""
        return replace(self, chunks=[piece async for piece in arriving(self.chunks)])


async def arriving(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a body, each as soon as it is there."""
    for chunk in chunks:
        if isinstance(chunk, writing.Later):
            for future in chunk.ads:
                yield await asyncio.wrap_future(future)
        else:
            yield chunk


Run = Callable[["Call"], Awaitable[Reply]]
"""Runs a call that is understood: its `execute` in a unit of work, by `Backend.run`."""


def _fault(error: RequestFault) -> SoapFault:
    return ServerFault(str(error)) if isinstance(error, Unavailable) else ClientFault(str(error))


class CallContext(MethodContext):
    """Spyne's context of a call without its events, which nobody listens to, and without a look at every name
    that is set: together a third of what Spyne takes for a call. Nothing in it refers to it, so that a call
    goes with all the bytes of its request and reply as soon as it is answered, not when the collector comes.
    """

    __setattr__ = object.__setattr__
    TransportContext = None

    def __init__(self, server: SoapServer) -> None:
        super().__init__(server, MethodContext.SERVER)
        self.event = None
        self.token: UsernameToken | None = None  # the one of the Security header, where that was cut out

    def fire_event(self, event: str, *args: object, **kwargs: object) -> None:
        pass


class CondorApplication(Application):
    """Spyne's application, but unexpected exceptions propagate.

    Spyne answers them itself, with the exception's text; a unit of work would then never learn that it has to
    roll back.
    """

    def process_request(self, ctx: MethodContext) -> None:
        try:
            ctx.out_object = [self.call_wrapper(ctx)]
        except RequestFault as error:
            ctx.out_error = _fault(error)


class SoapServer(ServerBase):
    """All services on one door: an operation's name alone says whose it is (reference section 1.1)."""

    transport = "http://schemas.xmlsoap.org/soap/http"

    def __init__(self, understands_security: bool = False, bounds: Bounds = USUAL) -> None:
        """With `understands_security`, `Call.security` tells what the WS-Security header says."""
        self._understands_security = understands_security
        super().__init__(
            CondorApplication(
                [services.Versions, services.Schedd, services.Collector],
                tns=types.NAMESPACE,
                name="condor",
                in_protocol=CondorSoap(understands_security, bounds),
                out_protocol=CondorSoap(),
            )
        )
        for name, namespace, classes, protocol in (
            ("events", event_types.NAMESPACE, [event_service.Events], event_service.EventsSoap),
            ("queries", query_types.NAMESPACE, [query_service.Queries], query_service.QueriesSoap),
            (
                "federation",
                federation_types.NAMESPACE,
                [federation_service.Federation],
                federation_service.FederationSoap,
            ),
        ):
            extended = CondorApplication(
                classes, tns=namespace, name=name, in_protocol=protocol(), out_protocol=protocol()
            )
            self.app.in_protocol.adopt(extended.in_protocol)
            self.app.out_protocol.adopt(extended.out_protocol)

    async def answer(self, body: bytes, content_type: str, run: Run, reference: str = "") -> Reply:
        """Answer one request; whatever happens, the reply is well-formed.

        `run` is only called for a request that is understood. An exception that nobody expected is answered
        with a fault that has a reference number, under which the log holds the traceback; requests are never
        logged.
        """
        call: Call | None = None
        try:
            body, token = cut_token(body) if self._understands_security else (body, None)
            document, cut_out = cut(body)
            if len(document) > THREAD_BYTES:
                call = await asyncio.to_thread(self._receive_apart, document, cut_out, token, content_type)
            else:
                call = self._received(document, cut_out, token, content_type)
            return call.reply() if call.is_refused else await run(call)
        except SoapFault as error:
            assert call is not None  # raised by whoever admits the call
            return call.fault(error)
        except BirdbathError as error:
            assert call is not None  # nothing of the contract is raised before there is a call
            return call.refuse(error)
        except Exception as error:
            if call is not None and (trouble := trouble_of(error)) is not None:
                return troubled(call, trouble, reference)
            return fail(call, reference)

    def receive(self, body: bytes, content_type: str = "") -> Call:
        """Understand a request; a call that is not understood `is_refused`."""
        body, token = cut_token(body) if self._understands_security else (body, None)
        return self._received(*cut(body), token, content_type)

    def _received(
        self, document: bytes, cut_out: CutOut, token: UsernameToken | None, content_type: str
    ) -> Call:
        ctx = CallContext(self)
        ctx.in_string = [document, cut_out]
        ctx.token = token
        (ctx,) = self.generate_contexts(ctx, content_type)
        if ctx.in_error is None:
            self.get_in_object(ctx)
        if ctx.in_error is not None:
            ctx.in_error = ctx.out_error = ctx.in_error.with_traceback(None)  # it leads back to the call
        return Call(self, ctx)

    def _receive_apart(
        self, document: bytes, cut_out: CutOut, token: UsernameToken | None, content_type: str
    ) -> Call:
        """`_received` in a thread that ends with it.

        lxml keeps the names of all documents for as long as the thread lives that parsed them, and a large
        request has room for many megabytes of names.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._received, document, cut_out, token, content_type).result()

    def get_in_object(self, ctx: MethodContext) -> None:
        """Convert the request's values; unlike Spyne's, nothing of the request goes to the log."""
        try:
            self.app.in_protocol.deserialize(ctx, message=self.app.in_protocol.REQUEST)
        except SoapFault as error:
            ctx.in_error = ctx.out_error = error


_IDS: Final = {"transaction": "transaction", "clusterId": "cluster", "jobId": "job", "name": "file"}
_MADE: Final = {"beginTransaction": "transaction", "newCluster": "cluster", "newJob": "job"}


@cache
def _places_of_ids(message: type[ComplexModel]) -> tuple[tuple[int, str], ...]:
    """Which of a message's values are ids, and what they are called in `Call.ids`."""
    return tuple((place, _IDS[name]) for place, name in enumerate(message._type_info) if name in _IDS)


class Call:
    """One request that was received: to be executed, or refused."""

    __slots__ = ("_ctx", "_server")

    def __init__(self, server: SoapServer, ctx: MethodContext) -> None:
        self._server = server
        self._ctx = ctx

    @property
    def is_refused(self) -> bool:
        """Whether the request was not understood; its reply is a fault."""
        return self._ctx.in_error is not None

    @property
    def operation(self) -> str:
        """The name of the operation, as in the WSDL."""
        return str(self._ctx.descriptor.operation_name)

    @property
    def ids(self) -> dict[str, int | str]:
        """The transaction, cluster, job and file that the call names, or has made."""
        ctx = self._ctx
        values = ctx.in_object or ()
        found = {
            name: values[place]
            for place, name in _places_of_ids(ctx.descriptor.in_message)
            if place < len(values) and values[place] is not None
        }
        made, answered = _MADE.get(self.operation), ctx.out_object
        if made is not None and answered and isinstance(answered[0], Outcome) and answered[0].value:
            found[made] = answered[0].value
        if "transaction" in found:
            found["transaction"] = found["transaction"].id
        return found

    @property
    def outcome(self) -> str:
        """What the call has come to: a status code, or "fault"; "SUCCESS" where a reply has no status."""
        answered = self._ctx.out_object
        if self._ctx.out_error is not None or not answered:
            return "fault"
        return answered[0].code.name if isinstance(answered[0], Outcome) else StatusCode.SUCCESS.name

    @property
    def security(self) -> UsernameToken | None:
        """The UsernameToken in the request's WS-Security header. Raises ClientFault for one that is none."""
        token: UsernameToken | None = self._ctx.token
        if token is not None:
            return token
        element = self._ctx.in_document.security
        return None if element is None else username_token(element)

    def execute(self, operations: Operations) -> Reply:
        """Do it, and write the reply, in the caller's thread and unit of work. Unexpected exceptions
        propagate.

        A unit of work that has to be run again may execute the call again.
        """
        self._start_over()
        self._ctx.udc = operations
        self._server.get_out_object(self._ctx)
        self._ctx.udc = None
        return self.reply()

    def refuse(self, error: BirdbathError) -> Reply:
        """The reply when the operation could not even be begun."""
        if isinstance(error, RequestFault):
            return self.fault(_fault(error))
        self._start_over()
        self._ctx.out_object = [Outcome.refused(error)]
        return self.reply()

    def fault(self, error: SoapFault) -> Reply:
        """A fault instead of whatever the call has come to."""
        self._start_over()
        self._ctx.out_error = error.with_traceback(None)
        return self.reply()

    def _start_over(self) -> None:
        self._ctx.out_error = self._ctx.out_object = self._ctx.out_document = self._ctx.out_string = None

    def reply(self) -> Reply:
        """Write what the call has come to."""
        ctx = self._ctx
        self._server.get_out_string(ctx)
        ctx.close()
        if ctx.out_error is None:
            return Reply(200, CONTENT_TYPE, ctx.out_string)
        if is_soap_12(ctx):
            return Reply(500 if ctx.out_error.code == "Server" else 400, CONTENT_TYPE_12, ctx.out_string)
        return Reply(500, CONTENT_TYPE, ctx.out_string)


def fail(call: Call | None, reference: str = "") -> Reply:
    """The reply to an exception that nobody expected, which is being handled: logged once, under a reference
    number, a new one unless it is given.

    Without a call, the request could not even be read.
    """
    reference = reference or new_reference()
    operation = "reading a request" if call is None or call.is_refused else call.operation
    logger.exception("unexpected error in %s, reference %s", operation, reference)
    fault = ServerFault(f"Internal error; the server's log has it under reference {reference}")
    return refused(fault) if call is None else call.fault(fault)


def troubled(call: Call, trouble: StorageTrouble, reference: str) -> Reply:
    """The reply when disk or database failed: logged in a line, and told by a status where there is one."""
    logger.error("%s: %s, reference %s", call.operation, trouble, reference)
    if operation_info(call.operation).answers_status:
        return call.refuse(trouble)
    return call.fault(ServerFault(str(trouble)))


def refused(fault: SoapFault, status: int = 500) -> Reply:
    """A fault for a request that was not read."""
    return Reply(status, CONTENT_TYPE, writing.enveloped([replies.fault(fault)]))


def refusal(text: str, status: int = 500) -> Reply:
    """A Client fault for a request whose body was not read."""
    return refused(ClientFault(text), status)
