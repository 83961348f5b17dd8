"""Section 7: what real clients do, where tests/clients does not do it over a socket."""

from __future__ import annotations

import pytest

from tests.conformance.door import (
    NIL,
    SOAP,
    XSI,
    Door,
    Item,
    Txn,
    Value,
    Xml,
    envelope,
    expression,
    integer,
    string,
)


def test_cloud_scheduler(door: Door) -> None:
    """suds: None is omitted, an empty Header comes first; holds without transaction or reason."""
    job = door.committed()
    body = (
        f'<SOAP-ENV:Envelope xmlns:ns0="urn:condor" xmlns:ns1="{SOAP}" xmlns:xsi="{XSI}" '
        f'xmlns:SOAP-ENV="{SOAP}">'
        "<SOAP-ENV:Header/><ns1:Body><ns0:getJobAds/></ns1:Body></SOAP-ENV:Envelope>"
    ).encode()
    assert [ad.number("ClusterId") for ad in door.raw(body).ads] == [job.cluster]
    place = f"<clusterId>{job.cluster}</clusterId><jobId>0</jobId>"
    flags = "<email-user>False</email-user><email-admin>False</email-admin>".lower()
    assert door.post("holdJob", f"{place}{flags}<system-hold>true</system-hold>").code == "SUCCESS"
    assert job.ad.number("NumSystemHolds") == 1
    assert door.post("releaseJob", f"{place}{flags}").code == "SUCCESS"
    assert job.status == 1


def test_htcweb(door: Door) -> None:
    """JAX-WS: nil children; a loop of java jobs, one-shot sends, results by begin and abort."""
    txn = door.begin(6000)
    cluster = door.ok("newCluster", transaction=txn).number
    for number in range(2):
        proc = door.ok("newJob", transaction=txn, clusterId=cluster).number
        place: dict[str, Value] = {"clusterId": cluster, "jobId": proc}
        ad = door.ok(
            "createJobTemplate",
            **place,
            owner="web",
            type="JAVA",
            cmd="java",
            args=f"Main {number}",
            requirements=NIL,
        ).ad
        file: dict[str, Value] = {"transaction": txn, **place, "name": "Main.class"}
        door.ok("declareFile", **file, size=4, hashType="NOHASH", hash=NIL)
        door.ok("sendFile", **file, offset=0, data=b"\xca\xfe\xba\xbe")
        door.ok("submit", transaction=txn, **place, jobAd=ad)
    door.ok("commitTransaction", transaction=txn)
    assert len(door.ok("getJobAds", transaction=NIL, constraint=NIL).ads) == 2
    for query in ("queryMasterAds", "queryStartdAds", "queryScheddAds"):
        assert door.call(query, constraint=NIL).ads
    fetch = door.begin(6000)
    reply = door.ok(
        "getFile", transaction=fetch, clusterId=cluster, jobId=1, name="Main.class", offset=0, length=1072831
    )
    assert reply.data == b"\xca\xfe\xba\xbe"
    door.ok("abortTransaction", transaction=fetch)


def test_soap_htcondor(door: Door) -> None:
    """node: hashType 0, type "5", the transaction in an element called `tt`, `cluster` for `clusterId`."""
    staged = door.staged()
    place: dict[str, Value] = {"clusterId": staged.cluster, "jobId": staged.proc}
    assert staged.code("declareFile", name="f", size=1, hashType=0) == "SUCCESS"
    assert door.code("createJobTemplate", **place, type="5", cmd="/bin/true", owner="x") == "SUCCESS"
    assert door.code("newCluster", tt=staged.txn) == "INVALIDTRANSACTION"
    assert door.code("newJob", transaction=staged.txn, cluster=staged.cluster) == "FAIL"
    staged.submit_template(expression("Requirements", "FALSE"))
    job = staged.commit()
    assert job.code("removeJob", forceRemoval=True, reason="x") == "SUCCESS"
    assert job.in_queue


