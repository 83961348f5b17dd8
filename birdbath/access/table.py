"""The credential table as the settings have it: one row for each way of proving an account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CertificateRow(_Row):
    """Client certificates, mapped to accounts by the SSL lines of a map file of HTCondor's."""

    method: Literal["certificate"]
    mapfile: Path


class BasicRow(_Row):
    """HTTP Basic against a password file."""

    method: Literal["basic"]
    passwords: Path


class UsernameTokenRow(_Row):
    """WS-Security UsernameToken against a password file."""

    method: Literal["usernametoken"]
    passwords: Path


class IdTokenRow(_Row):
    """HTCondor's IDTOKENS: the trust domain, the signing key file, and the oldest age in seconds (0: any)."""

    method: Literal["idtoken"]
    trust_domain: str
    key: Path
    max_age: int = 0


class IssuerRow(_Row):
    """SciTokens or OIDC access tokens of one issuer.

    Its public keys are in the file `keys`, or at `keys_url`, or where the issuer's metadata say.
    """

    method: Literal["scitoken", "oidc"]
    issuer: str
    keys: Path | None = None
    keys_url: str | None = None
    audience: tuple[str, ...] = ()
    claim: str = "sub"
    mapfile: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> IssuerRow:
        if self.method == "oidc" and not self.audience:
            raise ValueError("it needs an audience: the issuer gives tokens for other services too")
        for url in (self.keys_url, None if self.keys or self.keys_url else self.issuer):
            if url is not None and not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
                raise ValueError("keys are fetched by https only")
        return self


CredentialRow = Annotated[
    CertificateRow | BasicRow | UsernameTokenRow | IdTokenRow | IssuerRow, Field(discriminator="method")
]
