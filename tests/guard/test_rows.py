"""Several rows of a method in the credential table: each of them counts."""

from __future__ import annotations

import asyncio
import hashlib
import time
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from birdbath import admission
from birdbath.access import Caller, Level
from birdbath.credentials import passwords
from birdbath.credentials.passwords import change, hash_password
from birdbath.credentials.tokens import IdTokens, new_signing_key
from birdbath.http.asgi import Scope
from birdbath.http.authentication import Authentication, NotAuthenticated
from birdbath.settings import settings_from
from birdbath.soap import UsernameToken
from tests.guard.world import write_keys

ADDRESS = "192.0.2.1"


def table(folder: Path, *rows: dict[str, Any]) -> Authentication:
    return admission.authentication(settings_from({"home": folder, "authentication": list(rows)}))


def password_rows(folder: Path, method: str, *accounts: Sequence[str], clear: bool = False) -> list[Any]:
    """A row for each of the lists of accounts; a password is "of", the account, and the row's number."""
    rows = []
    for number, names in enumerate(accounts):
        path = folder / f"passwords{number}"
        for name in names:
            change(path, name, hash_password(f"of {name} {number}", clear))
        rows.append({"method": method, "passwords": path})
    return rows


def account(authentication: Authentication, authorization: str, subject: str | None = None) -> str | None:
    """The account; None for a wrong credential."""
    scope: Scope = {"type": "http", "headers": [(b"authorization", authorization.encode())]}
    if subject is not None:
        scope = {"type": "http", "headers": [], "extensions": {"tls": {"client_subject": subject}}}
    try:
        return asyncio.run(authentication.caller(scope, ADDRESS, secure=True)).account
    except NotAuthenticated:
        return None


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def test_an_account_is_looked_for_in_each_password_file(tmp_path: Path) -> None:
    found = table(tmp_path, *password_rows(tmp_path, "basic", ["ann", "bob"], ["bob", "eve"]))
    assert account(found, basic("ann", "of ann 0")) == "ann"
    assert account(found, basic("eve", "of eve 1")) == "eve"
    assert account(found, basic("bob", "of bob 0")) == "bob"
    assert account(found, basic("bob", "of bob 1")) is None  # the first that has it counts


def test_an_unknown_account_costs_one_slow_check_however_many_files_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = table(tmp_path, *password_rows(tmp_path, "basic", ["ann"], ["bob"], ["eve"]))
    checked: list[str] = []

    def is_right(kept: str, password: str) -> bool:
        checked.append(kept)
        return original(kept, password)

    original = passwords.is_right
    monkeypatch.setattr(passwords, "is_right", is_right)
    assert account(found, basic("nobody", "anything")) is None
    assert len(checked) == 1
    assert account(found, basic("eve", "of eve 2")) == "eve"
    assert len(checked) == 2


def test_each_way_is_offered_once(tmp_path: Path) -> None:
    rows = password_rows(tmp_path, "basic", ["ann"], ["bob"])
    rows += [id_token_row(tmp_path, "old"), id_token_row(tmp_path, "new")]
    with pytest.raises(NotAuthenticated) as caught:
        table(tmp_path, *rows).demand(Caller(ADDRESS, None, frozenset({Level.NONE})), Level.READ)
    offered = sorted(value.split()[0] for name, value in caught.value.headers if name == b"www-authenticate")
    assert offered == [b"Basic", b"Bearer"]


def id_token_row(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(new_signing_key())
    return {"method": "idtoken", "trust_domain": "here", "key": path}


@pytest.mark.parametrize("names", [("old", "new"), ("before/POOL", "after/POOL")])
def test_each_signing_key_of_a_trust_domain_is_believed(tmp_path: Path, names: tuple[str, str]) -> None:
    """Also when both are called the same, so that the tokens do not tell which of them it was."""
    rows = [id_token_row(tmp_path, name) for name in names]
    found = table(tmp_path, *rows)
    for row in rows:
        token = IdTokens("here", row["key"]).create("ann@here")
        assert account(found, f"Bearer {token}") == "ann@here"
    id_token_row(tmp_path, "other")
    assert account(found, f"Bearer {IdTokens('here', tmp_path / 'other').create('ann@here')}") is None


def test_each_row_of_an_issuer_counts(tmp_path: Path) -> None:
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    rows = []
    for number, key in enumerate(keys):
        path = tmp_path / f"{number}.json"
        write_keys(path, f"key{number}", key)
        rows.append({"method": "oidc", "issuer": "https://issuer", "keys": path, "audience": [f"{number}"]})
    found = table(tmp_path, *rows)

    def token(number: int, audience: int) -> str:
        claims = {"iss": "https://issuer", "sub": "ann", "aud": str(audience), "exp": int(time.time()) + 600}
        return "Bearer " + jwt.encode(claims, keys[number], "RS256", headers={"kid": f"key{number}"})

    assert [account(found, token(number, number)) for number in range(2)] == ["ann", "ann"]
    assert account(found, token(0, 1)) is None  # each row's key goes with its own audience


def test_a_name_is_looked_for_in_each_map_file(tmp_path: Path) -> None:
    rows = []
    for number, lines in enumerate(("SSL /CN=ann$ ann\n", "SSL /CN=ann$ other\nSSL /CN=bob$ bob\n")):
        (tmp_path / f"map{number}").write_text(lines)
        rows.append({"method": "certificate", "mapfile": tmp_path / f"map{number}"})
    found = table(tmp_path, *rows)
    assert [account(found, "", f"/CN={name}") for name in ("ann", "bob", "eve")] == ["ann", "bob", None]


def test_an_account_in_a_soap_header_is_looked_for_in_each_password_file(tmp_path: Path) -> None:
    found = table(tmp_path, *password_rows(tmp_path, "usernametoken", ["ann"], ["bob"], clear=True))

    def proved(token: UsernameToken) -> str | None:
        return asyncio.run(found.message_caller(Caller(ADDRESS), token, secure=True)).account

    for number, name in enumerate(("ann", "bob")):
        secret = f"of {name} {number}"
        assert proved(UsernameToken(name, secret, False, "", "")) == name
        created = datetime.now(UTC).isoformat()
        digest = hashlib.sha1(b"once" + created.encode() + secret.encode(), usedforsecurity=False).digest()
        nonce = b64encode(b"once").decode()
        assert proved(UsernameToken(name, b64encode(digest).decode(), True, nonce, created)) == name
