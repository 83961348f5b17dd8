"""The public keys of an issuer of tokens (JWKS): from a file, from a URL, or found by the issuer's metadata.

They are read again after a while, and when a token names a key that is not among them: issuers change theirs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from birdbath.credentials.errors import WrongCredential
from birdbath.credentials.rereading import Files

if TYPE_CHECKING:
    import jwt

REFRESH: Final = 3600.0
NOT_SOONER: Final = 60.0
"""Seconds between two fetches at least, so that tokens with made-up key ids cause no traffic."""
TIMEOUT: Final = 5.0
_MAX_BYTES: Final = 1 << 20

Fetch = Callable[[str], bytes]
"""What is at a URL; raises OSError."""


def fetch(url: str) -> bytes:
    """What is at a URL, at most a megabyte, without following it elsewhere. Raises OSError, as `requests`
    does.
    """
    import requests  # loaded by those who fetch

    with requests.get(url, timeout=TIMEOUT, stream=True, allow_redirects=False) as reply:
        if reply.status_code != 200:
            raise requests.HTTPError(f"status {reply.status_code}")
        return bytes(reply.raw.read(_MAX_BYTES, decode_content=True))


def parse(data: bytes) -> jwt.PyJWKSet:
    """A key set. Raises ValueError."""
    import jwt  # loaded by those who have tokens

    try:
        return jwt.PyJWKSet.from_json(data.decode())
    except (jwt.PyJWTError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"no key set: {error}") from None


def pick(keys: jwt.PyJWKSet, header: Mapping[str, Any]) -> Any:
    """The key that a token's header names, the only one when it names none; None when there is none."""
    kid = header.get("kid")
    usable = [key for key in keys.keys if key.public_key_use in (None, "sig")]
    if kid is None:
        return usable[0].key if len(usable) == 1 else None
    return next((key.key for key in usable if key.key_id == kid), None)


class KeySet:
    """The keys of an issuer."""

    def key(self, header: Mapping[str, Any]) -> Any:
        """The key for a token's header. Raises WrongCredential."""
        found = self._find(header)
        if found is None:
            raise WrongCredential("signed with an unknown key")
        return found

    def _find(self, header: Mapping[str, Any]) -> Any:
        raise NotImplementedError


class KeyFile(KeySet):
    """Keys in a file, for places that reach no issuer."""

    def __init__(self, path: Path, files: Files) -> None:
        self._file = files.open(path, parse)

    def _find(self, header: Mapping[str, Any]) -> Any:
        return pick(self._file.content, header)


class KeyUrl(KeySet):
    """Keys at a URL, or where the issuer's metadata say.

    Waits for the network at most `TIMEOUT` seconds, twice; keys that were had stay good while it is away.
    """

    def __init__(
        self, issuer: str, url: str | None, get: Fetch = fetch, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer.rstrip("/")
        self._url = url
        self._get = get
        self._clock = clock
        self._keys: jwt.PyJWKSet | None = None
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def _find(self, header: Mapping[str, Any]) -> Any:
        with self._lock:
            age = self._clock() - self._asked
            if age > REFRESH:
                self._refresh()
            found = self._picked(header)
            if found is None and self._clock() - self._asked > NOT_SOONER:
                self._refresh()
                found = self._picked(header)
            return found

    def _picked(self, header: Mapping[str, Any]) -> Any:
        return None if self._keys is None else pick(self._keys, header)

    def _refresh(self) -> None:
        self._asked = self._clock()
        try:
            self._keys = parse(self._get(self._url or self._discovered()))
        except (OSError, ValueError) as error:
            if self._keys is None:
                raise WrongCredential(f"the keys of {self._issuer} cannot be had: {error}") from None

    def _discovered(self) -> str:
        for name in ("openid-configuration", "oauth-authorization-server"):
            try:
                found = orjson.loads(self._get(f"{self._issuer}/.well-known/{name}")).get("jwks_uri")
            except (OSError, ValueError, AttributeError):
                continue
            if isinstance(found, str):
                return found
        raise ValueError("its metadata name no jwks_uri")
