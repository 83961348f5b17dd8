"""Every operation of both services in any order: what `test_any_order` leaves out, beside the same model."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from birdbath.access import OPERATIONS
from tests.conformance.conftest import OpenDoor
from tests.conformance.door import Value, integer, string
from tests.conformance.test_any_order import HELD, IDLE, LEASE, REMOVED, Conversations, explore

EXAMPLES = 15
LIFETIME = 900
KINDS = ("Startd", "Schedd", "Master", "Submittor", "License", "Storage", "Any")


class EveryOperation(Conversations):
    """The conversations, and what else there is to ask."""

    def __init__(self, open_door: OpenDoor) -> None:
        super().__init__(open_door)
        self.licences: dict[str, tuple[int, int]] = {}

    # ------------------------------------------------------------ transactions and jobs

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        model = self.pick(data)
        reply = self.door.ok("extendTransaction", transaction=model.txn, duration=LEASE)
        assert reply.txn == model.txn

    @rule(data=st.data())
    def look_at_a_job(self, data: st.DataObject) -> None:
        key = self.pick_job(data, None)
        reply = self.door.call("getJobAd", clusterId=key[0], jobId=key[1])
        job = self.committed.get(key)
        if job is None:
            assert reply.code == "UNKNOWNJOB"
            return
        assert reply.code == "SUCCESS"
        assert reply.ad.number("JobStatus") == job.state.status
        assert (reply.ad.number("Note") if reply.ad.has("Note") else None) == job.note

    @rule(status=st.sampled_from([IDLE, REMOVED, HELD]))
    def ask_for_jobs_in_a_state(self, status: int) -> None:
        ads = self.door.ok("getJobAds", constraint=f"JobStatus == {status}").ads
        found = {(ad.number("ClusterId"), ad.number("ProcId")) for ad in ads}
        assert found == {key for key, job in self.committed.items() if job.state.status == status}

    @rule(data=st.data())
    def remove_a_cluster(self, data: st.DataObject) -> None:
        cluster = self.pick_job(data, None)[0]
        code = self.door.code("removeCluster", clusterId=cluster, reason="x")
        jobs = [job for key, job in self.committed.items() if key[0] == cluster]
        assert code == "SUCCESS"  # 3.11: also of a cluster that nobody knows
        for job in jobs:
            job.state = self.after(job.state, "removeJob") or job.state

    @rule(data=st.data())
    def close_a_spool(self, data: st.DataObject) -> None:
        """The files stay: LeaveJobInQueue keeps these jobs."""
        key = self.pick_job(data, None)
        code = self.door.code("closeSpool", clusterId=key[0], jobId=key[1])
        assert code == ("SUCCESS" if key in self.committed else "FAIL")

    @rule(data=st.data(), name=st.sampled_from(["one", "two", "none"]), offset=st.integers(0, 30))
    def fetch_a_part(self, data: st.DataObject, name: str, offset: int) -> None:
        key = self.pick_job(data, None)
        job = self.committed.get(key)
        if job is None:
            return
        place: dict[str, Value] = {"clusterId": key[0], "jobId": key[1], "name": name}
        reply = self.door.call("getFile", **place, offset=offset, length=7)
        if name not in job.files:
            assert reply.code == "FAIL"
        elif offset <= len(job.files[name]):
            assert (reply.code, reply.data) == ("SUCCESS", job.files[name][offset : offset + 7])

    # ------------------------------------------------------------ the collector

    @rule(name=st.sampled_from(["a", "b", "c"]), value=st.integers(-5, 5))
    def insert(self, name: str, value: int) -> None:
        ad = [string("Name", name), string("MyAddress", "<127.0.0.1:9>"), integer("Value", value)]
        self.door.ok("insertAd", type="LICENSE-AD-TYPE", ad=ad)
        self.licences[name] = value, self.door.time() + LIFETIME

    @rule(least=st.integers(-6, 6))
    def query_licences(self, least: int) -> None:
        now = self.door.time()
        ads = self.door.call("queryLicenseAds", constraint=f"Value >= {least}").ads
        found = {ad.value("Name"): ad.number("Value") for ad in ads}
        for name, (value, expires) in self.licences.items():
            if expires > now:
                assert (found.get(name) == value) == (value >= least)
            elif expires < now:
                assert name not in found

    @rule(kind=st.sampled_from(KINDS), constraint=st.sampled_from([None, "", "FALSE", "1 +"]))
    def query(self, kind: str, constraint: str | None) -> None:
        ads = self.door.call(f"query{kind}Ads", constraint=constraint).ads
        assert not (ads and constraint in ("FALSE", "1 +"))

    # ------------------------------------------------------------ what changes nothing

    @rule(name=st.sampled_from(["getVersionString", "getPlatformString", "requestReschedule"]))
    def small_talk(self, name: str) -> None:
        self.door.ok(name)

    @rule(universe=st.sampled_from([1, 5, 7, 99]), requirements=st.sampled_from([None, "TRUE", "a +"]))
    def template(self, universe: int, requirements: str | None) -> None:
        place: dict[str, Value] = {"clusterId": 1, "jobId": 0, "owner": "ann", "type": universe}
        reply = self.door.call("createJobTemplate", **place, cmd="/bin/true", requirements=requirements)
        if reply.code == "SUCCESS":
            self.door.ok(
                "discoverJobRequirements", jobAd=[item for item in reply.ad if item.value is not None]
            )


ASKED_ELSEWHERE = frozenset(
    {"beginTransaction", "commitTransaction", "abortTransaction", "newCluster", "newJob", "submit"}
    | {"declareFile", "sendFile", "listSpool", "holdJob", "releaseJob", "removeJob"}
)
ASKED_HERE = frozenset(
    {"extendTransaction", "getJobAd", "getJobAds", "removeCluster", "closeSpool", "getFile", "insertAd"}
    | {"getVersionString", "getPlatformString", "requestReschedule", "createJobTemplate"}
    | {"discoverJobRequirements", *(f"query{kind}Ads" for kind in KINDS)}
)


def test_no_operation_is_left_out() -> None:
    assert set(OPERATIONS) == ASKED_ELSEWHERE | ASKED_HERE


def test_every_operation_in_any_order(open_door: OpenDoor) -> None:
    explore(EveryOperation, open_door, EXAMPLES, 40)
