"""Jobs of universe grid: no machine has to match them, and still none starts before its commit is decided."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from birdbath.client import Ad, JobId, Schedd, Transaction
from birdbath.client.errors import BirdbathError, OperationFailed
from tests.crash.lives import Lives, Plan
from tests.htcondor.test_gateway import waiting_job
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool

pytestmark = pytest.mark.toolkit

GRID, IDLE, HELD = 9, 1, 5


def grid_job(transaction: Transaction, mark: str, **more: str | int) -> JobId:
    job = transaction.new_cluster().new_job()
    ad = job.template("run", owner="alice")
    ad.update({"JobUniverse": GRID, "GridResource": "condor here there", "TestMark": mark})
    ad.update(more)
    job.upload(b"#!/bin/sh\n", name="run")
    job.submit(Ad(ad))
    return job.id


def in_schedd(pool: HTCondorPool, mark: str) -> list[tuple[str, ...]]:
    """JobStatus, HoldReasonCode and GridResource of the jobs with this TestMark."""
    wanted = ("JobStatus", "HoldReasonCode", "GridResource")
    found = pool.run("condor_q", "-all", "-constraint", f'TestMark == "{mark}"', "-af", *wanted)
    return [tuple(line.split(maxsplit=2)) for line in found.splitlines()]


def test_a_grid_job_is_on_hold_until_all_of_its_commit_is_decided(
    tmp_path: Path, htcondor_pool: HTCondorPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRDBATH_POOL", "htcondor")
    monkeypatch.setenv("BIRDBATH_HTCONDOR_CONFIG", str(htcondor_pool.configuration))
    tmp_path.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    lives = Lives(home)
    schedd = Schedd(f"http://127.0.0.1:{lives.port}")
    on_hold = [("5", "undefined", "condor here there")]
    try:
        lives.start_for_good(Plan(crash_at="htcondor:prepared:1"))
        transaction = schedd.begin(600)
        grid_job(transaction, "undecided")
        waiting_job(transaction, "undecided too")
        with pytest.raises(BirdbathError):
            transaction.commit()
        with suppress(AssertionError):  # it has ended already
            lives.kill()
        until(lambda: in_schedd(htcondor_pool, "undecided") == on_hold)
        lives.start_for_good()
        until(lambda: not in_schedd(htcondor_pool, "undecided"))
        transaction.commit()
        until(lambda: in_schedd(htcondor_pool, "undecided")[0][0] == str(IDLE))
    finally:
        lives.close()


def test_a_committed_grid_job_is_idle_and_one_that_was_committed_as_held_stays_so(
    schedd: Schedd, htcondor_pool: HTCondorPool
) -> None:
    with schedd.transaction() as transaction:
        free = grid_job(transaction, "free")
        held = grid_job(transaction, "held", JobStatus=HELD, HoldReason="not yet")
    visible = f"ClusterId == {free.cluster}"
    until(lambda: [ad["JobStatus"] for ad in schedd.job_ads(visible)] == [IDLE])
    until(lambda: in_schedd(htcondor_pool, "free") == [("1", "undefined", "condor here there")])
    until(lambda: schedd.job_ad(*held)["JobStatus"] == HELD)
    assert schedd.job_ad(*held)["HoldReason"] == "not yet"
    assert not [name for name in schedd.job_ad(*free) if name.startswith("Birdbath")]
    schedd.release(*held)
    until(lambda: schedd.job_ad(*held)["JobStatus"] == IDLE)
    schedd.hold(*free, reason="wait")
    assert schedd.job_ad(*free)["HoldReason"] == "wait"


def test_a_grid_job_needs_a_resource(schedd: Schedd) -> None:
    with pytest.raises(OperationFailed, match="needs a GridResource"), schedd.transaction() as transaction:
        grid_job(transaction, "none", GridResource="")
