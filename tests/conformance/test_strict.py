"""Section 9, optional strictness: status codes that the contract names and no version used."""

from __future__ import annotations

import hashlib

import pytest

from tests.conformance.door import Door, Staged, expression, string

DATA = b"some bytes of a file"
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


@pytest.fixture
def staged(strict: Door) -> Staged:
    return strict.staged()


# ---------------------------------------------------------------- INCOMPLETE


Chunks = list[tuple[int, bytes]]
COMPLETE: list[tuple[int, str, str | None, Chunks]] = [
    (len(DATA), "NOHASH", None, [(0, DATA)]),
    (len(DATA), "NOHASH", "whatever", [(0, DATA)]),
    (len(DATA), "MD5HASH", MD5, [(0, DATA)]),
    (len(DATA), "MD5", MD5.upper(), [(0, DATA)]),
    (len(DATA), "1", MD5, [(7, DATA[7:]), (0, DATA[:10])]),
    (len(DATA), "MD5HASH", None, [(0, DATA)]),
    (0, "NOHASH", None, []),
]


def test_complete(staged: Staged) -> None:
    for number, (size, hash_type, hash, chunks) in enumerate(COMPLETE):
        assert staged.declare(f"f{number}", size, hash_type, hash) == "SUCCESS"
        for offset, data in chunks:
            assert staged.send(f"f{number}", offset, data) == "SUCCESS"
    reply = staged.call("submit", jobAd=[])
    assert (reply.code, reply.value) == ("SUCCESS", None)


@pytest.mark.parametrize(
    ("size", "hash_type", "hash", "chunks"),
    [
        pytest.param(len(DATA), "NOHASH", None, [], id="nothing sent"),
        pytest.param(len(DATA), "NOHASH", None, [(0, DATA[:-1])], id="short"),
        pytest.param(len(DATA), "NOHASH", None, [(1, DATA[1:])], id="begins late"),
        pytest.param(len(DATA), "NOHASH", None, [(0, DATA[:5]), (6, DATA[6:])], id="gap"),
        pytest.param(len(DATA) - 1, "NOHASH", None, [(0, DATA)], id="long"),
        pytest.param(len(DATA), "MD5HASH", MD5, [(0, DATA[::-1])], id="damaged"),
    ],
)
def test_incomplete(staged: Staged, size: int, hash_type: str, hash: str | None, chunks: Chunks) -> None:
    """INCOMPLETE with the missing names in `requirements`; nothing of the ad is stored."""
    staged.upload("good", b"x")
    for name in ("bad", "worse"):
        assert staged.declare(name, size, hash_type, hash) == "SUCCESS"
        for offset, data in chunks:
            assert staged.send(name, offset, data) == "SUCCESS"
    reply = staged.call("submit", jobAd=[string("Note", "kept")])
    assert (reply.code, reply.names) == ("INCOMPLETE", ["bad", "worse"])
    assert not staged.commit().ad.has("Note")


def test_what_was_missing_can_be_sent(staged: Staged) -> None:
    """The transaction is alive, and goes on."""
    assert staged.declare("f", len(DATA), "MD5HASH", MD5) == "SUCCESS"
    assert staged.send("f", 0, b"wrong") == "SUCCESS"
    assert staged.submit() == "INCOMPLETE"
    assert staged.send("f", 0, DATA) == "SUCCESS"
    staged.submit_template(expression("Requirements", "FALSE"))
    assert staged.commit().content("f") == DATA


# ---------------------------------------------------------------- the other codes


def test_unknown_file(staged: Staged) -> None:
    assert staged.send("undeclared", 0, b"x") == "UNKNOWNFILE"
    assert staged.as_job.code("getFile", name="missing", offset=0, length=1) == "UNKNOWNFILE"


def test_invalid_offset(staged: Staged) -> None:
    staged.upload("f", DATA)
    assert staged.send("f", -1, b"x") == "INVALIDOFFSET"
    for offset, code in ((-1, "INVALIDOFFSET"), (len(DATA) + 1, "INVALIDOFFSET"), (len(DATA), "SUCCESS")):
        assert staged.as_job.code("getFile", name="f", offset=offset, length=5) == code


def test_unknown_cluster(strict: Door, staged: Staged) -> None:
    for cluster in (0, -1, 999):
        reply = strict.call("newJob", transaction=staged.txn, clusterId=cluster)
        assert (reply.code, reply.value) == ("UNKNOWNCLUSTER", 0)


def test_a_bad_constraint_is_a_fault(strict: Door) -> None:
    for operation in ("getJobAds", "queryStartdAds", "queryAnyAds"):
        for constraint in ("Owner ==", "(", "1; 2", '"open'):
            reply = strict.call(operation, constraint=constraint)
            assert (reply.http_status, reply.code) == (500, "FAULT")
            assert reply.message
            assert "onstraint" in reply.message


def test_constraints_that_only_select_nothing_are_none(strict: Door) -> None:
    for constraint in (None, "", "TRUE", "Missing > 1", "ERROR"):
        assert strict.ok("getJobAds", constraint=constraint).ads == []


def test_a_bad_constraint_in_a_transaction(strict: Door) -> None:
    """The lease is renewed all the same."""
    txn = strict.begin(10)
    strict.advance(9)
    assert strict.code("getJobAds", transaction=txn, constraint="(") == "FAULT"
    strict.advance(9)
    assert strict.code("newCluster", transaction=txn) == "SUCCESS"


def test_what_was_a_success_mostly_stays_one(strict: Door) -> None:
    """Whole conversations of careful clients do not notice."""
    staged = strict.staged()
    staged.upload("f", DATA)
    staged.submit_template(expression("Requirements", "FALSE"))
    job = staged.commit()
    assert job.ad.value("TransferInput") == "f"
    assert job.content("f") == DATA
    assert strict.code("removeCluster", clusterId=99, reason="x") == "SUCCESS"
