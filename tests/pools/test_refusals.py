"""What a pool refuses is refused by the federation too, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from birdbath.errors import BirdbathError
from tests.pools.several import schedd, several_pools
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


def test_a_limit_of_the_pool_leaves_the_transaction_as_it_was(server: ServerProcess) -> None:
    with schedd(server, "federation") as federation:
        transaction = federation.begin()
        cluster = transaction.new_cluster()
        jobs = [cluster.new_job() for _ in range(3)]
        for job in jobs:
            ad = job.template("/bin/true", owner="alice")
            ad["Limited"] = True
            job.submit(ad)
        with pytest.raises(BirdbathError, match="MAX_JOBS_SUBMITTED is 1"):
            transaction.commit()
        assert list(federation.job_ads()) == []
        assert list(schedd(server, "limited").job_ads()) == []
        for job in jobs:
            job.submit({"Limited": False})
        transaction.commit()
        found = list(federation.job_ads(f"ClusterId == {cluster.id}"))
        assert [ad.integer("ProcId") for ad in found] == [0, 1, 2]
        assert "limited" not in {ad.string("PoolName") for ad in found}


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
