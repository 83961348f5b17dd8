"""The traps of HTCondor's bindings, none of which a client or the gateway falls into.

Others stand where what they would spoil is tested: a frozen schedd and the deadlines of calls in
`test_trouble`, what the submit language would take for a command in `test_submission`, constraints of many
terms in `test_submission` and `test_decisions`, whose job it is in `test_owners`, jobs held from the start
and reasons of holds in `test_gateway`, reasons to the letter in the conformance tests of actions.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from birdbath.client import Schedd
from birdbath.client.errors import OperationFailed
from birdbath.pool.htcondor import workers
from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.workers import Call, Workers
from tests.htcondor.test_gateway import IDLE, in_schedd, status, waiting_job
from tests.htcondor_pool import HTCondorPool

pytestmark = pytest.mark.toolkit

SUBMITS = """
import sys
from pathlib import Path
from birdbath.pool.htcondor import calls
from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.requests import Submission

session = calls.Session(Connection(), "trap")
row = {"v_initialdir": sys.argv[1]}
commands = {"executable": "/bin/true", "transfer_executable": "false", "MY.Owner": '"alice"',
            "requirements": "false", "initialdir": "$(v_initialdir)", "MY.BirdbathCommit": '"trap"'}
one = [Submission(1, "alice", 1, commands, [row])]
session.prepare(one)
before = sys.getrefcount(None)
for _ in range(30):
    session.prepare(one)
print(before - sys.getrefcount(None))
session.undo('BirdbathCommit == "trap"')
"""
"""Prints how many references to None thirty submissions have lost."""

READS = """
import resource
from birdbath.classads import Ad

def rounds(count):
    for number in range(count):
        Ad.from_json('[["A","n","1"],["B","s","text"]]').compiled().eval("B")
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

before = rounds(2_000)
print(rounds(30_000) - before)
"""
"""Prints by how many bytes a process has grown that read and evaluated 30,000 ads."""


def children(process: int) -> list[str]:
    """Of all its threads."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def test_submissions_lose_no_reference_to_none(htcondor_pool: HTCondorPool, tmp_path: Path) -> None:
    """Python of before 3.12 ends when there is none left."""
    tmp_path.chmod(0o755)
    connection = Connection(str(htcondor_pool.configuration))
    command = [sys.executable, "-c", SUBMITS, str(tmp_path)]
    done = subprocess.run(
        command, env=connection.environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 15


def test_a_worker_is_replaced_before_what_the_bindings_leak_adds_up(
    htcondor_pool: HTCondorPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_RECYCLED_AFTER", 2)
    pool = Workers(Connection(str(htcondor_pool.configuration)), "trap", 1)
    try:
        before = set(children(os.getpid()))
        seen = []
        for _ in range(3):
            assert pool.ask(Call("ping", (), 60.0)).result()
            seen.append(set(children(os.getpid())) - before)
    finally:
        pool.close()
    assert len(seen[0]) == 1
    assert seen[1] == set()
    assert len(seen[2]) == 1
    assert seen[2] != seen[0]


def test_ads_leave_nothing_behind() -> None:
    """The class-ad library loses 144 bytes at each look into an ad, until it has made one by itself."""
    done = subprocess.run([sys.executable, "-c", READS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30_000 * 72


def test_hundreds_of_ids_select_their_jobs(schedd: Schedd, htcondor_pool: HTCondorPool) -> None:
    """A schedd answers a chain of four hundred `||` with nothing."""
    with schedd.transaction() as transaction:
        own = waiting_job(transaction).id.cluster
    other = htcondor_pool.submit(executable="/bin/true", transfer_executable="false", hold="true")
    terms = [f"ClusterId == {2_000_000_000 + number}" for number in range(600)]
    wanted = " || ".join([f"ClusterId == {own}", *terms, f"ClusterId == {other}"])
    assert {ad["ClusterId"] for ad in schedd.job_ads(wanted)} == {own, other}
    assert {ad["ClusterId"] for ad in schedd.job_ads(f"TRUE && ({wanted})")} == {own, other}
    htcondor_pool.run("condor_rm", str(other))
    schedd.remove_cluster(own)


@pytest.mark.parametrize(
    "text",
    ["one\nqueue 100", 'one\r\nMY.Owner = "bob"', "one\ninclude : /usr/bin/touch {made} |"],
)
def test_what_the_job_queue_cannot_keep_is_refused_and_can_be_corrected(
    text: str, schedd: Schedd, htcondor_pool: HTCondorPool, tmp_path: Path
) -> None:
    """A line break in a value would be more commands; `include` would run a program on the gateway."""
    made = tmp_path / "made"
    transaction = schedd.begin(60)
    job = transaction.new_cluster().new_job()
    ad = job.template("/bin/true", owner="alice", requirements="FALSE")
    ad.update({"Note": text.format(made=made), "TestMark": tmp_path.name})
    with pytest.raises(OperationFailed, match="a line break cannot stand in a job attribute"):
        job.submit(ad)
    ad["Note"] = "one"
    job.submit(ad)
    transaction.commit()
    assert status(schedd, job.id) == IDLE
    assert not made.exists()
    assert len(in_schedd(htcondor_pool, tmp_path.name)) == 1
    schedd.remove(*job.id)
    schedd.close_spool(*job.id)


def test_a_number_of_more_than_64_bits_ends_no_worker(schedd: Schedd) -> None:
    transaction = schedd.begin(60)
    job = transaction.new_cluster().new_job()
    ad = job.template("/bin/true", owner="alice", requirements="FALSE")
    ad["Big"] = 2**63
    try:
        job.submit(ad)
    except (OperationFailed, ValueError):
        del ad["Big"]
        job.submit(ad)
    transaction.commit()
    assert status(schedd, job.id) == IDLE
    schedd.remove(*job.id)
