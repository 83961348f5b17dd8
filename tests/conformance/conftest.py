"""The pools that the contract is checked on, and doors to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.door import Door
from tests.conformance.federated import Federated
from tests.conformance.real import Gateway, Real
from tests.conformance.simulated import Simulated
from tests.htcondor.differences import CONFORMANCE
from tests.htcondor.sweeper import Sweeper
from tests.htcondor_pool import HTCondorPool
from tests.schedd.conftest import empty_database

__all__ = ["empty_database"]

OpenDoor = Callable[..., Door]

FEDERATED = frozenset({"test_actions", "test_submission", "test_transactions", "test_files", "test_queries"})
"""The modules about what the federation does itself: ids, transactions, and jobs in one of several pools."""
NOT_FEDERATED = {
    "test_max_jobs_submitted": "the limit of jobs in the queue is each pool's, which says so at the commit",
}
"""Tests of these modules that do not hold for the federation, and why."""


_VALUES_ON_THE_FEDERATION = 3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try both pools, and the federation where it does something itself."""
    if "open_door" in metafunc.fixturenames:
        pools: list[Any] = [
            "simulated",
            pytest.param("htcondor", marks=[pytest.mark.toolkit, pytest.mark.slow]),
        ]
        module = metafunc.module.__name__.rpartition(".")[2]
        if module in FEDERATED and metafunc.function.__name__ not in NOT_FEDERATED:
            pools.append(pytest.param("federation", marks=pytest.mark.slow))
        metafunc.parametrize("open_door", pools, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name the differences of a real pool, and leave out what says nothing more of the federation."""
    _thin_out(config, items)
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is None or parameters.params.get("open_door") != "htcondor":
            continue
        name = getattr(item, "originalname", item.name)
        if (reason := CONFORMANCE.get(name) or CONFORMANCE.get(item.name)) is not None:
            item.add_marker(pytest.mark.xfail(run=False, reason=reason))


def _thin_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the values that one test tries on the federation keep a few: what reads and refuses values is the
    same code in front of every pool, and its own is reached by any of them.
    """
    seen: Counter[str] = Counter()
    kept, left_out = [], []
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is not None and parameters.params.get("open_door") == "federation":
            test = item.nodeid.partition("[")[0]
            seen[test] += 1
            if seen[test] > _VALUES_ON_THE_FEDERATION:
                left_out.append(item)
                continue
        kept.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def gateway(
    htcondor_pool: HTCondorPool, sweeper: Sweeper, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """In front of the run's real pool."""
    opened = Gateway(tmp_path_factory.mktemp("gateway"), htcondor_pool, sweeper)
    yield opened
    opened.close()


@pytest.fixture
def open_door(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Iterator[OpenDoor]:
    """Opens doors to new servers with given settings."""
    opened: list[Simulated | Federated | Real] = []

    def open_one(**settings: object) -> Door:
        folder = tmp_path / f"server-{len(opened)}"
        pool: Simulated | Federated | Real
        if request.param == "htcondor":
            pool = Real(request.getfixturevalue("gateway"), settings)
        elif request.param == "federation":
            pool = Federated(folder, empty_database, settings)
        else:
            pool = Simulated(folder, empty_database, settings)
        opened.append(pool)
        return Door(pool)

    yield open_one
    for pool in opened:
        pool.close()


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    """A server with the default settings."""
    return open_door()


@pytest.fixture
def strict(open_door: OpenDoor) -> Door:
    """A server with the optional strictness of section 9."""
    return open_door(strict=True)
