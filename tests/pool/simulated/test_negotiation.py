"""The negotiator's larger rules: shares, quotas, limits, partitionable slots, flocking, preemption,
claims.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from birdbath.classads import Ad, Constraint, Expression, Scalar
from birdbath.events import EventType
from birdbath.pool.base import AdKind, JobId, JobStatus
from birdbath.pool.simulated.description import (
    GroupDescription,
    MachineDescription,
    PoolDescription,
    ScheddDescription,
    UserDescription,
)
from birdbath.pool.simulated.description_file import (
    READY,
    InvalidDescription,
    load_description,
    read_description,
)
from birdbath.store.tables import simulated_submitters
from tests.pool.harness import ad_of, becomes, events_of, status_of, submit, submit_many
from tests.pool.simulated.harness import SimulatedHarness

TEN = MachineDescription("ten.example.org", slots=10, cpus=10, memory=10240)
BIG = MachineDescription("big.example.org", cpus=16, memory=16384, gpus=2, partitionable=True)


def pool_of(home: Path, *machines: MachineDescription, **habits: object) -> SimulatedHarness:
    return SimulatedHarness(home, PoolDescription(machines, **habits))  # type: ignore[arg-type]


def running(pool: SimulatedHarness, jobs: list[JobId]) -> int:
    return [status_of(pool, job) for job in jobs].count(JobStatus.RUNNING)


def slots(pool: SimulatedHarness) -> list[Ad]:
    found = pool.directory.query([AdKind.STARTD], Constraint(None), pool.clock.time())
    return [record.ad() for record in found.records]


def jobs_of(pool: SimulatedHarness, owner: str, count: int, **more: Scalar | Expression) -> list[JobId]:
    return submit_many(pool, count, "/bin/sleep", "100000", None, **{"Owner": owner, **more})


def test_two_users_get_equal_shares(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEN)
    alice, bob = jobs_of(pool, "alice", 20), jobs_of(pool, "bob", 20)
    pool.pass_time(1)
    assert (running(pool, alice), running(pool, bob)) == (5, 5)


def test_a_share_is_in_the_inverse_ratio_of_the_priority(tmp_path: Path) -> None:
    users = (UserDescription("alice", priority_factor=1000.0), UserDescription("bob", priority_factor=4000.0))
    pool = pool_of(tmp_path, TEN, users=users)
    bob, alice = jobs_of(pool, "bob", 20), jobs_of(pool, "alice", 20)
    pool.pass_time(1)
    assert (running(pool, alice), running(pool, bob)) == (8, 2)


def test_nice_users_take_what_nobody_else_wants(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEN)
    nice = jobs_of(pool, "alice", 20, NiceUser=True)
    others = [*jobs_of(pool, "alice", 4), *jobs_of(pool, "bob", 4)]
    pool.pass_time(1)
    assert (running(pool, others), running(pool, nice)) == (8, 2)


def test_who_has_used_much_comes_after_who_has_not(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, replace(TEN, slots=1, cpus=1), priority_halflife=1000.0)
    submit(pool, "/bin/sleep", "1000", Owner="greedy")
    pool.pass_time(1)
    waiting = [submit(pool, "/bin/sleep", "10", Owner=owner) for owner in ("greedy", "modest")]
    pool.wait_for(lambda: running(pool, waiting) == 1)
    assert status_of(pool, waiting[1]) is JobStatus.RUNNING
    with pool.engine.connect() as connection:
        rows = connection.execute(simulated_submitters.select()).all()
    greedy = next(row for row in rows if row.name.startswith("greedy@"))
    assert greedy.priority == pytest.approx(0.75, abs=0.001), "half the way from 0.5 to 1"
    assert greedy.accumulated == pytest.approx(1000.0)


def test_accounts_are_told_in_ads(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEN)
    jobs_of(pool, "alice", 3, AcctGroup="physics")
    pool.pass_time(100)
    found = pool.directory.query(
        [AdKind.GENERIC], Constraint('MyType == "Accounting"'), pool.clock.time()
    ).records
    ad = found[0].ad()
    assert (len(found), ad.string("AccountingGroup"), ad.integer("ResourcesUsed")) == (1, "physics", 3)
    assert ad.get("AccumulatedUsage") == pytest.approx(3 * 100, abs=3)


def test_the_leftover_of_one_share_goes_to_the_others(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEN)
    alice, bob = jobs_of(pool, "alice", 2), jobs_of(pool, "bob", 20)
    pool.pass_time(1)
    assert (running(pool, alice), running(pool, bob)) == (2, 8)


def test_groups_get_their_quotas_and_only_some_a_surplus(tmp_path: Path) -> None:
    groups = (GroupDescription("physics", 0.3), GroupDescription("law", 2, accept_surplus=False))
    pool = pool_of(tmp_path, TEN, groups=groups)
    law = jobs_of(pool, "ann", 20, AcctGroup="law")
    physics = jobs_of(pool, "bob", 20, AccountingGroup="physics.bob")
    pool.pass_time(1)
    assert (running(pool, law), running(pool, physics)) == (2, 8)


def test_a_quota_keeps_room_for_a_group(tmp_path: Path) -> None:
    groups = (GroupDescription("physics", 4), GroupDescription("law", 6))
    pool = pool_of(tmp_path, TEN, groups=groups)
    law, physics = jobs_of(pool, "ann", 20, AcctGroup="law"), jobs_of(pool, "bob", 20, AcctGroup="physics")
    pool.pass_time(1)
    assert (running(pool, law), running(pool, physics)) == (6, 4)


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ("Matlab:2", 2),
        (Expression('strcat("mat", "lab")'), 5),
        ("matlab:0", 5),
        ("matlab:-5", 5),
        ("matlab:nan", 5),
        ("matlab:2.5", 2),
    ],
)
def test_concurrency_limits_bound_what_runs(tmp_path: Path, limits: str | Expression, most: int) -> None:
    pool = pool_of(tmp_path, TEN, concurrency_limits={"matlab": 5})
    jobs = jobs_of(pool, "alice", 10, ConcurrencyLimits=limits)
    pool.pass_time(30)
    assert running(pool, jobs) == most


def test_a_partitionable_slot_gives_what_is_asked_for(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, BIG)
    job = submit(pool, "/bin/sleep", "100", RequestCpus=4, RequestMemory=1000, RequestGPUs=1)
    other = submit(pool, "/bin/sleep", "50", RequestCpus=12, RequestMemory=2000)
    third = submit(pool, "/bin/sleep", "50", RequestCpus=12)
    pool.pass_time(10)
    whole, *parts = slots(pool)
    assert [ad.string("Name") for ad in parts] == ["slot1_1@big.example.org", "slot1_2@big.example.org"]
    assert (whole.integer("Cpus"), whole.integer("GPUs"), whole.integer("NumDynamicSlots")) == (0, 1, 2)
    first = parts[0]
    assert (first.integer("Cpus"), first.integer("Memory"), first.integer("GPUs")) == (4, 1024, 1)
    assert ad_of(pool, job).string("RemoteHost") == "slot1_1@big.example.org"
    assert [status_of(pool, j) for j in (other, third)] == [JobStatus.RUNNING, JobStatus.IDLE]
    assert [ad_of(pool, j).get("GPUsProvisioned") for j in (job, other)] == [1, None]
    assert "GPUs = 1;" in str(dict(events_of(pool, job))[EventType.EXECUTE].attribute("ExecuteProps"))
    pool.restart()
    pool.wait_for(becomes(pool, third, JobStatus.RUNNING))
    assert ad_of(pool, third).string("RemoteHost") == "slot1_2@big.example.org"
    pool.wait_for(becomes(pool, third, JobStatus.COMPLETED))
    assert slots(pool)[0].integer("Cpus") == 16


def test_jobs_flock_when_their_own_pool_has_no_room(tmp_path: Path) -> None:
    machines = [replace(TEN, name=f"{name}.example.org", slots=2, cpus=2, pool=name) for name in "abc"]
    schedds = (ScheddDescription("sa", "a", ("c", "b")), ScheddDescription("sb", "b"))
    pool = pool_of(tmp_path, *machines, pools=("a", "b", "c"), schedds=schedds)
    mine = jobs_of(pool, "alice", 5)
    theirs = jobs_of(pool, "bob", 5, SimSchedd="sb")
    pool.pass_time(1)
    hosts = Counter(ad_of(pool, job).string("RemoteHost").partition("@")[2][0] for job in mine[:4])
    assert hosts == {"a": 2, "c": 2}
    assert (running(pool, mine), running(pool, theirs)) == (4, 2)


def test_a_claim_is_used_again_without_negotiation(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, replace(TEN, slots=1, cpus=1), claim_worklife=1200.0, cycle_interval=500.0)
    jobs = submit_many(pool, 3, "/bin/sleep", "50", None, LeaveJobInQueue=True)
    pool.wait_for(becomes(pool, jobs[-1], JobStatus.COMPLETED))
    starts = [ad_of(pool, job).integer("JobCurrentStartDate") for job in jobs]
    assert [start - starts[0] for start in starts] == [0, 50, 100]


def test_a_machine_takes_the_job_that_its_rank_prefers(tmp_path: Path) -> None:
    picky = replace(TEN, slots=1, cpus=1, rank='TARGET.Owner == "boss" ? 10 : 1')
    pool = pool_of(tmp_path, picky)
    worker = jobs_of(pool, "worker", 1)[0]
    pool.pass_time(10)
    boss = jobs_of(pool, "boss", 1)[0]
    pool.pass_time(30)
    assert [status_of(pool, job) for job in (worker, boss)] == [JobStatus.IDLE, JobStatus.RUNNING]
    assert "RANK" in ad_of(pool, worker).string("VacateReason")


@pytest.mark.parametrize(("after", "preempted"), [(10, False), (3000, True)])
def test_preemption_requirements_decide_between_users(tmp_path: Path, after: int, preempted: bool) -> None:
    rule = "RemoteUserPrio > SubmitterUserPrio * 1.2 && TotalJobRunTime > 1000"
    one = replace(TEN, slots=1, cpus=1)
    pool = pool_of(tmp_path, one, preemption_requirements=rule, priority_halflife=1000.0)
    greedy = jobs_of(pool, "greedy", 1)[0]
    pool.pass_time(after)
    modest = jobs_of(pool, "modest", 1)[0]
    pool.pass_time(30)
    assert status_of(pool, modest) is (JobStatus.RUNNING if preempted else JobStatus.IDLE)
    assert status_of(pool, greedy) is (JobStatus.IDLE if preempted else JobStatus.RUNNING)


def test_a_machine_wants_its_jobs_off_when_preempt_comes_true(tmp_path: Path) -> None:
    hour = "ClockMin >= 1 * 60 + 30"  # the clock of the tests begins at 08:00 on 15 January 2027
    desk = replace(TEN, slots=1, cpus=1, start="ClockMin < 8 * 60 + 30", preempt="ClockMin >= 8 * 60 + 30")
    pool = pool_of(tmp_path, replace(desk, attributes={"Note": hour}))
    job = jobs_of(pool, "alice", 1)[0]
    pool.pass_time(1700)
    assert status_of(pool, job) is JobStatus.RUNNING
    pool.pass_time(200)
    assert status_of(pool, job) is JobStatus.IDLE
    assert "PREEMPT" in ad_of(pool, job).string("VacateReason")


# ------------------------------------------------------------------ descriptions in files


@pytest.mark.parametrize(("name", "cores"), [("laptop", 36), ("campus", 2000), ("grid", 768)])
def test_descriptions_that_come_with_birdbath(name: str, cores: int) -> None:
    description = load_description(name)
    assert name in READY
    assert sum(machine.count * machine.cpus for machine in description.machines) == cores


def test_the_default_is_the_laptop(tmp_path: Path) -> None:
    assert load_description("laptop").machines == PoolDescription().machines


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("machines = 3", "machines"),
        ("color = 'red'", "color"),
        ("[[machines]]\nname = 'a'\nstart = 'Memory >'", "machines.a.start"),
        ("[[machines]]\nname = 'a'\ncount = 2", "{}"),
        ("[[machines]]\nname = 'a'\npool = 'x'", "no pool 'x'"),
        ("[[faults]]\nkind = 'earthquake'", "faults.0.kind"),
        ("a = [", "Invalid value"),
    ],
)
def test_mistakes_in_a_description_are_told(text: str, complaint: str) -> None:
    with pytest.raises(InvalidDescription, match=complaint.replace("{", r"\{").replace("}", r"\}")):
        read_description(text)
