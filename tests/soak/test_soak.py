"""A short soak; `scripts/soak` makes one of an hour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.__main__ import soak
from tests.soak.vitals import Vitals, growth

QUIET = Vitals(20, 10, 100 << 20, {"jobs": 0, "transactions": 0, "events": 5}, 0)


@pytest.mark.slow
def test_laps_of_mixed_load_leave_nothing(tmp_path: Path) -> None:
    assert soak(tmp_path / "home", seconds=0, speed="60", rounds=2) == []


@pytest.mark.parametrize(
    ("last", "what"),
    [
        (replace(QUIET, descriptors=40), "descriptors"),
        (replace(QUIET, threads=30), "threads"),
        (replace(QUIET, memory=200 << 20), "memory"),
        (replace(QUIET, directories=1), "spool directories"),
        (replace(QUIET, rows=QUIET.rows | {"transactions": 1}), "rows of transactions"),
    ],
)
def test_growth_is_seen(last: Vitals, what: str) -> None:
    (found,) = growth([QUIET, QUIET, last, last])
    assert found.startswith(what)


def test_what_is_meant_to_grow_is_none() -> None:
    assert growth([QUIET, QUIET, replace(QUIET, rows=QUIET.rows | {"events": 5000})]) == []
