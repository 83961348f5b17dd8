"""Every operation by every role at a pool's own path and at the federation's, over real TLS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.guard.stage import ROLES, Stage, letter
from tests.guard.test_role_table import TABLE, WAYS, attempt
from tests.guard.world import world

PATHS = ("/pools/further/schedd", "/pools/federation/schedd")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    with world(tmp_path_factory.mktemp("pools"), "[pools.further]\n") as made:
        yield {path: Stage(replace(made, path=path)) for path in PATHS}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", TABLE)
def test_role(stages: dict[str, Stage], name: str, path: str) -> None:
    for column, role in enumerate(ROLES):
        for way, row in zip(WAYS, TABLE[name].split(), strict=True):
            if row[column] == "-":
                continue
            found = letter(attempt(stages[path], name, role, way))
            if name == "insertAd" and role == "boss" and "federation" in path:
                assert found.startswith("FAIL: The federation keeps no ads of its own")
            else:
                assert found == row[column], (role, way)
