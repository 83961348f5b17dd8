"""Group commit: units of work that arrive together share one database transaction and one sync.

Units run on the event loop, one after the other, each behind a savepoint of its own; when the loop has no
more of them at hand, files and database are synced in a thread while the loop goes on reading requests. A
caller is answered only after that. So the price of durability is paid once by everybody who came within the
same millisecond. Those who do not need it pay none: what they wrote is committed on the loop, at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from birdbath.store.crash_points import crash_point
from birdbath.store.database import writing
from birdbath.store.unit_of_work import NeedsSync, TransactionLost, UnitOfWork

RELAXED_IN_A_ROW = 64
"""Relaxed batches after which one is synced all the same, so that the write-ahead log is checkpointed."""

QUIET_ROUNDS = 2
MOST_ROUNDS = 32
"""Rounds of the event loop without a new caller after which a turn begins, and those after which it does in
any case."""

T = TypeVar("T")
Work = Callable[[UnitOfWork], T]


class WriterClosed(Exception):
    """Nothing is written any more: the server is going down."""


class Writer:
    """The one writing connection of a process.

    `write` and `write_alone` are for one event loop, and are served in the order of their arrival;
    `write_now` is for a thread when no loop writes (start-up, tools, tests). A unit that raises is undone,
    alone, and its exception reaches its own caller; a batch that cannot be made durable is undone whole and
    its error reaches every caller in it. A caller that is cancelled before its turn has written nothing, one
    that is cancelled later has.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._connection = writing(engine)
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="birdbath-writer")
        self._thread.submit(int)  # now, or never: in the middle of a batch the system may have none left
        self._turns: deque[_Turn] = deque()
        self._busy = False
        self._closed = False
        self._watchers: list[Callable[[], None]] = []
        self._relaxed_in_a_row = 0

    def watch_events(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever events became durable, in the thread that committed them."""
        self._watchers.append(watcher)

    async def write(self, work: Work[T], relaxed: bool = False) -> T:
        """Run `work` on the event loop, soon; return its result when all it wrote is on disk.

        Of `relaxed` work only the files are, for certain: what it wrote to the database a machine that loses
        power may lose, but not a process that is killed. Of those who come together it goes first. It is run
        again, not relaxed, when it raises NeedsSync. Raises what `work` raises, what keeps it from being
        durable, and WriterClosed.
        """
        try:
            result: T = await self._shared_turn().join(work, self._clock(), relaxed)
        except NeedsSync:
            result = await self._shared_turn().join(work, self._clock(), relaxed=False)
        return result

    def _shared_turn(self) -> _Turn:
        last = self._turns[-1] if self._turns else None
        return last if last is not None and last.open else self._queue(_Turn(alone=False))

    async def write_alone(self, work: Work[T]) -> T:
        """The same in a thread, in a database transaction of its own: for work too long for the event
        loop.
        """
        result: T = await self._queue(_Turn(alone=True)).join(work, self._clock())
        return result

    def write_now(self, work: Work[T], asked_at: float | None = None) -> T:
        """Run `work` and make it durable before returning, in the calling thread."""
        batch = _Batch(self._unit())
        batch.unit.asked_at = batch.unit.now if asked_at is None else asked_at
        try:
            result = batch.run(work)
        except BaseException:
            batch.roll_back()
            raise
        batch.commit()
        return result

    def close(self) -> None:
        """`stop`, and give the connection back."""
        self.stop()
        self._connection.close()

    def stop(self) -> None:
        """Finish what is being committed; who waits for a turn gets WriterClosed. Then only `write_now`
        writes.
        """
        self._closed = True
        self._thread.shutdown(wait=True)
        while self._turns:
            self._turns.popleft().refuse(WriterClosed())

    def _unit(self, relaxed: bool = False) -> UnitOfWork:
        if self._connection.closed:
            self._connection = writing(self._engine)
        try:
            return UnitOfWork(self._connection, self._clock(), self._watchers, relaxed)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # It died while nobody wrote, and was made anew.
            return UnitOfWork(self._connection, self._clock(), self._watchers, relaxed)

    def _queue(self, turn: _Turn) -> _Turn:
        if self._closed:
            raise WriterClosed
        self._turns.append(turn)
        self._schedule()
        return turn

    def _schedule(self) -> None:
        """Give the next turn as soon as nobody is about to join it."""
        if self._turns and not self._busy:
            self._busy = True
            if self._turns[0].open or not self._turns[0].callers:
                self._gather()
            else:  # nobody can join it
                self._take_turn()

    def _gather(self, callers: int = 0, quiet: int = 0, rounds: int = 0) -> None:
        """Wait while the loop is busy with requests that come to write: what has arrived already is read and
        understood within two rounds of it. A turn costs the same for one caller and for a hundred.
        """
        present = len(self._turns[0].callers) if self._turns else 0
        quiet = quiet + 1 if present == callers else 0
        if quiet > QUIET_ROUNDS or rounds >= MOST_ROUNDS:
            self._take_turn()
        else:
            asyncio.get_running_loop().call_soon(self._gather, present, quiet, rounds + 1)

    def _take_turn(self) -> None:
        if not self._turns:  # closed meanwhile
            return
        turn = self._turns.popleft()
        turn.open = False
        callers = [caller for caller in turn.callers if not caller.future.done()]
        try:
            ended = self._give(turn, callers) if callers else None
        except Exception as error:
            # Not even a transaction could be begun, for whatever reason: whoever waits would wait for ever.
            turn.refuse(error)
            ended = None
        if ended is None:
            self._turn_ended()
        else:
            ended.add_done_callback(lambda _: self._turn_ended())

    def _turn_ended(self) -> None:
        self._busy = False
        self._schedule()

    def _give(self, turn: _Turn, callers: list[_Caller]) -> asyncio.Future[Any] | None:
        """Do the callers' work; the future that ends with the turn, None when it has ended already."""
        if turn.alone:
            (caller,) = callers
            ended = asyncio.get_running_loop().run_in_executor(
                self._thread, caller.context.run, self.write_now, caller.work, caller.asked_at
            )
            ended.add_done_callback(caller.answer_as)
            return ended
        relaxed = [caller for caller in callers if caller.relaxed]
        if not relaxed or self._relaxed_in_a_row >= RELAXED_IN_A_ROW:
            self._relaxed_in_a_row = 0
            return self._end_in_thread(self._done(callers, relaxed=False), callers)
        self._relaxed_in_a_row += 1
        if len(relaxed) < len(callers):
            rest = _Turn(alone=False)
            rest.open, rest.callers = False, [caller for caller in callers if not caller.relaxed]
            self._turns.appendleft(rest)
        batch = self._done(relaxed, relaxed=True)
        if batch.unit.open_files:
            return self._end_in_thread(batch, relaxed)
        error = batch.end()
        for caller in relaxed:
            caller.answer(error)
        return None

    def _done(self, callers: list[_Caller], relaxed: bool) -> _Batch:
        batch = _Batch(self._unit(relaxed))
        for caller in callers:
            caller.run(batch)
        return batch

    def _end_in_thread(self, batch: _Batch, callers: list[_Caller]) -> asyncio.Future[Any]:
        ended = asyncio.get_running_loop().run_in_executor(self._thread, batch.commit)
        for caller in callers:
            ended.add_done_callback(caller.answer_when)
        return ended


class _Caller:
    """Somebody who wants `work` done, and what came of it."""

    def __init__(self, work: Work[Any], asked_at: float, relaxed: bool) -> None:
        self.work = work
        self.asked_at = asked_at
        self.relaxed = relaxed
        self.context = contextvars.copy_context()
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._result: Any = None

    def run(self, batch: _Batch) -> None:
        """Do the work; what it raises is answered at once, there is nothing to wait for."""
        try:
            batch.unit.asked_at = self.asked_at
            self._result = self.context.run(batch.run, self.work)
        except BaseException as error:
            # Whatever it is, it belongs to this caller, in whose task it is raised; the others' work goes on.
            self.refuse(error)

    def answer(self, error: BaseException | None) -> None:
        """Tell the result of `run`, or why it could not be committed."""
        if error is not None:
            self.refuse(error)
        elif not self.future.done():
            self.future.set_result(self._result)

    def answer_when(self, committed: asyncio.Future[None]) -> None:
        """`answer` for what was committed elsewhere."""
        self.answer(committed.exception())

    def answer_as(self, ended: asyncio.Future[Any]) -> None:
        """Tell what came of work that was done elsewhere."""
        error = ended.exception()
        if error is None:
            self._result = ended.result()
        self.answer(error)

    def refuse(self, error: BaseException) -> None:
        """Raise `error` where this caller waits, if he still does."""
        if not self.future.done() and not self.future.get_loop().is_closed():
            self.future.set_exception(error)


class _Turn:
    """A place in the queue: for one who writes alone, or for everybody who comes while it is the last and
    `open`.
    """

    def __init__(self, alone: bool) -> None:
        self.alone = alone
        self.open = not alone
        self.callers: list[_Caller] = []

    def join(self, work: Work[Any], asked_at: float, relaxed: bool = False) -> asyncio.Future[Any]:
        caller = _Caller(work, asked_at, relaxed)
        self.callers.append(caller)
        return caller.future

    def refuse(self, error: BaseException) -> None:
        for caller in self.callers:
            caller.refuse(error)


class _Batch:
    """Units of work in one database transaction."""

    def __init__(self, unit: UnitOfWork) -> None:
        self.unit = unit

    def run(self, work: Work[T]) -> T:
        with self.unit.savepoint():
            return work(self.unit)

    def end(self) -> BaseException | None:
        """`commit`, and what it raised."""
        try:
            self.commit()
        except BaseException as error:
            return error
        return None

    def commit(self) -> None:
        try:
            if self.unit.lost:
                raise TransactionLost("The transaction was lost")
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
        try:
            self.unit.connection.rollback()
        except SQLAlchemyError:  # a dead connection; the next unit gets a new one
            self.unit.connection.invalidate()
            self.unit.connection.close()
