"""What the message rules look at: requests and replies as they are on the wire, and whoever answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lxml import etree

from tests.soap.wire import SOAP_11


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
    )


@dataclass(frozen=True)
class Reply:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def envelope(self) -> etree._Element:
        return etree.fromstring(self.body, etree.XMLParser(resolve_entities=False))

    def part(self, name: str) -> etree._Element | None:
        return self.envelope.find(f"{{{SOAP_11}}}{name}")

    @property
    def content(self) -> list[etree._Element]:
        """The children of Body."""
        body = self.part("Body")
        return [] if body is None else list(body.iterchildren(etree.Element))

    @property
    def fault(self) -> etree._Element | None:
        body = self.part("Body")
        return None if body is None else body.find(f"{{{SOAP_11}}}Fault")


Receiver = Callable[[Request], Reply]
