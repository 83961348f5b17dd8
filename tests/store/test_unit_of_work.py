"""Units of work: statements, savepoints, counters, files to sync."""

import contextlib
import logging
import os
import threading
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, bindparam, insert, select, text, update

from birdbath.store import TransactionLost, UnitOfWork, Writer
from birdbath.store.database import writing
from birdbath.store.tables import counters
from tests.syncs import sync_by

INSERT = insert(counters)
SELECT = select(counters).order_by(counters.c.name)
UPDATE = update(counters).where(counters.c.name == bindparam("which")).values(value=bindparam("new"))


def values(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.name: row.value for row in connection.execute(SELECT)}


def open_files() -> set[tuple[str, str]]:
    """The descriptors of this process, each with what it is open on; but for those by which the kernel tells
    a thread that something was synced, which stay.
    """
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that read the directory
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))
    return {(number, target) for number, target in found if target != "anon_inode:[eventfd]"}


# ---------------------------------------------------------------- statements


def test_statements(writer: Writer) -> None:
    def work(unit: UnitOfWork) -> None:
        assert unit.now == 1000.0
        assert unit.execute(INSERT, {"name": "a", "value": 1}) == ()
        unit.execute_many(INSERT, [{"name": "b", "value": 2}, {"name": "c", "value": 2**62}])
        unit.execute_many(INSERT, [])
        assert [tuple(row) for row in unit.execute(SELECT)] == [("a", 1), ("b", 2), ("c", 2**62)]
        row = unit.first(select(counters.c.value).where(counters.c.name == bindparam("name")), {"name": "b"})
        assert row is not None
        assert row.value == 2
        unit.execute(UPDATE, {"which": "b", "new": 5})
        assert unit.first(select(counters.c.value).where(counters.c.name == "nothing")) is None

    writer.write_now(work)


def test_counters_start_at_their_step_and_give_no_number_twice(writer: Writer) -> None:
    assert [writer.write_now(lambda unit: unit.advance("cluster")) for _ in range(3)] == [1, 2, 3]
    assert writer.write_now(lambda unit: [unit.advance("event", 5), unit.advance("event")]) == [5, 6]


def test_a_counter_is_gapless_when_units_are_undone(writer: Writer) -> None:
    given = []

    def work(unit: UnitOfWork) -> None:
        given.append(unit.advance("event"))
        with contextlib.suppress(KeyError), unit.savepoint():
            unit.advance("event", 10)
            raise KeyError
        given.append(unit.advance("event"))

    def failing(unit: UnitOfWork) -> None:
        unit.advance("event", 100)
        raise ValueError

    writer.write_now(work)
    with pytest.raises(ValueError, match=r"^$"):
        writer.write_now(failing)
    writer.write_now(work)
    assert given == [1, 2, 3, 4]


def test_two_writers_share_a_counter_without_gaps_or_twins(engine: Engine) -> None:
    numbers: list[int] = []

    def write() -> None:
        writer = Writer(engine)
        for step in range(50):
            with contextlib.suppress(KeyError):
                numbers.append(writer.write_now(partial(_advanced, step=step)))
        writer.close()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 81))


def _advanced(unit: UnitOfWork, step: int) -> int:
    number = unit.advance("event")
    if step % 5 == 0:
        raise KeyError
    return number


# ---------------------------------------------------------------- savepoints


def test_a_savepoint_undoes_its_block_alone(engine: Engine, writer: Writer) -> None:
    called: list[str] = []

    def work(unit: UnitOfWork) -> None:
        unit.execute(INSERT, {"name": "before", "value": 1})
        unit.after_commit(lambda: called.append("before"))
        with contextlib.suppress(KeyError), unit.savepoint():
            unit.execute(INSERT, {"name": "outer", "value": 1})
            unit.after_commit(lambda: called.append("outer"))
            with unit.savepoint():
                unit.execute(INSERT, {"name": "inner", "value": 1})
            raise KeyError
        with unit.savepoint():
            unit.execute(INSERT, {"name": "kept", "value": 1})
            with contextlib.suppress(KeyError), unit.savepoint():
                unit.execute(INSERT, {"name": "inner", "value": 1})
                raise KeyError
            unit.after_commit(lambda: called.append("kept"))
        assert called == []

    writer.write_now(work)
    assert called == ["before", "kept"]
    assert values(engine) == {"before": 1, "kept": 1}


