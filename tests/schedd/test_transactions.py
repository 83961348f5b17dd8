"""Transactions and their leases (reference sections 3.1 and 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from birdbath.classads import Ad
from birdbath.errors import BirdbathError, InvalidTransaction, NotJobOwner, PermissionDenied
from birdbath.pool.base import JobId, JobStatus
from birdbath.schedd import (
    Elsewhere,
    Renewal,
    Schedd,
    ScheddContext,
    Transaction,
    expire_transactions,
    renew_all,
    staging,
)
from birdbath.schedd import transactions as leases
from birdbath.schedd.ending import SMALL_COMMIT
from birdbath.schedd.transactions import LeaseNotExtended, effective_duration
from birdbath.store import UnitOfWork, Writer
from tests.schedd.fakes import House

Call = Callable[[Schedd, Transaction | None], object]

NEED_A_TRANSACTION: dict[str, Call] = {
    "commitTransaction": lambda s, t: s.commit_transaction(t),
    "abortTransaction": lambda s, t: s.abort_transaction(t),
    "extendTransaction": lambda s, t: s.extend_transaction(t, 5),
    "newCluster": lambda s, t: s.new_cluster(t),
    "newJob": lambda s, t: s.new_job(t, 1),
    "submit": lambda s, t: s.submit(t, 1, 0, []),
    "declareFile": lambda s, t: s.declare_file(t, 1, 0, "f", 0, 0, None),
    "sendFile": lambda s, t: s.send_file(t, 1, 0, "f", 0, b""),
}
MAY_HAVE_ONE: dict[str, Call] = {
    "removeCluster": lambda s, t: s.remove_cluster(t, 1, None),
    "removeJob": lambda s, t: s.remove_job(t, 1, 0, None, False),
    "holdJob": lambda s, t: s.hold_job(t, 1, 0, None, False, False, False),
    "releaseJob": lambda s, t: s.release_job(t, 1, 0, None, False, False),
    "closeSpool": lambda s, t: s.close_spool(t, 1, 0),
}
READS: dict[str, Call] = {
    "getJobAds": lambda s, t: s.get_job_ads(t, None),
    "getJobAd": lambda s, t: s.get_job_ad(t, 1, 0),
    "getFile": lambda s, t: s.get_file(t, 1, 0, "f", 0, 1),
    "listSpool": lambda s, t: s.list_spool(t, 1, 0),
}
ENDS = ("commitTransaction", "abortTransaction")


def with_txn(call: Call, txn: Transaction | None) -> Callable[[Schedd], object]:
    return lambda schedd: call(schedd, txn)


def is_live(house: House, txn: Transaction) -> bool:
    """Whether the lease runs at `house.now`; the question does not restart it."""

    def ask(unit: UnitOfWork) -> bool:
        # A duration below 1 leaves the timer alone, and is told apart from a dead transaction.
        try:
            leases.renew(unit, Transaction(txn.id, 0), None, -1)
        except InvalidTransaction:
            return False
        except LeaseNotExtended:
            return True
        raise AssertionError("a lease of 0 seconds was taken")

    return house.writer.write_now(ask)


# ---------------------------------------------------------------- checks that precede every operation


@pytest.mark.parametrize("txn", [None, Transaction(0, 60), Transaction(0, 0)], ids=repr)
@pytest.mark.parametrize("operation", NEED_A_TRANSACTION)
def test_no_transaction_where_one_is_needed(house: House, operation: str, txn: Transaction | None) -> None:
    """3.1 rule 1."""
    with pytest.raises(InvalidTransaction, match=r"^Invalid transaction$"):
        house.do(with_txn(NEED_A_TRANSACTION[operation], txn))


@pytest.mark.parametrize("txn", [None, Transaction(0, 60)], ids=repr)
@pytest.mark.parametrize("operation", MAY_HAVE_ONE)
def test_no_transaction_where_it_is_optional(house: House, operation: str, txn: Transaction | None) -> None:
    """3.1 rule 1: it goes on outside of any transaction, to whatever comes of it."""
    house.committed_job()
    outcome = "done"
    try:
        house.do(with_txn(MAY_HAVE_ONE[operation], txn))
    except BirdbathError as error:
        outcome = str(error)
    assert outcome == ("Failed to release job." if operation == "releaseJob" else "done")


@pytest.mark.parametrize("operation", [*NEED_A_TRANSACTION, *MAY_HAVE_ONE])
def test_an_unknown_transaction(house: House, operation: str) -> None:
    """3.1 rule 2: also where the transaction is optional."""
    house.committed_job()
    call = {**NEED_A_TRANSACTION, **MAY_HAVE_ONE}[operation]
    with pytest.raises(InvalidTransaction):
        house.do(with_txn(call, Transaction(12345, 60)))


@pytest.mark.parametrize("duration", [0, -1, -2147483648])
@pytest.mark.parametrize("operation", [*NEED_A_TRANSACTION, *MAY_HAVE_ONE])
def test_a_duration_below_one(house: House, operation: str, duration: int) -> None:
    """3.1 rule 3: FAIL, and the transaction stays alive with its old timer."""
    txn = house.begin(10)
    house.now += 5
    call = {**NEED_A_TRANSACTION, **MAY_HAVE_ONE}[operation]
    with pytest.raises(LeaseNotExtended):
        house.do(with_txn(call, Transaction(txn.id, duration)))
    house.now += 4.9
    assert is_live(house, txn)
    house.now += 0.1
    assert not is_live(house, txn)


@pytest.mark.parametrize("operation", [o for o in (*NEED_A_TRANSACTION, *MAY_HAVE_ONE) if o not in ENDS])
def test_every_call_restarts_the_lease_with_the_client_s_duration(house: House, operation: str) -> None:
    """3.1 rule 3: whatever else becomes of the call."""
    txn = house.begin(10)
    house.now += 9
    call = {**NEED_A_TRANSACTION, **MAY_HAVE_ONE}[operation]
    longer = Transaction(txn.id, 30)
    with suppress(BirdbathError):
        house.do(with_txn(call, longer))
    if operation != "extendTransaction":  # which then gives it the new duration
        house.now += 29.9
        assert is_live(house, txn)
        house.now += 0.1
        assert not is_live(house, txn)


@pytest.mark.parametrize("operation", READS)
def test_a_read_that_carries_a_transaction_asks_for_its_renewal(house: House, operation: str) -> None:
    txn = house.begin(10)
    with pytest.raises(Elsewhere) as elsewhere:
        house.read(with_txn(READS[operation], txn))
    assert elsewhere.value.transaction == txn


@pytest.mark.parametrize("operation", READS)
def test_a_read_fails_as_its_renewal_did(house: House, operation: str) -> None:
    dead = Renewal(InvalidTransaction())
    with pytest.raises(InvalidTransaction):
        house.read(with_txn(READS[operation], Transaction(5, 5)), renewal=dead)


def test_a_read_goes_on_after_its_renewal(house: House) -> None:
    job = house.committed_job()
    txn = house.begin(10)
    house.now += 9
    renewal = house.do(lambda schedd: schedd.renew_lease(txn))
    assert renewal.error is None
    ads = house.read(lambda schedd: schedd.get_job_ad(txn, *job), renewal=renewal)
    assert len(ads.records) == 1
    house.now += 9
    assert is_live(house, txn)


@pytest.mark.parametrize(
    ("txn", "error"), [(Transaction(5, 5), InvalidTransaction), (None, LeaseNotExtended)]
)
def test_renewals_that_fail(house: House, txn: Transaction | None, error: type[BirdbathError]) -> None:
    given = txn or Transaction(house.begin().id, 0)
    renewal = house.do(lambda schedd: schedd.renew_lease(given))
    assert isinstance(renewal.error, error)


def test_a_transaction_belongs_to_who_began_it(house: House) -> None:
    """3.2: a new server compares users on every call."""
    txn = house.begin(account="alice")
    for account in (None, "bob"):
        with pytest.raises(PermissionDenied, match=r"^Permission denied$"):
            house.do(lambda schedd: schedd.new_cluster(txn), account)
    assert house.do(lambda schedd: schedd.new_cluster(txn), "alice") == 1


# ---------------------------------------------------------------- begin and extend


@pytest.mark.parametrize(
    ("asked", "maximum", "given"),
    [
        (60, -1, 60),
        (60, 0, 60),
        (60, 30, 30),
        (60, 60, 60),
        (0, -1, 1),
        (-5, -1, 1),
        (0, 30, 1),
        (2147483647, -1, 2147483647),
        (2147483647, 3600, 3600),
    ],
)
def test_effective_duration(house: House, asked: int, maximum: int, given: int) -> None:
    """3.2: MAX_SOAP_TRANSACTION_DURATION caps, then anything below 1 becomes 1."""
    assert effective_duration(asked, maximum) == given
    house.configure(max_transaction_duration=maximum)
    txn = house.begin(asked)
    assert txn.duration == given
    assert txn.id > 0
    house.now += given - 0.001
    assert is_live(house, txn)
    house.now += 0.001
    assert not is_live(house, txn)


def test_ids_differ(house: House) -> None:
    assert len({house.begin().id for _ in range(20)}) == 20


def test_ids_in_use_and_zero_are_not_given_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = house.begin().id
    bits = iter([0, taken, 77])
    monkeypatch.setattr("secrets.randbits", lambda _: next(bits))
    assert house.begin().id == 77


@pytest.mark.parametrize(("asked", "maximum", "given"), [(90, -1, 90), (90, 20, 20), (0, -1, 1), (-7, 20, 1)])
def test_extending(house: House, asked: int, maximum: int, given: int) -> None:
    """3.2, a sane server: the timer restarts with the new value, capped, and that value is returned."""
    txn = house.begin(10)
    house.configure(max_transaction_duration=maximum)
    house.now += 5
    extended = house.do(lambda schedd: schedd.extend_transaction(txn, asked))
    assert extended == Transaction(txn.id, given)
    house.now += given - 0.001
    assert is_live(house, txn)
    house.now += 0.001
    assert not is_live(house, txn)


def test_the_cap_holds_for_renewals_too(house: House) -> None:
    house.configure(max_transaction_duration=20)
    txn = house.begin(10)
    house.do(lambda schedd: schedd.new_cluster(Transaction(txn.id, 5000)))
    house.now += 20
    assert not is_live(house, txn)


# ---------------------------------------------------------------- the end


def test_expiry_is_an_abort(house: House) -> None:
    txn, cluster = house.staged_job()
    sandbox = house.queue.sandbox(JobId(cluster, 0))
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, "f", 0, 0, None))
    assert sandbox.exists()
    other = house.begin(1000)

    def expire() -> int:
        return house.writer.write_now(lambda unit: expire_transactions(house.context(unit)))

    assert expire() == 0
    house.now += 60
    assert expire() == 1
    assert not sandbox.exists()
    assert is_live(house, other)
    with pytest.raises(InvalidTransaction):
        house.do(lambda schedd: schedd.commit_transaction(txn))
    assert house.queue.jobs == {}


def test_an_expired_transaction_is_dead_before_anybody_aborts_it(house: House) -> None:
    txn = house.begin(10)
    house.now += 10
    with pytest.raises(InvalidTransaction):
        house.do(lambda schedd: schedd.new_cluster(txn))


def test_a_call_that_came_in_time_may_wait_longer_than_its_lease(house: House) -> None:
    """It is judged by when it came, and renews the lease from when its turn came; no expiry comes between."""
    txn = house.begin(10)
    came, waited = house.now + 9, house.now + 60

    def expire(unit: UnitOfWork) -> int:
        return expire_transactions(house.context(unit))

    house.now = waited
    assert house.writer.write_now(expire, came - 1) == 0
    house.writer.write_now(lambda unit: Schedd(house.context(unit)).new_cluster(txn), came)
    house.now = waited + 9.9
    assert is_live(house, txn)


def test_a_restart_renews_every_lease_once(house: House) -> None:
    """With the duration that it had last."""
    txn = house.begin(10)
    house.do(lambda schedd: schedd.new_cluster(Transaction(txn.id, 30)))
    house.now += 1_000_000
    house.writer.write_now(renew_all)
    house.now += 29.9
    assert is_live(house, txn)
    house.now += 0.1
    assert not is_live(house, txn)


def test_a_restart_renews_no_lease_that_was_said_to_have_run_out(house: House) -> None:
    """3.1 rule 2: once INVALIDTRANSACTION, always; the client has begun again meanwhile."""
    txn = house.begin(10)
    house.now += 10
    with pytest.raises(InvalidTransaction):
        house.do(lambda schedd: schedd.new_cluster(txn))
    house.writer.write_now(renew_all)
    with pytest.raises(InvalidTransaction):
        house.do(lambda schedd: schedd.new_cluster(txn))
    assert house.writer.write_now(leases.expired) == [txn.id]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("again", [*NEED_A_TRANSACTION, *MAY_HAVE_ONE])
def test_after_the_end_the_id_is_invalid(house: House, end: str, again: str) -> None:
    txn = house.begin()
    house.do(with_txn(NEED_A_TRANSACTION[end], txn))
    with pytest.raises(InvalidTransaction):
        house.do(with_txn({**NEED_A_TRANSACTION, **MAY_HAVE_ONE}[again], txn))


def test_abort_discards_all_but_cluster_ids(house: House) -> None:
    txn, cluster = house.staged_job()
    house.do(lambda schedd: schedd.abort_transaction(txn))
    assert house.queue.jobs == {}
    assert not house.queue.sandbox(JobId(cluster, 0)).exists()
    _, later = house.staged_job()
    assert later > cluster


def test_commit_hands_over_every_cluster(house: House) -> None:
    txn, first = house.staged_job()
    second = house.do(lambda schedd: schedd.new_cluster(txn))
    assert [house.do(lambda schedd: schedd.new_job(txn, second)) for _ in range(2)] == [0, 1]
    house.do(lambda schedd: schedd.commit_transaction(txn))
    assert list(house.queue.jobs) == [(first, 0), (second, 0), (second, 1)]


def test_a_committed_job_has_what_it_cannot_be_without(house: House) -> None:
    txn, cluster = house.staged_job("alice")
    house.now += 3
    house.do(lambda schedd: schedd.commit_transaction(txn), "alice")
    ad = house.ad(cluster)
    assert (ad.get("Owner"), ad.get("JobStatus"), ad.get("JobPrio")) == ("alice", 1, 0)
    assert ad.get("QDate") == ad.get("EnteredCurrentStatus") == int(house.now)
    assert ad.get("Iwd") == str(house.queue.sandbox(JobId(cluster, 0)).path)
    assert ad.get("GlobalJobId") == f"schedd@here#{cluster}.0#{int(house.now) - 3}"
    assert (ad.get("MyType"), ad.get("TargetType")) == ("Job", "Machine")


def test_what_the_client_gave_stays(house: House) -> None:
    job = house.committed_job(("QDate", "n", "5"), ("JobPrio", "n", "7"), ("Iwd", "s", "/tmp"))
    ad = house.ad(*job)
    assert (ad.get("QDate"), ad.get("JobPrio"), ad.get("Iwd")) == (5, 7, "/tmp")


def test_a_commit_that_the_pool_refuses_leaves_the_transaction_as_it_was(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    txn, cluster = house.staged_job()

    def refuse(unit: UnitOfWork, _: object) -> None:
        staging.forget(unit, txn.id)  # as something that was written before the refusal
        raise BirdbathError("the pool is full")

    with monkeypatch.context() as patched:
        patched.setattr(house.queue, "accept", refuse)
        with pytest.raises(BirdbathError, match="full"):
            house.do(lambda schedd: schedd.commit_transaction(txn))
    assert house.queue.jobs == {}
    house.do(lambda schedd: schedd.commit_transaction(txn))
    assert list(house.queue.jobs) == [(cluster, 0)]


def test_a_long_commit_is_sent_off_the_event_loop(house: House) -> None:
    txn = house.begin()
    cluster = house.do(lambda schedd: schedd.new_cluster(txn))

    def commit(unit: UnitOfWork, patient: bool) -> None:
        context = house.context(unit)
        Schedd(
            ScheddContext(context.settings, context.queue, context.caller, unit, patient)
        ).commit_transaction(txn)

    def fill(schedd: Schedd) -> None:
        for _ in range(SMALL_COMMIT + 1):
            schedd.new_job(txn, cluster)

    house.do(fill)
    with pytest.raises(Elsewhere) as elsewhere:
        house.writer.write_now(partial(commit, patient=False))
    assert elsewhere.value.transaction is None
    house.writer.write_now(partial(commit, patient=True))
    assert len(house.queue.jobs) == SMALL_COMMIT + 1


def test_a_long_abort_is_sent_off_the_event_loop_and_deletes_afterwards(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[_Started] = []
    monkeypatch.setattr("birdbath.schedd.ending.Thread", partial(_Started, started))
    txn = house.begin()
    cluster = house.do(lambda schedd: schedd.new_cluster(txn))
    house.do(lambda schedd: [schedd.new_job(txn, cluster) for _ in range(SMALL_COMMIT + 1)])

    def abort(unit: UnitOfWork, patient: bool) -> None:
        context = house.context(unit)
        patiently = ScheddContext(context.settings, context.queue, context.caller, unit, patient)
        Schedd(patiently).abort_transaction(txn)

    with pytest.raises(Elsewhere):
        house.writer.write_now(partial(abort, patient=False))
    house.writer.write_now(partial(abort, patient=True))
    (thread,) = started
    thread.target(*thread.args)
    assert not any(house.queue.sandbox(JobId(cluster, proc)).exists() for proc in range(SMALL_COMMIT + 1))


class _Started:
    """A thread that does nothing by itself: the test runs its target."""

    def __init__(
        self, seen: list[_Started], target: Callable[..., None], args: tuple[object, ...], daemon: bool
    ) -> None:
        self.target = target
        self.args = args
        self._seen = seen

    def start(self) -> None:
        self._seen.append(self)


def test_a_commit_of_many_actions_is_sent_off_the_event_loop(house: House) -> None:
    jobs = [house.committed_job() for _ in range(SMALL_COMMIT + 1)]
    txn = house.begin()

    def remove_all(schedd: Schedd) -> None:
        for job in jobs:
            schedd.remove_job(txn, *job, None, False)

    house.do(remove_all)
    context = house.context(None)

    def commit(unit: UnitOfWork) -> None:
        Schedd(
            ScheddContext(context.settings, context.queue, context.caller, unit, False)
        ).commit_transaction(txn)

    with pytest.raises(Elsewhere):
        house.writer.write_now(commit)


def test_interleaved_transactions_do_not_see_each_other(house: House) -> None:
    one, first = house.staged_job()
    two, second = house.staged_job()
    assert first != second
    with pytest.raises(BirdbathError):
        house.do(lambda schedd: schedd.new_job(two, first))
    house.do(lambda schedd: schedd.abort_transaction(one))
    house.do(lambda schedd: schedd.commit_transaction(two))
    assert list(house.queue.jobs) == [(second, 0)]


# ---------------------------------------------------------------- newCluster and newJob


def test_a_new_cluster_is_the_active_one(house: House) -> None:
    txn, first = house.staged_job()
    second = house.do(lambda schedd: schedd.new_cluster(txn))
    assert second > first
    for cluster in (first, 0, -1, 999):
        with pytest.raises(BirdbathError, match=r"^Could not create a new job") as refused:
            house.do(partial(Schedd.new_job, txn=txn, cluster=cluster))
        assert refused.value.code.name == "FAIL"
    assert house.do(lambda schedd: schedd.new_job(txn, second)) == 0


def test_before_any_cluster_there_is_no_job(house: House) -> None:
    txn = house.begin()
    with pytest.raises(BirdbathError):
        house.do(lambda schedd: schedd.new_job(txn, 0))


def test_unknown_cluster_with_strict_codes(house: House) -> None:
    house.configure(strict=True)
    txn = house.begin()
    with pytest.raises(BirdbathError) as refused:
        house.do(lambda schedd: schedd.new_job(txn, 4))
    assert refused.value.code.name == "UNKNOWNCLUSTER"


def test_the_sandbox_is_there_at_once(house: House) -> None:
    _, cluster = house.staged_job()
    assert house.queue.sandbox(JobId(cluster, 0)).exists()


def test_a_spool_directory_that_cannot_be_made_uses_no_proc(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.4: FAIL, not the original's SUCCESS."""
    txn = house.begin()
    cluster = house.do(lambda schedd: schedd.new_cluster(txn))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.mkdir", full)
        with pytest.raises(BirdbathError, match="spool directory: No space left on device") as refused:
            house.do(lambda schedd: schedd.new_job(txn, cluster))
    assert refused.value.code.name == "FAIL"
    assert house.do(lambda schedd: schedd.new_job(txn, cluster)) == 0


