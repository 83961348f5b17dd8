"""Group commit: units of work that arrive together share one database transaction and one sync.

Units run on the event loop, one after the other, each behind a savepoint of its own; when the loop has no more of them
at hand, files and database are synced in a thread while the loop goes on reading requests. A caller is answered only
after that. So the price of durability is paid once by everybody who came within the same millisecond.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Engine

from birdbath.store.crash_points import crash_point
from birdbath.store.database import writing
from birdbath.store.unit_of_work import UnitOfWork

T = TypeVar("T")
Work = Callable[[UnitOfWork], T]


class Writer:
    """The one writing connection of a process.

    `write` and `write_alone` are for one event loop; `write_now` for a thread when no loop writes (start-up, tools,
    tests). A unit that raises is undone, alone, and its exception reaches its own caller; a batch that cannot be made
    durable is undone whole and its error reaches every caller in it.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._connection = writing(engine)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="birdbath-writer")
        self._batch: _Batch | None = None
        self._committing: asyncio.Future[None] | None = None
        self._alone_waiting = 0

    async def write(self, work: Work[T]) -> T:
        """Run `work` now, on the event loop; return its result when all it wrote is on disk."""
        while self._committing is not None or (self._alone_waiting and self._batch is None):
            await self._next_turn()
        batch = self._batch
        if batch is None:
            loop = asyncio.get_running_loop()
            batch = self._batch = _Batch(self._unit(), loop.create_future())
            loop.call_soon(self._close_batch)
        result = batch.run(work)
        await asyncio.shield(batch.durable)
        return result

    async def write_alone(self, work: Work[T]) -> T:
        """The same in a thread, in a database transaction of its own: for work too long to hold up the event loop."""
        self._alone_waiting += 1
        try:
            while self._committing is not None or self._batch is not None:
                await self._next_turn()
            loop = asyncio.get_running_loop()
            done = loop.run_in_executor(self._thread, self.write_now, work)
            self._committing = loop.create_future()
        finally:
            self._alone_waiting -= 1
        done.add_done_callback(lambda _: self._end_turn())
        return await asyncio.shield(done)

    def write_now(self, work: Work[T]) -> T:
        """Run `work` and make it durable before returning, in the calling thread."""
        batch = _Batch(self._unit(), None)
        try:
            result = batch.run(work)
        except BaseException:
            batch.roll_back()
            raise
        batch.commit()
        return result

    def close(self) -> None:
        """Finish what is being committed and give the connection back."""
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _unit(self) -> UnitOfWork:
        return UnitOfWork(self._connection, self._clock())

    async def _next_turn(self) -> None:
        waiting = self._committing if self._batch is None else self._batch.durable
        if waiting is None:
            await asyncio.sleep(0)
        else:
            await asyncio.wait([waiting])

    def _close_batch(self) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None
        loop = asyncio.get_running_loop()
        self._committing = loop.create_future()
        committed = loop.run_in_executor(self._thread, batch.commit)
        committed.add_done_callback(lambda done: self._batch_ended(batch, done.exception()))

    def _batch_ended(self, batch: _Batch, error: BaseException | None) -> None:
        self._end_turn()
        assert batch.durable is not None
        if error is None:
            batch.durable.set_result(None)
        else:
            batch.durable.set_exception(error)
            batch.durable.exception()  # every waiter gets it; none left (all cancelled) is no news

    def _end_turn(self) -> None:
        ended, self._committing = self._committing, None
        if ended is not None:
            ended.set_result(None)


class _Batch:
    """Units of work in one database transaction."""

    def __init__(self, unit: UnitOfWork, durable: asyncio.Future[None] | None) -> None:
        self.unit = unit
        self.durable = durable

    def run(self, work: Work[T]) -> T:
        with self.unit.savepoint():
            return work(self.unit)

    def commit(self) -> None:
        try:
            crash_point("batch:written")
            self.unit.sync_files()
            crash_point("batch:files-synced")
            self.unit.connection.commit()
            crash_point("batch:committed")
        except BaseException:
            self.roll_back()
            raise
        self.unit.committed()

    def roll_back(self) -> None:
        self.unit.discard()
        self.unit.connection.rollback()
