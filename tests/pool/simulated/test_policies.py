"""Policy expressions: evaluated at their moments, at the pool's time, with HTCondor's codes."""

from __future__ import annotations

import pytest

from birdbath.classads import Expression
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, JobAction, JobStatus
from birdbath.pool.simulated.evaluation import depends_on_time, evaluate_at
from birdbath.pool.simulated.policies import next_evaluation
from tests.pool.harness import ad_of, becomes, event_types, events_of, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness

NEVER = Expression("false")


@pytest.mark.parametrize("moment", ["time()", "CurrentTime", "ServerTime", "TIME( )"])
def test_periodic_remove_sees_the_pools_time(simulated: SimulatedHarness, moment: str) -> None:
    policy = Expression(f"JobStatus == 2 && {moment} - EnteredCurrentStatus > 100")
    job = submit(simulated, "/bin/sleep", "10000", PeriodicRemove=policy)
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    started = simulated.clock.time()
    simulated.wait_for(becomes(simulated, job, JobStatus.REMOVED))
    assert 100 < simulated.clock.time() - started <= 180
    reason = ad_of(simulated, job).string("RemoveReason")
    assert reason.startswith("The job attribute PeriodicRemove expression 'JobStatus == 2 && ")
    assert reason.endswith("' evaluated to TRUE")
    kind, event = events_of(simulated, job)[-1]
    assert kind is EventType.JOB_ABORTED
    assert event.string("Reason") == reason


def test_a_string_that_mentions_time_stays_as_it_is(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/true", Requirements=False, PeriodicHold=Expression('"time()" == "time()"'))
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))


def test_periodic_hold_and_release(simulated: SimulatedHarness) -> None:
    job = submit(
        simulated,
        "/bin/sleep",
        "10000",
        PeriodicHold=Expression("JobStatus == 2 && NumJobStarts == 1"),
        PeriodicHoldReason=Expression('strcat("start ", NumJobStarts)'),
        PeriodicHoldSubCode=42,
        PeriodicRelease=Expression("HoldReasonCode == 3"),
    )
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))
    held = ad_of(simulated, job)
    assert held.string("HoldReason") == "start 1"
    assert (held.get("HoldReasonCode"), held.get("HoldReasonSubCode")) == (3, 42)
    assert held.integer("NumSystemHolds") == 0
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    assert "PeriodicRelease" in ad_of(simulated, job).string("ReleaseReason")
    simulated.pass_time(500)
    assert status_of(simulated, job) is JobStatus.RUNNING
    assert event_types(simulated, job) == [
        EventType.SUBMIT,
        EventType.EXECUTE,
        EventType.JOB_HELD,
        EventType.JOB_RELEASED,
        EventType.EXECUTE,
    ]


def test_an_undefined_periodic_expression_does_nothing(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sleep", "500", PeriodicHold=Expression("Nothing > 3"))
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))


def test_on_exit_hold(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sh", "-c 'exit 2'", OnExitHold=Expression("ExitCode =!= 0"))
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))
    held = ad_of(simulated, job)
    assert held.get("HoldReasonCode") == 3
    assert held.get("ExitCode") == 2
    assert (
        held.string("HoldReason")
        == "The job attribute OnExitHold expression 'ExitCode =!= 0' evaluated to TRUE"
    )
    assert "RemoteHost" not in held