def test_max_jobs_submitted_counts_all_jobs(house: House) -> None:
    house.committed_job()
    house.configure(max_jobs_submitted=2)
    txn, cluster = house.staged_job()
    for refused in (lambda s: s.new_job(txn, cluster), lambda s: s.new_cluster(txn)):
        with pytest.raises(BirdbathError, match="MAX_JOBS_SUBMITTED is 2"):
            house.do(refused)
    house.do(lambda schedd: schedd.abort_transaction(txn))
    house.staged_job()


def test_max_jobs_per_submission(house: House) -> None:
    house.configure(max_jobs_per_submission=1)
    txn, cluster = house.staged_job()
    with pytest.raises(BirdbathError, match="MAX_JOBS_PER_SUBMISSION is 1"):
        house.do(lambda schedd: schedd.new_job(txn, cluster))
    another = house.do(lambda schedd: schedd.new_cluster(txn))
    assert house.do(lambda schedd: schedd.new_job(txn, another)) == 0


def test_max_jobs_per_owner_is_for_those_who_are_known(house: House) -> None:
    house.committed_job(account="alice")
    house.configure(max_jobs_per_owner=2)
    txn, cluster = house.staged_job("alice")
    with pytest.raises(BirdbathError, match="MAX_JOBS_PER_OWNER is 2"):
        house.do(lambda schedd: schedd.new_job(txn, cluster), "alice")
    house.staged_job("bob")
    house.staged_job()


