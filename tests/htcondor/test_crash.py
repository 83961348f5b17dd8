"""A commit to a real pool comes about exactly once or not at all, wherever the gateway is killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

import pytest

from birdbath.client import Schedd, Transaction
from birdbath.client.errors import BirdbathError, ConnectionFailed, OperationFailed
from tests.crash.lives import Lives, Plan
from tests.htcondor.test_gateway import IDLE, status, waiting_job
from tests.htcondor.waiting import until
from tests.htcondor_pool import NO_REFUSED_JOBS, HTCondorPool, require_htcondor, running
from tests.pools.several import commit_request, post
from tests.server_process import ServerProcess, running_server
from tests.toolkit import in_ci

pytestmark = [pytest.mark.toolkit, pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = 200 if in_ci() else 20
POINTS = (
    *("commit:checked", "htcondor:journaled", "htcondor:prepared", "htcondor:decided", "commit:jobs-written"),
    *("commit:transaction-ended", "batch:written", "batch:files-synced", "batch:committed"),
    *("htcondor:released", "htcondor:given-up", "htcondor:parted"),
)
CLUSTERS = (2, 1)
"""The procs of the clusters in a transaction that is alone."""
TOGETHER = 3
"""Transactions of one job that are committed at the same time, so that some share a cluster of the schedd."""


class Campaign:
    """One gateway's home, many lives; what clients were told of each transaction."""

    def __init__(self, home: Path, pool: HTCondorPool) -> None:
        self._home = home
        self._pool = pool
        self._lives = Lives(home)
        self._threads = ThreadPoolExecutor(TOGETHER)
        self.clusters: dict[int, tuple[int, ...]] = {}
        """The procs of the clusters in each transaction."""
        self.told: dict[int, bool | None] = {}
        self.why: dict[int, str] = {}
        self.notes_lost = 0

    def run(self, number: int, point: str, restarts_schedd: bool, together: bool) -> None:
        """One life: it commits transactions, one or some together, or is killed while it does."""
        self._lives.start_for_good(Plan(crash_at=point))
        if restarts_schedd:
            os.kill(self._pool.daemon("SCHEDD"), signal.SIGKILL)
        numbers = [number * TOGETHER + one for one in range(TOGETHER if together else 1)]
        owner = "root" if "given-up" in point else "alice"
        list(self._threads.map(lambda one: self._try(one, owner, together, "parted" in point), numbers))
        with suppress(AssertionError):  # it has ended already
            self._lives.kill()
        if restarts_schedd:
            until(self._schedd_answers)  # or the next lives would find none, and prove nothing
        if point.startswith("htcondor:prepared") and number // len(POINTS) % 3 == 0:
            self._lose_notes()

    def _lose_notes(self) -> None:
        """As a loss of power might: that commits are being prepared is on disk with their decision only."""
        with closing(sqlite3.connect(self._home / "birdbath.db")) as database, database:
            noted = "(SELECT marker FROM htcondor_commits WHERE state = 'preparing')"
            database.execute(f"UPDATE transactions SET committing = NULL WHERE committing IN {noted}")
            lost = database.execute("DELETE FROM htcondor_commits WHERE state = 'preparing'").rowcount
            self.notes_lost += lost

    def _schedd_answers(self) -> bool:
        with suppress(RuntimeError):
            self._pool.run("condor_q", "-limit", "1")
            return True
        return False

    def _try(self, number: int, owner: str, together: bool, one_is_refused: bool) -> None:
        self.told[number] = None
        self.clusters[number] = (1,) if together else CLUSTERS
        try:
            self._commit(number, owner, one_is_refused and number % TOGETHER == 1)
        except OperationFailed as error:
            self.told[number] = False
            self.why[number] = str(error)
        except BirdbathError:
            pass  # the reply was lost
        else:
            self.told[number] = True

    def _commit(self, number: int, owner: str, refused: bool) -> None:
        transaction = Schedd(f"http://127.0.0.1:{self._lives.port}").begin(600)
        for procs in self.clusters[number]:
            cluster = transaction.new_cluster()
            for _ in range(procs):
                job = cluster.new_job()
                ad = job.template("/bin/cat", "in", owner=owner, requirements="FALSE")
                ad.update({"CampaignNumber": number, "TestRefused": refused})
                job.upload(b"some input", name="in")
                job.submit(ad)
        transaction.commit()

    def settle(self) -> None:
        """A last life, which concludes what the others left."""
        self._lives.start_for_good()
        until(lambda: self._journal() == 0)
        until(lambda: not self._jobs("BirdbathCommitted =!= true"))

    def _journal(self) -> int:
        with closing(sqlite3.connect(self._home / "birdbath.db")) as database:
            return int(database.execute("SELECT count(*) FROM htcondor_commits").fetchone()[0])

    def _jobs(self, constraint: str) -> list[tuple[int, int, int]]:
        """CampaignNumber, BirdbathCluster and BirdbathProc of jobs in the queue."""
        lines = self._pool.run(
            *("condor_q", "-all", "-constraint", f"CampaignNumber =!= undefined && ({constraint})"),
            *("-af", "CampaignNumber", "BirdbathCluster", "BirdbathProc"),
        ).splitlines()
        return [(int(number), int(cluster), int(proc)) for number, cluster, proc in map(str.split, lines)]

    def violations(self) -> list[str]:
        """Transactions that came about in part, twice, or otherwise than their client was told."""
        jobs = self._jobs("true")
        found = []
        for number, told in self.told.items():
            own = [(cluster, proc) for of, cluster, proc in jobs if of == number]
            sizes = sorted(Counter(cluster for cluster, _ in own).values())
            whole = sizes == sorted(self.clusters[number]) and len(set(own)) == len(own)
            if not (whole or not own) or (told is not None and told != whole):
                told_so = f"told {told} {self.why.get(number, '')}"
                found.append(f"transaction {number}: {told_so}; in the queue {own}; {self._past(number)}")
        return found

    def _past(self, number: int) -> str:
        """What the schedd's history knows of a transaction's jobs."""
        wanted = ("BirdbathJob", "BirdbathCommit", "BirdbathCommitted", "JobStatus", "RemoveReason")
        return self._pool.run(
            *("condor_history", "-constraint", f"CampaignNumber == {number}", "-af", *wanted)
        )

    def shared(self) -> int:
        """How many clusters of the schedd had jobs of several transactions, also if they were taken back."""
        found: dict[str, set[str]] = defaultdict(set)
        for program, of_all in (("condor_q", ["-all"]), ("condor_history", [])):
            lines = self._pool.run(program, *of_all, "-af", "ClusterId", "BirdbathCluster").splitlines()
            for schedds, own in map(str.split, lines):
                found[schedds].add(own)
        return sum(len(own) > 1 for own in found.values())

    def close(self) -> None:
        self._threads.shutdown()
        self._lives.close()


