"""Nothing that was acknowledged is lost, and nothing is half done, however the server ends."""

from __future__ import annotations

import copy
import json
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from birdbath.store.crash_points import CRASH_POINTS
from tests.crash import audit, campaign
from tests.crash.journal import ClusterRecord, FileRecord, JobRecord, Journal, Outcome
from tests.toolkit import in_ci

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 102
"""Of each of the five campaigns; together more than five hundred."""
POWER_CUTS = 20
"""Of each of the two."""


def _seed(number: int) -> str:
    return f"{number}" if in_ci() else f"{number}-{secrets.token_hex(4)}"


def _require_clean(report: campaign.Report, kind: str, count: int, durable_at: str) -> None:
    again = f"again: scripts/crash --kind {kind} --durable-at {durable_at} --kills {count} --campaign {count}"
    again += f" --seed {report.seed}"
    assert report.violations == [], f"{report.summary()}; {again}"
    assert report.kills.total() == count
    assert report.committed >= count // 2, report.summary()
    assert report.lost >= count // 2, report.summary()


@pytest.mark.parametrize("number", range(5))
def test_kills_lose_nothing_that_was_acknowledged(number: int, tmp_path: Path) -> None:
    seed = _seed(number)
    durable_at = "commit" if number % 2 else "call"
    report = campaign.run(tmp_path / "home", seed, campaign.kills(seed, KILLS), durable_at)
    print(report.summary())
    _require_clean(report, "kill", KILLS, durable_at)
    assert set(report.kills) == {*CRASH_POINTS, "time"}, report.summary()
    assert report.lost_commits >= KILLS // 6, report.summary()
    assert report.continued >= KILLS // 10, report.summary()


@pytest.mark.parametrize("durable_at", ["call", "commit"])
def test_power_cuts_lose_nothing_that_was_durable(durable_at: str, tmp_path: Path) -> None:
    seed = _seed(9)
    report = campaign.run(tmp_path / "home", seed, campaign.power_cuts(seed, POWER_CUTS), durable_at)
    print(report.summary())
    _require_clean(report, "power-cut", POWER_CUTS, durable_at)
    assert report.kills["power cut"] >= POWER_CUTS * 3 // 4, report.summary()
    if durable_at == "call":
        assert report.gone == 0, report.summary()
        assert report.continued >= POWER_CUTS // 4, report.summary()
    else:
        assert report.gone >= POWER_CUTS // 2, report.summary()


# The audit itself: every lie that a home folder could tell is noticed.


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Journal]]:
    """A home folder after some kills, and the journals of its clients."""
    home = tmp_path_factory.mktemp("aftermath") / "home"
    report = campaign.run(home, "aftermath", campaign.kills("aftermath", 12))
    assert report.violations == [], report.summary()
    return home, report.journals


@pytest.fixture
def house(aftermath: tuple[Path, list[Journal]], tmp_path: Path) -> tuple[Path, list[Journal]]:
    """A copy to do harm to."""
    home, journals = aftermath
    shutil.copytree(home, tmp_path / "home")
    return tmp_path / "home", copy.deepcopy(journals)


def _jobs(journals: list[Journal]) -> list[JobRecord]:
    return [job for j in journals for s in j.with_outcome(Outcome.COMMITTED) for job in s.jobs]


def _change(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "birdbath.db")) as database, database:
        for statement in statements:
            assert database.execute(statement).rowcount > 0, statement


def _lose_job(home: Path, journals: list[Journal]) -> None:
    job = _jobs(journals)[3]
    where = f"cluster_id = {job.cluster} AND proc_id = {job.proc}"
    _change(home, f"DELETE FROM jobs WHERE {where}", f"DELETE FROM simulated_jobs WHERE {where}")


def _lose_attribute(home: Path, journals: list[Journal]) -> None:
    job = _jobs(journals)[3]
    where = f"cluster_id = {job.cluster} AND proc_id = {job.proc}"
    with closing(sqlite3.connect(home / "birdbath.db")) as database, database:
        ((ad,),) = database.execute(f"SELECT ad FROM jobs WHERE {where}").fetchall()
        kept = [attribute for attribute in json.loads(ad) if attribute[0] != "CrashText"]
        database.execute(f"UPDATE jobs SET ad = ? WHERE {where}", (json.dumps(kept),))


