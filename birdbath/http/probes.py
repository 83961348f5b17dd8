"""What those ask who run the server: is it alive, is it ready, what has it done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson

from birdbath.access import ROUTES, Caller, Level
from birdbath.http.asgi import JSON, Headers, Send, respond
from birdbath.http.metrics import CONTENT_TYPE, Metrics

LIVE: Final = "/health/live"
READY: Final = "/health/ready"
METRICS: Final = "/metrics"
HEALTH: Final = (LIVE, READY)
PATHS: Final = (LIVE, READY, METRICS)
_PATIENCE: Final = 5.0
_LIFETIME: Final = 1.0
_NO_STORE: Final[Headers] = [(b"cache-control", b"no-store")]

Check = Callable[[], Awaitable[str | None]]
"""Looks at one part; returns what is wrong with it, None when it is well."""


class Health:
    """Looks at the parts, each within 5 seconds, at most once a second."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._lock = asyncio.Lock()
        self._seen: tuple[float, dict[str, str]] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""
        return tuple(self._checks)

    async def troubles(self) -> dict[str, str]:
        """What is wrong, by part; empty when all is well."""
        async with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > _LIFETIME:
                found = {name: await self._look(check) for name, check in self._checks.items()}
                self._seen = time.monotonic(), {name: text for name, text in found.items() if text}
            return self._seen[1]

    async def _look(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await check()
        except TimeoutError:
            return f"no answer within {_PATIENCE:g} seconds"


class Probes:
    """Answers the routes of `PATHS`."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self._health = health
        self._metrics = metrics
        self._pools: Mapping[str, Health] = {}

    @property
    def health(self) -> Health:
        """What /health/ready looks at."""
        return self._health

    def tell_of(self, pools: Mapping[str, Health]) -> None:
        """Tell in /health/ready how other pools are, too; the server is ready whatever is wrong with them."""
        self._pools = pools

    @staticmethod
    def level(path: str) -> Level:
        """The level that a route needs."""
        return ROUTES[f"GET {path}"].level

    async def __call__(self, path: str, caller: Caller, send: Send, head: bool) -> None:
        """Answer a GET or HEAD of one of `PATHS`."""
        if self.level(path) not in caller.levels:
            await respond(send, 403, "text/plain; charset=utf-8", [b"Permission denied\n"], head=head)
        elif path == METRICS:
            text = await asyncio.to_thread(self._metrics.text)
            await respond(send, 200, CONTENT_TYPE, [text], extra=_NO_STORE, head=head)
        elif path == LIVE:
            await respond(send, 200, JSON, [b'{"status":"live"}\n'], extra=_NO_STORE, head=head)
        else:
            await self._ready(send, head, Level.READ in caller.levels)

    async def _ready(self, send: Send, head: bool, may_read: bool) -> None:
        """How the parts are is for everybody, a load balancer too; why they are unwell tells of folders and
        hosts, and is for those who may read.
        """
        healths = [self._health, *self._pools.values()]
        found = await asyncio.gather(*(health.troubles() for health in healths))
        troubles = found[0]
        told, *others = found if may_read else map(_states, healths, found)
        answer: dict[str, object] = {"status": "unwell" if troubles else "ready"}
        answer["troubles" if may_read else "checks"] = told
        if self._pools:
            answer["pools"] = dict(zip(self._pools, others, strict=True))
        body = orjson.dumps(answer) + b"\n"
        status = 503 if troubles else 200
        await respond(send, status, JSON, [body], extra=_NO_STORE, head=head)


def _states(health: Health, troubles: Mapping[str, str]) -> dict[str, str]:
    return {part: "unwell" if part in troubles else "well" for part in health.parts}
