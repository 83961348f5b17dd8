"""A gateway in front of the run's HTCondor pool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from birdbath.client import Collector, Schedd
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess, running_server


@pytest.fixture(scope="session")
def gateway(htcondor_pool: HTCondorPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in front of the pool."""
    home: Path = tmp_path_factory.mktemp("gateway")
    environment = {
        "BIRDBATH_HTCONDOR_CONFIG": str(htcondor_pool.configuration),
        "BIRDBATH_HTCONDOR_DAGMAN_CONFIG": str(htcondor_pool.configuration),
        "BIRDBATH_HTCONDOR_EVENT_LOG": str(htcondor_pool.event_log),
    }
    with running_server(home, "--pool", "htcondor", environment=environment) as server:
        yield server


@pytest.fixture
def schedd(gateway: ServerProcess) -> Schedd:
    return Schedd(gateway.url)


@pytest.fixture
def collector(gateway: ServerProcess) -> Collector:
    return Collector(gateway.url)
