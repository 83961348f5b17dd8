"""Whatever a client puts into an ad or a sandbox, the pool goes on for everybody else."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad, Expression, Scalar
from birdbath.pool.base import ActionDetails, JobAction, JobStatus
from birdbath.pool.simulated.reasons import count_reason
from tests.pool.harness import ad_of, becomes, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness
from tests.pool.test_action_contract import act

FINAL = (JobStatus.COMPLETED, JobStatus.HELD, JobStatus.REMOVED)
EXTREMES: list[Scalar] = [2**63 - 1, -(2**63), 1e308, -1e308, "text", True, Expression('real("INF")')]
COUNTED = (
    "NumJobStarts",
    "NumShadowStarts",
    "JobRunCount",
    "NumHolds",
    "NumJobCompletions",
    "CommittedTime",
    "QDate",
    "JobStartDate",
    "JobPrio",
    "ImageSize",
    "RemoteWallClockTime",
    "RemoteUserCpu",
    "NumVacates",
    "SimRuntime",
    "EnteredCurrentStatus",
)


@pytest.mark.parametrize("value", EXTREMES)
def test_numbers_at_the_end_of_their_range(simulated: SimulatedHarness, value: Scalar) -> None:
    job = submit(simulated, "/bin/sleep", "5", None, RequestMemory=1, **dict.fromkeys(COUNTED, value))
    simulated.wait_for(lambda: status_of(simulated, job) in FINAL, within=1e9)
    assert status_of(simulated, job) is JobStatus.COMPLETED
    for action in (JobAction.HOLD, JobAction.RELEASE, JobAction.HOLD, JobAction.REMOVE):
        act(simulated, action, job, ActionDetails("x"))
    assert status_of(simulated, job) is JobStatus.REMOVED


DOUBLING = {f"A{n}": Expression(f"A{n + 1} + A{n + 1}") for n in range(60)}


@pytest.mark.parametrize(
    "changes",
    [
        {"Requirements": Expression("Requirements")},
        {"Requirements": Expression('eval("Cmd")')},
        {"Requirements": Expression("A0 > 0"), **DOUBLING},
        {"Rank": Expression('"high"')},
        {"Rank": Expression("1 / 0")},
        {"Rank": Expression('real("NaN")')},
        {"LeaveJobInQueue": Expression("LeaveJobInQueue")},
        {"PeriodicHold": Expression('"yes"')},
        {"PeriodicRemove": Expression("error")},
        {"Arguments": "x" * 100_000},
        {"Arguments": "'" * 99_999},
        {"Environment": "=;=' ='"},
        {"Out": "a\\b\u2028c", "Err": "\u00e4"},
        {"In": "/"},
        {"Cmd": "/"},
        {"Cmd": "///bin///", "Arguments": "-c"},
        {"TransferInput": ",,/,x/"},
        {"Cmd": "/bin/sh", "Arguments": "-c 'exit " + "9" * 5000 + "'"},
        {"Cmd": "/bin/sh", "Arguments": "-c ';;; && || > <'"},
        {"Cmd": "/bin/sleep", "Arguments": "9" * 5000},
        {"Cmd": "/bin/date", "Arguments": "+%Q%:::z%5000Y%"},
    ],
)
def test_odd_jobs_do_not_stop_the_pool(simulated: SimulatedHarness, changes: dict[str, Scalar]) -> None:
    odd = submit(simulated, "/bin/true", "", None, **changes)
    good = submit(simulated, "/bin/sleep", "5")
    simulated.wait_for(becomes(simulated, good, JobStatus.COMPLETED))
    simulated.pass_time(200)
    assert status_of(simulated, odd) in (*FINAL, JobStatus.IDLE, JobStatus.RUNNING, None)
    submit(simulated, "/bin/true")


def test_a_sandbox_that_is_no_directory_holds_its_job(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/cat", In="input", Requirements=True, files={"input": b"x"})
    folder = simulated.queue.sandbox(job).path
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))
    good = submit(simulated, "/bin/true")
    simulated.wait_for(becomes(simulated, good, JobStatus.COMPLETED))
    assert status_of(simulated, job) is JobStatus.HELD
    assert ad_of(simulated, job).integer("HoldReasonCode") == 13


@pytest.mark.timeout(20)
def test_a_long_name_where_reasons_are_counted() -> None:
    ad = Ad()
    ad.set("NumHoldsByReason", Expression("a" * 65_000))
    count_reason(ad, "NumHoldsByReason", 1)
    assert ad.attribute("NumHoldsByReason") == ("NumHoldsByReason", "x", "[ UserRequest = 1 ]")
