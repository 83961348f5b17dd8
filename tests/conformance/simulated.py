"""The server's parts in this process, on the simulated pool, with a clock that the tests step."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, MutableMapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from birdbath.access import Caller
from birdbath.backend import Backend
from birdbath.collector import CollectorSettings
from birdbath.http.application import HttpApplication
from birdbath.notify import Notifier
from birdbath.pool.simulated.clock import ManualClock
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.schedd import ScheddContext, ScheddSettings, expire_transactions, renew_all
from birdbath.soap import Backend as BackendProtocol
from birdbath.soap import Operations
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool

Message = MutableMapping[str, Any]
T = TypeVar("T")


class _Switch:
    """Leads to the backend of the server that is asked: one application for all of them."""

    to: BackendProtocol

    async def run(self, operation: str, caller: Caller, work: Callable[[Operations], T]) -> T:
        return await self.to.run(operation, caller, work)


switch = _Switch()
_application = HttpApplication(switch)


class Simulated:
    """See `door.Pool`. `settings` are fields of ScheddSettings and CollectorSettings."""

    capabilities = frozenset({"stepped time", "held when removed"})

    def __init__(self, folder: Path, empty_database: Path, settings: dict[str, object]) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = ManualClock()
        folder.mkdir()
        shutil.copy(empty_database, folder / "birdbath.db")
        self._runner = asyncio.Runner()
        self._start()

    def _start(self) -> None:
        self._engine = open_engine(f"sqlite:///{self._folder / 'birdbath.db'}")
        self._writer = Writer(self._engine, self._clock.time)
        self._pool = SimulatedPool(self._engine, Spool(self._folder / "spool"), clock=self._clock)
        self._schedd = given(ScheddSettings, self._settings)
        self._writer.write_now(renew_all)
        collector = given(CollectorSettings, self._settings)
        self._notifier = Notifier(self._engine, self._writer)
        self.backend = Backend(
            self._writer,
            self._pool.queue,
            self._pool.directory,
            self._schedd,
            collector,
            self._notifier,
        )

    def post(self, body: bytes) -> tuple[int, bytes]:
        switch.to = self.backend
        return self._runner.run(post(body))

    def advance(self, seconds: float) -> None:
        target = self._clock.time() + seconds
        while True:
            due = self._writer.write_now(self._pool.advance)
            if due is None or due > target:
                break
            self._clock.step(max(0.0, due - self._clock.time()))
        self._clock.step(target - self._clock.time())
        self._writer.write_now(self._expire)

    def _expire(self, unit: UnitOfWork) -> None:
        expire_transactions(ScheddContext(self._schedd, self._pool.queue, Caller("local"), unit))

    def time(self) -> float:
        return self._clock.time()

    def restart(self) -> None:
        """What was said to be durable is in the files; nothing is handed over in memory."""
        self._stop()
        self._start()

    def _stop(self) -> None:
        self._notifier.close()
        self._pool.close()
        self._writer.close()
        self._engine.dispose()

    def close(self) -> None:
        self._stop()
        self._runner.close()


def given(kind: type[Any], settings: dict[str, object]) -> Any:
    return kind(**{field.name: settings[field.name] for field in fields(kind) if field.name in settings})


async def post(body: bytes) -> tuple[int, bytes]:
    """Post to the server that `switch` leads to; HTTP status and body."""
    sent: list[Message] = []

    requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not requests:  # the client listens until it has its answer
            await asyncio.get_running_loop().create_future()
        return requests.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": [(b"content-type", b"text/xml; charset=utf-8")],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8080),
    }
    await _application(scope, receive, send)
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])
