"""Long lists of ads: how fast they are answered, first and again, and how much memory that takes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks import stock_spyne
from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.population import in_own_process, parts_of, populate
from benchmarks.scale import Scale
from benchmarks.servers import birdbath
from birdbath.access import Caller
from birdbath.classads import Constraint
from birdbath.soap import Reply, SoapServer

AGAIN_AT_MOST = 3
FIRST_AT_LEAST = 50
MEMORY_AT_MOST = 64.0
_REQUEST = message("getJobAds", "<constraint></constraint>")
_CALLER = Caller("127.0.0.1")


class Door:
    """A server's parts in this process, without HTTP."""

    def __init__(self, home: Path) -> None:
        self.parts = parts_of(home)
        self._soap = SoapServer()
        self._runner = asyncio.Runner()

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()
        self.parts.close()

    def call(self, request: bytes) -> Reply:
        """Answer a request."""
        return self._runner.run(self._answer(request))

    def seconds(self, request: bytes) -> float:
        """How long that takes."""

        async def timed() -> float:
            started = time.perf_counter()
            await self._answer(request)
            return time.perf_counter() - started

        return self._runner.run(timed())

    async def _answer(self, request: bytes) -> Reply:
        backend = self.parts.backend
        return await self._soap.answer(
            request, "text/xml", lambda call: backend.run(call.operation, _CALLER, call.execute)
        )


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """getJobAds of the whole queue, 80 attributes an ad."""
    found = []
    for ads in scale.ads:
        home = folder / f"listed-{ads}"
        populate(home, ads)
        first, again, join = in_own_process(_inside, home, scale.repeats)
        name = f"getJobAds, {ads:,} ads"
        found.append(
            compared(
                "ad lists", f"{name}, again", again * 1e3, "ms", "joining", join * 1e3, at_most=AGAIN_AT_MOST
            )
        )
        if ads in scale.stock_ads:
            stock = in_own_process(stock_spyne.seconds, ads)
            speed = stock / first
            found.append(
                Figure(
                    "ad lists",
                    f"{name}, first",
                    first * 1e3,
                    "ms",
                    "stock Spyne",
                    stock * 1e3,
                    speed,
                    None,
                    FIRST_AT_LEAST,
                )
            )
        found += _outside(home, name, scale)
    return found


def _inside(home: Path, repeats: int) -> tuple[float, float, float]:
    """Seconds of the first answer, of the same again, and of joining its bytes."""
    with Door(home) as door:
        door.call(_REQUEST)  # the queue's mirror is loaded now

        def first() -> float:
            for record in door.parts.pool.queue.query(Constraint(None), time.time()).records:
                record.forget()
            return door.seconds(_REQUEST)

        def join() -> float:
            reply = door.call(_REQUEST)
            started = time.perf_counter()
            joined = b"".join(reply.chunks)
            seconds = time.perf_counter() - started
            assert reply.status == 200
            assert len(joined) == reply.length
            return seconds

        first_time, again, joining = alternated([first, lambda: door.seconds(_REQUEST), join], repeats)
        return first_time, again, joining


def _outside(home: Path, name: str, scale: Scale) -> list[Figure]:
    """Over HTTP: time to the last byte, and the server's peak of memory over what it keeps."""
    program = Program([Step(_REQUEST)])
    with birdbath(home) as server:
        server.reset_peak()
        drive(server.port, program, 1, 1)
        first = server.peak() - server.resident()
        seconds = drive(server.port, program, 1, max(2, scale.repeats)).each
        kept = server.resident()
        server.reset_peak()
        drive(server.port, program, 1, 2)
        again = server.peak() - kept
    return [
        Figure("ad lists", f"{name}, again, over HTTP", seconds * 1e3, "ms"),
        _memory(f"{name}, first: memory over the cache", first),
        _memory(f"{name}, again: memory over the cache", again),
    ]


def _memory(name: str, size: int) -> Figure:
    megabytes = max(0, size) / 1e6  # the kernel may have taken some back meanwhile
    return Figure("ad lists", name, megabytes, "MB", "", None, megabytes, MEMORY_AT_MOST)
