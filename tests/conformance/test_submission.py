"""Sections 3.3 to 3.6, 3.9 and 3.21, and Appendix A: building a submission."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import OpenDoor
from tests.conformance.door import NIL, Door, Item, Value, WireAd, Xml, expression, integer, string
from tests.pool.test_template import APPENDIX_A, NOT_SET

TYPES = {
    "s": "STRING-ATTR",
    "n": "INTEGER-ATTR",
    "f": "FLOAT-ATTR",
    "b": "BOOLEAN-ATTR",
    "x": "EXPRESSION-ATTR",
}


# ---------------------------------------------------------------- 3.3 newCluster and 3.4 newJob


def test_new_cluster(door: Door) -> None:
    """3.3: positive, growing, the latest is the active one."""
    txn = door.begin()
    reply = door.ok("newCluster", transaction=txn)
    assert reply.message == "Success"
    first, second = reply.number, door.ok("newCluster", transaction=txn).number
    assert 0 < first < second
    assert door.code("newJob", transaction=txn, clusterId=first) == "FAIL"
    assert door.ok("newJob", transaction=txn, clusterId=second).number == 0


def test_new_jobs_are_counted_from_zero(door: Door) -> None:
    """3.4."""
    txn = door.begin()
    cluster = door.ok("newCluster", transaction=txn).number
    assert [door.ok("newJob", transaction=txn, clusterId=cluster).number for _ in range(3)] == [0, 1, 2]
    another = door.ok("newCluster", transaction=txn).number
    assert door.ok("newJob", transaction=txn, clusterId=another).number == 0


def test_new_job_in_no_active_cluster(door: Door) -> None:
    """3.4: FAIL, not UNKNOWNCLUSTER."""
    txn = door.begin()
    door.ok("newCluster", transaction=txn)
    for cluster in (0, -1, 999999):
        reply = door.call("newJob", transaction=txn, clusterId=cluster)
        assert (reply.code, reply.value) == ("FAIL", 0)


def test_new_job_before_any_cluster(door: Door) -> None:
    """3.4."""
    assert door.code("newJob", transaction=door.begin(), clusterId=0) == "FAIL"


def test_new_job_in_a_cluster_committed_before(door: Door) -> None:
    """3.4: the active cluster is the transaction's own."""
    job = door.committed()
    assert door.code("newJob", transaction=door.begin(), clusterId=job.cluster) == "FAIL"


def test_global_job_id(door: Door) -> None:
    """3.4: <schedd name>#<cluster>.<proc>#<time>."""
    before = door.time()
    job = door.committed()
    schedd, ids, moment = job.ad.value("GlobalJobId").split("#")
    assert schedd
    assert ids == f"{job.cluster}.{job.proc}"
    assert before <= int(moment) <= door.time()


def test_max_jobs_submitted(open_door: OpenDoor) -> None:
    """3.3, 3.4: FAIL, never SUCCESS with a negative number."""
    door = open_door(max_jobs_submitted=2)
    door.committed()
    staged = door.staged()
    for reply in (
        door.call("newJob", transaction=staged.txn, clusterId=staged.cluster),
        door.call("newCluster", transaction=staged.txn),
    ):
        assert (reply.code, reply.value) == ("FAIL", 0)
        assert reply.message
        assert "MAX_JOBS_SUBMITTED" in reply.message


def test_max_jobs_per_submission(open_door: OpenDoor) -> None:
    """3.4: as above."""
    door = open_door(max_jobs_per_submission=1)
    staged = door.staged()
    reply = door.call("newJob", transaction=staged.txn, clusterId=staged.cluster)
    assert (reply.code, reply.value) == ("FAIL", 0)
    staged.submit_template(expression("Requirements", "FALSE"))
    assert staged.commit().status == 1


def test_unauthenticated_where_users_are_not_trusted(open_door: OpenDoor) -> None:
    """6.2: begin, queries and templates, but nothing that writes a job."""
    door = open_door(queue_all_users_trusted=False)
    txn = door.begin()
    assert door.code("newCluster", transaction=txn) == "FAIL"
    assert door.code("getJobAds") == "SUCCESS"
    assert door.code("createJobTemplate", clusterId=1, jobId=0, type="VANILLA") == "SUCCESS"
    assert door.code("listSpool", clusterId=1, jobId=0) == "SUCCESS"
    for transaction in (None, txn):
        assert door.code("removeCluster", transaction=transaction, clusterId=1) == "FAIL"


