"""OtherJobRemoveRequirements on the simulated pool: its bounds, and its order among all else that happens."""

from __future__ import annotations

import pytest

from birdbath.classads import Expression, Scalar
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.pool.simulated import other_removals
from tests.pool.harness import ad_of, becomes, selected, status_of, submit, submit_many
from tests.pool.simulated.harness import SimulatedHarness


def held(harness: SimulatedHarness, count: int = 1, **more: Scalar | Expression) -> list[JobId]:
    return submit_many(harness, count, "/bin/true", "", None, JobStatus=5, HoldReason="it waits", **more)


def remove(harness: SimulatedHarness, job: JobId, force: bool = False) -> None:
    details = ActionDetails(force=force)
    harness.write(lambda unit: harness.queue.act(unit, JobAction.REMOVE, job, details))


def removed(harness: SimulatedHarness) -> int:
    return len(selected(harness, f"JobStatus == {int(JobStatus.REMOVED)}"))


def test_the_reason_names_the_job(simulated: SimulatedHarness) -> None:
    (job,) = held(simulated, OtherJobRemoveRequirements="Mark =?= 7")
    (other,) = held(simulated, Mark=7)
    remove(simulated, job)
    simulated.step()
    wanted = f"removed because <OtherJobRemoveRequirements = Mark =?= 7> fired when job ({job}) was removed"
    assert ad_of(simulated, other).string("RemoveReason") == wanted


@pytest.mark.parametrize("restarts", [False, True])
def test_many_are_removed_in_several_goes(simulated: SimulatedHarness, restarts: bool) -> None:
    (job,) = held(simulated, OtherJobRemoveRequirements="Mark =?= 7")
    others = held(simulated, other_removals.MOST + 50, Mark=7)
    remove(simulated, job)
    simulated.step()
    assert removed(simulated) == 1 + other_removals.MOST
    if restarts:
        simulated.restart()
    simulated.pass_time(other_removals.PAUSE)
    assert removed(simulated) == len(others) + 1


def test_what_costs_much_is_looked_at_slowly(
    simulated: SimulatedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[JobId] = []
    costly = "||".join(f'Mark =?= {number} || "{"x" * 60}" =?= Name' for number in range(500))
    (job,) = held(simulated, OtherJobRemoveRequirements=costly)
    others = held(simulated, 150, Mark=499)
    selects = other_removals._selects

    def noted(*given: object) -> tuple[bool, float]:
        looked_at.append(job)
        return selects(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(other_removals, "_selects", noted)
    remove(simulated, job)
    simulated.step()
    assert 0 < len(looked_at) < len(others)
    simulated.pass_time(10)
    assert removed(simulated) == len(others) + 1


@pytest.mark.parametrize(
    "requirements",
    ["A0 > 0", "1" + "+1" * 40_000, 'regexp("(a+)+$", Name)'],
    ids=["by what it refers to", "too long", "pattern"],
)
def test_what_costs_too_much_removes_nothing(simulated: SimulatedHarness, requirements: str) -> None:
    doubling = {f"A{n}": Expression(f"A{n + 1} + A{n + 1}") for n in range(25)}
    (job,) = held(simulated, OtherJobRemoveRequirements=requirements)
    (other,) = held(simulated, 1, A25=1, Name="a" * 60, **doubling)
    remove(simulated, job)
    simulated.pass_time(1)
    assert status_of(simulated, other) is JobStatus.HELD


def test_jobs_that_come_later_stay(simulated: SimulatedHarness) -> None:
    (job,) = held(simulated, OtherJobRemoveRequirements="Mark =?= 7")
    remove(simulated, job)
    (later,) = held(simulated, Mark=7)
    simulated.step()
    assert status_of(simulated, later) is JobStatus.HELD


def test_constraints_of_one_owner_are_looked_at_one_after_the_other(simulated: SimulatedHarness) -> None:
    first = held(simulated, OtherJobRemoveRequirements="Mark =?= 1")[0]
    second = held(simulated, OtherJobRemoveRequirements="Mark =?= 2")[0]
    theirs = held(simulated, OtherJobRemoveRequirements="Mark =?= 2", Owner="bob")[0]
    jobs = [*held(simulated, Mark=1), *held(simulated, Mark=2), *held(simulated, Mark=2, Owner="bob")]
    for job in (first, second, theirs):
        remove(simulated, job)
    simulated.step()
    stand = [status_of(simulated, job) for job in jobs]
    assert stand == [JobStatus.REMOVED, JobStatus.HELD, JobStatus.REMOVED]
    simulated.pass_time(other_removals.PAUSE)
    assert status_of(simulated, jobs[1]) is JobStatus.REMOVED


@pytest.mark.parametrize("force", [False, True])
def test_a_job_that_leaves_at_once_removes_others(simulated: SimulatedHarness, force: bool) -> None:
    (job,) = held(simulated, OtherJobRemoveRequirements="Mark =?= 7", LeaveJobInQueue=force)
    (other,) = held(simulated, Mark=7)
    remove(simulated, job, force)
    assert status_of(simulated, job) is None
    simulated.step()
    assert status_of(simulated, other) is JobStatus.REMOVED


def test_a_job_that_a_policy_removes_removes_others(simulated: SimulatedHarness) -> None:
    job = submit(
        simulated,
        "/bin/true",
        Requirements=False,
        PeriodicRemove=Expression("time() - QDate > 100"),
        OtherJobRemoveRequirements="Mark =?= 7",
    )
    (other,) = held(simulated, Mark=7)
    simulated.wait_for(becomes(simulated, job, JobStatus.REMOVED))
    assert status_of(simulated, other) is JobStatus.REMOVED


def test_a_running_job_that_is_removed_so_gives_its_slot_back(simulated: SimulatedHarness) -> None:
    (job,) = held(simulated, OtherJobRemoveRequirements="Mark =?= 7")
    running = submit(simulated, "/bin/sleep", "500", Mark=7)
    simulated.wait_for(becomes(simulated, running, JobStatus.RUNNING))
    remove(simulated, job)
    simulated.step()
    assert status_of(simulated, running) is JobStatus.REMOVED
    assert "RemoteHost" not in ad_of(simulated, running)


def test_a_completed_job_that_is_removed_does_it_no_second_time(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/true", OtherJobRemoveRequirements="Mark =?= 7")
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    (other,) = held(simulated, Mark=7)
    remove(simulated, job)
    simulated.pass_time(1)
    assert status_of(simulated, other) is JobStatus.HELD
