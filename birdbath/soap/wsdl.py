"""The WSDL of each service, equal in structure to the original files (reference sections 1.1 and 2).

Spyne's generator says the same things in another form (named wrapper types, parts named like their elements,
SOAPAction, implicit occurrences, an order that changes with the hash seed), and toolkits number and name what
they generate by the form. So the document is written here, from what Spyne's interface knows about types and
operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from inspect import cleandoc  # newer Pythons take a docstring's indentation away themselves
from typing import Any, Final, Literal
from xml.sax.saxutils import quoteattr

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import Application, ComplexModel
from spyne.interface import InterfaceDocumentsBase
from spyne.interface.wsdl import Wsdl11

from birdbath.access.policy import COLLECTOR, EVENTS, FEDERATION, QUERIES, SCHEDD
from birdbath.soap import (
    event_service,
    event_types,
    federation_service,
    federation_types,
    query_service,
    query_types,
    services,
    types,
)
from birdbath.soap.protocol import CondorSoap
from birdbath.soap.types import SpyneType, wire_name

assert spyne_compat.SIX_MOVES

ServiceName = Literal[
    "condorSchedd", "condorCollector", "birdbathEvents", "birdbathQueries", "birdbathFederation"
]

BANNER: Final = "Birdbath service definition"
DEFAULT_ADDRESS: Final = "http://localhost:80"
"""The address in the original files."""

_Described = tuple[type[CondorSoap], str, list[Any], tuple[SpyneType, ...]]

_SERVICES: Final[dict[str, _Described]] = {
    SCHEDD: (CondorSoap, types.NAMESPACE, [services.Versions, services.Schedd], types.SCHEDD_TYPES),
    COLLECTOR: (CondorSoap, types.NAMESPACE, [services.Versions, services.Collector], types.COLLECTOR_TYPES),
    EVENTS: (event_service.EventsSoap, event_types.NAMESPACE, [event_service.Events], event_types.TYPES),
    QUERIES: (query_service.QueriesSoap, query_types.NAMESPACE, [query_service.Queries], query_types.TYPES),
    FEDERATION: (
        federation_service.FederationSoap,
        federation_types.NAMESPACE,
        [federation_service.Federation],
        federation_types.TYPES,
    ),
}
"""Of each service its protocol, its namespace, its Spyne services and its types in their order."""

_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<definitions name="{name}" targetNamespace="{namespace}"
    xmlns:tns="{namespace}"
    xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
    xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    xmlns:{prefix}="{namespace}"
    xmlns:SOAP="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:MIME="http://schemas.xmlsoap.org/wsdl/mime/"
    xmlns:DIME="http://schemas.xmlsoap.org/ws/2002/04/dime/wsdl/"
    xmlns:WSDL="http://schemas.xmlsoap.org/wsdl/"
    xmlns="http://schemas.xmlsoap.org/wsdl/">"""

_SCHEMA_HEAD: Final = """\
    <schema targetNamespace="{namespace}"
        xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
        xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"
        xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        xmlns:xsd="http://www.w3.org/2001/XMLSchema"
        xmlns:{prefix}="{namespace}"
        xmlns="http://www.w3.org/2001/XMLSchema"
        elementFormDefault="unqualified" attributeFormDefault="unqualified">
      <import namespace="http://schemas.xmlsoap.org/soap/encoding/"/>"""

_BODY: Final = '<SOAP:body parts="parameters" use="literal"/>'

_ADDRESS_MARK: Final = "\0"


def wsdl(service: ServiceName, address: str = DEFAULT_ADDRESS) -> bytes:
    """The WSDL of a service that is reached at `address`, a URL; the same bytes for the same arguments.

    Nothing of an address is remembered: only the text around it is made once.
    """
    before, after = _around_address(service)
    return before + quoteattr(address).encode() + after


@cache
def _around_address(service: str) -> tuple[bytes, bytes]:
    protocol, namespace, classes, declared = _SERVICES[service]
    application = Application(
        classes,
        tns=namespace,
        name=service,
        in_protocol=protocol(),
        out_protocol=protocol(),
        classes=declared,
        documents_container=Documents,
    )
    document = application.interface.docs.wsdl11
    document.build_interface_document(_ADDRESS_MARK)
    before, after = document.get_interface_document().split(quoteattr(_ADDRESS_MARK).encode())
    return before, after


class Documents(InterfaceDocumentsBase):
    """What Spyne's interface asks for its documents: only the WSDL, in our form."""

    def __init__(self, interface: Any) -> None:
        super().__init__(interface, wsdl11=CondorWsdl(interface))


