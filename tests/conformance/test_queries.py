"""Sections 3.14, 3.15, 3.19 and 3.20: asking."""

from __future__ import annotations

import re

import pytest

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import NIL, Door, Job, Value, WireAd, expression, integer, string


@pytest.fixture
def jobs(door: Door) -> list[Job]:
    """Three idle jobs of alice, alice and Bob, with Number 0, 1 and 2."""
    owners = ("alice", "alice", "Bob")
    return [
        door.committed(string("Owner", owner), integer("Number", number), string("Note", f"n{number}"))
        for number, owner in enumerate(owners)
    ]


def numbers(door: Door, constraint: Value) -> list[int]:
    return sorted(ad.number("Number") for ad in door.ok("getJobAds", constraint=constraint).ads)


def listed_and_fetched(job: Job) -> tuple[WireAd, WireAd]:
    """A job's ad as getJobAds and as getJobAd have it, between which neither time nor the pool changed it."""
    while True:
        before, fetched, after = listed(job), job.ad, listed(job)
        if before == after:
            return before, fetched


def listed(job: Job) -> WireAd:
    (ad,) = job.door.ok("getJobAds", constraint=f"ClusterId == {job.cluster}").ads
    return ad


# ---------------------------------------------------------------- 3.14 getJobAds


def test_all(door: Door, jobs: list[Job]) -> None:
    """3.14: NULL or empty means all jobs."""
    for constraint in (None, NIL, "", " "):
        assert numbers(door, constraint) == [0, 1, 2]


def test_constraints(door: Door, jobs: list[Job]) -> None:
    """3.14: a ClassAd expression, in which attribute names and == on strings do not know case."""
    first = jobs[0].cluster
    found = {
        "TRUE": [0, 1, 2],
        "true": [0, 1, 2],
        "FALSE": [],
        "Number == 1": [1],
        "Number =?= 1": [1],
        "Number >= 1": [1, 2],
        "NUMBER==1||nUMBER==2": [1, 2],
        "MY.Number == 1": [1],
        'Owner == "alice"': [0, 1],
        'owner=="ALICE"': [0, 1],
        'owner=="bob"': [2],
        'Owner =?= "bob"': [],
        'regexp("^n[02]$", Note)': [0, 2],
        'stringListMember(Note, "n1,n2")': [1, 2],
        f"ClusterId == {first} && ProcId == 0": [0],
        f"ClusterId == {first} && ProcId == 1": [],
        f"ClusterId =!= {first}": [1, 2],
        "ServerTime - QDate < 86400": [0, 1, 2],
    }
    assert {constraint: numbers(door, constraint) for constraint in found} == found


def test_what_selects(door: Door, jobs: list[Job]) -> None:
    """3.14: TRUE or a non-zero number; UNDEFINED, ERROR and everything else does not."""
    found = {
        "1": [0, 1, 2],
        "-3": [0, 1, 2],
        "0": [],
        "0.0": [],
        "0.5": [0, 1, 2],
        "Number": [1, 2],
        "Number - 1": [0, 2],
        "UNDEFINED": [],
        "Missing": [],
        "Missing > 1": [],
        "!(Missing > 1)": [],
        "Missing =?= UNDEFINED": [0, 1, 2],
        "ERROR": [],
        'Number + "x"': [],
        "1/0": [],
        '"TRUE"': [],
        "Note": [],
        "{ TRUE }": [],
    }
    assert {constraint: numbers(door, constraint) for constraint in found} == found


def test_unparsable_constraints(door: Door, jobs: list[Job]) -> None:
    """3.14: they select nothing, and the status is still SUCCESS."""
    texts = ["Number >", "(", "a b", "Number = 1", '"open', "1; 2", "]", "TRUE) || (TRUE", "\u20ac", "&&"]
    for constraint in (*texts, "," * 50):
        reply = door.ok("getJobAds", constraint=constraint)
        assert (reply.message, reply.value) == ("Success", []), constraint


def test_many_ids_in_one_constraint(door: Door, jobs: list[Job]) -> None:
    """8 no. 15: portals ask for hundreds of jobs at once."""
    first = jobs[1].cluster
    ids = " || ".join(f"ClusterId == {number}" for number in range(first, first + 2000))
    assert numbers(door, ids) == [1, 2]


