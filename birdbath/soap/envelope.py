"""From the bytes of a request to its operation element: XML parsing, SOAP envelope, multi-reference lookup.

Accepts what reference section 1.3 lists; whatever cannot be read raises a fault. Nothing outside of the body
is ever loaded, and no entity is ever expanded.
"""

from __future__ import annotations

import codecs
import re
from email.message import Message
from functools import lru_cache
from typing import Final

from lxml import etree

from birdbath.classads import Item
from birdbath.soap.bounds import MAX_DEPTH, USUAL, Bounds, check_encoding
from birdbath.soap.cutting import MARK, CutOut
from birdbath.soap.faults import ClientFault, MustUnderstand, VersionMismatch

Element = etree._Element

SOAP_11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12: Final = "http://www.w3.org/2003/05/soap-envelope"
SECURITY: Final = (
    "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}Security"
)
NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"

LARGE_BYTES: Final = 256 * 1024
"""Requests above this size take milliseconds to parse; they get a parser of their own."""

MAX_NAME: Final = 1000
"""Bytes of a namespace name."""

_REFERENCE_HOPS = 16
_ANY_NIL = re.compile(rb"nil\s*=").search
_ANY_HREF = re.compile(rb"href\s*=").search
_LONG_NAMESPACE = re.compile(
    rb"""xmlns(?::[^\s=:]*+)?\s*+=\s*+(?:"[^"]{%d}|'[^']{%d})""" % (MAX_NAME + 1, MAX_NAME + 1)
).search
_OWN_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)[^\s#&;]++;").search


def _parser(encoding: str | None = None, *, huge: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=huge,
        remove_comments=True,
        remove_pis=True,
    )


_ENCODINGS: Final = {"iso8859-1": "iso-8859-1"}
_PARSERS: Final = {encoding: _parser(encoding) for encoding in (None, *_ENCODINGS.values())}


def _names(namespace: str) -> tuple[str, str, str, bool]:
    """The names of the parts of an envelope, and of the attribute mustUnderstand; whether it is SOAP 1.2."""
    prefix = f"{{{namespace}}}"
    return f"{prefix}Header", f"{prefix}Body", f"{prefix}mustUnderstand", namespace == SOAP_12


_ENVELOPES: Final = {f"{{{namespace}}}Envelope": _names(namespace) for namespace in (SOAP_11, SOAP_12)}


class Envelope:
    """One request's document; its parts are found by `open`.

    `nils` and `references` tell whether the bytes can contain xsi:nil and href at all: looking for them at
    every element would cost more than all the rest of reading an ad.
    """

    __slots__ = (
        "_cut_out",
        "_ids",
        "body",
        "has_header",
        "nils",
        "references",
        "root",
        "security",
        "soap_12",
    )

    def __init__(
        self, root: Element, *, nils: bool = True, references: bool = True, cut_out: CutOut = None
    ) -> None:
        self.root = root
        self._cut_out = cut_out
        self.nils = nils
        self.references = references
        self.has_header = False
        self.soap_12 = False
        self.body: Element | None = None
        self.security: Element | None = None
        self._ids: dict[str, Element] | None = None

    def open(self, understands_security: bool = False) -> Element:
        """The operation element: the first child of Body. Raises the faults of reference section 1.5.

        A WS-Security header may only insist on being understood when somebody `understands_security`.
        """
        header, body, must_understand, self.soap_12 = self._version()
        for part in self.root:
            tag = part.tag
            if tag == header:
                self.has_header = True
                self._read_header(part, must_understand, understands_security)
            elif tag == body and self.body is None:
                self.body = part
        if self.body is None:
            raise ClientFault("The SOAP envelope has no Body")
        if not len(self.body):
            raise ClientFault("The SOAP Body is empty: no operation is called")
        return self.body[0]

    def _read_header(self, header: Element, must_understand: str, understands_security: bool) -> None:
        for entry in header:
            if understands_security and entry.tag == SECURITY and self.security is None:
                self.security = entry
            elif (entry.get(must_understand) or "").strip() in ("1", "true"):
                raise MustUnderstand(f"The header entry '{entry.tag}' is not understood")

    def _version(self) -> tuple[str, str, str, bool]:
        tag = self.root.tag
        known = _ENVELOPES.get(tag)
        if known is not None:
            return known
        if local_name(tag) == "Envelope":
            raise VersionMismatch("The namespace of the SOAP envelope is neither that of SOAP 1.1 nor 1.2")
        raise ClientFault(f"The document is no SOAP envelope but '{tag}'")

    def resolve(self, element: Element) -> Element:
        """The element that stands for `element`: itself, or what its href refers to within the Body."""
        hops = 0
        while (href := element.get("href")) is not None:
            hops += 1
            target = self._by_id(href[1:]) if href.startswith("#") else None
            if target is None or hops > _REFERENCE_HOPS:
                raise ClientFault(
                    f"The reference '{href}' of element '{local_name(element.tag)}' leads nowhere"
                )
            element = target
        return element

    def data_of(self, element: Element) -> bytes | None:
        """What was in this element, decoded already, if that was cut out (see `cutting`)."""
        return self._cut_out if isinstance(self._cut_out, bytes) and element.text == MARK else None

    def items_of(self, element: Element) -> list[Item] | None:
        """The items that were in this element, read already, if they were cut out."""
        return self._cut_out if isinstance(self._cut_out, list) and element.text == MARK else None

    def _by_id(self, name: str) -> Element | None:
        if self._ids is None:
            assert self.body is not None
            self._ids = {}
            for element in self.body.iter():
                if (identity := element.get("id")) is not None:
                    self._ids.setdefault(identity, element)
        return self._ids.get(name)


def parse(data: bytes, content_type: str = "", cut_out: CutOut = None, bounds: Bounds = USUAL) -> Envelope:
    """Parse a request, of which `cut` may have taken `cut_out`. Raises ClientFault when it is no XML, beyond
    `bounds`, refers to an entity of its own, or has a namespace above MAX_NAME.

    The encoding is what the document says. A charset of the Content-Type counts only where the document says
    nothing; one that nobody knows is ignored.
    """
    if not data:
        raise ClientFault("The request has no content: a SOAP envelope is needed")
    check_encoding(data)
    bounds.check(data)
    # lxml repeats the namespace in the name of every element
    if len(data) > MAX_NAME and _LONG_NAMESPACE(data):
        raise ClientFault(f"A namespace of the request is longer than {MAX_NAME} bytes")
    try:
        root = etree.fromstring(data, _parser_for(data, content_type))
    except etree.XMLSyntaxError as error:
        raise _syntax_fault(error, bounds) from None
    # The plain search first: asking lxml takes as long as parsing a header.
    if b"<!DOCTYPE" in data and root.getroottree().docinfo.internalDTD is not None:
        _refuse_entities(root, data)
    if len(data) > LARGE_BYTES or bounds.depth < MAX_DEPTH:
        _refuse_depth(root, bounds)
    # As here: it is ten times as fast as the other.
    nils = b"nil" in data and _ANY_NIL(data) is not None
    references = b"href" in data and _ANY_HREF(data) is not None
    return Envelope(root, nils=nils, references=references, cut_out=cut_out)


def _parser_for(data: bytes, content_type: str) -> etree.XMLParser:
    """The parser for a request: shared for small ones, a new one for a large one.

    lxml locks a parser while it parses: were a large request's parser shared, the next small request would
    stop the event loop until the large one is read. `huge_tree` lifts all of libxml2's limits, in old
    versions even that of entity expansion; but no large document has a DTD (see `Bounds`).
    """
    encoding = _encoding(data, content_type)
    if len(data) > LARGE_BYTES:
        return _parser(encoding, huge=True)
    return _PARSERS[encoding]


def _encoding(data: bytes, content_type: str) -> str | None:
    if b"encoding" in data[:100] or data.startswith(codecs.BOM_UTF8):
        return None
    return _ENCODINGS.get(_charset(content_type))


@lru_cache(maxsize=64)
def _charset(content_type: str) -> str:
    """Python's name of the charset that a Content-Type names; empty where it names none that is known."""
    message = Message()
    message["content-type"] = content_type
    try:
        return codecs.lookup(message.get_content_charset("")).name
    except (LookupError, ValueError):
        return ""


def _syntax_fault(error: etree.XMLSyntaxError, bounds: Bounds) -> ClientFault:
    text = error.msg or "nothing in it"
    if "Excessive depth" in text:  # libxml2 has one code for all its limits
        return _depth_fault(bounds)
    return ClientFault(f"The request is not well-formed XML: {text}")


def _refuse_depth(root: Element, bounds: Bounds) -> None:
    try:
        if root.xpath("boolean(" + "/*" * (bounds.depth + 1) + ")"):
            raise _depth_fault(bounds)
    except etree.XPathError:  # libxml2 looks at ten million elements of one depth at most
        raise ClientFault("The request has too many elements") from None


def _depth_fault(bounds: Bounds) -> ClientFault:
    return ClientFault(f"The elements of the request are nested deeper than {bounds.depth}")


def _refuse_entities(root: Element, data: bytes) -> None:
    """The tree has entities of texts only: in attributes, libxml2 has already replaced them (by a bounded
    amount), hence the look at the bytes.
    """
    in_text = next(root.iter(etree.Entity), None) is not None
    if in_text or _OWN_ENTITY(data):
        raise ClientFault(
            "The request refers to an entity of its own; only the predefined ones are understood"
        )


def local_name(tag: str | bytes | bytearray) -> str:
    """The part of an lxml tag after the namespace."""
    text = tag if isinstance(tag, str) else bytes(tag).decode()
    return text[text.rfind("}") + 1 :]