def test_own_ad_without_a_template(door: Door) -> None:
    """njs_wrapper, CondorSubmitDAG: begin(60), own minimal ad, commit, requestReschedule."""
    staged = door.staged(door.begin(60))
    ad = [
        string("Owner", "njs"),
        string("Iwd", "/tmp"),
        integer("JobUniverse", 5),
        string("Cmd", "/bin/true"),
        integer("JobStatus", 1),
        string("Env", "A=b;C=d"),
        integer("JobNotification", 0),
        string("UserLog", "/tmp/x.log"),
        string("RemoveKillSig", "SIGUSR1"),
        string("Out", "out"),
        string("Err", "err"),
        string("ShouldTransferFiles", "NO"),
        expression("Requirements", "FALSE"),
        expression("OnExitRemove", "(ExitSignal =?= 11 || (ExitCode =!= UNDEFINED && ExitCode >=0))"),
        string("Arguments", "-x"),
        integer("ClusterId", staged.cluster),
        integer("ProcId", staged.proc),
    ]
    assert staged.submit(*ad) == "SUCCESS"
    job = staged.commit()
    door.ok("requestReschedule")
    assert (job.status, job.ad.value("Iwd"), job.ad.value("User").split("@")[0]) == (1, "/tmp", "njs")


def test_birdbath_java_helper(door: Door) -> None:
    """begin(30); template, overrides, files; queries in any case; empty-string constraints."""
    staged = door.staged(door.begin(30))
    staged.upload("in", b"x")
    staged.submit_template(string("Out", "out"), expression("Requirements", "FALSE"))
    job = staged.commit()
    assert [entry.name for entry in job.listing] == ["in"]
    (ad,) = door.ok("getJobAds", constraint='owner=="alice"').ads
    assert ad == job.ad
    assert door.call("queryStartdAds", constraint="").ads


@pytest.mark.parametrize("operation", ["removeJob", "holdJob"])
def test_acting_between_begin_and_commit(door: Door, operation: str) -> None:
    """HTCondorClient, webcondor: begin(30), act, commit."""
    job = door.committed()
    txn = door.begin(30)
    flags: dict[str, Value] = {"force_removal": False}
    if operation == "holdJob":
        flags = {"email_user": True, "email_admin": True, "system_hold": True}
    door.ok(operation, transaction=txn, clusterId=job.cluster, jobId=0, reason="portal", **flags)
    door.ok("commitTransaction", transaction=txn)
    assert job.status == {"removeJob": 3, "holdJob": 5}[operation]


def test_tags_that_do_not_fit(door: Door) -> None:
    """QuakeSim, webcondor: strings in FLOAT-ATTR, two quotes as an EXPRESSION-ATTR, submit-file names."""
    ad = door.committed(
        Item("WhenToTransferOutput", "FLOAT-ATTR", '"ON_EXIT"'),
        expression("TransferExecutable", "FALSE"),
        expression("Environment", '""'),
        expression("DeferralTime", "1300000000"),
        string("should_transfer_files", "YES"),
        string("GridResource", "gt2 host/jobmanager"),
        string("TransferOutputRemaps", "a=b;c=d"),
        expression("Requirements", "(FALSE)"),
    ).ad
    assert ad.item("WhenToTransferOutput") == string("WhenToTransferOutput", "ON_EXIT")
    assert ad.item("TransferExecutable") == Item("TransferExecutable", "BOOLEAN-ATTR", "FALSE")
    assert ad.item("Environment") == string("Environment", "")
    assert ad.item("DeferralTime") == integer("DeferralTime", 1300000000)
    assert ad.item("should_transfer_files") == string("should_transfer_files", "YES")
    assert ad.item("Requirements").type == "EXPRESSION-ATTR"


