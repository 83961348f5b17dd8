"""Jobs that their owners submit, with tokens, to a pool that lets nobody name another owner."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from birdbath.client import JobId, Schedd
from birdbath.client.errors import OperationFailed
from birdbath.credentials.tokens import IdTokens, new_signing_key
from tests import htcondor_pool as pools
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess, running_server

pytestmark = pytest.mark.toolkit

COMPLETED = 4


@pytest.fixture(scope="module")
def strict_pool(htcondor_pool: HTCondorPool) -> Iterator[HTCondorPool]:
    """A pool of its own; the run's shows that one can be had.

    What runs a job, under the pool's one account, has to name its owner, too: so alice's and bob's do.
    """
    with pools.running("QUEUE_SUPER_USER_MAY_IMPERSONATE = ^(alice|bob)(@.*)?$") as pool:
        yield pool


def gateway(home: Path, pool: HTCondorPool, **settings: Path) -> AbstractContextManager[ServerProcess]:
    environment = {"BIRDBATH_HTCONDOR_CONFIG": str(pool.configuration)}
    environment |= {f"BIRDBATH_{name.upper()}": str(value) for name, value in settings.items()}
    return running_server(home, "--pool", "htcondor", environment=environment)


def submitted(schedd: Schedd, owner: str, folder: Path, requirements: str = "FALSE") -> JobId:
    file = folder / "data"
    file.write_text(f"of {owner}")
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/cat", "data", owner=owner, requirements=requirements)
        ad.update({"Out": "out", "TestMark": f"{owner}'s"})
        job.upload(file)
        job.submit(ad)
    return job.id


def is_complete(schedd: Schedd, job: JobId) -> bool:
    return schedd.job_ad(*job)["JobStatus"] == COMPLETED


def owners(pool: HTCondorPool) -> dict[str, str]:
    """What the schedd says: the Owner by TestMark."""
    found = pool.run("condor_q", "-all", "-af:,", "TestMark", "User")
    return dict(line.split(", ") for line in found.splitlines())


def test_the_schedd_itself_says_whose_jobs_they_are(strict_pool: HTCondorPool, tmp_path: Path) -> None:
    with gateway(tmp_path / "home", strict_pool, htcondor_signing_key=strict_pool.signing_key) as server:
        schedd = Schedd(server.url)
        jobs = {owner: submitted(schedd, owner, tmp_path, "TRUE") for owner in ("alice", "bob")}
        for owner, job in jobs.items():
            until(partial(is_complete, schedd, job))
            assert schedd.job_ad(*job)["Owner"] == owner
            target = io.BytesIO()
            schedd.download(*job, "out", target)
            assert target.getvalue().decode() == f"of {owner}"
        jobs["carol"] = submitted(schedd, "carol", tmp_path)
        assert owners(strict_pool) == {f"{owner}'s": f"{owner}@{strict_pool.domain}" for owner in jobs}
        for job in jobs.values():
            schedd.remove(*job, force=True)


def test_tokens_of_a_folder_and_what_is_said_where_there_is_none(
    strict_pool: HTCondorPool, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    key = tmp_path / "POOL"
    key.write_bytes(new_signing_key())
    (tokens / "carol").write_text(strict_pool.token("carol"))
    forged = IdTokens(strict_pool.trust_domain, key).create(f"bob@{strict_pool.domain}")
    (tokens / "bob").write_text(forged)
    with gateway(tmp_path / "home", strict_pool, htcondor_user_tokens=tokens) as server:
        schedd = Schedd(server.url)
        job = submitted(schedd, "carol", tmp_path)
        with pytest.raises(OperationFailed, match="does not believe"):
            submitted(schedd, "bob", tmp_path)
        with pytest.raises(OperationFailed, match="has no token of alice"):
            submitted(schedd, "alice", tmp_path)
        assert schedd.job_ad(*job)["Owner"] == "carol"
        assert set(owners(strict_pool)) == {"carol's"}
        schedd.remove(*job, force=True)


def test_without_tokens_a_pool_says_whom_nobody_may_name(strict_pool: HTCondorPool, tmp_path: Path) -> None:
    with gateway(tmp_path / "home", strict_pool) as server:
        with pytest.raises(OperationFailed, match="not permitted"):
            submitted(Schedd(server.url), "carol", tmp_path)
        assert owners(strict_pool) == {}
