"""Who the pool takes the gateway for, and whose jobs it submits."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
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
GATEWAY = "gateway"


@pytest.fixture(scope="module")
def strict_pool(htcondor_pool: HTCondorPool) -> Iterator[HTCondorPool]:
    """A pool of its own, which lets nobody but alice and bob be named as owners; the run's shows that one
    can be had.

    What runs a job, under the pool's one account, has to name its owner, too: so theirs do.
    """
    with pools.running(
        "QUEUE_SUPER_USER_MAY_IMPERSONATE = ^(alice|bob)(@.*)?$",
        f"QUEUE_SUPER_USERS = $(QUEUE_SUPER_USERS), condor_pool, {GATEWAY}",
        "SEC_DEFAULT_AUTHENTICATION_METHODS = FS, IDTOKENS, PASSWORD",
        "SEC_PASSWORD_FILE = $(SEC_PASSWORD_DIRECTORY)/POOL",
    ) as pool:
        pool.run("condor_qusers", "-add", f"{GATEWAY}@{pool.domain}")
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


def by_file_system(folder: Path, pool: HTCondorPool) -> dict[str, str]:
    return {"CONFIG": str(pool.configuration)}


def by_token(folder: Path, pool: HTCondorPool) -> dict[str, str]:
    (folder / "tokens").mkdir()
    token = folder / "tokens" / "its-own"
    token.write_text(pool.token(GATEWAY))
    token.chmod(0o600)
    return {"COLLECTOR": pool.collector, "METHODS": "IDTOKENS", "TOKENS": str(token.parent)}


def by_password(folder: Path, pool: HTCondorPool) -> dict[str, str]:
    file = folder / "password"
    file.write_bytes(pool.signing_key.read_bytes())
    file.chmod(0o600)
    return {"COLLECTOR": pool.collector, "METHODS": "PASSWORD", "PASSWORD": str(file)}


@pytest.mark.parametrize("credential", [by_file_system, by_token, by_password])
def test_the_gateway_proves_who_it_is_and_names_whom_the_pool_lets_it(
    credential: Callable[[Path, HTCondorPool], dict[str, str]], strict_pool: HTCondorPool, tmp_path: Path
) -> None:
    settings = credential(tmp_path, strict_pool)
    environment = {f"BIRDBATH_HTCONDOR_{name}": value for name, value in settings.items()}
    home = tmp_path / "home"
    with running_server(home, "--pool", "htcondor", environment=environment) as server:
        schedd = Schedd(server.url)
        job = submitted(schedd, "alice", tmp_path)
        assert owners(strict_pool)["alice's"].startswith("alice@")
        schedd.remove(*job, force=True)  # out of the queue, which the next test looks at
        with pytest.raises(OperationFailed, match="is not permitted"):
            submitted(schedd, "carol", tmp_path)
