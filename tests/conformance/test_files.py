"""Sections 3.7, 3.8 and 3.16 to 3.18: files of jobs."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import NIL, Door, Entry, Job, Staged, Value, Xml, expression

CLIMBING = ["..", ".", "/etc/passwd", "../escape", "a/b", "./a", "a/..", "a/", "//", "../../../../tmp/x"]


@pytest.fixture
def staged(door: Door) -> Staged:
    return door.staged()


# ---------------------------------------------------------------- 3.7 declareFile


def test_declare(staged: Staged) -> None:
    """3.7: SUCCESS, and the file is there, empty, whatever its declared size."""
    reply = staged.call("declareFile", name="f", size=1000, hashType="NOHASH", hash=None)
    assert (reply.code, reply.message, reply.value) == ("SUCCESS", "Success", None)
    assert staged.as_job.listing == [Entry("f", 0)]


def test_hashes_are_not_looked_at(staged: Staged) -> None:
    """3.7: size, hashType and hash are ignored; 1.8: MD5 is the old name."""
    for hash_type in ("NOHASH", "MD5HASH", "MD5", "0", "1", None):
        for number, hash in enumerate((None, NIL, "", "not a hash")):
            name = f"{hash_type}{number}"
            assert staged.code("declareFile", name=name, size=-1, hashType=hash_type, hash=hash) == "SUCCESS"
    assert staged.submit() == "SUCCESS"


def test_declare_for_unknown_jobs(door: Door, staged: Staged) -> None:
    """3.7: not created in this transaction."""
    other, committed = door.staged(), door.committed()
    for cluster, proc in ((staged.cluster, 1), (other.cluster, 0), (committed.cluster, 0), (99, 0)):
        place: dict[str, Value] = {"transaction": staged.txn, "clusterId": cluster, "jobId": proc}
        assert door.code("declareFile", **place, name="f", size=1, hashType=0) == "UNKNOWNJOB"


def test_declare_twice(door: Door, staged: Staged) -> None:
    """3.7: ALREADYEXISTS only in this transaction and for this job; not for other spellings."""
    assert staged.declare("f") == "SUCCESS"
    assert staged.declare("f") == "ALREADYEXISTS"
    assert staged.declare("F") == "SUCCESS"
    assert door.staged(staged.txn).declare("f") == "SUCCESS"
    assert door.staged().declare("f") == "SUCCESS"


def test_names_that_are_refused(staged: Staged) -> None:
    """3.7, 8 no. 13: FAIL; nothing is made, in the sandbox or outside."""
    for name in (None, NIL, "", *CLIMBING, "x" * 256):
        assert staged.code("declareFile", name=name, size=1, hashType=0) == "FAIL", name
        assert staged.as_job.listing == []
        assert staged.code("sendFile", name=name, offset=0, data=b"x") == "FAIL", name


def test_names_that_only_look_odd(door: Door) -> None:
    """1.4, 5: UTF-8 end to end."""
    for name in ("...", "-rf", "\u00fcml\u00e4ut\u20ac", "a\\b", "x&<>'\"", "x" * 255):
        assert kept_as_input(door, name) == name


def test_a_name_with_a_blank(door: Door) -> None:
    """1.4, 5."""
    assert kept_as_input(door, "a b") == "a b"


def kept_as_input(door: Door, name: str) -> str:
    """TransferInput of a job for which a file of this name was uploaded."""
    staged = door.staged()
    staged.upload(name, b"data")
    assert staged.as_job.listing == [Entry(name, 4)]
    assert staged.as_job.content(name) == b"data"
    staged.submit_template(expression("Requirements", "FALSE"))
    return staged.commit().ad.value("TransferInput")


# ---------------------------------------------------------------- 3.8 sendFile


SENT: dict[str, tuple[list[tuple[int, bytes]], bytes]] = {
    "in order": ([(0, b"abc"), (3, b"def")], b"abcdef"),
    "any order": ([(4, b"ef"), (0, b"ab"), (2, b"cd")], b"abcdef"),
    "overlap": ([(0, b"abcd"), (2, b"CDE")], b"abCDE"),
    "re-send": ([(0, b"abc"), (0, b"abc")], b"abc"),
    "a shorter version leaves the old tail": ([(0, b"abc"), (0, b"x")], b"xbc"),
    "gaps are zero-filled": ([(5, b"x"), (1, b"y")], b"\0y\0\0\0x"),
    "beyond the declared size": ([(0, b"0123456789")], b"0123456789"),
    "short of the declared size": ([], b""),
    "no bytes": ([(0, b"")], b""),
    "no bytes beyond the end": ([(70000, b""), (0, b"a")], b"a"),
    "any bytes": ([(0, b"\r\n\0\xff]]>")], b"\r\n\0\xff]]>"),
    "the whole file": ([(0, b"x" * 300_000)], b"x" * 300_000),
}


def test_send(staged: Staged) -> None:
    """3.8."""
    names = {case.replace(" ", "-"): case for case in SENT}
    for name, case in names.items():
        assert staged.declare(name, 3) == "SUCCESS"
        for offset, data in SENT[case][0]:
            assert staged.send(name, offset, data) == "SUCCESS"
    staged.submit_template(expression("Requirements", "FALSE"))
    for job in (staged.as_job, staged.commit()):
        assert {entry.name: entry.size for entry in job.listing} == {
            name: len(SENT[case][1]) for name, case in names.items()
        }
        for name, case in names.items():
            assert job.content(name) == SENT[case][1], case


def test_send_nothing(staged: Staged) -> None:
    """3.8: omitted, nil or empty data writes nothing and succeeds."""
    staged.upload("f", b"abc")
    for data in (None, NIL, b""):
        assert staged.code("sendFile", name="f", offset=0, data=data) == "SUCCESS"
    assert staged.as_job.content("f") == b"abc"


def test_base64_with_line_breaks(staged: Staged) -> None:
    """1.3."""
    assert staged.declare("f") == "SUCCESS"
    assert staged.code("sendFile", name="f", offset=0, data=Xml("\n aGVs\r\nbG8\t=\n")) == "SUCCESS"
    assert staged.as_job.content("f") == b"hello"


def test_send_for_unknown_jobs(door: Door, staged: Staged) -> None:
    """3.8: not created in this transaction."""
    other, committed = door.staged(), door.committed()
    for cluster, proc in ((staged.cluster, 1), (other.cluster, 0), (committed.cluster, 0), (99, 0)):
        place: dict[str, Value] = {"transaction": staged.txn, "clusterId": cluster, "jobId": proc}
        assert door.code("sendFile", **place, name="f", offset=0, data=b"x") == "UNKNOWNJOB"


def test_send_what_is_not_declared(staged: Staged) -> None:
    """3.8: FAIL, not UNKNOWNFILE."""
    assert staged.declare("f") == "SUCCESS"
    for name in ("g", "F", ""):
        reply = staged.call("sendFile", name=name, offset=0, data=b"x")
        assert reply.code == "FAIL"
        assert reply.message
        assert "has not been declared" in reply.message


def test_send_to_a_negative_offset(staged: Staged) -> None:
    """3.8: FAIL."""
    assert staged.declare("f") == "SUCCESS"
    assert staged.send("f", -1, b"x") == "FAIL"
    assert staged.as_job.listing == [Entry("f", 0)]


@pytest.mark.parametrize("offset", [2**31 - 1, 5 * 2**30])
def test_beyond_two_gibibytes(staged: Staged, offset: int) -> None:
    """3.8, 8 no. 4: the last offset that 32 bits can say, and those that the original could not reach."""
    assert staged.declare("f") == "SUCCESS"
    assert staged.send("f", offset, b"end") == "SUCCESS"
    assert staged.as_job.listing == [Entry("f", offset + 3)]
    assert staged.as_job.ok("getFile", name="f", offset=offset, length=10).data == b"end"


# ---------------------------------------------------------------- 3.18 getFile


@pytest.fixture(params=["staged", "in its transaction", "committed", "committed, in some transaction"])
def place(request: pytest.FixtureRequest, door: Door, staged: Staged) -> Job | Staged:
    """A job with the file `f` of six bytes, in each place in which it can be read."""
    staged.upload("f", b"abcdef")
    if request.param == "staged":
        return staged.as_job
    if request.param == "in its transaction":
        return staged
    staged.submit_template(expression("Requirements", "FALSE"))
    job = staged.commit()
    return Staged(door, door.begin(), job.cluster, job.proc) if "some" in request.param else job


def test_get(place: Job | Staged) -> None:
    """3.18 as recommended: only existing bytes; an empty data element past the end."""
    for offset, length, data in (
        (0, 6, b"abcdef"),
        (2, 3, b"cde"),
        (3, 100, b"def"),
        (0, 1072831, b"abcdef"),
        (0, 2147483647, b"abcdef"),
        (6, 1, b""),
        (2147483647, 5, b""),
    ):
        reply = place.call("getFile", name="f", offset=offset, length=length)
        assert (reply.code, reply.message, reply.value) == ("SUCCESS", "Success", data)


def test_get_no_range(place: Job | Staged) -> None:
    """3.18: length of 0 or less, negative offset; data is omitted (1.4)."""
    for offset, length in ((0, 0), (0, -1), (-1, 1), (-1, 0), (-2147483648, 2147483647)):
        reply = place.call("getFile", name="f", offset=offset, length=length)
        assert (reply.code, reply.value) == ("FAIL", None)


def test_get_no_file(place: Job | Staged) -> None:
    """3.18: FAIL, never UNKNOWNFILE; names are sanitised."""
    for name in (None, NIL, "", "g", "F", *CLIMBING):
        reply = place.call("getFile", name=name, offset=0, length=10)
        assert (reply.code, reply.value) == ("FAIL", None), name


def test_get_from_an_unknown_job(door: Door) -> None:
    """3.18: FAIL; nothing is created."""
    job = Job(door, 99, 0)
    assert job.code("getFile", name="f", offset=0, length=1) == "FAIL"
    assert job.listing == []


def test_get_too_much(open_door: OpenDoor) -> None:
    """A bound of our own: one reply does not take all memory."""
    door = open_door(max_file_reply=5)
    staged = door.staged()
    staged.upload("f", b"abcdef")
    assert staged.as_job.code("getFile", name="f", offset=0, length=100) == "FAIL"
    assert staged.as_job.ok("getFile", name="f", offset=1, length=100).data == b"bcdef"


# ---------------------------------------------------------------- 3.16 listSpool


def test_list(place: Job | Staged) -> None:
    """3.16: staged or committed, with or without a transaction."""
    assert place.call("listSpool").entries == [Entry("f", 6)]


def test_list_nothing(door: Door, staged: Staged) -> None:
    """3.16, 1.4: an empty directory has info omitted; listing any id works, and creates nothing."""
    for cluster, proc in ((staged.cluster, 0), (99, 0), (-1, -1), (0, 0)):
        reply = door.ok("listSpool", clusterId=cluster, jobId=proc)
        assert reply.value is None


LIVE = b"#!/bin/sh\necho one\nsleep 10\necho two\nsleep 30\necho three\n"


def test_the_output_of_a_running_job_grows(door: Door) -> None:
    """3.16, 3.18: listSpool and getFile show what it has written by now."""
    if not {"stepped time", "simulated programs"} <= door.capabilities:
        pytest.skip("how far a program has come is up to the pool's machines")
    staged = door.staged()
    staged.upload("work.sh", LIVE)
    changes = {"Cmd": "work.sh", "Arguments": "", "Out": "job.out", "Err": "job.err"}
    edited = [i._replace(value=changes.get(str(i.name), i.value)) for i in staged.template()]
    assert staged.submit(*edited) == "SUCCESS"
    job = staged.commit()
    door.run_until(lambda: job.status == 2)
    began, seen = job.ad.number("JobCurrentStartDate"), []
    for after in (1, 11):
        door.advance(began + after - door.time())
        sizes = {entry.name: entry.size for entry in job.listing}
        seen.append((job.status, sizes["job.out"], job.content("job.out")))
    assert seen == [(2, 4, b"one\n"), (2, 8, b"one\ntwo\n")]
    door.run_until(lambda: job.status == 4)
    assert job.content("job.out") == b"one\ntwo\nthree\n"


# ---------------------------------------------------------------- 3.17 closeSpool


@pytest.mark.parametrize("in_transaction", [False, True])
def test_close_of_an_unknown_job(door: Door, in_transaction: bool) -> None:
    """3.17: FAIL."""
    txn = door.begin() if in_transaction else None
    assert door.code("closeSpool", transaction=txn, clusterId=99, jobId=0) == "FAIL"


def test_close_of_an_idle_job(door: Door) -> None:
    """3.17: nothing until it finishes; then it leaves at once."""
    job = door.committed(expression("Requirements", "TRUE"), expression("PeriodicHold", "FALSE"))
    job.ok("closeSpool")
    assert job.ad.value("FilesRetrieved") == "TRUE"
    assert job.in_queue
    door.run_until(lambda: not job.in_queue)


def test_close_of_a_completed_job(door: Door) -> None:
    """3.17: it leaves, its spool directory with it."""
    staged = door.staged()
    staged.upload("f", b"x")
    staged.submit_template()
    job = staged.commit()
    door.run_until(lambda: job.status == 4)
    door.advance(5000)
    assert job.in_queue
    job.ok("closeSpool")
    door.run_until(lambda: not job.in_queue, 1200)
    assert job.listing == []
    assert job.code("closeSpool") == "FAIL"


def test_close_of_a_removed_job(door: Door) -> None:
    """3.17, better to fix: X jobs leave too."""
    job = door.committed()
    assert job.code("removeJob", reason="x", force_removal=False) == "SUCCESS"
    assert job.status == 3
    job.ok("closeSpool")
    door.run_until(lambda: not job.in_queue, 1200)


def test_close_in_a_transaction(door: Door) -> None:
    """3.17: it takes effect on commit, and not on abort."""
    job = door.committed()
    for end, outcome in (("abortTransaction", "FALSE"), ("commitTransaction", "TRUE")):
        txn = door.begin()
        door.ok("closeSpool", transaction=txn, clusterId=job.cluster, jobId=job.proc)
        assert job.ad.value("FilesRetrieved") == "FALSE"
        door.ok(end, transaction=txn)
        assert job.ad.value("FilesRetrieved") == outcome


def test_close_of_a_staged_job(door: Door) -> None:
    """3.17: a job of the same transaction is committed with it."""
    staged = door.staged()
    staged.submit_template(expression("Requirements", "FALSE"))
    staged.ok("closeSpool")
    assert staged.commit().ad.value("FilesRetrieved") == "TRUE"


def test_files_of_a_job_that_kept_leave_in_queue_time(open_door: OpenDoor) -> None:
    """7, note on ServerTime: a SOAP_LEAVE_IN_QUEUE like the manual's lets a completed job go in time."""
    door = open_door(leave_in_queue="JobStatus == 4 && (ServerTime - CompletionDate) < (60 * 60)")
    staged = door.staged()
    staged.submit_template()
    job = staged.commit()
    door.run_until(lambda: job.status == 4)
    door.advance(3500)
    assert job.in_queue
    door.advance(1300)
    assert not job.in_queue
