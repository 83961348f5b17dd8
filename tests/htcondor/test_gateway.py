"""A client of the SOAP interface in front of a real pool: its whole cycle, and the pool's other users."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from birdbath.client import Ad, Collector, Job, JobId, Schedd, Transaction
from birdbath.client.errors import OperationFailed, UnknownJob
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess

pytestmark = pytest.mark.toolkit

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5


def waiting_job(transaction: Transaction, mark: str = "") -> Job:
    """A job that matches no machine."""
    job = transaction.new_cluster().new_job()
    ad = job.template("/bin/true", owner="alice", requirements="FALSE")
    ad["TestMark"] = mark
    job.submit(ad)
    return job


def committed_ad(schedd: Schedd, job: JobId) -> Ad:
    """The ad of a job that was committed; a busy schedd may let it be seen some time after the answer."""

    def is_seen() -> bool:
        try:
            schedd.job_ad(*job)
        except UnknownJob:
            return False
        return True

    until(is_seen)
    return schedd.job_ad(*job)


def status(schedd: Schedd, job: JobId) -> object:
    return committed_ad(schedd, job)["JobStatus"]


def in_schedd(pool: HTCondorPool, mark: str) -> list[int]:
    """The clusters of jobs with this TestMark, by the schedd's own ids."""
    found = pool.run("condor_q", "-all", "-constraint", f'TestMark == "{mark}"', "-af", "ClusterId")
    return [int(line) for line in found.split()]


def content(schedd: Schedd, job: JobId, name: str) -> bytes:
    target = io.BytesIO()
    schedd.download(*job, name, target)
    return target.getvalue()


def test_an_uploaded_program_reads_its_file_and_returns_its_output(schedd: Schedd, tmp_path: Path) -> None:
    program = tmp_path / "count.sh"
    program.write_text('#!/bin/sh\nwc -c < "$1"\necho "from $2" >&2\necho extra > made.txt\n')
    (tmp_path / "data.bin").write_bytes(bytes(300_001))
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        ad = job.template("count.sh", "data.bin here", owner="alice")
        ad.update({"Out": "out.txt", "Err": "err.txt"})
        job.upload(tmp_path / "count.sh")
        job.upload(tmp_path / "data.bin")
        job.submit(ad)
    until(lambda: status(schedd, job.id) == COMPLETED)

    names = {file.name for file in schedd.list_spool(*job.id)}
    assert {"count.sh", "data.bin", "out.txt", "err.txt", "made.txt"} <= names
    assert content(schedd, job.id, "out.txt") == b"300001\n"
    assert content(schedd, job.id, "err.txt") == b"from here\n"
    assert content(schedd, job.id, "made.txt") == b"extra\n"
    assert len(content(schedd, job.id, "data.bin")) == 300_001

    schedd.close_spool(*job.id)
    with pytest.raises(UnknownJob):
        schedd.job_ad(*job.id)
    assert schedd.list_spool(*job.id) == []


def test_what_a_running_job_streams_is_there_before_its_end(schedd: Schedd) -> None:
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/sh", "begin.sh", owner="alice")
        ad.update({"Out": "out.txt", "StreamOut": True})
        job.upload(b"echo begun; exec sleep 1000", name="begin.sh")
        job.submit(ad)
    until(
        lambda: (
            {"out.txt": 6}.items() <= {file.name: file.size for file in schedd.list_spool(*job.id)}.items()
        )
    )
    assert (status(schedd, job.id), content(schedd, job.id, "out.txt")) == (RUNNING, b"begun\n")
    schedd.remove(*job.id, force=True)


