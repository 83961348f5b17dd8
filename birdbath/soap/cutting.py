"""What is read from a request before it is parsed as XML: the data of a chunk, and the items of a job's ad.

Both make up nearly all of a request, and parsing them takes several times as long as reading them from the
bytes. Only the plainest form is cut out, in a document without comments, CDATA, DTD and processing
instructions, so that the rest means the same without it, and is parsed as strictly as ever.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import pybase64

from birdbath.classads import Item
from birdbath.classads.elements import KIND_NAMES
from birdbath.soap.bounds import SMALL_BYTES

CutOut: TypeAlias = bytes | list[Item] | None

DATA_BYTES: Final = 2 * 1024
"""From this length on, base64 text is not given to the XML parser."""

MAX_DATA_BYTES: Final = 8 * 1024 * 1024
"""Longer base64 text takes milliseconds to decode."""

MARK: Final = "*"
"""The text of an element that something was cut out of; no base64 text has it, and no ad has text."""

_TAG_WITHIN = 4096
_DATA_TAG = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?data(?:\s[^<>]*)?(?<!/)>").search
_AD_TAG = re.compile(rb"<jobAd(?:\s[^<>]*)?(?<!/)>").search
_AD_END: Final = b"</jobAd>"
_ITEM = re.compile(
    r"<item><name>([^<&]*)</name><type>([A-Z-]*)</type><value>([^<]*)</value></item>", re.ASCII
).split
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))
_KINDS: Final = {name: letter for letter, name in KIND_NAMES.items()}


def decoded(text: bytes | memoryview | str) -> bytes | None:
    """Base64 with any white space as bytes; None when it is something else."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:  # it may only be broken into lines, as some toolkits do
        pass
    try:
        plain = text.encode("ascii") if isinstance(text, str) else bytes(text)
        return pybase64.b64decode(plain.translate(None, b" \t\r\n"), validate=True)
    except ValueError:
        return None


def cut(request: bytes) -> tuple[bytes, CutOut]:
    """A request without the base64 text of its element `data`, and that decoded, or without the items of its
    element `jobAd`, and those; or as it is, and None.
    """
    if len(request) <= DATA_BYTES:
        return request, None
    tag = _AD_TAG(request, 0, _TAG_WITHIN)
    if tag is not None:
        return _cut_ad(request, tag.end())
    tag = _DATA_TAG(request, 0, _TAG_WITHIN)
    if tag is None:
        return request, None
    start, end = tag.end(), request.find(b"<", tag.end())
    if not DATA_BYTES <= end - start <= MAX_DATA_BYTES:
        return request, None
    rest = _rest(request, start, end)
    if rest is None:
        return request, None
    data = decoded(memoryview(request)[start:end])
    return (request, None) if data is None else (rest, data)


def _cut_ad(request: bytes, start: int) -> tuple[bytes, CutOut]:
    end = request.find(_AD_END, start)
    rest = _rest(request, start, end) if end >= 0 and len(request) <= SMALL_BYTES else None
    items = None if rest is None else _plain_items(request[start:end])
    return (request, None) if rest is None or items is None else (rest, items)


def _plain_items(data: bytes) -> list[Item] | None:
    """The items, if there is nothing but items, in ASCII, written as nearly every client does."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    parts = _ITEM(text)  # of each item what is before it, its name, type and value
    if any(parts[::4]) or len(parts) == 1 or not text.isprintable() or "]]>" in text:
        return None
    values = parts[3::4]
    if references := text.count("&"):
        if references != sum(text.count(entity) for entity, _ in _ENTITIES):
            return None
        values = [_unescaped(value) if "&" in value else value for value in values]
    try:
        return list(zip(parts[1::4], [_KINDS[kind] for kind in parts[2::4]], values, strict=True))
    except KeyError:  # a number, or what is no type at all
        return None


def _unescaped(text: str) -> str:
    for entity, character in _ENTITIES:  # the ampersand last: what it stands before is text then
        text = text.replace(entity, character)
    return text


def _rest(request: bytes, start: int, end: int) -> bytes | None:
    """The request with the mark in place of what is between the two; None if that may mean something else."""
    rest = b"".join((request[:start], MARK.encode(), request[end:]))
    return None if b"<!" in rest or b"<?" in rest[1:] else rest
