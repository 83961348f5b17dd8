"""What a listener and its two ends agree on: deliveries come from a source and go to a sink."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from birdbath.errors import BirdbathError
from birdbath.events import EventRecord
from birdbath.notify.filters import Filter


@dataclass(frozen=True)
class Delivery:
    """Events as they came, in order; `acknowledge` says that they are dealt with, and all before them.

    What is not acknowledged comes again after a restart, with the same ids. So does what was acknowledged
    when the connection was lost; that is not told.
    """

    events: Sequence[EventRecord]
    acknowledge: Callable[[], Awaitable[None]]


class Source(Protocol):
    """Where a listener gets its events."""

    def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """The deliveries, without end: a source that loses its server goes back to it by itself."""
        ...

    def unapplied(self, filter: Filter) -> Filter:
        """What of `filter` is left to the listener, as the server does not see to it, or not to all of it.

        Raises InvalidFilter for one that nobody here can apply.
        """
        ...

    async def use(self, filter: Filter) -> None:
        """Send the filter back (feedback mode): from now on the server sends only what passes it.

        What was on its way already still comes.
        """
        ...


class Sink(Protocol):
    """Where a listener puts them."""

    async def deliver(self, events: Sequence[EventRecord]) -> None:
        """Return when the events are where they belong, for good, or can never be, which is logged.

        Raises SinkFailed to be asked again for those that it says are left.
        """
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...


class SinkFailed(BirdbathError):
    """Events did not arrive, but for the first `taken` of them; what is wrong may pass."""

    def __init__(self, text: str, taken: int = 0) -> None:
        super().__init__(text)
        self.taken = taken
