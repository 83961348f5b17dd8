"""Several pools behind one door: the server's own at the root, and each below `/pools/NAME`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from birdbath.access import ROUTES, Caller, Level
from birdbath.http.application import HttpApplication
from birdbath.http.asgi import JSON, Receive, Scope, Send, is_reading, respond
from birdbath.soap import refusal

PREFIX: Final = "/pools/"


def mount_of(name: str) -> str:
    """The path of a pool, without a slash at its end."""
    return PREFIX + name


class PoolRoutes:
    """Answers `GET /pools` with the names of the pools, and what is below it for a pool that is none."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    @staticmethod
    def handles(scope: Scope) -> bool:
        """Whether a request is for a path below `/pools`; those of pools that are there do not come here."""
        return below(scope["path"]) is not None

    @staticmethod
    def level(scope: Scope) -> Level:
        """The level that a request needs."""
        return ROUTES["GET /pools"].level

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        close = [(b"connection", b"close")]  # the body stays unread
        if below(scope["path"]) != "":
            here = "There is no such pool here" if len(self._names) > 1 else "This server has one pool only"
            reply = refusal(f"{here}; GET /pools lists what there is", 404)
            await respond(send, 404, reply.content_type, reply.chunks, extra=close)
        elif is_reading(scope):
            body = orjson.dumps({"pools": list(self._names)}) + b"\n"
            await respond(send, 200, JSON, [body])
        else:
            reply = refusal("GET /pools lists what there is", 405)
            extra = [*close, (b"allow", b"GET, HEAD")]
            await respond(send, 405, reply.content_type, reply.chunks, extra=extra)


def below(path: str) -> str | None:
    """The path below `/pools/`; None for one that is elsewhere."""
    if not path.startswith(PREFIX[:-1]) or path[len(PREFIX) - 1 : len(PREFIX)] not in ("", "/"):
        return None
    return path[len(PREFIX) :]


class Mounted:
    """The application of the server's own pool, and those of `pools`, by name, below `/pools/NAME`.

    Each has its whole door there: SOAP on any path, WSDL files that name it, events, probes, figures. A name
    that no pool has is for the `PoolRoutes` of the one at the root.
    """

    def __init__(self, own: HttpApplication, pools: Mapping[str, HttpApplication]) -> None:
        self._own = own
        self._pools = pools

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, slash, rest = ((scope["type"] == "http" and below(scope["path"])) or "").partition("/")
        application = self._pools.get(name)
        if application is None:
            await self._own(scope, receive, send)
        else:
            # Without the last slash a browser takes NAME for a file, and links for its neighbours.
            there = {"path": slash + rest, "root_path": PREFIX + name}
            await application({**scope, **there}, receive, send)
