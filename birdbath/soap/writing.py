"""Pieces of replies: escaping, the envelope's fixed bytes, ads (reference sections 1.4 and 5.1).

Replies are written as bytes without a tree: the form is fixed down to the byte, and an ad list must not be
copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from math import inf
from typing import Final

from birdbath.classads import HIDDEN, AdList, AdRecord, elements
from birdbath.classads.elements import KIND_NAMES, SHOWN_KINDS, Written, escape, escape_allowed
from birdbath.errors import RequestFault

START: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"'
    b' xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"'
    b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    b' xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
    b' xmlns:condor="urn:condor">'
)
START_12: Final = START.replace(
    b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope"
)
HEADER: Final = b"<SOAP-ENV:Header></SOAP-ENV:Header>"
END: Final = b"</SOAP-ENV:Envelope>"

_FORBIDDEN_BUT_SEPARATOR = re.compile("[\0-\x08\x0b\x0c\x0e-\x1e\ud800-\udfff\ufffe\uffff]")
_SEPARATOR: Final = "\x1f"
_FORMS: Final[dict[tuple[Sequence[str], Sequence[str]], _Form]] = {}
_FORMS_LIMIT = 1000
"""Forms that are remembered; clients may invent any number of them."""


def element(name: str, text: str | None) -> str:
    """An element with text, or nothing where there is none."""
    return "" if text is None else f"<{name}>{escape(text)}</{name}>"


class Later(bytes):
    """The place, among the chunks of a reply, of ads that are not there yet."""

    ads: Iterator[Future[bytes]]


def enveloped(chunks: Iterable[bytes], *, has_header: bool = False, soap_12: bool = False) -> list[bytes]:
    """The whole reply around the content of its Body; with an empty Header when the request had one."""
    start = START_12 if soap_12 else START
    header = HEADER if has_header else b""
    return [b"".join((start, header, b"<SOAP-ENV:Body>")), *chunks, b"</SOAP-ENV:Body>" + END]


# ---------------------------------------------------------------- ads


class Rendering(bytes):
    """What follows the ServerTime value of an ad; empty for an ad without attributes.

    It remembers the ad's types, so that a cached ad is answered without a look at its source.
    """

    types: tuple[str, str]


class TooMuch(RequestFault):
    """An answer would be longer than answers may be."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"The answer is longer than {most_bytes} bytes: ask for less by a constraint, or page by page"
            " (urn:birdbath:queries)"
        )


def ad_chunks(ads: AdList) -> list[bytes]:
    """The children of a ClassAdStructArray: one item per ad, none for an ad without attributes. Raises
    TooMuch; of ads that are written already, by an estimate.
    """
    if ads.written is not None:
        return _written_chunks(ads.written, ads.most_bytes)
    chunks: list[bytes] = []
    left = ads.most_bytes or inf
    append = chunks.append
    openings: dict[tuple[str, str], bytes] = {}
    for record in ads.records:
        rendering = record.rendering
        if not isinstance(rendering, Rendering):
            rendering = render(record)
        if not rendering:
            continue
        opening = openings.get(rendering.types)
        if opening is None:
            opening = openings[rendering.types] = b"</item><item>" + specials(rendering, ads.server_time)
        append(opening)
        append(rendering)
        left -= len(opening) + len(rendering)
        if left < 0:
            raise TooMuch(ads.most_bytes)
    if chunks:
        chunks[0] = chunks[0].removeprefix(b"</item>")
        append(b"</item>")
    return chunks


def _written_chunks(written: Written, most_bytes: int) -> list[bytes]:
    if written.size > (most_bytes or inf):
        raise TooMuch(most_bytes)
    later = Later()
    later.ads = written.later
    return [written.first, later]


def single_ad(ads: AdList) -> list[bytes]:
    """A `classAd` element with the first ad, or nothing for an ad without attributes."""
    record = ads.records[0]
    rendering = record.rendering if isinstance(record.rendering, Rendering) else render(record)
    if not rendering:
        return []
    return [b"<classAd>", specials(rendering, ads.server_time), rendering, b"</classAd>"]


def specials(rendering: Rendering, server_time: int) -> bytes:
    """The three leading attributes of an ad up to the ServerTime value; its rendering follows."""
    return elements.specials(*rendering.types, server_time).encode()


def render(record: AdRecord) -> Rendering:
    """Render an ad and keep the rendering with its record."""
    columns = record.columns()
    form = _FORMS.get((columns.names, columns.kinds)) or _Form.of(columns.names, columns.kinds)
    rendering = form.filled(columns.texts, columns.plain)
    record.keep_rendering(rendering)
    return rendering


class _Form:
    """What ads with the same attributes of the same kinds, in the same order, have in common: all but the
    values. Most ads of a queue have one of a few forms.
    """

    __slots__ = ("_parts", "_shown", "_types")

    def __init__(self, names: Sequence[str], kinds: Sequence[str]) -> None:
        lower = [name.lower() for name in names]
        self._types = [lower.index(name) if name in lower else None for name in ("mytype", "targettype")]
        self._shown = [
            place for place, kind in enumerate(kinds) if kind in SHOWN_KINDS and lower[place] not in HIDDEN
        ]
        openings = [elements.opening(names[place], kinds[place]) for place in self._shown]
        self._parts = [part for opening in openings for part in (opening, "")]

    @classmethod
    def of(cls, names: tuple[str, ...], kinds: tuple[str, ...]) -> _Form:
        """The form, made and remembered."""
        if len(_FORMS) >= _FORMS_LIMIT:
            _FORMS.clear()
        form = _FORMS[names, kinds] = cls(names, kinds)
        return form

    def filled(self, texts: Sequence[str], plain: bool) -> Rendering:
        """The rendering of an ad with these values; when `plain`, XML can carry all their characters.

        All values are escaped together, as one text cut by a character that cannot occur in XML: five passes
        over one text take a tenth of the time of eighty searches.
        """
        my_type, target_type = ("" if place is None else texts[place] for place in self._types)
        values = [texts[place] for place in self._shown]
        if values:
            parts = self._parts.copy()
            parts[1::2] = _all_escaped(values, plain)
            rendering = Rendering(("".join(parts) + "</value></item>").encode())
        else:
            rendering = Rendering()
        rendering.types = my_type, target_type
        return rendering


def _all_escaped(values: list[str], plain: bool) -> list[str]:
    joined = _SEPARATOR.join(values)
    if not plain and (joined.count(_SEPARATOR) != len(values) - 1 or _FORBIDDEN_BUT_SEPARATOR.search(joined)):
        return [escape(value) for value in values]
    return escape_allowed(joined).split(_SEPARATOR)


def kind_name(kind: str) -> str:
    """The name of an attribute's type in the schema, by its letter."""
    return KIND_NAMES[kind]
