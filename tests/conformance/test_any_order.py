"""Sections 3.1 to 3.17 in any order: what many clients do at once, beside a model of what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import Txn, Value, expression, integer, string

IDLE, REMOVED, HELD = 1, 3, 5
LEASE = 100
EXAMPLES = 20

JobKey = tuple[int, int]


@dataclass(frozen=True)
class State:
    """Of a job: JobStatus, and what it goes back to when it is released."""

    status: int = IDLE
    after_release: int = IDLE

    def after(self, action: str, removed_can_be_held: bool) -> State | None:
        """3.10, 3.12, 3.13: None when the state forbids it."""
        if action == "holdJob" and self.status == REMOVED and not removed_can_be_held:
            return None
        if action == "removeJob":
            return State(REMOVED)
        if action == "holdJob":
            return (
                None if self.status == HELD else State(HELD, self.status if self.status == REMOVED else IDLE)
            )
        return State(self.after_release) if self.status == HELD else None


@dataclass
class ModelJob:
    note: int | None = None
    state: State = field(default_factory=State)
    files: dict[str, bytes] = field(default_factory=dict)
    removed: bool = False


@dataclass
class ModelTxn:
    txn: Txn
    expires: int
    active: int = 0
    jobs: dict[JobKey, ModelJob] = field(default_factory=dict)
    actions: list[tuple[str, JobKey]] = field(default_factory=list)


FLAGS: dict[str, dict[str, Value]] = {
    "holdJob": {"email_user": False, "email_admin": False, "system_hold": False},
    "releaseJob": {"email_user": False, "email_admin": False},
    "removeJob": {"force_removal": False},
}
FIT = [
    string("Owner", "alice"),
    string("Cmd", "/bin/true"),
    integer("JobUniverse", 5),
    expression("Requirements", "FALSE"),
    expression("LeaveJobInQueue", "TRUE"),
]
NAMES = st.sampled_from(["one", "two"])


class Conversations(RuleBasedStateMachine):
    """Up to three transactions at once, calls in and outside of them, waiting and restarts."""

    def __init__(self, open_door: OpenDoor) -> None:
        super().__init__()
        self.door = open_door()
        self.committed: dict[JobKey, ModelJob] = {}
        self.open: list[ModelTxn] = []
        self.ended: list[Txn] = []
        self.last_cluster = 0
        self.now = 0
        """Seconds that leases have had."""

    # ------------------------------------------------------------ parts of the model

    def pick(self, data: st.DataObject) -> ModelTxn:
        """One of the open transactions, whose lease the coming call renews."""
        chosen: ModelTxn = data.draw(st.sampled_from(self.open))
        chosen.expires = self.now + LEASE
        return chosen

    def pick_job(self, data: st.DataObject, model: ModelTxn | None) -> JobKey:
        """A job that is there for somebody, or none."""
        keys = [*self.committed, *(key for txn in self.open for key in txn.jobs), (9999, 0)]
        chosen: JobKey = data.draw(st.sampled_from(keys))
        return chosen

    def expected(self, model: ModelTxn, key: JobKey) -> State | None:
        """What the job's state will be when the transaction has committed; None when it knows no such job."""
        job = model.jobs.get(key) or self.committed.get(key)
        if job is None:
            return None
        state = job.state
        for action, target in model.actions:
            if target == key:
                state = self.after(state, action) or state
        return state

    def after(self, state: State, action: str) -> State | None:
        return state.after(action, "held when removed" in self.door.capabilities)

    def forget(self, model: ModelTxn) -> None:
        self.open.remove(model)
        self.ended.append(model.txn)

    # ------------------------------------------------------------ transactions

    @precondition(lambda self: len(self.open) < 3)
    @rule(jobs=st.integers(0, 2))
    def begin(self, jobs: int) -> None:
        txn = self.door.begin(LEASE)
        assert txn.id not in {model.txn.id for model in self.open}
        model = ModelTxn(txn, self.now + LEASE)
        self.open.append(model)
        if jobs:
            self.make_cluster(model)
        for _ in range(jobs):
            self.make_job(model, model.active)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        model = self.pick(data)
        self.door.ok("commitTransaction", transaction=model.txn)
        self.committed |= model.jobs
        for action, key in model.actions:
            job = self.committed.get(key)
            if job is not None:
                job.state = self.after(job.state, action) or job.state
        self.forget(model)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        model = self.pick(data)
        self.door.ok("abortTransaction", transaction=model.txn)
        self.forget(model)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def use_an_ended_one(self, data: st.DataObject) -> None:
        txn = data.draw(st.sampled_from(self.ended))
        for operation in ("newCluster", "commitTransaction", "getJobAds"):
            assert self.door.code(operation, transaction=txn) == "INVALIDTRANSACTION"

    @rule(seconds=st.integers(30, 70))
    def wait(self, seconds: int) -> None:
        if "stepped time" not in self.door.capabilities:
            seconds = LEASE // 2 + 5  # the steps take some time as well, but not nearly so much
        self.door.advance(seconds)
        self.now += seconds
        for model in [model for model in self.open if model.expires <= self.now]:
            self.forget(model)

    @rule()
    def restart(self) -> None:
        self.door.restart()
        for model in self.open:
            model.expires = self.now + LEASE

    # ------------------------------------------------------------ building

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def new_cluster(self, data: st.DataObject) -> None:
        self.make_cluster(self.pick(data))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), any_cluster=st.booleans())
    def new_job(self, data: st.DataObject, any_cluster: bool) -> None:
        model = self.pick(data)
        self.make_job(model, data.draw(self.any_cluster()) if any_cluster else model.active)

    def any_cluster(self) -> st.SearchStrategy[int]:
        return st.sampled_from([0, *range(max(1, self.last_cluster - 5), self.last_cluster + 1)])

    def make_cluster(self, model: ModelTxn) -> None:
        cluster = self.door.ok("newCluster", transaction=model.txn).number
        assert cluster > self.last_cluster
        model.active = self.last_cluster = cluster

    def make_job(self, model: ModelTxn, cluster: int) -> None:
        """With an ad that the pool has no reason to hold."""
        reply = self.door.call("newJob", transaction=model.txn, clusterId=cluster)
        if cluster == 0 or cluster != model.active:
            assert (reply.code, reply.number) == ("FAIL", 0)
            return
        assert (reply.code, reply.number) == ("SUCCESS", sum(key[0] == cluster for key in model.jobs))
        model.jobs[cluster, reply.number] = ModelJob()
        place: dict[str, Value] = {"clusterId": cluster, "jobId": reply.number}
        self.door.ok("submit", transaction=model.txn, **place, jobAd=FIT)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), note=st.integers(0, 9))
    def submit(self, data: st.DataObject, note: int) -> None:
        model = self.pick(data)
        key = self.pick_job(data, model)
        place: dict[str, Value] = {"clusterId": key[0], "jobId": key[1]}
        code = self.door.code("submit", transaction=model.txn, **place, jobAd=[integer("Note", note)])
        job = model.jobs.get(key)
        if job is None or job.removed:
            assert code == "UNKNOWNJOB"
        elif key[0] != model.active:
            assert code == "FAIL"
        else:
            assert code == "SUCCESS"
            job.note = note

    @precondition(lambda self: self.open)
    @rule(data=st.data(), name=NAMES)
    def declare(self, data: st.DataObject, name: str) -> None:
        model = self.pick(data)
        key = self.pick_job(data, model)
        place: dict[str, Value] = {"clusterId": key[0], "jobId": key[1], "name": name}
        code = self.door.code("declareFile", transaction=model.txn, **place, size=5, hashType=0)
        job = model.jobs.get(key)
        if job is None or job.removed:
            assert code == "UNKNOWNJOB"
        else:
            assert code == ("ALREADYEXISTS" if name in job.files else "SUCCESS")
            job.files.setdefault(name, b"")

    @precondition(lambda self: self.open)
    @rule(data=st.data(), name=NAMES, offset=st.integers(0, 20), chunk=st.binary(max_size=10))
    def send(self, data: st.DataObject, name: str, offset: int, chunk: bytes) -> None:
        model = self.pick(data)
        key = self.pick_job(data, model)
        place: dict[str, Value] = {"clusterId": key[0], "jobId": key[1], "name": name}
        code = self.door.code("sendFile", transaction=model.txn, **place, offset=offset, data=chunk)
        job = model.jobs.get(key)
        if job is None or job.removed:
            assert code == "UNKNOWNJOB"
        elif name not in job.files:
            assert code == "FAIL"
        else:
            assert code == "SUCCESS"
            if chunk:
                old = job.files[name].ljust(offset, b"\0")
                job.files[name] = old[:offset] + chunk + old[offset + len(chunk) :]

    # ------------------------------------------------------------ acting

    @rule(data=st.data(), action=st.sampled_from(sorted(FLAGS)))
    def act_outside(self, data: st.DataObject, action: str) -> None:
        key = self.pick_job(data, None)
        code = self.door.code(action, clusterId=key[0], jobId=key[1], reason="x", **FLAGS[action])
        job = self.committed.get(key)
        after = self.after(job.state, action) if job else None
        assert code == ("SUCCESS" if after else "FAIL")
        if job and after:
            job.state = after

    @precondition(lambda self: self.open)
    @rule(data=st.data(), action=st.sampled_from(sorted(FLAGS)))
    def act_inside(self, data: st.DataObject, action: str) -> None:
        model = self.pick(data)
        key = self.pick_job(data, model)
        place: dict[str, Value] = {"clusterId": key[0], "jobId": key[1], "reason": "x"}
        code = self.door.code(action, transaction=model.txn, **place, **FLAGS[action])
        state = self.expected(model, key)
        after = self.after(state, action) if state else None
        assert code == ("SUCCESS" if after else "FAIL")
        if after:
            model.actions.append((action, key))
            if action == "removeJob" and key in model.jobs:
                model.jobs[key].removed = True

    # ------------------------------------------------------------ what must be so at any time

    @invariant()
    def the_queue_is_what_was_committed(self) -> None:
        found = {
            (ad.number("ClusterId"), ad.number("ProcId")): (
                ad.number("Note") if ad.has("Note") else None,
                ad.number("JobStatus"),
            )
            for ad in self.door.ok("getJobAds").ads
        }
        wanted = {key: (job.note, job.state.status) for key, job in self.committed.items()}
        assert found == wanted

    @invariant()
    def files_have_every_byte(self) -> None:
        jobs = dict(self.committed)
        for model in self.open:
            jobs |= model.jobs
        for (cluster, proc), job in jobs.items():
            listing = self.door.ok("listSpool", clusterId=cluster, jobId=proc).entries
            assert {entry.name: entry.size for entry in listing} == {n: len(d) for n, d in job.files.items()}
            for name, content in job.files.items():
                place: dict[str, Value] = {"clusterId": cluster, "jobId": proc, "name": name}
                assert self.door.ok("getFile", **place, offset=0, length=100).data == content


def explore(
    machine: type[Conversations], open_door: OpenDoor, examples: int, steps: int, **more: object
) -> None:
    """Run a machine at doors to new servers; fewer, and without looking for the shortest calls that show a
    failure, where every step takes a while.
    """

    class AtThisDoor(machine):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            super().__init__(open_door)

    if "stepped time" not in open_door().capabilities:
        examples, steps = 3, 20
        more["phases"] = [Phase.explicit, Phase.generate]
    chosen = settings(max_examples=examples, stateful_step_count=steps, **more)  # type: ignore[arg-type]
    run_state_machine_as_test(AtThisDoor, settings=chosen)


def test_any_order(open_door: OpenDoor) -> None:
    """3.1 to 3.17."""
    explore(Conversations, open_door, EXAMPLES, 30)
