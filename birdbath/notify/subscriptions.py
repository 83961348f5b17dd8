"""Subscriptions: followers whose place in the log, filter and lease are kept in the database."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Engine

from birdbath.errors import BirdbathError
from birdbath.notify.filters import Filter
from birdbath.notify.followers import Batch, Follower
from birdbath.notify.log import READ_AT_ONCE, EventLog
from birdbath.store import UnitOfWork, Writer
from birdbath.store import subscriptions as rows
from birdbath.store.reader import Reader
from birdbath.store.subscriptions import DeadLetter, Subscription

PULL = "pull"
"""The kind of a subscription that is followed by whoever connects and names it."""

WEBHOOK = "webhook"
"""The kind of a subscription that is delivered by HTTP requests."""

RELAY = "amqp"
"""The id and kind of the subscription by which a server publishes to its broker."""

JOB_MAIL = "mail"
"""The id and kind of the one by which it mails what jobs ask for."""

CLIENT_KINDS = frozenset({PULL, WEBHOOK})
"""The kinds that clients may ask for; those of all others are the server's own."""

DEFAULT_LEASE = 7 * 86400.0
"""Seconds that such a subscription lives unless it says otherwise: forgotten, it would keep events for ever.
"""


GRACE = 300.0
"""Seconds after a server's start in which those come back whose leases ran out before it."""


class NoSuchEvent(BirdbathError):
    """A place in the log that has not been written yet."""


