"""The types of the service `urn:birdbath:events`, in the original style; how they are read and written."""

from __future__ import annotations

from typing import Any, Final

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import ComplexModel, DateTime, Integer32, Integer64, Unicode

from birdbath.classads.elements import escape
from birdbath.events import EventRecord, event_name, routing_key
from birdbath.events.forms import event_ad, rfc3339
from birdbath.notify.calls import EventPage, SubscriptionState, WantedFilter
from birdbath.soap import types
from birdbath.soap.envelope import Element, Envelope
from birdbath.soap.reading import MessageReader, Reader, read_text, read_texts
from birdbath.soap.replies import Outcome, Writer, status_text
from birdbath.soap.types import many, optional, possible, present, required
from birdbath.soap.writing import kind_name

NAMESPACE: Final = "urn:birdbath:events"

assert spyne_compat.SIX_MOVES

_COMMON: Final = types.common_types(NAMESPACE)
_, _, Status, _, ClassAdStruct = _COMMON


class TopicArray(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(Unicode)),)


class EventFilter(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("topics", optional(TopicArray)), ("constraint", optional(Unicode)))


class Event(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("sequence", required(Integer64)),
        ("id", present(Unicode)),
        ("time", required(DateTime)),
        ("type", required(Integer32)),
        ("name", present(Unicode)),
        ("clusterId", required(Integer32)),
        ("jobId", required(Integer32)),
        ("owner", present(Unicode)),
        ("routingKey", present(Unicode)),
        ("ad", optional(ClassAdStruct)),
    )


class EventArray(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(Event)),)


class EventsAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("status", required(Status)),
        ("events", optional(EventArray)),
        ("last", possible(Integer64)),
        ("missed", possible(Integer64)),
    )


class Subscription(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("id", present(Unicode)),
        ("cursor", required(Integer64)),
        ("expires", required(Integer32)),
    )


class SubscriptionAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("status", required(Status)), ("subscription", optional(Subscription)))


TYPES: Final[tuple[types.SpyneType, ...]] = (
    *_COMMON,
    TopicArray,
    EventFilter,
    Event,
    EventArray,
    EventsAndStatus,
    Subscription,
    SubscriptionAndStatus,
)
Filter: Final = optional(EventFilter)
Position: Final = required(Integer64)

# ---------------------------------------------------------------- in


_FILTER = MessageReader([("topics", read_texts, []), ("constraint", read_text, None)])


def read_filter(element: Element, envelope: Envelope) -> WantedFilter:
    """The topics and the constraint of a filter, as they came."""
    topics, constraint = _FILTER.read(element, envelope)
    return topics, constraint


# ---------------------------------------------------------------- out


def events_and_status(outcome: Outcome) -> list[bytes]:
    """EventsAndStatus: an empty list is an empty element; after a failure there is only the status."""
    page: EventPage | None = outcome.value
    if page is None:
        return [f"<status>{status_text(outcome)}</status>".encode()]
    chunks = [f"<status>{status_text(outcome)}</status><events>".encode()]
    chunks += [entry.rendered(_event) for entry in page.entries]
    chunks.append(f"</events><last>{page.last}</last><missed>{page.missed}</missed>".encode())
    return chunks


def _event(event: EventRecord) -> bytes:
    key = routing_key(event.type, event.owner, event.cluster, event.proc)
    attributes = "".join(
        f"<item><name>{escape(name)}</name><type>{kind_name(kind)}</type><value>{escape(text)}</value></item>"
        for name, kind, text in event_ad(event)
    )
    return (
        f"<item><sequence>{event.sequence}</sequence><id>{event.id}</id>"
        f"<time>{rfc3339(event.time)}</time><type>{event.type}</type>"
        f"<name>{event_name(event.type)}</name><clusterId>{event.cluster}</clusterId>"
        f"<jobId>{event.proc}</jobId><owner>{escape(event.owner)}</owner>"
        f"<routingKey>{escape(key)}</routingKey><ad>{attributes}</ad></item>"
    ).encode()


def subscription_and_status(outcome: Outcome) -> list[bytes]:
    """SubscriptionAndStatus."""
    state: SubscriptionState | None = outcome.value
    told = (
        ""
        if state is None
        else (
            f"<subscription><id>{escape(state.id)}</id><cursor>{state.cursor}</cursor>"
            f"<expires>{state.expires}</expires></subscription>"
        )
    )
    return [f"<status>{status_text(outcome)}</status>{told}".encode()]


WRITERS: Final[dict[str, Writer]] = {
    "EventsAndStatus": events_and_status,
    "SubscriptionAndStatus": subscription_and_status,
}
READERS: Final[dict[str, tuple[Reader, Any]]] = {"EventFilter": (read_filter, None)}
