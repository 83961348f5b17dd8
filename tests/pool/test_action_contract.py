"""The Pool contract's JobQueue, against every implementation: hold, release, remove, and what becomes of the
files.
"""

from __future__ import annotations

import re

import pytest

from birdbath.classads import Expression, Scalar
from birdbath.errors import UnknownJob, WrongJobStatus
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from tests.pool.harness import (
    Harness,
    ad_of,
    becomes,
    event_types,
    events_of,
    expect_events,
    status_of,
    submit,
)


def act(harness: Harness, action: JobAction, job: JobId, details: ActionDetails | None = None) -> None:
    harness.write(lambda unit: harness.queue.act(unit, action, job, details or ActionDetails()))


def collect(harness: Harness, job: JobId) -> None:
    harness.write(lambda unit: harness.queue.collected(unit, job))


def waiting(harness: Harness, **more: Scalar | Expression) -> JobId:
    """A job that nothing fits."""
    return submit(harness, "/bin/true", "", None, Requirements=False, **more)


def running(harness: Harness) -> JobId:
    job = submit(harness, "/bin/sleep", "500")
    harness.wait_for(becomes(harness, job, JobStatus.RUNNING))
    return job


def completed(harness: Harness) -> JobId:
    job = submit(harness, "/bin/true", files={"input": b"x"})
    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
    return job


@pytest.mark.parametrize("action", list(JobAction))
def test_an_unknown_job_cannot_be_acted_on(harness: Harness, action: JobAction) -> None:
    with pytest.raises(UnknownJob):
        act(harness, action, JobId(999_999, 0))


def test_an_idle_job_is_held(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.HOLD, job, ActionDetails('wait "here"\\', system_hold=True))
    held = ad_of(harness, job)
    assert held.integer("JobStatus") == JobStatus.HELD
    assert held.string("HoldReason") == 'wait "here"\\'
    assert held.integer("HoldReasonCode") == 1
    assert held.get("HoldReasonSubCode") == 0
    assert held.integer("NumSystemHolds") == 1
    expect_events(harness, job, EventType.SUBMIT, EventType.JOB_HELD)
    _, event = events_of(harness, job)[-1]
    assert event.string("HoldReason") == 'wait "here"\\'
    assert event.get("HoldReasonCode") == 1


def test_a_user_hold_is_no_system_hold(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.HOLD, job)
    assert ad_of(harness, job).integer("NumSystemHolds") == 0
    assert "HoldReason" not in ad_of(harness, job)


def test_a_running_job_is_stopped_and_held(harness: Harness) -> None:
    job = running(harness)
    host = ad_of(harness, job).string("RemoteHost")
    act(harness, JobAction.HOLD, job, ActionDetails("enough"))
    harness.wait_for(becomes(harness, job, JobStatus.HELD))
    harness.wait_for(lambda: "RemoteHost" not in ad_of(harness, job))
    assert ad_of(harness, job).string("LastRemoteHost") == host
    harness.wait_for(lambda: EventType.JOB_HELD in event_types(harness, job))
    assert EventType.JOB_TERMINATED not in event_types(harness, job)


def test_a_held_job_cannot_be_held_again(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.HOLD, job, ActionDetails("first"))
    with pytest.raises(WrongJobStatus):
        act(harness, JobAction.HOLD, job, ActionDetails("second"))
    assert ad_of(harness, job).string("HoldReason") == "first"


def test_only_a_held_job_can_be_released(harness: Harness) -> None:
    job = waiting(harness)
    with pytest.raises(WrongJobStatus):
        act(harness, JobAction.RELEASE, job)


