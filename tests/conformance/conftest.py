"""The pools that the contract is checked on, and doors to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.door import Door
from tests.conformance.federated import Federated
from tests.conformance.simulated import Simulated
from tests.schedd.conftest import empty_database

__all__ = ["empty_database"]

OpenDoor = Callable[..., Door]

POOLS: dict[str, type[Simulated] | type[Federated]] = {"simulated": Simulated, "federation": Federated}

_INSERTS = "the federation refuses insertAd: each pool keeps its own ads"
DIFFERENCES = {
    "test_collector": _INSERTS,
    "test_mapping": _INSERTS,
    "test_any_order": _INSERTS,
    "test_every_operation": _INSERTS,
    "test_grid_appliance": _INSERTS,
    "test_max_jobs_submitted": "the limit of jobs in the queue is each pool's, which says so at the commit",
}
"""Modules and tests that do not hold for the federation, and why."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try every pool, and the federation where it does not differ."""
    if "open_door" in metafunc.fixturenames:
        names = {metafunc.module.__name__.rpartition(".")[2], metafunc.function.__name__}
        federation = pytest.param("federation", marks=pytest.mark.slow)
        pools = ["simulated"] if names & DIFFERENCES.keys() else ["simulated", federation]
        metafunc.parametrize("open_door", pools, indirect=True)


@pytest.fixture
def open_door(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Iterator[OpenDoor]:
    """Opens doors to new servers with given settings."""
    opened: list[Simulated | Federated] = []

    def open_one(**settings: object) -> Door:
        pool = POOLS[request.param](tmp_path / f"server-{len(opened)}", empty_database, settings)
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
