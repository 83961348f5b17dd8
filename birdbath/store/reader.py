"""A connection for reading what is committed, which outlives the loss of its server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.sql import ClauseElement

from birdbath.store.statements import Prepared, Row, prepared


class Reader:
    """Reads one statement at a time, each in a transaction of its own: it sees all that is committed by then.

    A connection that the database dropped is replaced at the next read, which succeeds if the database can be
    reached again. Not thread-safe.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._errors = engine.dialect.loaded_dbapi.Error
        self._closed = False
        self._connection: Connection | None = None
        self._cursor: Any = None
        self._open()

    def rows(self, statement: ClauseElement, values: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """All rows of a statement at module level; it must be one that may be run twice.

        Raises the driver's errors, SQLAlchemy's DBAPIError when the database cannot be reached, and its
        ResourceClosedError after `close`.
        """
        given = values or {}
        kept = prepared(statement, self._engine.dialect, tuple(given))
        try:
            return self._run(kept, given)
        except self._errors as error:
            if not self._lost(error):
                raise
        return self._run(kept, given)

    def _run(self, kept: Prepared, values: Mapping[str, Any]) -> Sequence[Row]:
        if self._cursor is None:
            self._open()
        self._cursor.execute(kept.sql, kept.arguments(values))
        return kept.rows(self._cursor)

    def _open(self) -> None:
        if self._closed:
            raise ResourceClosedError("This reader is closed")
        connection = self._engine.connect()
        try:
            # The driver's cursor never begins a transaction then, which would show the same state for ever.
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            self._cursor = connection.connection.cursor()
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        self._connection = connection

    def _lost(self, error: Exception) -> bool:
        """Whether the error means that the connection is gone; the next read opens another one then."""
        connection = self._connection
        if connection is None:
            return False
        driver = connection.connection.dbapi_connection
        if not self._engine.dialect.is_disconnect(error, driver, self._cursor):  # type: ignore[arg-type]
            return False
        # Not revived in place: SQLAlchemy would give it a connection without AUTOCOMMIT.
        self._connection = self._cursor = None
        connection.invalidate(error)
        connection.close()
        return True

    def close(self) -> None:
        """Give the connection back; nothing can be read any more."""
        self._closed = True
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            connection.close()
