"""Commits that come at the same time share a cluster of the schedd, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from birdbath.classads import Ad, Expression
from birdbath.client import JobId, Queries, Schedd
from birdbath.client.errors import OperationFailed
from birdbath.pool import base
from birdbath.pool.htcondor.connection import PoolRefused, RefusedTogether
from birdbath.pool.htcondor.journal import Queued
from birdbath.pool.htcondor.requests import Submission
from birdbath.pool.htcondor.sharing import Sharing, joined, may_share
from birdbath.pool.htcondor.submission import StagedFiles, submission
from birdbath.pool.htcondor.workers import Call
from tests.htcondor.test_gateway import COMPLETED, REMOVED, content, status
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess, running_server

CLUSTER = 1_000_000_001
COMMITS = 6


def cluster(number: int, procs: int = 1, **attributes: object) -> Submission:
    jobs = []
    for proc in range(procs):
        ad = Ad()
        ad.update({"Owner": "alice", "Cmd": "/bin/true", "JobUniverse": 5, "Number": 10 * number + proc})
        ad.update(attributes)  # type: ignore[arg-type]
        jobs.append(base.NewJob(base.JobId(CLUSTER + number, proc), ad))
    staged = {new.id: StagedFiles(f"/spool/{new.id}", frozenset()) for new in jobs}
    return submission(jobs, staged, "gateway", f"run-{number}")


def variables(found: Submission, name: str) -> list[str]:
    """An attribute of each proc, as the submit language would find it."""
    text = found.commands[f"MY.{name}"]
    return [row[text[2:-1]] if text.startswith("$(v_") else text for row in found.rows]


def test_what_shares_keeps_its_own_attributes() -> None:
    alone = [cluster(1), cluster(2, procs=2), cluster(3)]
    found = joined(alone)
    assert (found.procs, len(found.rows)) == (4, 4)
    for name in ("Number", "Cmd", "BirdbathJob", "BirdbathCommit", "BirdbathCluster", "Owner"):
        assert variables(found, name) == [text for one in alone for text in variables(one, name)]
    assert variables(found, "Number") == ["10", "20", "21", "30"]
    assert found.commands["MY.Owner"] == '"alice"'
    assert [row["v_initialdir"] for row in found.rows] == [
        f"/spool/{CLUSTER + number}.{proc}" for number, proc in ((1, 0), (2, 0), (2, 1), (3, 0))
    ]
    assert {frozenset(row) for row in found.rows} == {frozenset(found.rows[0])}
    assert joined(alone[:1]) is alone[0]


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (cluster(1, procs=11), 0),
        (cluster(1), 2 << 20),
        (cluster(1, JobUniverse=7), 0),
        (cluster(1, Requirements=Expression("Disk > ProcId")), 0),
        (cluster(1, Arguments="$$([procid])"), 0),
    ],
)
def test_what_is_large_or_looks_at_its_proc_does_not_share(found: Submission, size: int) -> None:
    assert not may_share(found, size)
    assert may_share(cluster(1, procs=10), 1 << 20)


class Worker:
    """Notes what it is asked to prepare; each answer is given by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[Call, Future[list[int]]]] = []

    def prepare(self, call: Call, owner: str) -> Future[list[int]]:
        assert (call.name, owner) == ("prepare", "alice")
        answered: Future[list[int]] = Future()
        self.asked.append((call, answered))
        return answered

    def procs(self) -> list[int]:
        """Of each submission asked for."""
        return [submitted.procs for call, _ in self.asked for submitted in call.arguments[0]]


def test_what_comes_during_a_submission_shares_the_next() -> None:
    worker = Worker()
    sharing = Sharing(worker.prepare)
    told = [sharing.submit(cluster(number, procs=number), 20) for number in (1, 2, 3)]
    other = sharing.submit(cluster(4, More=True), 20)
    assert worker.procs() == [1, 1]  # one that has other attributes does not wait
    worker.asked[0][1].set_result([17])
    assert worker.procs() == [1, 1, 5]
    worker.asked[2][1].set_result([18])
    worker.asked[1][1].set_result([19])
    assert [future.result(0) for future in (*told, other)] == [
        Queued(CLUSTER + 1, 1, "alice", 17),
        Queued(CLUSTER + 2, 2, "alice", 18),
        Queued(CLUSTER + 3, 3, "alice", 18, 2),
        Queued(CLUSTER + 4, 1, "alice", 19),
    ]


def test_who_was_refused_with_others_is_told_so() -> None:
    worker = Worker()
    sharing = Sharing(worker.prepare)
    told = [sharing.submit(cluster(number), 20) for number in (1, 2, 3)]
    worker.asked[0][1].set_exception(PoolRefused("no"))
    worker.asked[1][1].set_exception(PoolRefused("none of them"))
    refusals = [future.exception(0) for future in told]
    assert [type(error) for error in refusals] == [PoolRefused, RefusedTogether, RefusedTogether]
    assert str(refusals[2]) == "none of them"


def test_nobody_waits_longer_than_was_said() -> None:
    worker = Worker()
    sharing = Sharing(worker.prepare)
    for number, seconds in enumerate((1000, 50, 5000)):
        sharing.submit(cluster(number), seconds)
    worker.asked[0][1].set_result([17])
    assert worker.asked[1][0].seconds <= 50