@pytest.fixture
def pool() -> Iterator[HTCondorPool]:
    """A pool for this test alone: its schedd is killed, and hundreds of jobs are left in it."""
    require_htcondor()
    with running(*NO_REFUSED_JOBS) as own:
        yield own


def test_a_killed_gateway_commits_exactly_once_or_not_at_all(
    tmp_path: Path, pool: HTCondorPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRDBATH_POOL", "htcondor")
    monkeypatch.setenv("BIRDBATH_HTCONDOR_CONFIG", str(pool.configuration))
    tmp_path.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    rng = random.Random("7" if in_ci() else os.urandom(4).hex())
    campaign = Campaign(home, pool)
    try:
        for number in range(KILLS):
            point = POINTS[number % len(POINTS)]
            together = point == "htcondor:parted" or (number // len(POINTS)) % 2 == 1
            passes = (
                rng.randint(10, 30) if point.startswith("batch:") else rng.randint(1, 3 if together else 1)
            )
            campaign.run(number, f"{point}:{passes}", number % 16 == 5, together)
        campaign.settle()
        violations = campaign.violations()
        assert not violations, "\n".join(violations)
        shared = campaign.shared()
    finally:
        campaign.close()
    told = Counter(campaign.told.values())
    print(f"{KILLS} lives: {told[True]} committed, {told[False]} refused, {told[None]} replies lost")
    assert told[None] >= KILLS // 2, told
    assert shared > 0
    assert campaign.notes_lost > 0


@contextmanager
def gateway(home: Path, pool: HTCondorPool, crash_at: str = "") -> Iterator[ServerProcess]:
    """One that gives the pool five seconds, or more when the machine is busy."""
    environment = {
        "BIRDBATH_HTCONDOR_CONFIG": str(pool.configuration),
        "BIRDBATH_HTCONDOR_TIMEOUT": "5",
        "BIRDBATH_CRASH_AT": crash_at,
    }
    with running_server(home, "--pool", "htcondor", environment=environment) as server:
        yield server


@pytest.mark.parametrize("point", ["htcondor:prepared", "htcondor:decided", "htcondor:released"])
def test_who_asks_again_with_the_same_key_is_told_what_was_done(
    tmp_path: Path, htcondor_pool: HTCondorPool, point: str
) -> None:
    with gateway(tmp_path, htcondor_pool, point) as server:
        transaction = Schedd(server.url).begin(600)
        job = waiting_job(transaction)
        commit = commit_request(transaction)
        with pytest.raises((ConnectionError, URLError)):
            post(server, "default", commit, Idempotency_Key=point)
        server.process.wait(timeout=60)
    with gateway(tmp_path, htcondor_pool) as server:
        for replayed in (point == "htcondor:released", True):
            answered, headers, body = post(server, "default", commit, Idempotency_Key=point)
            assert (answered, headers.get("idempotent-replayed") == "true") == (200, replayed)
            assert b">SUCCESS<" in body
        assert status(Schedd(server.url), job.id) == IDLE


def test_what_a_kill_met_undecided_goes_on_at_once(tmp_path: Path, htcondor_pool: HTCondorPool) -> None:
    """Though the pool does not answer, so that the jobs cannot be taken back yet."""
    with gateway(tmp_path, htcondor_pool, "htcondor:journaled:2") as server:
        transactions = [Schedd(server.url).begin(600) for _ in range(2)]
        jobs = [waiting_job(transaction) for transaction in transactions]
        with htcondor_pool.frozen("SCHEDD"), ThreadPoolExecutor(2) as threads:
            for commit in [threads.submit(transaction.commit) for transaction in transactions]:
                with pytest.raises(ConnectionFailed):
                    commit.result()
        server.process.wait(timeout=60)
    with htcondor_pool.frozen("SCHEDD"), gateway(tmp_path, htcondor_pool) as server:
        for transaction in transactions:
            Transaction(Schedd(server.url)._endpoint, transaction.lease).extend()
    with gateway(tmp_path, htcondor_pool) as server:
        schedd = Schedd(server.url)
        for transaction, job in zip(transactions, jobs, strict=True):
            Transaction(schedd._endpoint, transaction.lease).commit()
            assert status(schedd, job.id) == IDLE
