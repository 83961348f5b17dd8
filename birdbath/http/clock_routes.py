"""The route /pool/clock: how the simulated pool's clock stands, and setting it.

GET answers `{"time", "speed", "paused", "limit"}`, times in seconds since the epoch. POST takes a JSON
object with any of `speed` (a number above 0, or "max"), `paused`, `until` (go on, and pause at that pool
time) and `step` (true: of a paused clock, do what is due at the next instant at which anything is). With
`until` and `step` the answer comes when the pool has done so, or after 60 seconds.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from math import inf, isfinite
from time import monotonic
from typing import Final, Literal

import orjson
from pydantic import ConfigDict

from birdbath.access import ROUTES, Caller, Level
from birdbath.http.asgi import JSON, Receive, Scope, Send, is_reading, read_body, respond
from birdbath.http.bodies import BadRequest, Body, is_json
from birdbath.pool.simulated.clock import LATEST, ClockState, VirtualClock
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.store import Writer

PATH: Final = "/pool/clock"
_LARGEST_BODY = 4096
_BODY_SECONDS = 10.0
_PATIENCE = 60.0
_LOOK_AGAIN = 0.01


class ClockChange(Body):
    """What a POST asks for."""

    model_config = ConfigDict(strict=False, allow_inf_nan=False)

    speed: float | Literal["max"] | None = None
    paused: bool | None = None
    until: float | None = None
    step: bool = False


class ClockRoutes:
    """Answers requests about the clock of one pool."""

    def __init__(self, pool: SimulatedPool, clock: VirtualClock, writer: Writer) -> None:
        self._pool = pool
        self._clock = clock
        self._writer = writer

    @staticmethod
    def handles(scope: Scope) -> bool:
        """Whether a request is one about the clock."""
        if scope["path"] != PATH:
            return False
        return is_reading(scope) or (scope["method"] == "POST" and is_json(scope))

    @staticmethod
    def level(scope: Scope) -> Level:
        """The level that a request needs."""
        return ROUTES[f"{'GET' if is_reading(scope) else scope['method']} {PATH}"].level

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        try:
            if scope["method"] == "POST":
                body = await read_body(scope, receive, _LARGEST_BODY, _BODY_SECONDS)
                await self._change(ClockChange.read(body))
        except (BadRequest, ValueError) as error:
            await respond(send, HTTPStatus.BAD_REQUEST, JSON, [orjson.dumps({"detail": str(error)}), b"\n"])
            return
        await respond(send, HTTPStatus.OK, JSON, [orjson.dumps(shown(self._clock.state)), b"\n"])

    async def _change(self, change: ClockChange) -> None:
        before = self._clock.state
        speed = inf if change.speed == "max" else change.speed
        paused = change.paused
        if change.until is not None:
            if change.until < before.time:
                raise ValueError("the pool's time is past that already")
            paused = False
        await self._writer.write(lambda unit: self._pool.set_clock(unit, speed, paused, change.until))
        if change.step:
            if not self._clock.state.paused:
                raise ValueError("only a paused clock goes step by step")
            self._clock.step()
        if change.step or change.until is not None:
            await self._wait()

    async def _wait(self) -> None:
        """Wait until the clock stands and everything that it has come to is done, but not for ever."""
        end = monotonic() + _PATIENCE  # looks are not counted: a busy server takes longer for each
        while not self._clock.stands and monotonic() < end:
            await asyncio.sleep(_LOOK_AGAIN)


def shown(state: ClockState) -> dict[str, object]:
    """A clock's state as JSON says it."""
    speed = state.speed if isfinite(state.speed) else "max"
    limit = None if state.limit >= LATEST else state.limit
    return {"time": state.time, "speed": speed, "paused": state.paused, "limit": limit}
