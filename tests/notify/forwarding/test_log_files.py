"""Following an event log that grows, is rotated, cut, or torn in the middle of an event."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import htcondor2
import pytest

from birdbath.events import EventRecord, form
from birdbath.events.logs import UnreadableLog
from birdbath.events.text import DATA_REUSE_LABELS
from birdbath.notify.forwarding import LogEvents, PlaceFile, forward
from birdbath.notify.log_files import LogFile, Place
from birdbath.notify.tasks import end
from tests.events.samples import SAMPLES
from tests.events.test_forms import TIME, read, record, shown

FORMS = ("text", "json", "xml")


def rendered(kind: str, *numbers: int) -> list[bytes]:
    """Events that are told apart by their second."""
    return [form(kind)(record(11, {}, TIME + number)) for number in numbers]


def follow(log: Path) -> LogEvents:
    return LogEvents(log, PlaceFile(log.parent / "places", log), "ann")


def seconds(events: list[EventRecord]) -> list[int]:
    return [int(event.time - TIME) for event in events]


def everything(log: LogEvents) -> list[EventRecord]:
    found: list[EventRecord] = []
    while events := log.read():
        found += events
    return found


@pytest.mark.parametrize("kind", FORMS)
def test_every_type_comes_out_as_it_went_in(kind: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    samples = [record(number, fields) for number, _, fields in SAMPLES]
    log.write_bytes(b"".join(form(kind)(one) for one in samples))
    found = everything(follow(log))
    assert len(found) == len(samples)
    for was, now in zip(samples, found, strict=True):
        assert now.type == was.type
        theirs = [shown(read(tmp_path / "copy", form("json")(one))[0]) for one in (was, now)]
        assert theirs[0] == theirs[1]


def test_what_htcondors_reader_stops_at_is_read_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    samples = [record(number, fields) for number, _, fields in SAMPLES if number in DATA_REUSE_LABELS]
    written = [str(read(tmp_path / "copy", form("json")(one))[0]) + "...\n" for one in samples]
    assert len(written) == 5
    for text in written:
        with pytest.raises(htcondor2.HTCondorException, match="ULOG_RD_ERROR"):
            read(tmp_path / "copy", text.encode())
    log.write_text("".join(written))
    found = everything(follow(log))
    assert [one.ad.compiled() for one in found] == [one.ad.compiled() for one in samples]


@pytest.mark.parametrize("kind", FORMS)
def test_byte_by_byte(kind: str, tmp_path: Path) -> None:
    log, parts = tmp_path / "log", rendered(kind, 1, 2, 3)
    log.touch()
    following, found = follow(log), []
    with log.open("ab", buffering=0) as file:
        for byte in b"".join(parts):
            file.write(bytes([byte]))
            found += seconds(following.read())
    assert found == [1, 2, 3]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("text", ['"', "<c>", "\\", "...\n"])
def test_an_event_that_is_torn_in_a_long_text(kind: str, text: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first, long = rendered(kind, 0)[0], form(kind)(record(9, {"Reason": text * 100_000}, TIME + 1))
    log.write_bytes(first + long[: len(long) * 2 // 3])
    following = follow(log)
    assert seconds(following.read()) == [0]
    with log.open("ab") as file:
        file.write(long[len(long) * 2 // 3 :])
    assert seconds(following.read()) == [1]


@pytest.mark.parametrize("kind", FORMS)
def test_a_restart_neither_loses_nor_repeats(kind: str, tmp_path: Path) -> None:
    log, parts = tmp_path / "log", rendered(kind, 1, 2, 3)
    log.write_bytes(parts[0] + parts[1][:20])
    following = follow(log)
    assert seconds(following.read()) == [1]
    following.save()
    following.close()
    log.write_bytes(b"".join(parts))
    again = follow(log)
    assert seconds(everything(again)) == [2, 3]
    again.close()  # nothing was saved
    third = follow(log)
    assert seconds(everything(third)) == [2, 3]


def test_ids_do_not_depend_on_when_or_where_it_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(rendered("text", 1, 2)))
    first = [event.id for event in everything(follow(log))]
    log.rename(tmp_path / "log.old")
    log.write_bytes(b"".join(rendered("text", 3)))
    second = [event.id for event in everything(LogEvents(log, PlaceFile(tmp_path / "others", log)))]
    assert second[:2] == first
    assert len(set(second)) == 3


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("names", [["log.old"], ["log.1", "log.2", "log.3"]])
@pytest.mark.parametrize("restart", [False, True])
def test_rotation(kind: str, names: list[str], restart: bool, tmp_path: Path) -> None:
    log, found = tmp_path / "log", []
    following = follow(log)
    for number in range(0, 12, 3):
        if log.exists():
            for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
                if (tmp_path / newer).exists():
                    (tmp_path / newer).rename(tmp_path / older)
            log.rename(tmp_path / names[0])
        parts = rendered(kind, number, number + 1, number + 2)
        log.write_bytes(parts[0])
        found += seconds(following.read())
        following.save()
        if restart:
            following.close()
            following = follow(log)
        with log.open("ab") as file:
            file.write(parts[1] + parts[2])
    assert found + seconds(everything(following)) == list(range(12))


@pytest.mark.parametrize("name", ["log", "job[1]*.log"])
def test_several_rotations_while_nobody_looked(name: str, tmp_path: Path) -> None:
    log = tmp_path / name
    log.write_bytes(b"".join(rendered("text", 0)))
    following = follow(log)
    assert seconds(following.read()) == [0]
    following.save()
    following.close()
    with log.open("ab") as file:
        file.write(b"".join(rendered("text", 1)))
    log.rename(tmp_path / f"{name}.2")
    (tmp_path / f"{name}.1").write_bytes(b"".join(rendered("text", 2, 3)))
    log.write_bytes(b"".join(rendered("text", 4)))
    assert seconds(everything(follow(log))) == [1, 2, 3, 4]


def test_a_place_that_was_rotated_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(rendered("text", 0)))
    following = follow(log)
    following.read()
    following.save()
    following.close()
    log.unlink()
    log.write_bytes(b"".join(rendered("text", 5)))
    assert seconds(everything(follow(log))) == [5]
    assert "events in it may be missing" in caplog.text


@pytest.mark.parametrize("longer", [False, True])
def test_truncation(longer: bool, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(rendered("text", 0, 1)))
    following = follow(log)
    assert seconds(everything(following)) == [0, 1]
    later = [5, 6, 7] if longer else [5]
    log.write_bytes(b"".join(rendered("text", *later)))  # the same file, cut and written anew
    assert seconds(everything(following)) == later


def test_the_rewritten_header_of_the_pool_wide_log(tmp_path: Path) -> None:
    head = b"008 (-01.-01.-01) 11/20 11:48:40 Global JobLog: ctime=1 id=64.1 size=%d     \n...\n"
    log = tmp_path / "log"
    log.write_bytes(head % 0 + rendered("text", 1)[0])
    following = follow(log)
    assert len(everything(following)) == 2
    following.save()
    following.close()
    (tmp_path / "log.old").write_bytes(head % 9 + b"".join(rendered("text", 1, 2)))
    log.unlink()
    log.write_bytes(head.replace(b"64.1", b"64.2") % 0 + rendered("text", 3)[0])
    assert seconds(everything(follow(log)))[0::2] == [2, 3]


def test_events_that_nobody_knows_yet(tmp_path: Path) -> None:
    log = tmp_path / "log"
    event = b"099 (012.003.000) 2026-11-20 11:50:43 Job did a new thing\n\tand how\n    it did\n...\n"
    log.write_bytes(event)
    (found,) = everything(follow(log))
    assert (found.type, found.cluster, found.proc) == (99, 12, 3)
    assert form("text")(found) == event


def test_what_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"hello\n...\n")
    with pytest.raises(UnreadableLog, match=re.escape(str(tmp_path / "log"))):
        follow(tmp_path / "log").read()


def test_what_is_no_log_any_more_is_not_left_open(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"hello\n...\n")
    following = LogFile(tmp_path / "log", Place("what it was", 100, 1))
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(UnreadableLog):
            following.read()
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.parametrize(
    ("kind", "nonsense"),
    [
        ("text", b"hello\n...\n"),
        ("text", b"000 nonsense\n...\n"),
        ("text", b"000 (001.000.000) 2026-99-99 11:50:43 Job submitted\n...\n"),
        ("text", b"...\n"),
        ("json", b"{]}\n"),
        ("json", b'{"EventTypeNumber":11}\n'),
        ("xml", b"<c><a></c>\n"),
    ],
)
def test_what_is_no_event_is_passed_over(
    kind: str, nonsense: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, parts = tmp_path / "log", rendered(kind, 1, 2)
    log.write_bytes(parts[0] + nonsense + parts[1] + nonsense)
    following = follow(log)
    assert seconds(everything(following)) == [1, 2]
    assert caplog.text.count(f"{log}: passed over") == 2
    assert f"at offset {len(parts[0])}: " in caplog.text
    following.save()
    following.close()
    with log.open("ab") as file:
        file.write(rendered(kind, 3)[0])
    assert seconds(everything(follow(log))) == [3]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_trouble_with_a_log_ends_when_the_log_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, found = tmp_path / "log", list[EventRecord]()

    async def publish(events: Sequence[EventRecord]) -> None:
        found.extend(events)

    task = asyncio.create_task(forward(follow(log), publish, 0.001))
    await until(lambda: "No such file" in caplog.text)
    log.write_bytes(b"hello\n...\n")
    await until(lambda: "no event log" in caplog.text)
    log.write_bytes(b"".join(rendered("text", 1, 2)))
    await until(lambda: len(found) == 2)
    await end(task)
    assert caplog.text.count("No such file") == caplog.text.count("no event log") == 1


def test_a_log_with_a_prolog(tmp_path: Path) -> None:
    prolog = b'<?xml version="1.0"?>\n<!DOCTYPE classads SYSTEM "classads.dtd">\n<classads>\n'
    (tmp_path / "log").write_bytes(prolog + b"".join(rendered("xml", 1, 2)))
    assert seconds(everything(follow(tmp_path / "log"))) == [1, 2]


@pytest.mark.anyio
async def test_a_place_that_cannot_be_saved_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, published = tmp_path / "log", asyncio.Queue[int]()
    places = tmp_path / "places"
    log.write_bytes(b"".join(rendered("text", 0)))

    async def publish(events: Sequence[EventRecord]) -> None:
        for second in seconds(list(events)):
            published.put_nowait(second)

    events = follow(log)
    places.rename(tmp_path / "away")
    task = asyncio.create_task(forward(events, publish, 0.001))
    assert await published.get() == 0
    while "No such file or directory" not in caplog.text:
        await asyncio.sleep(0.001)
    with log.open("ab") as file:
        file.write(b"".join(rendered("text", 1)))
    assert published.empty()
    (tmp_path / "away").rename(places)
    assert await published.get() == 1
    await end(task)
    assert f"{log} has is forwarded when it can be written" in caplog.text
    assert f"{places}/log." in caplog.text