def test_a_client_sees_its_own_ids_everywhere(schedd: Schedd, htcondor_pool: HTCondorPool) -> None:
    with schedd.transaction() as transaction:
        cluster = transaction.new_cluster()
        jobs = [cluster.new_job() for _ in range(3)]
        for job in jobs:
            ad = job.template("/bin/true", owner="alice", requirements="FALSE")
            ad.update({"Number": job.id.proc * 11, "TestMark": "own ids"})
            job.submit(ad)
    first = jobs[0].id
    by_id = list(schedd.job_ads(f"ClusterId == {first.cluster}"))
    assert {ad["ProcId"] for ad in by_id} == {0, 1, 2}
    assert {ad["ClusterId"] for ad in by_id} == {first.cluster}
    assert {ad["ProcId"]: ad["Number"] for ad in by_id} == {0: 0, 1: 11, 2: 22}
    (one,) = schedd.job_ads(f"ClusterId =?= {first.cluster} && ProcId == 2")
    assert f"#{first.cluster}.2#" in str(one["GlobalJobId"])
    assert not [name for name in one if name.lower().startswith("birdbath")]
    assert one["Requirements"] is False

    (real,) = set(in_schedd(htcondor_pool, "own ids"))
    assert real < 1_000_000_000
    assert not list(schedd.job_ads(f"ClusterId == {real}"))
    with pytest.raises(UnknownJob):
        schedd.job_ad(real, 0)
    schedd.remove_cluster(first.cluster)


def test_jobs_of_others_keep_their_ids_and_are_left_alone(
    schedd: Schedd, htcondor_pool: HTCondorPool
) -> None:
    cluster = htcondor_pool.submit(executable="/bin/true", transfer_executable="false", hold="true")
    assert schedd.job_ad(cluster, 0)["JobStatus"] == HELD
    (listed,) = schedd.job_ads(f"ClusterId == {cluster}")
    assert listed["Cmd"] == "/bin/true"
    with schedd.transaction() as transaction:
        own = waiting_job(transaction)
    schedd.remove(*own.id)
    schedd.close_spool(*own.id)
    assert schedd.job_ad(cluster, 0)["JobStatus"] == HELD
    htcondor_pool.run("condor_rm", str(cluster))
    until(lambda: not list(schedd.job_ads(f"ClusterId == {cluster}")))


def test_hold_release_and_remove(schedd: Schedd) -> None:
    with schedd.transaction() as transaction:
        job = waiting_job(transaction)
    assert status(schedd, job.id) == IDLE
    schedd.hold(*job.id, reason="not now")
    held = schedd.job_ad(*job.id)
    assert held["JobStatus"] == HELD
    assert str(held["HoldReason"]).startswith("not now")
    with pytest.raises(OperationFailed):
        schedd.hold(*job.id)
    schedd.release(*job.id)
    assert status(schedd, job.id) == IDLE
    with pytest.raises(OperationFailed):
        schedd.release(*job.id)
    schedd.remove(*job.id, reason="not wanted")
    removed = schedd.job_ad(*job.id)
    assert removed["JobStatus"] == REMOVED
    assert str(removed["RemoveReason"]).startswith("not wanted")
    schedd.close_spool(*job.id)
    with pytest.raises(UnknownJob):
        schedd.job_ad(*job.id)


def test_what_a_transaction_staged_is_done_at_commit(schedd: Schedd) -> None:
    with schedd.transaction() as transaction:
        waiting = waiting_job(transaction)
    with schedd.transaction() as transaction:
        held = transaction.new_cluster().new_job()
        held.submit(held.template("/bin/true", owner="alice"))
        schedd.hold(*held.id, reason="from the start", transaction=transaction)
        schedd.remove(*waiting.id, transaction=transaction)
        assert status(schedd, waiting.id) == IDLE
    ad = schedd.job_ad(*held.id)
    assert (ad["JobStatus"], ad["NumJobStarts"]) == (HELD, 0)
    assert str(ad["HoldReason"]).startswith("from the start")
    assert status(schedd, waiting.id) == REMOVED


def test_several_clusters_come_together_or_not_at_all(schedd: Schedd, htcondor_pool: HTCondorPool) -> None:
    with schedd.transaction() as transaction:
        good = [waiting_job(transaction) for _ in range(2)]
    assert [status(schedd, job.id) for job in good] == [IDLE, IDLE]

    transaction = schedd.begin(60)
    first = waiting_job(transaction, "refused")
    bad = transaction.new_cluster().new_job()
    ad = bad.template("/bin/true", owner="alice")
    ad["Owner"] = "root"  # whom no schedd takes jobs of
    bad.submit(ad)
    with pytest.raises(OperationFailed, match="owner"):
        transaction.commit()
    with pytest.raises(UnknownJob):
        schedd.job_ad(*first.id)
    until(lambda: not in_schedd(htcondor_pool, "refused"))
    # The transaction is still its client's: what was wrong can be corrected.
    ad["Owner"] = "alice"
    ad["Requirements"] = False
    bad.submit(ad)
    transaction.commit()
    assert [status(schedd, job.id) for job in (first, bad)] == [IDLE, IDLE]


