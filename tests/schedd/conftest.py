"""A Schedd on a new database for each test, copied from one that was made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from birdbath.store import Writer, open_engine
from tests.schedd.fakes import House


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and nothing in them."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    engine = open_engine(f"sqlite:///{path}")
    engine.dispose()
    return path


@pytest.fixture
def writer(empty_database: Path, tmp_path: Path) -> Iterator[Callable[[Callable[[], float]], Writer]]:
    """Opens a writer with a given clock on the test's own database."""
    path = tmp_path / "birdbath.db"
    shutil.copy(empty_database, path)
    engine = open_engine(f"sqlite:///{path}")
    writers: list[Writer] = []

    def opened(clock: Callable[[], float]) -> Writer:
        writers.append(Writer(engine, clock))
        return writers[-1]

    yield opened
    for one in writers:
        one.close()
    engine.dispose()


@pytest.fixture
def house(writer: Callable[[Callable[[], float]], Writer], tmp_path: Path) -> House:
    return House(writer, tmp_path / "spool")
