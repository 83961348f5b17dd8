"""The federation of two simulated pools over real sockets: one has small machines, one large ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import zeep

from birdbath.client import AdType, Schedd
from birdbath.errors import BirdbathError, UnknownJob
from birdbath.federation.ids import OTHERS
from tests.clients.portal import until
from tests.pools.several import collector, get, get_json, schedd, several_pools, submit_one
from tests.server_process import ServerProcess

BIG = "TARGET.Memory > 50000"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with several_pools(tmp_path_factory.mktemp("federation")) as server:
        yield server


def pool_of(federation: Schedd, cluster: int) -> str:
    return federation.job_ad(cluster, 0).string("PoolName")


def recommendation(server: ServerProcess, *items: tuple[str, str, str]) -> Any:
    service = zeep.Client(f"{server.url}/pools/federation/birdbathFederation.wsdl").service
    ad = {"item": [{"name": name, "type": kind, "value": value} for name, kind, value in items]}
    return service.recommend(ad)


def until_free(server: ServerProcess) -> None:
    """Wait until the jobs of other tests have left the machines: those that are free come first."""
    with collector(server, "federation") as pools:
        until(lambda: {ad.string("State") for ad in pools.startd_ads()} == {"Unclaimed"})


def test_a_submission_goes_to_the_pool_whose_machines_match(federation: Schedd) -> None:
    assert pool_of(federation, submit_one(federation, BIG)) == "large"
    assert pool_of(federation, submit_one(federation, "TARGET.Memory < 50000")) == "small"


def test_ids_are_those_that_the_client_was_given(server: ServerProcess, federation: Schedd) -> None:
    cluster = submit_one(federation, BIG)
    ad = federation.job_ad(cluster, 0)
    assert ad.integer("ClusterId") == cluster
    theirs = ad.integer("PoolClusterId")
    with schedd(server, "large") as large:
        assert large.job_ad(theirs, 0).integer("ClusterId") == theirs
    (listed,) = federation.job_ads(f"ClusterId == {cluster}")
    assert listed.integer("ProcId") == 0


def test_jobs_that_were_submitted_to_a_pool_are_there_under_ids_of_their_own(
    server: ServerProcess, federation: Schedd
) -> None:
    given = submit_one(federation, BIG)
    for pool in ("small", "large"):
        with schedd(server, pool) as there:
            cluster = submit_one(there)
        (shown,) = federation.job_ads(f'PoolName == "{pool}" && PoolClusterId == {cluster}')
        found = shown.integer("ClusterId")
        assert found > OTHERS
        assert federation.job_ad(found, 0).integer("PoolClusterId") == cluster
    clusters = [ad.integer("ClusterId") for ad in federation.job_ads()]
    assert len(clusters) == len(set(clusters))
    assert given in clusters


def test_refusals_name_the_ids_that_the_client_was_given(federation: Schedd) -> None:
    cluster = submit_one(federation, BIG)
    (listed,) = federation.job_ads(f"ClusterId == {cluster}")
    with pytest.raises(UnknownJob, match=rf"unknown: {cluster}\.7$"):
        federation.job_ad(cluster, 7)
    other = OTHERS + 100 * (listed.integer("PoolClusterId") + 1000) + 1
    with pytest.raises(UnknownJob, match=rf"unknown: {other}\.0$"):
        federation.job_ad(other, 0)


def test_a_constraint_may_name_ids_in_a_text(federation: Schedd) -> None:
    clusters = [submit_one(federation, text) for text in (BIG, "TARGET.Memory < 50000")]
    for cluster in clusters:
        (found,) = federation.job_ads(f'eval("ClusterId") =?= {cluster}')
        assert found.integer("ClusterId") == cluster
    pools = {ad.string("PoolName") for ad in federation.job_ads('eval("PoolName") == "large"')}
    assert pools == {"large"}


def test_a_cluster_has_one_id_only(federation: Schedd) -> None:
    """The id that it would have, had it been submitted to the pool itself, is nobody's."""
    cluster = submit_one(federation, BIG)
    theirs = federation.job_ad(cluster, 0).integer("PoolClusterId")
    for number in range(1, 4):
        ads = list(
            federation.job_ads(f"ClusterId == {OTHERS + theirs * 100 + number} && PoolClusterId == {theirs}")
        )
        assert all(ad.integer("ClusterId") != cluster for ad in ads)


def test_files_come_along_and_back(federation: Schedd) -> None:
    data = bytes(range(256)) * 9000  # more than two chunks
    cluster = submit_one(federation, BIG, {"data.bin": data, "small": b"x"})
    assert {file.name: file.size for file in federation.list_spool(cluster, 0)}.items() >= {
        "data.bin": len(data),
        "small": 1,
    }.items()
    assert federation.job_ad(cluster, 0).string("TransferInput") == "data.bin,small"
    back = io.BytesIO()
    federation.download(cluster, 0, "data.bin", back)
    assert back.getvalue() == data


def test_actions_reach_the_job(federation: Schedd) -> None:
    cluster = submit_one(federation, "TARGET.Memory > 999999999")
    federation.hold(cluster, 0, "wait")
    assert federation.job_ad(cluster, 0).integer("JobStatus") == 5
    federation.release(cluster, 0)
    with federation.transaction() as transaction:
        federation.hold(cluster, 0, "in a transaction", transaction=transaction)
        assert federation.job_ad(cluster, 0).integer("JobStatus") == 1
    assert federation.job_ad(cluster, 0).string("HoldReason") == "in a transaction"
    federation.remove_cluster(cluster, "enough")
    assert federation.job_ad(cluster, 0).integer("JobStatus") == 3


