"""The operations of the SOAP service `urn:birdbath:events`, for one call.

They wait, for events or for what they write to be durable, and a call of the SOAP side does not. So an
operation that has to wait raises Suspended; whoever runs it awaits that and runs it again with the outcome.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar, cast

from birdbath.access import Caller
from birdbath.errors import BirdbathError
from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter
from birdbath.notify.followers import Batch
from birdbath.notify.notifier import Notifier
from birdbath.notify.subscriptions import PULL, SubscribedFollower
from birdbath.store.subscriptions import Subscription

T = TypeVar("T")

LONGEST_WAIT = 300
MOST_EVENTS = 1000
LONGEST_TOLD = 2**31 - 1
KIND = "soap"

WantedFilter = tuple[Sequence[str], str | None] | None
"""Topics and constraint as a client sent them; None for no filter."""


@dataclass(frozen=True)
class EventPage:
    """What getEvents answers: events, the `after` of the next call, and how many events retention had
    deleted.
    """

    entries: Sequence[Entry]
    last: int
    missed: int


@dataclass(frozen=True)
class SubscriptionState:
    """What is told of a subscription; `expires` is in whole seconds from now, as far as 32 bits go, 0 for
    never.
    """

    id: str
    cursor: int
    expires: int


async def _anyhow(work: Awaitable[object]) -> object:
    return await work


while_connected: ContextVar[Callable[[Awaitable[object]], Awaitable[object]]] = ContextVar(
    "while_connected", default=_anyhow
)
"""Awaits what a call waits for, and gives None instead when the client is gone before: whoever serves the
call sets how that is seen.
"""


class Suspended(Exception):
    """The call has to wait: await `start()` and run it again with what came of that. Nothing was done."""

    def __init__(self, start: Callable[[], Awaitable[object]]) -> None:
        super().__init__("to be awaited")
        self.start = start


_UNSETTLED = object()


class EventCalls:
    """The operations as one call sees them; `outcome` is what its Suspended has come to."""

    def __init__(self, notifier: Notifier, caller: Caller, outcome: object = _UNSETTLED) -> None:
        self._notifier = notifier
        self._caller = caller
        self._outcome = outcome

    @classmethod
    async def settle(cls, notifier: Notifier, caller: Caller, suspended: Suspended) -> EventCalls:
        """The operations for the second run of a suspended call."""
        try:
            return cls(notifier, caller, await suspended.start())
        except BirdbathError as error:
            return cls(notifier, caller, error)

    def get_events(
        self, after: int, most: int, wait: int, filter: WantedFilter, subscription: str | None
    ) -> EventPage:
        """At most `most` events after number `after` that pass, as soon as there is one, within `wait`
        seconds.

        A negative `after` means from now on; with a subscription, from its cursor on. With a subscription,
        `after` acknowledges all up to it, and the filter is the subscription's own.
        """

        async def page() -> EventPage:
            if subscription and filter is not None:
                raise BirdbathError("A subscription has its own filter; updateFilter changes it")
            following = await self._notifier.follow(
                self._caller,
                _filter(filter),
                None if after < 0 else after,
                subscription or None,
                from_now=True,
            )
            try:
                upcoming = following.next(
                    max(1, min(most or MOST_EVENTS, MOST_EVENTS)), max(0, min(wait, LONGEST_WAIT))
                )
                batch = cast(Batch | None, await while_connected.get()(upcoming))
            finally:
                if isinstance(following, SubscribedFollower):
                    following.close()
            if batch is None:
                raise BirdbathError("The client has gone")
            self._notifier.metrics.delivered[KIND] += len(batch.entries)
            self._notifier.metrics.missed[KIND] += batch.missed
            return EventPage(batch.entries, batch.through, batch.missed)

        return self._settled(page)

    def subscribe(self, filter: WantedFilter, after: int, lease: int) -> SubscriptionState:
        """A cursor after number `after` (negative: from now on), for `lease` seconds (0: the default)."""

        async def subscribed() -> SubscriptionState:
            made = await self._notifier.subscriptions.create(
                PULL,
                _filter(filter),
                account=self._caller.account,
                after=None if after < 0 else after,
                lease=lease if lease > 0 else None,
            )
            return _state(made)

        return self._settled(subscribed)

    def renew(self, key: str | None, lease: int) -> SubscriptionState:
        """Let the subscription live for `lease` seconds from now (0: the default)."""

        async def renewed() -> SubscriptionState:
            found = self._find(key)
            return _state(await self._notifier.subscriptions.renew(found.id, lease if lease > 0 else None))

        return self._settled(renewed)

    def update_filter(self, key: str | None, filter: WantedFilter) -> SubscriptionState:
        """Replace the filter; the cursor that is answered is the event after which it holds."""

        async def updated() -> SubscriptionState:
            found = self._find(key)
            holds_after = await self._notifier.subscriptions.update_filter(found.id, _filter(filter))
            state = _state(self._notifier.subscriptions.get(found.id))
            return SubscriptionState(state.id, holds_after, state.expires)

        return self._settled(updated)

    def unsubscribe(self, key: str | None) -> None:
        """End the subscription."""

        async def ended() -> None:
            await self._notifier.subscriptions.remove(self._find(key).id)

        return self._settled(ended)

    def _find(self, key: str | None) -> Subscription:
        found = self._notifier.subscriptions.get(key or "")
        self._notifier.visibility.check(self._caller, found)
        return found

    def _settled(self, start: Callable[[], Awaitable[T]]) -> T:
        if self._outcome is _UNSETTLED:
            raise Suspended(start)
        if isinstance(self._outcome, BirdbathError):
            raise self._outcome
        return cast(T, self._outcome)


def _filter(wanted: WantedFilter) -> Filter:
    return Filter.of(*wanted) if wanted else Filter.of()


def _state(subscription: Subscription) -> SubscriptionState:
    expires = subscription.expires_at
    left = 0 if expires is None else max(1, round(min(expires - time.time(), LONGEST_TOLD)))
    return SubscriptionState(subscription.id, subscription.cursor, left)
