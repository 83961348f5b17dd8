"""Taking over a pool's event log: whose an event is stands in another one, some time after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from birdbath.classads import Ad
from birdbath.events import EventType, form
from birdbath.pool.htcondor.journal import Journal, gateway
from birdbath.pool_events import PoolEvents, _mail
from birdbath.store import Writer, event_log, open_engine
from birdbath.store.reader import Reader
from tests.events.test_forms import LOG_FORMS, TIME, record

SUBMIT, EXECUTE, INFORMATION = EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_AD_INFORMATION


class TakenOver:
    """A log, and what a server made of it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._log = folder / "EventLog"
        self._kind = kind
        self._engine = open_engine(f"sqlite:///{folder}/birdbath.db")
        self._writer = Writer(self._engine)
        self._journal = Journal(self._engine, "htcondor")
        self._reader = Reader(self._engine)
        self._name = self._writer.write_now(lambda unit: gateway(unit, "htcondor"))
        self.restart()

    def restart(self) -> None:
        self._events = PoolEvents(self._log, "htcondor", self._name, self._journal)

    def event(self, kind: EventType, proc: int, **fields: int | str) -> None:
        self._write(kind, proc, fields)

    def information(self, kind: EventType, proc: int, owner: str, **fields: str) -> None:
        self._write(INFORMATION, proc, {"TriggerEventTypeNumber": int(kind), "Owner": owner, **fields})

    def _write(self, kind: EventType, proc: int, fields: dict[str, int | str]) -> None:
        event = replace(record(kind, {**fields, "Proc": proc}), proc=proc)
        with self._log.open("ab") as file:
            file.write(form(self._kind)(event))

    def garbage(self) -> None:
        with self._log.open("ab") as file:
            file.write({"text": b"hello\n...\n", "json": b"{]}\n", "xml": b"<c><a></c>\n"}[self._kind])

    def replace(self, data: bytes) -> None:
        self._log.write_bytes(data)

    def rotate(self) -> None:
        self._log.rename(self._log.with_name("EventLog.old"))

    def look(self) -> list[tuple[int, int, str]]:
        """Look once; all events so far: type, proc and owner."""
        found, after = self._events.read(self._writer.write_now(self._events.place))
        self._writer.write_now(lambda unit: self._events.keep(unit, found, after))
        return [(event.type, event.proc, event.owner) for event in event_log.read(self._reader, 0, 1000)]

    def mailed(self) -> list[bool]:
        """Of all events so far, whether their job's user is to be mailed."""
        return [event.ad.get("EmailUser") is True for event in event_log.read(self._reader, 0, 1000)]

    def close(self) -> None:
        self._journal.close()
        self._reader.close()
        self._writer.close()
        self._engine.dispose()


@pytest.fixture(params=LOG_FORMS)
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TakenOver]:
    taken_over = TakenOver(tmp_path, request.param)
    yield taken_over
    taken_over.close()


def test_an_event_waits_for_its_information(pool: TakenOver) -> None:
    pool.event(SUBMIT, 1)
    assert pool.look() == []
    pool.information(SUBMIT, 1, "ann")
    assert pool.look() == [(SUBMIT, 1, "ann")]


def test_who_asked_another_gateway_for_mail_gets_none_from_this_one(pool: TakenOver) -> None:
    held, wish = EventType.JOB_HELD, {"BirdbathMail": "Hold user disk full"}
    pool.event(held, 1, HoldReason="disk full (by user condor)", HoldReasonCode=1)
    pool.information(held, 1, "ann", BirdbathGateway="another", BirdbathJob="1000000001.0", **wish)
    assert pool.look() == [(held, 1, "ann")]
    assert pool.mailed() == [False]


