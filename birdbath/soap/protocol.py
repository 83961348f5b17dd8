"""The wire as a Spyne protocol: Soap11 with our own parsing, conversion and writing in place of Spyne's.

Every method here is a stage that Spyne's server calls with a MethodContext, in this order:
create_in_document, decompose_incoming_envelope, generate_method_contexts, deserialize, serialize,
create_out_string. `ctx.in_document` is an `Envelope` as soon as there is one; `ctx.out_document` is a list of
chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import MethodContext
from spyne.protocol.soap import Soap11

from birdbath.soap import replies, types, writing
from birdbath.soap.bounds import USUAL, Bounds
from birdbath.soap.envelope import Envelope, local_name, parse
from birdbath.soap.faults import ClientFault, SoapFault
from birdbath.soap.reading import MessageReader, Reader

assert spyne_compat.SIX_MOVES


class CondorSoap(Soap11):
    """SOAP as the condor daemons spoke it (reference sections 1.3 to 1.5).

    `prefix` stands for the namespace of the replies, which they declare, or each of them by `declaration`;
    `readers` and `writers` are those of the types.
    """

    prefix = "condor"
    declaration = ""
    readers: Mapping[str, tuple[Reader, Any]] = MappingProxyType({})
    writers: Mapping[str, replies.Writer] = replies.WRITERS

    def __init__(self, understands_security: bool = False, bounds: Bounds = USUAL) -> None:
        self._understands_security = understands_security
        self._bounds = bounds
        self._methods: dict[str, Any] = {}
        self._readers: dict[Any, MessageReader] = {}
        self._frames: dict[Any, tuple[replies.Writer, bytes, bytes]] = {}
        super().__init__(validator=None)

    def set_app(self, value: Any) -> None:
        """Prepare the reader and the writer of every operation of the application."""
        super().set_app(value)
        if value is None:
            return  # Spyne's constructor sets an application before there is one
        for name, (descriptor,) in value.interface.service_method_map.items():
            self._methods[name] = descriptor
            self._readers[descriptor] = MessageReader.of(descriptor.in_message, self.readers)
            self._frames[descriptor] = self._frame(descriptor)

    def get_context(self, parent: Any, transport: Any) -> None:
        """None: nothing here needs what Spyne would keep, which refers to the call and back."""

    def adopt(self, other: CondorSoap) -> None:
        """Answer the operations of another namespace too."""
        self._methods |= other._methods
        self._readers |= other._readers
        self._frames |= other._frames

    def _frame(self, descriptor: Any) -> tuple[replies.Writer, bytes, bytes]:
        ((container, returns),) = descriptor.out_message._type_info.items()
        name = f"{self.prefix}:{descriptor.out_message.get_type_name()}"
        opening = f"<{name}{self.declaration}><{container}>".encode()
        closing = f"</{container}></{name}>".encode()
        return self.writers[types.wire_name(returns)], opening, closing

    # ---------------------------------------------------------------- in

    def create_in_document(self, ctx: MethodContext, charset: str | None = None) -> None:
        """Parse the request, which is two strings: the document, and what was cut out of it or None.

        `charset` is the whole Content-Type of the request.
        """
        document, cut_out = ctx.in_string
        ctx.in_document = parse(document, charset or "", cut_out, self._bounds)

    def decompose_incoming_envelope(self, ctx: MethodContext, message: Any = None) -> None:
        """Find the operation element."""
        # Where the first Security header was cut out, another is one too many.
        element = ctx.in_document.open(self._understands_security and ctx.token is None)
        ctx.in_body_doc = element
        ctx.method_request_string = element.tag

    def generate_method_contexts(self, ctx: MethodContext) -> list[MethodContext]:
        """The one context of the one operation that the element's qualified name stands for."""
        descriptor = self._methods.get(ctx.method_request_string)
        if descriptor is None:
            name = ctx.method_request_string
            raise ClientFault(
                f"Method '{_readable(name)}' not implemented: method name or namespace not recognized"
            )
        ctx.descriptor = descriptor
        return [ctx]

    def deserialize(self, ctx: MethodContext, message: Any) -> None:
        """Convert the operation's children into plain values."""
        ctx.in_object = self._readers[ctx.descriptor].read(ctx.in_body_doc, ctx.in_document)

    # ---------------------------------------------------------------- out

    def serialize(self, ctx: MethodContext, message: Any) -> None:
        """Write the Body's content: the operation's response, or a fault."""
        if ctx.out_error is not None:
            error: SoapFault = ctx.out_error
            ctx.out_document = [replies.fault_12(error) if is_soap_12(ctx) else replies.fault(error)]
            return
        writer, opening, closing = self._frames[ctx.descriptor]
        ctx.out_document = [opening, *writer(ctx.out_object[0]), closing]

    def create_out_string(self, ctx: MethodContext, charset: str | None = None) -> None:
        """Put the envelope around it. Replies are SOAP 1.1 whatever the request was; faults follow the
        request."""
        ctx.out_string = writing.enveloped(
            ctx.out_document,
            has_header=isinstance(ctx.in_document, Envelope) and ctx.in_document.has_header,
            soap_12=ctx.out_error is not None and is_soap_12(ctx),
        )


def is_soap_12(ctx: MethodContext) -> bool:
    """Whether the request came in a SOAP 1.2 envelope."""
    return isinstance(ctx.in_document, Envelope) and ctx.in_document.soap_12


def _readable(tag: str) -> str:
    namespace, _, _ = tag.rpartition("}")
    return f"{local_name(tag)}' in namespace '{namespace[1:]}" if namespace else tag
