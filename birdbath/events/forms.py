"""The forms that a follower may ask for; each is one function from an event to bytes.

CloudEvents 1.0 structured JSON, HTCondor's event log in text, JSON and XML, and the ClassAd in new syntax.
What the log forms give can be appended to a file that HTCondor's own reader reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from birdbath.classads import Ad
from birdbath.classads.documents import to_classad, to_json, to_xml
from birdbath.errors import BirdbathError
from birdbath.events.record import EventRecord
from birdbath.events.text import event_text
from birdbath.events.types import event_name

SPEC_VERSION = "1.0"
TYPE_PREFIX = "org.htcondor.job."
_FIRST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


class UnknownForm(BirdbathError):
    """There is no such form, or no such format option; the text names those there are."""


@dataclass(frozen=True)
class FormatOptions:
    """HTCondor's EVENT_LOG_FORMAT_OPTIONS for times (event reference section 1).

    By default local time in ISO form; the text form in whole seconds, as HTCondor's own default is.
    """

    iso_date: bool = True
    utc: bool = False
    sub_second: bool = False

    @classmethod
    def parse(cls, text: str) -> FormatOptions:
        """Options separated by blanks or commas: `ISO_DATE`, `UTC`, `SUB_SECOND`, `LEGACY`; `!` negates.

        Raises UnknownForm for any other word.
        """
        chosen = {"iso_date": True, "utc": False, "sub_second": False}
        for word in text.replace(",", " ").split():
            name = word.removeprefix("!").lower()
            if name == "legacy":
                chosen = dict.fromkeys(chosen, word.startswith("!"))
            elif name in chosen:
                chosen[name] = not word.startswith("!")
            else:
                raise UnknownForm(
                    f"No format option {word!r}: there are ISO_DATE, UTC, SUB_SECOND and LEGACY"
                )
        return cls(**chosen)


DEFAULT_OPTIONS = FormatOptions()


def cloudevent(event: EventRecord, source: str = "", options: FormatOptions = DEFAULT_OPTIONS) -> bytes:
    """CloudEvents 1.0, structured mode: `data` is the event ad as the JSON event log has it; `source` is that
    of events that have none of their own.
    """
    envelope = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source or source,
        "type": TYPE_PREFIX + event_name(event.type),
        "subject": subject(event),
        "time": rfc3339(event.time),
        "datacontenttype": "application/json",
        "sequence": str(event.sequence),
        "owner": event.owner,
        "data": orjson.Fragment(to_json(event_ad(event, options))),
    }
    return orjson.dumps({name: value for name, value in envelope.items() if value != ""})


def text(event: EventRecord, source: str = "", options: FormatOptions = DEFAULT_OPTIONS) -> bytes:
    """The classic text form, from the number to the line of three dots."""
    job = ".".join(f"{number:03}" for number in (event.cluster, event.proc, event.subproc))
    head = f"{event.type:03} ({job}) {_text_time(event.time, options)} "
    ad = event_ad(event, options)
    return f"{head}{event_text(event.type, ad)}...\n".encode(errors="replace")


def json(event: EventRecord, source: str = "", options: FormatOptions = DEFAULT_OPTIONS) -> bytes:
    """The JSON event log form: the event ad as an object on one line."""
    return to_json(event_ad(event, options)) + b"\n"


def xml(event: EventRecord, source: str = "", options: FormatOptions = DEFAULT_OPTIONS) -> bytes:
    """The XML event log form: the event ad as a `<c>` element."""
    return to_xml(event_ad(event, options)).encode(errors="replace")


def classad(event: EventRecord, source: str = "", options: FormatOptions = DEFAULT_OPTIONS) -> bytes:
    """The event ad in new ClassAd syntax, on one line."""
    return f"{to_classad(event_ad(event, options))}\n".encode(errors="replace")


_Renderer = Callable[[EventRecord, str, FormatOptions], bytes]

FORMS: Mapping[str, tuple[_Renderer, str]] = {
    "cloudevents": (cloudevent, "application/cloudevents+json; charset=utf-8"),
    "text": (text, "text/plain; charset=utf-8"),
    "json": (json, "application/json; charset=utf-8"),
    "xml": (xml, "application/xml; charset=utf-8"),
    "classad": (classad, "text/plain; charset=utf-8"),
}
"""Of each form its function and its media type."""


@dataclass(frozen=True)
class Form:
    """A form as a follower asked for it: a function from an event to bytes, equal to others alike.

    `source` is the URI of the pool, which CloudEvents names. Made by `form`.
    """

    name: str
    source: str = ""
    options: FormatOptions = DEFAULT_OPTIONS

    def __call__(self, event: EventRecord) -> bytes:
        return FORMS[self.name][0](event, self.source, self.options)

    @property
    def media_type(self) -> str:
        """The media type of what it gives."""
        return FORMS[self.name][1]


def form(name: str, source: str = "", options: FormatOptions = DEFAULT_OPTIONS) -> Form:
    """The form called `name`, in any case. Raises UnknownForm."""
    if name.lower() not in FORMS:
        raise UnknownForm(f"No event form {name!r}: there are {', '.join(FORMS)}")
    return Form(name.lower(), source, options)


def subject(event: EventRecord) -> str:
    """The job as CloudEvents' subject: `12.0`; `12` for a whole cluster's event, empty for one of no job."""
    return ".".join(str(number) for number in (event.cluster, event.proc) if number >= 0)


def event_ad(event: EventRecord, options: FormatOptions = DEFAULT_OPTIONS) -> Ad:
    """The event's ad with its EventTime, as the log forms print it: milliseconds only when there are any."""
    ad = Ad(event.ad)
    ad.set("EventTime", _event_time(event.time, options))
    return ad


def moment(time: float, utc: bool) -> datetime:
    """Seconds since the epoch as a time, to the millisecond; beyond the calendar, which logs and brokers may
    bring, its first or last one that there is in every zone.
    """
    within = min(max(time, _FIRST), _LAST)
    found = datetime.fromtimestamp(round(within * 1000) / 1000, UTC)
    return found if utc else found.astimezone()


def rfc3339(time: float) -> str:
    """Seconds since the epoch in UTC, with milliseconds."""
    return moment(time, utc=True).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event_time(time: float, options: FormatOptions) -> str:
    found = moment(time, options.utc).replace(tzinfo=None)
    text = found.isoformat(timespec="milliseconds" if found.microsecond else "seconds")
    return f"{text}Z" if options.utc else text


def _text_time(time: float, options: FormatOptions) -> str:
    found = moment(time, options.utc)
    text = found.strftime("%Y-%m-%d %H:%M:%S" if options.iso_date else "%m/%d %H:%M:%S")
    milliseconds = f".{found.microsecond // 1000:03}" if options.sub_second else ""
    return f"{text}{milliseconds}{'Z' if options.utc else ''}"
