"""Event logs of HTCondor taken apart: text, JSON or XML, into events and their ads (event reference 2 and 4).

HTCondor's own reader takes the text form apart. What it cannot read is kept as headline and body.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from birdbath.classads import Ad
from birdbath.classads.documents import ad_from_compiled, parse_ads
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.events.reading import event_time
from birdbath.events.resources import read_table
from birdbath.events.text import DATA_REUSE_LABELS
from birdbath.events.types import EventType, my_type

LogForm = Literal["text", "json", "xml"]

_END_OF_TEXT = re.compile(rb"^\.\.\.\r?\n", re.MULTILINE)
# A string that is not there to its end goes to the end of what is: looked for again from each quotation mark
# within, that end would not be found for hours.
_JSON_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}]', re.DOTALL)
_XML_TOKEN = re.compile(rb"<c>|</c>")
_HEAD = re.compile(
    r"(?P<type>[0-9]{3}) \((?P<cluster>-?[0-9]+)\.(?P<proc>-?[0-9]+)\.(?P<subproc>-?[0-9]+)\) "
    r"(?P<date>[0-9/-]+) (?P<time>[0-9:.]+Z?) ?(?P<head>.*)"
)
_UPDATE = re.compile(r"(?:Setting|Changing) job attribute (\S+) (?:from (.*) )?to (.*)")


class UnreadableLog(BirdbathError):
    """The file is no event log, or holds something that is no event."""


def log_form(data: bytes) -> LogForm | None:
    """The form of a log that begins so; None while it is empty. Raises UnreadableLog."""
    start = data.lstrip()[:1]
    if not start:
        return None
    if start == b"<":
        return "xml"
    if start in b"{[":
        return "json"
    if start.isdigit() or start == b".":
        return "text"
    raise UnreadableLog(f"no event log: it begins with {data[:40]!r}")


def complete_events(data: bytes, form: LogForm) -> Iterator[tuple[int, int]]:
    """Start and end of every event in `data` that is there to its end; what follows the last may still
    grow.
    """
    if form == "text":
        start = 0
        for end in _END_OF_TEXT.finditer(data):
            yield start, end.end()
            start = end.end()
        return
    tokens, opening = (_JSON_TOKEN, b"{") if form == "json" else (_XML_TOKEN, b"<c>")
    depth = start = 0
    for token in tokens.finditer(data):
        if token[0][:1] == b'"':
            continue
        if token[0] == opening:
            start = token.start() if depth == 0 else start
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                yield start, _with_newline(data, token.end())


def _with_newline(data: bytes, end: int) -> int:
    return end + 1 if data[end : end + 1] == b"\n" else end


def read_events(events: Sequence[bytes], form: LogForm) -> list[Ad | UnreadableLog]:
    """The ads of complete events, one each, EventTime among their attributes; for what is no event, why."""
    together = _by_htcondor(b"".join(events)) if form == "text" else None
    read: Sequence[Ad | None] = together or ()
    if len(read) != len(events):  # the reader gave up at one of them
        read = [None] * len(events)
    return [_read(event, form, ad) for event, ad in zip(events, read, strict=True)]


def _read(event: bytes, form: LogForm, ad: Ad | None) -> Ad | UnreadableLog:
    """The ad of one event, of which HTCondor's reader may have made `ad` already."""
    try:
        if form == "text":
            ad = _completed(_text_ad(event) if ad is None else ad, event)
        else:
            ad = _document_ad(event.decode(errors="replace"), form)
        event_time(ad)
    except UnreadableLog as error:
        return error
    except (BirdbathError, ValueError) as error:
        return UnreadableLog(str(error))
    return ad


def _document_ad(text: str, form: Literal["json", "xml"]) -> Ad:
    try:
        (ad,) = parse_ads(text, form)
    except (InvalidAd, ValueError) as error:
        raise UnreadableLog(f"no event in {form.upper()}: {text[:60]!r}: {error}") from None
    return ad


def _text_ad(event: bytes) -> Ad:
    found = _by_htcondor(event)
    return found[0] if found else _by_hand(event.decode(errors="replace"))


def _by_htcondor(log: bytes) -> list[Ad] | None:
    """What HTCondor's reader makes of a log; None when it gives up at something."""
    import htcondor2  # slow to import, and needed by the forwarder only

    descriptor = os.memfd_create("events", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(log)
        with htcondor2.JobEventLog(f"/proc/self/fd/{descriptor}") as reader:
            return [_ad(event) for event in reader.events(stop_after=0)]
    except (htcondor2.HTCondorException, InvalidAd):
        return None
    finally:
        os.close(descriptor)


def _ad(event: object) -> Ad:
    return ad_from_compiled(event._data)  # type: ignore[attr-defined]


def _completed(ad: Ad, event: bytes) -> Ad:
    """The ad with what HTCondor's reader leaves out: values, the resources of a run that was cut
    short, and the body of an event it does not know.
    """
    kind = ad.integer("EventTypeNumber", -1)
    if kind == EventType.ATTRIBUTE_UPDATE and (update := _UPDATE.search(event.decode(errors="replace"))):
        ad.update({"Attribute": update[1], "Value": update[3].rstrip("\r")})
        if update[2] is not None:
            ad.set("PriorValue", update[2])
    elif kind == EventType.JOB_EVICTED:
        ad.update(read_table(event.decode(errors="replace").splitlines()))
    elif kind not in _KNOWN and "EventBody" not in ad:
        body = event.decode(errors="replace").splitlines()[1:-1]
        if body and all(" = " not in line for line in body):
            ad.set("EventBody", "\n".join(body))
    return ad


_KNOWN = frozenset(int(kind) for kind in EventType) - {17, 18, 19, 20, 29, 30, 31, 32}


def _by_hand(text: str) -> Ad:
    head, *body = text.splitlines()
    match = _HEAD.match(head)
    if match is None:
        raise UnreadableLog(f"no event: {head[:60]!r}")
    kind, ad = int(match["type"]), Ad()
    ad.update({"MyType": my_type(kind), "EventTypeNumber": kind})
    ad.update(
        {name.capitalize(): n for name in ("cluster", "proc", "subproc") if (n := int(match[name])) >= 0}
    )
    ad.set("EventTime", f"{match['date'].replace('/', '-')}T{match['time']}")
    labels = {label: name for name, label in DATA_REUSE_LABELS.get(kind, {}).items()}
    for line in (match["head"], *body[:-1]):
        label, _, value = line.strip().partition(": ")
        if label in labels:
            number = value.isdecimal() and labels[label] in ("Size", "ReservedSpace", "ExpirationTime")
            ad.set(labels[label], int(value) if number else value)
    if not labels:
        ad.update({"EventHead": match["head"], "EventBody": "\n".join(body[:-1])})
    return ad