def test_on_exit_remove_lets_a_job_run_again(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/false", OnExitRemove=Expression("ExitCode == 0 || NumJobStarts >= 3"))
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert ad_of(simulated, job).integer("NumJobStarts") == 3
    evictions = [event for kind, event in events_of(simulated, job) if kind is EventType.JOB_EVICTED]
    assert len(evictions) == 2
    assert evictions[0].get("TerminatedAndRequeued") is True
    assert evictions[0].get("ReturnValue") == 1


@pytest.mark.parametrize("name", ["OnExitHold", "OnExitRemove"])
@pytest.mark.parametrize("value", ["Nothing > 3", '"yes"'])
def test_an_exit_policy_that_is_neither_true_nor_false_says_nothing(
    simulated: SimulatedHarness, name: str, value: str
) -> None:
    job = submit(simulated, "/bin/true", "", None, **{name: Expression(value)})
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert ad_of(simulated, job).integer("NumJobStarts") == 1


def test_periodic_expressions_are_looked_at_once_more_at_the_end(simulated: SimulatedHarness) -> None:
    ended = Expression("ExitCode =?= 4")
    held = submit(simulated, "/bin/sh", "-c 'exit 4'", PeriodicHold=ended, PeriodicRemove=ended)
    removed = submit(simulated, "/bin/sh", "-c 'exit 4'", PeriodicRemove=ended)
    simulated.wait_for(becomes(simulated, held, JobStatus.HELD))
    simulated.wait_for(becomes(simulated, removed, JobStatus.REMOVED))
    assert (ad_of(simulated, held).get("ExitCode"), ad_of(simulated, held).get("HoldReasonCode")) == (4, 3)
    assert event_types(simulated, held) == [EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_HELD]
    assert event_types(simulated, removed) == [EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_ABORTED]
    assert "PeriodicRemove expression" in ad_of(simulated, removed).string("RemoveReason")


def test_periodic_vacate_lets_a_job_run_again(simulated: SimulatedHarness) -> None:
    late = Expression("NumJobStarts < 2 && time() - EnteredCurrentStatus > 100")
    job = submit(simulated, "/bin/sleep", "10000", PeriodicVacate=late)
    simulated.wait_for(lambda: ad_of(simulated, job).integer("NumJobStarts") == 2)
    simulated.pass_time(500)
    assert status_of(simulated, job) is JobStatus.RUNNING
    again = [EventType.JOB_EVICTED, EventType.EXECUTE]
    assert event_types(simulated, job) == [EventType.SUBMIT, EventType.EXECUTE, *again]
    evicted = dict(events_of(simulated, job))[EventType.JOB_EVICTED]
    assert evicted.get("ReasonCode") == 1000
    assert "PeriodicVacate expression" in evicted.string("Reason")


def test_nobody_vacates_the_submit_machine(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sleep", "500", JobUniverse=12, PeriodicVacate=True)
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert ad_of(simulated, job).integer("NumJobStarts") == 1


def test_timer_remove_is_the_moment_of_removal(simulated: SimulatedHarness) -> None:
    at = int(simulated.clock.time()) + 200
    job = submit(simulated, "/bin/sleep", "10000", TimerRemove=at)
    unset = submit(simulated, "/bin/sleep", "500", TimerRemove=-1)
    simulated.wait_for(becomes(simulated, job, JobStatus.REMOVED))
    assert at < simulated.clock.time() <= at + 60
    simulated.wait_for(becomes(simulated, unset, JobStatus.COMPLETED))


def test_a_completed_job_is_kept_as_long_as_leave_job_in_queue_says(simulated: SimulatedHarness) -> None:
    keep = Expression("JobStatus == 4 && time() - CompletionDate < 3600")
    job = submit(simulated, "/bin/true", LeaveJobInQueue=keep)
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    simulated.pass_time(3500)
    assert status_of(simulated, job) is JobStatus.COMPLETED
    simulated.pass_time(200)
    assert status_of(simulated, job) is None


def test_what_changes_with_nothing_but_the_ad_is_not_looked_at_periodically(
    simulated: SimulatedHarness,
) -> None:
    job = submit(simulated, "/bin/true")
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert simulated.step() is None
    ad = ad_of(simulated, job)
    assert next_evaluation(ad, JobStatus.COMPLETED, 0.0, 60.0) is None
    assert next_evaluation(ad, JobStatus.IDLE, 0.0, 60.0) is None
    ad.set("PeriodicRemove", Expression("NumJobStarts > 3"))
    assert next_evaluation(ad, JobStatus.IDLE, 5.0, 60.0) == 65.0


def test_time_is_found_through_other_attributes(simulated: SimulatedHarness) -> None:
    ad = ad_of(
        simulated, submit(simulated, "/bin/true", Age=Expression("time() - QDate"), Old=Expression("Age > 9"))
    )
    assert depends_on_time(ad, "Old")
    assert not depends_on_time(ad, "LeaveJobInQueue")
    assert evaluate_at(ad, "Old", simulated.clock.time() + 9) is False
    assert evaluate_at(ad, "Old", simulated.clock.time() + 10) is True
    assert evaluate_at(ad, "Nothing", 0) is None


def test_a_driver_that_waits_for_nothing_is_told_of_a_policy(simulated: SimulatedHarness) -> None:
    job = submit(
        simulated, "/bin/true", Requirements=False, PeriodicRelease=Expression("time() > QDate + 90")
    )
    simulated.step()
    told: list[bool] = []
    simulated.pool.on_change(lambda: told.append(True))
    simulated.write(lambda unit: simulated.queue.act(unit, JobAction.HOLD, job, ActionDetails()))
    simulated.write(simulated.pool.advance)
    assert simulated.step() is not None
    simulated.pass_time(200)
    assert status_of(simulated, job) is JobStatus.IDLE


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"Owner": Expression("undefined")}, "Owner"),
        ({"Cmd": Expression("undefined")}, "Cmd"),
        ({"Requirements": Expression("undefined")}, "Requirements"),
        ({"JobUniverse": Expression("undefined"), "Cmd": Expression("error")}, "JobUniverse, Cmd"),
        ({"JobUniverse": 99}, "JobUniverse 99"),
        ({"JobUniverse": 9}, "grid"),
        ({"Owner": ""}, "Owner"),
        ({"CronMinute": "0", "OnExitRemove": False}, "CronMinute"),
        ({"CronDayOfWeek": "1-5"}, "CronDayOfWeek"),
    ],
)
def test_a_job_that_could_never_run_is_held_and_told_why(
    simulated: SimulatedHarness, changes: dict[str, Expression | int | str], missing: str
) -> None:
    job = submit(simulated, "/bin/true", "", None, **changes)
    held = ad_of(simulated, job)
    assert held.integer("JobStatus") == JobStatus.HELD
    assert missing in held.string("HoldReason")
    assert event_types(simulated, job) == [EventType.SUBMIT, EventType.JOB_HELD]


def test_a_deferred_job_leaves_the_slot_to_others_until_its_time_is_near(simulated: SimulatedHarness) -> None:
    at = int(simulated.clock.time()) + 2000
    near = Expression("time() + ScheddInterval >= DeferralTime - DeferralPrepTime")
    more = {"DeferralWindow": 0, "DeferralPrepTime": 200, "ScheddInterval": 100}
    job = submit(simulated, "/bin/true", "", None, DeferralTime=at, Requirements=near, **more)
    simulated.pass_time(1500)
    assert status_of(simulated, job) is JobStatus.IDLE
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    assert at - 300 <= simulated.clock.time() <= at - 270
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert ad_of(simulated, job).integer("CompletionDate") == at + 1
