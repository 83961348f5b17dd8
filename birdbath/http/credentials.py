"""The ways of proving an account by HTTP: client certificate, Basic, bearer token; and by the SOAP header.

What was found right is remembered for a minute, under a keyed hash of what was sent: a password hash takes
tens of milliseconds to check. What is slow runs in threads, few at a time, and who guesses is told to wait.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from birdbath.access import Level
from birdbath.credentials import WrongCredential
from birdbath.credentials.mapfile import MapFiles
from birdbath.credentials.passwords import PasswordFiles, valid_account
from birdbath.credentials.tokens import Issuer, issuer_of
from birdbath.credentials.username_tokens import UsernameTokens
from birdbath.http.asgi import Scope, header
from birdbath.http.browsers import Refused
from birdbath.soap import UsernameToken

REMEMBERED_SECONDS: Final = 60.0
_MOST_REMEMBERED: Final = 10_000
_AT_A_TIME: Final = 2
_MOST_WAITING: Final = 32
_GUESSES: Final = 10
_GUESSING_SECONDS: Final = 60.0
MAX_HEADER: Final = 16 * 1024


class Identity(NamedTuple):
    """What a credential proved: the account, how, and the levels that it grants at most (None: all that
    the account has).
    """

    account: str
    method: str
    levels: frozenset[Level] | None = None


class Checks:
    """Slow checks, remembered and bounded. One object for all ways of one server."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, tuple[float, object, Identity]] = {}
        self._wrong: dict[str, list[float]] = {}
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._waiting = 0
        self._pending: dict[bytes, asyncio.Task[tuple[Identity, float]]] = {}

    def _name(self, sent: bytes) -> bytes:
        return hashlib.blake2b(sent, key=self._key, digest_size=16).digest()

    async def identity(
        self, sent: bytes, address: str, version: object, check: Callable[[], tuple[Identity, float]]
    ) -> Identity:
        """What `check` finds of `sent`, which came from `address`; it tells the identity and for how many
        seconds it holds. Remembered as long as `version` stays the same. Raises WrongCredential, Refused.
        """
        name = self._name(sent)
        known = self._known.get(name)
        if known is not None and known[0] > time.monotonic() and known[1] == version:
            return known[2]
        self.refuse_guessing(address)
        try:
            identity, seconds = await self._check_once(name, check)
        except WrongCredential:
            self.count_wrong(address)
            raise
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[name] = time.monotonic() + min(seconds, REMEMBERED_SECONDS), version, identity
        return identity

    async def _check_once(
        self, name: bytes, check: Callable[[], tuple[Identity, float]]
    ) -> tuple[Identity, float]:
        """`check`, together with all who ask for the same meanwhile; none of them ends it by going away."""
        task = self._pending.get(name)
        if task is None:
            task = self._pending[name] = asyncio.ensure_future(self._check(check))
            task.add_done_callback(lambda _: self._pending.pop(name, None))
        return await asyncio.shield(task)

    async def _check(self, check: Callable[[], tuple[Identity, float]]) -> tuple[Identity, float]:
        if self._waiting >= _MOST_WAITING:
            raise Refused("Too many credentials to check at a time", 503, [(b"retry-after", b"1")])
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(check)
        finally:
            self._waiting -= 1

    def refuse_guessing(self, address: str) -> None:
        if address not in self._wrong:
            return
        since = time.monotonic() - _GUESSING_SECONDS
        recent = [when for when in self._wrong[address] if when > since]
        if len(recent) >= _GUESSES:
            raise Refused("Too many wrong credentials; wait a minute", 429, [(b"retry-after", b"60")])

    def count_wrong(self, address: str) -> None:
        if len(self._wrong) >= _MOST_REMEMBERED:
            self._wrong.clear()
        self._wrong[address] = [*self._wrong.get(address, ())[-_GUESSES:], time.monotonic()]


def account_named(name: str, domain: str) -> str:
    """The account of a proven name: without `@domain` when that is the local one. Raises WrongCredential."""
    account = name.removesuffix(f"@{domain}")
    if not valid_account(account):
        raise WrongCredential(f"not an account name: {account[:100]!r}")
    return account


