"""Events read back from what Birdbath, or an event log in JSON or XML, says of them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime

from birdbath.classads import Ad
from birdbath.classads.documents import nested_ad, parse_ads
from birdbath.errors import BirdbathError
from birdbath.events.record import EventRecord

_NAMESPACE = uuid.UUID("0f4b1f5e-9a8b-5f0e-8b53-6a2f5b8f2d61")


class NotAnEvent(BirdbathError):
    """The text is no event in the form that was expected."""


def from_cloudevent(body: bytes) -> EventRecord:
    """The event in a CloudEvents structured JSON text, as `forms.cloudevent` writes it. Raises NotAnEvent."""
    try:
        (envelope,) = parse_ads(body.decode(), "json")
        data = nested_ad(envelope, "data")
        time = datetime.fromisoformat(envelope.string("time")).timestamp()
        number = envelope.string("sequence")
        sequence = int(number) if number.isdecimal() else 0
    except (BirdbathError, ValueError) as error:
        raise NotAnEvent(f"no CloudEvents JSON: {error}") from None
    if data is None or "EventTypeNumber" not in data or not envelope.string("id"):
        raise NotAnEvent("a CloudEvents JSON without the data of a job event")
    found = record(
        data,
        time=time,
        sequence=sequence,
        id=envelope.string("id"),
        owner=envelope.string("owner"),
    )
    return replace(found, source=envelope.string("source"))


def record(ad: Ad, *, time: float, sequence: int, id: str, owner: str) -> EventRecord:
    """The event that an ad of an event log describes; its EventTime is left out of the ad."""
    kept = Ad(ad)
    kept.delete("EventTime")
    cluster, proc = ad.integer("Cluster", -1), ad.integer("Proc", -1)
    return EventRecord(sequence, id, time, ad.integer("EventTypeNumber", -1), cluster, proc, owner, kept)


def event_time(ad: Ad) -> float:
    """EventTime of an event ad in seconds since the epoch; without a zone it is local time. Raises
    NotAnEvent.
    """
    try:
        moment = datetime.fromisoformat(ad.string("EventTime"))
    except ValueError:
        raise NotAnEvent(f"no time of an event: {ad.string('EventTime')[:40]!r}") from None
    return moment.timestamp()


def derived_id(*parts: str | int) -> str:
    """An id that is the same whenever it is derived from the same parts."""
    return str(uuid.uuid5(_NAMESPACE, "\0".join(map(str, parts))))
