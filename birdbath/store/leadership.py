"""Which of the servers on one database does what only one of them shall do.

By a lock that ends with its process, however that ends: nobody has to wait for a lease of the dead.
"""

from __future__ import annotations

import fcntl
import os

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

_LOCK = 0x62697265
"""The advisory lock of the leader in a PostgreSQL database."""


class Leadership:
    """Whether this server is the one; for one thread at a time. Others may try until it has resigned, its
    process has ended or its connection to the database is lost.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._descriptor: int | None = None
        self._connection: Connection | None = None

    def try_to_lead(self) -> bool:
        """Whether this server leads now: it does already, or nobody else did. Raises OSError,
        SQLAlchemyError.
        """
        if self._engine.dialect.name == "sqlite":
            return self._descriptor is not None or self._lock_file()
        return self._still_leads() or self._lock_database()

    def resign(self) -> None:
        """Let others lead."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()  # it is detached: the lock ends with it

    def _lock_file(self) -> bool:
        path = f"{self._engine.url.database}.leader"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def _still_leads(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.scalar(text("SELECT 1"))
        except SQLAlchemyError:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
            return False
        return True

    def _lock_database(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.detach()
            if connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK})")):
                self._connection = connection
                return True
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        connection.close()
        return False
