"""What is published to a broker, by whichever protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from birdbath.events import EventRecord, Form, event_name, routing_key
from birdbath.events.forms import TYPE_PREFIX

CONFIRM_TIMEOUT = 30.0
"""Seconds that a broker has to confirm a message before the connection is given up."""


class Refused(ConnectionError):
    """The broker has not taken all of a batch, though it is there: a queue of its may be full."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"{count} of {most} events were refused; a queue may be full")


class Portions:
    """How many events are published at a time: `most`, one when something was refused, and then, while all
    is taken, twice as many each time.

    A full queue has room for a few now and then. Of many at a time it would take the same first ones for
    ever, later ones before those that it refused, and the queues beside it would get all of them each time.
    """

    def __init__(self, most: int) -> None:
        self._most = self.size = most

    @property
    def are_whole(self) -> bool:
        """Whether nothing was refused lately."""
        return self.size == self._most

    def taken(self) -> None:
        """All of a portion was taken."""
        self.size = min(2 * self.size, self._most)

    def failed(self, error: Exception) -> None:
        """A portion was not, by this error."""
        if isinstance(error, Refused):
            self.size = 1


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