def test_a_released_job_runs_again(harness: Harness) -> None:
    job = running(harness)
    act(harness, JobAction.HOLD, job, ActionDetails("pause"))
    harness.wait_for(lambda: "RemoteHost" not in ad_of(harness, job))
    act(harness, JobAction.RELEASE, job, ActionDetails("go on"))
    released = ad_of(harness, job)
    assert released.integer("JobStatus") in (JobStatus.IDLE, JobStatus.RUNNING)
    assert released.string("ReleaseReason") == "go on"
    assert released.string("LastHoldReason") == "pause"
    assert released.integer("LastHoldReasonCode") == 1
    assert "HoldReason" not in released
    assert "HoldReasonCode" not in released
    harness.wait_for(becomes(harness, job, JobStatus.RUNNING))
    harness.wait_for(lambda: ad_of(harness, job).integer("NumJobStarts") == 2)
    harness.wait_for(lambda: event_types(harness, job)[-2:] == [EventType.JOB_RELEASED, EventType.EXECUTE])


def test_a_second_hold_moves_the_release_reason(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.HOLD, job)
    act(harness, JobAction.RELEASE, job, ActionDetails("released"))
    act(harness, JobAction.HOLD, job)
    assert ad_of(harness, job).string("LastReleaseReason") == "released"
    assert "ReleaseReason" not in ad_of(harness, job)


def test_a_completed_job_can_be_held(harness: Harness) -> None:
    job = completed(harness)
    act(harness, JobAction.HOLD, job)
    assert status_of(harness, job) is JobStatus.HELD


def test_a_removed_job_stays_until_it_was_collected(harness: Harness) -> None:
    job = submit(harness, "/bin/true", files={"input": b"x"}, Requirements=False)
    act(harness, JobAction.REMOVE, job, ActionDetails("not wanted"))
    removed = ad_of(harness, job)
    assert removed.integer("JobStatus") == JobStatus.REMOVED
    assert removed.string("RemoveReason") == "not wanted"
    expect_events(harness, job, EventType.SUBMIT, EventType.JOB_ABORTED)
    _, event = events_of(harness, job)[-1]
    assert "not wanted" in event.string("Reason")

    collect(harness, job)
    harness.wait_for(becomes(harness, job, None))
    harness.wait_for(lambda: not harness.queue.sandbox(job).exists())


def test_a_removed_job_that_nothing_keeps_leaves(harness: Harness) -> None:
    job = waiting(harness, LeaveJobInQueue=False)
    act(harness, JobAction.REMOVE, job)
    harness.wait_for(becomes(harness, job, None))
    expect_events(harness, job, EventType.SUBMIT, EventType.JOB_ABORTED)


def test_a_running_job_is_removed(harness: Harness) -> None:
    job = running(harness)
    act(harness, JobAction.REMOVE, job, ActionDetails("stop"))
    harness.wait_for(becomes(harness, job, JobStatus.REMOVED))
    harness.wait_for(lambda: "RemoteHost" not in ad_of(harness, job))
    harness.wait_for(lambda: event_types(harness, job)[-1] is EventType.JOB_ABORTED)


def test_force_takes_a_job_out_of_the_queue(harness: Harness) -> None:
    job = running(harness)
    act(harness, JobAction.REMOVE, job, ActionDetails(force=True))
    harness.wait_for(becomes(harness, job, None))
    harness.wait_for(lambda: event_types(harness, job)[-1] is EventType.JOB_ABORTED)
    with pytest.raises(UnknownJob):
        act(harness, JobAction.REMOVE, job)


def test_removing_twice_overwrites_the_reason(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.REMOVE, job, ActionDetails("one"))
    act(harness, JobAction.REMOVE, job, ActionDetails("two"))
    assert ad_of(harness, job).string("RemoveReason") == "two"
    expect_events(harness, job, EventType.SUBMIT, EventType.JOB_ABORTED)


def test_removing_a_held_job_moves_the_hold_reason(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.HOLD, job, ActionDetails("held"))
    act(harness, JobAction.REMOVE, job)
    assert ad_of(harness, job).string("LastHoldReason") == "held"
    assert "HoldReason" not in ad_of(harness, job)


