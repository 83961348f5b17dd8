"""A server that stops while clients wait for answers, or do not read them."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
import uvicorn

from birdbath.http.asgi import Receive, Scope, Send, respond
from birdbath.http.connection import Connections
from tests.notify.conftest import anyio_backend

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio

LARGE = [bytes(64 << 20)]


async def test_answers_that_are_not_done_in_time_end_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = asyncio.Semaphore(0)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        begun.release()
        if scope["path"] == "/never":
            await asyncio.Event().wait()
        if scope["path"] == "/fault":
            raise asyncio.CancelledError
        await respond(send, 200, "text/plain", LARGE)

    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=Connections().protocol(),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listener]))
    unread, unwritten, fault = [await asyncio.open_connection(*address, limit=1024) for _ in range(3)]
    fault[1].write(b"GET /fault HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with caplog.at_level(logging.INFO):
        assert (await fault[0].readline()).startswith(b"HTTP/1.1 500")
    assert "CancelledError" in caplog.text
    caplog.clear()
    unread[1].write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    unwritten[1].write(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for _ in range(3):
        await begun.acquire()
    assert (await unread[0].readline()).startswith(b"HTTP/1.1 200")
    with caplog.at_level(logging.INFO):
        server.should_exit = True
        await serving
    assert (await unwritten[0].readline()).startswith(b"HTTP/1.1 503")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await unread[0].readexactly(len(LARGE[0]))
    for _, writer in (unread, unwritten, fault):
        writer.close()
    said = [(record.message, record.exc_info) for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == [("Cancel 2 running task(s), timeout graceful shutdown exceeded", None)]
