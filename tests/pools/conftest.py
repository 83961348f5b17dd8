from __future__ import annotations

from collections.abc import Iterator

import pytest

from birdbath.client import Schedd
from tests.pools.several import schedd
from tests.server_process import ServerProcess


@pytest.fixture
def federation(server: ServerProcess) -> Iterator[Schedd]:
    """A client of the federation of a module's `server`."""
    with schedd(server, "federation") as made:
        yield made
