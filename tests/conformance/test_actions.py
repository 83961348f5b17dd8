"""Sections 3.10 to 3.13: remove, hold and release."""

from __future__ import annotations

import pytest

from tests.conformance.door import NIL, Door, Item, Job, Staged, Value, expression, integer, string

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5

HOLD: dict[str, Value] = {"email_user": False, "email_admin": False, "system_hold": False}
RELEASE: dict[str, Value] = {"email_user": False, "email_admin": False}
REMOVE: dict[str, Value] = {"force_removal": False}
OPERATIONS = {"holdJob": HOLD, "releaseJob": RELEASE, "removeJob": REMOVE}


def hold(job: Job | Staged, reason: str | None = "because") -> str:
    return job.code("holdJob", reason=reason, **HOLD)


def release(job: Job | Staged, reason: str | None = "go on") -> str:
    return job.code("releaseJob", reason=reason, **RELEASE)


def remove(job: Job | Staged, reason: str | None = "enough", force: bool = False) -> str:
    return job.code("removeJob", reason=reason, force_removal=force)


@pytest.fixture
def idle(door: Door) -> Job:
    """A job that stays Idle."""
    return door.committed()


def running(door: Door) -> Job:
    job = door.committed(
        expression("Requirements", "TRUE"), string("Cmd", "/bin/sleep"), string("Arguments", "5000")
    )
    door.run_until(lambda: job.status == RUNNING)
    return job


def completed(door: Door) -> Job:
    job = door.committed(expression("Requirements", "TRUE"))
    door.run_until(lambda: job.status == COMPLETED)
    return job


def inside(door: Door, job: Job) -> Staged:
    """The same job, acted on inside a new transaction."""
    return Staged(door, door.begin(), job.cluster, job.proc)


# ---------------------------------------------------------------- unknown jobs


def test_unknown_jobs(door: Door) -> None:
    """3.10, 3.12, 3.13: FAIL, no UNKNOWNJOB."""
    own = door.committed().cluster
    messages = {
        "holdJob": "Failed to hold job.",
        "releaseJob": "Failed to release job.",
        "removeJob": "Failed to abort the job.",
    }
    for transaction in (None, door.begin()):
        for cluster, proc in ((99, 0), (own, 7), (0, 0), (-1, 0), (own, -1)):
            for operation, message in messages.items():
                place: dict[str, Value] = {"clusterId": cluster, "jobId": proc, "reason": "x"}
                reply = door.call(operation, transaction=transaction, **place, **OPERATIONS[operation])
                assert (reply.code, reply.message) == ("FAIL", message), (operation, cluster, proc)


def test_staged_jobs_of_others(door: Door) -> None:
    """3.10 to 3.13: a job that is not committed is unknown outside of its transaction."""
    staged = door.staged()
    for job in (staged.as_job, inside(door, staged.as_job)):
        assert (hold(job), release(job), remove(job)) == ("FAIL", "FAIL", "FAIL")


# ---------------------------------------------------------------- 3.12 holdJob


def test_hold(door: Door, idle: Job) -> None:
    """3.12: as designed."""
    door.advance(5)
    began = door.time()
    assert hold(idle) == "SUCCESS"
    ad = idle.ad
    assert ad.number("JobStatus") == HELD
    assert ad.item("HoldReason") == string("HoldReason", "because")
    assert (ad.number("HoldReasonCode"), ad.number("HoldReasonSubCode")) == (1, 0)
    assert began <= ad.number("EnteredCurrentStatus") <= door.time()
    assert ad.number("LastSuspensionTime") == 0


@pytest.mark.parametrize(("system", "holds"), [(True, 1), (False, 0)])
def test_system_hold(idle: Job, system: bool, holds: int) -> None:
    """3.12: only a system hold counts as one; the flags are not shifted."""
    code = idle.code("holdJob", reason="x", email_user=not system, email_admin=not system, system_hold=system)
    assert code == "SUCCESS"
    assert idle.ad.number("NumSystemHolds") == holds


