"""Attacks by what is to prove who somebody is: SOAP headers, bearer tokens, passwords."""

from __future__ import annotations

import base64
import itertools
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from birdbath.credentials.passwords import change, hash_password
from birdbath.credentials.tokens import new_signing_key
from tests.attack.victim import PATIENCE, Answer, Canary, Victim, post, read, victim
from tests.guard.world import WSS, toml
from tests.soap.wire import envelope, operation

W = f'xmlns:w="{WSS}wssecurity-secext-1.0.xsd" xmlns:u="{WSS}wssecurity-utility-1.0.xsd"'
DIGEST = f'<w:Password Type="{WSS}username-token-profile-1.0#PasswordDigest">{{}}</w:Password>'
BEGIN = operation("beginTransaction", "<duration>60</duration>")


def token(inner: str, name: str = "ann") -> str:
    return f"<w:UsernameToken><w:Username>{name}</w:Username>{inner}</w:UsernameToken>"


def header(content: str, attributes: str = "", prolog: str = "") -> bytes:
    security = f"<w:Security {W}{attributes}>{content}</w:Security>"
    return envelope(BEGIN, header=f"<e:Header>{security}</e:Header>", prolog=prolog)


def digest(
    nonce: str = "bm9uY2U=", created: str = "2026-01-01T00:00:00Z", value: str = "x" * 28, name: str = "ann"
) -> bytes:
    return header(token(f"{DIGEST.format(value)}<w:Nonce>{nonce}</w:Nonce><u:Created>{created}</u:Created>"))


BOMB = "<!DOCTYPE e [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
HEADERS: dict[str, bytes] = {
    "a wrong digest": digest(),
    "a nonce of a million letters": digest(nonce="A" * 1_000_000),
    "a nonce of a thousand letters": digest(nonce="A" * 1_000),
    "a nonce that is no base64": digest(nonce="*" * 100),
    "no nonce": digest(nonce=""),
    "a digest of a million letters": digest(value="A" * 1_000_000),
    "a digest beyond ASCII": digest(value="\u20ac" * 28),
    "created never": digest(created=""),
    "created at no time": digest(created="yesterday"),
    "created in the year 1": digest(created="0001-01-01T00:00:00+23:59"),
    "created in the year 9999": digest(created="9999-12-31T23:59:59-23:59"),
    "created in a week": digest(created="2026-W01-1"),
    "created with a million digits": digest(created="2026-01-01T00:00:00." + "9" * 1_000_000 + "Z"),
    "two tokens": header(token("<w:Password>x</w:Password>") * 2),
    "ten thousand tokens": header(token("<w:Password>x</w:Password>") * 3_000),
    "two passwords": header(token("<w:Password>x</w:Password>" * 2)),
    "ten thousand nonces": header(token("<w:Nonce>x</w:Nonce>" * 10_000)),
    "two headers": header("").replace(b"</w:Security>", b"</w:Security>" + f"<w:Security {W}/>".encode()),
    "a name of a million letters": header(token("", name="a" * 1_000_000)),
    "a name that climbs": digest(name="../../etc/passwd"),
    "a name of two lines": digest(name="ann&#10;bob:x"),
    "a password of a thousand letters": header(token(f"<w:Password>{'x' * 1000}</w:Password>")),
    "two hundred elements deep": header("<x>" * 200 + token("") + "</x>" * 200),
    "a hundred thousand elements deep": header("<x>" * 100_000),
    "thirty thousand attributes": header(token("<x" + "".join(f" a{n}=''" for n in range(30_000)) + "/>")),
    "a header that never ends": envelope(BEGIN, header=f"<e:Header><w:Security {W}>" + "<w:Nonce>" * 400),
    "its end alone": envelope(BEGIN, header="<e:Header></w:Security></e:Header>"),
    "its end ten thousand times": envelope(BEGIN, header="<e:Header>" + "</w:Security>" * 10_000),
    "its beginning ten thousand times": envelope(BEGIN, header="<e:Header>" + "<w:Security>" * 10_000),
    "identities": header(token("".join(f'<x u:Id="{n}"/>' for n in range(5_000)))),
    "an entity": header(token("", name="&b;"), prolog=BOMB),
    "an entity in an attribute": header(token("<x y='&b;'/>"), prolog=BOMB),
    "a signature": header(
        "<d:Signature xmlns:d='http://www.w3.org/2000/09/xmldsig#'/>", ' e:mustUnderstand="1"'
    ),
    "a token of X.509": header(f"<w:BinarySecurityToken>{'A' * 500_000}</w:BinarySecurityToken>"),
}


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def bearer(head: object, claims: object, signature: object = b"x" * 32) -> str:
    return f"Bearer {part(head)}.{part(claims)}.{part(signature)}"


