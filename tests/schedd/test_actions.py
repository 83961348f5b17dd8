"""Hold, release, remove, removeCluster, closeSpool, at once and staged (reference 3.10 to 3.17)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from birdbath.classads import Ad
from birdbath.errors import BirdbathError, InvalidTransaction, NotJobOwner, UnknownJob
from birdbath.pool.base import ActionDetails, JobAction, JobId
from birdbath.schedd import Elsewhere, Schedd, ScheddContext, Transaction, actions, staging
from birdbath.store import UnitOfWork
from tests.schedd.fakes import House

Txn = Transaction | None


def hold(txn: Txn, job: JobId, reason: str | None = None) -> Callable[[Schedd], None]:
    return lambda schedd: schedd.hold_job(txn, *job, reason, False, False, False)


def release(txn: Txn, job: JobId, reason: str | None = None) -> Callable[[Schedd], None]:
    return lambda schedd: schedd.release_job(txn, *job, reason, False, False)


def remove(txn: Txn, job: JobId, reason: str | None = None, force: bool = False) -> Callable[[Schedd], None]:
    return lambda schedd: schedd.remove_job(txn, *job, reason, force)


def close(txn: Txn, job: JobId) -> Callable[[Schedd], None]:
    return lambda schedd: schedd.close_spool(txn, *job)


def remove_cluster(txn: Txn, cluster: int, reason: str | None = None) -> Callable[[Schedd], None]:
    return lambda schedd: schedd.remove_cluster(txn, cluster, reason)


NOBODY = JobId(99, 0)


# ---------------------------------------------------------------- at once


def test_details_reach_the_pool(house: House) -> None:
    job = house.committed_job()
    house.do(lambda s: s.hold_job(None, *job, "why", True, False, True))
    house.do(lambda s: s.release_job(None, *job, "go on", False, True))
    house.do(remove(None, job, "enough", force=True))
    assert house.queue.done == [
        (JobAction.HOLD, job, ActionDetails("why", system_hold=True, email_user=True)),
        (JobAction.RELEASE, job, ActionDetails("go on", email_admin=True)),
        (JobAction.REMOVE, job, ActionDetails("enough", force=True)),
    ]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (hold, "Failed to hold job."),
        (release, "Failed to release job."),
        (remove, "Failed to abort the job."),
        (close, "The job is unknown"),
    ],
)
@pytest.mark.parametrize("staged", [False, True])
def test_unknown_jobs(
    house: House, action: Callable[[Txn, JobId], Callable[[Schedd], None]], text: str, staged: bool
) -> None:
    """FAIL, never UNKNOWNJOB."""
    txn = house.begin() if staged else None
    with pytest.raises(BirdbathError, match=rf"^{text}$") as refused:
        house.do(action(txn, NOBODY))
    assert refused.value.code.name == "FAIL"


def test_states_that_forbid_it(house: House) -> None:
    job = house.committed_job()
    with pytest.raises(BirdbathError, match=r"^Failed to release job.$"):
        house.do(release(None, job))
    house.do(hold(None, job))
    with pytest.raises(BirdbathError, match=r"^Failed to hold job.$"):
        house.do(hold(None, job))


def test_closing_a_spool(house: House) -> None:
    job = house.committed_job()
    house.do(close(None, job))
    assert house.ad(*job).get("FilesRetrieved") is True


def test_removing_a_cluster(house: House) -> None:
    txn, cluster = house.staged_job()
    house.do(lambda s: s.new_job(txn, cluster))
    house.do(lambda s: s.commit_transaction(txn))
    house.do(remove_cluster(None, cluster, "all of it"))
    assert [(job, details.reason) for _, job, details in house.queue.done] == [
        ((cluster, 0), "all of it"),
        ((cluster, 1), "all of it"),
    ]


def test_removing_no_cluster(house: House) -> None:
    """3.11: SUCCESS for the unauthenticated, FAIL for others."""
    house.do(remove_cluster(None, 99))
    with pytest.raises(BirdbathError, match=r"^Cluster not found$"):
        house.do(remove_cluster(None, 99), "alice")


# ---------------------------------------------------------------- whose jobs


@pytest.mark.parametrize("account", [None, "bob"])
@pytest.mark.parametrize("staged", [False, True])
def test_others_jobs(house: House, account: str | None, staged: bool) -> None:
    """3.1 rule 5; and unlike the original, whoever is not authenticated may do nothing at all (section 9)."""
    job = house.committed_job(account="alice")
    house.configure(queue_all_users_trusted=False)
    txn = house.begin(account=account) if staged else None
    calls = [hold(txn, job), release(txn, job), remove(txn, job), close(txn, job)]
    for call in [*calls, remove_cluster(txn, job.cluster)]:
        with pytest.raises(BirdbathError) as refused:
            house.do(call, account)
        assert isinstance(refused.value, NotJobOwner) is (account == "bob")
        assert refused.value.code.name == "FAIL"
    assert house.queue.done == []
    assert house.ad(*job).get("FilesRetrieved") is None


@pytest.mark.parametrize("account", ["alice", "condor"])
def test_own_jobs_and_those_of_others_for_super_users(house: House, account: str) -> None:
    job = house.committed_job(account="alice")
    house.configure(queue_all_users_trusted=False)
    house.do(hold(None, job), account)
    house.do(release(None, job), account)
    house.do(close(None, job), account)
    house.do(remove_cluster(None, job.cluster), account)
    assert [action for action, _, _ in house.queue.done] == ["hold", "release", "remove"]


# ---------------------------------------------------------------- in a transaction


def test_actions_wait_for_the_commit_in_their_order(house: House) -> None:
    job = house.committed_job()
    txn = house.begin()
    for action in (hold(txn, job, "a"), release(txn, job, "b"), remove(txn, job, "c"), close(txn, job)):
        house.do(action)
    assert house.queue.done == []
    assert house.ad(*job).get("FilesRetrieved") is None
    house.do(lambda s: s.commit_transaction(txn))
    assert [(action, details.reason) for action, _, details in house.queue.done] == [
        ("hold", "a"),
        ("release", "b"),
        ("remove", "c"),
    ]
    assert house.ad(*job).get("FilesRetrieved") is True


def test_an_abort_forgets_them(house: House) -> None:
    job = house.committed_job()
    txn = house.begin()
    house.do(hold(txn, job))
    house.do(lambda s: s.abort_transaction(txn))
    assert house.queue.done == []
    with pytest.raises(InvalidTransaction):
        house.do(release(txn, job))


def test_they_are_checked_against_what_will_be(house: House) -> None:
    job = house.committed_job()
    txn = house.begin()
    with pytest.raises(BirdbathError, match="release"):
        house.do(release(txn, job))
    house.do(hold(txn, job))
    with pytest.raises(BirdbathError, match="hold"):
        house.do(hold(txn, job))
    house.do(release(txn, job))
    with pytest.raises(BirdbathError, match="release"):
        house.do(release(txn, job))
    house.do(remove(txn, job))
    house.do(remove(txn, job))
    house.do(hold(txn, job))
    house.do(release(txn, job))
    with pytest.raises(BirdbathError, match="release"):
        house.do(release(txn, job))


def test_other_jobs_of_the_transaction_do_not_count(house: House) -> None:
    one, two = house.committed_job(), house.committed_job()
    txn = house.begin()
    house.do(hold(txn, one))
    house.do(hold(txn, two))
    with pytest.raises(BirdbathError):
        house.do(hold(txn, two))


def test_what_others_did_meanwhile_counts_too(house: House) -> None:
    job = house.committed_job()
    txn = house.begin()
    house.do(hold(txn, job))
    house.do(close(txn, job))
    house.do(hold(None, job))  # so that the staged one will come to nothing
    with pytest.raises(BirdbathError):
        house.do(hold(txn, job))
    house.do(release(txn, job))
    house.do(lambda s: s.commit_transaction(txn))
    assert [action for action, _, _ in house.queue.done] == ["hold", "release"]


@pytest.mark.parametrize(
    ("status", "held"), [("5", True), ("1", False), ("4", False), ("99", False), ('"Idle"', False)]
)
@pytest.mark.parametrize("committed", [False, True])
def test_the_state_that_counts_is_the_ad_s(house: House, status: str, held: bool, committed: bool) -> None:
    """Numbers and texts that are no state count as Idle."""
    if committed:
        job, txn = house.committed_job(("JobStatus", "n", status)), house.begin()
    else:
        txn, cluster = house.staged_job()
        job = JobId(cluster, 0)
        house.do(lambda s: s.submit(txn, cluster, 0, [("JobStatus", "n", status)]))
    with pytest.raises(BirdbathError):
        house.do(hold(txn, job) if held else release(txn, job))
    house.do(release(txn, job) if held else hold(txn, job))


def test_a_staged_job_that_was_removed_is_committed_removed(house: House) -> None:
    txn, cluster = house.staged_job()
    job = JobId(cluster, 0)
    house.do(remove(txn, job, "changed my mind"))
    house.do(hold(txn, job))
    house.do(release(txn, job))
    house.do(lambda s: s.commit_transaction(txn))
    assert [action for action, _, _ in house.queue.done] == ["remove", "hold", "release"]


def test_meanwhile_changed_jobs_are_passed_over(house: House) -> None:
    gone, held, job = house.committed_job(), house.committed_job(), house.committed_job()
    txn = house.begin()
    for target in (gone, held, job):
        house.do(hold(txn, target))
    house.do(close(txn, gone))
    del house.queue.jobs[gone]
    house.do(hold(None, held))
    house.do(lambda s: s.commit_transaction(txn))
    assert house.ad(*job).get("JobStatus") == 5


def test_removing_a_cluster_in_a_transaction(house: House) -> None:
    """Committed jobs when it commits; staged ones take nothing more and are committed removed."""
    committed = house.committed_job()
    txn, cluster = house.staged_job()
    house.do(remove_cluster(txn, committed.cluster, "both"))
    house.do(remove_cluster(txn, cluster))
    with pytest.raises(UnknownJob):
        house.writer.write_now(lambda unit: staging.writable_ad(unit, txn.id, JobId(cluster, 0)))
    assert house.queue.done == []
    house.do(lambda s: s.commit_transaction(txn))
    assert [job for _, job, _ in house.queue.done] == [committed, (cluster, 0)]


def test_a_cluster_is_removed_whole_or_not_at_all(house: House) -> None:
    """3.11: one job in it is somebody else's."""
    own, other = JobId(7, 0), JobId(7, 1)
    for job, owner in ((own, "alice"), (other, "bob")):
        house.queue.jobs[job] = Ad([("Owner", "s", owner), ("JobStatus", "n", "1")])
    house.configure(queue_all_users_trusted=False)
    txn = house.begin(account="alice")
    with pytest.raises(NotJobOwner):
        house.do(remove_cluster(txn, 7), "alice")
    house.do(lambda s: s.commit_transaction(txn), "alice")
    assert house.queue.done == []


