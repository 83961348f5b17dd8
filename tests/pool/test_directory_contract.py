"""The Pool contract's AdDirectory, against every implementation."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad, Constraint
from birdbath.pool.base import AdKind, JobStatus
from birdbath.soap import writing
from tests.pool.harness import Harness, ad_of, becomes, submit


def query(harness: Harness, *kinds: AdKind, constraint: str | None = None) -> list[Ad]:
    found = harness.directory.query(kinds, Constraint(constraint), harness.queue.time())
    return [record.ad() for record in found.records]


def generic(name: str, **more: str | int) -> Ad:
    ad = Ad()
    ad.update({"MyType": "Something", "Name": name, **more})
    return ad


def insert(harness: Harness, name: str, lifetime: float = 100.0, **more: str | int) -> bool:
    expires_at = harness.queue.time() + lifetime
    return harness.write(
        lambda unit: harness.directory.insert(unit, AdKind.GENERIC, name, generic(name, **more), expires_at)
    )


def inserted(harness: Harness) -> list[str]:
    return [ad.string("Name") for ad in query(harness, AdKind.GENERIC, constraint='MyType == "Something"')]


@pytest.mark.parametrize(
    ("kind", "my_type"),
    [
        (AdKind.STARTD, "Machine"),
        (AdKind.SCHEDD, "Scheduler"),
        (AdKind.MASTER, "DaemonMaster"),
        (AdKind.NEGOTIATOR, "Negotiator"),
        (AdKind.COLLECTOR, "Collector"),
    ],
)
def test_the_pool_advertises_its_daemons(harness: Harness, kind: AdKind, my_type: str) -> None:
    harness.wait_for(lambda: bool(query(harness, kind)))  # a real pool takes jobs before each daemon is heard
    ads = query(harness, kind)
    assert {ad.string("MyType") for ad in ads} == {my_type}
    assert all(ad.string("Name") for ad in ads)
    assert all(ad.string("MyAddress").startswith("<") for ad in ads)
    assert all(abs(ad.integer("LastHeardFrom") - harness.queue.time()) < 1000 for ad in ads)


def test_slots_have_what_matchmaking_needs(harness: Harness) -> None:
    for ad in query(harness, AdKind.STARTD):
        assert ad.string("Arch") == "X86_64"
        assert ad.string("OpSys") == "LINUX"
        assert min(ad.integer("Cpus"), ad.integer("Memory"), ad.integer("Disk")) > 0
        assert ad.string("State") in ("Unclaimed", "Claimed", "Owner")
        assert "Requirements" in ad
        assert ad.string("TargetType") == "Job"


def test_clients_find_the_schedd_by_its_interface(harness: Harness) -> None:
    (ad,) = query(harness, AdKind.SCHEDD, constraint="HasSOAPInterface =?= TRUE")
    host, _, port = ad.string("ScheddIpAddr").strip("<>").rpartition(":")
    assert host
    assert port.isdecimal()


def test_a_claimed_slot_says_whose_job_it_runs(harness: Harness) -> None:
    job = submit(harness, "/bin/sleep", "300")
    harness.wait_for(becomes(harness, job, JobStatus.RUNNING))
    busy = 'State == "Claimed" && Activity == "Busy"'

    def jobs_of_slots() -> list[object]:
        """A real pool's slots tell of former ones, too, for a while."""
        return [ad.get("JobId") for ad in query(harness, AdKind.STARTD, constraint=busy)]

    harness.wait_for(lambda: jobs_of_slots() == [str(job)])
    (slot,) = query(harness, AdKind.STARTD, constraint=busy)
    assert slot.string("RemoteOwner") == f"{harness.owners[0]}@{harness.domain}"
    assert slot.string("JobId") == str(job)
    assert slot.string("Name") == ad_of(harness, job).string("RemoteHost")


def test_totals_follow_the_queue(harness: Harness) -> None:
    running = submit(harness, "/bin/sleep", "300")
    harness.wait_for(becomes(harness, running, JobStatus.RUNNING))
    one, other = harness.owners
    submit(harness, "/bin/true", Requirements=False)
    submit(harness, "/bin/true", JobStatus=5, Owner=other)
    totals = "TotalIdleJobs == 1 && TotalRunningJobs == 1 && TotalHeldJobs == 1"
    harness.wait_for(lambda: len(query(harness, AdKind.SCHEDD, constraint=totals)) == 1)

    def submitters(constraint: str) -> set[str]:
        found = query(harness, AdKind.SUBMITTOR, constraint=constraint)
        return {ad.string("Name").partition("@")[0] for ad in found}

    harness.wait_for(lambda: submitters("IdleJobs == 1 && RunningJobs == 1 && HeldJobs == 0") == {one})
    harness.wait_for(lambda: submitters("IdleJobs == 0 && RunningJobs == 0 && HeldJobs == 1") == {other})
    assert submitters("IdleJobs + RunningJobs + HeldJobs > 0") == {one, other}


def test_private_attributes_do_not_come_out(harness: Harness) -> None:
    insert(harness, "a", ClaimId="secret")
    (record,) = harness.directory.query(
        [AdKind.GENERIC], Constraint('Name == "a"'), harness.queue.time()
    ).records
    assert "<name>Name</name>" in writing.render(record).decode()
    assert "ClaimId" not in writing.render(record).decode()


def test_an_ad_is_inserted_and_replaced_whole(harness: Harness) -> None:
    assert insert(harness, "a", One=1)
    assert not insert(harness, "a", Two=2)
    (ad,) = query(harness, AdKind.GENERIC, constraint='Name == "a"')
    assert "One" not in ad
    assert ad.get("Two") == 2


def test_kinds_come_in_the_order_asked_for(harness: Harness) -> None:
    insert(harness, "a")
    kinds = [AdKind.MASTER, AdKind.GENERIC, AdKind.SCHEDD]
    types = [ad.string("MyType") for ad in query(harness, *kinds)]
    assert [t for t in types if t in ("DaemonMaster", "Something", "Scheduler")] == [
        "DaemonMaster",
        "Something",
        "Scheduler",
    ]


def test_an_expired_ad_is_not_there(harness: Harness) -> None:
    insert(harness, "stays", lifetime=10_000)
    insert(harness, "goes", lifetime=12)
    assert inserted(harness) == ["stays", "goes"]
    harness.pass_time(13)
    assert inserted(harness) == ["stays"]
    assert insert(harness, "goes")


def test_ads_are_invalidated_one_by_one_or_all(harness: Harness) -> None:
    for name in ("a", "b", "c"):
        insert(harness, name)
    invalidate = harness.directory.invalidate
    assert harness.write(lambda unit: invalidate(unit, AdKind.GENERIC, "b")) == 1
    assert harness.write(lambda unit: invalidate(unit, AdKind.GENERIC, "b")) == 0
    assert inserted(harness) == ["a", "c"]
    assert harness.write(lambda unit: invalidate(unit, AdKind.GENERIC)) == 2
    assert inserted(harness) == []
    assert insert(harness, "a")


def test_a_constraint_selects_among_ads(harness: Harness) -> None:
    insert(harness, "small", Size=1)
    insert(harness, "large", Size=9)
    assert [ad.string("Name") for ad in query(harness, AdKind.GENERIC, constraint="Size > 5")] == ["large"]
