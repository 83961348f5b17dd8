"""TLS connections before they speak HTTP: they count, and have a bounded time, as soon as they are taken."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from birdbath.http.connection import Connection, Connections
from birdbath.http.tls import ServerTls

_log = logging.getLogger(__name__)

AT_ONCE: Final = 64
"""Connections that are taken before those that are open get their turn again."""
REST: Final = 1.0
"""Seconds without taking connections when the machine has no room for one."""
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class TlsServer:
    """Takes the connections of `listener`, which it does not close, and makes a protocol with `make` for each
    one that has shaken hands.

    An event loop's own server tells nobody of a connection until then: who connects and says nothing would
    not count. Here what is more than the `connections` may be is closed before its handshake, and a handshake
    has the seconds that a request's headers have. Each one is with the certificates that `tls` has by then.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], Connection],
        tls: ServerTls,
        connections: Connections,
    ) -> None:
        self._listener = listener
        self._make = make
        self._tls = tls
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._closed = False
        listener.setblocking(False)
        self._begin()

    def close(self) -> None:
        """Take no more connections; handshakes that have begun go on."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listener)
        if self._rest is not None:
            self._rest.cancel()

    async def wait_closed(self) -> None:
        """Return when no handshake goes on."""
        while self._handshakes:
            await asyncio.wait(self._handshakes)

    def _begin(self) -> None:
        self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connected, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                _log.error("Cannot take connections: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._rest = self._loop.call_later(REST, self._begin)
                return
            if not self._connections.enter(address[0]):
                connected.close()
                continue
            connected.setblocking(False)
            task = self._loop.create_task(self._shake_hands(connected, address[0]))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connected: socket.socket, client: str) -> None:
        made = self._make()
        made.entered_as = client
        trust = self._tls.trust
        try:
            # What fails here is the client's affair: it shows no certificate, is silent, or speaks no TLS.
            with suppress(OSError):
                await self._loop.connect_accepted_socket(
                    lambda: made,
                    connected,
                    ssl=self._tls.context,
                    ssl_handshake_timeout=self._connections.limits.header_seconds,
                )
        finally:
            if made.transport is None:  # it never became a connection of HTTP, which leaves by itself
                self._connections.leave(client)
        if made.transport is None:
            return
        if self._closed:
            made.shutdown()
        elif self._tls.trust != trust:
            made.show_again()
