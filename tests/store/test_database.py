"""Databases: durable commits, one writer at a time, and the schema."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from birdbath.store import UnsafeDatabase, database, open_engine
from birdbath.store.database import UnusableDatabase, writing
from birdbath.store.tables import counters
from tests.store.postgresql import Server


def test_sqlite_syncs_at_every_commit(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a.sqlite")
    for connection in (writing(engine), engine.connect()):
        with connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout")
            ]
            assert values == ["wal", 2, 10_000]
    engine.dispose()


def test_a_new_database_is_for_the_servers_account_alone(tmp_path: Path) -> None:
    """Secrets of webhooks and environments of jobs are in it, and the home folder may be open to all."""
    before = os.umask(0o022)
    try:
        open_engine(f"sqlite:///{tmp_path}/new.db").dispose()
        engine = open_engine(f"sqlite:///{tmp_path}/new.db")
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
            assert len(list(tmp_path.iterdir())) > 1
        engine.dispose()
    finally:
        os.umask(before)


def test_the_permissions_of_a_database_that_is_there_stay(tmp_path: Path) -> None:
    path = tmp_path / "there.db"
    open_engine(f"sqlite:///{path}").dispose()
    path.chmod(0o640)
    open_engine(f"sqlite:///{path}").dispose()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(UnsafeDatabase, match="memory"):
        open_engine("sqlite://")


@pytest.mark.toolkit
def test_postgresql_commits_are_on_disk_whatever_the_server_is_set_to(server: Server) -> None:
    url = server.new_database()
    server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    engine = open_engine(url)
    for connection in (writing(engine), engine.connect()):
        with connection:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
            assert connection.scalar(text("SHOW lock_timeout")) == "10s"
    engine.dispose()
    server.drop(url)


@pytest.mark.toolkit
def test_a_stricter_postgresql_stays_as_strict(server: Server) -> None:
    url = server.new_database()
    server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = remote_apply")
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "remote_apply"
    engine.dispose()
    server.drop(url)


def test_only_one_unit_writes_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 50)
    engine = open_engine(url)
    with writing(engine) as first, writing(engine) as second, engine.connect() as reader:
        with first.begin():
            with pytest.raises((DBAPIError, sqlite3.Error), match="lock"):
                second.begin()
            assert reader.execute(select(counters)).all() == []
        with second.begin():
            second.execute(insert(counters).values(name="a", value=1))
    engine.dispose()


def test_a_reader_that_begins_no_transactions_sees_each_commit(engine: Engine) -> None:
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as reader,
        writing(engine) as writer,
    ):
        for value in (1, 2):
            with writer.begin():
                writer.execute(insert(counters).values(name=f"a{value}", value=value))
            assert len(reader.execute(select(counters)).all()) == value


# ---------------------------------------------------------------- schema


def test_a_current_database_is_opened_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite"
    code = (
        "import sys; from birdbath.store import open_engine;"
        f"open_engine({url!r}).dispose(); print('alembic' in sys.modules)"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for _ in range(2)
    ]
    assert outputs == ["True\n", "False\n"]


def _open(url: str) -> int:
    engine = open_engine(url)
    with engine.connect() as connection:
        count = len(connection.execute(text("SELECT * FROM alembic_version")).all())
    engine.dispose()
    return count


def test_several_processes_may_open_a_new_sqlite_database_at_once(tmp_path: Path) -> None:
    assert _opened_by_three_processes(f"sqlite:///{tmp_path}/a%b.sqlite") == ["1\n"] * 3


@pytest.mark.toolkit
def test_several_processes_may_open_a_new_postgresql_database_at_once(server: Server) -> None:
    url = server.new_database(template="template0")
    assert _opened_by_three_processes(url) == ["1\n"] * 3
    server.drop(url)


def test_processes_that_make_a_database_at_once_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the wait one in sixty is told that the database is locked, when four do so."""
    first, pauses = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None), []
    first.execute("BEGIN EXCLUSIVE")

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            first.execute("COMMIT")

    monkeypatch.setattr(time, "sleep", pause)
    second = sqlite3.connect(tmp_path / "a.sqlite", timeout=0)
    assert database._with_log(second) == "wal"
    assert len(pauses) == 3
    for connection in (first, second):
        connection.close()


def test_a_database_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0)
    first = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    first.execute("BEGIN EXCLUSIVE")
    second = sqlite3.connect(tmp_path / "a.sqlite", timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database._with_log(second)
    for connection in (first, second):
        connection.close()


def _opened_by_three_processes(url: str) -> list[str]:
    code = f"from tests.store.test_database import _open; print(_open({url!r}))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    return [process.communicate(timeout=100)[0] for process in processes]


def test_connections_are_pooled(engine: Engine) -> None:
    assert isinstance(engine.pool, QueuePool)


# ---------------------------------------------------------------- databases that cannot be used


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:////no/such/folder/a.sqlite", "unable to open"),
        ("postgresql+psycopg://birdbath:secret@127.0.0.1:1/birdbath", "refused"),
        ("not a url", "that database_url names"),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(url: str, message: str) -> None:
    with pytest.raises(UnusableDatabase, match=message) as raised:
        open_engine(url)
    assert "secret" not in str(raised.value)


def test_a_database_of_a_later_version_is_refused(engine: Engine) -> None:
    with writing(engine) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnusableDatabase, match="9999"):
        open_engine(engine.url.render_as_string(hide_password=False))
