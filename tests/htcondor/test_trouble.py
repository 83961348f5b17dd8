"""A pool that is slow, frozen or restarted: calls are answered in their time, and the gateway recovers."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from birdbath.client import Collector, Schedd
from birdbath.client.errors import OperationFailed, ServerFault
from birdbath.doctor import Verdict, examine
from birdbath.settings import settings_from
from tests.htcondor.test_gateway import IDLE, status, waiting_job
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool, running
from tests.ports import free_port
from tests.server_process import ServerProcess, running_server

pytestmark = pytest.mark.toolkit


@pytest.fixture
def impatient(tmp_path: Path, htcondor_pool: HTCondorPool) -> Iterator[ServerProcess]:
    """A gateway that gives the pool ten seconds."""
    environment = {
        "BIRDBATH_HTCONDOR_CONFIG": str(htcondor_pool.configuration),
        "BIRDBATH_HTCONDOR_TIMEOUT": "10",
    }
    with running_server(tmp_path, "--pool", "htcondor", environment=environment) as server:
        yield server


def troubles(server: ServerProcess) -> object:
    return httpx.get(f"{server.url}/health/ready", timeout=60).json()["troubles"]


def test_a_frozen_schedd_stalls_only_the_calls_that_need_it(
    impatient: ServerProcess, htcondor_pool: HTCondorPool
) -> None:
    schedd, collector = Schedd(impatient.url), Collector(impatient.url)
    with schedd.transaction() as transaction:
        job = waiting_job(transaction)
    with htcondor_pool.frozen("SCHEDD"):
        with pytest.raises(OperationFailed, match="did not answer within 10 seconds"):
            status(schedd, job.id)
        assert len(list(collector.startd_ads("SlotID == 1"))) >= 1
        open_one = schedd.begin(60)
        other = waiting_job(open_one)
        with pytest.raises(OperationFailed):
            open_one.commit()
        assert "pool" in str(troubles(impatient))
    until(lambda: troubles(impatient) == {})
    assert status(schedd, job.id) == IDLE
    open_one.commit()  # nothing of it was done, so it can be tried again
    assert status(schedd, other.id) == IDLE


def test_a_frozen_collector_is_told_as_a_fault(impatient: ServerProcess, htcondor_pool: HTCondorPool) -> None:
    collector = Collector(impatient.url)
    assert list(collector.startd_ads())
    with htcondor_pool.frozen("COLLECTOR"), pytest.raises(ServerFault, match="did not answer"):
        list(collector.startd_ads())
    until(lambda: troubles(impatient) == {})
    assert list(collector.startd_ads())


def test_a_pool_that_is_not_there_yet_or_any_more(tmp_path: Path, htcondor_pool: HTCondorPool) -> None:
    """The run's pool shows that one can be had; this one comes after its gateway, and goes before it."""
    port = free_port()
    environment = {"BIRDBATH_HTCONDOR_COLLECTOR": f"127.0.0.1:{port}", "BIRDBATH_HTCONDOR_METHODS": "FS"}
    with running_server(tmp_path, "--pool", "htcondor", environment=environment) as server:
        schedd, collector = Schedd(server.url), Collector(server.url)

        def expect_nobody() -> None:
            with pytest.raises(OperationFailed, match="collector"):
                list(schedd.job_ads())
            with pytest.raises(ServerFault, match="collector"):
                list(collector.startd_ads())
            until(lambda: "collector" in str(troubles(server)))

        expect_nobody()
        transaction = schedd.begin(600)
        job = waiting_job(transaction)
        with pytest.raises(OperationFailed, match="collector"):
            transaction.commit()
        with running(port=port):
            until(lambda: troubles(server) == {})
            transaction.commit()
            assert status(schedd, job.id) == IDLE
        expect_nobody()


def test_the_doctor_asks_the_pool(tmp_path: Path, htcondor_pool: HTCondorPool) -> None:
    given = {"home": tmp_path / "home", "pool": "htcondor", "htcondor_config": htcondor_pool.configuration}
    (found,) = (finding for finding in examine(settings_from(given)) if finding.part == "pool")
    assert (found.verdict, found.seen) == (Verdict.GOOD, "a real one, whose schedd and collector answer")
    given["htcondor_schedd"] = "nobody"
    (found,) = (finding for finding in examine(settings_from(given)) if finding.part == "pool")
    assert (found.verdict, found.seen) == (Verdict.BAD, "schedd: The collector knows no schedd nobody")


def test_the_doctor_says_that_the_server_may_not_speak_for_others(
    tmp_path: Path, htcondor_pool: HTCondorPool
) -> None:
    """Both answer all questions, and the schedd would refuse each commit."""
    (tmp_path / "tokens").mkdir()
    token = tmp_path / "tokens" / "gateway"
    given = {
        "home": tmp_path / "home",
        "pool": "htcondor",
        "htcondor_collector": htcondor_pool.collector,
        "htcondor_tokens": token.parent,
        "htcondor_methods": ["IDTOKENS"],
    }

    def seen_as(user: str) -> tuple[Verdict, str]:
        token.touch(0o600)
        token.write_text(htcondor_pool.token(user))
        (found,) = (finding for finding in examine(settings_from(given)) if finding.part == "pool")
        return found.verdict, found.seen

    verdict, seen = seen_as("mallory")
    assert verdict is Verdict.DOUBTFUL
    assert re.search(r"as mallory@\S+, who is none of its QUEUE_SUPER_USERS \(root, condor, ", seen)
    assert seen_as("condor")[0] is Verdict.GOOD


def test_a_restarted_schedd_is_found_again(impatient: ServerProcess, htcondor_pool: HTCondorPool) -> None:
    schedd = Schedd(impatient.url)
    with schedd.transaction() as transaction:
        job = waiting_job(transaction)
    before = htcondor_pool.daemon("SCHEDD")
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return status(schedd, job.id) == IDLE
        except OperationFailed:
            return False

    until(is_back)
    assert htcondor_pool.daemon("SCHEDD") != before
