"""Machines that suspend jobs by their SUSPEND, and let them go on by their CONTINUE."""

from __future__ import annotations

from pathlib import Path

from birdbath.classads import Constraint
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, AdKind, JobAction, JobId, JobStatus
from birdbath.pool.simulated.description import MachineDescription, PoolDescription
from birdbath.pool.simulated.description_file import read_description
from tests.pool.harness import ad_of, becomes, event_types, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness

# ClockMin counts minutes since midnight.
FIVE_MINUTES = "ClockMin >= %d && ClockMin < %d"


def pool_with(home: Path, suspend: str, continue_: str, preempt: str = "false") -> SimulatedHarness:
    machine = MachineDescription("one.example.org", suspend=suspend, continue_=continue_, preempt=preempt)
    return SimulatedHarness(home, PoolDescription((machine,)))


def minute(pool: SimulatedHarness) -> int:
    return int(pool.clock.time()) // 60 % 1440


def running(home: Path, away: str = "false") -> tuple[SimulatedHarness, JobId, int]:
    """A job of 1000 seconds on a machine whose owner is back for five minutes, two minutes from now."""
    clock = SimulatedHarness(home)
    began = (minute(clock) + 2) % 1440
    clock.close()
    busy = FIVE_MINUTES % (began, began + 5)
    pool = pool_with(home, busy, f"!({busy})", away)
    job = submit(pool, "/bin/sleep", "1000")
    pool.wait_for(becomes(pool, job, JobStatus.RUNNING))
    return pool, job, began


def test_a_machine_suspends_a_job_and_lets_it_go_on(tmp_path: Path) -> None:
    pool, job, began = running(tmp_path)
    pool.wait_for(becomes(pool, job, JobStatus.SUSPENDED))
    suspended = ad_of(pool, job)
    assert minute(pool) == began
    assert suspended.integer("TotalSuspensions") == 1
    assert suspended.integer("LastSuspensionTime") == int(pool.clock.time())
    slot = pool.directory.query([AdKind.STARTD], Constraint(None), pool.clock.time()).records[0].ad()
    assert (slot.string("State"), slot.string("Activity")) == ("Claimed", "Suspended")

    pool.wait_for(becomes(pool, job, JobStatus.RUNNING))
    again = ad_of(pool, job)
    assert minute(pool) == began + 5
    assert (again.integer("CumulativeSuspensionTime"), again.integer("LastSuspensionTime")) == (300, 0)

    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED), 2000)
    done = ad_of(pool, job)
    assert done.integer("CompletionDate") - done.integer("JobStartDate") == 1300
    assert done.integer("CommittedSuspensionTime") == 300
    assert not [name for name, _, _ in done if name.startswith("SimSuspended")]
    assert event_types(pool, job) == [
        EventType.SUBMIT,
        EventType.EXECUTE,
        EventType.JOB_SUSPENDED,
        EventType.JOB_UNSUSPENDED,
        EventType.JOB_TERMINATED,
    ]


def test_a_suspended_job_is_held_and_its_time_counts(tmp_path: Path) -> None:
    pool, job, _ = running(tmp_path)
    pool.wait_for(becomes(pool, job, JobStatus.SUSPENDED))
    pool.pass_time(100)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.HOLD, job, ActionDetails("enough")))
    held = ad_of(pool, job)
    assert held.integer("CumulativeSuspensionTime") == 100
    assert not [name for name, _, _ in held if name.startswith("SimSuspended")]


def test_preempt_takes_a_suspended_job_off(tmp_path: Path) -> None:
    pool, job, _ = running(tmp_path, "Activity =!= UNDEFINED && ClockMin % 5 == 0")
    pool.wait_for(lambda: EventType.JOB_EVICTED in event_types(pool, job), 3000)
    assert minute(pool) % 5 == 0


def test_a_job_that_its_user_suspended_is_not_for_the_machine_to_continue(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, "ClockMin < 0", "true")
    job = submit(pool, "/bin/sleep", "500")
    pool.wait_for(becomes(pool, job, JobStatus.RUNNING))
    pool.write(lambda unit: pool.queue.act(unit, JobAction.SUSPEND, job, ActionDetails()))
    pool.pass_time(600)
    assert status_of(pool, job) is JobStatus.SUSPENDED


def test_it_is_described_in_a_file() -> None:
    text = '[[machines]]\nname = "m"\nsuspend = "KeyboardIdle < 60"\ncontinue = "KeyboardIdle > 300"\n'
    (machine,) = read_description(text).machines
    assert (machine.suspend, machine.continue_) == ("KeyboardIdle < 60", "KeyboardIdle > 300")