class UnknownSubscription(BirdbathError):
    """There is no such subscription, or it has expired, or it is somebody else's."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no subscription {key[:64]!r}")


class TooManySubscriptions(BirdbathError):
    """The account has as many subscriptions as it may have."""


class Subscriptions:
    """All subscriptions of the database, held in memory too; for one event loop.

    Every change is durable when its method returns. Times are in seconds since the epoch.
    """

    def __init__(self, engine: Engine, writer: Writer, log: EventLog, most_of_account: int = 0) -> None:
        """Of one account there may be `most_of_account`, 0 for any number; the server's own do not count."""
        self._most_of_account = most_of_account
        self._writer = writer
        self._log = log
        self._reader = Reader(engine)
        self._began = time.time()
        self._followers: dict[str, SubscribedFollower] = {}
        self._known: dict[str, Subscription] = {}
        self._being_made: Counter[str | None] = Counter()
        self.on_change: Callable[[], None] = lambda: None
        self.refresh()

    def refresh(self) -> None:
        """Take notice of what other servers on the same database have made, changed and removed."""
        found = {known.id: known for known in rows.everything(self._reader)}
        for key in self._known.keys() - found.keys():
            self._forget(key)
        for key, read in found.items():
            known = self._known.get(key)
            if read == known:
                continue
            self._keep(read)
            if known is not None and read.filter != known.filter and key in self._followers:
                self._followers[key].use(Filter.from_json(read.filter))

    def all(self) -> list[Subscription]:
        """The subscriptions that have not expired, the oldest first."""
        now = time.time()
        return [known for known in self._known.values() if not self._is_over(known, now)]

    def get(self, key: str) -> Subscription:
        """The subscription with this id. Raises UnknownSubscription, also when it has expired."""
        if key not in self._known and (made := rows.find(self._reader, key)) is not None:
            self._keep(made)  # by another server on the same database
        known = self._known.get(key)
        if known is None or self._is_over(known, time.time()):
            raise UnknownSubscription(key)
        return known

    async def create(
        self,
        kind: str,
        filter: Filter,
        *,
        account: str | None = None,
        after: int | None = None,
        lease: float | None = None,
        options: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Subscription:
        """A new subscription to the events after `after` (default: those from now on), for `lease` seconds;
        without one, DEFAULT_LEASE for a pull subscription, for good for others. An acknowledgement renews the
        lease.

        `key` is its id, for a follower that the settings ask for; else it is one that cannot be guessed.
        Raises NoSuchEvent, TooManySubscriptions.
        """
        with nullcontext() if key is not None else self._room_for(account):
            made = await self._made(kind, filter, account, after, lease, options or {}, key)
            self._keep(made)
        return made

    @contextmanager
    def _room_for(self, account: str | None) -> Iterator[None]:
        """Count one more that is being made, and may not be known yet when the next one is asked for. Raises
        TooManySubscriptions.
        """
        most = self._most_of_account
        known = sum(one.account == account and one.kind in CLIENT_KINDS for one in self.all())
        if 0 < most <= known + self._being_made[account]:
            raise TooManySubscriptions(
                f"An account may have {most} subscriptions; see event_max_subscriptions_per_owner"
            )
        self._being_made[account] += 1
        try:
            yield
        finally:
            self._being_made[account] -= 1
            if not self._being_made[account]:
                del self._being_made[account]

    async def _made(
        self,
        kind: str,
        filter: Filter,
        account: str | None,
        after: int | None,
        lease: float | None,
        options: Mapping[str, Any],
        key: str | None,
    ) -> Subscription:
        await self._log.caught_up()
        start = self._log.newest if after is None else after
        if not await self._log.has(start):
            raise NoSuchEvent(f"There is no event {start} yet; the newest is {self._log.newest}")
        now = time.time()
        lease = lease or (DEFAULT_LEASE if kind == PULL else None)
        made = Subscription(
            key or secrets.token_urlsafe(24),
            kind,
            account,
            start,
            filter.to_json(),
            now,
            None if lease is None else now + lease,
            options={**options, **({} if lease is None else {"lease": lease})},
        )
        await self._writer.write(lambda unit: rows.add(unit, made))
        return made

    async def ensure(
        self,
        key: str,
        kind: str,
        filter: Filter,
        from_now: bool = False,
    ) -> Subscription:
        """The subscription that the settings ask for: the one there is, with this filter, or a new
        one that begins with the oldest event that is kept, or with those `from_now` on. It lives for good,
        also where `lease_unserved` had been called for it.
        """
        if key not in self._known:
            after = None if from_now else self._log.oldest - 1
            return await self.create(kind, filter, after=after, key=key)
        if self._known[key].filter != filter.to_json():
            await self.update_filter(key, filter)
        if self._known[key].expires_at is not None:
            kept = {name: v for name, v in self._known[key].options.items() if name != "lease"}
            await self._set_lease(key, None, kept)
        return self._known[key]

    async def lease_unserved(self, keys: Iterable[str]) -> list[Subscription]:
        """Let those of the subscriptions `keys` that live for good live for DEFAULT_LEASE, unless the
        settings ask for them again meanwhile; returns them. Events are kept for them, and nobody takes them.
        """
        held = [k for key in keys if (k := self._known.get(key)) is not None and k.expires_at is None]
        for known in held:
            await self.renew(known.id, DEFAULT_LEASE)
        return [self._known[known.id] for known in held]

    def open(self, key: str, sees: Callable[[str], bool] = lambda owner: True) -> SubscribedFollower:
        """A follower that begins after the subscription's cursor. Raises UnknownSubscription.

        A second one for the same subscription takes over: the first ends with Superseded.
        """
        found = self.get(key)
        former = self._followers.get(key)
        if former is not None:
            former.superseded = True
        opened = self._followers[key] = SubscribedFollower(self, self._log, found, sees)
        return opened

    async def update_filter(self, key: str, filter: Filter) -> int:
        """Replace the filter while others may be following; returns the sequence number after which it holds.

        It takes effect in order: what was sent before was chosen by the old filter, all that is sent
        afterwards by the new one, also after a restart. Raises UnknownSubscription.
        """
        found = self.get(key)
        text = filter.to_json()
        await self._change(
            key,
            lambda unit: rows.set_filter(unit, key, text),
            filter=text,
            generation=found.generation + 1,
        )
        follower = self._followers.get(key)
        return self.get(key).cursor if follower is None else follower.use(filter)

    async def renew(self, key: str, lease: float | None) -> Subscription:
        """Let it live for `lease` seconds from now; without one as at its creation. Raises
        UnknownSubscription.
        """
        found = self.get(key)
        lease = lease or (DEFAULT_LEASE if found.kind == PULL else None)
        until = None if lease is None else time.time() + lease
        await self._set_lease(key, until, {**found.options, "lease": lease})
        return self.get(key)

    async def _set_lease(self, key: str, until: float | None, options: Mapping[str, Any]) -> None:
        def renew(unit: UnitOfWork) -> None:
            rows.renew(unit, key, until)
            rows.set_options(unit, key, options)

        await self._change(key, renew, expires_at=until, options=options)

    async def acknowledge(self, key: str, through: int) -> None:
        """Move the cursor: every event up to sequence number `through` is dealt with.

        A cursor moves neither back nor past what was written; the lease is renewed also where nothing is new.
        Raises UnknownSubscription.
        """
        if not await self._log.has(through):
            through = self._log.newest
        found = self.get(key)
        lease = found.options.get("lease")
        until = None if lease is None else time.time() + lease
        if through <= found.cursor and not _is_worth_renewing(found, until):
            return

        def acknowledge(unit: UnitOfWork) -> None:
            rows.acknowledge(unit, key, through)
            if until is not None:
                rows.renew(unit, key, until)

        await self._writer.write(acknowledge)
        known = self._known.get(key)
        if known is not None:
            self._keep(replace(known, cursor=max(known.cursor, through), expires_at=until))

    async def give_up(self, letter: DeadLetter) -> None:
        """Put an event on the dead letter list of its subscription. Raises UnknownSubscription."""
        kind = self.get(letter.subscription).kind
        await self._writer.write(lambda unit: rows.bury(unit, letter))
        self._log.metrics.given_up[kind] += 1

    def letters(self, key: str) -> list[DeadLetter]:
        """The dead letters of a subscription, in order."""
        return rows.letters(self._reader, self.get(key).id)

    async def remove_letter(self, key: str, sequence: int) -> None:
        """Take an event off the dead letter list."""
        self.get(key)
        await self._writer.write(lambda unit: rows.remove_letter(unit, key, sequence))

    async def remove(self, key: str) -> None:
        """End a subscription, its dead letters with it. Raises UnknownSubscription."""
        if key not in self._known:
            raise UnknownSubscription(key)
        await self._writer.write(lambda unit: rows.remove(unit, key))
        self._forget(key)

    async def expire(self) -> list[Subscription]:
        """Remove the subscriptions whose lease has run out; returns them."""
        now = time.time()
        self.refresh()
        over: list[Subscription] = []
        for known in [known for known in self._known.values() if self._is_over(known, now)]:
            if await self._writer.write(partial(rows.remove_expired, key=known.id, now=now)):
                over.append(known)
                self._forget(known.id)
        return over

    def close(self) -> None:
        """Give the connection back."""
        self._reader.close()

    def _is_over(self, known: Subscription, now: float) -> bool:
        """Whether its lease has run out; before this server began, nobody may have been there to renew it."""
        if known.expires_at is None or known.expires_at > now:
            return False
        return known.expires_at > self._began or now > self._began + GRACE

    def _closed(self, follower: SubscribedFollower) -> None:
        if self._followers.get(follower.key) is follower:
            del self._followers[follower.key]

    async def _change(self, key: str, work: Callable[[UnitOfWork], None], **changes: Any) -> None:
        await self._writer.write(work)
        if key in self._known:
            self._keep(replace(self._known[key], **changes))

    def _keep(self, subscription: Subscription) -> None:
        new = subscription.id not in self._known
        self._known[subscription.id] = subscription
        self._log.metrics.cursors[subscription.id] = subscription.cursor
        if new:
            self.on_change()

    def _forget(self, key: str) -> None:
        self._known.pop(key, None)
        self._log.metrics.cursors.pop(key, None)
        follower = self._followers.pop(key, None)
        if follower is not None:
            follower.superseded = True
        self.on_change()


_WORTH_RENEWING = 0.01
"""The part of a lease that has gone when it is renewed by who has nothing new to acknowledge."""


def _is_worth_renewing(found: Subscription, until: float | None) -> bool:
    if until is None or found.expires_at is None:
        return False
    return bool(until - found.expires_at > _WORTH_RENEWING * found.options["lease"])


class Superseded(BirdbathError):
    """Another follower has taken the subscription over, or it was removed."""


class SubscribedFollower:
    """A follower with a durable cursor: what was not acknowledged is handed out again after a restart, with
    the same ids. Close it when it ends.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        log: EventLog,
        subscription: Subscription,
        sees: Callable[[str], bool],
    ) -> None:
        self.key = subscription.id
        self.superseded = False
        self._subscriptions = subscriptions
        self._follower = Follower(log, subscription.cursor, Filter.from_json(subscription.filter), sees)

    @property
    def filter(self) -> Filter:
        """The filter in force."""
        return self._follower.filter

    @property
    def filter_since(self) -> int:
        """The sequence number after which it holds."""
        return self._follower.filter_since

    def use(self, filter: Filter) -> int:
        """See `Follower.use`."""
        return self._follower.use(filter)

    async def next(
        self, most: int = READ_AT_ONCE, wait: float | None = None, heed_filter: bool = False
    ) -> Batch:
        """See `Follower.next`. Raises Superseded."""
        batch = await self._follower.next(most, wait, heed_filter)
        if self.superseded:
            raise Superseded("The subscription has another follower now, or was removed")
        return batch

    async def acknowledge(self, through: int) -> None:
        """The receiver has, for good, every event up to `through`; durable when this returns. Raises
        Superseded.
        """
        if self.superseded:
            raise Superseded("The subscription has another follower now, or was removed")
        await self._subscriptions.acknowledge(self.key, through)

    def close(self) -> None:
        """The follower ends; the subscription stays."""
        self._subscriptions._closed(self)