def test_others_staged_jobs_are_not_in_a_cluster(house: House) -> None:
    other, cluster = house.staged_job()
    txn = house.begin()
    house.do(remove_cluster(txn, cluster))
    house.do(lambda s: s.submit(other, cluster, 0, []))


def test_a_large_cluster_is_removed_off_the_event_loop(house: House) -> None:
    txn, cluster = house.staged_job()

    def fill(schedd: Schedd) -> None:
        for _ in range(actions.SMALL_CLUSTER):
            schedd.new_job(txn, cluster)

    house.do(fill)
    house.do(lambda s: s.commit_transaction(txn))

    def in_haste(unit: UnitOfWork) -> None:
        context = house.context(unit)
        Schedd(
            ScheddContext(context.settings, context.queue, context.caller, unit, patient=False)
        ).remove_cluster(None, cluster, None)

    with pytest.raises(Elsewhere):
        house.writer.write_now(in_haste)
    assert house.queue.done == []
    house.do(remove_cluster(None, cluster))
    assert len(house.queue.done) == actions.SMALL_CLUSTER + 1


def test_all_jobs_of_open_transactions_are_known(house: House) -> None:
    """So that nobody sweeps their files away."""
    _, one = house.staged_job()
    txn, two = house.staged_job()
    house.committed_job()
    assert house.writer.write_now(staging.all_jobs) == {(one, 0), (two, 0)}
    house.do(lambda s: s.abort_transaction(txn))
    assert house.writer.write_now(staging.all_jobs) == {(one, 0)}