def _lose_byte(home: Path, journals: list[Journal]) -> None:
    job = next(job for job in _jobs(journals) if job.files)
    folder = home / f"spool/{job.cluster}/{job.proc}/cluster{job.cluster}.proc{job.proc}.subproc0"
    path = folder / job.files[0].name
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def _lose_event(home: Path, journals: list[Journal]) -> None:
    _change(home, "DELETE FROM events WHERE sequence = 5")


def _repeat_submit_event(home: Path, journals: list[Journal]) -> None:
    _change(
        home,
        "INSERT INTO events SELECT (SELECT max(sequence) FROM events) + 1, time, type, cluster_id,"
        " proc_id, owner, ad FROM events WHERE type = 0 LIMIT 1",
        "UPDATE counters SET value = value + 1 WHERE name = 'event'",
    )


def _leave_staged_rows(home: Path, journals: list[Journal]) -> None:
    _change(home, "INSERT INTO staged_jobs VALUES (99999, 0, 12345, 0, '[]')")


def _begin_what_nobody_began(home: Path, journals: list[Journal]) -> None:
    lost = sum(journal.lost_begins for journal in journals)
    for number in range(lost + 1):
        columns = "id, duration, expires_at, active_cluster"
        _change(home, f"INSERT INTO transactions ({columns}) VALUES ({-1 - number}, 100, 0, 0)")


def _reset_cluster_counter(home: Path, journals: list[Journal]) -> None:
    _change(home, "UPDATE counters SET value = 1 WHERE name = 'cluster'")


def _forget_simulated_half(home: Path, journals: list[Journal]) -> None:
    _change(home, "DELETE FROM simulated_jobs WHERE rowid = (SELECT min(rowid) FROM simulated_jobs)")


def _give_cluster_twice(home: Path, journals: list[Journal]) -> None:
    first, second = journals[0].submissions[:2]
    second.clusters[0].id = first.clusters[0].id


def _undo_abort(home: Path, journals: list[Journal]) -> None:
    journals[0].with_outcome(Outcome.COMMITTED)[0].outcome = Outcome.ABORTED


def _undo_hold(home: Path, journals: list[Journal]) -> None:
    job = next(job for job in _jobs(journals) if job.status == 1)
    job.holds += 1


HARM: list[tuple[Callable[[Path, list[Journal]], None], str]] = [
    (_lose_job, "lacks procs|none for"),
    (_lose_attribute, "CrashText"),
    (_lose_byte, "are gone"),
    (_lose_event, "events"),
    (_repeat_submit_event, "submit events"),
    (_leave_staged_rows, "rows of ended transactions in staged_jobs"),
    (_begin_what_nobody_began, "transactions that nobody began"),
    (_reset_cluster_counter, "the counter says 1"),
    (_forget_simulated_half, "half of a job"),
    (_give_cluster_twice, "was given 2 times"),
    (_undo_abort, "of a transaction that was aborted is in the queue"),
    (_undo_hold, "held events"),
]


def test_the_audit_finds_nothing_where_nothing_is(house: tuple[Path, list[Journal]]) -> None:
    assert audit.audit(*house) == []


@pytest.mark.parametrize(("harm", "noticed"), HARM)
def test_the_audit_notices(
    harm: Callable[[Path, list[Journal]], None], noticed: str, house: tuple[Path, list[Journal]]
) -> None:
    harm(*house)
    found = audit.audit(*house)
    assert found != []
    assert any(any(word in line for word in noticed.split("|")) for line in found), found


def test_proc_ids_that_lost_replies_explain() -> None:
    cluster = ClusterRecord(7)
    assert cluster.took(0) is None
    cluster.jobs.append(JobRecord(7, 0))
    assert cluster.took(2) is not None
    cluster.lost = 1
    assert cluster.took(2) is None
    cluster.jobs.append(JobRecord(7, 2))
    assert cluster.known == {0, 1, 2}
    assert cluster.difference({0, 1, 2}) is None
    assert cluster.difference({0, 2}) is not None
    assert cluster.difference({0, 1, 2, 3}) is not None
    cluster.lost = 1
    assert cluster.difference({0, 1, 2, 3}) is None


def test_chunks_that_are_gone() -> None:
    file = FileRecord("f", "key", 100, acknowledged=[(0, 10), (90, 10)])
    content = file.content()
    assert file.damage(content) is None
    assert file.damage(content[:10] + bytes(80) + content[90:]) is None
    assert file.damage(content[:99]) is not None
