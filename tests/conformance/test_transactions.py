"""Sections 3.1 and 3.2: what precedes every operation, and transactions."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import NIL, Door, Staged, Txn, Value, Xml, expression

JobKey = tuple[int, int]
FLAGS: dict[str, Value] = {"email_user": False, "email_admin": False}
Parameters = dict[str, dict[str, Value]]


def must_be_live(job: JobKey) -> Parameters:
    """The operations that need a live transaction, with parameters for a job."""
    cluster, place = parts(job)
    return {
        "commitTransaction": {},
        "abortTransaction": {},
        "extendTransaction": {"duration": 60},
        "newCluster": {},
        "newJob": cluster,
        "submit": {**place, "jobAd": []},
        "declareFile": {**place, "name": "f", "size": 0, "hashType": "NOHASH"},
        "sendFile": {**place, "name": "f", "offset": 0, "data": b"x"},
    }


def optional(job: JobKey) -> Parameters:
    """The operations to which a transaction may be given, with parameters for a job."""
    cluster, place = parts(job)
    return {
        "removeCluster": {**cluster, "reason": "x"},
        "removeJob": {**place, "reason": "x", "force_removal": False},
        "holdJob": {**place, "reason": "x", **FLAGS, "system_hold": False},
        "releaseJob": {**place, "reason": "x", **FLAGS},
        "getJobAds": {"constraint": None},
        "getJobAd": place,
        "getFile": {**place, "name": "f", "offset": 0, "length": 1},
        "closeSpool": place,
        "listSpool": place,
    }


def carry_one(job: JobKey) -> Parameters:
    return must_be_live(job) | optional(job)


def parts(job: JobKey) -> tuple[dict[str, Value], dict[str, Value]]:
    return {"clusterId": job[0]}, {"clusterId": job[0], "jobId": job[1]}


NOWHERE = (99, 0)
"""A job that nobody made."""

NONE: dict[str, Value] = {
    "omitted": None,
    "nil": NIL,
    "empty": "",
    "id 0": Txn(0, 60),
    "id omitted": Xml("<duration>60</duration>"),
    "id nil": Xml('<id xsi:nil="true"/><duration>60</duration>'),
}


def is_live(door: Door, txn: Txn) -> bool:
    """Whether the transaction is alive; asked with a duration of 0, which leaves its timer alone (rule 3)."""
    code = door.code("getJobAds", transaction=Txn(txn.id, 0), constraint="FALSE")
    assert code in ("FAIL", "INVALIDTRANSACTION")
    return code == "FAIL"


# ---------------------------------------------------------------- rule 1: no transaction


@pytest.mark.parametrize("none", NONE)
def test_rule_1_must_be_live(door: Door, none: str) -> None:
    """3.1 rule 1; section 9: omitted, nil, empty, id 0."""
    for operation, parameters in must_be_live(NOWHERE).items():
        reply = door.call(operation, transaction=NONE[none], **parameters)
        assert (reply.http_status, reply.code) == (200, "INVALIDTRANSACTION"), operation
        assert reply.message == "Invalid transaction"


@pytest.mark.parametrize("none", NONE)
def test_rule_1_optional(door: Door, none: str) -> None:
    """3.1 rule 1: the operation goes on as without one."""
    txn = door.begin()
    staged = {}
    for operation in optional(NOWHERE):
        job = staged[operation] = door.staged(txn)
        job.upload("f", b"x")
        job.submit_template(expression("Requirements", "FALSE"))
    door.ok("commitTransaction", transaction=txn)
    for operation, job in staged.items():
        parameters = optional((job.cluster, job.proc))[operation]
        reply = door.call(operation, transaction=NONE[none], **parameters)
        assert reply.code == ("FAIL" if operation == "releaseJob" else "SUCCESS"), operation


# ---------------------------------------------------------------- rule 2: dead transactions


def test_rule_2_never_existed(door: Door) -> None:
    """3.1 rule 2: also where the transaction is optional."""
    for operation, parameters in carry_one(NOWHERE).items():
        reply = door.call(operation, transaction=Txn(-123456, 60), **parameters)
        assert (reply.code, reply.message) == ("INVALIDTRANSACTION", "Invalid transaction"), operation


@pytest.mark.parametrize("end", ["commitTransaction", "abortTransaction", "expired"])
def test_rule_2_ended(door: Door, end: str) -> None:
    """3.1 rule 2: committed (also a second commit), aborted, expired; 3.2: use after expiry."""
    job = door.committed()
    txn = door.begin(10)
    if end == "expired":
        door.advance(10)
    else:
        door.ok(end, transaction=txn)
    for operation, parameters in carry_one((job.cluster, job.proc)).items():
        reply = door.call(operation, transaction=txn, **parameters)
        assert (reply.code, reply.message) == ("INVALIDTRANSACTION", "Invalid transaction"), operation
    assert job.status == 1


def test_values_of_failed_operations(door: Door) -> None:
    """1.4: integers are always there, 0 on failure; other values are omitted."""
    dead = Txn(99, 60)
    assert door.call("newCluster", transaction=dead).value == 0
    assert door.call("newJob", transaction=dead, clusterId=1).value == 0
    assert door.call("extendTransaction", transaction=dead, duration=5).value == (0, 0)
    for operation in ("getJobAds", "getJobAd", "getFile", "listSpool", "submit"):
        assert door.call(operation, transaction=dead, **carry_one(NOWHERE)[operation]).value is None


def test_bytes_of_the_shortest_replies(door: Door) -> None:
    """1.4: the totals of a successful commit and of a newCluster without transaction."""
    assert len(door.bytes("commitTransaction", transaction=door.begin())) == 488
    assert len(door.bytes("newCluster", transaction=Txn(0, 60))) == 534


# ---------------------------------------------------------------- rule 3: renewal


def test_rule_3_a_duration_below_one(door: Door) -> None:
    """3.1 rule 3: FAIL; the transaction stays alive with its old timer."""
    txn = door.begin(10)
    door.advance(5)
    for duration in (0, -1):
        for operation, parameters in carry_one(NOWHERE).items():
            assert door.code(operation, transaction=Txn(txn.id, duration), **parameters) == "FAIL", operation
    door.advance(4)
    assert is_live(door, txn)
    door.advance(1)
    assert not is_live(door, txn)


def test_rule_3_the_client_s_duration(door: Door) -> None:
    """3.1 rule 3: every call that carries the transaction restarts its timer with what the client sent."""
    txns = {
        operation: (door.begin(10), parameters)
        for operation, parameters in carry_one(NOWHERE).items()
        if operation not in ("commitTransaction", "abortTransaction")
    }
    door.advance(9)
    for operation, (txn, parameters) in txns.items():
        door.call(operation, transaction=Txn(txn.id, 60), **parameters)
    door.advance(59)
    assert [operation for operation, (txn, _) in txns.items() if not is_live(door, txn)] == []
    door.advance(1)
    assert [operation for operation, (txn, _) in txns.items() if is_live(door, txn)] == []


def test_rule_3_a_shorter_duration(door: Door) -> None:
    """3.1 rule 3: not with a value the server remembers."""
    txn = door.begin(600)
    door.ok("newCluster", transaction=Txn(txn.id, 2))
    door.advance(2)
    assert not is_live(door, txn)


def test_reads_renew_and_go_on(door: Door) -> None:
    """3.1 rule 3 for reads: the answer is the same as without a transaction."""
    job = door.committed()
    txn = door.begin(10)
    for _ in range(3):
        door.advance(9)
        assert len(door.ok("getJobAds", transaction=txn).ads) == 1
        assert door.ok("getJobAd", transaction=txn, clusterId=job.cluster, jobId=0).ad.number("ProcId") == 0


# ---------------------------------------------------------------- beginTransaction


@pytest.mark.parametrize(
    ("maximum", "asked", "given"),
    [(-1, 60, 60), (0, 60, 60), (30, 60, 30), (60, 30, 30), (-1, 0, 1), (-1, -7, 1), (30, -7, 1)],
)
def test_begin(open_door: OpenDoor, maximum: int, asked: int, given: int) -> None:
    """3.2 beginTransaction: capped by MAX_SOAP_TRANSACTION_DURATION, at least 1; the effective value."""
    door = open_door(max_transaction_duration=maximum)
    reply = door.ok("beginTransaction", duration=asked)
    assert reply.message == "Success"
    assert reply.txn.duration == given
    assert reply.txn.id != 0
    assert -(2**31) <= reply.txn.id < 2**31
    door.advance(given - 0.5)
    assert is_live(door, reply.txn)
    door.advance(0.5)
    assert not is_live(door, reply.txn)


def test_any_number_may_be_live(door: Door) -> None:
    """3.2: since 6.7.20."""
    txns = [door.begin() for _ in range(20)]
    assert len({txn.id for txn in txns}) == 20
    clusters = {door.ok("newCluster", transaction=txn).number for txn in txns}
    assert len(clusters) == 20


# ---------------------------------------------------------------- commit and abort


def test_commit_makes_visible(door: Door) -> None:
    """3.2 commitTransaction; 3.14, 3.15: not before, not even from inside."""
    staged = door.staged()
    staged.submit_template(expression("Requirements", "FALSE"))
    assert staged.code("getJobAd") == "UNKNOWNJOB"
    assert door.ok("getJobAds", transaction=staged.txn).ads == []
    job = staged.commit()
    assert job.status == 1
    assert [ad.number("ClusterId") for ad in door.ok("getJobAds").ads] == [job.cluster]


def test_commit_takes_several_clusters(door: Door) -> None:
    """3.2, 3.3: all or nothing across clusters."""
    txn = door.begin()
    made = []
    for _ in range(3):
        cluster = door.ok("newCluster", transaction=txn).number
        for _ in range(2):
            proc = door.ok("newJob", transaction=txn, clusterId=cluster).number
            made.append((cluster, proc))
    assert door.ok("getJobAds").ads == []
    door.ok("commitTransaction", transaction=txn)
    found = [(ad.number("ClusterId"), ad.number("ProcId")) for ad in door.ok("getJobAds").ads]
    assert sorted(found) == made


def test_an_empty_transaction_can_be_committed(door: Door) -> None:
    """3.2: always SUCCESS."""
    assert door.ok("commitTransaction", transaction=door.begin()).message == "Success"
    assert door.ok("abortTransaction", transaction=door.begin()).message == "Success"


def test_abort_discards(door: Door) -> None:
    """3.2 abortTransaction: jobs, files and actions; cluster ids are not used again (section 9)."""
    job = door.committed()
    staged = door.staged()
    staged.upload("f", b"x")
    inside = Staged(door, staged.txn, job.cluster, job.proc)
    inside.ok("holdJob", reason="x", **FLAGS, system_hold=False)
    door.ok("abortTransaction", transaction=staged.txn)
    assert job.status == 1
    assert not staged.as_job.in_queue
    assert staged.as_job.listing == []
    assert door.staged().cluster > staged.cluster


def test_expiry_discards(door: Door) -> None:
    """3.2: exactly as by abortTransaction."""
    txn = door.begin(10)
    staged = door.staged(txn)
    staged.upload("f", b"x")
    door.advance(10)
    assert staged.as_job.listing == []
    assert door.ok("getJobAds").ads == []
    assert door.code("abortTransaction", transaction=txn) == "INVALIDTRANSACTION"
    assert door.staged().cluster > staged.cluster


# ---------------------------------------------------------------- extendTransaction


@pytest.mark.parametrize(
    ("maximum", "asked", "given"), [(-1, 100, 100), (30, 100, 30), (-1, 0, 1), (-1, -5, 1)]
)
def test_extend(open_door: OpenDoor, maximum: int, asked: int, given: int) -> None:
    """3.2 extendTransaction, as for a sane server: restarts the timer, capped; the effective value."""
    door = open_door(max_transaction_duration=maximum)
    txn = door.begin(10)
    extended = door.ok("extendTransaction", transaction=txn, duration=asked).txn
    assert extended == Txn(txn.id, given)
    door.advance(given - 0.5)
    assert is_live(door, txn)
    door.advance(0.5)
    assert not is_live(door, txn)


# ---------------------------------------------------------------- several at once


def test_interleaved_transactions(door: Door) -> None:
    """3.2, section 9: two transactions, step by step in turns, isolated from each other."""
    one, two = door.staged(), door.staged()
    for number, staged in enumerate((one, two)):
        staged.upload("f", b"%d" % number)
    assert door.code("newJob", transaction=two.txn, clusterId=one.cluster) == "FAIL"
    assert door.code("submit", transaction=two.txn, clusterId=one.cluster, jobId=0, jobAd=[]) == "UNKNOWNJOB"
    place: dict[str, Value] = {"clusterId": one.cluster, "jobId": 0, "name": "f"}
    assert door.code("sendFile", transaction=two.txn, **place, offset=0, data=b"x") == "UNKNOWNJOB"
    for staged in (one, two):
        staged.submit_template(expression("Requirements", "FALSE"))
    second = two.commit()
    assert not one.as_job.in_queue
    assert (second.content("f"), one.as_job.content("f")) == (b"1", b"0")
    first = one.commit()
    assert first.status == second.status == 1


def test_work_outside_goes_on_meanwhile(door: Door) -> None:
    """3.2: a transaction occupies no lock."""
    job = door.committed()
    staged = door.staged()
    assert job.code("holdJob", reason="x", **FLAGS, system_hold=False) == "SUCCESS"
    assert door.committed().status == 1
    assert staged.submit() == "SUCCESS"


# ---------------------------------------------------------------- restarts


def test_a_transaction_survives_a_restart(door: Door) -> None:
    """Beyond 3.2: it goes on, with its lease renewed once."""
    staged = door.staged(door.begin(10))
    staged.upload("f", b"before")
    door.advance(9)
    door.restart()
    door.advance(9)
    assert staged.send("f", 6, b" and after") == "SUCCESS"
    staged.submit_template(expression("Requirements", "FALSE"))
    assert staged.as_job.content("f") == b"before and after"
    job = staged.commit()
    door.restart()
    assert job.status == 1
    assert job.ad.value("TransferInput") == "f"
    assert job.content("f") == b"before and after"
    assert door.code("commitTransaction", transaction=staged.txn) == "INVALIDTRANSACTION"
    assert door.staged().cluster > job.cluster
