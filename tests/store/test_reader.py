"""Readers: what they see, and what a lost connection does to them."""

from collections.abc import Iterator
from functools import partial
from typing import cast

import pytest
from sqlalchemy import Engine, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError, ResourceClosedError
from sqlalchemy.pool import QueuePool

from birdbath.store import UnitOfWork, Writer, open_engine
from birdbath.store.reader import Reader
from birdbath.store.tables import counters
from tests.store.postgresql import Server

ALL = select(counters.c.name, counters.c.value).order_by(counters.c.name)
ABOVE = ALL.where(counters.c.value > bindparam("least"))
DIE = text("SELECT pg_terminate_backend(pg_backend_pid())")
WRONG = text("SELECT missing FROM nowhere")


def put(unit: UnitOfWork, name: str, value: int) -> None:
    unit.execute(insert(counters), {"name": name, "value": value})


def drop_connections(server: Server, engine: Engine) -> None:
    server.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{engine.url.database}'"
    )


@pytest.fixture
def reader(engine: Engine) -> Iterator[Reader]:
    reader = Reader(engine)
    yield reader
    reader.close()


@pytest.fixture
def remote(postgresql_url: str) -> Iterator[Engine]:
    engine = open_engine(postgresql_url)
    yield engine
    engine.dispose()


def test_each_read_shows_what_is_committed_by_then(writer: Writer, reader: Reader) -> None:
    assert list(reader.rows(ALL)) == []
    for value, name in enumerate("abc"):
        writer.write_now(partial(put, name=name, value=value))
        assert [row.name for row in reader.rows(ALL)] == list("abc"[: value + 1])
    assert [tuple(row) for row in reader.rows(ABOVE, {"least": 1})] == [("c", 2)]


def test_what_is_not_committed_is_not_seen_and_not_waited_for(writer: Writer, reader: Reader) -> None:
    def work(unit: UnitOfWork) -> int:
        put(unit, "a", 1)
        return len(reader.rows(ALL))

    assert writer.write_now(work) == 0
    assert len(reader.rows(ALL)) == 1


def test_a_statement_that_fails_leaves_the_reader_usable(engine: Engine, reader: Reader) -> None:
    for _ in range(2):
        with pytest.raises(engine.dialect.loaded_dbapi.Error, match="nowhere"):
            reader.rows(WRONG)
        assert list(reader.rows(ALL)) == []


def test_closing_gives_the_connection_back(engine: Engine) -> None:
    pool = cast(QueuePool, engine.pool)
    reader = Reader(engine)
    assert pool.checkedout() == 1
    reader.close()
    reader.close()
    assert pool.checkedout() == 0
    with pytest.raises(ResourceClosedError):
        reader.rows(ALL)
    assert pool.checkedout() == 0


@pytest.mark.toolkit
def test_a_dropped_connection_is_replaced_at_the_next_read(server: Server, remote: Engine) -> None:
    reader, writer = Reader(remote), Writer(remote)
    for value, name in enumerate("abc"):
        writer.write_now(partial(put, name=name, value=value))
        drop_connections(server, remote)
        assert len(reader.rows(ALL)) == 2 * value + 1
        # Nor does what the new connection shows stand still.
        writer.write_now(partial(put, name=name * 2, value=value))
        assert len(reader.rows(ALL)) == 2 * value + 2
    assert cast(QueuePool, remote.pool).checkedout() == 2
    reader.close()
    writer.close()


@pytest.mark.toolkit
def test_a_read_is_tried_only_twice(remote: Engine) -> None:
    reader = Reader(remote)
    for _ in range(2):
        with pytest.raises(remote.dialect.loaded_dbapi.Error):
            reader.rows(DIE)
        assert list(reader.rows(ALL)) == []
    assert cast(QueuePool, remote.pool).checkedout() == 1
    reader.close()


@pytest.mark.toolkit
def test_a_database_that_is_away_for_a_while(server: Server, remote: Engine) -> None:
    reader = Reader(remote)
    name = remote.url.database
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    drop_connections(server, remote)
    for _ in range(2):
        with pytest.raises(DBAPIError, match="not currently accepting connections"):
            reader.rows(ALL)
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert list(reader.rows(ALL)) == []
    assert cast(QueuePool, remote.pool).checkedout() == 1
    reader.close()


@pytest.mark.toolkit
def test_a_reader_with_a_dropped_connection_can_be_closed(server: Server, remote: Engine) -> None:
    reader = Reader(remote)
    drop_connections(server, remote)
    reader.close()
    assert cast(QueuePool, remote.pool).checkedout() == 0
