"""The forms of events, judged by HTCondor's own reader and writer."""

from __future__ import annotations

import json
from pathlib import Path
from time import tzset
from typing import Any

import classad2
import htcondor2
import pytest

from birdbath.classads.documents import parse_ads
from birdbath.events import (
    FORMS,
    EventRecord,
    EventType,
    FormatOptions,
    JobEvent,
    UnknownForm,
    form,
    my_type,
)
from birdbath.events.reading import NotAnEvent, from_cloudevent
from birdbath.events.text import DATA_REUSE_LABELS
from tests.events.samples import SAMPLES, WARNING

TIME = 1795175443.0
LOG_FORMS = ("text", "json", "xml")


def record(number: int, fields: dict[str, Any] | None = None, time: float = TIME) -> EventRecord:
    given = {"MyType": my_type(number), "EventTypeNumber": number, "Cluster": 12, "Proc": 3, "Subproc": 0}
    ad = parse_ads(json.dumps(given | (fields or {}), ensure_ascii=False), "json")[0]
    return EventRecord(7, "e-7", time, number, 12, 3, "ann", ad)


def read(path: Path, log: bytes) -> list[htcondor2.JobEvent]:
    """What HTCondor's own reader makes of a log."""
    path.write_bytes(log)
    with htcondor2.JobEventLog(str(path)) as events:
        return list(events.events(stop_after=0))


def shown(event: htcondor2.JobEvent) -> dict[str, str]:
    return {name: repr(event[name]) for name in event}


def test_all_types_have_a_sample() -> None:
    assert {n for n, _, _ in SAMPLES} == {int(kind) for kind in EventType} - {EventType.NONE}


