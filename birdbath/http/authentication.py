"""Who is calling: the credential table, and the caller that comes of it.

Each row of the table is a way of proving an account. A request may use any of them; it fails when it brings a
credential that is wrong, and is nobody in particular when it brings none. What the SOAP header proves counts
before what HTTP does, and that before the certificate of the connection: the inner speaks for the outer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from birdbath.access import Caller, Everybody, Level
from birdbath.access.rules import Rules
from birdbath.credentials import WrongCredential
from birdbath.credentials.rereading import Files
from birdbath.http.asgi import Scope, header
from birdbath.http.browsers import Refused
from birdbath.http.credentials import Identity, SoapHeader
from birdbath.soap import UsernameToken

_log = logging.getLogger(__name__)


class NotAuthenticated(Refused):
    """The request brings a credential that is wrong, or needs one and brings none."""

    def __init__(self, text: str, challenges: Sequence[bytes]) -> None:
        super().__init__(text, 401, [(b"www-authenticate", challenge) for challenge in challenges])


class Credential(Protocol):
    """One way of proving an account by what stands outside of the SOAP message."""

    @property
    def challenge(self) -> bytes | None:
        """The value of WWW-Authenticate that invites to use it; None for one that cannot be invited."""

    async def identify(self, scope: Scope, address: str) -> Identity | None:
        """The identity that the request proves; None when it does not try. Raises WrongCredential."""


class Authentication:
    """The table at work. Without rows everybody is nobody in particular."""

    def __init__(
        self,
        credentials: Sequence[Credential] = (),
        rules: Rules | None = None,
        soap_header: SoapHeader | None = None,
        files: Files | None = None,
    ) -> None:
        self._credentials = tuple(credentials)
        self._soap_header = soap_header
        self._rules = rules or Everybody()
        self._files = files or Files()
        self._challenges = tuple(c.challenge for c in credentials if c.challenge is not None)

    @property
    def asks(self) -> bool:
        """Whether callers are asked who they are."""
        return bool(self._credentials) or self._soap_header is not None

    @property
    def reads_soap_header(self) -> bool:
        """Whether WS-Security headers are understood."""
        return self._soap_header is not None

    async def check(self) -> str | None:
        """What is wrong with the files of the table, for /health/ready."""
        return await asyncio.to_thread(self._files.trouble)

    async def caller(self, scope: Scope, address: str, secure: bool) -> Caller:
        """Who sends this request; `secure` says that nobody else could read it. Raises Refused."""
        if not secure and self._credentials and header(scope, b"authorization"):
            raise self._wrong(address, "sent where others can read it: use https")
        try:
            for credential in self._credentials:
                identity = await credential.identify(scope, address)
                if identity is not None:
                    return self._rules.caller(address, identity.account, identity.levels)
        except WrongCredential as error:
            raise self._wrong(address, str(error)) from None
        return self._rules.caller(address, None)

    async def message_caller(self, caller: Caller, token: UsernameToken | None, secure: bool) -> Caller:
        """`caller`, or who the SOAP header proves instead. Raises Refused."""
        if token is None or self._soap_header is None:
            return caller
        if not secure and not token.is_digest:
            raise self._wrong(caller.address, "sent where others can read it: use https")
        try:
            identity = await self._soap_header.identify(token, caller.address)
        except WrongCredential as error:
            raise self._wrong(caller.address, str(error)) from None
        return self._rules.caller(caller.address, identity.account, identity.levels)

    def demand(self, caller: Caller, level: Level) -> None:
        """Raise NotAuthenticated when nobody in particular asks for what somebody may be allowed."""
        if level not in caller.levels and caller.account is None and self.asks:
            raise NotAuthenticated("This needs authentication", self._challenges)

    def _wrong(self, address: str, why: str) -> NotAuthenticated:
        _log.info("Wrong credentials from %s: %s", address, why)
        return NotAuthenticated("The credentials are wrong", self._challenges)
