"""The database: connections with the durability that Birdbath promises, and its migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_REVISION = "0001"
"""The newest migration; a database that carries it is opened without loading Alembic."""

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # FULL: the write-ahead log is synced at each commit, so an answered success survives a power cut.
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=1073741824",
    "PRAGMA temp_store=MEMORY",
)


def open_engine(url: str) -> Engine:
    """An engine for `url` (SQLite or PostgreSQL) whose schema is up to date.

    SQLite connections sync at every commit and take the write lock when a writing unit begins (see `writing`).
    """
    sqlite = make_url(url).get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False}} if sqlite else {"pool_pre_ping": True}
    engine = create_engine(url, poolclass=QueuePool, pool_size=8, max_overflow=32, **options)
    if sqlite:
        _prepare_sqlite(engine)
    _migrate(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own implicit BEGIN would be a deferred one
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT":
            return  # a transaction nobody ends would show its connection the same old state for ever
        writing = options.get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def writing(engine: Engine) -> Connection:
    """A connection for units of work that write; on SQLite its transactions hold the write lock from their start."""
    return engine.connect().execution_options(writing=True)


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        present = inspect(connection).has_table("alembic_version")
        if present and connection.scalar(text("SELECT version_num FROM alembic_version")) == SCHEMA_REVISION:
            return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