def _sent_with(scope: Scope, scheme: bytes) -> bytes | None:
    value = header(scope, b"authorization")
    given, _, rest = value.partition(b" ")
    if given.lower() != scheme:
        return None
    if len(value) > MAX_HEADER:
        raise WrongCredential("the Authorization header is too long")
    return rest.strip()


class Basic:
    """HTTP Basic against password files."""

    challenge = b'Basic realm="birdbath", charset="UTF-8"'

    def __init__(self, passwords: PasswordFiles, checks: Checks) -> None:
        self._passwords = passwords
        self._checks = checks

    async def identify(self, scope: Scope, address: str) -> Identity | None:
        """See `Credential`."""
        sent = _sent_with(scope, b"basic")
        if sent is None:
            return None
        return await self._checks.identity(
            b"basic " + sent, address, self._passwords.version, lambda: self._checked(sent)
        )

    def _checked(self, sent: bytes) -> tuple[Identity, float]:
        try:
            account, colon, password = base64.b64decode(sent, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise WrongCredential("no base64 of UTF-8") from None
        if not colon:
            raise WrongCredential("no colon between account and password")
        self._passwords.check(account, password)
        return Identity(account, "basic"), REMEMBERED_SECONDS


class Bearer:
    """Bearer tokens of several issuers, by name. Where one has several rows each is tried, so that keys can
    be changed one after the other.
    """

    challenge = b'Bearer realm="birdbath"'

    def __init__(self, issuers: Mapping[str, Sequence[Issuer]], domain: str, checks: Checks) -> None:
        self._issuers = issuers
        self._domain = domain
        self._checks = checks

    async def identify(self, scope: Scope, address: str) -> Identity | None:
        """See `Credential`."""
        sent = _sent_with(scope, b"bearer")
        if sent is None:
            return None
        return await self._checks.identity(b"bearer " + sent, address, None, lambda: self._checked(sent))

    def _checked(self, sent: bytes) -> tuple[Identity, float]:
        token = sent.decode("latin-1")
        wrong = ["issued by nobody who is believed here"]
        for issuer in self._issuers.get(issuer_of(token), ()):
            try:
                proof = issuer.prove(token)
                account = account_named(proof.name, self._domain)
            except WrongCredential as error:
                wrong.append(str(error))
                continue
            return Identity(account, issuer.method.lower(), proof.levels), proof.expires - time.time()
        raise WrongCredential("; ".join(dict.fromkeys(wrong[1:] or wrong)))


class Certificate:
    """The client certificate of a TLS connection, mapped to an account."""

    challenge = None

    def __init__(self, maps: MapFiles, domain: str) -> None:
        self._maps = maps
        self._domain = domain

    async def identify(self, scope: Scope, address: str) -> Identity | None:
        """See `Credential`."""
        subject = subject_of(scope)
        if subject is None:
            return None
        return Identity(account_named(self._maps.account("SSL", subject), self._domain), "certificate")


def subject_of(scope: Scope) -> str | None:
    """The subject of the client certificate in one line; None without one."""
    extensions = scope.get("extensions")
    return extensions["tls"]["client_subject"] if extensions and "tls" in extensions else None


class SoapHeader:
    """UsernameTokens in the SOAP header against password files."""

    def __init__(self, tokens: UsernameTokens, checks: Checks) -> None:
        self._tokens = tokens
        self._checks = checks

    async def identify(self, token: UsernameToken, address: str) -> Identity:
        """The identity that the token proves. Raises WrongCredential, Refused."""
        if token.is_digest:
            # SHA-1 of a few bytes: no thread, and never remembered, for a nonce counts once.
            self._checks.refuse_guessing(address)
            try:
                self._tokens.check_digest(token.username, token.password, token.nonce, token.created)
            except WrongCredential:
                self._checks.count_wrong(address)
                raise
            return Identity(token.username, "usernametoken")
        sent = f"text {token.username}:{token.password}".encode()
        return await self._checks.identity(
            sent, address, self._tokens.passwords.version, lambda: self._checked(token)
        )

    def _checked(self, token: UsernameToken) -> tuple[Identity, float]:
        self._tokens.passwords.check(token.username, token.password)
        return Identity(token.username, "usernametoken"), REMEMBERED_SECONDS