@pytest.mark.parametrize("reason", [None, NIL])
def test_hold_without_reason(idle: Job, reason: str | None) -> None:
    """3.12: NULL leaves the attribute alone."""
    assert hold(idle, reason) == "SUCCESS"
    assert not idle.ad.has("HoldReason")


@pytest.mark.parametrize("reason", ['say "no"', '"quoted"', "C:\\dir\\", "\u20ac <&>", "two\nlines"])
def test_reasons_are_kept_as_they_are(idle: Job, reason: str) -> None:
    """3.12: where the original lost reasons with quotes in them."""
    assert hold(idle, reason) == "SUCCESS"
    assert idle.ad.value("HoldReason") == reason
    assert release(idle, reason) == "SUCCESS"
    assert idle.ad.value("ReleaseReason") == reason
    assert remove(idle, reason) == "SUCCESS"
    assert idle.ad.value("RemoveReason") == reason


def test_hold_a_held_job(idle: Job) -> None:
    """3.12: FAIL."""
    assert (hold(idle), hold(idle, "again")) == ("SUCCESS", "FAIL")
    assert idle.ad.value("HoldReason") == "because"


@pytest.mark.parametrize("prepare", [running, completed])
def test_hold_in_other_states(door: Door, prepare: object) -> None:
    """3.12: Running, Idle, Completed and Removed jobs can be held."""
    assert callable(prepare)
    job = prepare(door)
    assert hold(job) == "SUCCESS"
    assert job.status == HELD
    door.advance(6000)
    assert job.status == HELD
    assert release(job) == "SUCCESS"
    assert job.status == IDLE


def test_hold_a_removed_job(idle: Job) -> None:
    """3.12, 3.13: it goes back to Removed when it is released."""
    assert remove(idle) == "SUCCESS"
    assert hold(idle) == "SUCCESS"
    assert idle.status == HELD
    assert idle.ad.number("JobStatusOnRelease") == REMOVED
    assert release(idle) == "SUCCESS"
    assert idle.status == REMOVED


# ---------------------------------------------------------------- 3.13 releaseJob


def test_release(door: Door, idle: Job) -> None:
    """3.13: what was the hold's is moved."""
    assert hold(idle) == "SUCCESS"
    door.advance(5)
    began = door.time()
    assert release(idle) == "SUCCESS"
    ad = idle.ad
    assert ad.number("JobStatus") == IDLE
    assert ad.value("ReleaseReason") == "go on"
    assert ad.value("LastHoldReason") == "because"
    assert (ad.number("LastHoldReasonCode"), ad.number("LastHoldReasonSubCode")) == (1, 0)
    assert not {"HoldReason", "HoldReasonCode", "HoldReasonSubCode"} & {*ad.names}
    assert began <= ad.number("EnteredCurrentStatus") <= door.time()


def test_hold_again_moves_the_release_reason(idle: Job) -> None:
    """3.12: ReleaseReason becomes LastReleaseReason."""
    assert (hold(idle), release(idle), hold(idle, "again")) == ("SUCCESS",) * 3
    ad = idle.ad
    assert ad.value("LastReleaseReason") == "go on"
    assert not ad.has("ReleaseReason")
    assert ad.value("HoldReason") == "again"


def test_release_what_is_not_held(door: Door, idle: Job) -> None:
    """3.13: FAIL."""
    assert release(idle) == "FAIL"
    assert remove(idle) == "SUCCESS"
    assert release(idle) == "FAIL"
    assert release(completed(door)) == "FAIL"


def test_a_released_job_runs(door: Door) -> None:
    """3.13: it is eligible again."""
    job = door.committed(expression("Requirements", "TRUE"), integer("JobStatus", HELD))
    door.advance(100)
    assert job.status == HELD
    assert release(job) == "SUCCESS"
    door.run_until(lambda: job.status == COMPLETED)


# ---------------------------------------------------------------- 3.10 removeJob


def test_remove(door: Door, idle: Job) -> None:
    """3.10: with the template it stays as Removed."""
    door.advance(5)
    began = door.time()
    assert remove(idle) == "SUCCESS"
    ad = idle.ad
    assert ad.number("JobStatus") == REMOVED
    assert ad.value("RemoveReason") == "enough"
    assert began <= ad.number("EnteredCurrentStatus") <= door.time()
    door.advance(2000)
    assert idle.status == REMOVED


