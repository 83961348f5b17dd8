"""One call, written on the wire as different SOAP toolkits write it.

The toolkits themselves are gone, need machines that are not at hand, or cannot be installed here; what their
requests look like is told in the reference, sections 1.3 and 7.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XSD = "http://www.w3.org/2001/XMLSchema"
ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"

# An element of a call: its text, its children, or None for what a toolkit's user left null.
Value: TypeAlias = "str | list[tuple[str, Value]] | None"
Children: TypeAlias = "list[tuple[str, Value]]"


@dataclass(frozen=True)
class Shape:
    """How a toolkit writes an envelope, and what it says over HTTP."""

    name: str
    envelope: Callable[[str, Children], str]
    headers: tuple[str, ...]
    version: str = "HTTP/1.1"
    path: str = "/"
    waits: bool = False  # sends `Expect: 100-continue` and keeps the body back until it is asked for
    chunked: bool = False


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


# ---------------------------------------------------------------- envelopes


def plain(children: Children, nil: str = "", prefix: str = "") -> str:
    """The children without namespaces; `nil` are the attributes of a null one, which else is left out."""
    return "".join(element(prefix + name, value, nil, prefix) for name, value in children)


def element(name: str, value: Value, nil: str = "", prefix: str = "", attributes: str = "") -> str:
    if value is None:
        return f"<{name}{attributes} {nil}/>" if nil else ""
    text = escape(value) if isinstance(value, str) else plain(value, nil, prefix)
    return f"<{name}{attributes}>{text}</{name}>"


def jax_ws(operation: str, children: Children) -> str:
    """JAX-WS 2.x: JAXBElement of null becomes xsi:nil with its own declaration of the prefix."""
    nil = f'xmlns:xsi="{XSI}" xsi:nil="true"'
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><S:Envelope xmlns:S=\"{SOAP}\"><S:Body>"
        f'<ns2:{operation} xmlns:ns2="urn:condor">{plain(children, nil)}</ns2:{operation}>'
        "</S:Body></S:Envelope>"
    )


def dotnet(operation: str, children: Children) -> str:
    """.NET's wsdl.exe: the wrapper in the default namespace, which each of its children resets."""
    inner = "".join(element(name, value, 'xsi:nil="true" ', "", ' xmlns=""') for name, value in children)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{SOAP}" xmlns:xsi="{XSI}" '
        f'xmlns:xsd="{XSD}"><soap:Body><{operation} xmlns="urn:condor">{inner}</{operation}></soap:Body>'
        "</soap:Envelope>"
    )


def axis(operation: str, children: Children) -> str:
    """Axis 1.4 in its rpc/encoded habit: structures stand after the operation and are referred to."""
    parts: list[str] = []
    inner = "".join(axis_element(name, value, parts) for name, value in children)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:xsd="{XSD}" '
        f'xmlns:xsi="{XSI}"><soapenv:Body><ns1:{operation} soapenv:encodingStyle="{ENCODING}" '
        f'xmlns:ns1="urn:condor">{inner}</ns1:{operation}>{"".join(parts)}</soapenv:Body></soapenv:Envelope>'
    )


def axis_element(name: str, value: Value, parts: list[str]) -> str:
    if value is None:
        return f'<{name} xsi:type="xsd:string" xsi:nil="true"/>'
    if isinstance(value, str):
        return f'<{name} xsi:type="{guessed_type(value)}">{escape(value)}</{name}>'
    place = len(parts)
    parts.append("")
    inner = "".join(axis_element(child, grandchild, parts) for child, grandchild in value)
    parts[place] = (
        f'<multiRef id="id{place}" soapenc:root="0" soapenv:encodingStyle="{ENCODING}" '
        f'xsi:type="ns2:{name}" xmlns:soapenc="{ENCODING}" xmlns:ns2="urn:condor">{inner}</multiRef>'
    )
    return f'<{name} href="#id{place}"/>'


