"""`birdbath recommend`, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pools.several import schedd, several_pools
from tests.server_process import REPOSITORY, ServerProcess, running_server

RULE = """
[[federation_rules]]
when = 'Owner == "guest"'
pools = ["small"]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with several_pools(tmp_path_factory.mktemp("recommend"), RULE) as server:
        yield server


def birdbath(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "birdbath", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def description(folder: Path, memory: int) -> str:
    file = folder / "job.sub"
    file.write_text(f"executable = /bin/true\nrequest_memory = {memory}\nqueue\n")
    return str(file)


def test_it_says_where_and_why(server: ServerProcess, tmp_path: Path) -> None:
    done = birdbath("recommend", description(tmp_path, 50000), "--url", server.url)
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith("large: ")
    assert "  small: 0 of 2 machines match, 0 of them free" in others
    assert list(schedd(server, "federation").job_ads()) == []


def test_json_and_rules(server: ServerProcess, tmp_path: Path) -> None:
    file = description(tmp_path, 100)
    done = birdbath("recommend", file, "--json", "--owner", "guest", "--url", server.url)
    found = json.loads(done.stdout)
    assert found["pool"] == "small"
    by_pool = {pool["pool"]: pool for pool in found["pools"]}
    assert by_pool["small"]["allowed"]
    assert not by_pool["large"]["allowed"]
    assert by_pool["large"]["answered"]
    assert by_pool["large"]["why"] == "the rules send these jobs elsewhere"


def test_a_server_with_one_pool_refuses(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done = birdbath("recommend", description(tmp_path, 100), "--url", server.url)
    assert done.returncode == 1
    assert "one pool" in done.stderr