def test_committed_only(door: Door, jobs: list[Job]) -> None:
    """3.14: also within the transaction that created or changed the jobs."""
    staged = door.staged()
    staged.submit_template(integer("Number", 3))
    job = jobs[0]
    door.ok("removeCluster", transaction=staged.txn, clusterId=job.cluster, reason="x")
    for txn in (None, staged.txn):
        found = {
            ad.number("Number"): ad.number("JobStatus")
            for ad in door.ok("getJobAds", transaction=txn, constraint="TRUE").ads
        }
        assert found == {0: 1, 1: 1, 2: 1}


def test_finished_jobs_are_included(door: Door, jobs: list[Job]) -> None:
    """3.14: completed and removed ones, as long as they are in the queue."""
    staged = door.staged()
    staged.submit_template(integer("Number", 3))
    done = staged.commit()
    door.run_until(lambda: done.status == 4)
    assert jobs[0].code("removeJob", reason="", force_removal=False) == "SUCCESS"
    assert numbers(door, "JobStatus == 4") == [3]
    assert numbers(door, "JobStatus == 3") == [0]


def test_an_empty_queue(door: Door) -> None:
    """1.4: an empty element, 518 bytes in all."""
    assert door.ok("getJobAds").ads == []
    assert len(door.bytes("getJobAds")) == 518


def test_server_time_is_now(door: Door, jobs: list[Job]) -> None:
    """5.1: seconds since the epoch at serialisation, in every answer."""
    for _ in range(2):
        door.advance(100)
        asked = door.time()
        told = {ad.number("ServerTime") for ad in (*door.ok("getJobAds").ads, jobs[0].ad)}
        assert asked <= min(told) <= max(told) <= door.time()


def test_answers_follow_changes(door: Door, jobs: list[Job]) -> None:
    """What is kept of rendered ads is never old."""
    before = door.ok("getJobAds", constraint="Number == 1").ads
    assert (
        jobs[1].code("holdJob", reason="x", email_user=False, email_admin=False, system_hold=False)
        == "SUCCESS"
    )
    after, fetched = listed_and_fetched(jobs[1])
    assert (before[0].number("JobStatus"), after.number("JobStatus")) == (1, 5)
    assert after == fetched


# ---------------------------------------------------------------- 3.15 getJobAd


def test_unknown_jobs(door: Door, jobs: list[Job]) -> None:
    """3.15: UNKNOWNJOB, classAd omitted."""
    own = jobs[0].cluster
    for cluster, proc in ((99, 0), (own, 1), (0, 0), (-1, -1), (2147483647, 2147483647)):
        reply = door.call("getJobAd", clusterId=cluster, jobId=proc)
        assert (reply.code, reply.value) == ("UNKNOWNJOB", None)
        assert reply.message


def test_staged_jobs_are_unknown(door: Door) -> None:
    """3.15: which includes jobs of the current uncommitted transaction."""
    staged = door.staged()
    staged.submit_template()
    assert staged.code("getJobAd") == staged.as_job.code("getJobAd") == "UNKNOWNJOB"


def test_one_job(door: Door, jobs: list[Job]) -> None:
    """3.15: the same ad as getJobAds has."""
    for job in jobs:
        listed, fetched = listed_and_fetched(job)
        assert fetched == listed


# ---------------------------------------------------------------- 3.19, 3.20


def test_reschedule(door: Door) -> None:
    """3.19: always SUCCESS."""
    reply = door.ok("requestReschedule")
    assert (reply.message, reply.value) == ("Success", None)


@pytest.mark.parametrize(
    ("operation", "form"),
    [
        ("getVersionString", r"\$CondorVersion: [0-9]+\.[0-9]+\.[0-9]+ .*\$"),
        ("getPlatformString", r"\$CondorPlatform: \S+ \$"),
    ],
)
def test_versions(open_door: OpenDoor, operation: str, form: str) -> None:
    """3.20: the status has only a code, no message; on both daemons."""
    reply = open_door().call(operation)
    assert (reply.code, reply.message) == ("SUCCESS", None)
    assert re.fullmatch(form, reply.text)


def test_versions_check_nothing(open_door: OpenDoor) -> None:
    """3.1: a transaction, dead or alive, does not matter to them."""
    door = open_door(queue_all_users_trusted=False)
    assert (
        door.post("getVersionString", "<transaction><id>5</id><duration>0</duration></transaction>").code
        == "SUCCESS"
    )


def test_policies_of_a_job_do_not_select(door: Door) -> None:
    """3.14: the job's own Requirements have nothing to do with it."""
    door.committed(expression("Requirements", "FALSE"), integer("Number", 7))
    assert numbers(door, "TRUE") == [7]
