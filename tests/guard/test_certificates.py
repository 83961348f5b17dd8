"""Client certificates that must be there, and tokens of SciTokens' issuers: over real TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest

from tests.guard.authority import Authority
from tests.guard.world import ISSUER, NOBODY, Credential, World, world


@pytest.fixture(scope="module")
def demanding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server to which nobody speaks without a certificate."""
    with world(tmp_path_factory.mktemp("required"), tls_client_certificates="required") as made:
        yield made


def test_who_has_none_does_not_get_as_far_as_http(demanding: World) -> None:
    for credential in (NOBODY, demanding.basic("owner"), demanding.id_token("owner")):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            demanding.call(credential, "getVersionString")


def test_who_has_one_is_whom_the_map_file_says(demanding: World) -> None:
    assert demanding.call(demanding.certificate("owner"), "getJobAds").verdict == "SUCCESS"
    answer = demanding.call(demanding.certificate("other"), "beginTransaction", "<duration>60</duration>")
    assert answer.verdict == "SUCCESS"
    strange = demanding.call(demanding.certificate("with blank"), "getJobAds")
    assert strange.verdict == "401"


def test_the_inner_credential_speaks_for_the_outer(demanding: World) -> None:
    outer = demanding.certificate("other")
    both = Credential(demanding.basic("boss").headers, None, outer.certificate)
    item = "<item><name>Name</name><type>STRING-ATTR</type><value>x</value></item>"
    insert = f"<type>GENERIC-AD-TYPE</type><ad>{item}</ad>"
    assert demanding.call(both, "insertAd", insert).verdict == "SUCCESS"
    assert demanding.call(outer, "insertAd", insert).message == "Permission denied"


def test_a_certificate_of_another_authority_is_none(demanding: World, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger").client("owner")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        demanding.call(Credential(certificate=stranger.path), "getVersionString")


PATIENCE = 60.0
"""Seconds; changed files are noticed within two."""


def test_an_authority_that_was_removed_is_not_trusted_any_longer(tmp_path: Path) -> None:
    """Nor is a session resumed that began with one of its certificates."""
    former, latter = Authority(tmp_path / "former"), Authority(tmp_path / "latter")
    trusted = tmp_path / "clients-ca.pem"
    trusted.write_bytes(former.path.read_bytes())
    old, new = former.client("owner"), latter.client("owner")
    made_so = world(
        tmp_path, tls_client_certificates="required", tls_client_ca=str(trusted), header_seconds=6.0
    )
    with made_so as made:
        # TLS 1.2: who is refused hears of it in the handshake, and a session is there right after it.
        context = made.context(old.path)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with context.wrap_socket(connect(made), server_hostname="127.0.0.1") as first:
            session = first.session
        assert made.call(Credential(certificate=old.path), "getJobAds").verdict == "SUCCESS"
        idle, following = kept_open(made, context, "/pool/clock"), kept_open(made, context, "/events")

        trusted.write_bytes(latter.path.read_bytes())
        deadline = time.monotonic() + PATIENCE
        while not passes(made, Credential(certificate=new.path)):
            assert time.monotonic() < deadline, "the new authority is not trusted"
        assert not passes(made, Credential(certificate=old.path))
        with connect(made) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)

        for connection in (idle, following):  # nor does what it let in before go on
            with connection, suppress(ConnectionError):
                while connection.recv(4096):
                    pass

        trusted.write_text("nonsense")
        deadline = time.monotonic() + PATIENCE
        while "The new certificate is not used" not in made.server.log.read_text():
            assert passes(made, Credential(certificate=new.path))
            assert time.monotonic() < deadline, "the log does not say what is wrong with the file"
        assert passes(made, Credential(certificate=new.path))


def kept_open(world: World, context: ssl.SSLContext, path: str) -> ssl.SSLSocket:
    """A connection on which a request was answered, or is being answered for ever."""
    connection = context.wrap_socket(connect(world), server_hostname="127.0.0.1")
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return connection


def passes(world: World, credential: Credential) -> bool:
    try:
        return world.call(credential, "getJobAds").verdict == "SUCCESS"
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return False


def connect(world: World) -> socket.socket:
    address = urlsplit(world.server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), PATIENCE)


AUDIENCE = "https://pool.example.org"


@pytest.fixture(scope="module")
def scientific(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that believes SciTokens of one issuer, and maps some of their subjects."""
    folder = tmp_path_factory.mktemp("scitokens")
    mapfile = folder / "scitokens.map"
    mapfile.write_text(
        f"SCITOKENS {ISSUER},alice owner\nSCITOKENS /^{ISSUER.replace('.', '[.]')},team-([a-z]+)$/ \\1\n"
    )
    row = {
        "method": "scitoken",
        "issuer": ISSUER,
        "keys": str(folder / "jwks.json"),
        "audience": [AUDIENCE],
        "mapfile": str(mapfile),
    }
    with world(folder, authentication=[row]) as made:
        yield made


def scitoken(world: World, subject: str, scope: str | None = None, **claims: object) -> Credential:
    now = int(time.time())
    payload: dict[str, object] = {"iss": ISSUER, "sub": subject, "aud": AUDIENCE, "iat": now, "nbf": now}
    payload |= {"exp": now + 600, "ver": "scitoken:2.0", "jti": "1"} | claims
    if scope is not None:
        payload["scope"] = scope
    token = jwt.encode(payload, world.issuer_key, "RS256", headers={"kid": "one"})
    return Credential({"Authorization": f"Bearer {token}"})


def begin(world: World, credential: Credential) -> str:
    answer = world.call(credential, "beginTransaction", "<duration>60</duration>")
    return answer.verdict if answer.verdict != "FAIL" else answer.message


@pytest.mark.parametrize(
    ("subject", "verdict"), [("alice", "SUCCESS"), ("team-other", "SUCCESS"), ("mallory", "401"), ("", "401")]
)
def test_subjects_are_mapped(scientific: World, subject: str, verdict: str) -> None:
    assert begin(scientific, scitoken(scientific, subject)) == verdict


@pytest.mark.parametrize(
    ("scope", "verdict"),
    [
        ("compute.read", "Permission denied"),
        ("compute.create compute.cancel", "SUCCESS"),
        ("condor:/READ", "Permission denied"),
        ("condor:/WRITE", "SUCCESS"),
        ("storage.read:/data", "SUCCESS"),  # speaks of somebody else's things
    ],
)
def test_scopes_limit(scientific: World, scope: str, verdict: str) -> None:
    assert begin(scientific, scitoken(scientific, "alice", scope)) == verdict


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://else.example.org"}, {"aud": "ANY"}, {"exp": 1}, {"iss": "https://evil.example.org"}],
)
def test_what_is_not_for_this_server_is_refused(scientific: World, claims: dict[str, object]) -> None:
    assert begin(scientific, scitoken(scientific, "alice", None, **claims)) == "401"
