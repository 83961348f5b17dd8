"""The event log: a sequence without gaps, whatever is undone."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from sqlalchemy import Engine, delete, select

from birdbath.classads import Ad
from birdbath.events import EventType, JobEvent
from birdbath.store import UnitOfWork, Writer, event_log, open_engine
from birdbath.store.reader import Reader
from birdbath.store.tables import counters, events

_UNNAMED = delete(counters).where(counters.c.name == "log")


def held(cluster: int) -> JobEvent:
    return JobEvent(EventType.JOB_HELD, cluster, 0, "ann", 5.5, {"HoldReason": 'by "ann"\n'})


def stored(engine: Engine) -> list[tuple[int, int]]:
    with engine.connect() as connection:
        rows = connection.execute(select(events).order_by(events.c.sequence)).all()
        return [(row.sequence, row.cluster_id) for row in rows]


def test_what_is_kept_of_an_event(engine: Engine, writer: Writer) -> None:
    assert writer.write_now(lambda unit: event_log.append_all(unit, [held(7)])) == 1
    with engine.connect() as connection:
        row = connection.execute(select(events)).one()
    assert (row.sequence, row.time, row.type, row.cluster_id, row.proc_id, row.owner) == (
        1,
        5.5,
        12,
        7,
        0,
        "ann",
    )
    assert list(Ad.from_json(row.ad)) == list(held(7).ad())


def ids_of(engine: Engine) -> list[str]:
    reader = Reader(engine)
    try:
        return [record.id for record in event_log.read(reader, 0, 10)]
    finally:
        reader.close()


def test_ids_are_the_log_s_own_and_stay(engine: Engine, writer: Writer, tmp_path: Path) -> None:
    writer.write_now(lambda unit: event_log.append_all(unit, [held(1), held(2)]))
    first = ids_of(engine)
    writer.write_now(lambda unit: event_log.append_all(unit, [held(3)]))
    assert ids_of(engine)[:2] == first
    other = open_engine(f"sqlite:///{tmp_path}/other.db")
    another = Writer(other)
    later = replace(held(1), time=5.6)
    another.write_now(lambda unit: event_log.append_all(unit, [later, held(2)]))
    assert not set(ids_of(other)) & set(ids_of(engine))
    another.close()
    other.dispose()


def test_a_log_from_before_keeps_its_ids(engine: Engine, writer: Writer) -> None:
    writer.write_now(lambda unit: event_log.append_all(unit, [held(1), held(2)]))
    writer.write_now(lambda unit: unit.execute(_UNNAMED))
    namespace = UUID("6f1d2c8e-94a3-5f0b-8a52-3d2b6f6c0a11")
    assert ids_of(engine) == [str(uuid5(namespace, "1")), str(uuid5(namespace, "2"))]


def test_the_sequence_has_no_gaps_when_units_are_undone(engine: Engine, writer: Writer) -> None:
    def appending(unit: UnitOfWork, clusters: list[int], fail: bool) -> int:
        last = event_log.append_all(unit, [held(cluster) for cluster in clusters])
        if fail:
            raise KeyError
        return last

    async def scenario() -> list[int | BaseException]:
        return [
            *await asyncio.gather(
                writer.write(lambda unit: appending(unit, [1, 2], False)),
                writer.write(lambda unit: appending(unit, [3, 4, 5], True)),
                writer.write(lambda unit: appending(unit, [], False)),
                writer.write(lambda unit: event_log.append_all(unit, [held(6)])),
                return_exceptions=True,
            )
        ]

    results = asyncio.run(scenario())
    assert [results[0], results[2], results[3]] == [2, 0, 3]
    assert isinstance(results[1], KeyError)
    with pytest.raises(KeyError):
        writer.write_now(lambda unit: appending(unit, [7], True))
    assert writer.write_now(lambda unit: appending(unit, [8], False)) == 4
    assert stored(engine) == [(1, 1), (2, 2), (3, 6), (4, 8)]
