"""Matchmaking: who gets which slot, decided as ClassAds say, at a cost that does not grow with the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.classads import Ad, Expression, Scalar
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.pool.simulated import MachineDescription, PoolDescription
from birdbath.pool.simulated.autoclusters import SUBMIT_MACHINE, Autoclusters
from tests.pool.harness import ad_of, becomes, status_of, submit, submit_many
from tests.pool.simulated.differential import compare
from tests.pool.simulated.harness import SimulatedHarness


def pool_of(home: Path, *machines: MachineDescription, **habits: float) -> SimulatedHarness:
    return SimulatedHarness(home, PoolDescription(machines, **habits))  # type: ignore[arg-type]


ONE_SLOT = MachineDescription("one.example.org", slots=1, cpus=1, memory=1024)


def run_order(pool: SimulatedHarness, jobs: list[JobId]) -> list[JobId]:
    """The jobs in the order in which they start, on a pool with one slot."""
    pool.wait_for(lambda: all(status_of(pool, job) is JobStatus.COMPLETED for job in jobs), within=100_000)
    return sorted(jobs, key=lambda job: ad_of(pool, job).integer("JobStartDate"))


def test_jobs_run_by_priority_and_then_as_submitted(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, ONE_SLOT)
    priorities = [0, 5, 0, -3, 5, 2**40]
    jobs = [submit(pool, "/bin/sleep", "10", JobPrio=priority) for priority in priorities]
    assert run_order(pool, jobs) == [jobs[index] for index in (5, 1, 4, 0, 2, 3)]
    pool.close()


def test_jobs_of_different_kinds_keep_their_order(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, ONE_SLOT)
    jobs = [submit(pool, "/bin/sleep", "10", RequestMemory=number % 3) for number in range(7)]
    assert run_order(pool, jobs) == jobs
    pool.close()


def test_rank_chooses_among_matching_slots(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/sleep", "99", Rank=Expression("TARGET.Memory"))
    modest = submit(simulated, "/bin/sleep", "99", Rank=Expression("-TARGET.Memory"))
    broken = submit(simulated, "/bin/sleep", "99", Rank=Expression("TARGET.Nothing"))
    simulated.wait_for(becomes(simulated, broken, JobStatus.RUNNING))
    assert ad_of(simulated, job).string("RemoteHost") == "slot1@exec-4.pool.example.org"
    assert ad_of(simulated, modest).string("RemoteHost") == "slot1@exec-1.pool.example.org"


def test_a_slot_runs_one_job_at_a_time(simulated: SimulatedHarness) -> None:
    jobs = submit_many(simulated, 40, "/bin/sleep", "10")
    simulated.step()
    simulated.clock.step(1)
    simulated.step()
    running = [job for job in jobs if status_of(simulated, job) is JobStatus.RUNNING]
    assert running == jobs[:16]
    assert len({ad_of(simulated, job).string("RemoteHost") for job in running}) == 16
    simulated.pass_time(10)
    assert [job for job in jobs if status_of(simulated, job) is JobStatus.RUNNING] == jobs[16:32]


def test_a_slot_given_back_is_used_at_once(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, ONE_SLOT)
    first, second = submit_many(pool, 2, "/bin/sleep", "500")
    pool.wait_for(becomes(pool, first, JobStatus.RUNNING))
    pool.write(lambda unit: pool.queue.act(unit, JobAction.HOLD, first, ActionDetails()))
    pool.step()
    assert status_of(pool, second) is JobStatus.RUNNING
    pool.close()


def test_a_machine_refuses_what_it_does_not_want(tmp_path: Path) -> None:
    start = Expression('TARGET.Owner =!= "bob"')
    pool = pool_of(tmp_path, MachineDescription("picky", 2, 2, 2048, attributes={"Start": start}))
    alice, bob = submit(pool, "/bin/true"), submit(pool, "/bin/true", Owner="bob")
    pool.wait_for(becomes(pool, alice, JobStatus.COMPLETED))
    pool.pass_time(100)
    assert status_of(pool, bob) is JobStatus.IDLE
    pool.close()


@pytest.mark.parametrize(
    ("request_name", "value", "fits"),
    [
        ("RequestCpus", 8, True),
        ("RequestCpus", 9, False),
        ("RequestMemory", 65536, True),
        ("RequestMemory", 70000, False),
    ],
)
def test_requests_are_compared_with_slots(
    simulated: SimulatedHarness, request_name: str, value: int, fits: bool
) -> None:
    job = submit(simulated, "/bin/sleep", "5", None, **{request_name: value})
    simulated.pass_time(1)
    assert status_of(simulated, job) is (JobStatus.RUNNING if fits else JobStatus.IDLE)


def test_a_job_without_requests_fits(simulated: SimulatedHarness) -> None:
    undefined = dict.fromkeys(("RequestCpus", "RequestMemory", "RequestDisk"), Expression("undefined"))
    job = submit(simulated, "/bin/true", "", None, **undefined)
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))


@pytest.mark.parametrize("universe", [7, 12])
def test_local_jobs_need_no_slot(tmp_path: Path, universe: int) -> None:
    pool = pool_of(tmp_path, ONE_SLOT, max_local_jobs=3)
    vanilla = submit(pool, "/bin/sleep", "50")
    jobs = submit_many(pool, 5, "/bin/sleep", "50", JobUniverse=universe, Requirements=False)
    pool.pass_time(1)
    assert [status_of(pool, job) for job in jobs].count(JobStatus.RUNNING) == 3
    assert status_of(pool, vanilla) is JobStatus.RUNNING
    pool.pass_time(200)
    assert [status_of(pool, job) for job in jobs].count(JobStatus.COMPLETED) == 5
    pool.close()


# ------------------------------------------------------------------ cost


def test_a_cycle_costs_one_evaluation_a_slot_however_many_jobs_wait(simulated: SimulatedHarness) -> None:
    submit_many(simulated, 100, "/bin/sleep", "100000")
    simulated.step()
    simulated.clock.step(0.1)
    simulated.step()
    small = simulated.pool.evaluations
    submit_many(simulated, 10_000, "/bin/sleep", "100000")
    simulated.pass_time(60)
    assert small == 4, "one for each kind of slot"
    assert simulated.pool.evaluations == small


def test_ten_thousand_jobs_that_match_nothing_cost_as_much_as_one(simulated: SimulatedHarness) -> None:
    never = Expression("TARGET.Memory > 10000000")
    submit_many(simulated, 10_000, "/bin/true", Requirements=never)
    simulated.pass_time(1)
    assert simulated.pool.evaluations == 4, "one for each kind of slot"
    simulated.pass_time(40)
    assert simulated.pool.evaluations == 4, "nothing of it tells the time"


def test_many_kinds_of_jobs_are_matched_in_bounded_steps(simulated: SimulatedHarness) -> None:
    for number in range(300):
        submit(simulated, "/bin/true", Requirements=Expression(f"TARGET.Memory > 10000000 + {number}"))
    last = submit(simulated, "/bin/sleep", "50", JobPrio=-1)
    most = 0
    for _ in range(10):
        before = simulated.pool.evaluations
        simulated.write(simulated.pool.advance)
        most = max(most, simulated.pool.evaluations - before)
    assert 0 < most < 2100
    assert simulated.pool.evaluations == 301 * 4
    assert status_of(simulated, last) is JobStatus.RUNNING


def test_signatures_tell_apart_what_matchmaking_looks_at() -> None:
    slot, job = Ad(), Ad()
    slot.update({"Start": Expression("TARGET.Department == Wanted"), "Wanted": "physics"})
    slot.set("Requirements", Expression("Start"))
    job.update(
        {"JobUniverse": 5, "Requirements": Expression("Memory > Needed"), "Needed": Expression("2 * Base")}
    )
    job.update({"Base": 3, "Department": "physics", "Cmd": "/bin/true", "ClusterId": 1})
    autoclusters = Autoclusters([slot])

    def signature(**changes: Scalar) -> str:
        changed = Ad(job)
        changed.update(changes)
        return autoclusters.lane(changed)

    assert signature() == signature(Cmd="/bin/false", ClusterId=2)
    different = [
        signature(),
        signature(Base=4),
        signature(Department="law"),
        signature(Rank=1),
        signature(RequestCpus=2),
    ]
    assert len(set(different)) == len(different)
    assert signature(JobUniverse=7) == SUBMIT_MACHINE


# ------------------------------------------------------------------ the same decisions as ClassAds


@pytest.mark.parametrize("seed", range(10))
def test_our_decisions_are_those_of_symmetric_match(seed: int) -> None:
    matched, different = compare(500, seed)
    assert different == []
    assert 0 < matched < 500
