"""What happens to jobs besides running to their end: faults, limits, suspension, deferral, lost machines,
logs.
"""

from __future__ import annotations

from pathlib import Path

import htcondor2
import pytest

from birdbath.classads import Expression
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, JobAction, JobStatus
from birdbath.pool.simulated.description import (
    Duration,
    FaultDescription,
    MachineDescription,
    PoolDescription,
    ProgramDescription,
)
from tests.pool.harness import ad_of, becomes, event_types, events_of, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness

ONE = MachineDescription("one.example.org", cpus=1, memory=4096)


def pool_with(home: Path, *faults: FaultDescription, **habits: object) -> SimulatedHarness:
    description = PoolDescription((ONE,), faults=faults, **habits)  # type: ignore[arg-type]  # each has its type
    return SimulatedHarness(home, description)


def test_programs_take_as_long_and_return_what_the_description_says(tmp_path: Path) -> None:
    programs = (ProgramDescription("blast*", Duration(700.0), exit_code=3),)
    pool = pool_with(tmp_path, programs=programs)
    job = submit(pool, "/opt/blastn", LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    ad = ad_of(pool, job)
    assert (ad.integer("ExitCode"), ad.get("RemoteWallClockTime")) == (3, 700.0)


def test_random_durations_follow_the_seed(tmp_path: Path) -> None:
    programs = (ProgramDescription(runtime=Duration(100.0, "exponential")),)

    def ends(name: str, seed: int) -> list[float]:
        (tmp_path / name).mkdir()
        pool = pool_with(tmp_path / name, programs=programs, seed=seed)
        jobs = [submit(pool, "/opt/x", LeaveJobInQueue=True) for _ in range(5)]
        pool.wait_for(lambda: all(status_of(pool, job) is JobStatus.COMPLETED for job in jobs), 10_000)
        return [ad_of(pool, job).integer("CompletionDate") for job in jobs]

    assert ends("a", 1) == ends("b", 1) != ends("c", 2)


def test_an_evicted_run_begins_anew(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("eviction", after=30.0, most=1))
    job = submit(pool, "/bin/sleep", "50", LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert event_types(pool, job) == [
        EventType.SUBMIT,
        EventType.EXECUTE,
        EventType.JOB_EVICTED,
        EventType.EXECUTE,
        EventType.JOB_TERMINATED,
    ]
    ad = ad_of(pool, job)
    assert (ad.integer("NumJobStarts"), ad.integer("NumVacates")) == (2, 1)
    assert ad.get("RemoteWallClockTime") == 80.0


def test_a_shadow_exception_sends_the_job_back(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("shadow exception", after=5.0, most=1))
    job = submit(pool, "/bin/sleep", "50", LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert EventType.SHADOW_EXCEPTION in event_types(pool, job)
    assert ad_of(pool, job).integer("NumShadowExceptions") == 1


def test_a_program_may_die_by_a_signal(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("signal", value=11))
    job = submit(pool, "/bin/sleep", "5", LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    ad = ad_of(pool, job)
    assert (ad.get("ExitBySignal"), ad.integer("ExitSignal"), "ExitCode" in ad) == (True, 11, False)
    assert events_of(pool, job)[-1][1].integer("TerminatedBySignal") == 11


def test_a_failed_transfer_holds_the_job(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("transfer failure", cmd="sleep"))
    job = submit(pool, "/bin/sleep", "5")
    pool.wait_for(becomes(pool, job, JobStatus.HELD))
    assert ad_of(pool, job).integer("HoldReasonCode") == 12


@pytest.mark.parametrize(("name", "code"), [("AllowedJobDuration", 46), ("AllowedExecuteDuration", 47)])
def test_a_job_that_takes_longer_than_allowed_is_held(tmp_path: Path, name: str, code: int) -> None:
    pool = pool_with(tmp_path)
    limit: dict[str, int] = {name: 60}
    job = submit(pool, "/bin/sleep", "500", None, **limit)
    pool.wait_for(becomes(pool, job, JobStatus.HELD))
    ad = ad_of(pool, job)
    assert (ad.integer("HoldReasonCode"), ad.get("RemoteWallClockTime")) == (code, 60.0)


def test_a_job_is_tried_again_as_often_as_max_retries_says(tmp_path: Path) -> None:
    pool = pool_with(tmp_path)
    retry = Expression("NumJobCompletions > JobMaxRetries || ExitCode =?= 0")
    job = submit(pool, "/bin/false", JobMaxRetries=2, OnExitRemove=retry, LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    ad = ad_of(pool, job)
    assert (ad.integer("NumJobStarts"), ad.integer("NumJobCompletions")) == (3, 3)


def test_output_takes_its_time_to_come_back(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, transfer_output=10.0)
    job = submit(pool, "/bin/sleep", "5", LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, job, JobStatus.TRANSFERRING_OUTPUT))
    assert ad_of(pool, job).get("TransferringOutput") is True
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    ad = ad_of(pool, job)
    assert ad.integer("TransferOutFinished") - ad.integer("TransferOutStarted") == 10
    kinds = [kind for kind, _ in events_of(pool, job) if kind is not EventType.IMAGE_SIZE]
    assert kinds[2:] == [EventType.FILE_TRANSFER] * 2 + [EventType.JOB_TERMINATED]


def test_a_suspended_job_keeps_its_slot_and_ends_so_much_later(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sleep", "100", LeaveJobInQueue=True)
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    start = simulated.clock.time()

    def act(action: JobAction) -> None:
        simulated.write(lambda unit: simulated.queue.act(unit, action, job, ActionDetails()))

    simulated.pass_time(10)
    act(JobAction.SUSPEND)
    simulated.pass_time(500)
    assert status_of(simulated, job) is JobStatus.SUSPENDED
    assert "RemoteHost" in ad_of(simulated, job)
    act(JobAction.CONTINUE)
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert simulated.clock.time() == start + 600
    assert ad_of(simulated, job).integer("CumulativeSuspensionTime") == 500


def test_a_deferred_program_begins_at_its_time(simulated: SimulatedHarness) -> None:
    at = int(simulated.clock.time()) + 300
    job = submit(simulated, "/bin/sleep", "10", DeferralTime=at, LeaveJobInQueue=True)
    late = submit(simulated, "/bin/sleep", "10", DeferralTime=at - 400)
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert simulated.clock.time() == at + 10
    assert ad_of(simulated, late).integer("HoldReasonCode") == 18


def test_a_dead_machine_loses_its_jobs_and_gets_none_until_it_is_back(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("machine dies", at=50.0, duration=400.0))
    pool.step()
    job = submit(pool, "/bin/sleep", "100", LeaveJobInQueue=True)
    pool.pass_time(60)
    assert status_of(pool, job) is JobStatus.IDLE
    pool.restart()
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert 550 <= pool.clock.time() - 1_800_000_000 < 551


def test_a_job_with_a_lease_waits_for_its_machine(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("machine dies", at=50.0, duration=10.0))
    pool.step()
    job = submit(pool, "/bin/sleep", "100", JobLeaseDuration=200, LeaveJobInQueue=True)
    pool.pass_time(150)
    assert status_of(pool, job) is JobStatus.RUNNING
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    assert event_types(pool, job)[2:4] == [EventType.JOB_DISCONNECTED, EventType.JOB_RECONNECT_FAILED]


def test_while_the_negotiator_stands_the_queue_grows(tmp_path: Path) -> None:
    pool = pool_with(tmp_path, FaultDescription("negotiator stops", at=0.0, duration=600.0))
    pool.step()
    job = submit(pool, "/bin/sleep", "10")
    pool.pass_time(590)
    assert status_of(pool, job) is JobStatus.IDLE
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))


@pytest.mark.parametrize("xml", [False, True])
def test_htcondors_own_reader_reads_the_user_log(tmp_path: Path, xml: bool) -> None:
    pool = pool_with(tmp_path, FaultDescription("eviction", after=30.0, most=1))
    job = submit(pool, "/bin/sleep", "50", UserLog="logs/job.log", UserLogUseXML=xml, LeaveJobInQueue=True)
    pool.pass_time(20)
    pool.restart()
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    log = pool.queue.sandbox(job).path / "job.log"
    read = [int(event.type) for event in htcondor2.JobEventLog(str(log)).events(stop_after=0)]
    assert read == [int(kind) for kind, _ in events_of(pool, job)]


@pytest.mark.parametrize("xml", [False, True])
def test_the_user_log_tells_the_attributes_that_the_job_names(tmp_path: Path, xml: bool) -> None:
    pool = pool_with(tmp_path)
    more = {"JobAdInformationAttrs": "Project, jobstatus Missing", "Project": "demo"}
    job = submit(pool, "/bin/true", "", None, UserLog="job.log", UserLogUseXML=xml, **more)
    pool.wait_for(becomes(pool, job, JobStatus.COMPLETED))
    log = pool.queue.sandbox(job).path / "job.log"
    read = list(htcondor2.JobEventLog(str(log)).events(stop_after=0))
    kinds = [kind for kind, _ in events_of(pool, job)]
    assert [int(event.type) for event in read[::2]] == [int(kind) for kind in kinds]
    told = [(int(event.type), event["TriggerEventTypeNumber"], event["Project"]) for event in read[1::2]]
    assert told == [(28, int(kind), "demo") for kind in kinds]
    assert [event["JobStatus"] for event in read[1::2]] == [1, 2, 4]
    assert read[-1]["TriggerEventTypeName"] == "ULOG_JOB_TERMINATED"
