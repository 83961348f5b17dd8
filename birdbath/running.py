"""Uvicorn at work: the server's connections, from the first to the end that a signal asks for."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from birdbath.hosting import Host
from birdbath.http.connection import Connection, Connections
from birdbath.http.handshakes import TlsServer
from birdbath.http.tls import ServerTls
from birdbath.listening import restart_asked, trouble_of_a_restart

_log = logging.getLogger(__name__)


async def run(
    host: Host,
    open_connections: Connections,
    tls: ServerTls | None,
    listeners: list[socket.socket],
    ready: Callable[[], None],
) -> bool:
    """Serve on the `listeners`, which it closes, until a signal asks for the end: whether it was SIGHUP.

    `ready` is called when connections are taken.
    """
    config = uvicorn.Config(
        host.application,
        loop="uvloop",
        http=open_connections.protocol(),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=4,  # longer than GIVEN_UP_AFTER: its calls are answered
        # A client that keeps its connection must not find it closed at the next call, perhaps a commit.
        timeout_keep_alive=75,
        backlog=2048,
    )
    server = _AnnouncedServer(config, ready, host.stopping, open_connections, tls)
    async with host.running():
        await server.serve(sockets=listeners)
    return server.again


class _AnnouncedServer(uvicorn.Server):
    """Uvicorn's server, which says when it accepts connections, and when it is about to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        stopping: Callable[[], None],
        open_connections: Connections,
        tls: ServerTls | None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping
        self._open_connections = open_connections
        self._tls = tls
        self._trust = 0
        self.again = False
        self._trial: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on the usual signals; unlike Uvicorn, do not raise them again, so that the rest ends too."""
        former = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Do not begin again."""
        self.again = False
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """See Uvicorn: ten times a second. A restart that was asked for is tried before this one ends. When
        other authorities are trusted, connections by certificates of the former ones end.
        """
        if self._tls is not None and self._tls.trust != self._trust:
            self._trust = self._tls.trust
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.show_again()
        if (self._trial is None or self._trial.done()) and restart_asked():
            self._trial = asyncio.create_task(self._try())
        return await super().on_tick(counter)

    async def _try(self) -> None:
        trouble = await trouble_of_a_restart()
        if trouble is not None:
            _log.error("Not restarted, it goes on with the former settings: %s", trouble)
        elif not self.should_exit:
            self.again = self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._tls is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            for listener in sockets or []:
                server = TlsServer(listener, self._connection, self._tls, self._open_connections)
                self.servers.append(server)  # type: ignore[arg-type]
        self._ready()

    def _connection(self) -> Connection:
        made: Connection = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._trial is not None:
            self._trial.cancel()
        self._stopping()
        await super().shutdown(sockets)
