"""Whether power may have been lost since something relaxed was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from birdbath.store import UnitOfWork, Writer, boots, open_engine
from birdbath.store.boots import Boots


@pytest.fixture(autouse=True)
def boot(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The last number is that of this boot."""
    numbers = [1]
    monkeypatch.setattr(boots, "number_of_boot", lambda: numbers[-1])
    return numbers


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/birdbath.db")
    yield engine
    engine.dispose()


def lost(engine: Engine, writer: Writer, relaxed: bool = True) -> tuple[Boots, bool]:
    """A server starts, and finds what it finds."""
    started = Boots(engine)
    assert started.tell
    return started, writer.write_now(lambda unit: started.begin(unit, relaxed))


def end(server: Boots, writer: Writer) -> list[int]:
    settled: list[int] = []

    def settle(unit: UnitOfWork) -> None:
        settled.append(1)

    server.end(writer, settle)
    return settled


def test_the_system_tells_its_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    assert boots.number_of_boot() == boots.number_of_boot() is not None
    monkeypatch.setattr(boots, "_BOOT_ID", tmp_path / "none")
    assert boots.number_of_boot() is None


def test_a_killed_process_loses_nothing_a_machine_may(
    engine: Engine, writer: Writer, boot: list[int]
) -> None:
    servers = [lost(engine, writer), lost(engine, writer)]
    boot.append(2)
    servers += [lost(engine, writer), lost(engine, writer)]
    assert [found for _, found in servers] == [False, False, True, False]
    for server, _ in servers:
        end(server, writer)


def test_who_ends_last_leaves_all_on_disk(engine: Engine, writer: Writer, boot: list[int]) -> None:
    first, second = lost(engine, writer)[0], lost(engine, writer)[0]
    assert end(first, writer) == []
    assert end(second, writer) == [1]
    assert end(second, writer) == [], "it has ended"
    boot.append(2)
    third, found = lost(engine, writer)
    assert not found
    end(third, writer)


def test_where_nothing_is_relaxed_nothing_is_lost_twice(
    engine: Engine, writer: Writer, boot: list[int]
) -> None:
    lost(engine, writer)  # and is killed
    boot.append(2)
    found = [lost(engine, writer, relaxed=False)[1] for _ in range(2)]
    boot.append(3)
    found.append(lost(engine, writer, relaxed=False)[1])
    assert found == [True, False, False]


def test_what_could_not_be_settled_counts_as_lost(engine: Engine, writer: Writer, boot: list[int]) -> None:
    server, _ = lost(engine, writer)

    def settle(unit: UnitOfWork) -> None:
        raise OSError("the disk is sick")

    with pytest.raises(OSError, match="sick"):
        server.end(writer, settle)
    boot.append(2)
    assert lost(engine, writer)[1]


def test_nothing_is_told_where_the_system_does_not(engine: Engine, boot: list[Any]) -> None:
    boot.append(None)
    assert not Boots(engine).tell


@pytest.mark.toolkit
def test_a_database_server_has_boots_of_its_own(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    assert not Boots(engine).tell
    engine.dispose()