def test_no_limit(house: House) -> None:
    house.configure(max_jobs_per_owner=2147483647)
    house.staged_job("alice")


def test_strangers_may_begin_but_not_build_unless_all_are_trusted(house: House) -> None:
    house.configure(queue_all_users_trusted=False)
    txn = house.begin()
    with pytest.raises(BirdbathError, match="not authenticated"):
        house.do(lambda schedd: schedd.new_cluster(txn))
    with pytest.raises(BirdbathError, match="not authenticated"):
        house.do(lambda schedd: schedd.new_job(txn, 1))


# ---------------------------------------------------------------- queries


def test_queries_show_what_is_committed(house: House) -> None:
    _txn, staged = house.staged_job()
    job = house.committed_job()
    ads = house.read(lambda schedd: schedd.get_job_ads(None, ""))
    assert [record.ad().get("ClusterId") for record in ads.records] == [job.cluster]
    assert ads.server_time == int(house.now)
    with pytest.raises(BirdbathError, match="unknown") as unknown:
        house.read(lambda schedd: schedd.get_job_ad(None, staged, 0))
    assert unknown.value.code.name == "UNKNOWNJOB"


@pytest.mark.parametrize(("constraint", "found"), [('Owner == "alice"', 1), ("FALSE", 0), ("1 +", 0)])
def test_constraints(house: House, constraint: str, found: int) -> None:
    house.committed_job()
    ads = house.read(lambda schedd: schedd.get_job_ads(None, constraint))
    assert len(ads.records) == found


