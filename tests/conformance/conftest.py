"""The pools that the contract is checked on, and doors to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.door import Door
from tests.conformance.simulated import Simulated
from tests.schedd.conftest import empty_database

__all__ = ["empty_database"]

OpenDoor = Callable[..., Door]

POOLS = {"simulated": Simulated}


@pytest.fixture(params=POOLS)
def open_door(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> Iterator[OpenDoor]:
    """Opens doors to new servers with given settings."""
    opened: list[Simulated] = []

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
