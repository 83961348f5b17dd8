"""The pools that the conformance suite runs against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pool.harness import Harness
from tests.pool.simulated.harness import SimulatedHarness


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[SimulatedHarness]:
    """A simulated pool on a clock that stands still."""
    harness = SimulatedHarness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture(params=["simulated"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """Each pool in turn."""
    found: Harness = request.getfixturevalue(request.param)
    return found
