"""A simulated pool and a real one side by side behind one door."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from birdbath.client import Schedd
from birdbath.federation.ids import OTHERS
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.pools.several import collector, schedd, several_pools
from tests.server_process import ServerProcess

REAL = """
[pools.real]
pool = "htcondor"
htcondor_config = "{configuration}"
[[federation_rules]]
when = 'WantsReal =?= true'
pools = ["real"]
[[federation_rules]]
pools = ["small", "large"]
"""


@pytest.fixture(scope="module")
def server(htcondor_pool: HTCondorPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder: Path = tmp_path_factory.mktemp("beside")
    more = REAL.format(configuration=htcondor_pool.configuration)
    with several_pools(folder, more, "federation_timeout = 60.0\n") as server:
        yield server


def submit(federation: Schedd, wants_real: bool) -> int:
    with federation.transaction() as transaction:
        cluster = transaction.new_cluster()
        job = cluster.new_job()
        job.upload(b"from the file\n", "in.txt")
        ad = job.template("/bin/cat", "in.txt", owner="alice")
        job.submit({**ad, "Out": "out.txt", "TransferExecutable": False, "WantsReal": wants_real})
    return cluster.id


@pytest.mark.toolkit
@pytest.mark.parametrize(("wants_real", "pools"), [(True, {"real"}), (False, {"small", "large"})])
def test_a_job_with_its_files_in_either_pool(
    server: ServerProcess, wants_real: bool, pools: set[str]
) -> None:
    with schedd(server, "federation") as federation:
        cluster = submit(federation, wants_real)
        assert federation.job_ad(cluster, 0).string("PoolName") in pools
        until(lambda: federation.job_ad(cluster, 0).integer("JobStatus") == 4)
        out = io.BytesIO()
        federation.download(cluster, 0, "out.txt", out)
        assert out.getvalue() == b"from the file\n"
        (listed,) = federation.job_ads(f"ClusterId == {cluster}")
        assert listed.integer("ProcId") == 0
        federation.close_spool(cluster, 0)


@pytest.mark.toolkit
def test_machines_of_both_kinds_of_pool(server: ServerProcess) -> None:
    with collector(server, "federation") as pools:
        assert {ad.string("PoolName") for ad in pools.startd_ads()} == {"small", "large", "real"}


@pytest.mark.toolkit
def test_jobs_of_the_pools_other_users_have_ids_here(
    server: ServerProcess, htcondor_pool: HTCondorPool
) -> None:
    cluster = htcondor_pool.submit(executable="/bin/true", requirements="false")
    with schedd(server, "federation") as federation:
        (shown,) = federation.job_ads(f'PoolName == "real" && PoolClusterId == {cluster}')
        number = shown.integer("ClusterId")
        assert (number - OTHERS) // 100 == cluster
        assert federation.job_ad(number, 0).integer("PoolClusterId") == cluster
    htcondor_pool.run("condor_rm", str(cluster))
