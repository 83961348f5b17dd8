"""The pool's own ads follow the simulation, and stay the same records while nothing changes."""

from __future__ import annotations

from birdbath.classads import AdRecord, Constraint
from birdbath.pool.base import AdKind, JobStatus
from tests.pool.harness import ad_of, becomes, submit
from tests.pool.simulated.harness import SimulatedHarness


def slot(pool: SimulatedHarness, number: int = 1) -> AdRecord:
    name = f"slot{number}@exec-1.pool.example.org"
    (record,) = pool.directory.query(
        [AdKind.STARTD], Constraint(f'Name == "{name}"'), pool.clock.time()
    ).records
    return record


def test_an_ad_is_the_same_record_until_something_changes(simulated: SimulatedHarness) -> None:
    first = slot(simulated)
    simulated.clock.step(299)
    assert slot(simulated) is first
    simulated.clock.step(1)
    assert slot(simulated) is not first
    assert slot(simulated).ad().integer("MyCurrentTime") == int(simulated.clock.time())


def test_a_slot_goes_from_unclaimed_to_busy_and_back(simulated: SimulatedHarness) -> None:
    unclaimed = slot(simulated)
    job = submit(simulated, "/bin/sleep", "50")
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    busy = slot(simulated).ad()
    assert (busy.string("State"), busy.get("LoadAvg")) == ("Claimed", 1.0)
    assert busy.integer("EnteredCurrentState") == ad_of(simulated, job).integer("JobCurrentStartDate")
    assert slot(simulated, 2).ad().string("State") == "Unclaimed"
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    free = slot(simulated).ad()
    assert free.string("State") == "Unclaimed"
    assert free.integer("EnteredCurrentState") == int(simulated.clock.time())
    assert "RemoteOwner" not in free
    assert {name for name, _, _ in free} == {name for name, _, _ in unclaimed.ad()}


def test_a_submitter_without_jobs_is_forgotten(simulated: SimulatedHarness) -> None:
    def submitters() -> list[str]:
        found = simulated.directory.query([AdKind.SUBMITTOR], Constraint(None), simulated.clock.time())
        return [record.ad().string("Name") for record in found.records]

    assert submitters() == []
    job = submit(simulated, "/bin/true", LeaveJobInQueue=False)
    assert submitters() == ["alice@birdbath.example.org"]
    simulated.wait_for(becomes(simulated, job, None))
    assert submitters() == []


def test_slot_ads_have_the_attributes_of_real_ones(simulated: SimulatedHarness) -> None:
    names = {name for name, _, _ in slot(simulated).ad()}
    assert len(names) > 120
    assert {"OpSysAndVer", "HasFileTransfer", "StarterAbilityList", "KeyboardIdle", "UidDomain"} <= names


def test_no_placeholder_is_left(simulated: SimulatedHarness) -> None:
    submit(simulated, "/bin/true")
    everything = simulated.directory.query(list(AdKind), Constraint(None), simulated.clock.time())
    assert len(everything.records) == 25
    for record in everything.records:
        assert "%" not in record.ad().to_json()


def test_the_negotiator_says_what_its_last_cycle_did(simulated: SimulatedHarness) -> None:
    submit(simulated, "/bin/sleep", "50")
    submit(simulated, "/bin/true", Requirements=False)
    simulated.pass_time(1)
    (record,) = simulated.directory.query(
        [AdKind.NEGOTIATOR], Constraint(None), simulated.clock.time()
    ).records
    ad = record.ad()
    assert ad.integer("LastNegotiationCycleMatches0") == 1
    assert ad.integer("LastNegotiationCycleRejections0") == 1
    assert ad.integer("LastNegotiationCycleNumIdleJobs0") == 1
