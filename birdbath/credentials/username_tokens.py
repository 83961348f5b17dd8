"""Checking WS-Security UsernameTokens: by digest each nonce once, within a window of time."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from birdbath.credentials.errors import WrongCredential
from birdbath.credentials.passwords import PasswordFiles

WINDOW: Final = 300.0
"""Seconds that `Created` may lie in the past or, with clocks that differ, in the future."""
MAX_NONCES: Final = 250_000
"""In twice WINDOW: 400 calls a second. Only hashes are kept, so of two such times they take 50 MB at most,
however long the nonces are."""
MAX_NONCES_OF_ONE: Final = 100_000
"""In twice WINDOW, of one account: it cannot use up what the others need."""

_sha1 = hashlib.sha1(usedforsecurity=False)
"""To copy: OpenSSL looks for an algorithm for longer than it takes to digest these few bytes."""


class UsernameTokens:
    """Digests are SHA-1 of nonce, time and password, as the standard has it: it needs a clear password in the
    file. Nonces are remembered in this process only; several servers on one database each accept one once.
    """

    def __init__(
        self,
        passwords: PasswordFiles,
        clock: Callable[[], float] = time.time,
        max_nonces: int = MAX_NONCES,
        max_nonces_of_one: int = MAX_NONCES_OF_ONE,
    ) -> None:
        self.passwords = passwords
        self._clock = clock
        self._max_nonces = max_nonces
        self._max_nonces_of_one = max_nonces_of_one
        self._counts: dict[str, int] = {}
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()
        self._turn = self._clock() + 2 * WINDOW

    def check_digest(self, account: str, digest: str, nonce: str, created: str) -> None:
        """Raise WrongCredential unless the digest is right, in time and used for the first time."""
        password = self.passwords.clear_password(account)
        now = self._clock()
        if abs(now - _seconds(created)) > WINDOW:
            raise WrongCredential("created too long ago, or in the future")
        try:
            raw = binascii.a2b_base64(nonce, strict_mode=True)
        except ValueError:
            raise WrongCredential("the nonce is not base64") from None
        right = _sha1.copy()
        right.update(b"%b%b%b" % (raw, created.encode(), password))
        if not raw or not hmac.compare_digest(
            binascii.b2a_base64(right.digest(), newline=False), digest.encode()
        ):
            raise WrongCredential("wrong digest")
        self._use(account, raw, now)

    def _use(self, account: str, raw: bytes, now: float) -> None:
        if now >= self._turn:
            self._older = self._recent if now < self._turn + 2 * WINDOW else set()
            self._recent, self._counts, self._turn = set(), {}, now + 2 * WINDOW
        nonce = hashlib.blake2b(b"%b\0%b" % (account.encode(), raw), digest_size=16).digest()
        if nonce in self._recent or nonce in self._older:
            raise WrongCredential("the nonce was used before")
        count = self._counts.get(account, 0)
        if count >= self._max_nonces_of_one or len(self._recent) >= self._max_nonces:
            raise WrongCredential("too many nonces at a time")
        self._counts[account] = count + 1
        self._recent.add(nonce)


@lru_cache(maxsize=64)
def _seconds(created: str) -> float:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        raise WrongCredential("Created is no time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
