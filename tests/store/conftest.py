"""A database of either kind for each test of the store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from birdbath.store import Writer, open_engine
from tests.store import postgresql
from tests.toolkit import require


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    programs = postgresql.programs()
    require("postgresql (initdb, pg_ctl)", programs is not None)
    assert programs is not None
    with postgresql.running(programs) as server:
        yield server


@pytest.fixture
def postgresql_url(server: postgresql.Server) -> Iterator[str]:
    url = server.new_database()
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.toolkit)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/birdbath.sqlite"
    postgresql_url: str = request.getfixturevalue("postgresql_url")
    return postgresql_url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    writer = Writer(engine, clock=lambda: 1000.0)
    yield writer
    writer.close()
