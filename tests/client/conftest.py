"""A server with canned answers for what goes wrong, a real one for what goes well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from birdbath.client import Collector, Schedd
from tests.client.fake import Fake, running_fake
from tests.clients.conftest import simulated as server

__all__ = ["server"]


@pytest.fixture
def fake() -> Iterator[Fake]:
    with running_fake() as running:
        yield running


@pytest.fixture
def schedd(server: str) -> Iterator[Schedd]:
    with Schedd(server) as client:
        yield client


@pytest.fixture
def collector(server: str) -> Iterator[Collector]:
    with Collector(server) as client:
        yield client
