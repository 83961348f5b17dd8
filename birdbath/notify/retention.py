"""Retention: how long events are kept, and what is owed to followers that have not got them yet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from birdbath.notify.log import EventLog
from birdbath.notify.subscriptions import Subscriptions
from birdbath.store import UnitOfWork, Writer, event_log

_log = logging.getLogger(__name__)

CHUNK = 1000


@dataclass(frozen=True)
class RetentionSettings:
    """How many events are kept, at most, and for how many seconds of the pool's time; 0: for good.

    Events that a subscription has not acknowledged stay longer, up to `max_held_rows` in all.
    """

    max_age: float = 30 * 86400.0
    max_rows: int = 1_000_000
    max_held_rows: int = 10_000_000


class Retention:
    """Deletes old events, never past a subscription's cursor without saying so.

    What a subscription still lacks is kept. Only past `max_held_rows` it is deleted too: then the log names
    the subscription, and its follower is told how many events it missed.
    """

    def __init__(
        self,
        settings: RetentionSettings,
        writer: Writer,
        log: EventLog,
        subscriptions: Subscriptions,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._log = log
        self._subscriptions = subscriptions
        self._now = now
        self._named: frozenset[str] = frozenset()

    async def apply(self) -> int:
        """Delete what is to be deleted now; how many events that was."""
        await self._log.caught_up()
        self._subscriptions.refresh()  # another server on the database may have made some
        settings, newest, deleted = self._settings, self._log.newest, 0
        too_many = newest - settings.max_rows if settings.max_rows else 0
        too_old = self._now() - settings.max_age if settings.max_age else float("-inf")
        through = self._permitted(newest)

        def prune(unit: UnitOfWork) -> event_log.Pruned:
            return event_log.prune(unit, through, too_many, too_old, CHUNK)

        while True:
            pruned = await self._writer.write(prune)
            deleted += pruned.deleted
            self._log.pruned(pruned.oldest)  # another server on the database may have been faster
            if pruned.deleted < CHUNK:
                return deleted

    def _permitted(self, newest: int) -> int:
        """The last event that may be deleted for all that followers are owed."""
        cursors = {known.id: known.cursor for known in self._subscriptions.all()}
        least = min(cursors.values(), default=newest)
        ceiling = newest - self._settings.max_held_rows
        if least >= ceiling:
            self._named = frozenset()
            return least
        losing = frozenset(key for key, cursor in cursors.items() if cursor < ceiling)
        for key in losing - self._named:
            _log.warning(
                "The subscription %s loses events %d to %d: it has not taken them, and more than %d are held",
                key,
                cursors[key] + 1,
                ceiling,
                self._settings.max_held_rows,
            )
        self._named = losing
        return ceiling
