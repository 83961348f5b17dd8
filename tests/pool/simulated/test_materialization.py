"""Large clusters that are materialized late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import pytest

from birdbath.classads import Constraint, Expression
from birdbath.events import EventType
from birdbath.pool.base import ActionDetails, AdKind, JobAction, JobId, JobStatus
from birdbath.pool.simulated.description import MachineDescription, PoolDescription
from birdbath.store import UnitOfWork
from tests.pool.harness import ad_of, event_types, events_of, selected, status_of, submit_many
from tests.pool.simulated.harness import SimulatedHarness


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[SimulatedHarness]:
    machine = MachineDescription("m.example.org", slots=2, cpus=2, memory=4096)
    harness = SimulatedHarness(tmp_path, PoolDescription((machine,)))
    yield harness
    harness.close()


def ended(pool: SimulatedHarness, jobs: list[JobId]) -> int:
    return sum(EventType.JOB_TERMINATED in event_types(pool, job) for job in jobs)


def test_only_so_many_jobs_are_in_the_queue(pool: SimulatedHarness) -> None:
    jobs = submit_many(pool, 10, "/bin/sleep", "100", JobMaterializeLimit=3, LeaveJobInQueue=False)
    assert selected(pool, None) == jobs[:3]
    assert event_types(pool, jobs[3]) == []
    most = 0
    while ended(pool, jobs) < 10:
        pool.pass_time(10)
        most = max(most, len(selected(pool, None)))
    assert most == 3
    assert all(event_types(pool, job)[0] is EventType.SUBMIT for job in jobs)
    assert pool.queue.count() == 0


def test_only_so_many_jobs_are_idle(pool: SimulatedHarness) -> None:
    jobs = submit_many(pool, 10, "/bin/sleep", "1000", JobMaterializeMaxIdle=1, LeaveJobInQueue=False)
    assert selected(pool, None) == jobs[:1]
    pool.pass_time(200)
    assert selected(pool, "JobStatus == 2") == jobs[:2]
    assert selected(pool, "JobStatus == 1") == jobs[2:3]


def test_what_waits_stays_over_a_restart(pool: SimulatedHarness) -> None:
    files = {"input": b"x"}
    jobs = submit_many(pool, 4, "/bin/sleep", "100", files, JobMaterializeLimit=1, LeaveJobInQueue=False)
    pool.restart()
    pool.write(lambda unit: pool.pool.sweep(unit, -1e12, []))
    assert pool.queue.sandbox(jobs[3]).read("input") == b"x"
    pool.wait_for(lambda: ended(pool, jobs) == 4)
    assert not pool.queue.sandbox(jobs[3]).exists()


def test_ads_say_when_a_job_was_materialized_and_how_far_its_cluster_has_come(pool: SimulatedHarness) -> None:
    jobs = submit_many(pool, 4, "/bin/sleep", "100", JobMaterializeLimit=2, LeaveJobInQueue=False)
    first = ad_of(pool, jobs[0])
    assert (first.get("JobMaterializeDate"), first.get("JobMaterializeNextProcId")) == (first.get("QDate"), 2)
    pool.wait_for(lambda: selected(pool, None) == jobs[2:])
    third = ad_of(pool, jobs[2])
    assert third.get("JobMaterializeNextProcId") == 4
    assert third.integer("JobMaterializeDate") >= first.integer("JobMaterializeDate") + 100


def unmaterialized(pool: SimulatedHarness, kind: AdKind) -> list[object]:
    found = pool.directory.query([kind], Constraint(None), pool.queue.time())
    return [record.ad().get("JobsUnmaterialized") for record in found.records]


def test_the_ads_of_schedd_and_submitter_count_those_that_wait(pool: SimulatedHarness) -> None:
    jobs = submit_many(pool, 5, "/bin/sleep", "100", JobMaterializeLimit=2, LeaveJobInQueue=False)
    submit_many(pool, 4, "/bin/sleep", "1000", JobMaterializeLimit=1, LeaveJobInQueue=False)
    submit_many(pool, 1, "/bin/sleep", "1000", LeaveJobInQueue=False)
    assert unmaterialized(pool, AdKind.SCHEDD) == unmaterialized(pool, AdKind.SUBMITTOR) == [6]
    pool.restart()
    pool.wait_for(lambda: selected(pool, f"ClusterId == {jobs[0].cluster}") == jobs[2:4])
    assert unmaterialized(pool, AdKind.SCHEDD) == unmaterialized(pool, AdKind.SUBMITTOR) == [4]


@pytest.mark.parametrize("restarts", [0, 1])
def test_one_that_is_removed_makes_room(pool: SimulatedHarness, restarts: int) -> None:
    jobs = submit_many(pool, 5, "/bin/sleep", "1000", JobMaterializeLimit=2, LeaveJobInQueue=False)
    pool.write(lambda unit: pool.queue.act(unit, JobAction.REMOVE, jobs[0], ActionDetails()))
    for _ in range(restarts):
        pool.restart()
    pool.pass_time(1)
    assert selected(pool, None) == jobs[1:3]


def test_a_restart_makes_no_cycle_come_before_its_time(pool: SimulatedHarness) -> None:
    submit_many(pool, 4, "/bin/sleep", "1000", JobMaterializeLimit=1, LeaveJobInQueue=False)
    pool.pass_time(5)
    [other] = submit_many(pool, 1, "/bin/sleep", "1000")
    pool.restart()
    pool.step()
    assert status_of(pool, other) is JobStatus.IDLE
    pool.pass_time(0.1)
    assert status_of(pool, other) is JobStatus.RUNNING


@pytest.mark.parametrize(("slots", "jobs"), [(2, 20), (250, 320)])  # fewer and more than in one step
def test_it_makes_no_difference_how_late_the_pool_is_or_whether_it_was_killed(
    tmp_path: Path, slots: int, jobs: int
) -> None:
    machine = MachineDescription("m.example.org", slots=slots, cpus=slots, memory=2048 * slots)
    described = PoolDescription((machine,), claim_worklife=60.0, cycle_pause=7.0)
    logs = []
    for way in ("in time", "late", "killed"):
        home = tmp_path / way
        home.mkdir()
        pool = SimulatedHarness(home, described)
        for seconds in ("1", "1.5"):
            submit_many(pool, jobs, "/bin/sleep", seconds, JobMaterializeMaxIdle=slots // 10 + 1)
        if way == "in time":
            pool.pass_time(20)
        pool.clock.step(20 if way != "in time" else 0)
        for _ in range(20 if way == "killed" else 0):
            pool.write(pool.pool.advance)
            pool.restart()
        pool.step()
        with pool.engine.connect() as connection:
            logs.append(
                connection.exec_driver_sql("SELECT time, type, cluster_id, proc_id FROM events").all()
            )
    assert len(logs[0]) > 5 * jobs
    assert logs[0] == logs[1] == logs[2]


def test_others_take_the_place_of_all_that_are_removed_one_by_one(pool: SimulatedHarness) -> None:
    jobs = submit_many(pool, 5, "/bin/sleep", "1000", JobMaterializeLimit=2, LeaveJobInQueue=False)

    def remove(unit: UnitOfWork) -> None:
        for job in jobs[:2]:
            pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails())

    pool.write(remove)
    pool.pass_time(1)
    assert selected(pool, None) == jobs[2:4]


def test_a_cluster_that_was_removed_does_not_come_back_after_a_restart(pool: SimulatedHarness) -> None:
    jobs = submit_many(pool, 5, "/bin/sleep", "1000", JobMaterializeLimit=2, LeaveJobInQueue=False)

    def remove(unit: UnitOfWork) -> None:
        for job in jobs[:2]:
            pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails(cluster=True))

    pool.write(remove)
    pool.restart()
    pool.pass_time(100)
    assert selected(pool, None) == []
    assert cluster_events(pool, jobs[0]) == [
        (EventType.CLUSTER_SUBMIT, {"SubmitHost": ANY}),
        (EventType.CLUSTER_REMOVE, {"NextProcId": 2, "NextRow": 0, "Completion": 0}),
    ]


def cluster_events(pool: SimulatedHarness, job: JobId) -> list[tuple[EventType, dict[str, object]]]:
    found = events_of(pool, JobId(job.cluster, -1))
    general = {"MyType", "EventTypeNumber", "Cluster", "Subproc"}
    return [(kind, {name: ad.get(name) for name, _, _ in ad if name not in general}) for kind, ad in found]


def test_the_log_says_when_the_cluster_comes_and_when_it_is_gone(pool: SimulatedHarness) -> None:
    jobs = submit_many(
        pool, 3, "/bin/sleep", "100", JobMaterializeLimit=1, UserLog="log", LeaveJobInQueue=False
    )
    assert ad_of(pool, jobs[0]).get("TotalSubmitProcs") == 3
    log = pool.queue.sandbox(jobs[0]).read("log").decode()
    assert log.startswith(f"035 ({jobs[0].cluster:03}.-01.000) ")
    assert f"\n000 ({jobs[0].cluster:03}.000.000) " in log
    pool.wait_for(lambda: ended(pool, jobs) == 2)
    assert [kind for kind, _ in cluster_events(pool, jobs[0])] == [EventType.CLUSTER_SUBMIT]
    pool.wait_for(lambda: ended(pool, jobs) == 3)
    done = {"NextProcId": 3, "NextRow": 0, "Completion": 1}
    assert cluster_events(pool, jobs[0])[1:] == [(EventType.CLUSTER_REMOVE, done)]
    pool.pass_time(1000)
    assert len(cluster_events(pool, jobs[0])) == 2


def test_when_the_cluster_is_removed_so_is_the_rest(pool: SimulatedHarness) -> None:
    jobs = submit_many(
        pool, 5, "/bin/sleep", "1000", {"input": b"x"}, JobMaterializeLimit=2, LeaveJobInQueue=False
    )
    pool.pass_time(5)

    def remove(unit: UnitOfWork) -> None:
        for job in pool.queue.cluster_jobs(unit, jobs[0].cluster):
            pool.queue.act(unit, JobAction.REMOVE, job, ActionDetails(cluster=True))

    pool.write(remove)
    pool.pass_time(100)
    assert selected(pool, None) == []
    assert [event_types(pool, job) for job in jobs[2:]] == [[], [], []]
    assert not any(pool.queue.sandbox(job).exists() for job in jobs)


def test_jobs_that_are_kept_in_the_queue_take_room(pool: SimulatedHarness) -> None:
    kept = Expression("FilesRetrieved =?= false")
    jobs = submit_many(pool, 3, "/bin/sleep", "10", JobMaterializeLimit=1, LeaveJobInQueue=kept)
    pool.pass_time(100)
    assert selected(pool, f"JobStatus == {int(JobStatus.COMPLETED)}") == jobs[:1]
    pool.write(lambda unit: pool.queue.collected(unit, jobs[0]))
    pool.pass_time(1)
    assert selected(pool, None) == jobs[1:2]