HS = {"alg": "HS256", "typ": "JWT", "kid": "POOL"}
OURS = {"iss": "here", "sub": "ann@here"}
AUTHORIZATIONS: dict[str, str] = {
    "signed by nobody": bearer(HS, OURS),
    "no algorithm": bearer(HS | {"alg": "none"}, OURS, b""),
    "an algorithm that is a list": bearer(HS | {"alg": ["HS256"]}, OURS),
    "another algorithm": bearer(HS | {"alg": "RS256"}, OURS),
    "a key that climbs": bearer(HS | {"kid": "../../etc/passwd"}, OURS),
    "a key that is a number": bearer(HS | {"kid": 7}, OURS),
    "a key of its own": bearer(HS | {"jwk": {"kty": "oct", "k": "eA"}}, OURS),
    "something critical": bearer(HS | {"crit": ["exp"], "exp": 1}, OURS),
    "arrays in arrays": bearer(b"[" * 5_000, OURS),
    "claims in arrays in arrays": bearer(HS, b"[" * 5_000),
    "claims that are a list": bearer(HS, [1, 2]),
    "an issuer that is a list": bearer(HS, OURS | {"iss": ["here"]}),
    "a time of many digits": bearer(HS, b'{"iss":"here","exp":' + b"9" * 5_000 + b"}"),
    "no JSON": bearer(b"\xff\xfe", b"\0"),
    "dots": "Bearer " + "." * 8_000,
    "no dots": "Bearer " + "A" * 8_000,
    "nothing": "Bearer",
    "Basic of nothing": "Basic",
    "Basic of no base64": "Basic ****",
    "Basic of no text": "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    "Basic without a colon": "Basic " + base64.b64encode(b"a" * 4_000).decode(),
    "Basic of many colons": "Basic " + base64.b64encode(b":" * 4_000).decode(),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    change(folder / "passwords", "ann", hash_password("a good password", clear=True))
    (folder / "POOL").write_bytes(new_signing_key())
    table = [
        {"method": "basic", "passwords": str(folder / "passwords")},
        {"method": "usernametoken", "passwords": str(folder / "passwords")},
        {"method": "idtoken", "trust_domain": "here", "key": str(folder / "POOL")},
    ]
    settings = folder / "birdbath.toml"
    settings.write_text(f"authentication = {toml(table)}\nallow_read = ['*']\n")
    with victim(folder / "home", "--config", str(settings)) as found:
        for request in (post(digest()), with_authorization(AUTHORIZATIONS["signed by nobody"])):
            for _ in range(3):
                exchange(found, request)
        yield found


_addresses = (f"127.0.{a}.{b}" for a, b in itertools.product(range(1, 250), range(1, 250)))


def exchange(target: Victim, request: bytes) -> Answer:
    """From an address of its own: who guesses is soon not listened to any more."""
    source = (next(_addresses), 0)
    with socket.create_connection(("127.0.0.1", target.port), PATIENCE, source) as connection:
        connection.sendall(request)
        return read(connection)


def with_authorization(value: str) -> bytes:
    return post(envelope(BEGIN), f"Authorization: {value}".encode())


def attack(target: Victim, attempt: Callable[[], Answer], tmp_path: Path) -> None:
    toll = target.attack(attempt)
    refused = toll.answer.status == 401 or toll.answer.fault_code in ("Client", "MustUnderstand")
    assert refused, toll.answer.raw[:500]
    toll.check()


@pytest.mark.parametrize("name", HEADERS)
def test_a_hostile_security_header(name: str, target: Victim, tmp_path: Path) -> None:
    attack(target, lambda: exchange(target, post(HEADERS[name])), tmp_path)


@pytest.mark.parametrize("name", AUTHORIZATIONS)
def test_a_hostile_authorization(name: str, target: Victim, tmp_path: Path) -> None:
    attack(target, lambda: exchange(target, with_authorization(AUTHORIZATIONS[name])), tmp_path)


def test_keys_that_are_elsewhere_are_not_fetched(target: Victim, canary: Canary, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{canary.port}/keys"
    head = HS | {"jku": url, "x5u": url, "kid": url}
    claims = OURS | {"iss": url}
    for value in (bearer(head, OURS), bearer(head, claims), bearer(HS, claims)):
        attack(target, lambda value=value: exchange(target, with_authorization(value)), tmp_path)  # type: ignore[misc]
    canary.check()
