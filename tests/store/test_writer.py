"""The writer: group commit, order, failure, cancellation, the end."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, text

from birdbath.store import TransactionLost, UnitOfWork, Writer, WriterClosed, database, open_engine
from birdbath.store.tables import counters
from birdbath.store.writer import RELAXED_IN_A_ROW
from tests.store.postgresql import Server
from tests.store.test_syncing import no_thread_left
from tests.store.test_unit_of_work import lose_transaction
from tests.syncs import sync_by

INSERT = insert(counters)


def names(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row.name for row in connection.execute(select(counters.c.name).order_by(counters.c.name))]


def put(unit: UnitOfWork, name: str) -> str:
    unit.execute(INSERT, {"name": name, "value": threading.get_ident()})
    return name


def putting(writer: Writer, name: str) -> Coroutine[Any, Any, str]:
    return writer.write(lambda unit: put(unit, name))


def run(coroutine: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 60))


def synced_at_commit(unit: UnitOfWork) -> bool:
    if unit.connection.dialect.name == "sqlite":
        return bool(unit.connection.scalar(text("PRAGMA synchronous")) == 2)
    return bool(unit.connection.scalar(text("SHOW synchronous_commit")) != "off")


@pytest.fixture
def commits(engine: Engine) -> list[object]:
    seen: list[object] = []
    event.listen(engine, "commit", seen.append)
    return seen


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Holds every commit until it is set."""
    gate = threading.Event()
    sync_files = UnitOfWork.sync_files

    def held(unit: UnitOfWork) -> None:
        assert gate.wait(60)
        sync_files(unit)

    monkeypatch.setattr(UnitOfWork, "sync_files", held)
    return gate


async def until_queued() -> None:
    """Let every task that is ready go on until it waits for the writer."""
    for _ in range(5):
        await asyncio.sleep(0)


# ---------------------------------------------------------------- together


def test_what_is_written_is_there_when_the_answer_is(engine: Engine, writer: Writer) -> None:
    async def scenario() -> None:
        assert await putting(writer, "a") == "a"
        assert names(engine) == ["a"]
        assert await writer.write_alone(lambda unit: put(unit, "b")) == "b"
        assert names(engine) == ["a", "b"]

    run(scenario())
    assert writer.write_now(lambda unit: put(unit, "c")) == "c"
    assert names(engine) == ["a", "b", "c"]


def test_those_who_come_together_share_a_commit(
    engine: Engine, writer: Writer, commits: list[object]
) -> None:
    async def scenario() -> None:
        results = await asyncio.gather(*(putting(writer, f"{n:02}") for n in range(20)))
        assert results == [f"{n:02}" for n in range(20)]

    run(scenario())
    assert len(names(engine)) == 20
    assert len(commits) == 1


def test_those_who_come_during_a_commit_share_the_next(
    writer: Writer, commits: list[object], gate: threading.Event
) -> None:
    async def scenario() -> None:
        first = asyncio.create_task(putting(writer, "first"))
        await until_queued()
        others = [asyncio.create_task(putting(writer, f"{n}")) for n in range(5)]
        await until_queued()
        gate.set()
        await asyncio.gather(first, *others)

    run(scenario())
    assert len(commits) == 2


def test_nobody_is_answered_before_the_commit(engine: Engine, writer: Writer, gate: threading.Event) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(putting(writer, "a"))
        await until_queued()
        assert not task.done()
        assert names(engine) == []
        gate.set()
        await task

    run(scenario())


def test_units_see_what_units_before_them_wrote(writer: Writer) -> None:
    async def scenario() -> list[int]:
        return await asyncio.gather(*(writer.write(lambda unit: unit.advance("a")) for _ in range(5)))

    assert asyncio.run(scenario()) == [1, 2, 3, 4, 5]


def test_units_run_on_the_loop_and_lone_ones_in_a_thread(writer: Writer) -> None:
    async def scenario() -> None:
        assert await writer.write(lambda unit: threading.get_ident()) == threading.get_ident()
        assert await writer.write_alone(lambda unit: threading.get_ident()) != threading.get_ident()

    run(scenario())