def test_an_error_of_the_database_is_undone_too(engine: Engine, writer: Writer) -> None:
    def twice(unit: UnitOfWork) -> None:
        with unit.savepoint():
            unit.execute(INSERT, {"name": "b", "value": 1})
            unit.execute(INSERT, {"name": "a", "value": 2})

    def work(unit: UnitOfWork) -> None:
        unit.execute(INSERT, {"name": "a", "value": 1})
        with pytest.raises(unit.connection.dialect.loaded_dbapi.IntegrityError):
            twice(unit)
        unit.execute(INSERT, {"name": "c", "value": 1})

    writer.write_now(work)
    assert values(engine) == {"a": 1, "c": 1}


def lose_transaction(unit: UnitOfWork) -> None:
    """What SQLite does by itself when, for instance, the disk is full."""
    unit.execute(text("ROLLBACK"))


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_a_lost_transaction_is_noticed_and_nothing_of_it_stays(engine: Engine, writer: Writer) -> None:
    def failing(unit: UnitOfWork) -> None:
        unit.execute(INSERT, {"name": "a", "value": 1})
        lose_transaction(unit)
        raise KeyError

    def careless(unit: UnitOfWork) -> None:
        unit.execute(INSERT, {"name": "b", "value": 1})
        lose_transaction(unit)

    for work in (failing, careless):
        with pytest.raises(TransactionLost):
            writer.write_now(work)
        assert values(engine) == {}
    writer.write_now(lambda unit: unit.execute(INSERT, {"name": "c", "value": 1}))
    assert values(engine) == {"c": 1}


# ---------------------------------------------------------------- callbacks


def test_what_follows_a_commit_cannot_make_it_a_failure(
    engine: Engine, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    called = []

    def work(unit: UnitOfWork) -> str:
        unit.execute(INSERT, {"name": "a", "value": 1})
        unit.after_commit(lambda: [][0])
        unit.after_commit(lambda: called.append(values(engine)))
        return "done"

    with caplog.at_level(logging.ERROR):
        assert writer.write_now(work) == "done"
    assert called == [{"a": 1}]
    assert "IndexError" in caplog.text


def test_callbacks_of_undone_units_are_not_called(writer: Writer) -> None:
    def failing(unit: UnitOfWork) -> None:
        unit.after_commit(lambda: pytest.fail("called"))
        raise KeyError

    with pytest.raises(KeyError):
        writer.write_now(failing)
    writer.write_now(lambda unit: None)


# ---------------------------------------------------------------- files


def test_files_are_synced_once_each_and_closed(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync_by(monkeypatch, lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    writer.write_now(lambda unit: None)
    before = open_files()

    def work(unit: UnitOfWork) -> None:
        for name in ("a", "b", "a"):
            unit.sync_later(name, os.open(tmp_path / name, os.O_RDWR | os.O_CREAT))
        os.unlink(tmp_path / "a")
        # Another file of the same name is another file.
        unit.sync_later("a", os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT))

    writer.write_now(work)
    assert sorted(synced) == [f"{tmp_path}/a", f"{tmp_path}/a (deleted)", f"{tmp_path}/b"]
    assert open_files() - before == set()


def test_a_file_that_cannot_be_synced_undoes_the_unit_and_leaks_nothing(
    engine: Engine, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write_now(lambda unit: None)
    before = open_files()

    def refuse(descriptor: int) -> None:
        raise OSError("no medium")

    def work(unit: UnitOfWork) -> None:
        unit.execute(INSERT, {"name": "a", "value": 1})
        for name in ("a", "b"):
            unit.sync_later(name, os.open(tmp_path / name, os.O_RDWR | os.O_CREAT))

    with monkeypatch.context() as patch:
        sync_by(patch, refuse)
        with pytest.raises(OSError, match="no medium"):
            writer.write_now(work)
    assert open_files() - before == set()
    assert values(engine) == {}
    writer.write_now(work)
    assert values(engine) == {"a": 1}


def test_an_undone_unit_leaks_no_files(writer: Writer, tmp_path: Path) -> None:
    writer.write_now(lambda unit: None)
    before = open_files()

    def work(unit: UnitOfWork) -> None:
        descriptor = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
        unit.sync_later("a", descriptor)
        raise KeyError

    with pytest.raises(KeyError):
        writer.write_now(work)
    assert open_files() - before == set()


def test_a_descriptor_that_somebody_closed_does_not_keep_the_others_open(
    engine: Engine, tmp_path: Path
) -> None:
    with writing(engine) as connection:
        unit = UnitOfWork(connection, 0)
        before = open_files()
        closed, other = (os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in "ab")
        unit.sync_later("a", closed)
        unit.sync_later("b", other)
        os.close(closed)
        unit.discard()
        assert open_files() - before == set()
