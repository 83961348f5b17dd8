"""A server with several simulated pools: its own with small machines, `large` with large ones and GPUs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from birdbath.client import Collector, Schedd, Transaction
from tests.server_process import ServerProcess, running_server
from tests.soap.wire import call

SMALL = """
cycle_interval = 5.0
[[machines]]
name = "small.example.org"
slots = 2
cpus = 2
memory = 2048
"""
LARGE = """
cycle_interval = 5.0
[[machines]]
name = "large.example.org"
slots = 3
cpus = 48
memory = 262144
"""
SETTINGS = """
pool_name = "small"
pool = "{folder}/small.toml"
speed = "max"

[pools.large]
pool = "{folder}/large.toml"
speed = "max"
"""


def settings_file(folder: Path, more: str = "", top: str = "") -> Path:
    """A settings file of both pools, what it refers to, and `more` tables and settings on `top`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.toml").write_text(SMALL)
    (folder / "large.toml").write_text(LARGE)
    file = folder / "birdbath.toml"
    file.write_text(top + SETTINGS.format(folder=folder) + more)
    return file


@contextmanager
def several_pools(folder: Path, more: str = "", top: str = "") -> Iterator[ServerProcess]:
    """The server as a process of its own."""
    with running_server(folder / "home", "--config", str(settings_file(folder, more, top))) as server:
        yield server


def schedd(server: ServerProcess, pool: str) -> Schedd:
    """A client of a pool's schedd."""
    return Schedd(f"{server.url}/pools/{pool}/schedd")


def collector(server: ServerProcess, pool: str) -> Collector:
    """A client of a pool's collector."""
    return Collector(f"{server.url}/pools/{pool}/collector")


def get(server: ServerProcess, path: str) -> tuple[int, bytes]:
    """Status and body of a GET."""
    try:
        with urllib.request.urlopen(server.url + path, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def post(
    server: ServerProcess, pool: str, body: bytes, **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers (their names in lower case) and body of a request to a pool's schedd."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        f"{server.url}/pools/{pool}/schedd", body, {"Content-Type": "text/xml"} | sent
    )
    try:
        reply = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.read()


def commit_request(transaction: Transaction) -> bytes:
    """The body of a request that commits a transaction."""
    lease = transaction.lease
    txn = f"<id>{lease.id}</id><duration>{lease.duration}</duration>"
    return call("commitTransaction", f"<transaction>{txn}</transaction>")


def get_json(server: ServerProcess, path: str) -> Any:
    """What a GET answers in JSON."""
    status, body = get(server, path)
    assert status == 200, body
    return json.loads(body)


def submit_one(schedd: Schedd, requirements: str = "TRUE", files: Mapping[str, bytes] | None = None) -> int:
    """Submit a job; its cluster."""
    with schedd.transaction() as transaction:
        cluster = transaction.new_cluster()
        job = cluster.new_job()
        for name, data in (files or {}).items():
            job.upload(data, name)
        job.submit(job.template("/bin/true", owner="alice", requirements=requirements))
    return cluster.id
