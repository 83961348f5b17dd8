"""The Pool contract's JobQueue, against every implementation: what a job's own policies make of it."""

from __future__ import annotations

from birdbath.classads import Expression
from birdbath.events import EventType
from birdbath.pool.base import JobStatus
from tests.pool.harness import Harness, ad_of, becomes, events_of, expect_events, status_of, submit


def test_on_exit_hold_holds_a_job_that_has_ended(harness: Harness) -> None:
    job = submit(
        harness,
        "/bin/sh",
        "-c 'exit 4'",
        OnExitHold=Expression("ExitCode == 4"),
        OnExitHoldReason="the program says so",
        OnExitHoldSubCode=44,
    )
    harness.wait_for(becomes(harness, job, JobStatus.HELD))
    held = ad_of(harness, job)
    assert (held.integer("HoldReasonCode"), held.integer("HoldReasonSubCode")) == (3, 44)
    assert "the program says so" in held.string("HoldReason")
    assert held.get("ExitCode") == 4


def test_on_exit_remove_lets_a_job_run_again(harness: Harness) -> None:
    again = Expression("NumJobCompletions > 1 || ExitCode =?= 0")
    job = submit(harness, "/bin/sh", "-c 'exit 5'", OnExitRemove=again)
    harness.wait_for(becomes(harness, job, JobStatus.COMPLETED))
    done = ad_of(harness, job)
    assert (done.integer("NumJobStarts"), done.integer("ExitCode")) == (2, 5)
    run_twice = (EventType.EXECUTE, EventType.JOB_EVICTED, EventType.EXECUTE, EventType.JOB_TERMINATED)
    expect_events(harness, job, EventType.SUBMIT, *run_twice)
    evicted = dict(events_of(harness, job))[EventType.JOB_EVICTED]
    assert evicted.get("TerminatedAndRequeued") is True


def test_periodic_hold_and_release(harness: Harness) -> None:
    job = submit(
        harness,
        "/bin/sleep",
        "500",
        PeriodicHold=Expression("JobStatus == 2 && NumHolds =!= 1"),
        PeriodicHoldReason="once",
        PeriodicRelease=Expression("HoldReasonCode == 3"),
    )
    harness.wait_for(lambda: ad_of(harness, job).integer("NumHolds") == 1)
    harness.wait_for(lambda: ad_of(harness, job).integer("NumJobStarts") == 2)
    assert status_of(harness, job) is JobStatus.RUNNING
    assert ad_of(harness, job).integer("LastHoldReasonCode") == 3
    assert "once" in ad_of(harness, job).string("LastHoldReason")


def test_periodic_remove_removes(harness: Harness) -> None:
    late = Expression("time() - QDate > 5")
    job = submit(harness, "/bin/true", Requirements=False, PeriodicRemove=late)
    harness.wait_for(becomes(harness, job, JobStatus.REMOVED))
    assert ad_of(harness, job).string("RemoveReason")
    expect_events(harness, job, EventType.SUBMIT, EventType.JOB_ABORTED)
