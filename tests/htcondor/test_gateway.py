"""A client of the SOAP interface in front of a real pool: its whole cycle, and the pool's other users."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from birdbath.client import Ad, Collector, Job, JobId, Schedd, Transaction
from birdbath.client.errors import OperationFailed, UnknownJob
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool

pytestmark = pytest.mark.toolkit

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5


def waiting_job(transaction: Transaction) -> Job:
    """A job that matches no machine."""
    job = transaction.new_cluster().new_job()
    job.submit(job.template("/bin/true", owner="alice", requirements="FALSE"))
    return job


def status(schedd: Schedd, job: JobId) -> object:
    return schedd.job_ad(*job)["JobStatus"]


def in_schedd(pool: HTCondorPool, job: JobId) -> list[dict[str, object]]:
    """The job as the pool's own tools show it."""
    found = pool.run("condor_q", "-all", "-json", "-constraint", f'BirdbathJob == "{job.cluster}.{job.proc}"')
    ads: list[dict[str, object]] = json.loads(found) if found.strip() else []
    return ads


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


def test_a_client_sees_its_own_ids_everywhere(schedd: Schedd, htcondor_pool: HTCondorPool) -> None:
    with schedd.transaction() as transaction:
        cluster = transaction.new_cluster()
        jobs = [cluster.new_job() for _ in range(3)]
        for job in jobs:
            ad = job.template("/bin/true", owner="alice", requirements="FALSE")
            ad["Number"] = job.id.proc * 11
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

    (real,) = in_schedd(htcondor_pool, first)
    assert isinstance(real["ClusterId"], int)
    assert real["ClusterId"] < 1_000_000_000
    assert not list(schedd.job_ads(f"ClusterId == {real['ClusterId']}"))
    with pytest.raises(UnknownJob):
        schedd.job_ad(real["ClusterId"], 0)
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
    first = waiting_job(transaction)
    bad = transaction.new_cluster().new_job()
    ad = bad.template("/bin/true", owner="alice")
    ad["Owner"] = "root"  # whom no schedd takes jobs of
    bad.submit(ad)
    with pytest.raises(OperationFailed, match="owner"):
        transaction.commit()
    with pytest.raises(UnknownJob):
        schedd.job_ad(*first.id)
    until(lambda: not in_schedd(htcondor_pool, first.id))
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
    assert {ad["MyType"] for ad in collector.master_ads()} == {"DaemonMaster"}


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
    seen: Ad = schedd.job_ad(*job.id)
    assert {name: seen[name] for name in strange} == strange
    assert (seen["Real"], seen["Arguments"]) == (2.5, "a 'b c'")
    schedd.remove(*job.id)