# ---------------------------------------------------------------- 3.5 createJobTemplate


def template(door: Door, **changes: Value) -> WireAd:
    return door.ok("createJobTemplate", **template_parameters(**changes)).ad


def template_parameters(**changes: Value) -> dict[str, Value]:
    given: dict[str, Value] = {
        "clusterId": 7,
        "jobId": 3,
        "owner": "alice",
        "type": "VANILLA",
        "cmd": "/bin/cat",
        "args": "-n   'a b'",
        "requirements": None,
    }
    return given | changes


def test_appendix_a(door: Door) -> None:
    """Appendix A, all rows."""
    before = door.time()
    ad = template(door)
    after = door.time()
    for name, (kind, value) in APPENDIX_A.items():
        if name in ("QDate", "EnteredCurrentStatus"):
            assert ad.item(name).type == TYPES[kind]
            assert before <= ad.number(name) <= after
        elif name not in ("CondorVersion", "CondorPlatform"):
            assert ad.item(name) == Item(name, TYPES[kind], value)


def test_appendix_a_version(door: Door) -> None:
    """Appendix A: the server's own version and platform."""
    ad = template(door)
    assert ad.item("CondorVersion") == string("CondorVersion", door.call("getVersionString").text)
    assert ad.item("CondorPlatform") == string("CondorPlatform", door.call("getPlatformString").text)


def test_appendix_a_is_all(door: Door) -> None:
    """Appendix A: the three leading items, then these attributes and no others, each once."""
    before = door.time()
    ad = template(door)
    assert ad[:2] == [string("MyType", "Job"), string("TargetType", "Machine")]
    assert (ad[2].name, ad[2].type) == ("ServerTime", "INTEGER-ATTR")
    assert before <= ad.number("ServerTime") <= door.time()
    names = ad.names[3:]
    assert sorted(str(name) for name in names) == sorted(APPENDIX_A)
    assert not {*NOT_SET} & {*names}


def test_null_owner_and_cmd(door: Door) -> None:
    """3.5: UNDEFINED, which is not sent."""
    for null in (None, NIL):
        assert not template(door, owner=null).has("Owner")
        assert not template(door, cmd=null).has("Cmd")


UNIVERSES: list[tuple[Value, int]] = [
    ("STANDARD", 1),
    ("VANILLA", 5),
    ("SCHEDULER", 7),
    ("MPI", 8),
    ("GRID", 9),
    ("JAVA", 10),
    ("PARALLEL", 11),
    ("LOCAL", 12),
    ("VM", 13),
    ("5", 5),
    (5, 5),
    ("0", 0),
    ("99", 99),
    (None, 0),
    ("LOCALUNIVESE", 12),
    ("LOCALUNIVERSE", 12),
    ("GLOBUS", 9),
    ("PVMUNIVERSE", 4),
]


def test_universes(door: Door) -> None:
    """3.5: only JobUniverse differs, and is not checked; 1.8: names of other versions."""
    vanilla = template(door)
    for sent, number in UNIVERSES:
        ad = template(door, type=sent)
        assert ad.number("JobUniverse") == number, sent
        assert ad.names == vanilla.names


ARGUMENTS: list[tuple[Value, str]] = [
    (None, ""),
    (NIL, ""),
    ("", ""),
    ("   ", ""),
    ("30", "30"),
    ("a   b", "a b"),
    ("'a b' c", "'a b' c"),
    ("'it''s'", "'it''s'"),
    ("a'b'c", "abc"),
    ('say "hi"', 'say "hi"'),
]


def test_arguments(door: Door) -> None:
    """3.5: V2 raw syntax, re-normalised, as Arguments and never as Args."""
    for args, stored in ARGUMENTS:
        ad = template(door, args=args)
        assert ad.item("Arguments") == string("Arguments", stored)
        assert not ad.has("Args")


def test_unbalanced_arguments(door: Door) -> None:
    """3.5: FAIL, with the ad still returned."""
    reply = door.call("createJobTemplate", **template_parameters(args="it's"))
    assert reply.code == "FAIL"
    assert reply.ad.value("Cmd") == "/bin/cat"