@pytest.mark.parametrize("reason", [None, NIL, ""])
def test_remove_without_reason(idle: Job, reason: str | None) -> None:
    """3.10: RemoveReason only if not empty."""
    assert remove(idle, reason) == "SUCCESS"
    assert not idle.ad.has("RemoveReason")


def test_remove_twice(idle: Job) -> None:
    """3.10: succeeds again and overwrites the reason."""
    assert (remove(idle), remove(idle, "again")) == ("SUCCESS", "SUCCESS")
    assert idle.ad.value("RemoveReason") == "again"


def test_remove_a_held_job(idle: Job) -> None:
    """3.10: HoldReason moves to LastHoldReason."""
    assert (hold(idle), remove(idle)) == ("SUCCESS", "SUCCESS")
    assert idle.ad.value("LastHoldReason") == "because"
    assert not idle.ad.has("HoldReason")


@pytest.mark.parametrize("prepare", [running, completed])
def test_remove_in_other_states(door: Door, prepare: object) -> None:
    """3.10."""
    assert callable(prepare)
    job = prepare(door)
    assert remove(job) == "SUCCESS"
    assert job.status == REMOVED


def test_remove_what_nothing_keeps(door: Door) -> None:
    """3.10: it leaves the queue if LeaveJobInQueue is not true."""
    job = door.committed(Item("LeaveJobInQueue", "EXPRESSION-ATTR", "FALSE"))
    assert remove(job) == "SUCCESS"
    door.run_until(lambda: not job.in_queue)
    assert remove(job) == "FAIL"


def test_forced_removal(idle: Job) -> None:
    """3.10, better to fix: the job leaves whatever LeaveJobInQueue says, a Removed one too."""
    assert remove(idle) == "SUCCESS"
    assert idle.in_queue
    assert remove(idle, force=True) == "SUCCESS"
    assert not idle.in_queue


def test_the_flag_as_language_bindings_spell_it(idle: Job) -> None:
    """2.3: `forceRemoval` is unknown, so the flag is false."""
    assert idle.code("removeJob", reason="x", forceRemoval=True) == "SUCCESS"
    assert idle.in_queue


# ---------------------------------------------------------------- 3.11 removeCluster


@pytest.mark.parametrize("in_transaction", [False, True])
def test_remove_no_cluster(door: Door, in_transaction: bool) -> None:
    """3.11: unauthenticated, zero matches is SUCCESS."""
    txn = door.begin() if in_transaction else None
    assert door.call("removeCluster", transaction=txn, clusterId=99, reason="x").code == "SUCCESS"


def cluster_of(door: Door, jobs: int) -> list[Job]:
    first = door.staged()
    procs = [0] + [
        door.ok("newJob", transaction=first.txn, clusterId=first.cluster).number for _ in range(jobs - 1)
    ]
    for proc in procs:
        staged = Staged(door, first.txn, first.cluster, proc)
        staged.submit_template(expression("Requirements", "FALSE"))
    first.commit()
    return [Job(door, first.cluster, proc) for proc in procs]


def test_remove_a_cluster(door: Door) -> None:
    """3.11: every committed job, and no other cluster's."""
    jobs, other = cluster_of(door, 3), door.committed()
    assert remove(jobs[0], "before") == "SUCCESS"
    assert door.code("removeCluster", clusterId=jobs[0].cluster, reason="all") == "SUCCESS"
    assert [job.status for job in jobs] == [REMOVED] * 3
    assert [job.ad.value("RemoveReason") for job in jobs] == ["all"] * 3
    assert other.status == IDLE


def test_remove_a_large_cluster(door: Door) -> None:
    """3.11: as many as there are."""
    jobs = cluster_of(door, 60)
    assert door.code("removeCluster", clusterId=jobs[0].cluster, reason="all") == "SUCCESS"
    assert {ad.number("JobStatus") for ad in door.ok("getJobAds").ads} == {REMOVED}


