"""One unit of work: what an operation reads and writes, made durable together."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.sql import ClauseElement

from birdbath.store.database import begin
from birdbath.store.statements import Row, prepared
from birdbath.store.syncing import sync_all

_log = logging.getLogger(__name__)

_ADVANCE = text(
    "INSERT INTO counters (name, value) VALUES (:counter, :step)"
    " ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value"
)
_COUNTED = text("SELECT value FROM counters WHERE name = :counter")
_COUNTED_RESERVED = text(
    "SELECT value, (SELECT value FROM counters WHERE name = :reserved) AS reserved"
    " FROM counters WHERE name = :counter"
)
_RESERVE = text(
    "INSERT INTO counters (name, value) VALUES (:counter, :through)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_RESERVED = "-reserved"
_AHEAD = 1000
_ALL_RESERVED = text(f"SELECT name, value FROM counters WHERE name LIKE '%{_RESERVED}'")


class TransactionLost(Exception):
    """The database gave up the transaction in the middle of it; everything in it is undone."""


class NeedsSync(Exception):
    """The unit is a relaxed one, and what it was to do has to survive the loss of power."""


class UnitOfWork:
    """The database connection of one unit of work, the files it dirtied, and the time it happens at.

    `now` is the wall-clock time in seconds since the epoch, `asked_at` that at which the work was asked for:
    it may have waited for its turn. `watchers` are called when events that it appended are durable. Nothing
    written here is durable before the `Writer` that made the unit says so; for `relaxed` see
    `database.begin`.
    """

    def __init__(
        self,
        connection: Connection,
        now: float,
        watchers: Sequence[Callable[[], None]] = (),
        relaxed: bool = False,
    ) -> None:
        self.connection = connection
        self.now = now
        self.asked_at = now
        self.relaxed = relaxed
        begin(connection, relaxed)
        self._cursor = connection.connection.cursor()
        self._errors = connection.dialect.loaded_dbapi.Error
        self._dirty: dict[tuple[int, int], tuple[int, str]] = {}
        self.lost = False
        self.events_written = 0  # the newest event appended, perhaps in a savepoint since undone
        self._after_commit: list[Callable[[], None]] = []
        self._if_not_synced: list[Callable[[], None]] = []
        self._watchers = watchers
        self._if_undone: list[Callable[[], None]] = []

    def execute(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Run a statement and return its rows, if it gives any."""
        given = values or {}
        kept = prepared(statement, self.connection.dialect, tuple(given))
        self._cursor.execute(kept.sql, kept.arguments(given))
        return kept.rows(self._cursor)

    def first(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Row | None:
        """The first row of a statement's result, or None."""
        rows = self.execute(statement, values)
        return rows[0] if rows else None

    def execute_many(self, statement: ClauseElement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each of `rows`, which all have the same names."""
        if rows:
            kept = prepared(statement, self.connection.dialect, tuple(rows[0]))
            self._cursor.executemany(kept.sql, [kept.arguments(row) for row in rows])

    def advance(self, counter: str, step: int = 1) -> int:
        """Add `step` to a counter and return its new value.

        The counter's row stays locked until the unit ends, so numbers become visible in the order they were
        given.
        """
        # Not RETURNING: for that SQLite keeps a journal of the statement, and to drop it goes through all
        # that the unit's savepoint has kept.
        self.execute(_ADVANCE, {"counter": counter, "step": step})
        return int(self.execute(_COUNTED, {"counter": counter})[0].value)

    def advance_reserved(self, counter: str) -> int:
        """`advance` by one, to a number that is never given out again, whatever is lost.

        Numbers are reserved ahead, on disk, and a relaxed unit gives out none that is not: it raises
        NeedsSync. After a loss of power `skip_reserved` passes over those that may have been given out.
        """
        self.execute(_ADVANCE, {"counter": counter, "step": 1})
        ((value, reserved),) = self.execute(
            _COUNTED_RESERVED, {"counter": counter, "reserved": counter + _RESERVED}
        )
        if reserved is None or value > reserved:
            if self.relaxed:
                raise NeedsSync
            self.execute(_RESERVE, {"counter": counter + _RESERVED, "through": value + _AHEAD})
        return int(value)

    def skip_reserved(self) -> None:
        """Give out no number, of any counter, that was reserved so far."""
        for row in self.execute(_ALL_RESERVED):
            self.execute(_RESERVE, {"counter": row.name.removesuffix(_RESERVED), "through": row.value})

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block wrote to the database if it raises; bytes it wrote to files stay.

        Raises TransactionLost when that cannot be done, such as after SQLite met a full disk: it has
        undone the whole transaction then, and whatever is written next would be committed alone.
        """
        # A twentieth of the cost of SQLAlchemy's begin_nested(), which is felt at several units a
        # millisecond.
        self._run("SAVEPOINT unit")
        callbacks, notes = len(self._after_commit), len(self._if_undone)
        try:
            yield
        except BaseException:
            del self._after_commit[callbacks:]
            self._undo(notes)
            self._run("ROLLBACK TO SAVEPOINT unit")
            self._run("RELEASE SAVEPOINT unit")
            raise
        self._run("RELEASE SAVEPOINT unit")

    def _run(self, command: str) -> None:
        if self.lost:
            raise TransactionLost("The transaction was lost")
        try:
            self._cursor.execute(command)
        except self._errors as error:
            self.lost = True
            raise TransactionLost(f"The transaction was lost: {error}") from error

    @property
    def open_files(self) -> int:
        """How many files and directories stay open until they are synced at the end of the unit."""
        return len(self._dirty)

    def sync_later(self, path: str, descriptor: int) -> None:
        """Take over an open file or directory and sync it to disk before the unit is committed.

        What is open twice is synced once; `path` is for people who debug this.
        """
        status = os.fstat(descriptor)
        if self._dirty.setdefault((status.st_dev, status.st_ino), (descriptor, path))[0] != descriptor:
            os.close(descriptor)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once what was written is durable; not when it was rolled back."""
        self._after_commit.append(callback)

    def if_undone(self, callback: Callable[[], None]) -> None:
        """Call `callback` if what was written so far is rolled back: memory that follows the database has to
        know.
        """
        self._if_undone.append(callback)

    def if_not_synced(self, callback: Callable[[], None]) -> None:
        """Call `callback` if what `sync_later` took so far could not be synced."""
        self._if_not_synced.append(callback)

    def _undo(self, first: int) -> None:
        undone, self._if_undone = self._if_undone[first:], self._if_undone[:first]
        for callback in undone:
            callback()

    def sync_files(self) -> None:
        """Sync and close what `sync_later` took. Raises OSError if any of it may not be on disk."""
        dirty, self._dirty = list(self._dirty.values()), {}
        try:
            sync_all([descriptor for descriptor, _ in dirty])
        except OSError:
            for callback in self._if_not_synced:
                callback()
            raise
        finally:
            _close_all(descriptor for descriptor, _ in dirty)

    def committed(self) -> None:
        """Run the `after_commit` callbacks. What they raise is logged: the unit stays a success."""
        callbacks, self._after_commit = self._after_commit, []
        if self.events_written:
            callbacks += self._watchers
        self._if_undone = []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                _log.exception("What follows a commit failed")

    def discard(self) -> None:
        """Close what `sync_later` took without syncing, forget the callbacks."""
        dirty, self._dirty = self._dirty, {}
        self._after_commit = []
        self._undo(0)
        _close_all(descriptor for descriptor, _ in dirty.values())


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        # The file was synced before, or is of no account: what close() could still report is no news.
        with suppress(OSError):
            os.close(descriptor)
