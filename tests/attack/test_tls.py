"""Attacks on the handshake of TLS: what is no TLS, what is of an old one, too large, or begins anew."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.attack.victim import PATIENCE, Answer, Victim
from tests.guard.authority import Authority
from tests.server_process import running_server
from tests.toolkit import require

HELLO = b"\x16\x03\x01"
GARBAGE = {
    "nothing but zeros": b"\0" * 20_000,
    "noise": os.urandom(20_000),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\0" * 40,
    "a record that is too long": HELLO + b"\xff\xff" + b"\1" * 70_000,
    "a hello that says it is long": HELLO + b"\x40\x00\x01\xff\xff\xff" + b"\0" * 16_000,
    "a hello in pieces of a byte": (HELLO + b"\x00\x01\x01") * 5_000,
    "empty records": (HELLO + b"\x00\x00") * 10_000,
    "alerts": b"\x15\x03\x01\x00\x02\x01\x00" * 5_000,
    "a heartbeat": b"\x18\x03\x02\x00\x03\x01\x40\x00",
    "data before the handshake": b"\x17\x03\x03\x40\x00" + b"x" * 0x4000,
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Victim]:
    folder = tmp_path_factory.mktemp("victim")
    settings = folder / "birdbath.toml"
    settings.write_text(
        f'tls_certificate = "{authority.server().path}"\ntls_client_ca = "{authority.path}"\n'
        'tls_client_certificates = "optional"\nheader_seconds = 5.0\n'
    )
    environment = {"COVERAGE_PROCESS_CONFIG": ""}
    with running_server(folder / "home", "--config", str(settings), environment=environment) as server:
        found = Victim(server)
        for _ in range(5):
            answered(found, authority)
        yield found


def answered(target: Victim, authority: Authority, context: ssl.SSLContext | None = None) -> None:
    chosen = context or ssl.create_default_context(cafile=authority.path)
    with closing(
        http.client.HTTPSConnection("127.0.0.1", target.port, context=chosen, timeout=PATIENCE)
    ) as made:
        made.request("GET", "/health/live")
        assert made.getresponse().status == 200


def sent(target: Victim, raw: bytes) -> Answer:
    """What is said to it, until it hangs up."""
    pieces = []
    with target.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(raw)
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return Answer(b"".join(pieces))


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_handshake(name: str, target: Victim, authority: Authority) -> None:
    toll = target.attack(lambda: sent(target, GARBAGE[name]))
    assert b"HTTP/1.1 2" not in toll.answer.raw
    toll.check()
    answered(target, authority)


def test_a_chain_of_certificates_without_an_end(target: Victim, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.path)
    chain = authority.client("eve").path
    chain.write_bytes(
        chain.read_bytes()
        + authority.path.read_bytes().partition(b"-----BEGIN CERT")[2].join([b"-----BEGIN CERT"] * 400)
    )
    context.load_cert_chain(chain)

    def attempt() -> Answer:
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            answered(target, authority, context)
        return Answer(b"")

    target.attack(attempt).check()
    answered(target, authority)


@pytest.mark.toolkit
def test_a_handshake_that_begins_anew(target: Victim, authority: Authority) -> None:
    require("OpenSSL's program (Debian's openssl)", shutil.which("openssl") is not None)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{target.port}", "-tls1_2"]
    ended = subprocess.run(command, input=b"R\n", capture_output=True, timeout=PATIENCE, check=False)
    said = ended.stdout + ended.stderr
    assert b"RENEGOTIATING" in said
    assert b"no renegotiation" in said
    answered(target, authority)