def test_a_job_removed_and_then_held_goes_back_to_removed(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.REMOVE, job)
    act(harness, JobAction.HOLD, job)
    assert status_of(harness, job) is JobStatus.HELD
    act(harness, JobAction.RELEASE, job)
    assert status_of(harness, job) is JobStatus.REMOVED


def test_a_completed_job_leaves_when_it_was_collected(harness: Harness) -> None:
    job = completed(harness)
    collect(harness, job)
    harness.wait_for(becomes(harness, job, None))
    harness.wait_for(lambda: not harness.queue.sandbox(job).exists())
    assert harness.queue.count() == 0


def test_a_job_collected_while_idle_leaves_when_it_is_done(harness: Harness) -> None:
    job = submit(harness, "/bin/sleep", "5")
    collect(harness, job)
    assert ad_of(harness, job).get("FilesRetrieved") is True
    harness.wait_for(becomes(harness, job, JobStatus.RUNNING))
    harness.wait_for(becomes(harness, job, None))


def test_an_unknown_job_cannot_be_collected(harness: Harness) -> None:
    with pytest.raises(UnknownJob):
        collect(harness, JobId(999_999, 0))


def test_a_job_may_be_committed_held_or_removed(harness: Harness) -> None:
    held = submit(harness, "/bin/true", JobStatus=5, HoldReason="not yet", HoldReasonCode=1)
    removed = submit(harness, "/bin/true", JobStatus=3)
    other = submit(harness, "/bin/true")
    harness.wait_for(becomes(harness, other, JobStatus.COMPLETED))
    assert status_of(harness, held) is JobStatus.HELD
    assert status_of(harness, removed) is JobStatus.REMOVED
    expect_events(harness, held, EventType.SUBMIT, EventType.JOB_HELD)
    expect_events(harness, removed, EventType.SUBMIT, EventType.JOB_ABORTED)


def test_mail_wishes_are_recorded_with_the_event(harness: Harness) -> None:
    job = waiting(harness)
    act(harness, JobAction.HOLD, job, ActionDetails("x", email_user=True))
    expect_events(harness, job, EventType.SUBMIT, EventType.JOB_HELD)
    _, event = events_of(harness, job)[-1]
    assert event.get("EmailUser") is True
    assert "EmailAdmin" not in event


def test_a_running_job_is_suspended_and_goes_on(harness: Harness) -> None:
    job = submit(harness, "/bin/sleep", "30")
    harness.wait_for(becomes(harness, job, JobStatus.RUNNING))
    act(harness, JobAction.SUSPEND, job)
    harness.wait_for(becomes(harness, job, JobStatus.SUSPENDED))
    harness.wait_for(lambda: ad_of(harness, job).integer("TotalSuspensions") == 1)
    harness.wait_for(lambda: event_types(harness, job)[-1] is EventType.JOB_SUSPENDED)
    harness.pass_time(10)
    assert status_of(harness, job) is JobStatus.SUSPENDED
    act(harness, JobAction.CONTINUE, job)
    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
    assert ad_of(harness, job).integer("CumulativeSuspensionTime") >= 10
    kinds = [EventType.SUBMIT, EventType.EXECUTE, EventType.JOB_SUSPENDED, EventType.JOB_UNSUSPENDED]
    expect_events(harness, job, *kinds, EventType.JOB_TERMINATED)


@pytest.mark.parametrize("action", [JobAction.SUSPEND, JobAction.CONTINUE, JobAction.VACATE])
def test_a_job_that_does_not_run_is_neither_suspended_nor_vacated(
    harness: Harness, action: JobAction
) -> None:
    with pytest.raises(WrongJobStatus):
        act(harness, action, waiting(harness))


def test_a_vacated_job_runs_again(harness: Harness) -> None:
    job = running(harness)
    act(harness, JobAction.VACATE, job)
    harness.wait_for(lambda: EventType.JOB_EVICTED in event_types(harness, job))
    harness.wait_for(lambda: ad_of(harness, job).integer("NumJobStarts") == 2)
    assert status_of(harness, job) is JobStatus.RUNNING