def test_what_is_no_event_is_passed_over(pool: TakenOver, caplog: pytest.LogCaptureFixture) -> None:
    pool.event(SUBMIT, 1)
    pool.garbage()
    pool.information(SUBMIT, 1, "ann")
    pool.event(EXECUTE, 1)
    pool.information(EXECUTE, 1, "ann")
    pool.garbage()
    assert pool.look() == pool.look() == [(SUBMIT, 1, "ann"), (EXECUTE, 1, "ann")]
    assert caplog.text.count("passed over") == 2


def test_a_log_that_cannot_be_read_is_told_of_once(pool: TakenOver, caplog: pytest.LogCaptureFixture) -> None:
    pool.replace(b"hello\n")
    assert pool.look() == pool.look() == []
    assert caplog.text.count("cannot be read") == 1
    pool.replace(b"")
    pool.look()
    pool.replace(b"hello\n")
    pool.look()
    assert caplog.text.count("cannot be read") == 2


@pytest.mark.parametrize("looks_between", [False, True])
def test_a_log_that_is_rotated_before_the_information(pool: TakenOver, looks_between: bool) -> None:
    pool.event(SUBMIT, 1)
    pool.information(SUBMIT, 1, "ann")
    pool.event(EXECUTE, 1)
    if looks_between:
        assert pool.look() == [(SUBMIT, 1, "ann")]
    pool.rotate()
    pool.information(EXECUTE, 1, "ann")
    pool.event(SUBMIT, 2)
    pool.information(SUBMIT, 2, "bob")
    pool.look()
    assert pool.look() == [(SUBMIT, 1, "ann"), (EXECUTE, 1, "ann"), (SUBMIT, 2, "bob")]


@pytest.mark.parametrize("restarted", [False, True])
def test_events_between_an_event_and_its_information(pool: TakenOver, restarted: bool) -> None:
    pool.event(SUBMIT, 1)
    pool.information(SUBMIT, 1, "ann")
    pool.look()
    pool.event(EXECUTE, 1)
    pool.event(SUBMIT, 2)
    assert pool.look() == [(SUBMIT, 1, "ann")]
    pool.information(SUBMIT, 2, "bob")
    if restarted:
        pool.restart()
    assert pool.look() == [(SUBMIT, 1, "ann")]
    pool.information(EXECUTE, 1, "ann")
    assert pool.look() == [(SUBMIT, 1, "ann"), (EXECUTE, 1, "ann"), (SUBMIT, 2, "bob")]


@pytest.mark.parametrize("now", [TIME + 5, TIME + 50])
def test_a_busy_pool_may_be_late_with_its_information(
    pool: TakenOver, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the event is new: else it is somebody else's."""
    monkeypatch.setattr("birdbath.pool_events.time", SimpleNamespace(time=lambda: now))
    pool.event(SUBMIT, 0)
    pool.information(SUBMIT, 0, "ann")
    for proc in range(1, 21):
        pool.event(EXECUTE, proc)
    pool.look()
    for proc in range(1, 21):
        pool.information(EXECUTE, proc, "ann")
    owners = [owner for _, _, owner in pool.look()]
    assert owners == ["ann"] * 21 if now == TIME + 5 else owners.count("") == 4


def test_an_event_whose_information_never_comes(pool: TakenOver) -> None:
    pool.event(EXECUTE, 1)
    for proc in range(2, 12):
        pool.event(SUBMIT, proc)
        pool.information(SUBMIT, proc, "ann")
    assert pool.look() == [(EXECUTE, 1, ""), *((SUBMIT, proc, "ann") for proc in range(2, 12))]


def test_a_log_without_any_information(pool: TakenOver) -> None:
    for proc in range(3):
        pool.event(SUBMIT, proc)
    assert pool.look() == [(SUBMIT, 0, ""), (SUBMIT, 1, "")]


@pytest.mark.timeout(20)
def test_a_reason_with_many_blanks() -> None:
    ad = record(EventType.JOB_HELD, {"HoldReason": " " * 200_000 + "x"}).ad
    information = Ad((("BirdbathMail", "s", "Hold user disk full"),))
    assert _mail(ad, information) == {}