def test_units_run_in_the_context_of_their_callers(writer: Writer) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def caller(name: str, alone: bool) -> None:
        variable.set(name)
        write = writer.write_alone if alone else writer.write
        assert await write(lambda unit: variable.get()) == name

    async def scenario() -> None:
        await asyncio.gather(*(caller(f"{n}", alone) for n in range(3) for alone in (False, True)))

    run(scenario())


# ---------------------------------------------------------------- order


def test_turns_are_given_in_the_order_of_arrival(writer: Writer, gate: threading.Event) -> None:
    order: list[str] = []
    gate.set()

    def writing(name: str, alone: bool) -> Coroutine[Any, Any, None]:
        return (writer.write_alone if alone else writer.write)(lambda unit: order.append(name))

    async def scenario() -> None:
        gate.clear()
        first = asyncio.create_task(writing("first", False))
        await until_queued()
        tasks = [
            asyncio.create_task(writing(name, name.isupper())) for name in ("a", "B", "c", "d", "E", "F", "g")
        ]
        await until_queued()
        gate.set()
        await asyncio.gather(first, *tasks)

    run(scenario())
    assert order == ["first", "a", "B", "c", "d", "E", "F", "g"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_unit_knows_when_it_was_asked_for(engine: Engine, gate: threading.Event, alone: bool) -> None:
    now = 1.0
    writer = Writer(engine, clock=lambda: now)

    async def scenario() -> tuple[float, float]:
        nonlocal now
        first = asyncio.create_task(writer.write(lambda unit: None))
        await until_queued()
        write = writer.write_alone if alone else writer.write
        second = asyncio.create_task(write(lambda unit: (unit.asked_at, unit.now)))
        await until_queued()
        now = 5.0
        gate.set()
        await first
        return await second

    try:
        assert asyncio.run(asyncio.wait_for(scenario(), 60)) == (1.0, 5.0)
    finally:
        writer.close()


def test_neither_kind_starves_the_other(writer: Writer) -> None:
    async def flood(alone: bool, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await (writer.write_alone if alone else writer.write)(lambda unit: None)

    async def scenario(alone: bool) -> None:
        stop = asyncio.Event()
        floods = [asyncio.create_task(flood(alone, stop)) for _ in range(4)]
        await until_queued()
        for _ in range(5):
            await (writer.write if alone else writer.write_alone)(lambda unit: None)
        stop.set()
        await asyncio.gather(*floods)

    for alone in (False, True):
        run(scenario(alone))


# ---------------------------------------------------------------- failure


def test_a_unit_that_raises_is_undone_alone(engine: Engine, writer: Writer, commits: list[object]) -> None:
    def failing(unit: UnitOfWork) -> None:
        put(unit, "bad")
        raise KeyError("mine")

    async def scenario() -> None:
        results = await asyncio.gather(
            putting(writer, "a"), writer.write(failing), putting(writer, "b"), return_exceptions=True
        )
        assert results[0] == "a"
        assert repr(results[1]) == "KeyError('mine')"
        assert results[2] == "b"
        with pytest.raises(KeyError):
            await writer.write_alone(failing)
        await putting(writer, "c")

    run(scenario())
    assert names(engine) == ["a", "b", "c"]
    assert len(commits) == 2


def test_a_commit_that_fails_undoes_the_batch_and_everybody_in_it_hears_of_it(
    engine: Engine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(unit: UnitOfWork) -> None:
        raise OSError("no medium")

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(UnitOfWork, "sync_files", refuse)
            results = await asyncio.gather(*(putting(writer, name) for name in "abc"), return_exceptions=True)
            assert [repr(result) for result in results] == ["OSError('no medium')"] * 3
            with pytest.raises(OSError, match="no medium"):
                await writer.write_alone(lambda unit: put(unit, "d"))
        assert names(engine) == []
        assert list(await asyncio.gather(putting(writer, "a"), putting(writer, "e"))) == ["a", "e"]

    run(scenario())
    assert names(engine) == ["a", "e"]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_a_lost_transaction_fails_the_whole_batch(engine: Engine, writer: Writer) -> None:
    async def scenario() -> None:
        results = await asyncio.gather(
            putting(writer, "a"), writer.write(lose_transaction), putting(writer, "b"), return_exceptions=True
        )
        assert [type(result) for result in results] == [TransactionLost] * 3
        assert await putting(writer, "c") == "c"

    run(scenario())
    assert names(engine) == ["c"]


def test_sqlite_undoing_a_transaction_by_itself_is_a_lost_transaction(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a.sqlite")
    writer = Writer(engine)

    def conflict(unit: UnitOfWork) -> None:
        unit.execute(text("INSERT OR ROLLBACK INTO counters (name, value) VALUES ('a', 2)"))

    async def scenario() -> None:
        results = await asyncio.gather(putting(writer, "a"), writer.write(conflict), return_exceptions=True)
        assert [type(result) for result in results] == [TransactionLost] * 2

    run(scenario())
    assert names(engine) == []
    writer.close()
    engine.dispose()


def test_a_transaction_that_cannot_begin_fails_its_turn_only(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 50)
    engine = open_engine(url)
    writer = Writer(engine)

    async def scenario() -> None:
        with database.writing(engine) as other, other.begin():
            results = await asyncio.gather(
                putting(writer, "a"), putting(writer, "b"), writer.write_alone(put_z), return_exceptions=True
            )
        assert all("lock" in str(result) for result in results)
        assert await putting(writer, "c") == "c"

    def put_z(unit: UnitOfWork) -> None:
        put(unit, "z")

    run(scenario())
    assert names(engine) == ["c"]
    writer.close()
    engine.dispose()


@pytest.mark.toolkit
def test_the_thread_that_commits_is_there_before_it_is_needed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(engine)
    monkeypatch.setattr(threading.Thread, "start", no_thread_left)
    run(putting(writer, "a"))
    assert names(engine) == ["a"]
    writer.close()


def test_a_server_that_dropped_the_connection_while_nobody_wrote(server: Server, postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    writer = Writer(engine)
    for name in "abc":
        assert writer.write_now(partial(put, name=name)) == name
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{engine.url.database}'"
        )
    assert names(engine) == ["a", "b", "c"]
    writer.close()
    engine.dispose()


@pytest.mark.toolkit
def test_a_server_that_drops_the_connection_in_the_middle_of_a_batch(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    writer = Writer(engine)

    def dying(unit: UnitOfWork) -> None:
        unit.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    async def scenario() -> None:
        results = await asyncio.gather(
            putting(writer, "a"), writer.write(dying), putting(writer, "b"), return_exceptions=True
        )
        assert [type(result) for result in results] == [TransactionLost] * 3
        assert list(await asyncio.gather(putting(writer, "c"), putting(writer, "d"))) == ["c", "d"]

    run(scenario())
    assert names(engine) == ["c", "d"]
    writer.close()
    engine.dispose()


# ---------------------------------------------------------------- cancellation


def test_who_is_cancelled_before_his_turn_has_written_nothing(
    engine: Engine, writer: Writer, gate: threading.Event
) -> None:
    async def scenario() -> None:
        first = asyncio.create_task(putting(writer, "first"))
        await until_queued()
        with_others = asyncio.create_task(putting(writer, "with others"))
        other = asyncio.create_task(putting(writer, "other"))
        alone = asyncio.create_task(writer.write_alone(lambda unit: put(unit, "alone")))
        by_himself = asyncio.create_task(putting(writer, "by himself"))
        second_alone = asyncio.create_task(writer.write_alone(lambda unit: put(unit, "alone too")))
        await until_queued()
        for task in (with_others, alone, by_himself):
            task.cancel()
        gate.set()
        await asyncio.gather(first, other, second_alone)
        assert all(task.cancelled() for task in (with_others, alone, by_himself))

    run(scenario())
    assert names(engine) == ["alone too", "first", "other"]


def test_who_is_cancelled_during_the_commit_has_written(
    engine: Engine, writer: Writer, gate: threading.Event
) -> None:
    async def scenario() -> None:
        tasks = [asyncio.create_task(putting(writer, "a")), asyncio.create_task(putting(writer, "b"))]
        await until_queued()
        tasks[0].cancel()
        await until_queued()
        gate.set()
        assert await tasks[1] == "b"
        assert tasks[0].cancelled()
        alone = asyncio.create_task(writer.write_alone(lambda unit: put(unit, "c")))
        gate.clear()
        await until_queued()
        alone.cancel()
        gate.set()
        assert await putting(writer, "d") == "d"

    run(scenario())
    assert names(engine) == ["a", "b", "c", "d"]


def test_a_batch_whose_callers_all_left_may_fail_in_silence(
    writer: Writer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(writer.write(lambda unit: unit.sync_later("a", os.open("/", os.O_RDONLY))))
        await until_queued()
        task.cancel()
        sync_by(monkeypatch, _refuse)
        gate.set()
        with pytest.raises(OSError, match="no medium"):
            await writer.write(lambda unit: unit.sync_later("a", os.open("/", os.O_RDONLY)))

    run(scenario())
    assert caplog.records == []


def _refuse(descriptor: int) -> None:
    raise OSError("no medium")


# ---------------------------------------------------------------- the end


def test_closing_finishes_the_commit_and_refuses_those_who_wait(
    engine: Engine, writer: Writer, gate: threading.Event
) -> None:
    async def scenario() -> None:
        committing = asyncio.create_task(putting(writer, "a"))
        await until_queued()
        waiting = asyncio.create_task(putting(writer, "b"))
        alone = asyncio.create_task(writer.write_alone(lambda unit: put(unit, "c")))
        await until_queued()
        gate.set()
        writer.close()
        assert await committing == "a"
        for task in (waiting, alone):
            with pytest.raises(WriterClosed):
                await task
        with pytest.raises(WriterClosed):
            await putting(writer, "d")
        with pytest.raises(WriterClosed):
            await writer.write_alone(lambda unit: put(unit, "e"))

    run(scenario())
    assert names(engine) == ["a"]


def test_closing_before_a_turn_was_given(engine: Engine, writer: Writer) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(putting(writer, "a"))
        asyncio.get_running_loop().call_soon(writer.close)
        with pytest.raises(WriterClosed):
            await task

    run(scenario())
    assert names(engine) == []


def test_a_loop_that_ends_leaves_what_is_being_committed_to_be_finished(
    engine: Engine, writer: Writer, gate: threading.Event
) -> None:
    async def scenario() -> None:
        asyncio.create_task(putting(writer, "a")).add_done_callback(tasks.add)
        await until_queued()
        asyncio.create_task(putting(writer, "b")).add_done_callback(tasks.add)
        await until_queued()

    tasks: set[asyncio.Task[str]] = set()
    asyncio.run(scenario())
    assert [task.cancelled() for task in tasks] == [True, True]
    stopping = threading.Thread(target=writer.stop)
    stopping.start()
    gate.set()
    stopping.join()
    writer.write_now(lambda unit: put(unit, "the last"))
    writer.close()
    assert names(engine) == ["a", "the last"]


def test_writing_in_a_thread_of_ones_own(engine: Engine, writer: Writer) -> None:
    def failing(unit: UnitOfWork) -> None:
        put(unit, "bad")
        raise KeyError

    with pytest.raises(KeyError):
        writer.write_now(failing)
    writer.write_now(lambda unit: put(unit, "good"))
    assert names(engine) == ["good"]


# ---------------------------------------------------------------- SIGKILL

_ACKNOWLEDGING = """
import asyncio, sys
from birdbath.store import Writer, open_engine

async def one(writer, mine):
    while True:
        number = await writer.write(lambda unit: (unit.advance(mine), unit.advance("all"))[0])
        print(mine, number, flush=True)

async def main(writer):
    await asyncio.gather(*(one(writer, f"client{n}") for n in range(4)))

asyncio.run(main(Writer(open_engine(sys.argv[1]))))
"""


@pytest.mark.parametrize("point", ["", "batch:written:20", "batch:files-synced:20", "batch:committed:20"])
def test_what_was_acknowledged_survives_a_kill(url: str, point: str) -> None:
    environment = {**os.environ, "BIRDBATH_CRASH_AT": point}
    acknowledged: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-c", _ACKNOWLEDGING, url], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            name, number = line.split()
            acknowledged[name] = int(number)
            if not point and count == 60:
                process.kill()
    assert process.returncode == -signal.SIGKILL
    assert len(acknowledged) == 4
    engine = open_engine(url)
    with engine.connect() as connection:
        stored = {row.name: row.value for row in connection.execute(select(counters))}
        assert all(stored[name] >= number for name, number in acknowledged.items())
        assert stored["all"] == sum(stored[name] for name in acknowledged)
        assert connection.scalar(select(func.count()).select_from(counters)) == 5
    engine.dispose()


def test_relaxed_work_is_not_synced_and_waits_for_nobody_who_is(engine: Engine) -> None:
    async def scenario() -> None:
        writer = Writer(engine)
        relaxed = await writer.write(synced_at_commit, relaxed=True)
        shared = await asyncio.gather(
            writer.write(synced_at_commit, relaxed=True), writer.write(synced_at_commit)
        )
        again = await writer.write(synced_at_commit, relaxed=True)
        alone = await writer.write_alone(synced_at_commit)
        assert [relaxed, *shared, again, alone] == [False, False, True, False, True]
        writer.close()

    run(scenario())
    with database.writing(engine) as connection, connection.begin():  # the same one, out of the pool
        assert connection.dialect.name != "sqlite" or connection.scalar(text("PRAGMA synchronous")) == 2


def test_relaxed_work_is_synced_now_and_then(engine: Engine) -> None:
    async def scenario() -> None:
        writer = Writer(engine)
        synced = [await writer.write(synced_at_commit, relaxed=True) for _ in range(2 * RELAXED_IN_A_ROW)]
        assert synced.index(True) == RELAXED_IN_A_ROW
        assert sum(synced) == 1
        writer.close()

    run(scenario())


def test_relaxed_work_does_not_starve_who_came_with_it(engine: Engine, gate: threading.Event) -> None:
    """What comes while those who are synced wait for their turn comes after them."""

    async def scenario() -> None:
        writer, order = Writer(engine), list[str]()

        async def write(name: str, relaxed: bool) -> None:
            await writer.write(lambda unit: order.append(name), relaxed)
            if relaxed and len(order) < 20:
                await write(f"{name}'", relaxed)

        await asyncio.gather(write("first", True), write("synced", False))
        assert order.index("synced") <= 2
        writer.close()

    gate.set()
    run(scenario())


def test_numbers_that_may_be_lost_are_not_given_out_again(engine: Engine) -> None:
    async def scenario() -> None:
        writer = Writer(engine)

        def take(unit: UnitOfWork) -> tuple[int, bool]:
            return unit.advance_reserved("cluster"), unit.relaxed

        found = [await writer.write(take, relaxed=True) for _ in range(1003)]
        assert [number for number, _ in found] == list(range(1, 1004))
        needing = [number for number, relaxed in found if not relaxed and number % 65 != 0]
        assert 1 in needing, "none was reserved before the first"
        reserved = {1: 1001, 1002: 2002}

        def lost(unit: UnitOfWork) -> int:
            """Power goes, and with it all numbers but those of the commits that were synced."""
            unit.skip_reserved()
            return unit.advance_reserved("cluster")

        assert await writer.write(lost) == reserved[1002] + 1
        writer.close()

    run(scenario())
