"""A follower: a place in the event log, a filter, and what its caller may see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.log import READ_AT_ONCE, EventLog

_FEW = 20


@dataclass(frozen=True)
class Batch:
    """What a follower gets next.

    `entries` pass the filter, in order. Every event up to sequence number `through` is dealt with when these
    are: it is what to acknowledge. `missed` events before these were deleted by retention and nobody knows
    whether they would have passed.
    """

    entries: Sequence[Entry]
    through: int
    missed: int = 0


class Follower:
    """Reads the log from `position` (exclusive), in order; for one task.

    `sees` tells by the owner of a job whether its events may be shown at all.
    """

    def __init__(
        self, log: EventLog, position: int, filter: Filter, sees: Callable[[str], bool] = lambda owner: True
    ) -> None:
        self._log = log
        self._sees = sees
        self.position = position
        self.filter = filter
        self.filter_since = position
        self._sleep: asyncio.Timeout | None = None

    def use(self, filter: Filter) -> int:
        """Apply another filter to every event that was not yet handed out by `next`, and no other.

        Returns the sequence number after which it holds, which is `filter_since` too.
        """
        self.filter, self.filter_since = filter, self.position
        if self._sleep is not None and not self._sleep.expired():
            self._sleep.reschedule(0.0)  # whoever sleeps in `next` looks again
        return self.position

    async def next(
        self, most: int = READ_AT_ONCE, wait: float | None = None, heed_filter: bool = False
    ) -> Batch:
        """The next events that pass: at least one, unless something was missed or `wait` seconds are over.

        Returns as soon as there is something. With `wait` 0 it looks at all that is committed, and returns.
        With `heed_filter` it returns, with nothing, when the filter is replaced while it waits.
        """
        missed = self._skip_deleted()
        deadline = None if wait is None else asyncio.get_running_loop().time() + wait
        while True:
            filter, entries = self.filter, await self._log.entries(self.position, most)
            passing = await self._passing(filter, entries)
            if filter is not self.filter:
                continue  # changed meanwhile: what was not handed out is judged by the new one
            if entries:
                if entries[0].event.sequence > self.position + 1:
                    missed += entries[0].event.sequence - self.position - 1
                self.position = entries[-1].event.sequence
            if passing or missed:
                return Batch(passing, self.position, missed)
            if not entries and (missed := self._skip_deleted()):
                return Batch((), self.position, missed)
            if entries or await self._newer(deadline):
                continue
            if filter is self.filter or heed_filter:
                return Batch((), self.position)

    def _skip_deleted(self) -> int:
        missed = max(0, self._log.oldest - 1 - self.position)
        self.position += missed
        return missed

    async def _passing(self, filter: Filter, entries: Sequence[Entry]) -> Sequence[Entry]:
        if filter.constraint and len(entries) > _FEW:  # evaluation takes long enough for others to notice
            return await asyncio.to_thread(self._select, filter, entries)
        return self._select(filter, entries)

    def _select(self, filter: Filter, entries: Sequence[Entry]) -> Sequence[Entry]:
        return [entry for entry in entries if self._sees(entry.event.owner) and filter.passes(entry)]

    async def _newer(self, deadline: float | None) -> bool:
        try:
            async with asyncio.timeout_at(deadline) as self._sleep:
                await self._log.newer(self.position)
        except TimeoutError:
            await self._log.caught_up()
        finally:
            self._sleep = None
        return self._log.newest > self.position