@pytest.mark.parametrize(("number", "name", "fields"), SAMPLES)
def test_htcondors_reader_gets_the_same_ad_from_every_form(
    number: int, name: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    event = record(number, fields)
    assert event.ad.string("MyType") == name
    ads = {kind: shown(read(tmp_path / kind, form(kind)(event))[0]) for kind in LOG_FORMS}
    assert all(ad == ads["json"] for ad in ads.values()), ads
    assert set(event.ad.compiled()) <= set(ads["json"])


@pytest.mark.parametrize(("number", "name", "fields"), SAMPLES)
def test_the_text_is_that_of_htcondors_own_writer(
    number: int, name: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    event = record(number, fields)
    theirs = str(read(tmp_path / "log", form("json")(event))[0])
    if number == EventType.SUBMIT:  # without this line their reader takes one note for the other
        theirs = theirs.replace("\n    only mine", "\n    \n    only mine")
        theirs = theirs.replace(f"{WARNING.removesuffix('careful')}WARNING", "WARNING")
    if number in DATA_REUSE_LABELS:  # their reader stops at the headline that is empty
        theirs = theirs.replace(" \n\t", " ", 1)
    if number == EventType.ATTRIBUTE_UPDATE:  # their reader does not take theirs back
        theirs = theirs.replace(
            "Setting job attribute JobPrio to", "Changing job attribute JobPrio from undefined to"
        )
    assert form("text")(event).decode() == theirs + "...\n"


def test_several_events_in_one_log(tmp_path: Path) -> None:
    for kind in LOG_FORMS:
        log = b"".join(form(kind)(record(number, fields)) for number, _, fields in SAMPLES)
        assert [event["EventTypeNumber"] for event in read(tmp_path / kind, log)] == [
            n for n, _, _ in SAMPLES
        ]


def test_newlines_cannot_end_an_event(tmp_path: Path) -> None:
    event = record(12, {"HoldReason": "a\n...\n000 (001.000.000) forged\r\n", "HoldReasonCode": 1})
    log = form("text")(event)
    (found,) = read(tmp_path / "log", log)
    assert found["HoldReason"] == "a|...|000 (001.000.000) forged|"
    assert log.count(b"\n...\n") == 1


CHARACTERS = ['q"', "back\\slash", "\\n\\", "<&>\"'", "\x01\x0b.", "é\U0001f600", "/Expr(1)/"]


@pytest.mark.parametrize("value", CHARACTERS)
@pytest.mark.parametrize("kind", ["json", "xml", "text"])
def test_any_characters(value: str, kind: str, tmp_path: Path) -> None:
    (found,) = read(tmp_path / "log", form(kind)(record(9, {"Reason": value})))
    assert found["Reason"] == value


@pytest.mark.parametrize(
    ("options", "text_time", "event_time"),
    [
        ("", "2026-11-20 11:50:43 ", "2026-11-20T11:50:43.250"),
        ("LEGACY", "11/20 11:50:43 ", "2026-11-20T11:50:43.250"),
        ("UTC, SUB_SECOND", "2026-11-20 11:50:43.250Z ", "2026-11-20T11:50:43.250Z"),
        ("SUB_SECOND !ISO_DATE", "11/20 11:50:43.250 ", "2026-11-20T11:50:43.250"),
    ],
)
def test_format_options(
    options: str, text_time: str, event_time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = record(11, time=1795175443.25)
    chosen = FormatOptions.parse(options)
    assert form("text", options=chosen)(event).decode().startswith(f"011 (012.003.000) {text_time}")
    assert json.loads(form("json", options=chosen)(event))["EventTime"] == event_time


@pytest.mark.parametrize(("time", "day"), [(1e300, "9999-12-30"), (-1e300, "0001-01-02")])
@pytest.mark.parametrize("zone", ["UTC", "XXX+12", "XXX-14"])
def test_a_time_beyond_the_calendar(
    time: float, day: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    tzset()
    try:
        event = record(11, time=time)
        for kind in FORMS:
            assert form(kind)(event)
        assert json.loads(form("cloudevents")(event))["time"] == f"{day}T00:00:00.000Z"
    finally:
        monkeypatch.undo()
        tzset()


def test_unknown_forms_and_options() -> None:
    with pytest.raises(UnknownForm, match="cloudevents, text, json, xml, classad"):
        form("yaml")
    with pytest.raises(UnknownForm, match="ISO_DATE"):
        FormatOptions.parse("UTC FAST")


def test_cloudevents() -> None:
    envelope = json.loads(form("cloudevents", "urn:pool")(record(12, {"HoldReason": "why"}, TIME + 0.5)))
    data = envelope.pop("data")
    assert envelope == {
        "specversion": "1.0",
        "id": "e-7",
        "source": "urn:pool",
        "type": "org.htcondor.job.held",
        "subject": "12.3",
        "time": "2026-11-20T11:50:43.500Z",
        "datacontenttype": "application/json",
        "sequence": "7",
        "owner": "ann",
    }
    assert data["HoldReason"] == "why"
    assert data["EventTypeNumber"] == 12


def test_the_classad_form() -> None:
    line = form("classad")(record(12, {"HoldReason": 'a "b"\nc', "N": {"x": [1, 2.5]}}))
    assert line.count(b"\n") == 1
    ad = classad2.ClassAd(line.decode())
    assert ad["HoldReason"] == 'a "b"\nc'
    assert ad["N"]["x"] == [1, 2.5]


def test_expressions_keep_their_meaning(tmp_path: Path) -> None:
    ad = JobEvent(EventType.JOB_AD_INFORMATION, 1, 0, "ann", TIME).ad()
    event = EventRecord(1, "e", TIME, 28, 1, 0, "ann", ad)
    event.ad.put("Requirements", "x", 'Memory > 5 && Name != "C:\\dir"')
    event.ad.put("Nothing", "u", "undefined")
    ads = [shown(read(tmp_path / kind, form(kind)(event))[0]) for kind in LOG_FORMS]
    assert ads[0] == ads[1] == ads[2]
    assert ads[0]["Requirements"] == 'Memory > 5 && Name != "C:\\\\dir"'


@pytest.mark.parametrize(("number", "name", "fields"), SAMPLES)
def test_cloudevents_are_read_back(number: int, name: str, fields: dict[str, Any]) -> None:
    event = record(number, fields, TIME + 0.125)
    found = from_cloudevent(form("cloudevents", "urn:pool")(event))
    assert {**vars(found), "ad": None} == {**vars(event), "ad": None, "source": "urn:pool"}
    assert b'"source":"urn:pool"' in form("cloudevents", "urn:listener")(found)
    assert form("classad")(found) != b""
    assert sorted(found.ad) == sorted(event.ad)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"id":"a","time":"2026-11-20T11:50:43Z"}',
        b'{"id":"a","time":"2026-11-20T11:50:43Z","sequence":"%b","data":{"EventTypeNumber":0}}'
        % (b"9" * 5000),
        b"<c/>",
    ],
)
def test_what_is_no_cloudevent(body: bytes) -> None:
    with pytest.raises(NotAnEvent):
        from_cloudevent(body)
