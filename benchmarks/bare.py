"""The reference server: a bare ASGI application under the same uvicorn settings.

POST / answers fixed bytes; PUT /NAME writes the body to a file and syncs it, at ?OFFSET, which is a new file
when that is 0; GET /NAME?OFFSET-LENGTH answers that part of it. It does what any server would have to, and
nothing else.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop


class Bare:
    """See the module."""

    def __init__(self, folder: Path, reply: bytes) -> None:
        self._folder = folder
        self._reply = reply
        self._headers = [
            (b"content-type", b"text/xml; charset=utf-8"),
            (b"content-length", b"%d" % len(reply)),
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await send({"type": "http.response.body", "body": self._reply})
        elif scope["method"] == "PUT":
            await self._put(scope, receive)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            data = self._get(scope)
            headers = [(b"content-length", b"%d" % len(data))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": data})

    async def _put(self, scope: Any, receive: Any) -> None:
        pieces = []
        more = True
        while more:
            event = await receive()
            pieces.append(event.get("body", b""))
            more = event.get("more_body", False)
        offset = int(scope["query_string"])
        # What overwrites is synced faster than what is appended, as what clients send is.
        flags = os.O_WRONLY | os.O_CREAT | (0 if offset else os.O_TRUNC)
        descriptor = os.open(self._folder / scope["path"][1:], flags, 0o600)
        try:
            os.pwrite(descriptor, b"".join(pieces), offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _get(self, scope: Any) -> bytes:
        offset, _, length = scope["query_string"].decode().partition("-")
        descriptor = os.open(self._folder / scope["path"][1:], os.O_RDONLY)
        try:
            return os.pread(descriptor, int(length), int(offset))
        finally:
            os.close(descriptor)


def main(folder: Path, reply: bytes) -> None:
    """Serve on a free port of the loopback interface until killed; the port is printed."""
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    config = uvicorn.Config(
        Bare(folder, reply),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    print(f"ready at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvloop.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdin.buffer.read())
