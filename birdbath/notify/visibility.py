"""Whose events a follower gets to see: one rule for all ways of following."""

from __future__ import annotations

from dataclasses import dataclass

from birdbath.schedd import Caller


@dataclass(frozen=True)
class Visibility:
    """The rule, from HTCondor's settings QUEUE_ALL_USERS_TRUSTED and QUEUE_SUPER_USERS."""

    queue_all_users_trusted: bool = True
    queue_super_users: tuple[str, ...] = ("root", "condor")

    def sees(self, caller: Caller, owner: str) -> bool:
        """Whether `caller` gets events of jobs of `owner`.

        Where not everybody is trusted, an account gets those of its own jobs, a super-user all, and a caller
        without account none.
        """
        if self.queue_all_users_trusted:
            return True
        return caller.account is not None and (
            caller.account == owner or caller.account in self.queue_super_users
        )

    def owns(self, caller: Caller, account: str | None) -> bool:
        """Whether `caller` may use and change a subscription that `account` made."""
        if self.queue_all_users_trusted:
            return True
        return caller.account is not None and (
            caller.account == account or caller.account in self.queue_super_users
        )
