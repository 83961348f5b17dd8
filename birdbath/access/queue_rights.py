"""Whose jobs an account may touch, and see the events of: one rule for the queue and the event log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QueueRights:
    """The rule, from HTCondor's settings QUEUE_ALL_USERS_TRUSTED and QUEUE_SUPER_USERS."""

    queue_all_users_trusted: bool = True
    queue_super_users: tuple[str, ...] = ("root", "condor")

    def is_super_user(self, account: str | None) -> bool:
        """Whether the account is one of QUEUE_SUPER_USERS."""
        return account in self.queue_super_users

    def covers(self, account: str | None, owner: str | None) -> bool:
        """Whether what belongs to `owner` (None: to nobody) is open to an account (None: to somebody who did
        not prove to be anybody).

        Where everybody is trusted, everything is open to everybody; else an account has what is its own, a
        super-user everything, nobody in particular nothing.
        """
        if self.queue_all_users_trusted:
            return True
        return account is not None and (account == owner or self.is_super_user(account))
