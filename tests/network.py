"""The network between programs and what they talk to, which can be cut."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK = 1 << 16
_PATIENCE = 300.0


class Network:
    """Ways to ports of this machine, which are cut and mended together.

    While they are cut nothing gets through, in neither direction, and nobody is told: connections stay as
    they are, new ones are taken and hang. When they are mended, all of these are broken off and what was on
    its way in them is lost: the partition has lasted longer than any connection lives. After a shorter one
    they go on, and what was on its way arrives late, also from those who have hung up meanwhile.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._arrived = asyncio.Event()
        self._most: int | None = None
        self._too_much = threading.Event()
        self._carried: dict[str, set[asyncio.Task[Any]]] = {}
        self._servers: list[asyncio.Server] = []

    @contextmanager
    def running(self) -> Iterator[Network]:
        """The ways lead somewhere within the block."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            self._do(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def way(self, name: str, port: int, at: tuple[str, int] = ("127.0.0.1", 0)) -> int:
        """A port of its own, at this address, that leads to `port`."""
        return self._do(self._open(name, port, at))

    def cut(self) -> None:
        """Let nothing through any more."""
        self._do(self._cut())

    def cut_after(self, carried: int) -> threading.Event:
        """Cut as soon as one connection has carried so many bytes one way; these do arrive. Set by then."""
        return self._do(self._cut_after(carried))

    def mend(self) -> Counter[str]:
        """Let new connections through; how many were broken off by the names of the ways.

        A way without any is waited for: a partition that nobody noticed would show nothing.
        """
        return self._do(self._mend())

    def go_on(self) -> None:
        """Let everything through, late, as if it had only been slow."""
        self._do(self._go_on())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    async def _cut(self) -> None:
        self._whole.clear()

    async def _cut_after(self, carried: int) -> threading.Event:
        self._most, self._too_much = carried, threading.Event()
        return self._too_much

    async def _go_on(self) -> None:
        self._whole.set()

    async def _open(self, name: str, port: int, at: tuple[str, int]) -> int:
        carried = self._carried.setdefault(name, set())

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            carried.add(task)
            self._arrived.set()
            try:
                # Python 3.11 complains of a connection whose task was cancelled.
                with suppress(asyncio.CancelledError):
                    await self._whole.wait()
                    await self._carry(reader, writer, port)
            finally:
                carried.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(carry, *at)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return  # nobody is there
        pumps = [
            asyncio.ensure_future(pump) for pump in (self._pump(reader, back), self._pump(there, writer))
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Return when one side has hung up, which is not told to the other while the way is cut."""
        carried = 0
        try:
            while data := await reader.read(_CHUNK):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
                carried += len(data)
                if self._most is not None and carried >= self._most:
                    self._most = None
                    self._whole.clear()
                    self._too_much.set()
            await self._whole.wait()
            writer.close()
            await writer.wait_closed()  # when all has been taken
        except OSError:
            await self._whole.wait()

    async def _mend(self) -> Counter[str]:
        while not all(self._carried.values()):
            self._arrived.clear()
            await self._arrived.wait()
        lost = Counter({name: len(tasks) for name, tasks in self._carried.items()})
        await self._break_off()
        self._whole.set()
        return lost

    async def _break_off(self) -> None:
        tasks = [task for several in self._carried.values() for task in several]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._break_off()