class CondorWsdl(Wsdl11):
    """Spyne's WSDL document in the form that gSOAP gave the original."""

    def __init__(self, interface: Any) -> None:
        super().__init__(interface, element_form_default="unqualified")
        self._document = b""

    def get_interface_document(self) -> bytes:
        """The document that was built last."""
        return self._document

    def build_interface_document(self, url: str) -> None:
        """Build the document for a service at `url`."""
        self.url = url
        self._document = ("\n".join(self._lines()) + "\n").encode()

    @property
    def _prefix(self) -> str:
        return str(self.interface.app.in_protocol.prefix)

    @property
    def _names(self) -> dict[str, str]:
        return {"namespace": self.interface.get_tns(), "prefix": self._prefix}

    @property
    def _operations(self) -> list[Any]:
        return [m for s in self.interface.services for m in s.public_methods.values()]

    def _lines(self) -> Iterator[str]:
        name = self.interface.get_name()
        yield _HEAD.format(name=name, **self._names)
        yield "  <types>"
        yield from self._schema()
        yield "  </types>"
        for method in self._operations:
            for message, element in _messages(method):
                yield f'  <message name="{message}">'
                yield f'    <part name="parameters" element="{self._prefix}:{element}"/>'
                yield "  </message>"
        yield from self._port_type(name)
        yield from self._binding(name)
        yield from self._service(name)
        yield "</definitions>"

    def _schema(self) -> Iterator[str]:
        yield _SCHEMA_HEAD.format(**self._names)
        for kind in self.interface.app.classes:
            yield from _type_lines(kind, self._prefix)
        for method in self._operations:
            for message in (method.in_message, method.out_message):
                yield f'      <element name="{message.get_type_name()}">'
                yield "        <complexType>"
                yield from _sequence(message, " " * 10, self._prefix)
                yield "        </complexType>"
                yield "      </element>"
        yield "    </schema>"

    def _port_type(self, name: str) -> Iterator[str]:
        yield f'  <portType name="{name}PortType">'
        for method in self._operations:
            (request, _), (response, _) = _messages(method)
            yield f'    <operation name="{method.operation_name}">'
            yield f"      <documentation>{cleandoc(method.doc)}</documentation>"
            yield f'      <input message="tns:{request}"/>'
            yield f'      <output message="tns:{response}"/>'
            yield "    </operation>"
        yield "  </portType>"

    def _binding(self, name: str) -> Iterator[str]:
        yield f'  <binding name="{name}" type="tns:{name}PortType">'
        yield '    <SOAP:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>'
        for method in self._operations:
            yield f'    <operation name="{method.operation_name}">'
            yield '      <SOAP:operation soapAction=""/>'
            yield f"      <input>{_BODY}</input>"
            yield f"      <output>{_BODY}</output>"
            yield "    </operation>"
        yield "  </binding>"

    def _service(self, name: str) -> Iterator[str]:
        yield f'  <service name="{name}">'
        yield f"    <documentation>{BANNER}</documentation>"
        yield f'    <port name="{name}" binding="tns:{name}">'
        yield f"      <SOAP:address location={quoteattr(self.url)}/>"
        yield "    </port>"
        yield "  </service>"


def _messages(method: Any) -> Iterable[tuple[str, str]]:
    """Names of the messages of an operation, each with its element; the collector's queries are named
    otherwise."""
    name = method.operation_name
    request = f"{name}Request" if name.startswith("query") else name
    return (request, name), (f"{name}Response", f"{name}Response")


def _type_lines(kind: SpyneType, prefix: str) -> Iterator[str]:
    if issubclass(kind, ComplexModel):
        yield f'      <complexType name="{kind.get_type_name()}">'
        yield from _sequence(kind, " " * 8, prefix)
        yield "      </complexType>"
        return
    numbers = getattr(kind.Attributes, "numbers", {})
    yield f'      <simpleType name="{wire_name(kind)}">'
    yield '        <restriction base="xsd:string">'
    for value in kind.Attributes.values if numbers else ():
        yield f'          <enumeration value="{value}"/><!-- = {numbers[value]} -->'
    yield "        </restriction>"
    yield "      </simpleType>"


def _sequence(kind: SpyneType, indent: str, ours: str) -> Iterator[str]:
    yield f"{indent}<sequence>"
    for name, member in kind._type_info.items():
        attributes = member.Attributes
        most = "unbounded" if attributes.max_occurs == float("inf") else "1"
        prefix = ours if _is_ours(member) else "xsd"
        nil = ' nillable="true"' if attributes.nillable else _said_not_nillable(attributes)
        yield (
            f'{indent}  <element name="{name}" type="{prefix}:{wire_name(member)}"'
            f' minOccurs="{attributes.min_occurs}" maxOccurs="{most}"{nil}/>'
        )
    yield f"{indent}</sequence>"


def _is_ours(kind: SpyneType) -> bool:
    return issubclass(kind, ComplexModel) or hasattr(kind.Attributes, "wire_name")


def _said_not_nillable(attributes: Any) -> str:
    return ' nillable="false"' if getattr(attributes, "says_not_nillable", False) else ""
