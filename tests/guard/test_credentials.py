"""Wrong, old, stolen and clever credentials, over real TLS."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.guard.world import (
    AUDIENCE,
    DOMAIN,
    ISSUER,
    NOBODY,
    Credential,
    World,
    digest,
    security,
    world,
    write_keys,
)
from tests.soap.wire import call


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server of its own: wrong credentials are counted by address."""
    with world(tmp_path_factory.mktemp("credentials")) as made:
        yield made


@pytest.fixture(scope="module")
def claiming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Another one, for ten that are wrong: as many as are looked at in a minute, and none of the right ones
    after them.
    """
    with world(tmp_path_factory.mktemp("credentials")) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("credentials")) as made:
        yield made


def bearer(token: str) -> Credential:
    return Credential({"Authorization": f"Bearer {token}"})


def forged(payload: dict[str, object], algorithm: str, kid: str, key: bytes = b"") -> str:
    """A token signed with any bytes as key, which PyJWT would not do; not at all with none."""
    parts = ({"alg": algorithm, "kid": kid}, payload)
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{base64url(hmac.digest(key, text.encode(), 'sha256')) if key else ''}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def verdict(world: World, credential: Credential, name: str = "getJobAds", children: str = "") -> str:
    return world.call(credential, name, children).verdict


def test_wrong_passwords_are_refused_and_guessing_ends_soon(fresh: World) -> None:
    assert verdict(fresh, fresh.basic("owner")) == "SUCCESS"
    wrong = [fresh.basic("owner", f"guess {number}") for number in range(7)]
    wrong += [fresh.basic("nobody", "x"), Credential({"Authorization": "Basic !!!"})]
    wrong += [fresh.username_text("owner", "guess")]
    assert [verdict(fresh, credential) for credential in wrong] == ["401"] * 10
    answer = fresh.call(fresh.basic("owner", "the right one?"), "getJobAds")
    assert answer.verdict == "429"
    assert answer.headers["retry-after"] == "60"
    assert verdict(fresh, fresh.basic("owner")) == "SUCCESS"  # who is known is not locked out
    log = fresh.server.log.read_text()
    assert "guess" not in log
    assert "secret-" not in log


def test_passwords_of_web_servers_are_taken(shared: World) -> None:
    assert verdict(shared, shared.basic("webby")) == "SUCCESS"


def test_a_wrong_credential_is_refused_even_where_none_is_needed(shared: World) -> None:
    assert verdict(shared, NOBODY, "getVersionString") == "SUCCESS"
    assert verdict(shared, bearer("x.y.z"), "getVersionString") == "401"
    assert verdict(shared, Credential({"Authorization": "Negotiate abc"}), "getVersionString") == "SUCCESS"


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({}, True),
        ({"aud": ["https://else.example.org", AUDIENCE]}, True),
        ({"aud": "https://else.example.org"}, False),
        ({"aud": None}, False),
        ({"exp": 1}, False),
        ({"exp": None}, False),
        ({"nbf": 4102444800}, False),
        ({"iss": "https://evil.example.org"}, False),
        ({"sub": None}, False),
        ({"sub": ""}, False),
        ({"sub": 'a" || true'}, False),
        ({"sub": "a" * 300}, False),
    ],
)
def test_claims(shared: World, claiming: World, claims: dict[str, object], accepted: bool) -> None:
    asked = shared if accepted else claiming
    credential = asked.access_token("owner", **claims)
    if None in claims.values():
        token = credential.headers["Authorization"].split()[1]
        payload = jwt.decode(token, options={"verify_signature": False})
        kept = {name: value for name, value in payload.items() if value is not None}
        credential = bearer(jwt.encode(kept, asked.issuer_key, "RS256", headers={"kid": "one"}))
    assert verdict(asked, credential) == ("SUCCESS" if accepted else "401")


def test_a_token_cannot_choose_how_it_is_judged(fresh: World) -> None:
    now = int(time.time())
    payload = {"iss": ISSUER, "sub": "root", "aud": AUDIENCE, "exp": now + 600}
    public = fresh.issuer_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stranger = rsa.generate_private_key(65537, 2048)
    tokens = [
        forged(payload, "none", "one"),
        forged(payload, "HS256", "one", public),
        jwt.encode(payload, stranger, "RS256", headers={"kid": "one"}),
        jwt.encode(payload, stranger, "RS256", headers={"kid": "two", "jku": "https://evil.example.org"}),
        forged({"iss": DOMAIN, "sub": f"root@{DOMAIN}"}, "none", "POOL"),
        jwt.encode({"iss": DOMAIN, "sub": f"root@{DOMAIN}"}, "x" * 32, "HS256", headers={"kid": "../POOL"}),
    ]
    assert [verdict(fresh, bearer(token)) for token in tokens] == ["401"] * len(tokens)


def test_the_keys_of_an_issuer_are_read_again(fresh: World) -> None:
    renewed = rsa.generate_private_key(65537, 2048)
    now = int(time.time())
    payload = {"iss": ISSUER, "sub": "owner", "aud": AUDIENCE, "exp": now + 600}
    write_keys(fresh.keys, "two", renewed)
    deadline = time.monotonic() + 150
    credential = bearer(jwt.encode(payload, renewed, "RS256", headers={"kid": "two"}))
    while (found := verdict(fresh, credential)) != "SUCCESS" and time.monotonic() < deadline:
        time.sleep(0.6)  # with ten guesses a minute none is looked at any more until the minute is over
    assert found == "SUCCESS"


def test_a_file_that_breaks_makes_the_server_unwell_until_it_is_mended(fresh: World) -> None:
    """Accounts that were taken out of it could else go on for ever, and nobody would know."""
    known = fresh.basic("owner")
    files = [fresh.keys.with_name(name) for name in ("passwords", "digests", "mapfile", "POOL", "jwks.json")]

    def told_until(wanted: Callable[[dict[str, str]], bool]) -> int:
        deadline = time.monotonic() + 60
        while True:
            answer = fresh.request("GET", "/health/ready", known)
            troubles = json.loads(answer.text)["troubles"]
            if wanted(troubles):
                return answer.http
            assert time.monotonic() < deadline, troubles

    good = [file.read_bytes() for file in files]
    for file in files:
        file.write_bytes(b"" if file.name == "POOL" else b"nonsense")
    assert told_until(lambda told: all(str(file) in told.get("credentials", "") for file in files)) == 503
    for file, data in zip(files, good, strict=True):
        file.write_bytes(data)
    assert told_until(lambda told: told == {}) == 200


def test_id_tokens_grant_no_more_than_they_say(shared: World) -> None:
    reader = shared.id_token("owner", "READ")
    assert verdict(shared, reader) == "SUCCESS"
    answer = shared.call(reader, "beginTransaction", "<duration>60</duration>")
    assert (answer.verdict, answer.message) == ("FAIL", "Permission denied")
    assert verdict(shared, shared.id_token("owner", "WRITE"), "requestReschedule") == "SUCCESS"
    assert verdict(shared, shared.id_token("owner", lifetime=None)) == "SUCCESS"


def test_a_digest_counts_once_and_in_time(fresh: World) -> None:
    def ask(header: str) -> str:
        return verdict(fresh, Credential(soap_header=lambda: header))

    header = digest("owner", "secret-owner")
    assert ask(header) == "SUCCESS"
    assert ask(header) == "401"
    assert ask(digest("owner", "secret-owner", created="2001-01-01T00:00:00Z")) == "401"
    assert ask(digest("owner", "secret-owner", created="2999-01-01T00:00:00Z")) == "401"
    assert ask(digest("owner", "secret-owner", created="now")) == "401"
    assert ask(digest("owner", "another")) == "401"
    assert ask(digest("nobody", "another")) == "401"
    assert ask(security("owner", "")) == "401"
    assert ask(security("owner", "<w:Password>a</w:Password><w:Password>b</w:Password>")) != "SUCCESS"


def test_the_soap_header_counts_before_the_connection(shared: World) -> None:
    both = Credential(shared.basic("owner").headers, lambda: digest("boss", "secret-boss"))
    item = "<item><name>Name</name><type>STRING-ATTR</type><value>x</value></item>"
    assert verdict(shared, both, "insertAd", f"<type>GENERIC-AD-TYPE</type><ad>{item}</ad>") == "SUCCESS"


def test_a_certificate_of_another_authority_is_no_certificate(shared: World, tmp_path: object) -> None:
    from pathlib import Path

    from tests.guard.authority import Authority

    stranger = Authority(Path(str(tmp_path)) / "stranger").client("root")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        shared.call(Credential(certificate=stranger.path), "getJobAds")


def test_a_certificate_that_nobody_maps_is_refused(shared: World) -> None:
    pair = shared.authority.client("with blank")
    assert verdict(shared, Credential(certificate=pair.path)) == "401"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(shared: World, version: ssl.TLSVersion) -> None:
    context = shared.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    address = urlsplit(shared.server.url)
    with (
        socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_plain_http_to_a_tls_port_gets_nothing(shared: World) -> None:
    address = urlsplit(shared.server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.request("POST", "/", call("getVersionString"))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.getresponse()
    connection.close()


def test_a_renewed_certificate_is_used_without_a_restart(fresh: World) -> None:
    address = urlsplit(fresh.server.url)

    def serial() -> str:
        with (
            socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as plain,
            fresh.context().wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            certificate = tls.getpeercert()
            assert certificate is not None
            return str(certificate["serialNumber"])

    before = serial()
    fresh.authority.server()  # into the same file
    deadline = time.monotonic() + 60
    while (after := serial()) == before and time.monotonic() < deadline:
        time.sleep(0.3)
    assert after != before


def test_private_keys_never_reach_the_log(shared: World) -> None:
    assert "PRIVATE" not in shared.server.log.read_text()
