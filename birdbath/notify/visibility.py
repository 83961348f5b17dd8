"""Whose events a follower gets to see: one rule for all ways of following."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.access import Caller, Level, QueueRights
from birdbath.notify.subscriptions import CLIENT_KINDS, UnknownSubscription
from birdbath.store.subscriptions import Subscription


@dataclass(frozen=True)
class Visibility(QueueRights):
    """The rule of the queue, for events and the subscriptions to them."""

    def sees(self, caller: Caller, owner: str) -> bool:
        """Whether a caller gets the events of the jobs of `owner`."""
        return self.covers(caller.account, owner)

    def owns(self, caller: Caller, subscription: Subscription) -> bool:
        """Whether a caller may use, change and end a subscription: its own, everybody's where everybody is
        trusted. Those that the server made for itself are for administrators, wherever that is.
        """
        if subscription.kind not in CLIENT_KINDS:
            return Level.ADMINISTRATOR in caller.levels
        return self.covers(caller.account, subscription.account)

    def check(self, caller: Caller, subscription: Subscription) -> None:
        """Raise UnknownSubscription unless the caller may use it; whether there is one is not told."""
        if not self.owns(caller, subscription):
            raise UnknownSubscription(subscription.id)
