"""The rules of WS-I Basic Profile 1.1 about messages, section 3: what an envelope and its HTTP look like.

Each takes a reply and returns what breaks it, and has a reply that breaks it: made of a good one by `spoil`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lxml import etree

from tests.soap.wire import SOAP_11
from tests.wsi.exchange import Reply

Check = Callable[[Reply], Iterator[str]]
Spoil = Callable[[Reply], Reply]


@dataclass(frozen=True)
class MessageRule:
    """A rule by its number. `of_faults`: it is about replies that are faults, and tried on one."""

    number: str
    text: str
    check: Check
    spoil: Spoil
    of_faults: bool = False


RULES: list[MessageRule] = []


def rule(number: str, text: str, spoil: Spoil, of_faults: bool = False) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        RULES.append(MessageRule(number, text, check, spoil, of_faults))
        return check

    return add


def with_body(old: bytes, new: bytes) -> Spoil:
    """The reply with the first `old` of its body replaced by `new`."""

    def spoil(reply: Reply) -> Reply:
        assert old in reply.body
        return replace(reply, body=reply.body.replace(old, new, 1))

    return spoil


def with_all(old: bytes, new: bytes) -> Spoil:
    return lambda reply: replace(reply, body=reply.body.replace(old, new))


def with_header(name: str, value: str) -> Spoil:
    return lambda reply: replace(reply, headers={**reply.headers, name: value})


def with_status(status: int) -> Spoil:
    return lambda reply: replace(reply, status=status)


@rule("R9980", "the envelope has the structure of SOAP 1.1", with_all(b"SOAP-ENV:Body>", b"SOAP-ENV:Torso>"))
def _(reply: Reply) -> Iterator[str]:
    names = [etree.QName(child).localname for child in reply.envelope]
    if reply.envelope.tag != f"{{{SOAP_11}}}Envelope" or names not in (["Body"], ["Header", "Body"]):
        yield f"{reply.envelope.tag} of {names}"


@rule(
    "R9981",
    "Body has at most one child",
    with_body(b"</SOAP-ENV:Body>", b"<x:y xmlns:x='u'/></SOAP-ENV:Body>"),
)
def _(reply: Reply) -> Iterator[str]:
    if len(reply.content) > 1:
        yield f"{len(reply.content)} children"


@rule(
    "R1014",
    "the children of Body are in a namespace",
    with_body(b"<SOAP-ENV:Body>", b"<SOAP-ENV:Body><bare/>"),
)
def _(reply: Reply) -> Iterator[str]:
    yield from (str(child.tag) for child in reply.content if etree.QName(child).namespace is None)


@rule("R1008", "there is no document type declaration", with_body(b"?>", b"?><!DOCTYPE x>"))
def _(reply: Reply) -> Iterator[str]:
    if reply.envelope.getroottree().docinfo.internalDTD is not None:
        yield "a DTD"


@rule("R1009", "there are no processing instructions", with_body(b"<SOAP-ENV:Body>", b"<?x?><SOAP-ENV:Body>"))
def _(reply: Reply) -> Iterator[str]:
    yield from (str(found) for found in reply.envelope.iter(etree.ProcessingInstruction))


@rule("R1011", "nothing follows Body", with_body(b"</SOAP-ENV:Envelope>", b"<x/></SOAP-ENV:Envelope>"))
def _(reply: Reply) -> Iterator[str]:
    if reply.envelope[-1].tag != f"{{{SOAP_11}}}Body":
        yield str(reply.envelope[-1].tag)


@rule("R1012", "the envelope is in UTF-8 or UTF-16", with_body(b'encoding="UTF-8"', b'encoding="ISO-8859-1"'))
def _(reply: Reply) -> Iterator[str]:
    encoding = reply.envelope.getroottree().docinfo.encoding or "UTF-8"
    if encoding.upper() not in ("UTF-8", "UTF-16"):
        yield encoding


@rule("R1018", "the media type says the encoding", with_header("content-type", "text/xml; charset=utf-16"))
def _(reply: Reply) -> Iterator[str]:
    charset = re.search(r"charset=\"?([\w-]+)", reply.headers["content-type"])
    if charset is None or charset[1].upper() != (reply.envelope.getroottree().docinfo.encoding or "UTF-8"):
        yield reply.headers["content-type"]


@rule(
    "R1005",
    "SOAP's own elements have no encodingStyle",
    with_body(b"SOAP-ENV:Body>", b"SOAP-ENV:Body SOAP-ENV:encodingStyle=''>"),
)
def _(reply: Reply) -> Iterator[str]:
    for element in reply.envelope.iter(f"{{{SOAP_11}}}*"):
        if f"{{{SOAP_11}}}encodingStyle" in element.attrib:
            yield str(element.tag)


@rule(
    "R1006",
    "the children of Body have no encodingStyle",
    with_body(b"><response>", b" SOAP-ENV:encodingStyle=''><response>"),
)
def _(reply: Reply) -> Iterator[str]:
    yield from (str(c.tag) for c in reply.content if f"{{{SOAP_11}}}encodingStyle" in c.attrib)


@rule(
    "R1013",
    "mustUnderstand is 0 or 1",
    with_body(
        b"<SOAP-ENV:Body>",
        b"<SOAP-ENV:Header><x SOAP-ENV:mustUnderstand='true'/></SOAP-ENV:Header><SOAP-ENV:Body>",
    ),
)
def _(reply: Reply) -> Iterator[str]:
    for element in reply.envelope.iter(etree.Element):
        value = element.get(f"{{{SOAP_11}}}mustUnderstand", "0")
        if value not in ("0", "1"):
            yield str(value)


@rule(
    "R1032",
    "Envelope, Header and Body have no attributes of SOAP",
    with_body(b"SOAP-ENV:Body>", b"SOAP-ENV:Body SOAP-ENV:actor=''>"),
)
def _(reply: Reply) -> Iterator[str]:
    parts = [reply.envelope, *(p for p in (reply.part("Header"), reply.part("Body")) if p is not None)]
    for part in parts:
        yield from (str(name) for name in part.attrib if etree.QName(str(name)).namespace == SOAP_11)


@rule(
    "R1033",
    "the prefix xml is not declared",
    with_body(b"xmlns:xsd=", b"xmlns:xml='http://www.w3.org/XML/1998/namespace' xmlns:xsd="),
)
def _(reply: Reply) -> Iterator[str]:
    if b"xmlns:xml=" in reply.body:
        yield "xmlns:xml"


@rule(
    "R2113",
    "there is no arrayType",
    with_body(b"><response>", b" SOAP-ENC:arrayType='xsd:int[1]'><response>"),
)
def _(reply: Reply) -> Iterator[str]:
    if b"arrayType=" in reply.body:
        yield "arrayType"


@rule("R1124", "a success has a status of 2xx", with_status(302))
def _(reply: Reply) -> Iterator[str]:
    if reply.fault is None and reply.status // 100 != 2:
        yield str(reply.status)


@rule("R1111", "a reply that is no fault has the status 200", with_status(202))
def _(reply: Reply) -> Iterator[str]:
    if reply.fault is None and reply.status != 200:
        yield str(reply.status)


@rule("R1126", "a fault has the status 500", with_status(200), of_faults=True)
def _(reply: Reply) -> Iterator[str]:
    if reply.fault is not None and reply.status != 500:
        yield str(reply.status)


@rule(
    "R1000",
    "a fault has none but the four children",
    with_body(b"</faultstring>", b"</faultstring><hint/>"),
    of_faults=True,
)
def _(reply: Reply) -> Iterator[str]:
    for child in reply.fault if reply.fault is not None else ():
        if etree.QName(child).localname not in ("faultcode", "faultstring", "faultactor", "detail"):
            yield str(child.tag)


@rule(
    "R1001",
    "the children of a fault are unqualified",
    with_body(b"<faultcode>", b"<faultactor xmlns='u'/><faultcode>"),
    of_faults=True,
)
def _(reply: Reply) -> Iterator[str]:
    for child in reply.fault if reply.fault is not None else ():
        if etree.QName(child).namespace is not None:
            yield str(child.tag)


@rule(
    "R1004",
    "a fault code is one of SOAP's or a name in a namespace",
    with_body(b"<faultcode>SOAP-ENV:", b"<faultcode>"),
    of_faults=True,
)
def _(reply: Reply) -> Iterator[str]:
    code = reply.fault.findtext("faultcode") if reply.fault is not None else None
    if code is not None and ":" not in code:
        yield code


@rule(
    "R1031",
    "a fault code has no dots",
    with_body(b"</faultcode>", b".Authentication</faultcode>"),
    of_faults=True,
)
def _(reply: Reply) -> Iterator[str]:
    code = (reply.fault.findtext("faultcode") or "") if reply.fault is not None else ""
    if "." in code:
        yield code
