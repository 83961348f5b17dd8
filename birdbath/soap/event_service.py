"""The Spyne service `urn:birdbath:events`: following the event log from any toolkit."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from birdbath.notify.calls import EventPage, SubscriptionState, WantedFilter
from birdbath.soap import event_types, replies
from birdbath.soap.event_types import Filter, Position
from birdbath.soap.operations import Operations
from birdbath.soap.protocol import CondorSoap
from birdbath.soap.services import operation, service
from birdbath.soap.types import Int, Text

FILTER: Final = ("filter", Filter)
ID: Final = ("id", Text)
LEASE: Final = ("lease", Int)
AFTER: Final = ("after", Position)


@operation(
    "getEvents",
    AFTER,
    ("max", Int),
    ("wait", Int),
    FILTER,
    ("subscription", Text),
    returns=event_types.EventsAndStatus,
)
def get_events(
    operations: Operations,
    after: int,
    most: int,
    wait: int,
    filter: WantedFilter,
    subscription: str | None,
) -> EventPage:
    """The events after a sequence number, as soon as there is one that passes, within so many seconds."""
    return operations.events.get_events(after, most, wait, filter, subscription)


@operation("subscribe", FILTER, AFTER, LEASE, returns=event_types.SubscriptionAndStatus)
def subscribe(operations: Operations, filter: WantedFilter, after: int, lease: int) -> SubscriptionState:
    """A cursor that the server keeps, for so many seconds."""
    return operations.events.subscribe(filter, after, lease)


@operation("renew", ID, LEASE, returns=event_types.SubscriptionAndStatus)
def renew(operations: Operations, key: str | None, lease: int) -> SubscriptionState:
    """Let a subscription live for so many more seconds."""
    return operations.events.renew(key, lease)


@operation("updateFilter", ID, FILTER, returns=event_types.SubscriptionAndStatus)
def update_filter(operations: Operations, key: str | None, filter: WantedFilter) -> SubscriptionState:
    """Replace the filter of a subscription, for all events that were not sent yet."""
    return operations.events.update_filter(key, filter)


@operation("unsubscribe", ID, returns=event_types.Status)
def unsubscribe(operations: Operations, key: str | None) -> None:
    """End a subscription."""
    return operations.events.unsubscribe(key)


Events: Final = service("Events", get_events, subscribe, renew, update_filter, unsubscribe)


class EventsSoap(CondorSoap):
    """The same SOAP in the namespace of the events."""

    prefix = "events"
    declaration = f' xmlns:events="{event_types.NAMESPACE}"'
    readers = event_types.READERS
    writers = MappingProxyType({**replies.WRITERS, **event_types.WRITERS})
