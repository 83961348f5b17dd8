"""Several pools behind one door: the server's own at the root, and each below `/pools/NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from birdbath.http.application import HttpApplication
from birdbath.http.asgi import Receive, Scope, Send, respond
from birdbath.soap import refusal

PREFIX: Final = "/pools/"


def mount_of(name: str) -> str:
    """The path of a pool, without a slash at its end."""
    return PREFIX + name


class Mounted:
    """The application of the server's own pool, and those of `pools`, by name, below `/pools/NAME`.

    Each has its whole door there: SOAP on any path, WSDL files that name it, events, probes, figures. A name
    that no pool has is answered 404 rather than by the pool at the root. `GET /pools` lists the names.
    """

    def __init__(self, own: HttpApplication, pools: Mapping[str, HttpApplication]) -> None:
        self._own = own
        self._pools = pools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.startswith(PREFIX[:-1]) or path[len(PREFIX) - 1 : len(PREFIX)] not in ("", "/"):
            await self._own(scope, receive, send)
            return
        name, _, rest = path[len(PREFIX) :].partition("/")
        application = self._pools.get(name)
        if application is not None:
            await application({**scope, "path": f"/{rest}"}, receive, send)
        elif not name and scope["method"] in ("GET", "HEAD"):
            body = orjson.dumps({"pools": list(self._pools)}) + b"\n"
            await respond(send, 200, "application/json", [body], head=scope["method"] == "HEAD")
        else:  # the body stays unread
            here = (
                "There is no such pool here" if len(self._pools) > 1 else "This is one pool, and not that one"
            )
            reply = refusal(f"{here}; GET /pools lists what there is", 404)
            close = [(b"connection", b"close")]
            await respond(send, 404, reply.content_type, reply.chunks, extra=close)
