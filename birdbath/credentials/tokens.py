"""Bearer tokens: HTCondor's IDTOKENS by the pool's signing key; SciTokens and OIDC access tokens by issuer.

PyJWT and cryptography do the cryptography; they are loaded by those who have tokens, for they take a tenth of
a server's start. Each issuer has its own keys and algorithms, so a token cannot choose how it is judged.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Protocol

from birdbath.access import Level
from birdbath.credentials.errors import WrongCredential
from birdbath.credentials.keys import KeySet
from birdbath.credentials.mapfile import MapFiles
from birdbath.credentials.rereading import Files

LEEWAY: Final = 60
"""Seconds that the clocks of issuer and server may differ."""

_SCRAMBLE = b"\xde\xad\xbe\xef"
_ASYMMETRIC: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
_POOL: Final = "POOL"

_UP_TO_WRITE = frozenset({Level.READ, Level.WRITE})
_GRANTS: Final[Mapping[str, frozenset[Level]]] = {
    "READ": frozenset({Level.READ}),
    "WRITE": _UP_TO_WRITE,
    "ADMINISTRATOR": _UP_TO_WRITE | {Level.ADMINISTRATOR},
    "DAEMON": _UP_TO_WRITE | {Level.ADVERTISE},
    "ADVERTISE_STARTD": frozenset({Level.ADVERTISE}),
    "ADVERTISE_SCHEDD": frozenset({Level.ADVERTISE}),
    "ADVERTISE_MASTER": frozenset({Level.ADVERTISE}),
    "compute.read": frozenset({Level.READ}),
    "compute.create": _UP_TO_WRITE,
    "compute.modify": _UP_TO_WRITE,
    "compute.cancel": _UP_TO_WRITE,
}


@dataclass(frozen=True)
class Proof:
    """What a token proves: the name, until when (seconds since the epoch), the levels it is limited to."""

    name: str
    expires: float
    levels: frozenset[Level] | None


class Issuer(Protocol):
    """One who issues tokens that are believed here."""

    issuer: str
    method: str

    def prove(self, token: str) -> Proof:
        """What the token proves. Raises WrongCredential. May read files or the network: not on the loop."""


def limits(scope: object) -> frozenset[Level] | None:
    """The levels that a scope claim limits a token to; None when it speaks of none."""
    words = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    about_us = [word for word in map(str, words) if word.startswith(("condor:/", "compute."))]
    if not about_us:
        return None
    granted: frozenset[Level] = frozenset()
    for word in about_us:
        granted |= _GRANTS.get(word.removeprefix("condor:/"), frozenset())
    return granted


def unscrambled(data: bytes) -> bytes:
    """The secret in a signing key file; HTCondor keeps it from being read by accident only."""
    return bytes(byte ^ mask for byte, mask in zip(data, cycle(_SCRAMBLE), strict=False))


def new_signing_key() -> bytes:
    """The content of a new signing key file."""
    return unscrambled(secrets.token_bytes(64))


def signing_key(data: bytes, name: str) -> bytes:
    """The key that signs IDTOKENS, from the content of the file `name`."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    if not data:
        raise ValueError("the signing key is empty")
    secret = unscrambled(data)
    # The pool's password is doubled, because it once was in another protocol.
    material = secret * 2 if name == _POOL else secret
    return HKDF(SHA256(), 32, salt=b"htcondor", info=b"master jwt").derive(material)


class IdTokens:
    """IDTOKENS of a trust domain, signed with a key file of HTCondor's (SEC_PASSWORD_DIRECTORY)."""

    method = "IDTOKENS"

    def __init__(
        self, trust_domain: str, key_file: Path, max_age: int = 0, files: Files | None = None
    ) -> None:
        self.issuer = trust_domain
        self._name = key_file.name
        self._max_age = max_age
        self._key = (files or Files()).open(key_file, lambda data: signing_key(data, key_file.name))

    def prove(self, token: str) -> Proof:
        """See `Issuer`."""
        if _header(token).get("kid", _POOL) != self._name:
            raise WrongCredential("signed with another key")
        claims = _decoded(token, self._key.content, ["HS256"], self.issuer, None)
        issued = claims.get("iat", 0)
        if self._max_age and (not isinstance(issued, int | float) or issued + self._max_age < time.time()):
            raise WrongCredential("older than allowed")
        return Proof(_text(claims, "sub"), _expiry(claims), limits(claims.get("scope")))

    def create(self, identity: str, lifetime: int | None = None, authorizations: Sequence[str] = ()) -> str:
        """A token for `identity` (user@domain), valid for `lifetime` seconds (None: for ever), limited to
        the HTCondor levels `authorizations`, if any.
        """
        import jwt

        now = int(time.time())
        claims: dict[str, Any] = {
            "iat": now,
            "nbf": now,
            "iss": self.issuer,
            "jti": secrets.token_hex(16),
            "sub": identity,
        }
        if lifetime is not None:
            claims["exp"] = now + lifetime
        if authorizations:
            claims["scope"] = " ".join(f"condor:/{word}" for word in authorizations)
        return jwt.encode(claims, self._key.content, "HS256", headers={"kid": self._name})


class IssuedTokens:
    """SciTokens, or OIDC access tokens, of one issuer.

    `audience`: the values of aud of which a token needs one; a token with an audience is refused without.
    `claim` holds the name. A map file turns `issuer,subject` into an account by its lines for `method`.
    """

    def __init__(
        self,
        issuer: str,
        keys: KeySet,
        audience: Sequence[str],
        method: str,
        claim: str = "sub",
        map_file: MapFiles | None = None,
    ) -> None:
        self.issuer = issuer
        self.method = method
        self._keys = keys
        self._audience = list(audience)
        self._claim = claim
        self._map_file = map_file

    def prove(self, token: str) -> Proof:
        """See `Issuer`."""
        key = self._keys.key(_header(token))
        claims = _decoded(token, key, _ASYMMETRIC, self.issuer, self._audience or None)
        if "exp" not in claims:
            raise WrongCredential("the token never expires")
        name = _text(claims, self._claim)
        if self._map_file is not None:
            name = self._map_file.account(self.method, f"{self.issuer},{name}")
        return Proof(name, _expiry(claims), limits(claims.get("scope")))


def issuer_of(token: str) -> str:
    """Who the token says has issued it; believed by nobody. Raises WrongCredential."""
    import jwt

    try:
        return str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
    except jwt.PyJWTError as error:
        raise WrongCredential(f"no JSON Web Token: {error}") from None


def _header(token: str) -> dict[str, Any]:
    import jwt

    try:
        return jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise WrongCredential(f"no JSON Web Token: {error}") from None


def _decoded(
    token: str, key: Any, algorithms: list[str], issuer: str, audience: list[str] | None
) -> dict[str, Any]:
    import jwt

    try:
        return jwt.decode(token, key, algorithms, issuer=issuer, audience=audience, leeway=LEEWAY)
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise WrongCredential(f"the token is not valid: {error}") from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise WrongCredential(f"the token has no {name}")
    return value


def _expiry(claims: Mapping[str, Any]) -> float:
    value = claims.get("exp")
    return float(value) if isinstance(value, int | float) else float("inf")
