"""The whole cycle against a real server: what the client promises is what the server does."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from birdbath.client import (
    Ad,
    AdType,
    Collector,
    Expression,
    FileInfo,
    Job,
    JobId,
    OperationFailed,
    Schedd,
    Transaction,
)
from birdbath.client.errors import InvalidTransaction, UnknownFile, UnknownJob
from tests.clients.portal import until

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5


def sleeper(job: Job, seconds: int = 3600) -> Ad:
    return job.template("/bin/sleep", str(seconds), owner="alice")


def submitted(schedd: Schedd) -> JobId:
    """A job that runs for an hour."""
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        job.submit(sleeper(job))
    return job.id


def test_a_job_with_files(schedd: Schedd, tmp_path: Path) -> None:
    payload = os.urandom(300_001)
    (tmp_path / "payload.bin").write_bytes(payload)
    up: list[int] = []
    down: list[int] = []

    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/cat", "payload.bin", owner="alice")
        ad["Out"] = "job.out"
        job.upload(tmp_path / "payload.bin", chunk_size=65536, progress=lambda done, total: up.append(done))
        job.submit(ad)
    until(lambda: schedd.job_ad(*job.id)["JobStatus"] == COMPLETED)
    found = schedd.list_spool(*job.id)
    size = schedd.download(
        *job.id,
        "job.out",
        tmp_path / "job.out",
        chunk_size=65536,
        progress=lambda done, total: down.append(done),
    )

    assert (tmp_path / "job.out").read_bytes() == payload
    assert size == len(payload)
    assert FileInfo("job.out", size) in found
    assert up == down == [0, 65536, 131072, 196608, 262144, 300001]

    with pytest.raises(UnknownFile, match=r"has no file nothing"):
        schedd.download(*job.id, "nothing", io.BytesIO())
    part = io.BytesIO(payload[:1000])
    part.seek(1000)
    schedd.download(*job.id, "job.out", part, resume=True)
    assert part.getvalue() == payload

    schedd.close_spool(*job.id)
    with pytest.raises(UnknownJob):
        schedd.job_ad(*job.id)


def test_values_come_back_as_they_were_sent(schedd: Schedd) -> None:
    sent = Ad(
        {
            "Text": 'quotes " and \\ and zoë €',
            "Number": 2**62,
            "Real": 0.1,
            "Yes": True,
            "Formula": Expression("Number > 5 && Yes"),
        }
    )
    with schedd.transaction() as transaction:
        job = transaction.new_cluster().new_job()
        ad = sleeper(job)
        ad.update(sent)
        job.submit(ad)

    back = schedd.job_ad(*job.id)

    assert {name: back[name] for name in sent} == dict(sent)
    assert [listed["Text"] for listed in schedd.job_ads(f"ClusterId == {job.id.cluster}")] == [sent["Text"]]


def test_an_error_in_the_block_drops_everything(schedd: Schedd) -> None:
    kept: list[tuple[Transaction, Job]] = []

    def break_off() -> None:
        with schedd.transaction() as transaction:
            job = transaction.new_cluster().new_job()
            kept.append((transaction, job))
            job.submit(sleeper(job))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    [(transaction, job)] = kept
    assert list(schedd.job_ads(f"ClusterId == {job.id.cluster}")) == []
    with pytest.raises(InvalidTransaction):
        transaction.commit()


def test_jobs_of_a_cluster_are_numbered_and_seen_after_the_commit(schedd: Schedd) -> None:
    transaction = schedd.begin(30)
    cluster = transaction.new_cluster()
    jobs = [cluster.new_job() for _ in range(3)]
    for job in jobs:
        job.submit(sleeper(job))
    wanted = f"ClusterId == {cluster.id}"

    assert list(schedd.job_ads(wanted)) == []
    transaction.extend(20)
    assert transaction.lease.duration == 20
    transaction.commit()
    assert sorted(ad.integer("ProcId") for ad in schedd.job_ads(wanted)) == [0, 1, 2]

    schedd.remove_cluster(cluster.id, "enough")
    assert {ad["JobStatus"] for ad in schedd.job_ads(wanted)} <= {REMOVED}


def test_holding_releasing_removing(schedd: Schedd) -> None:
    job = submitted(schedd)

    schedd.hold(*job, "let me see")
    assert (schedd.job_ad(*job)["JobStatus"], schedd.job_ad(*job)["HoldReason"]) == (HELD, "let me see")
    with pytest.raises(OperationFailed):
        schedd.hold(*job)
    schedd.release(*job, "seen")
    assert schedd.job_ad(*job)["JobStatus"] != HELD
    schedd.remove(*job, "away", force=True)
    with pytest.raises(UnknownJob):
        schedd.job_ad(*job)


def test_inside_of_a_transaction_it_counts_from_the_commit_on(schedd: Schedd) -> None:
    job = submitted(schedd)

    with schedd.transaction() as transaction:
        schedd.hold(*job, "later", transaction=transaction)
        assert schedd.job_ad(*job)["JobStatus"] != HELD

    assert schedd.job_ad(*job)["JobStatus"] == HELD
    schedd.remove(*job, force=True)


def test_what_a_job_needs(schedd: Schedd) -> None:
    needed = schedd.discover_requirements({"Cmd": "run.sh", "In": "in.txt", "TransferInput": "a,b"})

    assert needed == ["a", "b", "in.txt", "run.sh"]
    schedd.request_reschedule()


def test_the_server_says_what_it_is(schedd: Schedd, collector: Collector) -> None:
    assert schedd.version().startswith("$CondorVersion: ")
    assert schedd.platform().startswith("$CondorPlatform: ")
    assert collector.version() == schedd.version()
    assert collector.platform() == schedd.platform()


def test_the_pool(collector: Collector) -> None:
    assert all(ad["MyType"] == "Machine" for ad in collector.startd_ads())
    assert [ad["MyType"] for ad in collector.schedd_ads()] == ["Scheduler"]
    assert [ad["MyType"] for ad in collector.master_ads('MyType == "DaemonMaster"')] != []
    assert {"Machine", "Scheduler", "Negotiator"} <= {ad.string("MyType") for ad in collector.any_ads()}
    assert list(collector.startd_ads("Memory < 0")) == []


@pytest.mark.parametrize(
    ("kind", "query"), [(AdType.LICENSE, Collector.license_ads), (AdType.STORAGE, Collector.storage_ads)]
)
def test_an_inserted_ad_is_found_and_replaced(
    collector: Collector, kind: AdType, query: Callable[..., object]
) -> None:
    ad = Ad({"Name": "mine", "MyType": "Thing", "MyAddress": "<127.0.0.1:1>", "Size": 1})

    assert collector.insert_ad(kind, ad) == "New ad inserted"
    ad["Size"] = 2
    assert collector.insert_ad(kind, ad) == "Updated ad"
    found = list(getattr(collector, query.__name__)('Name == "mine"'))
    assert [(entry["Size"], entry["MyType"]) for entry in found] == [(2, "Thing")]


def test_submitters_are_listed(schedd: Schedd, collector: Collector) -> None:
    job = submitted(schedd)

    until(lambda: any(ad.string("Name").startswith("alice@") for ad in collector.submitter_ads()))
    schedd.remove(*job, force=True)
