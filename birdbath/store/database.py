"""The database: connections with the durability that Birdbath promises, and its migrations."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from birdbath.errors import BirdbathError

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_REVISION = "0016"
"""The newest migration; a database that carries it is opened without loading Alembic."""

LOCK_TIMEOUT = 10_000
"""How long, in milliseconds, a unit waits for another process that writes to the same database."""

_WRITE_LOCK = 0x62697264
"""The advisory lock of Birdbath's writers in a PostgreSQL database."""

_CHECKPOINT_PAGES = 1000
"""Pages of the write-ahead log above which a commit takes them over into the database."""

_LOOK_AGAIN = 0.005
"""Seconds until a lock is tried again that SQLite itself does not wait for."""

_SQLITE_PRAGMAS = (
    # FULL: the write-ahead log is synced at each commit, so an answered success survives a power cut.
    "PRAGMA synchronous=FULL",
    # Small: what is read comes from the map, and each connection's own copies of pages only take memory.
    "PRAGMA cache_size=-4096",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA temp_store=MEMORY",
)


class UnsafeDatabase(BirdbathError):
    """The database cannot keep the promise that what was answered is on disk."""


class UnusableDatabase(BirdbathError):
    """The database cannot be opened, or was made by a later version."""


def open_engine(url: str) -> Engine:
    """An engine for `url` (SQLite in a file, or PostgreSQL) whose schema is up to date.

    Every commit is on disk before it returns. A unit of work that writes (see `writing`) is the only one
    in the database, whichever process runs it, from its begin to its end. Raises UnsafeDatabase,
    UnusableDatabase.
    """
    try:
        return _open(url)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error)
        raise UnusableDatabase(f"Cannot use the database {_without_password(url)}: {reason}") from error
    except ModuleNotFoundError as error:
        raise UnusableDatabase(f"{error}: pip install 'birdbath[postgresql]'") from None


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "that database_url names"


def _open(url: str) -> Engine:
    sqlite = make_url(url).get_backend_name() == "sqlite"
    options: dict[str, Any] = (
        {"connect_args": {"check_same_thread": False}} if sqlite else {"pool_pre_ping": True}
    )
    engine = create_engine(url, poolclass=QueuePool, pool_size=8, max_overflow=32, **options)
    if sqlite:
        _make_private(engine.url.database)
        _prepare_sqlite(engine)
    else:
        _prepare_postgresql(engine)
    try:
        _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_private(path: str | None) -> None:
    """Make the file of a new SQLite database, for this account alone: environments of jobs and webhooks'
    secrets are in it. Its log gets the same permissions from SQLite. One that is there stays as it is.
    """
    if path and path != ":memory:":
        with suppress(OSError):  # SQLite says what is wrong with the place
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def writing(engine: Engine) -> Connection:
    """A connection for units of work that write; its transactions hold the write lock from their start."""
    return engine.connect().execution_options(writing=True)


def begin(connection: Connection, relaxed: bool = False) -> None:
    """Begin a transaction on a connection for units of work.

    A `relaxed` one is committed without a sync: a process that is killed loses nothing, a machine without
    power may lose it, though never an earlier one without it. The next one that is not relaxed makes it
    durable too.
    """
    if _is_relaxed(connection) != relaxed:
        connection.execution_options(relaxed=relaxed)
    connection.begin()


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own implicit BEGIN would be a deferred one
        connection.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT}")
        mode = _with_log(connection)
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)
        if mode != "wal":  # such as in memory, or on a file system that cannot share memory
            connection.close()
            raise UnsafeDatabase(f"SQLite offers the journal mode {mode} only; it has to be wal")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if _is_autocommit(connection):
            return
        # Past SQLAlchemy, which would take several times as long as SQLite for it.
        cursor = connection.connection.cursor()
        info = connection.info
        wanted = "NORMAL" if _is_relaxed(connection) else "FULL"
        if info.get("synchronous", "FULL") != wanted:  # it can be changed between transactions only
            cursor.execute(f"PRAGMA synchronous={wanted}")
            # A checkpoint syncs the database, and takes milliseconds: it comes with a commit that does too.
            cursor.execute(f"PRAGMA wal_autocheckpoint={0 if wanted == 'NORMAL' else _CHECKPOINT_PAGES}")
            info["synchronous"] = wanted
        cursor.execute("BEGIN IMMEDIATE" if _is_writing(connection) else "BEGIN")


def _with_log(connection: sqlite3.Connection) -> str:
    """Let a database have a write-ahead log; the journal mode that it has then.

    When several processes make it at the same time, all but one may be told at once that it is locked,
    whatever the timeout.
    """
    until = time.monotonic() + LOCK_TIMEOUT / 1000
    while True:
        try:
            ((mode,),) = connection.execute("PRAGMA journal_mode=WAL")
            return str(mode)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_LOOK_AGAIN)


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT}")
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if _is_writing(connection):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
        if _is_relaxed(connection):
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")


def _is_autocommit(connection: Connection) -> bool:
    """Whether no transaction may be begun: one that nobody ends would show the same old state for ever."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def _is_writing(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("writing", False))


def _is_relaxed(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("relaxed", False))


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        present = inspect(connection).has_table("alembic_version")
        if present and connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA_REVISION:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise UnusableDatabase(f"Cannot bring the database up to date: {error}") from error
