"""Everything that follows the event log in one server: made with it, started and stopped with it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from sqlalchemy import Engine

from birdbath.access import Caller
from birdbath.notify.filters import Filter
from birdbath.notify.followers import Follower
from birdbath.notify.log import EventLog
from birdbath.notify.metrics import EventMetrics
from birdbath.notify.retention import Retention, RetentionSettings
from birdbath.notify.subscriptions import DEFAULT_LEASE, NoSuchEvent, SubscribedFollower, Subscriptions
from birdbath.notify.tasks import Tasks
from birdbath.notify.visibility import Visibility
from birdbath.store import Writer
from birdbath.store.leadership import Leadership
from birdbath.store.subscriptions import Subscription

_log = logging.getLogger(__name__)

EXPIRY_CHECK = 5.0
RETENTION_INTERVAL = 60.0

Deliver = Callable[[Subscription], Awaitable[None]]
"""Follows one subscription until cancelled: what a kind of pushing follower is."""


class Notifier:
    """The event log, its subscriptions, and the tasks that push events out.

    `kinds` says by the kind of a subscription how its events are pushed; a kind that is not in it is followed
    by whoever connects. `source` is the pool's URI, which forms name. Add kinds and `services` (tasks that
    find or make their own subscription) before `running`. `unserved` are the ids of subscriptions that such
    services have had and the settings ask for no more: where this server leads they get a lease, so that
    events are not kept for them for ever.

    Of several servers on one database one runs them, and another one as soon as that has ended: nothing is
    pushed by two at a time.
    """

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        visibility: Visibility | None = None,
        source: str = "urn:condor:birdbath",
        retention: RetentionSettings | None = None,
        now: Callable[[], float] = time.time,
        max_subscriptions: int = 0,
    ) -> None:
        """Of one account there may be `max_subscriptions`, 0 for any number."""
        self.source = source
        self.metrics = EventMetrics()
        self.log = EventLog(engine, writer, self.metrics)
        self.subscriptions = Subscriptions(engine, writer, self.log, max_subscriptions)
        self.visibility = visibility or Visibility()
        self.tasks = Tasks()
        self.retention = Retention(
            retention or RetentionSettings(), writer, self.log, self.subscriptions, now
        )
        self.kinds: dict[str, Deliver] = {}
        self.services: dict[str, Callable[[], Awaitable[None]]] = {}
        self.unserved: set[str] = set()
        self._changed = asyncio.Event()
        self._leadership = Leadership(engine)
        self._pushed: frozenset[str] = frozenset()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve followers within the block; at its end every task has ended, its cursor as far as it came."""
        self.subscriptions.on_change = self._changed.set
        self.tasks.start("event log", self.log.run)
        self.tasks.start("subscriptions", self._manage)
        self.tasks.start("retention", self._retain)
        try:
            yield
        finally:
            self.log.end()
            await self.tasks.stop()
            self._leadership.resign()

    async def follow(
        self, caller: Caller, filter: Filter, after: int | None, key: str | None, *, from_now: bool
    ) -> Follower | SubscribedFollower:
        """A follower of what `caller` may see, after event number `after`, or of the subscription `key`.

        With a subscription, `after` acknowledges all up to it. Without `after` it begins at the
        subscription's cursor, else with the next event when `from_now`, else with the oldest that is kept.
        Raises NoSuchEvent, UnknownSubscription.
        """
        await self.log.caught_up()
        if after is not None and not await self.log.has(after):
            raise NoSuchEvent(f"There is no event {after} yet; the newest is {self.log.newest}")

        def sees(owner: str) -> bool:
            return self.visibility.sees(caller, owner)

        if key is not None:
            self.visibility.check(caller, self.subscriptions.get(key))
            if after is not None:
                await self.subscriptions.acknowledge(key, after)
            return self.subscriptions.open(key, sees)
        start = self.log.newest if from_now else self.log.oldest - 1
        return Follower(self.log, start if after is None else after, filter, sees)

    def close(self) -> None:
        """Give the database connections back."""
        self.subscriptions.close()
        self.log.close()

    async def _retain(self) -> None:
        while True:
            deleted = await self.retention.apply()
            if deleted:
                _log.info("Events deleted by retention: %d", deleted)
            await asyncio.sleep(RETENTION_INTERVAL)

    async def _manage(self) -> None:
        """Let each service and each subscription of a pushing kind have its task where this server leads, and
        no other.
        """
        while True:
            self._changed.clear()
            for gone in await self.subscriptions.expire():
                _log.warning(
                    "The subscription %s (%s) has expired at event %d", gone.id, gone.kind, gone.cursor
                )
            leads = await asyncio.to_thread(self._leadership.try_to_lead)
            if leads:
                await self._lease_unserved()
            wanted = self._pushing() if leads else {}
            over = [name for name in self._pushed & self.tasks.names if name not in wanted]
            if over:
                await self.tasks.stop(*over)
            for name, run in wanted.items():
                self.tasks.start(name, run)
            self._pushed = frozenset(wanted)
            with suppress(TimeoutError):
                async with asyncio.timeout(EXPIRY_CHECK):
                    await self._changed.wait()

    async def _lease_unserved(self) -> None:
        for known in await self.subscriptions.lease_unserved(self.unserved):
            _log.warning(
                "The settings ask no more for the subscription %s, which is at event %d: it ends in %g "
                "days, and with it what is kept for it",
                *(known.id, known.cursor, DEFAULT_LEASE / 86400),
            )

    def _pushing(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What pushes events out: the services, and what each subscription of a pushing kind needs."""
        found = dict(self.services)
        for known in self.subscriptions.all():
            if known.kind in self.kinds:
                found[f"subscription {known.id}"] = partial(self.kinds[known.kind], known)
        return found
