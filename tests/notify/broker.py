"""A RabbitMQ server for these tests, and certificates for its TLS port."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import rabbitmq
from tests.toolkit import require


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, server.pem and server.key, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "2", *key, *subject], cwd=folder, check=True, capture_output=True
    )
    (folder / "ca.pem").write_bytes((folder / "server.pem").read_bytes())
    return folder


@dataclass(frozen=True)
class GivenBroker:
    """A broker that somebody else runs."""

    url: str


@pytest.fixture(scope="session")
def shared_broker(certificates: Path) -> Iterator[rabbitmq.Broker]:
    """A broker of the tests' own, with TLS."""
    require("RabbitMQ (Debian's rabbitmq-server)", rabbitmq.program() is not None)
    with rabbitmq.running(certificates) as broker:
        yield broker


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> rabbitmq.Broker | GivenBroker:
    """The broker at the address in BIRDBATH_TEST_AMQP_URL, or else the tests' own; tests use exchanges and
    queues of their own. What kills, stops or encrypts takes `shared_broker`, or one for itself.
    """
    if url := os.environ.get(rabbitmq.ADDRESS):
        return GivenBroker(url)
    shared: rabbitmq.Broker = request.getfixturevalue("shared_broker")
    return shared
