"""The pools that the conformance suite runs against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.htcondor.differences import DIFFERENCES
from tests.htcondor.harness import HTCondorHarness
from tests.htcondor.sweeper import Sweeper
from tests.htcondor_pool import HTCondorPool
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


@pytest.fixture
def htcondor(tmp_path: Path, htcondor_pool: HTCondorPool, sweeper: Sweeper) -> Iterator[HTCondorHarness]:
    """A gateway to a real pool whose queue is empty."""
    harness = HTCondorHarness(tmp_path, htcondor_pool, sweeper)
    yield harness
    harness.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the differences of a real pool."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        name = getattr(item, "originalname", item.name)
        if parameters is None or parameters.params.get("harness") != "htcondor":
            continue
        if (reason := DIFFERENCES.get(name)) is not None:
            item.add_marker(pytest.mark.xfail(run=False, reason=reason))


@pytest.fixture(params=["simulated", pytest.param("htcondor", marks=pytest.mark.toolkit)])
def harness(request: pytest.FixtureRequest) -> Harness:
    """Each pool in turn."""
    found: Harness = request.getfixturevalue(request.param)
    return found
