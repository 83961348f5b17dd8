"""One unit of work: what an operation reads and writes, made durable together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.sql import ClauseElement

from birdbath.store.statements import Row, prepared
from birdbath.store.tables import counters

_ADVANCE = (
    update(counters)
    .where(counters.c.name == bindparam("counter"))
    .values(value=counters.c.value + bindparam("step"))
    .returning(counters.c.value)
)
_NEW_COUNTER = insert(counters)


class UnitOfWork:
    """The database connection of one unit of work, the files it dirtied, and the time it happens at.

    `now` is the wall-clock time in seconds since the epoch. Nothing written here is durable before the
    `Writer` that made the unit says so.
    """

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        self.now = now
        if not connection.in_transaction():
            connection.begin()
        self._cursor = connection.connection.cursor()
        self._dirty: dict[str, int] = {}
        self._after_commit: list[Callable[[], None]] = []

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
        row = self.first(_ADVANCE, {"counter": counter, "step": step})
        if row is not None:
            return int(row.value)
        self.execute(_NEW_COUNTER, {"name": counter, "value": step})
        return step

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block wrote to the database if it raises."""
        # A twentieth of the cost of SQLAlchemy's begin_nested(), which is felt at several units a
        # millisecond.
        self._cursor.execute("SAVEPOINT unit")
        callbacks = len(self._after_commit)
        try:
            yield
        except BaseException:
            self._cursor.execute("ROLLBACK TO SAVEPOINT unit")
            del self._after_commit[callbacks:]
            raise
        finally:
            self._cursor.execute("RELEASE SAVEPOINT unit")

    def sync_later(self, path: str, descriptor: int) -> None:
        """Take over an open file or directory and sync it to disk before the unit is committed; `path` tells
        twins.
        """
        if path in self._dirty:
            os.close(descriptor)
        else:
            self._dirty[path] = descriptor

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once what was written is durable; not when it was rolled back."""
        self._after_commit.append(callback)

    def sync_files(self) -> None:
        """Sync and close what `sync_later` took. Raises OSError if any of it may not be on disk."""
        dirty, self._dirty = self._dirty, {}
        try:
            for descriptor in dirty.values():
                os.fsync(descriptor)
        finally:
            for descriptor in dirty.values():
                os.close(descriptor)

    def committed(self) -> None:
        """Run the `after_commit` callbacks."""
        callbacks, self._after_commit = self._after_commit, []
        for callback in callbacks:
            callback()

    def discard(self) -> None:
        """Close what `sync_later` took without syncing, forget the callbacks."""
        dirty, self._dirty = self._dirty, {}
        for descriptor in dirty.values():
            os.close(descriptor)
        self._after_commit = []