REQUIREMENTS: list[tuple[Value, Item]] = [
    (None, Item("Requirements", "BOOLEAN-ATTR", "TRUE")),
    (NIL, Item("Requirements", "BOOLEAN-ATTR", "TRUE")),
    ("", Item("Requirements", "BOOLEAN-ATTR", "TRUE")),
    ("Memory >", Item("Requirements", "BOOLEAN-ATTR", "TRUE")),
    ("Memory>512", expression("Requirements", "Memory > 512")),
    ('OpSys=="LINUX"&&Arch=="X86_64"', expression("Requirements", 'OpSys == "LINUX" && Arch == "X86_64"')),
]


def test_requirements(door: Door) -> None:
    """3.5: empty or unparsable text leaves TRUE in place silently."""
    for requirements, item in REQUIREMENTS:
        assert template(door, requirements=requirements).item("Requirements") == item


def test_leave_in_queue(open_door: OpenDoor) -> None:
    """3.5: SOAP_LEAVE_IN_QUEUE is a further conjunct."""
    plain = template(open_door()).item("LeaveJobInQueue")
    assert plain == expression("LeaveJobInQueue", "FilesRetrieved =?= false")
    text = template(open_door(leave_in_queue="JobStatus==4")).value("LeaveJobInQueue")
    assert text.startswith("FilesRetrieved =?= false && (")
    assert "JobStatus == 4" in text


def test_a_template_has_no_side_effect(door: Door) -> None:
    """3.5: no transaction, no existence check, nothing created."""
    template(door, clusterId=-5, jobId=-1)
    assert door.call("listSpool", clusterId=7, jobId=3).entries == []
    assert door.ok("getJobAds").ads == []


# ---------------------------------------------------------------- 3.6 submit: the table


def test_unknown_jobs(door: Door) -> None:
    """3.6: never created, of another transaction, committed earlier, removed from it."""
    staged, other = door.staged(), door.staged()
    committed = door.committed()
    for cluster, proc in ((staged.cluster, 1), (other.cluster, 0), (committed.cluster, 0), (99, 0), (0, 0)):
        reply = door.call("submit", transaction=staged.txn, clusterId=cluster, jobId=proc, jobAd=[])
        assert (reply.code, reply.value) == ("UNKNOWNJOB", None)
    assert staged.code("removeJob", reason="", force_removal=False) == "SUCCESS"
    assert staged.submit() == "UNKNOWNJOB"


def test_no_ad(door: Door) -> None:
    """3.6: FAIL, where the original crashed."""
    staged = door.staged()
    for ad in (None, NIL):
        assert staged.code("submit", jobAd=ad) == "FAIL"
    assert staged.submit() == "SUCCESS"


REFUSED = [
    integer("no name", 1),
    integer("1st", 1),
    integer("a-b", 1),
    string("Env", "A=1\nB=2"),
    string("Env", "A=1\rB=2"),
    integer("ClusterId", 999),
    string("ClusterId", "1"),
    integer("ProcId", 1),
    string("ProcId", "0"),
    expression("Owner", "Somebody"),
    expression("Owner", "UNDEFINED"),
    string("Owner", ""),
]


def test_refused_attributes(door: Door) -> None:
    """3.6: FAIL; what was processed before stays set in the transaction, what comes later does not."""
    txn = door.begin()
    jobs = []
    for item in REFUSED:
        staged = door.staged(txn)
        staged.submit_template(expression("Requirements", "FALSE"))
        reply = staged.call("submit", jobAd=[integer("Before", 1), item, integer("After", 1)])
        assert (reply.code, reply.value) == ("FAIL", None), item
        assert reply.message
        assert str(item.name) in reply.message
        jobs.append(staged.as_job)
    door.ok("commitTransaction", transaction=txn)
    for item, job in zip(REFUSED, jobs, strict=True):
        ad = job.ad
        assert ad.has("Before"), item
        assert not ad.has("After"), item


def test_success_has_no_requirements(door: Door) -> None:
    """3.6, 1.4: requirements is always omitted."""
    reply = door.staged().call("submit", jobAd=[])
    assert (reply.code, reply.message, reply.value) == ("SUCCESS", "Success", None)


def test_only_the_latest_cluster_is_writable(door: Door) -> None:
    """3.6: not the active cluster."""
    staged = door.staged()
    door.ok("newCluster", transaction=staged.txn)
    assert staged.submit() == "FAIL"


