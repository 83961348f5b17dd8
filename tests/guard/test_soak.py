"""A quarter of an hour of the pool's time under mixed load; `tests.guard.soak` does it for hours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.guard.soak import Sample, check, soak


@pytest.mark.slow
def test_nothing_grows(tmp_path: Path) -> None:
    check(soak(tmp_path, 15 * 60 * 1.5))


def test_growth_is_noticed() -> None:
    flat = [Sample(20, 5, 100_000, 0, 0, 3)] * 40
    check(flat)
    for name in Sample.__dataclass_fields__:
        with pytest.raises(AssertionError):
            check([replace(sample, **{name: turn * 10_000}) for turn, sample in enumerate(flat)])
