"""What /health/ready says of a server whose disk fails, and that it says so no longer when it does not."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.crash.wire import Wire, job_element, transaction_element
from tests.faults.sick_disk import MAKE, RENAME, SYNC, WRITE, Illness, SickDisk, compile_library
from tests.server_process import ServerProcess, running_server, serve_command
from tests.soap.wire import call

pytestmark = pytest.mark.toolkit

FULL = Illness(WRITE | MAKE, errno.ENOSPC, sticky=True)
READ_ONLY = Illness(WRITE | MAKE | RENAME | SYNC, errno.EROFS, sticky=True)
PATIENCE = 60.0
BEGIN = call("beginTransaction", "<duration>600</duration>")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_library(tmp_path_factory.mktemp("sick"))


@pytest.fixture
def disk(library: Path, tmp_path: Path) -> SickDisk:
    return SickDisk(library, tmp_path / "home")


@pytest.fixture
def server(disk: SickDisk, tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "home", environment=disk.environment) as running:
        yield running


def ready(server: ServerProcess) -> tuple[int, dict[str, str]]:
    reply = requests.get(f"{server.url}/health/ready", timeout=60)
    told = reply.json()
    assert told["status"] == ("ready" if reply.status_code == 200 else "unwell")
    return reply.status_code, told["troubles"]


def ask_until(server: ServerProcess, wanted: int) -> dict[str, str]:
    """The troubles, as soon as the status is the wanted one."""
    deadline = time.monotonic() + PATIENCE
    while (found := ready(server))[0] != wanted:
        assert time.monotonic() < deadline, found
    return found[1]


@pytest.mark.parametrize(("illness", "reason"), [(FULL, "full"), (READ_ONLY, "")])
def test_a_server_is_unwell_while_its_disk_is_and_recovers(
    illness: Illness, reason: str, server: ServerProcess, disk: SickDisk
) -> None:
    assert ready(server) == (200, {})
    disk.fall_ill(illness, 1)
    refused = requests.post(server.url, BEGIN, timeout=60).text
    assert "<code>FAIL</code>" in refused
    troubles = ask_until(server, 503)
    assert "cannot be written" in troubles["database"]
    assert reason in troubles["database"]
    assert requests.get(f"{server.url}/health/live", timeout=60).status_code == 200
    disk.heal()
    assert ask_until(server, 200) == {}
    assert "<code>SUCCESS</code>" in requests.post(server.url, BEGIN, timeout=60).text


def test_background_work_that_fails_is_told(server: ServerProcess, disk: SickDisk) -> None:
    submit_job_that_runs_for_ever(server)  # an idle server has nothing to write
    disk.fall_ill(FULL, 1)
    deadline = time.monotonic() + PATIENCE
    while "background" not in (troubles := ready(server)[1]):
        assert time.monotonic() < deadline, troubles
    assert "failed while" in troubles["background"]
    disk.heal()
    ask_until(server, 200)


def submit_job_that_runs_for_ever(server: ServerProcess) -> None:
    """Queue a job that is run again whenever it has ended."""
    wire = Wire(int(server.url.rpartition(":")[2]))
    identifier = wire.begin(600)
    transaction = transaction_element(identifier, 600)
    job = job_element(cluster := wire.new_cluster(transaction), wire.new_job(transaction, cluster))
    attributes = {
        "Owner": ("STRING-ATTR", "alice"),
        "Cmd": ("STRING-ATTR", "/bin/true"),
        "JobUniverse": ("INTEGER-ATTR", "5"),
        "Requirements": ("EXPRESSION-ATTR", "TRUE"),
        "OnExitRemove": ("EXPRESSION-ATTR", "FALSE"),
    }
    wire.submit(transaction, job, attributes)
    wire.commit(transaction)
    wire.close()


def test_a_disk_that_is_nearly_full_is_told(tmp_path: Path) -> None:
    with running_server(tmp_path, environment={"BIRDBATH_MIN_FREE_BYTES": str(1 << 60)}) as server:
        status, troubles = ready(server)
    assert (status, set(troubles)) == (503, {"disk"})
    assert "min_free_bytes asks for more" in troubles["disk"]


@pytest.mark.parametrize("there_before", [False, True])
def test_a_server_on_a_read_only_disk_says_so_and_does_not_start(
    there_before: bool, disk: SickDisk, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    if there_before:
        with running_server(home):
            pass
    else:
        home.mkdir()
    disk.fall_ill(READ_ONLY, 1)
    done = subprocess.run(
        serve_command("--home", str(home), "--port", "0"),
        env=os.environ | disk.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode not in (0, -9)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("birdbath: ")
    disk.heal()
    with running_server(home, environment=disk.environment) as server:
        assert ready(server)[0] == 200
