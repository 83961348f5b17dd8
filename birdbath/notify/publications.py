"""What is published to a broker, by whichever protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from birdbath.events import EventRecord, Form, event_name, routing_key
from birdbath.events.forms import TYPE_PREFIX

CONFIRM_TIMEOUT = 30.0
"""Seconds that a broker has to confirm a message before the connection is given up."""


@dataclass(frozen=True)
class Publication:
    """One event on its way to a broker."""

    event: EventRecord
    body: bytes
    media_type: str

    @property
    def key(self) -> str:
        """The routing key."""
        event = self.event
        return routing_key(event.type, event.owner, event.cluster, event.proc)

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return TYPE_PREFIX + event_name(self.event.type)

    @property
    def headers(self) -> Mapping[str, int | str]:
        """What can be known of the event without reading the body."""
        event = self.event
        return {
            "sequence": event.sequence,
            "owner": event.owner,
            "cluster": event.cluster,
            "proc": event.proc,
        }


def publication(event: EventRecord, form: Form) -> Publication:
    """The event in a form."""
    return Publication(event, form(event), form.media_type)


class Publishes(Protocol):
    """A publisher over one connection."""

    async def publish(self, batch: Sequence[Publication]) -> None:
        """Send a batch in its order and return when the broker has, for good, every message of it.

        May be called for the next batch while this one is being confirmed: they arrive in this order.

        Raises one of BROKER_ERRORS otherwise; then any of the batch may have arrived, and all of it has to
        be sent again: over a new connection the broker gets it after what it got over this one, so that what
        arrives for the first time arrives in order.
        """
        ...
