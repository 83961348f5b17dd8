"""Whose events a follower gets to see: one rule for all ways of following."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.access import Caller
from birdbath.notify.subscriptions import UnknownSubscription
from birdbath.store.subscriptions import Subscription


@dataclass(frozen=True)
class Visibility:
    """The rule, from HTCondor's settings QUEUE_ALL_USERS_TRUSTED and QUEUE_SUPER_USERS."""

    queue_all_users_trusted: bool = True
    queue_super_users: tuple[str, ...] = ("root", "condor")

    def account_sees(self, account: str | None, owner: str) -> bool:
        """Whether an account (None: somebody who did not prove to be anybody) gets events of jobs of `owner`.

        Where not everybody is trusted, an account gets those of its own jobs, a super-user all, nobody none.
        """
        if self.queue_all_users_trusted:
            return True
        return account is not None and (account == owner or account in self.queue_super_users)

    def sees(self, caller: Caller, owner: str) -> bool:
        """The same for a caller."""
        return self.account_sees(caller.account, owner)

    def owns(self, caller: Caller, account: str | None) -> bool:
        """Whether `caller` may use and change a subscription that `account` made."""
        if self.queue_all_users_trusted:
            return True
        mine = caller.account
        return mine is not None and (mine == account or mine in self.queue_super_users)

    def check(self, caller: Caller, subscription: Subscription) -> None:
        """Raise UnknownSubscription unless the caller may use it; whether there is one is not told."""
        if not self.owns(caller, subscription.account):
            raise UnknownSubscription(subscription.id)
