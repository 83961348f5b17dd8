"""The whole cycle of the reference, section 3.21, in the shapes of toolkits that cannot be run here."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from tests.clients.portal import Element, Portal, attributes, edited, item, text, transaction, until
from tests.clients.shapes import SHAPES, Children, Value

NOTE = 'Gr\u00fc\u00dfe <&> "\u4e16\u754c" \u2713'


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.name)
def portal(request: pytest.FixtureRequest, server: str) -> Portal:
    return Portal(server, request.param)


@pytest.fixture
def owner(portal: Portal) -> str:
    return f"shaped-{portal.wire.shape.name}"


def test_whole_cycle(portal: Portal, owner: str, payload: bytes) -> None:
    txn = transaction(portal.call("beginTransaction", duration="6000"))
    cluster = text(portal.call("newCluster", transaction=txn), "integer")
    job = text(portal.call("newJob", transaction=txn, clusterId=cluster), "integer")
    here: dict[str, Value] = {"clusterId": cluster, "jobId": job}
    upload(portal, txn, here, payload)
    ad = edited(made_template(portal, here, owner), Out="job.out", PortalNote=NOTE)
    needs = portal.call("discoverJobRequirements", jobAd=ad).find("requirements")
    assert needs is not None
    assert [name.text for name in needs] == ["/bin/cat"]
    assert portal.code("submit", transaction=txn, **here, jobAd=ad) == "SUCCESS"
    assert portal.code("getJobAd", transaction=txn, **here) == "UNKNOWNJOB"
    assert portal.code("commitTransaction", transaction=txn) == "SUCCESS"
    assert portal.code("newJob", transaction=txn, clusterId=cluster) == "INVALIDTRANSACTION"
    assert portal.code("requestReschedule") == "SUCCESS"

    mine = f'owner=="{owner}"&&ClusterId=={cluster}'

    def completed() -> bool:
        answer = portal.call("getJobAds", transaction=None, constraint=mine)
        (found,) = answer.findall("classAdArray/item")
        assert attributes(found)["PortalNote"] == NOTE
        return attributes(found)["JobStatus"] == "4"

    until(completed)
    assert fetch_with_a_guess_at_the_length(portal, here) == payload
    assert portal.code("closeSpool", transaction=None, **here) == "SUCCESS"
    until(lambda: portal.code("getJobAd", transaction=None, **here) == "UNKNOWNJOB")


def made_template(portal: Portal, here: dict[str, Value], owner: str) -> Element:
    asked: dict[str, Value] = {"owner": owner, "type": "VANILLA", "cmd": "/bin/cat", "args": "payload.bin"}
    ad = portal.call("createJobTemplate", **here, **asked, requirements=None).find("classAd")
    assert ad is not None
    assert attributes(ad)["Arguments"] == "payload.bin"
    assert attributes(ad)["Requirements"] == "TRUE"
    return ad


def upload(portal: Portal, txn: Children, here: dict[str, Value], payload: bytes) -> None:
    name = "payload.bin"
    size = str(len(payload))
    declared = portal.code(
        "declareFile", transaction=txn, **here, name=name, size=size, hashType="NOHASH", hash=None
    )
    assert declared == "SUCCESS"
    third = len(payload) // 3 + 1
    for offset in (2 * third, 0, third):
        data = base64.encodebytes(payload[offset : offset + third]).decode()
        sent = portal.code("sendFile", transaction=txn, **here, name=name, offset=str(offset), data=data)
        assert sent == "SUCCESS"


def fetch_with_a_guess_at_the_length(portal: Portal, here: dict[str, Value]) -> bytes:
    """As htcweb does it: a transaction only for the fetch, and one length for every file."""
    txn = transaction(portal.call("beginTransaction", duration="60"))
    answer = portal.call("getFile", transaction=txn, **here, name="job.out", offset="0", length="1072831")
    assert portal.code("abortTransaction", transaction=txn) == "SUCCESS"
    return base64.b64decode(text(answer, "data"))


def test_steering_without_a_transaction(portal: Portal, owner: str) -> None:
    txn = transaction(portal.call("beginTransaction", duration="60"))
    cluster = text(portal.call("newCluster", transaction=txn), "integer")
    job = text(portal.call("newJob", transaction=txn, clusterId=cluster), "integer")
    here: dict[str, Value] = {"clusterId": cluster, "jobId": job}
    never = [
        item("Owner", "STRING-ATTR", owner),
        item("Cmd", "STRING-ATTR", "/bin/sleep"),
        item("JobUniverse", "INTEGER-ATTR", "5"),
        item("JobStatus", "INTEGER-ATTR", "1"),
        item("Requirements", "EXPRESSION-ATTR", "FALSE"),
    ]
    assert portal.code("submit", transaction=txn, **here, jobAd=never) == "SUCCESS"
    assert portal.code("commitTransaction", transaction=txn) == "SUCCESS"
    mails: dict[str, Value] = {"email_user": "false", "email_admin": "0"}
    nobody: dict[str, Value] = {"transaction": None, **here, "reason": None}

    def state() -> str:
        ad = portal.call("getJobAd", transaction=[], **here).find("classAd")
        assert ad is not None
        return attributes(ad)["JobStatus"]

    assert portal.code("holdJob", **nobody, **mails, system_hold="1") == "SUCCESS"
    assert state() == "5"
    assert portal.code("holdJob", **nobody, **mails, system_hold="1") == "FAIL"
    assert portal.code("releaseJob", **nobody, **mails) == "SUCCESS"
    assert state() == "1"
    assert portal.code("removeJob", **nobody, forceRemoval="true") == "SUCCESS"
    until(lambda: portal.code("getJobAd", transaction=None, **here) == "UNKNOWNJOB")


def test_collector(portal: Portal, owner: str) -> None:
    machines = portal.call("queryStartdAds", constraint=None).findall("item")
    assert len(machines) >= 1
    ad = [item("MyType", "STRING-ATTR", "Portal"), item("Name", "STRING-ATTR", owner)]
    assert portal.code("insertAd", type="11", ad=ad) == "SUCCESS"
    named = portal.call("queryAnyAds", constraint=f'Name=="{owner}"').findall("item")
    assert [attributes(found)["Name"] for found in named] == [owner]


# ---------------------------------------------------------------- habits of single clients, section 7


@pytest.fixture
def hands(server: str) -> Portal:
    return Portal(server, next(shape for shape in SHAPES if shape.name == "by-hand"))


def submitted(portal: Portal, ad: Children) -> dict[str, str]:
    """The ad of a job as the queue holds it after the items of `ad` were submitted."""
    txn = transaction(portal.call("beginTransaction", duration="30"))
    cluster = text(portal.call("newCluster", transaction=txn), "integer")
    job = text(portal.call("newJob", transaction=txn, clusterId=cluster), "integer")
    here: dict[str, Value] = {"clusterId": cluster, "jobId": job}
    ids = [item("ClusterId", "INTEGER-ATTR", cluster), item("ProcId", "INTEGER-ATTR", job)]
    assert portal.code("submit", transaction=txn, **here, jobAd=ad + ids) == "SUCCESS"
    assert portal.code("commitTransaction", transaction=txn) == "SUCCESS"
    kept = portal.call("getJobAd", transaction=None, **here).find("classAd")
    assert kept is not None
    return attributes(kept)


def test_the_schedd_is_found_as_quakesim_finds_it(hands: Portal, server: str) -> None:
    """By its ad, whose address without the angle brackets is where SOAP is spoken."""
    schedds = hands.call("queryScheddAds", constraint="HasSOAPInterface=?=TRUE").findall("item")
    addresses = {attributes(ad)["ScheddIpAddr"] for ad in schedds}
    (address,) = addresses
    assert "http://" + re.sub("[<>]|[?].*", "", address) == server


def test_own_ad_of_njs_wrapper(hands: Portal, tmp_path: Path) -> None:
    """No template; a scheduler-universe DAGMan job out of a dozen attributes."""
    ad = [
        item("Owner", "STRING-ATTR", "njs"),
        item("Iwd", "STRING-ATTR", str(tmp_path)),
        item("JobUniverse", "INTEGER-ATTR", "7"),
        item("Cmd", "STRING-ATTR", "/usr/bin/condor_dagman"),
        item("JobStatus", "INTEGER-ATTR", "1"),
        item("Env", "STRING-ATTR", "_CONDOR_MAX_DAGMAN_LOG=0"),
        item("JobNotification", "INTEGER-ATTR", "0"),
        item("UserLog", "STRING-ATTR", f"{tmp_path}/dag.log"),
        item("RemoveKillSig", "STRING-ATTR", "SIGUSR1"),
        item("ShouldTransferFiles", "STRING-ATTR", "NO"),
        item("Requirements", "EXPRESSION-ATTR", "TRUE"),
        item("OnExitRemove", "EXPRESSION-ATTR", "(ExitSignal =?= 11 || ExitCode >=0)"),
        item("Arguments", "STRING-ATTR", "-f -l . -Debug 3 -Dag x.dag"),
    ]
    kept = submitted(hands, ad)
    assert (kept["Iwd"], kept["JobUniverse"], kept["Requirements"]) == (str(tmp_path), "7", "TRUE")
    assert kept["Arguments"] == "-f -l . -Debug 3 -Dag x.dag"


def test_type_tags_that_do_not_fit_their_values(hands: Portal) -> None:
    """Whatever is no STRING-ATTR is expression text, whichever kind it says it is."""
    ad = [
        item("Owner", "STRING-ATTR", "quake"),
        item("WhenToTransferOutput", "FLOAT-ATTR", '"ON_EXIT"'),
        item("TransferExecutable", "EXPRESSION-ATTR", "FALSE"),
        item("Environment", "EXPRESSION-ATTR", '""'),
        item("DeferralTime", "EXPRESSION-ATTR", "1300000000"),
        item("Requirements", "EXPRESSION-ATTR", "(TRUE)"),
        item("should_transfer_files", "STRING-ATTR", "YES"),
        item("Rank", "110", "7"),
        item("Weight", "98", "0.5"),
    ]
    kept = submitted(hands, ad)
    wanted = {
        "WhenToTransferOutput": "ON_EXIT",
        "TransferExecutable": "FALSE",
        "Environment": "",
        "DeferralTime": "1300000000",
        "should_transfer_files": "YES",
        "Rank": "7",
    }
    assert kept.items() >= wanted.items()
    assert kept["Requirements"].replace(" ", "") == "(true)"
    assert float(kept["Weight"]) == 0.5


@pytest.mark.parametrize(
    ("asked", "universe"),
    [("JAVA", "10"), ("5", "5"), ("GLOBUS", "9"), ("LOCALUNIVESE", "12"), ("LOCALUNIVERSE", "12")],
)
def test_universe_names_of_all_ages(hands: Portal, asked: str, universe: str) -> None:
    here: dict[str, Value] = {"clusterId": "1", "jobId": "0"}
    answer = hands.call(
        "createJobTemplate", **here, owner="x", type=asked, cmd="java", args="", requirements=""
    )
    ad = answer.find("classAd")
    assert ad is not None
    assert attributes(ad)["JobUniverse"] == universe


def test_a_transaction_in_an_element_of_another_name_is_none(hands: Portal) -> None:
    """soap-htcondor says `tt` now and then; such a call is outside any transaction."""
    txn = transaction(hands.call("beginTransaction", duration="60"))
    assert hands.code("newCluster", tt=txn) == "INVALIDTRANSACTION"
    assert hands.code("getJobAds", tt=txn, constraint="FALSE") == "SUCCESS"
    assert hands.code("abortTransaction", transaction=txn) == "SUCCESS"