def test_leaving_removed_is_refused(door: Door) -> None:
    """3.6: JobStatus."""
    staged = door.staged()
    assert staged.submit(integer("JobStatus", 3)) == "SUCCESS"
    assert staged.submit(integer("JobStatus", 1)) == "FAIL"


# ---------------------------------------------------------------- 3.6 submit: processing


def submitted(door: Door, *items: Item) -> WireAd:
    """The committed ad of a job with the template's attributes and these."""
    return door.committed(*items).ad


def test_submit_may_be_repeated(door: Door) -> None:
    """3.6: later values overwrite; names compare without case and keep their first spelling."""
    staged = door.staged()
    staged.submit_template(integer("Extra", 1), integer("Requirements", 0))
    assert staged.submit(integer("EXTRA", 2), integer("extra", 3)) == "SUCCESS"
    ad = staged.commit().ad
    assert [item for item in ad if str(item.name).lower() == "extra"] == [integer("Extra", 3)]


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        (string("Iwd", "/data/alice"), True),
        (string("iwd", "/data/alice"), False),
        (expression("Iwd", '"/data/alice"'), False),
    ],
    ids=repr,
)
def test_iwd(door: Door, item: Item, kept: bool) -> None:
    """3.6 step 4: only a STRING-ATTR of exact case wins over the spool directory."""
    iwd = submitted(door, item).value("Iwd")
    assert (iwd == "/data/alice") is kept
    assert kept or "cluster" in iwd


def test_no_transfer_input(door: Door) -> None:
    """3.6 step 2: empty if nothing was declared."""
    assert submitted(door).value("TransferInput") == ""


def test_transfer_input(door: Door) -> None:
    """3.6 step 2: what was declared before, unless the client says otherwise."""
    assert submitted(door, string("TransferInput", "x,y")).value("TransferInput") == "x,y"
    staged = door.staged()
    for name in ("one", "two"):
        assert staged.declare(name) == "SUCCESS"
    staged.submit_template(expression("Requirements", "FALSE"))
    assert staged.declare("late") == "SUCCESS"
    job = staged.commit()
    assert sorted(job.ad.value("TransferInput").split(",")) == ["one", "two"]
    assert sorted(entry.name for entry in job.listing) == ["late", "one", "two"]


@pytest.mark.parametrize(
    "inner",
    [
        "<type>INTEGER-ATTR</type><value>1</value>",
        "<name/><type>INTEGER-ATTR</type><value>1</value>",
        '<name xsi:nil="true"/><type>INTEGER-ATTR</type><value>1</value>',
        "<name>MyType</name><type>STRING-ATTR</type><value>Other</value>",
        "<name>TargetType</name><type>STRING-ATTR</type><value>Other</value>",
    ],
)
def test_skipped_items(door: Door, inner: str) -> None:
    """3.6 step 3: without a name, MyType, TargetType."""
    staged = door.staged()
    staged.submit_template(expression("Requirements", "FALSE"))
    before = len(door.committed().ad)
    assert staged.code("submit", jobAd=Xml(f"<item>{inner}</item>")) == "SUCCESS"
    ad = staged.commit().ad
    assert len(ad) == before
    assert (ad.value("MyType"), ad.value("TargetType")) == ("Job", "Machine")


def test_owner_and_user(door: Door) -> None:
    """3.6: Owner also sets User."""
    assert submitted(door, string("Owner", "bob")).value("User").startswith("bob@")


def test_nice_user(door: Door) -> None:
    """3.6: NiceUser rewrites User."""
    nice = submitted(door, Item("NiceUser", "BOOLEAN-ATTR", "TRUE"))
    assert nice.value("User").startswith("nice-user.alice@")


def test_template_round_trip(door: Door) -> None:
    """3.6, 7, 9: every item of a template through submit, and back unchanged."""
    staged = door.staged()
    ad = staged.template()
    assert staged.submit(*ad) == "SUCCESS"
    door.advance(0)
    back = staged.commit().ad
    for item in ad:
        if item.name not in ("ServerTime", "EnteredCurrentStatus"):
            assert back.item(str(item.name)) == item
    assert back.names.count("ServerTime") == 1
    assert back.number("ServerTime") == door.time()