@pytest.mark.parametrize(("account", "sees"), [(None, True), ("alice", True), ("root", True), ("bob", False)])
def test_single_jobs_are_for_their_owner(house: House, account: str | None, sees: bool) -> None:
    """3.1 rule 5: an authenticated stranger cannot getJobAd or listSpool, yet getJobAds shows the ad."""
    job = house.committed_job(account="alice")
    house.configure(queue_all_users_trusted=False)
    reads: list[Callable[[Schedd], object]] = [
        lambda s: s.get_job_ad(None, *job),
        lambda s: s.list_spool(None, *job),
        lambda s: s.get_file(None, *job, "missing", 0, 1),
    ]
    for read in reads:
        outcome: type[BirdbathError] | None = None
        try:
            house.read(read, account)
        except BirdbathError as error:
            outcome = type(error)
        assert (outcome is NotJobOwner) is not sees
    assert len(house.read(lambda s: s.get_job_ads(None, None), account).records) == 1


def test_jobs_without_owner_are_everybody_s(house: House) -> None:
    house.queue.jobs[JobId(9, 0)] = Ad([("JobStatus", "n", str(int(JobStatus.IDLE)))])
    house.configure(queue_all_users_trusted=False)
    assert len(house.read(lambda s: s.get_job_ad(None, 9, 0), "bob").records) == 1


def test_versions(house: House) -> None:
    assert house.read(Schedd.version_string) == house.settings.version_string
    assert house.read(Schedd.platform_string) == house.settings.platform_string


def test_rescheduling(house: House) -> None:
    house.read(Schedd.request_reschedule)
    assert house.queue.rescheduled == 1


def test_a_read_has_nothing_to_write_with(house: House) -> None:
    with pytest.raises(AssertionError, match="a read tried to write"):
        house.read(lambda schedd: schedd.begin_transaction(5))


def test_transactions_survive_a_new_writer(
    house: House, writer: Callable[[Callable[[], float]], Writer]
) -> None:
    """Nothing of a transaction is kept in memory."""
    txn, cluster = house.staged_job()
    house.writer.close()
    house.writer = writer(lambda: house.now)
    house.do(lambda schedd: schedd.submit(txn, cluster, 0, [("Owner", "s", "alice")]))
    assert house.do(lambda schedd: schedd.new_job(txn, cluster)) == 1
    house.do(lambda schedd: schedd.commit_transaction(txn))
    assert house.ad(cluster).get("Owner") == "alice"
