"""The event log: a sequence without gaps, whatever is undone."""

import asyncio
from uuid import UUID, uuid5

import pytest
from sqlalchemy import Engine, select

from birdbath.classads import Ad
from birdbath.events import EventType, JobEvent
from birdbath.store import UnitOfWork, Writer, event_log
from birdbath.store.reader import Reader
from birdbath.store.tables import events


def held(cluster: int) -> JobEvent:
    return JobEvent(EventType.JOB_HELD, cluster, 0, "ann", 5.5, {"HoldReason": 'by "ann"\n'})


def stored(engine: Engine) -> list[tuple[int, int]]:
    with engine.connect() as connection:
        rows = connection.execute(select(events).order_by(events.c.sequence)).all()
        return [(row.sequence, row.cluster_id) for row in rows]


def test_what_is_kept_of_an_event(engine: Engine, writer: Writer) -> None:
    assert writer.write_now(lambda unit: event_log.append(unit, held(7))) == 1
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


def test_ids_follow_from_sequence_numbers(engine: Engine, writer: Writer) -> None:
    writer.write_now(lambda unit: event_log.append_all(unit, [held(1), held(2)]))
    reader = Reader(engine)
    ids = [record.id for record in event_log.read(reader, 0, 10)]
    reader.close()
    namespace = UUID("6f1d2c8e-94a3-5f0b-8a52-3d2b6f6c0a11")
    assert ids == [str(uuid5(namespace, "1")), str(uuid5(namespace, "2"))]


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
                writer.write(lambda unit: event_log.append(unit, held(6))),
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
