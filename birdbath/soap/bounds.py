"""What a request's document may hold, found out from its bytes before anything parses it.

An XML parser takes a hundred times the memory of a document that is made of tags or attributes, and a second
for a million of them. Counting two kinds of characters costs a thousandth of that. All of it rests on an
encoding in which the bytes of ASCII mean ASCII; `check_encoding` lets no other pass.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from math import inf
from typing import Final

from birdbath.soap.faults import ClientFault

SMALL_BYTES: Final = 64 * 1024
"""A shorter document can hold nothing that takes long."""

MAX_DEPTH: Final = 256
"""What the XML parser itself lets pass."""

ENCODINGS: Final = frozenset(
    {"utf-8", "ascii", "iso8859-1", "iso8859-2", "iso8859-15", "cp1250", "cp1251", "cp1252"}
)

_GZIP: Final = b"\x1f\x8b"
_STARTS: Final = frozenset(b"<\xef \t\r\n")
_DECLARATION_WITHIN = 512
_DECLARED = re.compile(rb"""\bencoding\s*=\s*["']([^"']*)""").search
_DATA = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?data(?:\s[^<>]*)?(?<!/)>(?:<!\[CDATA\[)?").search
HEAD_BYTES: Final = 4096
"""Where the element `data` has to begin."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the document of one request, the text of a file's chunk (the element `data` of sendFile) apart.

    document_bytes: bytes of all of it. tags: start and end tags, comments and sections together.
    attributes: attributes of all elements together. depth: elements within each other, the envelope included;
    at most MAX_DEPTH.
    """

    document_bytes: int = 2 * 1024 * 1024
    tags: int = 32_000
    attributes: int = 32_000
    depth: int = MAX_DEPTH

    def longest(self, head: bytes) -> float:
        """The most bytes that a request which begins like this can be allowed, by its first 4 KiB."""
        return self.document_bytes if _DATA(head, 0, HEAD_BYTES) is None else inf

    def check(self, document: bytes) -> None:
        """Raise ClientFault when there is more of anything; the text names the bound."""
        if len(document) <= SMALL_BYTES:
            return
        rest = _without_data(document)
        if len(rest) > self.document_bytes:
            raise ClientFault(f"The request without its data is longer than {self.document_bytes} bytes")
        if rest.count(b"<") > self.tags:
            raise ClientFault(f"The request has more than {self.tags} tags")
        if (rest.count(b'"') + rest.count(b"'")) // 2 > self.attributes:
            raise ClientFault(f"The request has more than {self.attributes} attributes or quotations")
        if b"<!DOCTYPE" in rest:
            raise ClientFault("A request as long as this may have no document type declaration")


USUAL: Final = Bounds()


def check_encoding(document: bytes) -> None:
    """Raise ClientFault for a document in an encoding of which no byte may be looked at by itself."""
    if document.startswith(_GZIP):
        raise ClientFault("The request is compressed with gzip, which is not understood: send it as it is")
    if b"\0" in document[:4] or document.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ClientFault("The request is in UTF-16 or UTF-32; UTF-8 or ISO-8859-1 are understood")
    if document[0] not in _STARTS:
        raise ClientFault("The request is not well-formed XML: it does not begin with '<'")
    if b"<?xml" not in document[:8]:
        return
    declaration, end, _ = document[:_DECLARATION_WITHIN].partition(b"?>")
    declared = _DECLARED(declaration)
    if not end or (declared is not None and _python_name(declared[1]) not in ENCODINGS):
        raise ClientFault("The encoding that the request declares is not understood; UTF-8 or ISO-8859-1 are")


def _python_name(encoding: bytes) -> str:
    try:
        return codecs.lookup(encoding.decode("ascii")).name
    except (LookupError, ValueError):
        return ""


def _without_data(document: bytes) -> bytes:
    """The document without the text of its first element `data`, if that is nothing but text."""
    tag = _DATA(document, 0, HEAD_BYTES)
    if tag is None:
        return document
    start, end = tag.end(), document.find(b"<", tag.end())
    # A quotation mark would say that the tag has not ended where it seems to, but in a value of its own.
    if end < 0 or any(document.find(mark, start, end) >= 0 for mark in (b'"', b"'")):
        return document
    return document[:start] + document[end:]
