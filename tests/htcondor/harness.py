"""A real pool under the conformance suite of pools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from birdbath.errors import BirdbathError
from birdbath.notify.log_files import LogFile, Place
from birdbath.pool.asking import Answers, Waiting, answering, run_steps
from birdbath.pool.base import AdDirectory, AdKind, JobQueue
from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.journal import gateway
from birdbath.pool.htcondor.pool import HTCondorPool as Pool
from birdbath.pool_events import PoolEvents
from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.sandbox import Spool
from tests.htcondor.sweeper import Sweeper
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool

T = TypeVar("T")


class HTCondorHarness:
    """See `tests.pool.harness.Harness`. Time passes by itself; a new gateway for each test."""

    owners = ("alice", "bob")
    domain = "example.org"

    def __init__(self, home: Path, pool: HTCondorPool, sweeper: Sweeper) -> None:
        sweeper.sweep()
        home.chmod(0o755)
        self.engine = open_engine(f"sqlite:///{home}/pool.db")
        self._writer = Writer(self.engine)
        name = self._writer.write_now(lambda unit: gateway(unit, "htcondor"))
        connection = Connection(str(pool.configuration))
        spool = Spool(home / "spool")
        self.pool = Pool("htcondor", self.engine, name, spool, connection, "127.0.0.1:8080")
        self._events = PoolEvents(pool.event_log, "htcondor", name, self.pool.journal)
        before = _end_of(pool.event_log)
        self._writer.write_now(lambda unit: self._events.keep(unit, [], before))

    @property
    def queue(self) -> JobQueue:
        return self.pool.queue

    @property
    def directory(self) -> AdDirectory:
        return self.pool.directory

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """What `Backend` does on the event loop, in this thread."""
        answers = Answers()
        try:
            while True:
                try:
                    with answering(answers):
                        return self._writer.write_now(work)
                except Waiting as waiting:
                    asked = waiting
                try:
                    answers.keep(asked.key, run_steps(asked.steps(), self._writer.write_now))
                except BirdbathError as error:
                    answers.keep(asked.key, None, error)
        finally:
            for steps in answers.concluded_by:
                run_steps(steps(), self._writer.write_now)

    def wait_for(self, condition: Callable[[], bool], within: float = 1000.0) -> None:
        def looked() -> bool:
            self._take_over_events()
            return condition()

        until(looked)

    def _take_over_events(self) -> None:
        place = self._writer.write_now(self._events.place)
        found, after = self._events.read(place)
        if after != place:
            self._writer.write_now(lambda unit: self._events.keep(unit, found, after))

    def sweep(self) -> None:
        """What a server does from time to time."""

        async def write(work: Callable[[UnitOfWork], object]) -> object:
            return self._writer.write_now(work)

        asyncio.run(self.pool.sweep(write, 0.0, time.time(), []))

    def pass_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        until(lambda: time.monotonic() >= end)

    def close(self) -> None:
        self.write(lambda unit: self.directory.invalidate(unit, AdKind.GENERIC))
        self.pool.close()
        self._writer.close()
        self.engine.dispose()


def _end_of(log: Path) -> Place:
    """The place after all that the tests before left in it."""
    file = LogFile(log)
    try:
        while file.read():
            pass
        return file.place
    finally:
        file.close()
