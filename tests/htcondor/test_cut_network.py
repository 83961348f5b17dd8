"""A pool behind a network that is cut while calls are under way: they are answered, and nothing is lost."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from birdbath.client import Collector, JobId, Schedd, Transaction
from birdbath.client.errors import OperationFailed, ServerFault, TransferFailed
from tests.htcondor.test_gateway import COMPLETED, content
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool, require_htcondor, running
from tests.network import Network
from tests.ports import free_port
from tests.server_process import ServerProcess, running_server

pytestmark = pytest.mark.toolkit

FORWARDER = "127.0.0.2"
BEHIND_IT = (
    f"SHARED_PORT.TCP_FORWARDING_HOST = {FORWARDER}",
    "PRIVATE_NETWORK_NAME = pool",
    "PRIVATE_NETWORK_INTERFACE = 127.0.0.1",
)
"""The daemons tell the world that they are at the forwarder's address, and reach each other without it."""
SIZE, EARLY = 300_000, 100_000
"""Bytes of a file, and after how many the network is cut. Nothing else that is sent is as long."""
LONG = 8 << 20
"""Bytes for which a transfer has half a minute more."""
SECONDS = 5
IN_TIME = re.compile(r"did not answer within|were not transferred within|too busy with other calls")
PATIENCE = 120.0


@pytest.fixture
def pool() -> Iterator[HTCondorPool]:
    """A pool that only who is in its own network reaches without the forwarder."""
    require_htcondor()
    with running(*BEHIND_IT) as own:
        yield own


@pytest.fixture
def network(pool: HTCondorPool) -> Iterator[Network]:
    with Network().running() as network:
        network.way("pool", pool.port, (FORWARDER, pool.port))
        yield network


@contextmanager
def gateway(home: Path, pool: HTCondorPool, port: int) -> Iterator[ServerProcess]:
    environment = {
        "BIRDBATH_HTCONDOR_COLLECTOR": f"{FORWARDER}:{pool.port}",
        "BIRDBATH_HTCONDOR_METHODS": "FS",
        "BIRDBATH_HTCONDOR_TIMEOUT": str(SECONDS),
    }
    options = ("--pool", "htcondor", "--port", str(port))
    with running_server(home, *options, environment=environment) as server:
        yield server


class Client:
    """Whoever uses the gateway, and what it was told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.committed: list[str] = []

    def schedd(self) -> Schedd:
        """One for each thread."""
        return Schedd(self._url, timeout=PATIENCE)

    def collector(self) -> Collector:
        return Collector(self._url, timeout=PATIENCE)

    def staged(self, mark: str, size: int, requirements: str = "FALSE") -> tuple[Transaction, JobId]:
        """A transaction with one job that shows its file."""
        transaction = self.schedd().begin(600)
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/cat", "in", owner="alice", requirements=requirements)
        ad.update({"TestMark": mark, "Out": "out.txt"})
        job.upload(content_of(mark, size), name="in")
        job.submit(ad)
        return transaction, job.id

    def commit_one(self) -> None:
        mark = f"small{len(self.committed)}"
        transaction, _ = self.staged(mark, 10)
        transaction.commit()
        self.committed.append(mark)

    def commit_at_last(self, transaction: Transaction, mark: str) -> None:
        """A commit that was refused can be tried again."""
        until(lambda: not refusal(transaction.commit))
        self.committed.append(mark)


def content_of(mark: str, size: int) -> bytes:
    """What no compression makes shorter."""
    return random.Random(mark).randbytes(size)


def refusal(call: Callable[[], object]) -> str:
    """Why a call failed; empty when it did not."""
    try:
        call()
    except (OperationFailed, ServerFault, TransferFailed) as error:
        return str(error)
    return ""


def is_completed(schedd: Schedd, job: JobId) -> bool:
    """Also False when the pool does not say in time."""
    found: list[object] = []
    return not refusal(lambda: found.append(schedd.job_ad(*job)["JobStatus"])) and found == [COMPLETED]


def again_until(cut: threading.Event, call: Callable[[], object]) -> str:
    """Make a call again and again, so that one is under way when the network is cut; why that failed."""
    while not ((why := refusal(call)) and cut.is_set()):
        pass
    return why


def in_queue(pool: HTCondorPool, constraint: str = "true") -> list[str]:
    """TestMark of the jobs in the schedd, asked within the pool's own network."""
    return sorted(pool.run("condor_q", "-all", "-constraint", constraint, "-af", "TestMark").split())


def pool_trouble(server: ServerProcess) -> str:
    reply = httpx.get(f"{server.url}/health/ready", timeout=PATIENCE)
    trouble = str(reply.json()["troubles"].get("pool", ""))
    assert reply.status_code == (503 if trouble else 200)
    return trouble


def out_of_reach(server: ServerProcess) -> list[str]:
    """What readiness says cannot be reached."""
    return [part.partition(": ")[0] for part in pool_trouble(server).split("; ")]


def test_what_is_under_way_when_the_network_is_cut(
    tmp_path: Path, pool: HTCondorPool, network: Network
) -> None:
    port = free_port()
    client = Client(f"http://127.0.0.1:{port}")
    with ThreadPoolExecutor() as threads:
        with gateway(tmp_path, pool, port) as server:
            until(lambda: not pool_trouble(server))
            first, runs = client.staged("first", SIZE, requirements="TRUE")
            large, _ = client.staged("large", SIZE)
            long, _ = client.staged("long", LONG)
            client.commit_at_last(first, "first")

            cut = network.cut_after(EARLY)
            looks, kicks, collector = client.schedd(), client.schedd(), client.collector()
            calls: list[Callable[[], object]] = [
                lambda: list(looks.job_ads('TestMark == "first"')),
                lambda: list(collector.startd_ads()),
                kicks.request_reschedule,
                client.commit_one,
            ]
            under_way = [threads.submit(again_until, cut, call) for call in calls]
            spooling = threads.submit(refusal, large.commit)
            assert cut.wait(PATIENCE)
            begun = threads.submit(refusal, long.commit)
            parts = threads.submit(out_of_reach, server)
            for answer in (*under_way, spooling, begun):
                assert IN_TIME.search(answer.result(PATIENCE))
            assert "The files were not transferred" in spooling.result()
            assert "The files" not in begun.result()  # none of its was on its way
            assert parts.result() == ["schedd", "collector"]

            network.go_on()
            until(lambda: not pool_trouble(server))
            client.commit_at_last(large, "large")
            until(lambda: not refusal(client.commit_one))
            until(lambda: is_completed(looks, runs))

            cut = network.cut_after(EARLY)
            fetching = threads.submit(refusal, lambda: content(looks, runs, "out.txt"))
            assert cut.wait(PATIENCE)
            assert server.stop() == 0
            assert "The gateway is going down" in fetching.result(PATIENCE)

        with gateway(tmp_path, pool, port) as server:
            network.mend()
            until(lambda: not pool_trouble(server))
            client.commit_at_last(long, "long")
            until(lambda: not refusal(client.commit_one))
            assert content(client.schedd(), runs, "out.txt") == content_of("first", SIZE)
            until(lambda: not in_queue(pool, "BirdbathCommitted =!= true"))
            assert in_queue(pool) == sorted(client.committed)
