"""TLS before HTTP: those who connect and say nothing."""

from __future__ import annotations

import http.client
import selectors
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.guard.world import World, world

PATIENCE = 50.0
"""Seconds; less than the minute that an event loop gives a handshake by itself."""
MOST = 20


def connect(world: World) -> socket.socket:
    address = urlsplit(world.server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), PATIENCE)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server hangs up; fails when it does not while the socket waits."""
    with suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


def readable(connections: set[socket.socket]) -> set[socket.socket]:
    """Those on which something has come, or that were closed; none after the patience of a test."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        return {key.fileobj for key, _ in selector.select(PATIENCE) if isinstance(key.fileobj, socket.socket)}


def descriptors(world: World) -> int:
    return len(list(Path(f"/proc/{world.server.process.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that waits for ever, but has room for few connections."""
    with world(
        tmp_path_factory.mktemp("small"), max_connections_per_client=MOST, header_seconds=100_000.0
    ) as made:
        yield made


def test_who_connects_and_says_nothing_counts(small: World) -> None:
    answered(small)
    before = descriptors(small)
    with ExitStack() as stack:
        silent = {stack.enter_context(connect(small)) for _ in range(4 * MOST)}
        while len(silent) > MOST:
            closed = readable(silent)
            assert closed, f"{len(silent)} silent connections are open"
            assert all(map(is_closed, closed))
            silent -= closed
        assert descriptors(small) < before + 2 * MOST
        silent.pop().close()
        answered(small)  # in the place of the one that has gone
        for _ in range(3):  # one whose handshake fails gives its place back, too
            silent.pop().sendall(b"GET / HTTP/1.1\r\n\r\n")
        answered(small)
    answered(small)


def answered(world: World) -> None:
    """Return when somebody who asks is answered: the server notices by itself that a place is free."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(ssl.SSLError, ConnectionError, http.client.HTTPException):
            assert world.call(world.basic("owner"), "getVersionString").http == 200
            return
        assert time.monotonic() < deadline, "nobody is answered"


def shaken(world: World) -> ssl.SSLSocket:
    """A connection whose handshake has ended: on a busy machine it is cut off before, now and then."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(ssl.SSLError, ConnectionError):
            return world.context().wrap_socket(connect(world), server_hostname="127.0.0.1")
        assert time.monotonic() < deadline, "no handshake comes to its end"


def test_who_connects_and_says_nothing_is_cut_off(tmp_path: Path) -> None:
    """So is who begins a handshake and does not end it, and who ends it and asks for nothing."""
    with world(tmp_path, header_seconds=0.5) as made, ExitStack() as stack:
        answered(made)
        before = descriptors(made)
        silent = [stack.enter_context(connect(made)) for _ in range(MOST)]
        with suppress(ConnectionError):  # on a busy machine it has been cut off already
            silent[0].sendall(b"\x16\x03\x01\x02\x00\x01")
        done = stack.enter_context(shaken(made))
        for connection in [*silent, done]:
            assert is_closed(connection)
        deadline = time.monotonic() + PATIENCE
        while descriptors(made) > before:
            assert time.monotonic() < deadline, f"{descriptors(made)} descriptors, {before} before"
            answered(made)


def test_a_restart_and_a_stop_wait_for_no_handshake(tmp_path: Path) -> None:
    """Those that had begun are let go, and those who connect meanwhile are served by the next."""
    with world(tmp_path, header_seconds=100_000.0) as made, ExitStack() as stack:
        for signalled in (signal.SIGHUP, signal.SIGTERM):
            answered(made)
            silent = [stack.enter_context(connect(made)) for _ in range(MOST)]
            answered(made)  # behind them: the server has taken them
            made.server.process.send_signal(signalled)
            for connection in silent:
                assert is_closed(connection)
            if signalled == signal.SIGHUP:
                answered(made)
                assert made.server.process.stdout is not None
                assert made.server.process.stdout.readline() == made.server.ready_line
        assert made.server.process.wait(PATIENCE) == 0
