"""Logs that HTCondor wrote, forwarded: its own reader finds the same in what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.events import EventRecord, FormatOptions, form
from birdbath.notify.forwarding import LogEvents, PlaceFile
from tests.events.test_forms import read, shown

DATA = Path(__file__).parents[2] / "events" / "data"
LOGS = sorted(DATA.glob("*/*.log"))

# That reader itself leaves these out when it reads JSON or XML.
LEFT_OUT = {"TimeExecuteUsage", "TimeSlotBusyUsage"}


def forwarded(path: Path, folder: Path) -> list[EventRecord]:
    log, found = LogEvents(path, PlaceFile(folder, path), "alice"), []
    while events := log.read():
        found += events
    return found


@pytest.mark.parametrize("path", LOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.parametrize("kind", ["text", "json", "xml"])
def test_the_same_events_come_out(path: Path, kind: str, tmp_path: Path) -> None:
    before = read(tmp_path / "before", path.read_bytes())
    events = forwarded(path, tmp_path)
    after = read(tmp_path / "after", b"".join(form(kind)(event) for event in events))
    assert len(before) == len(events) == len(after)
    for was, now in zip(map(shown, before), map(shown, after), strict=True):
        if kind != "text" or path.parent.name != "classic":
            was = {name: value for name, value in was.items() if name not in LEFT_OUT}
            now = {name: value for name, value in now.items() if name not in LEFT_OUT}
        if kind == "text":  # which has whole seconds and two decimals
            was |= {"CpusUsage": f"{float(was['CpusUsage']):.2f}"} if "CpusUsage" in was else {}
            now |= {"CpusUsage": f"{float(now['CpusUsage']):.2f}"} if "CpusUsage" in now else {}
            was["EventTime"] = repr(was["EventTime"].strip("'").partition(".")[0])
        assert now == was


# HTCondor's reader names the event anew in MyType of a job ad information event, which stands in its text.
TO_THE_BYTE = [
    path for path in LOGS if path.parent.name == "classic" and path.stem != "normal_with_job_ad_info"
]
DATES = {"pool_event_log": "LEGACY"}
"""The pool's log has the dates of old, without a year."""


@pytest.mark.parametrize("path", TO_THE_BYTE, ids=lambda path: path.stem)
def test_the_text_is_the_same_to_the_byte(path: Path, tmp_path: Path) -> None:
    text = form("text", options=FormatOptions.parse(DATES.get(path.stem, "")))
    assert b"".join(text(event) for event in forwarded(path, tmp_path)) == path.read_bytes()


def test_all_logs_are_there() -> None:
    assert len(LOGS) == 48
