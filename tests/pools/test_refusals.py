"""What a pool refuses is refused by the federation too, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from birdbath.client import Cluster, Job
from birdbath.errors import BirdbathError
from tests.pools.several import commit_request, post, schedd, several_pools, submit_one
from tests.server_process import ServerProcess

LIMITED = """
[pools.limited]
pool = "laptop"
max_jobs_submitted = 1
[[federation_rules]]
when = "Limited =?= true"
pools = ["limited"]
[[federation_rules]]
when = "Either =?= true"
pools = ["limited", "small"]
[[federation_rules]]
pools = ["small", "large"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with several_pools(tmp_path_factory.mktemp("refusals"), LIMITED) as server:
        yield server


def limited_jobs(cluster: Cluster, count: int) -> list[Job]:
    """So many jobs of a cluster, submitted for the pool that has a limit."""
    jobs = [cluster.new_job() for _ in range(count)]
    for job in jobs:
        ad = job.template("/bin/true", owner="alice")
        ad["Limited"] = True
        job.submit(ad)
    return jobs


def test_a_limit_of_the_pool_leaves_the_transaction_as_it_was(server: ServerProcess) -> None:
    with schedd(server, "federation") as federation:
        transaction = federation.begin()
        cluster = transaction.new_cluster()
        jobs = limited_jobs(cluster, 3)
        with pytest.raises(BirdbathError, match="MAX_JOBS_SUBMITTED is 1"):
            transaction.commit()
        assert list(federation.job_ads(f"ClusterId == {cluster.id}")) == []
        assert list(schedd(server, "limited").job_ads()) == []
        for job in jobs:
            job.submit({"Limited": False})
        transaction.commit()
        found = list(federation.job_ads(f"ClusterId == {cluster.id}"))
        assert [ad.integer("ProcId") for ad in found] == [0, 1, 2]
        assert "limited" not in {ad.string("PoolName") for ad in found}


def test_a_refusal_is_told_again_and_nothing_is_done(server: ServerProcess) -> None:
    """As at one pool: another attempt has another Idempotency-Key."""
    with schedd(server, "federation") as federation:
        transaction = federation.begin()
        cluster = transaction.new_cluster()
        jobs = limited_jobs(cluster, 2)
        commit = commit_request(transaction)
        _, _, refused = post(server, "federation", commit, Idempotency_Key="refused")
        assert b"MAX_JOBS_SUBMITTED is 1" in refused
        for job in jobs:
            job.submit({"Limited": False})
        _, headers, again = post(server, "federation", commit, Idempotency_Key="refused")
        assert (headers["idempotent-replayed"], again) == ("true", refused)
        assert list(federation.job_ads(f"ClusterId == {cluster.id}")) == []
        transaction.commit()
        assert len(list(federation.job_ads(f"ClusterId == {cluster.id}"))) == 2


def test_the_rules_are_not_evaded_by_acting_on_a_job_of_another_pool(server: ServerProcess) -> None:
    with schedd(server, "federation") as federation:
        first = submit_one(federation, "FALSE")
        assert federation.job_ad(first, 0).string("PoolName") == "small"
        transaction = federation.begin()
        federation.hold(first, 0, transaction=transaction)
        job = transaction.new_cluster().new_job()
        job.submit(job.template("/bin/true", owner="alice"))
        job.submit({"Limited": True})
        with pytest.raises(BirdbathError, match="acts on jobs of small, where its new jobs cannot go"):
            transaction.commit()
        job.submit({"Limited": False})
        transaction.commit()
        assert federation.job_ad(job.id.cluster, 0).string("PoolName") == "small"


def test_a_key_of_another_request_does_nothing(server: ServerProcess) -> None:
    with schedd(server, "federation") as federation:
        transactions = [federation.begin() for _ in range(2)]
        clusters = [transaction.new_cluster() for transaction in transactions]
        for cluster in clusters:
            job = cluster.new_job()
            job.submit(job.template("/bin/true", owner="alice"))
        answers = [
            post(server, "federation", commit_request(transaction), Idempotency_Key="twice")
            for transaction in transactions
        ]
        assert [status for status, _, _ in answers] == [200, 422]
        assert len(list(federation.job_ads(f"ClusterId == {clusters[0].id}"))) == 1
        assert list(federation.job_ads(f"ClusterId == {clusters[1].id}")) == []
        transactions[1].commit()


def test_the_next_pool_takes_what_the_first_refuses(server: ServerProcess) -> None:
    with schedd(server, "federation") as federation, federation.transaction() as transaction:
        cluster = transaction.new_cluster()
        for _ in range(3):
            job = cluster.new_job()
            ad = job.template("/bin/true", owner="alice", requirements="FALSE")
            ad["Either"] = True
            job.submit(ad)
    with schedd(server, "federation") as federation:
        found = list(federation.job_ads(f"ClusterId == {cluster.id}"))
        assert [(ad.integer("ProcId"), ad.string("PoolName")) for ad in found] == [
            (0, "small"),
            (1, "small"),
            (2, "small"),
        ]
    assert list(schedd(server, "limited").job_ads("Either =?= true")) == []