def test_one_template_for_many_jobs(door: Door) -> None:
    """7, suds against 7.8: by editing ProcId; without that the second job refuses it."""
    staged = door.staged()
    ad = staged.template()
    assert staged.submit(*ad) == "SUCCESS"
    second = door.ok("newJob", transaction=staged.txn, clusterId=staged.cluster).number
    place: dict[str, Value] = {"transaction": staged.txn, "clusterId": staged.cluster, "jobId": second}
    assert door.code("submit", **place, jobAd=ad) == "FAIL"
    edited = [integer("ProcId", second) if item.name == "ProcId" else item for item in ad]
    assert door.code("submit", **place, jobAd=edited) == "SUCCESS"
    staged.commit()
    assert len(door.ok("getJobAds").ads) == 2


@pytest.mark.parametrize("lacking", ["Owner", "Cmd", "JobUniverse", "Requirements"])
def test_no_attribute_is_required(door: Door, lacking: str) -> None:
    """3.6: the ad is accepted; 8 no. 2: unlike in the original, the job then says why it does not run."""
    staged = door.staged()
    assert staged.submit(*(item for item in staged.template() if item.name != lacking)) == "SUCCESS"
    job = staged.commit()
    door.advance(120)
    assert job.status == 5
    assert lacking in job.ad.value("HoldReason")


def test_an_empty_job_can_be_committed(door: Door) -> None:
    """3.6: also without any submit."""
    assert door.staged().commit().in_queue


# ---------------------------------------------------------------- 3.9 discoverJobRequirements


@pytest.mark.parametrize(
    ("ad", "names"),
    [
        ([], []),
        (
            [
                string("Cmd", "run"),
                string("In", "data"),
                string("x509userproxy", "p"),
                string("TransferInput", "b,a"),
            ],
            ["b", "a", "data", "p", "run"],
        ),
        ([string("Cmd", "run"), Item("TransferExecutable", "BOOLEAN-ATTR", "FALSE")], []),
        ([string("In", "/dev/null")], []),
        ([string("Cmd", "a"), string("In", "a"), string("TransferInput", "a,b")], ["a", "b"]),
    ],
    ids=["empty", "order", "no executable", "null device", "duplicates"],
)
def test_discovering_requirements(door: Door, ad: list[Item], names: list[str]) -> None:
    """3.9; 1.4: nothing found is an empty element."""
    reply = door.ok("discoverJobRequirements", jobAd=ad)
    assert reply.names == names


@pytest.mark.parametrize("ad", [None, NIL], ids=["omitted", "nil"])
def test_discovering_requirements_of_nothing(door: Door, ad: Value) -> None:
    """3.9: a NULL ad is tolerated as empty."""
    assert door.ok("discoverJobRequirements", jobAd=ad).names == []


# ---------------------------------------------------------------- 3.21 the canonical conversation


def test_canonical_conversation(door: Door) -> None:
    """3.21, from begin to closeSpool."""
    payload = bytes(range(256)) * 40
    staged = door.staged()
    ad = staged.template()
    changes = {
        "Cmd": "/bin/cat",
        "Arguments": "payload.bin",
        "Out": "job.out",
        "Err": "job.err",
        "TransferExecutable": "FALSE",
    }
    edited = [i._replace(value=changes.get(str(i.name), i.value)) for i in ad]
    edited.append(Item("TransferExecutable", "BOOLEAN-ATTR", "FALSE"))
    assert door.ok("discoverJobRequirements", jobAd=edited).names == []
    assert staged.declare("payload.bin", len(payload)) == "SUCCESS"
    for offset in range(0, len(payload), 4096):
        assert staged.send("payload.bin", offset, payload[offset : offset + 4096]) == "SUCCESS"
    assert staged.submit(*edited) == "SUCCESS"
    job = staged.commit()
    door.ok("requestReschedule")
    door.run_until(lambda: job.status == 4)
    assert job.ad.number("CompletionDate") > 0
    sizes = {entry.name: entry.size for entry in job.listing}
    assert sizes["job.out"] == len(payload)
    got = b"".join(
        job.ok("getFile", name="job.out", offset=offset, length=1000).data
        for offset in range(0, sizes["job.out"], 1000)
    )
    assert got == payload
    job.ok("closeSpool")
    door.run_until(lambda: not job.in_queue)
    assert job.listing == []
