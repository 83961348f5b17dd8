"""A commit of the federation is done exactly once or not at all, wherever the server is killed."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from birdbath.store.crash_points import CRASH_POINTS, FEDERATION_CRASH_POINTS
from tests.pools.several import commit_request, post, schedd, settings_file
from tests.server_process import running_server

POINTS = (*FEDERATION_CRASH_POINTS, *CRASH_POINTS[:3])
DECIDED = ("federation:decided", "federation:committed", *CRASH_POINTS[:3])
"""Points after which the jobs will be in the pool."""


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_of_a_commit(tmp_path: Path, point: str) -> None:
    """The client sends its request again, with the same Idempotency-Key, and is told of what was done."""
    options = ("--config", str(settings_file(tmp_path)))
    home = tmp_path / "home"
    with running_server(home, *options, environment={"BIRDBATH_CRASH_AT": point}) as server:
        federation = schedd(server, "federation")
        transaction = federation.begin(600)
        clusters = [transaction.new_cluster().id]
        job_id = transaction.call("newJob", clusterId=clusters[0]).integer("integer")
        assert job_id == 0
        ad = {"item": [{"name": "Cmd", "type": "STRING-ATTR", "value": "/bin/true"}]}
        transaction.call("submit", clusterId=clusters[0], jobId=0, jobAd=ad)
        commit = commit_request(transaction)
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            post(server, "federation", commit, Idempotency_Key="the commit")
        server.process.wait(timeout=60)
    with running_server(home, *options) as server:
        with urllib.request.urlopen(f"{server.url}/pools/federation/health/ready", timeout=60) as ready:
            assert ready.status == 200
        federation = schedd(server, "federation")
        found = [ad.integer("ClusterId") for ad in federation.job_ads()]
        in_pools = [ad for pool in ("small", "large") for ad in schedd(server, pool).job_ads()]
        if point in DECIDED:
            assert found == clusters
            assert len(in_pools) == 1
        else:
            assert found == []
            assert in_pools == []
        for replayed in (point in DECIDED, True):  # the transaction of the others goes on where it was
            status, headers, body = post(server, "federation", commit, Idempotency_Key="the commit")
            assert (status, headers.get("idempotent-replayed") == "true") == (200, replayed)
            assert b">SUCCESS<" in body
            assert [ad.integer("ClusterId") for ad in federation.job_ads()] == clusters