def test_grid_appliance(door: Door) -> None:
    """.NET: the wrapper in the default namespace, its children reset by xmlns="", nil, numeric booleans."""
    job = door.committed()
    body = envelope(
        '<getJobAds xmlns="urn:condor"><transaction xsi:nil="true" xmlns=""/>'
        f'<constraint xmlns="">ClusterId=?={job.cluster}</constraint></getJobAds>'
    )
    assert [ad.number("ClusterId") for ad in door.raw(body).ads] == [job.cluster]
    insertion = envelope(
        '<insertAd xmlns="urn:condor"><type xmlns="">GENERIC-AD-TYPE</type><ad xmlns=""><item>'
        "<name>Name</name><type>STRING-ATTR</type><value>brunet</value></item></ad></insertAd>"
    )
    assert door.raw(insertion).code == "SUCCESS"
    assert len(door.call("queryAnyAds", constraint='Name=="brunet"').ads) == 1


def test_suds_against_7_8(door: Door) -> None:
    """A numeric universe, an empty requirements string, results by position, LeaveJobInQueue edited."""
    txn = door.begin(10)
    cluster = door.ok("newCluster", transaction=txn).number
    job = door.ok("newJob", transaction=txn, clusterId=cluster).number
    template = door.ok(
        "createJobTemplate",
        clusterId=cluster,
        jobId=job,
        owner="condor",
        type=5,
        cmd="/bin/sleep",
        args="0",
        requirements="",
    ).ad
    edited = [item._replace(value="FALSE") if item.name == "LeaveJobInQueue" else item for item in template]
    assert next(item for item in edited if item.name == "LeaveJobInQueue").type == "EXPRESSION-ATTR"
    door.ok("submit", transaction=txn, clusterId=cluster, jobId=job, jobAd=edited)
    door.ok("commitTransaction", transaction=txn)
    door.run_until(lambda: door.code("getJobAd", clusterId=cluster, jobId=job) == "UNKNOWNJOB", 1000)


def test_children_in_reverse_order(door: Door) -> None:
    """1.3, 9: the order of children does not matter, nested ones' neither."""
    staged = door.staged()
    item = "<item><value>5</value><type>INTEGER-ATTR</type><name>Back</name></item>"
    place = f"<jobId>0</jobId><clusterId>{staged.cluster}</clusterId>"
    txn = f"<transaction><duration>{staged.txn.duration}</duration><id>{staged.txn.id}</id></transaction>"
    assert door.post("submit", f"<jobAd>{item}</jobAd>{place}{txn}").code == "SUCCESS"
    staged.submit_template(expression("Requirements", "FALSE"))
    assert staged.commit().ad.number("Back") == 5


def test_qualified_children_and_unknown_ones(door: Door) -> None:
    """1.3, 1.8: any prefix on children; unknown children are skipped, also nested."""
    txn = door.begin()
    inner = (
        f"<c:transaction><c:id>{txn.id}</c:id><c:owner>x</c:owner><c:duration>60</c:duration></c:transaction>"
        "<c:priority><c:id>7</c:id></c:priority>"
    )
    assert door.post("newCluster", inner).code == "SUCCESS"


def test_the_first_of_two_children_wins(door: Door) -> None:
    """1.3."""
    door.committed()
    inner = "<constraint>FALSE</constraint><constraint>TRUE</constraint>"
    assert door.post("getJobAds", inner).ads == []


def test_missing_integers_are_zero(door: Door) -> None:
    """1.3: nil and empty ones too."""
    assert door.post("getJobAd", "").code == "UNKNOWNJOB"
    assert door.post("beginTransaction", "").txn.duration == 1
    assert door.post("beginTransaction", '<duration xsi:nil="true"/>').txn.duration == 1
    assert door.post("beginTransaction", "<duration> +60 </duration>").txn.duration == 60


def test_a_transaction_is_what_the_client_sends(door: Door) -> None:
    """0 no. 4: also when it keeps only the id and makes up the duration."""
    txn = door.begin(5)
    assert door.code("newCluster", transaction=Txn(txn.id, 86400)) == "SUCCESS"
    door.advance(86399)
    assert door.code("newCluster", transaction=Xml(f"<id>{txn.id}</id>")) == "FAIL"
    assert door.code("commitTransaction", transaction=txn) == "SUCCESS"
