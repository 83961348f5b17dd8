"""Files of any size go through the gateway and its workers, which spool and fetch them, in pieces."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from birdbath.client import Schedd
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess, running_server

pytestmark = pytest.mark.toolkit

MIB = 1 << 20
SIZE = 64 * MIB
COMPLETED = 4


def peaks(server: ServerProcess) -> dict[int, int]:
    """VmHWM, in bytes, of the gateway and each of its workers, by process."""
    threads = Path(f"/proc/{server.process.pid}/task").iterdir()
    children = {int(child) for thread in threads for child in (thread / "children").read_text().split()}
    found = {}
    for process in (server.process.pid, *children):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        found[process] = int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
    return found


def there_and_back(schedd: Schedd, file: Path, folder: Path) -> str:
    """Upload a file, have a job copy it to its output, and download that: its digest."""
    with schedd.transaction(3600) as transaction:
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/cat", file.name, owner="alice")
        ad["Out"] = "out"
        job.upload(file)
        job.submit(ad)
    until(lambda: schedd.job_ad(*job.id)["JobStatus"] == COMPLETED)
    back = folder / "back"
    with back.open("wb") as target:
        schedd.download(*job.id, "out", target)
    schedd.remove(*job.id, force=True)
    with back.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def test_neither_gateway_nor_workers_grow_with_a_file(tmp_path: Path, htcondor_pool: HTCondorPool) -> None:
    tmp_path.chmod(0o755)
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"small")
    data = random.Random(6).randbytes(MIB)
    with large.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(data)
    environment = {"BIRDBATH_HTCONDOR_CONFIG": str(htcondor_pool.configuration)}
    with running_server(tmp_path / "home", "--pool", "htcondor", environment=environment) as server:
        schedd = Schedd(server.url)
        there_and_back(schedd, small, tmp_path)
        before = peaks(server)
        digest = there_and_back(schedd, large, tmp_path)
        after = peaks(server)
    with large.open("rb") as sent:
        assert digest == hashlib.file_digest(sent, "sha256").hexdigest()
    grown = {process: size - before.get(process, max(before.values())) for process, size in after.items()}
    assert len(grown) > 2  # the gateway, workers for the queue and for files
    assert max(grown.values()) < SIZE / 4
