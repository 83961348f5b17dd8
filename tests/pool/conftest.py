"""The pools that the conformance suite runs against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pool.harness import Harness
from tests.pool.simulated.harness import SimulatedHarness


@pytest.fixture(autouse=True)
def _close_pools() -> Iterator[None]:
    yield
    SimulatedHarness.close_all()


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedHarness:
    """A simulated pool on a clock that stands still."""
    return SimulatedHarness(tmp_path)


@pytest.fixture(params=["simulated"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """Each pool in turn."""
    found: Harness = request.getfixturevalue(request.param)
    return found
