"""A RabbitMQ server for these tests, and certificates for its TLS port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def shared_broker(certificates: Path) -> Iterator[rabbitmq.Broker]:
    require("RabbitMQ (Debian's rabbitmq-server)", rabbitmq.program() is not None)
    with rabbitmq.running(certificates) as broker:
        yield broker


@pytest.fixture
def broker(shared_broker: rabbitmq.Broker) -> rabbitmq.Broker:
    """The broker; tests use exchanges and queues of their own."""
    return shared_broker