def test_a_transaction_goes_to_one_pool(federation: Schedd) -> None:
    never = " && TARGET.Memory > 0 && false"
    clusters = [submit_one(federation, text + never) for text in (BIG, "TARGET.Memory < 50000")]
    pools = {pool_of(federation, cluster) for cluster in clusters}
    held = clusters[0]
    transaction = federation.begin()
    federation.hold(held, 0, transaction=transaction)
    cluster = transaction.new_cluster()
    job = cluster.new_job()
    job.submit(job.template("/bin/true", owner="alice", requirements=BIG))
    transaction.commit()
    assert pool_of(federation, cluster.id) == pool_of(federation, held)
    assert pools <= {"small", "large"}


def test_several_clusters_of_several_jobs(federation: Schedd) -> None:
    with federation.transaction() as transaction:
        ids = []
        for _ in range(2):
            cluster = transaction.new_cluster()
            for _ in range(30):
                job = cluster.new_job()
                job.submit(job.template("/bin/true", owner="alice", requirements=BIG))
                ids.append(tuple(job.id))
    found = {
        (ad.integer("ClusterId"), ad.integer("ProcId")): ad.string("PoolName")
        for ad in federation.job_ads(f"ClusterId == {ids[0][0]} || ClusterId == {ids[-1][0]}")
    }
    assert sorted(found) == sorted(ids)
    assert set(found.values()) == {"large"}


def test_an_aborted_transaction_leaves_nothing(federation: Schedd) -> None:
    before = len(list(federation.job_ads()))
    transaction = federation.begin()
    cluster = transaction.new_cluster()
    job = cluster.new_job()
    job.upload(b"data", "data")
    transaction.abort()
    assert len(list(federation.job_ads())) == before
    with pytest.raises(BirdbathError):
        federation.job_ad(cluster.id, 0)


def test_a_commit_is_done_once(federation: Schedd) -> None:
    transaction = federation.begin()
    cluster = transaction.new_cluster()
    job = cluster.new_job()
    job.submit(job.template("/bin/true", owner="alice"))
    transaction.commit()
    with pytest.raises(BirdbathError):
        transaction.commit()
    assert len(list(federation.job_ads(f"ClusterId == {cluster.id}"))) == 1


def test_machines_of_all_pools_with_their_pools_name(server: ServerProcess) -> None:
    with collector(server, "federation") as pools:
        found = {(ad.string("Machine"), ad.string("PoolName")) for ad in pools.startd_ads()}
        assert found == {("small.example.org", "small"), ("large.example.org", "large")}
        named = [ad.string("Machine") for ad in pools.startd_ads('PoolName == "large"')]
        assert set(named) == {"large.example.org"}
        assert {ad.string("PoolName") for ad in pools.schedd_ads()} == {"small", "large"}
        with pytest.raises(BirdbathError, match="insert them at a pool"):
            pools.insert_ad(AdType.GENERIC, {"Name": "x"})


def test_recommendation_says_why_and_submits_nothing(server: ServerProcess, federation: Schedd) -> None:
    until_free(server)
    before = len(list(federation.job_ads()))
    found = recommendation(server, ("Requirements", "EXPRESSION-ATTR", BIG))
    assert found["status"]["code"] == "SUCCESS"
    assert found["pool"] == "large"
    assert "free machines match" in found["why"] or "the only pool" in found["why"]
    by_pool = {pool["pool"]: pool for pool in found["pools"]["item"]}
    assert by_pool["small"]["matching"] == 0
    assert by_pool["small"]["machines"] == 2
    assert by_pool["large"]["matching"] == 3
    assert len(list(federation.job_ads())) == before


def test_rank_decides_among_pools_that_match(server: ServerProcess) -> None:
    until_free(server)
    requirements = ("Requirements", "EXPRESSION-ATTR", "TRUE")
    for rank, pool in (("TARGET.Memory", "large"), ("0 - TARGET.Memory", "small")):
        found = recommendation(server, requirements, ("Rank", "EXPRESSION-ATTR", rank))
        assert found["pool"] == pool, found


def test_requests_decide_where_requirements_are_silent(server: ServerProcess) -> None:
    until_free(server)
    requirements = ("Requirements", "EXPRESSION-ATTR", "TRUE")
    found = recommendation(server, requirements, ("RequestMemory", "INTEGER-ATTR", "60000"))
    assert found["pool"] == "large"


def test_one_pool_recommends_nothing(server: ServerProcess) -> None:
    service = zeep.Client(f"{server.url}/pools/small/birdbathFederation.wsdl").service
    answer = service.recommend({"item": []})
    assert answer["status"]["code"] == "FAIL"
    assert "/pools/federation" in answer["status"]["message"]


def test_the_federation_has_probes_and_figures(server: ServerProcess) -> None:
    assert get_json(server, "/pools/federation/health/ready")["status"] == "ready"
    assert get_json(server, "/health/ready")["pools"]["federation"] == {}
    assert 'birdbath_transactions{pool="federation"} 0.0' in get(server, "/metrics")[1].decode()


def test_the_wsdl_of_the_federation_names_it(server: ServerProcess) -> None:
    text = get(server, "/pools/federation/schedd?wsdl")[1].decode()
    assert f'location="{server.url}/pools/federation/schedd"' in text
