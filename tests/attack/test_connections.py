"""Attacks by the way in which a request is sent: smuggling, pipelines, half-closed and slow connections."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.attack.victim import Answer, Victim, post, read, victim
from tests.soap.wire import call

VERSION = call("getVersionString")
HIDDEN = b"GET /condorSchedd.wsdl HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""A request that a proxy takes for a part of the body; its answer would be the WSDL."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    home = tmp_path_factory.mktemp("victim")
    (home / "settings.toml").write_text("header_seconds = 2.0\nbody_seconds = 2.0\n")
    with victim(home, "--config", str(home / "settings.toml")) as found:
        yield found


def drain(connection: socket.socket, quiet: float) -> Answer:
    """All that comes until the other side hangs up, or has said nothing for `quiet` seconds."""
    connection.settimeout(quiet)
    pieces = []
    with contextlib.suppress(TimeoutError, ConnectionError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return Answer(b"".join(pieces))


def sending(
    target: Victim, *pieces: bytes, half_close: bool = False, quiet: float = 20.0
) -> Callable[[], Answer]:
    def attempt() -> Answer:
        with target.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return drain(connection, quiet)

    return attempt


def lines(*headers: bytes, body: bytes = b"") -> bytes:
    start = (b"POST / HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: text/xml; charset=utf-8")
    return b"\r\n".join((*start, *headers)) + b"\r\n\r\n" + body


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) + end


CHUNKS = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(VERSION)
SMUGGLERS = {
    "a length and chunks": lines(LENGTH, CHUNKS, body=b"0\r\n\r\n" + HIDDEN),
    "chunks and a length": lines(CHUNKS, b"Content-Length: 4", body=chunked(VERSION) + HIDDEN),
    "two lengths": lines(LENGTH, b"Content-Length: 0", body=VERSION + HIDDEN),
    "two lengths in one": lines(LENGTH + b", 0", body=VERSION + HIDDEN),
    "a length with a sign": lines(b"Content-Length: +%d" % len(VERSION), body=VERSION + HIDDEN),
    "a length below zero": lines(b"Content-Length: -1", body=VERSION + HIDDEN),
    "a length in hexadecimal": lines(b"Content-Length: 0x10", body=VERSION + HIDDEN),
    "a length beyond 64 bits": lines(b"Content-Length: 18446744073709551617", body=VERSION + HIDDEN),
    "a coding that is none": lines(b"Transfer-Encoding: xchunked", LENGTH, body=chunked(VERSION) + HIDDEN),
    "chunks that are not last": lines(b"Transfer-Encoding: chunked, gzip", body=chunked(VERSION) + HIDDEN),
    "a blank before the colon": lines(b"Transfer-Encoding : chunked", LENGTH, body=chunked(VERSION) + HIDDEN),
    "a folded header": lines(LENGTH, b"X: y\r\n Transfer-Encoding: chunked", body=VERSION + HIDDEN),
    "a chunk size with a sign": lines(CHUNKS, body=b"+" + chunked(VERSION) + HIDDEN),
    "a chunk size beyond 64 bits": lines(CHUNKS, body=b"1" + b"0" * 20 + b"\r\n" + VERSION + HIDDEN),
    "a chunk size that is none": lines(CHUNKS, body=b"xyz\r\n" + VERSION + HIDDEN),
    "a chunk without its end": lines(CHUNKS, body=b"5\r\nabcdefgh\r\n0\r\n\r\n" + HIDDEN),
    "bare line feeds": lines(LENGTH, body=b"").replace(b"\r\n", b"\n") + VERSION + HIDDEN,
    "NUL in a header": lines(LENGTH, b"X: a\0b", body=VERSION + HIDDEN),
    "no version": b"POST /\r\n\r\n" + HIDDEN,
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/2 in the clear": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
    "TLS to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
    "no HTTP at all": b"\0\1\2\3" * 1000,
}


@pytest.mark.parametrize("name", SMUGGLERS)
def test_nothing_is_smuggled(name: str, target: Victim) -> None:
    """The hidden request is not answered: it is part of a body, or of a connection that is given up."""
    toll = target.attack(sending(target, SMUGGLERS[name], quiet=0.5))
    assert b"<definitions" not in toll.answer.raw
    assert toll.answer.raw.count(b"HTTP/1.1 2") <= 1
    toll.check()


def test_a_pipeline_is_answered_in_order(target: Victim) -> None:
    requests = [post(call("beginTransaction", f"<duration>{n + 60}</duration>")) for n in range(20)]
    requests.append(post(VERSION, b"Connection: close"))
    answer = sending(target, b"".join(requests))()
    assert answer.raw.count(b"HTTP/1.1 200 OK") == 21
    places = [answer.raw.index(b"<duration>%d</duration>" % (n + 60)) for n in range(20)]
    assert places == sorted(places)


def test_a_pipeline_that_nobody_reads(target: Victim) -> None:
    """A thousand requests whose sender hangs up at once cost no memory."""

    def attempt() -> Answer:
        with target.connect() as connection:
            connection.sendall(post(VERSION) * 1000)
        return target.exchange(post(VERSION))

    toll = target.attack(attempt)
    assert toll.answer.code == "SUCCESS", repr(toll.answer.raw)[-700:]
    assert toll.memory < 16 << 20


def test_a_half_closed_connection_is_answered(target: Victim) -> None:
    toll = target.attack(sending(target, post(VERSION), half_close=True))
    assert toll.answer.code == "SUCCESS"
    toll.check()


@pytest.mark.parametrize("kept", [0, 10, len(post(VERSION)) // 2, len(post(VERSION)) - 1])
def test_a_connection_that_closes_half_way_is_forgotten(kept: int, target: Victim) -> None:
    """Without a word, or with a refusal; never with a result."""
    toll = target.attack(sending(target, post(VERSION)[:kept], half_close=True))
    assert b"HTTP/1.1 2" not in toll.answer.raw
    toll.check()


@pytest.mark.parametrize(
    "begin",
    [b"", b"POST", post(VERSION)[:40], lines(LENGTH), lines(CHUNKS) + b"5\r\nabc"],
    ids=["nothing", "a word", "half of the headers", "no body", "half a chunk"],
)
def test_a_slow_sender_is_cut_off(begin: bytes, target: Victim) -> None:
    """Whatever it began; and what it occupied is given back."""

    def attempt() -> Answer:
        with target.connect() as connection:
            connection.sendall(begin)
            connection.settimeout(20)
            return read_all(connection)

    toll = target.attack(attempt)
    assert b"HTTP/1.1 2" not in toll.answer.raw
    assert not toll.answer.raw or toll.answer.status == 408
    toll.check()


def read_all(connection: socket.socket) -> Answer:
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return Answer(b"".join(pieces))


@pytest.mark.parametrize("form", ["X-{}: y", "X-{}: " + "y" * 500, "Cookie: a{}=b"])
def test_ten_thousand_headers(form: str, target: Victim) -> None:
    headers = [form.format(number).encode() for number in range(10_000)]

    def attempt() -> Answer:
        with target.connect() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(post(VERSION, *headers))
            return read(connection)

    toll = target.attack(attempt)
    assert toll.answer.status in (0, 431)
    toll.check()


def test_a_thousand_connections_at_once(target: Victim) -> None:
    """Opened and left alone: those who come next are answered."""
    before = target.descriptors()
    held = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(1000)]
    try:
        assert target.exchange(post(VERSION)).code == "SUCCESS"
    finally:
        for connection in held:
            connection.close()
    assert target.exchange(post(VERSION)).code == "SUCCESS"
    target.wait_for_descriptors(before)
