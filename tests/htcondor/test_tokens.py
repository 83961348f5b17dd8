"""IDTOKENS in both directions: a real pool's tokens here, tokens made here at a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests
from typer.testing import CliRunner

from birdbath.cli import app
from birdbath.credentials.tokens import new_signing_key
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess, running_server
from tests.soap.wire import call

pytestmark = pytest.mark.toolkit

PING = """
import json, sys
import htcondor2
htcondor2.param["SEC_TOKEN_DIRECTORY"] = sys.argv[1]
htcondor2.param["SEC_CLIENT_AUTHENTICATION_METHODS"] = "IDTOKENS"
schedd = htcondor2.Collector(sys.argv[2]).locateAll(htcondor2.DaemonType.Schedd)[0]
print(json.dumps(dict(htcondor2.ping(schedd, sys.argv[3]))))
"""


@pytest.fixture(scope="module")
def server(htcondor_pool: HTCondorPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that believes the pool's signing key."""
    folder = tmp_path_factory.mktemp("tokens")
    key, domain = htcondor_pool.signing_key, htcondor_pool.trust_domain
    configuration = folder / "birdbath.toml"
    configuration.write_text(
        f'uid_domain = "{htcondor_pool.domain}"\n'
        f'authentication = [{{ method = "idtoken", trust_domain = "{domain}", key = "{key}" }}]\n'
    )
    with running_server(folder / "home", "--config", str(configuration)) as running:
        yield running


def ask(server: ServerProcess, token: str, name: str, children: str = "") -> requests.Response:
    headers = {"Content-Type": "text/xml", "Authorization": f"Bearer {token}"}
    return requests.post(server.url, call(name, children), headers=headers, timeout=60)


def test_a_token_of_condor_token_create_is_accepted(
    htcondor_pool: HTCondorPool, server: ServerProcess
) -> None:
    token = htcondor_pool.token("alice")
    assert "<code>SUCCESS</code>" in ask(server, token, "getJobAds").text
    begun = ask(server, token, "beginTransaction", "<duration>60</duration>").text
    assert "<code>SUCCESS</code>" in begun
    assert ask(server, token[:-4] + "AAAA", "getJobAds").status_code == 401


def test_its_limits_hold_here_too(htcondor_pool: HTCondorPool, server: ServerProcess) -> None:
    create = ("condor_token_create", "-identity", f"bob@{htcondor_pool.domain}")
    reader = htcondor_pool.run(*create, "-authz", "READ").strip()
    assert "<code>SUCCESS</code>" in ask(server, reader, "getJobAds").text
    refused = ask(server, reader, "beginTransaction", "<duration>60</duration>").text
    assert "Permission denied" in refused
    short = htcondor_pool.run(*create, "-lifetime", "1").strip()
    claims = jwt.decode(short, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 1


def test_whose_job_it_is_comes_from_the_token(htcondor_pool: HTCondorPool, server: ServerProcess) -> None:
    token = htcondor_pool.token("carol")
    ask(server, token, "beginTransaction", "<duration>60</duration>")
    audit = (server.log.parent / "audit.log").read_text().splitlines()
    assert json.loads(audit[-1])["account"] == "carol"


def minted(key: Path, htcondor_pool: HTCondorPool, *options: str) -> str:
    command = ["token", "--key", str(key), "--identity", f"dave@{htcondor_pool.domain}"]
    made = CliRunner().invoke(app, [*command, "--trust-domain", htcondor_pool.trust_domain, *options])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def ping(
    htcondor_pool: HTCondorPool, folder: Path, token: str, level: str
) -> subprocess.CompletedProcess[str]:
    """Ask the pool's schedd who it takes the bearer of the token for, by HTCondor's own library."""
    tokens = folder / "tokens.d"
    tokens.mkdir(mode=0o700, exist_ok=True)
    file = tokens / "token"
    file.touch(mode=0o600)
    file.write_text(token + "\n")
    return subprocess.run(
        [sys.executable, "-c", PING, str(tokens), htcondor_pool.collector, level],
        env=os.environ | {"CONDOR_CONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_token_of_birdbath_is_accepted_by_a_real_schedd(
    htcondor_pool: HTCondorPool, tmp_path: Path
) -> None:
    token = minted(htcondor_pool.signing_key, htcondor_pool)
    done = ping(htcondor_pool, tmp_path, token, "WRITE")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["MyRemoteUserName"] == f"dave@{htcondor_pool.domain}"
    assert told["AuthMethods"] in ("IDTOKENS", "TOKEN")


def test_a_real_schedd_heeds_the_levels_of_such_a_token(htcondor_pool: HTCondorPool, tmp_path: Path) -> None:
    token = minted(htcondor_pool.signing_key, htcondor_pool, "--authz", "READ")
    assert ping(htcondor_pool, tmp_path, token, "READ").returncode == 0
    assert ping(htcondor_pool, tmp_path, token, "WRITE").returncode != 0


def test_a_token_of_another_key_is_refused_by_a_real_schedd(
    htcondor_pool: HTCondorPool, tmp_path: Path
) -> None:
    key = tmp_path / "POOL"
    key.write_bytes(new_signing_key())
    assert ping(htcondor_pool, tmp_path, minted(key, htcondor_pool), "READ").returncode != 0
