"""Whose jobs, files, transactions and listings a caller may touch where callers are asked who they are."""

from __future__ import annotations

import pytest

from birdbath.errors import BirdbathError, InvalidTransaction, NotJobOwner, PermissionDenied
from birdbath.schedd import Elsewhere, Schedd, Transaction
from birdbath.store import UnitOfWork
from tests.schedd.fakes import House


@pytest.fixture(autouse=True)
def asking(house: House) -> None:
    house.configure(queue_all_users_trusted=False, authentication=True)


def test_a_stranger_does_not_even_renew_a_lease(house: House) -> None:
    txn = house.begin(10, "alice")
    house.now += 9
    with pytest.raises(PermissionDenied):
        house.do(lambda schedd: schedd.extend_transaction(Transaction(txn.id, 600), 600), "bob")
    house.now += 2
    with pytest.raises(InvalidTransaction):
        house.do(lambda schedd: schedd.commit_transaction(txn), "alice")


def test_files_that_are_being_staged_are_private(house: House) -> None:
    txn, cluster = house.staged_job("alice")
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, "secret", 2, 0, None), "alice")
    house.do(lambda schedd: schedd.send_file(txn, cluster, 0, "secret", 0, b"42"), "alice")

    def get(schedd: Schedd) -> bytes:
        return schedd.get_file(None, cluster, 0, "secret", 0, 10)

    with pytest.raises(Elsewhere) as elsewhere:
        house.read(get, "bob")
    assert elsewhere.value.in_unit
    for account in ("bob", None):
        with pytest.raises(NotJobOwner):
            house.do(get, account)
        with pytest.raises(NotJobOwner):
            house.do(lambda schedd: schedd.list_spool(None, cluster, 0), account)
    assert house.do(get, "alice") == b"42"
    assert house.do(get, "root") == b"42"


@pytest.mark.parametrize("account", ["bob", None])
def test_committed_jobs_are_the_owner_s(house: House, account: str | None) -> None:
    job = house.committed_job(account="alice")
    for touch in (
        lambda schedd: schedd.get_job_ad(None, *job),
        lambda schedd: schedd.list_spool(None, *job),
        lambda schedd: schedd.get_file(None, *job, "x", 0, 1),
    ):
        with pytest.raises(NotJobOwner):
            house.read(touch, account)
    for act in (
        lambda schedd: schedd.hold_job(None, *job, "no", False, False, False),
        lambda schedd: schedd.remove_job(None, *job, "no", False),
        lambda schedd: schedd.remove_cluster(None, job.cluster, "no"),
        lambda schedd: schedd.close_spool(None, *job),
    ):
        with pytest.raises(BirdbathError):
            house.do(act, account)
    assert house.queue.done == []


def test_listings_show_own_jobs_when_they_are_private(house: House) -> None:
    house.configure(private_jobs=True)
    mine, _ = house.committed_job(account="alice"), house.committed_job(account="bob")

    def listed(account: str | None, constraint: str | None = None) -> list[int]:
        ads = house.read(lambda schedd: schedd.get_job_ads(None, constraint), account)
        return [record.ad().integer("ClusterId") for record in ads.records]

    assert listed("alice") == [mine.cluster]
    assert listed("alice", "true || true") == [mine.cluster]
    assert listed("ALICE") == []
    assert listed(None) == []
    assert len(listed("root")) == 2


def test_super_users_submit_as_others_as_far_as_they_may_impersonate(house: House) -> None:
    def submit_as(owner: str, account: str) -> None:
        txn, cluster = house.staged_job(account)
        house.do(lambda schedd: schedd.submit(txn, cluster, 0, [("Owner", "s", owner)]), account)

    submit_as("alice", "root")
    house.configure(queue_super_user_may_impersonate="^al")
    submit_as("alice", "root")
    with pytest.raises(BirdbathError, match="own account, root"):
        submit_as("bob", "root")
    house.configure(queue_super_user_may_impersonate="^$")
    with pytest.raises(BirdbathError, match="own account, root"):
        submit_as("alice", "root")
    with pytest.raises(BirdbathError, match="own account, alice"):
        submit_as("bob", "alice")


def test_user_follows_from_owner(house: House) -> None:
    txn, cluster = house.staged_job("alice")
    items = [("Owner", "s", "alice"), ("User", "s", "root@here")]

    def submitted(unit: UnitOfWork) -> None:
        Schedd(house.context(unit, "alice")).submit(txn, cluster, 0, items)

    house.writer.write_now(submitted)
    house.do(lambda schedd: schedd.commit_transaction(txn), "alice")
    assert house.ad(cluster).string("User") == "alice@here"
