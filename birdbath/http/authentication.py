"""Who is calling: the credential table, and the caller that comes of it.

Each row of the table is a way of proving an account. A request may use any of them; it fails when it brings a
credential that is wrong, and is nobody in particular when it brings none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from birdbath.access import Caller, Everybody, Level
from birdbath.access.rules import Rules
from birdbath.http.asgi import Scope
from birdbath.http.browsers import Refused


@dataclass(frozen=True)
class Identity:
    """What a credential proved: the account, how, and the levels that it grants at most (None: all that
    the account has).
    """

    account: str
    method: str
    levels: frozenset[Level] | None = None


class NotAuthenticated(Refused):
    """The request brings a credential that is wrong, or needs one and brings none."""

    def __init__(self, text: str, challenges: Sequence[bytes]) -> None:
        super().__init__(text, 401, [(b"www-authenticate", challenge) for challenge in challenges])


class WrongCredential(Exception):
    """A credential of this kind that proves nothing; the text says why, for the log and the audit only."""


class Credential(Protocol):
    """One way of proving an account by what stands outside of the SOAP message."""

    challenge: bytes | None
    """The value of WWW-Authenticate that invites to use it; None for one that cannot be invited."""

    async def identify(self, scope: Scope) -> Identity | None:
        """The identity that the request proves; None when it does not try. Raises WrongCredential."""


class Authentication:
    """The table at work. Without rows everybody is nobody in particular."""

    def __init__(self, credentials: Sequence[Credential] = (), rules: Rules | None = None) -> None:
        self._credentials = tuple(credentials)
        self._rules = rules or Everybody()
        self.challenges = tuple(c.challenge for c in credentials if c.challenge is not None)

    async def caller(self, scope: Scope, address: str) -> Caller:
        """Who sends this request. Raises NotAuthenticated when a credential is wrong."""
        for credential in self._credentials:
            try:
                identity = await credential.identify(scope)
            except WrongCredential:
                raise NotAuthenticated("The credentials are wrong", self.challenges) from None
            if identity is not None:
                return self._rules.caller(address, identity.account, identity.levels)
        return self._rules.caller(address, None)

    def demand(self, caller: Caller, level: Level) -> None:
        """Raise NotAuthenticated when nobody in particular asks for what somebody may be allowed."""
        if level not in caller.levels and caller.account is None and self._credentials:
            raise NotAuthenticated("This needs authentication", self.challenges)
