"""submit, row by row of reference section 3.6."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest

from birdbath.classads import Ad, Item
from birdbath.errors import BirdbathError, Incomplete, StatusCode, UnknownJob
from birdbath.pool.base import JobId
from birdbath.schedd import Schedd, Transaction, staging
from tests.schedd.fakes import House


def submit(house: House, *items: Item, account: str | None = None) -> Ad:
    """The ad of a fresh job, still uncommitted, after these items were submitted."""
    txn, cluster = house.staged_job(account)
    return submit_to(house, txn, cluster, *items, account=account)


def submit_to(house: House, txn: Transaction, cluster: int, *items: Item, account: str | None = None) -> Ad:
    house.do(lambda schedd: schedd.submit(txn, cluster, 0, items), account)
    return staged_ad(house, txn, cluster)


def staged_ad(house: House, txn: Transaction, cluster: int, proc: int = 0) -> Ad:
    ad = house.writer.write_now(lambda unit: staging.job_ad(unit, txn.id, JobId(cluster, proc)))
    assert ad is not None
    return ad


def code_of(house: House, txn: Transaction | None, cluster: int, proc: int, ad: list[Item] | None) -> str:
    try:
        house.do(lambda schedd: schedd.submit(txn, cluster, proc, ad))
    except BirdbathError as error:
        return error.code.name
    return "SUCCESS"


# ---------------------------------------------------------------- the table of conditions


def test_unknown_jobs(house: House) -> None:
    """Not created by newJob in this transaction: never, in another one, committed earlier, removed."""
    txn, cluster = house.staged_job()
    other, elsewhere = house.staged_job()
    assert code_of(house, txn, cluster, 1, []) == "UNKNOWNJOB"
    assert code_of(house, txn, elsewhere, 0, []) == "UNKNOWNJOB"
    house.do(lambda schedd: schedd.commit_transaction(other))
    assert code_of(house, txn, elsewhere, 0, []) == "UNKNOWNJOB"
    house.do(lambda schedd: schedd.remove_job(txn, cluster, 0, None, False))
    assert code_of(house, txn, cluster, 0, []) == "UNKNOWNJOB"


def test_no_ad(house: House) -> None:
    txn, cluster = house.staged_job()
    assert code_of(house, txn, cluster, 0, None) == "FAIL"


def test_a_refused_attribute_leaves_those_before_it_set(house: House) -> None:
    txn, cluster = house.staged_job()
    items: list[Item] = [("First", "n", "1"), ("Bad Name", "n", "2"), ("Third", "n", "3")]
    with pytest.raises(BirdbathError, match=rf"^Failed to set job {cluster}\.0's Bad Name attribute"):
        house.do(lambda schedd: schedd.submit(txn, cluster, 0, items))
    ad = staged_ad(house, txn, cluster)
    assert ad.get("First") == 1
    assert "Third" not in ad


def test_an_empty_ad_is_accepted(house: House) -> None:
    assert "Owner" not in submit(house)


def test_later_values_overwrite(house: House) -> None:
    txn, cluster = house.staged_job()
    submit_to(house, txn, cluster, ("A", "n", "1"), ("B", "n", "1"))
    ad = submit_to(house, txn, cluster, ("a", "n", "2"), ("A", "n", "3"))
    assert (ad.get("A"), ad.get("B")) == (3, 1)


# ---------------------------------------------------------------- processing


def test_iwd_is_the_spool_directory(house: House) -> None:
    txn, cluster = house.staged_job()
    ad = submit_to(house, txn, cluster)
    assert ad.get("Iwd") == str(house.queue.sandbox(JobId(cluster, 0)).path)


@pytest.mark.parametrize(
    ("name", "kind", "text", "own"),
    [
        ("Iwd", "s", "/data/alice", True),
        ("iwd", "s", "/data/alice", False),
        ("Iwd", "x", '"/data/alice"', False),
        ("Iwd", "", '"/data/alice"', False),
    ],
)
def test_only_a_string_iwd_in_exact_case_wins(
    house: House, name: str, kind: str, text: str, own: bool
) -> None:
    assert (submit(house, (name, kind, text)).get("Iwd") == "/data/alice") is own


def declare(txn: Transaction, cluster: int, name: str, schedd: Schedd) -> None:
    schedd.declare_file(txn, cluster, 0, name, 0, 0, None)


def test_transfer_input_is_what_was_declared_before(house: House) -> None:
    txn, cluster = house.staged_job()
    for name in ("b.dat", "a.dat"):
        house.do(partial(declare, txn, cluster, name))
    assert submit_to(house, txn, cluster).get("TransferInput") == "b.dat,a.dat"
    house.do(partial(declare, txn, cluster, "later"))
    assert staged_ad(house, txn, cluster).get("TransferInput") == "b.dat,a.dat"
    assert submit_to(house, txn, cluster).get("TransferInput") == "b.dat,a.dat,later"
    assert submit_to(house, txn, cluster, ("TransferInput", "s", "mine")).get("TransferInput") == "mine"


def test_transfer_input_is_empty_without_files(house: House) -> None:
    assert submit(house).get("TransferInput") == ""


@pytest.mark.parametrize(
    ("kind", "text", "stored"),
    [
        ("s", "plain", ("s", "plain")),
        ("s", "", ("s", "")),
        ("s", 'say "hi" C:\\dir\\', ("s", 'say "hi" C:\\dir\\')),
        ("s", "TRUE", ("s", "TRUE")),
        ("s", "\u20ac", ("s", "\u20ac")),
        ("n", "12", ("n", "12")),
        ("n", " +012 ", ("n", "12")),
        ("n", "-1", ("n", "-1")),
        ("n", "9007199254740993", ("n", "9007199254740993")),
        ("f", '"ON_EXIT"', ("s", "ON_EXIT")),
        ("f", "1.5", ("f", "1.500000")),
        ("x", "TRUE", ("b", "TRUE")),
        ("b", "TRUE", ("b", "TRUE")),
        ("b", "false", ("b", "FALSE")),
        ("n", "true", ("b", "TRUE")),
        ("x", "Memory>512", ("x", "Memory > 512")),
        ("", "7", ("n", "7")),
        ("x", '""', ("s", "")),
        ("u", "undefined", ("u", "undefined")),
        ("e", "error", ("e", "error")),
        ("x", None, ("u", "undefined")),
        ("s", None, ("u", "undefined")),
        ("x", "no expression >", ("u", "undefined")),
        ("x", "", ("u", "undefined")),
        ("n", "1; Evil = 2", ("u", "undefined")),
    ],
)
def test_values(house: House, kind: str, text: str | None, stored: tuple[str, str]) -> None:
    """The tag only tells strings from expressions; what is no expression is stored as undefined."""
    assert submit(house, ("Value", kind, text)).attribute("Value") == ("Value", *stored)


@pytest.mark.parametrize("name", [None, "", "MyType", "TargetType"])
def test_skipped_items(house: House, name: str | None) -> None:
    plain = submit(house)
    with_item = submit(house, (name, "s", "Other"))
    assert {n for n, _, _ in with_item} == {n for n, _, _ in plain}
    assert (with_item.get("MyType"), with_item.get("TargetType")) == ("Job", "Machine")


def test_server_time_is_never_frozen_in_a_job(house: House) -> None:
    assert "ServerTime" not in submit(house, ("ServerTime", "n", "1"))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "item",
    [
        ("1st", "n", "1"),
        ("a b", "n", "1"),
        ("a-b", "n", "1"),
        ("a.b", "s", "x"),
        ("\u00e9", "n", "1"),
        ("Env", "s", "A=1\nB=2"),
        ("Env", "s", "A=1\rB=2"),
        ("Rank", "x", "1 +\n2"),
        ("Owner", "n", "7"),
        ("Owner", "x", "Name"),
        ("Owner", "s", ""),
        ("Owner", "x", "UNDEFINED"),
        ("Owner", "s", "a" * 256),
        ("ClusterId", "n", "999"),
        ("ClusterId", "s", "1"),
        ("ClusterId", "x", "1 + 0"),
        ("ProcId", "n", "1"),
        ("procid", "s", "0"),
        ("ProcId", "f", "0.0"),
    ],
    ids=repr,
)
def test_refused_attributes(house: House, item: Item) -> None:
    txn, cluster = house.staged_job()
    assert cluster == 1
    assert code_of(house, txn, cluster, 0, [item]) == "FAIL"


@pytest.mark.parametrize("name", ["a\nb", "a\r"], ids=repr)
def test_a_file_that_no_attribute_can_name(house: House, name: str) -> None:
    """3.6: values with a line break are refused, that of TransferInput too."""
    txn, cluster = house.staged_job()
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, name, 0, 0, None))
    with pytest.raises(BirdbathError, match="TransferInput attribute: a line break"):
        house.do(lambda schedd: schedd.submit(txn, cluster, 0, []))


def test_own_ids_are_accepted(house: House) -> None:
    txn, cluster = house.staged_job()
    ids: list[Item] = [("ClusterId", "n", str(cluster)), ("procid", "x", "0")]
    assert code_of(house, txn, cluster, 0, ids) == "SUCCESS"


def test_a_removed_job_stays_removed(house: House) -> None:
    txn, cluster = house.staged_job()
    assert code_of(house, txn, cluster, 0, [("JobStatus", "n", "3")]) == "SUCCESS"
    assert code_of(house, txn, cluster, 0, [("JobStatus", "n", "3")]) == "SUCCESS"
    assert code_of(house, txn, cluster, 0, [("JobStatus", "n", "1")]) == "FAIL"
    assert staged_ad(house, txn, cluster).get("JobStatus") == 3


def test_only_the_latest_cluster_is_writable(house: House) -> None:
    txn, first = house.staged_job()
    house.do(lambda schedd: schedd.new_cluster(txn))
    assert code_of(house, txn, first, 0, []) == "FAIL"


# ---------------------------------------------------------------- owner and user


def test_owner_sets_user(house: House) -> None:
    ad = submit(house, ("Owner", "s", "alice"))
    assert (ad.get("Owner"), ad.get("User")) == ("alice", "alice@here")


def test_owner_may_be_a_quoted_expression(house: House) -> None:
    assert submit(house, ("Owner", "x", '"alice"')).get("User") == "alice@here"


@pytest.mark.parametrize("nice_first", [True, False])
def test_nice_user_rewrites_user(house: House, nice_first: bool) -> None:
    items: list[Item] = [("NiceUser", "b", "TRUE"), ("Owner", "s", "alice")]
    ad = submit(house, *(items if nice_first else reversed(items)))
    assert ad.get("User") == "nice-user.alice@here"


def test_undefined_owner_is_the_account(house: House) -> None:
    assert submit(house, ("Owner", "x", "UNDEFINED"), account="bob").get("Owner") == "bob"
    assert submit(house, ("Owner", "s", None), account="bob").get("Owner") == "bob"


def test_all_users_trusted(house: House) -> None:
    """Anybody may be anybody, and change his mind."""
    txn, cluster = house.staged_job()
    submit_to(house, txn, cluster, ("Owner", "s", "alice"))
    assert submit_to(house, txn, cluster, ("Owner", "s", "bob")).get("User") == "bob@here"


@pytest.mark.parametrize(
    ("account", "owner", "code"),
    [("alice", "alice", "SUCCESS"), ("alice", "bob", "FAIL"), ("condor", "bob", "SUCCESS")],
)
def test_owner_must_be_the_account(house: House, account: str, owner: str, code: str) -> None:
    house.configure(queue_all_users_trusted=False)
    txn, cluster = house.staged_job(account)
    ad: list[Item] = [("Owner", "s", owner)]

    def outcome() -> str:
        try:
            house.do(lambda schedd: schedd.submit(txn, cluster, 0, ad), account)
        except BirdbathError as error:
            return error.code.name
        return "SUCCESS"

    assert outcome() == code


def test_owner_once_set_cannot_be_changed(house: House) -> None:
    house.configure(queue_all_users_trusted=False)
    txn, cluster = house.staged_job("condor")
    submit_to(house, txn, cluster, ("Owner", "s", "alice"), account="condor")
    submit_to(house, txn, cluster, ("Owner", "s", "alice"), account="condor")
    with pytest.raises(BirdbathError, match="cannot be changed"):
        submit_to(house, txn, cluster, ("Owner", "s", "bob"), account="condor")


def test_strangers_may_not_write_unless_all_are_trusted(house: House) -> None:
    txn, cluster = house.staged_job()
    house.configure(queue_all_users_trusted=False)
    assert code_of(house, txn, cluster, 0, []) == "FAIL"


# ---------------------------------------------------------------- strict checks


def test_missing_files_are_no_matter_unless_strict(house: House) -> None:
    txn, cluster = house.staged_job()
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, "big", 99, 1, "0" * 32))
    assert code_of(house, txn, cluster, 0, []) == "SUCCESS"


DATA = b"four"
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("size", "hash_type", "hash", "sent", "complete"),
    [
        pytest.param(4, 0, None, [(0, DATA)], True, id="size"),
        pytest.param(4, 0, "junk", [(0, DATA)], True, id="hash of type NOHASH"),
        pytest.param(4, 1, None, [(0, DATA)], True, id="no hash"),
        pytest.param(4, 1, MD5, [(0, DATA)], True, id="hash"),
        pytest.param(4, 1, f" {MD5.upper()}\n", [(0, DATA)], True, id="hash in capitals"),
        pytest.param(4, 1, MD5, [(2, b"ur"), (0, b"fo")], True, id="chunks"),
        pytest.param(0, 0, None, [], True, id="empty"),
        pytest.param(4, 0, None, [], False, id="nothing sent"),
        pytest.param(5, 0, None, [(0, DATA)], False, id="short"),
        pytest.param(3, 0, None, [(0, DATA)], False, id="long"),
        pytest.param(4, 0, None, [(0, b"f"), (2, b"ur")], False, id="gap"),
        pytest.param(4, 1, "0" * 32, [(0, DATA)], False, id="other hash"),
        pytest.param(-1, 0, None, [], False, id="negative size"),
    ],
)
def test_strict_checks_of_a_declared_file(
    house: House, size: int, hash_type: int, hash: str | None, sent: list[tuple[int, bytes]], complete: bool
) -> None:
    house.configure(strict=True)
    txn, cluster = house.staged_job()
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, "good", 0, 0, None))
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, "file", size, hash_type, hash))

    def send(schedd: Schedd) -> None:
        for offset, data in sent:
            schedd.send_file(txn, cluster, 0, "file", offset, data)

    house.do(send)
    if complete:
        submit_to(house, txn, cluster)
        return
    with pytest.raises(Incomplete, match="file") as refused:
        submit_to(house, txn, cluster, ("Late", "n", "1"))
    assert refused.value.missing == ["file"]
    assert refused.value.code is StatusCode.INCOMPLETE
    assert "Late" not in staged_ad(house, txn, cluster)


def test_unknown_job_comes_before_everything_else(house: House) -> None:
    house.configure(strict=True)
    txn = house.begin()
    with pytest.raises(UnknownJob):
        house.do(lambda schedd: schedd.submit(txn, 1, 0, None))
