"""As whom the gateway submits: as itself, naming the owner, or with a token of each account.

The bindings keep one identity's sessions for another (pool reference section 3), so a worker process has one
identity for all of its life.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from birdbath.credentials.tokens import IdTokens
from birdbath.pool.htcondor.connection import Connection, PoolRefused

LIFETIME = 24 * 3600
"""Seconds for which a token that is made here is good; a worker is replaced long before."""

Domains = Callable[[], tuple[str, str]]


class UserTokens:
    """A token for each account: made with the pool's signing key, or found in a folder under its name.

    `domains` asks the pool for its TRUST_DOMAIN and UID_DOMAIN. Tokens are given to workers in files that
    only this account may read.
    """

    def __init__(self, folder: Path | None, key: Path | None, domains: Domains) -> None:
        self._given = folder
        self._key = key
        self._domains = domains
        self._folder = Path(tempfile.mkdtemp(prefix="birdbath-tokens-"))

    def close(self) -> None:
        """Delete the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def connection(self, connection: Connection, account: str) -> Connection:
        """How a worker connects as an account. Raises PoolRefused when there is no token for it.

        May read files and ask the pool: not on the loop.
        """
        token = self._token(account)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        file = os.open(folder / "token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as target:
            target.write(f"{token}\n")
        parameters = {
            **connection.parameters,
            "SEC_CLIENT_AUTHENTICATION_METHODS": "IDTOKENS",
            "SEC_TOKEN_DIRECTORY": str(folder),
            "SEC_TOKEN_SYSTEM_DIRECTORY": str(folder),
        }
        return replace(connection, parameters=parameters)

    def _token(self, account: str) -> str:
        if not account or "/" in account or account.startswith("."):
            raise PoolRefused(f"Nobody submits jobs for the account {account[:40]!r}")
        try:
            if self._key is not None:
                trust_domain, uid_domain = self._domains()
                return IdTokens(trust_domain, self._key).create(f"{account}@{uid_domain}", LIFETIME)
            assert self._given is not None
            return (self._given / account).read_text().strip()
        except FileNotFoundError:
            raise PoolRefused(f"The gateway has no token of {account} for the pool") from None
        except (OSError, ValueError) as error:
            raise PoolRefused(f"The token of {account} for the pool cannot be had: {error}") from None
