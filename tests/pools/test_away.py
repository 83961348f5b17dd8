"""A pool that does not answer holds up nobody who asks about the others."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import typer
import zeep
from typer.testing import CliRunner

from birdbath.client import Schedd
from birdbath.commands import register
from tests.pools.several import collector, get, get_json, schedd, several_pools, submit_one
from tests.server_process import ServerProcess

AWAY = """
[pools.away]
pool = "htcondor"
htcondor_collector = "127.0.0.1:{port}"
htcondor_timeout = 60
"""


@contextmanager
def frozen() -> Iterator[int]:
    """The port of what takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("away")
    with (
        frozen() as port,
        several_pools(folder, AWAY.format(port=port), "federation_timeout = 4.0\n") as server,
    ):
        yield server


def test_submissions_and_listings_go_on(server: ServerProcess, federation: Schedd) -> None:
    cluster = submit_one(federation)
    assert cluster in [ad.integer("ClusterId") for ad in federation.job_ads()]
    assert federation.job_ad(cluster, 0).string("PoolName") in ("small", "large")
    with collector(server, "federation") as pools:
        assert {ad.string("PoolName") for ad in pools.startd_ads()} == {"small", "large"}


def test_the_answer_says_who_is_missing(server: ServerProcess) -> None:
    service = zeep.Client(f"{server.url}/pools/federation/condorSchedd.wsdl").service
    status = service.getJobAds(None, "")["status"]
    assert status["code"] == "SUCCESS"
    assert status["message"].startswith("Without away: no answer within 4 seconds")


@pytest.mark.parametrize("words", [["q"], ["q", "--json"], ["hold", "--all"], ["rm", "alice"]])
def test_commands_say_so_too(server: ServerProcess, words: list[str]) -> None:
    app = typer.Typer()
    register(app)
    outcome = CliRunner().invoke(app, [*words, "--url", f"{server.url}/pools/federation"])
    assert outcome.exit_code == 1
    assert "Without away: no answer within 4 seconds" in outcome.stderr


def test_recommendation_tells_of_it(server: ServerProcess) -> None:
    service = zeep.Client(f"{server.url}/pools/federation/birdbathFederation.wsdl").service
    found = service.recommend({"item": []})
    by_pool = {pool["pool"]: pool for pool in found["pools"]["item"]}
    assert found["pool"] in ("small", "large")
    assert not by_pool["away"]["answered"]
    assert by_pool["away"]["why"] == "no answer within 4 seconds"


def test_readiness_tells_of_it_without_being_unready(server: ServerProcess) -> None:
    answer = get_json(server, "/health/ready")
    assert answer["status"] == "ready"
    assert answer["pools"]["away"]["pool"]
    assert get_json(server, "/pools/federation/health/ready")["status"] == "ready"
    status, body = get(server, "/pools/away/health/ready")
    assert status == 503
    assert json.loads(body)["troubles"]["pool"]


def test_a_question_about_another_pool_does_not_wait_for_it(federation: Schedd) -> None:
    ads = federation.job_ads('PoolName == "small"')
    assert {ad.string("PoolName") for ad in ads} <= {"small"}


@pytest.mark.slow
def test_a_commit_that_waits_for_it_holds_up_neither_the_start_nor_other_commits(tmp_path: Path) -> None:
    """Both were decided when the server was killed."""
    with frozen() as port:
        more, top = AWAY.format(port=port), "federation_timeout = 2.0\n"
        with several_pools(tmp_path, more, top) as server:
            open_ones = [schedd(server, pool).begin(600) for pool in ("away", "small")]
            for transaction in open_ones:
                job = transaction.new_cluster().new_job()
                job.submit(job.template("/bin/true", owner="alice"))
        with closing(sqlite3.connect(tmp_path / "home/pools/federation/birdbath.db")) as database, database:
            for number, (pool, there) in enumerate(zip(("away", "small"), open_ones, strict=True), 1):
                row = (number, pool, there.lease.id, f"mark {number}")
                database.execute("INSERT INTO federation_commits VALUES (?, ?, ?, NULL, ?, NULL)", row)
        with several_pools(tmp_path, more, top) as server:
            assert len(list(schedd(server, "small").job_ads())) == 1