def test_remove_a_cluster_in_a_transaction(door: Door) -> None:
    """3.11: at the commit."""
    jobs = cluster_of(door, 2)
    txn = door.begin()
    door.ok("removeCluster", transaction=txn, clusterId=jobs[0].cluster, reason="x")
    assert [job.status for job in jobs] == [IDLE] * 2
    door.ok("commitTransaction", transaction=txn)
    assert [job.status for job in jobs] == [REMOVED] * 2


def test_remove_the_transaction_s_own_cluster(door: Door) -> None:
    """3.11: its jobs take no more files and attributes."""
    staged = door.staged()
    staged.submit_template(expression("Requirements", "TRUE"))
    door.ok("removeCluster", transaction=staged.txn, clusterId=staged.cluster, reason="x")
    assert staged.submit() == "UNKNOWNJOB"
    assert staged.declare("f") == "UNKNOWNJOB"
    assert staged.commit().status == REMOVED


# ---------------------------------------------------------------- in transactions


def test_actions_take_effect_on_commit(door: Door, idle: Job) -> None:
    """3.10, 3.12, 3.13: and are forgotten on abort."""
    held = door.committed()
    assert hold(held) == "SUCCESS"
    removed = door.committed()
    for end in ("abortTransaction", "commitTransaction"):
        txn = door.begin()
        assert hold(Staged(door, txn, *_ids(idle))) == "SUCCESS"
        assert release(Staged(door, txn, *_ids(held))) == "SUCCESS"
        assert remove(Staged(door, txn, *_ids(removed))) == "SUCCESS"
        assert (idle.status, held.status, removed.status) == (IDLE, HELD, IDLE)
        door.ok(end, transaction=txn)
    assert (idle.status, held.status, removed.status) == (HELD, IDLE, REMOVED)


def _ids(job: Job) -> tuple[int, int]:
    return job.cluster, job.proc


def test_actions_in_a_transaction_follow_each_other(door: Door, idle: Job) -> None:
    """3.12, 3.13: each is checked against what those before it will have done."""
    work = inside(door, idle)
    assert release(work) == "FAIL"
    assert hold(work) == "SUCCESS"
    assert hold(work) == "FAIL"
    assert release(work, "done") == "SUCCESS"
    work.commit()
    assert idle.status == IDLE
    assert idle.ad.value("ReleaseReason") == "done"


def test_staged_jobs(door: Door) -> None:
    """3.10: a job created in the same transaction is committed in that state."""
    held, removed = door.staged(), door.staged()
    for staged in (held, removed):
        staged.submit_template(expression("Requirements", "TRUE"))
    assert (hold(held), remove(removed)) == ("SUCCESS", "SUCCESS")
    held.commit()
    removed.commit()
    door.advance(100)
    assert (held.as_job.status, removed.as_job.status) == (HELD, REMOVED)
    assert held.as_job.ad.value("HoldReason") == "because"
    assert removed.as_job.ad.value("RemoveReason") == "enough"


def test_a_removed_staged_job_is_gone_for_the_rest_of_the_transaction(door: Door) -> None:
    """3.6 to 3.8: removed from it."""
    staged = door.staged()
    staged.upload("f", b"x")
    assert remove(staged) == "SUCCESS"
    assert staged.submit() == staged.declare("g") == staged.send("f", 0, b"y") == "UNKNOWNJOB"


def test_a_staged_job_that_says_it_is_held(door: Door) -> None:
    """3.13: the state that counts is the ad's."""
    staged = door.staged()
    staged.submit_template(integer("JobStatus", HELD), expression("Requirements", "FALSE"))
    assert hold(staged) == "FAIL"
    assert release(staged) == "SUCCESS"
    assert staged.commit().status == IDLE


def test_what_left_the_queue_meanwhile_does_not_stop_a_commit(door: Door, idle: Job) -> None:
    """3.2 commitTransaction: always SUCCESS."""
    other = door.committed()
    txn = door.begin()
    assert hold(Staged(door, txn, *_ids(idle))) == "SUCCESS"
    assert hold(Staged(door, txn, *_ids(other))) == "SUCCESS"
    assert remove(idle, force=True) == "SUCCESS"
    door.ok("commitTransaction", transaction=txn)
    assert other.status == HELD
