"""Group commit: units of work that arrive together share one database transaction and one sync.

Units run on the event loop, one after the other, each behind a savepoint of its own; when the loop has no
more of them at hand, files and database are synced in a thread while the loop goes on reading requests. A
caller is answered only after that. So the price of durability is paid once by everybody who came within the
same millisecond.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from birdbath.store.crash_points import crash_point
from birdbath.store.database import writing
from birdbath.store.unit_of_work import TransactionLost, UnitOfWork

T = TypeVar("T")
Work = Callable[[UnitOfWork], T]


class WriterClosed(Exception):
    """Nothing is written any more: the server is going down."""


class Writer:
    """The one writing connection of a process.

    `write` and `write_alone` are for one event loop, and are served in the order of their arrival; `write_now`
    is for a thread when no loop writes (start-up, tools, tests). A unit that raises is undone, alone, and its
    exception reaches its own caller; a batch that cannot be made durable is undone whole and its error reaches
    every caller in it. A caller that is cancelled before its unit ran has written nothing; later, all of it.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._connection = writing(engine)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="birdbath-writer")
        self._turns: deque[_Turn] = deque()
        self._closed = False

    async def write(self, work: Work[T]) -> T:
        """Run `work` now, on the event loop; return its result when all it wrote is on disk.

        Raises what `work` raises, what keeps it from being durable, and WriterClosed.
        """
        turn = self._turns[-1] if self._turns and self._turns[-1].joinable else self._queue(_Turn())
        async with turn:
            if turn.batch is None:
                turn.batch = self._begin()
            result = turn.batch.run(work)
        await asyncio.shield(turn.durable)
        return result

    async def write_alone(self, work: Work[T]) -> T:
        """The same in a thread, in a database transaction of its own: for work too long for the event loop."""
        loop = asyncio.get_running_loop()
        turn = self._queue(_Turn(alone=True))
        async with turn:
            done = loop.run_in_executor(self._thread, self.write_now, work)
            turn.running = done
        return await asyncio.shield(done)

    def write_now(self, work: Work[T]) -> T:
        """Run `work` and make it durable before returning, in the calling thread."""
        batch = self._begin()
        try:
            result = batch.run(work)
        except BaseException:
            batch.roll_back()
            raise
        batch.commit()
        return result

    def close(self) -> None:
        """Finish what is being committed and give the connection back; who waits for his turn gets WriterClosed."""
        self._closed = True
        self._thread.shutdown(wait=True)
        for turn in self._turns:
            turn.refuse()
        self._connection.close()

    def _begin(self) -> _Batch:
        if self._connection.closed:
            self._connection = writing(self._engine)
        try:
            return _Batch(UnitOfWork(self._connection, self._clock()))
        except SQLAlchemyError:  # the connection may have died while nobody wrote
            _abandon(self._connection)
            self._connection = writing(self._engine)
            return _Batch(UnitOfWork(self._connection, self._clock()))

    def _queue(self, turn: _Turn) -> _Turn:
        if self._closed:
            raise WriterClosed
        turn.left = self._everybody_left
        self._turns.append(turn)
        if len(self._turns) == 1:
            turn.open()
        return turn

    def _everybody_left(self, turn: _Turn) -> None:
        """All who joined an open turn have done their part of it, or were cancelled."""
        loop = asyncio.get_running_loop()
        if not turn.alone:
            loop.call_soon(self._commit, turn)
        elif turn.running is None:
            self._next()
        else:
            turn.running.add_done_callback(lambda _: self._next())

    def _commit(self, turn: _Turn) -> None:
        turn.joinable = False
        if self._closed:
            return
        if turn.batch is None:
            self._next()
            return
        loop = asyncio.get_running_loop()
        committed = loop.run_in_executor(self._thread, turn.batch.commit)
        committed.add_done_callback(lambda done: self._committed(turn, done.exception()))

    def _committed(self, turn: _Turn, error: BaseException | None) -> None:
        turn.end(error)
        self._next()

    def _next(self) -> None:
        self._turns.popleft()
        while self._turns and not self._closed:
            if self._turns[0].open():
                return
            self._turns.popleft()


class _Turn:
    """A place in the queue: for everybody who writes at that time, or for one who writes alone.

    Entered as a context when it is opened, in the order of asking.
    """

    def __init__(self, alone: bool = False) -> None:
        self.alone = alone
        self.joinable = not alone
        self.batch: _Batch | None = None
        self.running: asyncio.Future[object] | None = None
        self.durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left: Callable[[_Turn], None]
        self._opened = asyncio.Event()
        self._inside = 0
        self._refused = False
        self._leaving = False

    def open(self) -> bool:
        """Let those in who wait; False when nobody does any more."""
        self._opened.set()
        return self._inside > 0 or self.batch is not None or not self.joinable

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...