def test_the_collector_answers_with_the_pools_machines(
    collector: Collector, htcondor_pool: HTCondorPool
) -> None:
    (slot,) = collector.startd_ads('Name == "slot1@pool.example.org"')
    assert (slot["MyType"], slot["OpSys"]) == ("Machine", "LINUX")
    assert not list(collector.startd_ads("Cpus > 100000"))
    (schedd,) = collector.schedd_ads("HasSOAPInterface =?= TRUE")
    assert str(schedd["Name"]).startswith("pool.example.org")
    # A master that has just started tells the collector last.
    until(lambda: {ad["MyType"] for ad in collector.master_ads()} == {"DaemonMaster"})


def test_the_ad_is_the_clients_to_the_letter(schedd: Schedd) -> None:
    strange = {
        "Quoted": 'say "yes"',
        "Backslash": "C:\\dir\\",
        "Macro": "$(HOME) $ENV(HOME) $$(Arch) 100$",
        "Comma": ", ; | & # =",
        "Umlaut": "größe €",
        "Blank": "  around  ",
        "Queue": "queue 100",
    }
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/true", "a 'b c'", owner="alice", requirements="FALSE")
        ad.update(strange)
        ad["Real"] = 2.5
        job.submit(ad)
    seen = committed_ad(schedd, job.id)
    assert {name: seen[name] for name in strange} == strange
    assert (seen["Real"], seen["Arguments"]) == (2.5, "a 'b c'")
    schedd.remove(*job.id)


def test_a_dag_is_run_by_the_pools_own_dagman(schedd: Schedd, gateway: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "node.sub").write_text(
        "executable = /bin/echo\ntransfer_executable = false\narguments = this is $(JOB)\n"
        "output = $(JOB).out\nerror = $(JOB).err\nlog = nodes.log\nqueue\n"
    )
    (tmp_path / "two.dag").write_text("JOB A node.sub\nJOB B node.sub\nPARENT A CHILD B\n")
    options = ["--owner", "alice", "--url", gateway.url]
    command = [sys.executable, "-m", "birdbath", "submit", *options, "two.dag"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    cluster = int(done.stdout.rpartition("cluster ")[2].strip().rstrip("."))
    job = JobId(cluster, 0)
    until(lambda: status(schedd, job) == COMPLETED)
    ad = schedd.job_ad(*job)
    assert (ad["DAG_NodesDone"], ad["DAG_NodesTotal"], ad["ExitCode"]) == (2, 2, 0)
    assert content(schedd, job, "A.out") == b"this is A\n"
    assert content(schedd, job, "B.out") == b"this is B\n"
    assert b"EXITING WITH STATUS 0" in content(schedd, job, "two.dag.dagman.out")


def test_events_have_the_clients_ids(schedd: Schedd, gateway: ServerProcess) -> None:
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        job.submit(job.template("/bin/true", owner="alice"))
    until(lambda: status(schedd, job.id) == COMPLETED)
    topic = f"job.*.alice.{job.id.cluster}.0"

    def kinds() -> list[str]:
        events = httpx.get(
            f"{gateway.url}/events", params={"topic": topic, "after": "0", "wait": "0"}, timeout=60
        )
        return [event["data"]["MyType"] for event in events.json()]

    until(lambda: "JobTerminatedEvent" in kinds())
    assert [kind for kind in kinds() if kind != "FileTransferEvent" and kind != "JobImageSizeEvent"] == [
        "SubmitEvent",
        "ExecuteEvent",
        "JobTerminatedEvent",
    ]


def test_the_version_and_platform_name_the_pool_and_birdbath(
    schedd: Schedd, collector: Collector, htcondor_pool: HTCondorPool
) -> None:
    version, platform, _ = htcondor_pool.run("condor_version").split("\n", 2)
    for daemon in (schedd, collector):
        assert daemon.version().startswith("$CondorVersion: 8.4.12 ")
        assert " BuildID: Birdbath-" in daemon.version()
        assert daemon.version().endswith(f" Pool: {version.partition(': ')[2]}")
    assert schedd.platform().endswith(f"/{platform.partition(': ')[2]}")