def soap_lite(operation: str, children: Children) -> str:
    """SOAP::Lite 0.6: marks from SOAP's encoding everywhere, types guessed from the values."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:xsi="{XSI}" '
        f'xmlns:SOAP-ENC="{ENCODING}" xmlns:SOAP-ENV="{SOAP}" xmlns:xsd="{XSD}" '
        f'SOAP-ENV:encodingStyle="{ENCODING}"><SOAP-ENV:Body>'
        f'<namesp1:{operation} xmlns:namesp1="urn:condor">{"".join(lite_elements(children))}'
        f"</namesp1:{operation}></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )


def lite_elements(children: Children) -> Iterator[str]:
    for name, value in children:
        if value is None:
            yield f'<{name} xsi:nil="true" />'
        elif isinstance(value, str):
            yield f'<{name} xsi:type="{guessed_type(value)}">{escape(value)}</{name}>'
        else:
            yield f"<{name}>{''.join(lite_elements(value))}</{name}>"


def guessed_type(text: str) -> str:
    return "xsd:int" if text.lstrip("-").isdigit() else "xsd:string"


def qualified(operation: str, children: Children) -> str:
    """A client of Condor 6.7.5's WSDL: every element in `urn:condor`."""
    inner = plain(children, prefix="c:")
    return (
        f'<e:Envelope xmlns:e="{SOAP}"><e:Body><c:{operation} xmlns:c="urn:condor">{inner}</c:{operation}>'
        "</e:Body></e:Envelope>"
    )


def by_hand(operation: str, children: Children) -> str:
    """The request of soap-htcondor's README, with a line to each part."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope\n xmlns:SOAP-ENV="{SOAP}"\n '
        f'xmlns:SOAP-ENC="{ENCODING}"\n xmlns:xsi="{XSI}"\n xmlns:xsd="{XSD}"\n xmlns:ns="urn:condor">\n '
        f'<SOAP-ENV:Body SOAP-ENV:encodingStyle="{ENCODING}">\n  <ns:{operation}>\n   {plain(children)}\n  '
        f"</ns:{operation}>\n </SOAP-ENV:Body>\n</SOAP-ENV:Envelope>\n"
    )


TEXT_XML = "Content-Type: text/xml; charset=utf-8"
NO_ACTION = 'SOAPAction: ""'

SHAPES = [
    Shape("jax-ws", jax_ws, (TEXT_XML, NO_ACTION, "Connection: keep-alive")),
    Shape("dotnet", dotnet, (TEXT_XML, NO_ACTION), waits=True),
    Shape("axis", axis, (TEXT_XML, NO_ACTION, "Pragma: no-cache"), version="HTTP/1.0"),
    Shape("soap-lite", soap_lite, (TEXT_XML, 'SOAPAction: "urn:condor#call"')),
    Shape("qualified", qualified, ("Content-Type: text/xml",), path="/soap/schedd"),
    Shape("by-hand", by_hand, (), version="HTTP/1.0"),
    Shape("chunked", qualified, ("Content-Type: application/soap+xml",), chunked=True),
]


# ---------------------------------------------------------------- HTTP


@dataclass
class Wire:
    """Calls in one shape to one server, a connection each."""

    url: str
    shape: Shape
    replies: list[Reply] = field(default_factory=list)

    def post(self, operation: str, children: Children) -> Reply:
        body = self.shape.envelope(operation, children).encode()
        host = urlsplit(self.url)
        assert host.hostname is not None
        with socket.create_connection((host.hostname, host.port or 80), timeout=60) as connection:
            connection.sendall(self.head(host.netloc, len(body)))
            with connection.makefile("rb") as answer:
                if self.shape.waits:
                    assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
                    assert answer.readline() == b"\r\n"
                connection.sendall(in_chunks(body) if self.shape.chunked else body)
                reply = read_reply(answer)
        self.replies.append(reply)
        return reply

    def head(self, host: str, length: int) -> bytes:
        shape = self.shape
        lines = [f"POST {shape.path} {shape.version}", f"Host: {host}", *shape.headers]
        if shape.waits:
            lines.append("Expect: 100-continue")
        lines.append("Transfer-Encoding: chunked" if shape.chunked else f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def in_chunks(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def read_reply(answer: BinaryIO) -> Reply:
    """One reply, in pieces or by its Content-Length, as a client reads it that hopes to use the connection
    again.
    """
    status = answer.readline().split()[1]
    headers: dict[str, str] = {}
    while line := answer.readline().strip():
        name, _, value = line.decode("ascii").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        return Reply(int(status), headers, b"".join(_pieces(answer)))
    return Reply(int(status), headers, answer.read(int(headers["content-length"])))


def _pieces(answer: BinaryIO) -> Iterator[bytes]:
    while size := int(answer.readline(), 16):
        yield answer.read(size)
        assert answer.readline() == b"\r\n"
    assert answer.readline() == b"\r\n"