def held(harness: Harness, **more: Scalar | Expression) -> JobId:
    """A job that stays where it is."""
    return submit(harness, "/bin/true", "", None, JobStatus=5, HoldReason="it waits", **more)


def removed_by(harness: Harness, job: JobId) -> str:
    """The requirements that removed the job, as its RemoveReason tells; a schedd is given them for the
    owner's jobs alone.
    """
    reason = ad_of(harness, job).string("RemoveReason")
    # A schedd says its own id of the job that ended.
    told = r"removed because <OtherJobRemoveRequirements = (.*)> fired when job \(\d+\.0\) was removed"
    found = re.fullmatch(told, reason)
    assert found is not None, reason
    harness.wait_for(lambda: events_of(harness, job)[-1][0] is EventType.JOB_ABORTED)
    assert events_of(harness, job)[-1][1].string("Reason") == reason
    bound = re.fullmatch(r'\((.*)\) && Owner =\?= "alice"', found[1])
    return found[1] if bound is None else bound[1]


@pytest.mark.parametrize(
    "requirements", ["Mark =?= 7", Expression('strcat("Mark =?= ",3 + 4)')], ids=["text", "expression"]
)
def test_other_jobs_are_removed_with_a_job(harness: Harness, requirements: str | Expression) -> None:
    job = held(harness, OtherJobRemoveRequirements=requirements)
    meant, other = held(harness, Mark=7), held(harness, Mark=8)
    act(harness, JobAction.REMOVE, job, ActionDetails("enough"))
    harness.wait_for(becomes(harness, meant, JobStatus.REMOVED))
    assert removed_by(harness, meant) == "Mark =?= 7"
    assert status_of(harness, other) is JobStatus.HELD
    assert ad_of(harness, job).string("RemoveReason") == "enough"


def test_other_jobs_are_removed_when_a_job_is_completed(harness: Harness) -> None:
    meant = held(harness, Mark=7)
    job = submit(harness, "/bin/true", OtherJobRemoveRequirements="Mark =?= 7")
    harness.wait_for(becomes(harness, meant, JobStatus.REMOVED))
    assert status_of(harness, job) is JobStatus.COMPLETED
    assert removed_by(harness, meant) == "Mark =?= 7"


def test_what_is_removed_with_a_job_removes_others_in_turn(harness: Harness) -> None:
    first = held(harness, Mark=1, OtherJobRemoveRequirements="Mark == 2")
    second = held(harness, Mark=2, OtherJobRemoveRequirements="Mark == 3 || Mark == 1")
    third = held(harness, Mark=3)
    act(harness, JobAction.REMOVE, first)
    harness.wait_for(becomes(harness, third, JobStatus.REMOVED))
    assert removed_by(harness, second) == "Mark == 2"
    assert removed_by(harness, third) == "Mark == 3 || Mark == 1"


def test_jobs_of_others_are_not_removed_with_a_job(harness: Harness) -> None:
    own, foreign = harness.owners
    job = held(harness, OtherJobRemoveRequirements="Mark =?= 7")
    theirs = held(harness, Mark=7, Owner=foreign)
    ours = held(harness, Mark=7, Owner=own)
    act(harness, JobAction.REMOVE, job)
    harness.wait_for(becomes(harness, ours, JobStatus.REMOVED))
    harness.pass_time(2)
    assert status_of(harness, theirs) is JobStatus.HELD


@pytest.mark.parametrize("requirements", ["Mark =?=", "", Expression("Mark =?= 7"), Expression("NoSuch")])
def test_what_is_no_constraint_removes_nothing(harness: Harness, requirements: str | Expression) -> None:
    job, other = held(harness, OtherJobRemoveRequirements=requirements), held(harness, Mark=7)
    act(harness, JobAction.REMOVE, job)
    harness.pass_time(2)
    assert status_of(harness, job) is JobStatus.REMOVED
    assert status_of(harness, other) is JobStatus.HELD