# In front of a real pool


@pytest.fixture
def shared(tmp_path: Path, htcondor_pool: HTCondorPool) -> Iterator[ServerProcess]:
    environment = {
        "BIRDBATH_HTCONDOR_CONFIG": str(htcondor_pool.configuration),
        "BIRDBATH_HTCONDOR_EVENT_LOG": str(htcondor_pool.event_log),
        "BIRDBATH_HTCONDOR_TIMEOUT": "120",
    }
    with running_server(tmp_path, "--pool", "htcondor", environment=environment) as server:
        yield server


def committed_together(
    server: ServerProcess, home: Path, pool: HTCondorPool, mark: str, refused: Sequence[int] = ()
) -> list[tuple[JobId, BaseException | None]]:
    """Jobs of as many transactions, whose commits all came while the schedd stood still, and what became of
    each commit; the pool refuses some.
    """
    transactions = []
    for number in range(COMMITS):
        transaction = Schedd(server.url).begin(600)
        job = transaction.new_cluster().new_job()
        ad = job.template("/bin/cat", "in", owner="alice")
        ad.update({"Out": "out", "TestMark": mark, "TestNumber": number, "TestRefused": number in refused})
        job.upload(f"input {number}".encode(), name="in")
        job.submit(ad)
        transactions.append((job.id, transaction))
    with ThreadPoolExecutor(COMMITS) as threads:
        with pool.frozen("SCHEDD"):
            commits = [threads.submit(transaction.commit) for _, transaction in transactions]
            until(lambda: _commits_that_wait(home) == COMMITS)
        return [(job, commit.exception()) for (job, _), commit in zip(transactions, commits, strict=True)]


def _commits_that_wait(home: Path) -> int:
    with closing(sqlite3.connect(home / "birdbath.db")) as database:
        return int(database.execute("SELECT count(*) FROM htcondor_commits").fetchone()[0])


def _in_schedd(pool: HTCondorPool, mark: str) -> dict[int, str]:
    """By TestNumber, the schedd's own ids of jobs."""
    found = pool.run(
        *("condor_q", "-all", "-constraint", f'TestMark == "{mark}"'),
        *("-af", "TestNumber", "ClusterId", "ProcId"),
    )
    return {int(number): f"{c}.{p}" for number, c, p in map(str.split, found.splitlines())}


@pytest.mark.toolkit
def test_each_client_sees_a_cluster_of_its_own(
    shared: ServerProcess, tmp_path: Path, htcondor_pool: HTCondorPool
) -> None:
    told = committed_together(shared, tmp_path, htcondor_pool, "together")
    assert [error for _, error in told] == [None] * COMMITS
    jobs = [job for job, _ in told]
    real = _in_schedd(htcondor_pool, "together")
    assert len({name.partition(".")[0] for name in real.values()}) < COMMITS

    schedd = Schedd(shared.url)
    until(lambda: all(status(schedd, job) == COMPLETED for job in jobs))
    listed = list(schedd.job_ads('TestMark == "together" && ProcId == 0'))
    assert sorted((ad["ClusterId"], ad["ProcId"]) for ad in listed) == sorted(jobs)
    for number, job in enumerate(jobs):
        ad = schedd.job_ad(*job)
        assert (ad["TestNumber"], ad["TotalSubmitProcs"]) == (number, 1)
        assert f"#{job.cluster}.0#" in str(ad["GlobalJobId"])
        assert content(schedd, job, "out") == f"input {number}".encode()
        assert [one["ProcId"] for one in schedd.job_ads(f"ClusterId == {job.cluster}")] == [0]
        until(lambda job=job: "JobTerminatedEvent" in _events(shared, job))  # type: ignore[misc]

    schedd.remove_cluster(jobs[0].cluster)
    assert [status(schedd, job) for job in jobs] == [REMOVED] + [COMPLETED] * (COMMITS - 1)
    for job in jobs:
        schedd.close_spool(*job)
    until(lambda: _past(shared, "together") == sorted(jobs))


def _past(server: ServerProcess, mark: str) -> list[tuple[object, object]]:
    found = Queries(server.url).history(f'TestMark == "{mark}" && ProcId == 0')
    return sorted((ad["ClusterId"], ad["ProcId"]) for ad in found)


def _events(server: ServerProcess, job: JobId) -> list[Any]:
    topic = f"job.*.alice.{job.cluster}.0"
    found = httpx.get(f"{server.url}/events", params={"topic": topic, "after": "0", "wait": "0"}, timeout=60)
    return [event["data"]["MyType"] for event in found.json()]


@pytest.mark.toolkit
def test_one_that_the_pool_refuses_is_refused_alone(
    shared: ServerProcess, tmp_path: Path, htcondor_pool: HTCondorPool
) -> None:
    told = committed_together(shared, tmp_path, htcondor_pool, "one refused", refused=[3])
    assert [isinstance(error, OperationFailed) for _, error in told] == [n == 3 for n in range(COMMITS)]
    assert "TestRefused" in str(told[3][1])
    assert _in_schedd(htcondor_pool, "one refused").keys() == set(range(COMMITS)) - {3}
    schedd = Schedd(shared.url)
    for job in (job for job, error in told if error is None):
        until(lambda job=job: status(schedd, job) == COMPLETED)  # type: ignore[misc]
        schedd.remove(*job)
