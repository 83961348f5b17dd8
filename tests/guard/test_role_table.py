"""Every operation by every role, with a transaction and without, over real TLS with real credentials.

The table says what is to come of it. Rows are operations; columns are roles: A nobody, O the job's owner, S
another user, R a super-user, B an administrator who is no super-user.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from birdbath.access import EVENT_OPERATIONS, FEDERATION_OPERATIONS, OPERATIONS, QUERY_OPERATIONS
from tests.guard import test_event_roles
from tests.guard.stage import ROLES, Stage, item, job_ad, letter
from tests.guard.stage import WAYS as PROOFS
from tests.guard.world import Answer, world

# Expected verdicts by role, A O S R B. D: 401; P: FAIL, Permission denied; J: FAIL, Not job owner;
# F: a fault, Permission denied; I: INVALIDTRANSACTION; .: it is done. Where a call may carry a transaction:
# first without, then with one of the caller's own, then with the owner's.
TABLE = {
    "getVersionString": "..... ----- -----",
    "getPlatformString": "..... ----- -----",
    "beginTransaction": "D.... ----- -----",
    "commitTransaction": "DIIII -.... D.PPP",
    "abortTransaction": "DIIII -.... D.PPP",
    "extendTransaction": "DIIII -.... D.PPP",
    "newCluster": "DIIII -.... D.PPP",
    "newJob": "DIIII -.... D.PPP",
    "submit": "DIIII -.... D.PPP",
    "declareFile": "DIIII -.... D.PPP",
    "sendFile": "DIIII -.... D.PPP",
    "holdJob": "D.J.J -.J.J D.PPP",
    "releaseJob": "D.J.J -.J.J D.PPP",
    "removeJob": "D.J.J -.J.J D.PPP",
    "removeCluster": "D.J.J -.J.J D.PPP",
    "closeSpool": "D.J.J -.J.J D.PPP",
    "getJobAds": "D.... -.... D.PPP",
    "getJobAd": "D.J.J -.J.J D.PPP",
    "getFile": "D.J.J -.J.J D.PPP",
    "listSpool": "D.J.J -.J.J D.PPP",
    "requestReschedule": "D.... ----- -----",
    "discoverJobRequirements": "D.... ----- -----",
    "createJobTemplate": "D.... ----- -----",
    "insertAd": "DPPP. ----- -----",
    **{
        f"query{kind}Ads": "D.... ----- -----"
        for kind in ("Startd", "Schedd", "Master", "Submittor", "License", "Storage", "Any")
    },
}
WAYS = ("without", "own", "owner's")

STAGED = ("commitTransaction", "abortTransaction", "extendTransaction", "newCluster", "newJob", "submit")
FILES = ("declareFile", "sendFile")
NEEDS_JOB = ("holdJob", "releaseJob", "removeJob", "removeCluster", "closeSpool", "getJobAd", "getFile")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with world(tmp_path_factory.mktemp("roles")) as made:
        yield Stage(made)


def attempt(stage: Stage, name: str, role: str, way: str) -> Answer:
    """The operation as the role calls it: on the owner's committed job, or in the transaction of the way."""
    xml, cluster = "", 1
    if name in STAGED + FILES:
        if way != "without":
            staged = stage.staged("owner" if way == "owner's" else role)
            xml, cluster = staged.xml, staged.cluster
    else:
        if name in (*NEEDS_JOB, "listSpool"):
            cluster = stage.committed(held=name == "releaseJob")
        if way != "without":
            xml = stage.begin("owner" if way == "owner's" else role)
    job = f"{xml}<clusterId>{cluster}</clusterId><jobId>0</jobId>"
    ad = job_ad("owner" if way == "owner's" else role, cluster)
    children = {
        "beginTransaction": "<duration>60</duration>",
        "extendTransaction": f"{xml}<duration>60</duration>",
        "newJob": f"{xml}<clusterId>{cluster}</clusterId>",
        "removeCluster": f"{xml}<clusterId>{cluster}</clusterId>",
        "submit": f"{job}<jobAd>{ad}</jobAd>",
        "declareFile": f"{job}<name>more</name><size>1</size>",
        "sendFile": f"{job}<name>in</name><offset>0</offset><data>aGk=</data>",
        "getFile": f"{job}<name>in</name><offset>0</offset><length>10</length>",
        "createJobTemplate": "<clusterId>1</clusterId><jobId>0</jobId><owner>x</owner><type>5</type>",
        "insertAd": f"<type>GENERIC-AD-TYPE</type><ad>{item('Name', 'STRING', 'x')}</ad>",
    }
    if "transaction" in name.lower() and name not in children:
        return stage.call(role, name, xml)
    return stage.call(role, name, children.get(name, job))


def test_the_table_has_every_operation() -> None:
    assert set(TABLE) == set(OPERATIONS)
    others = set(EVENT_OPERATIONS) | set(QUERY_OPERATIONS) | set(FEDERATION_OPERATIONS)
    assert set(test_event_roles.TABLE) == others


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", TABLE)
def test_role(stage: Stage, name: str, role: str) -> None:
    column = ROLES.index(role)
    for way, row in zip(WAYS, TABLE[name].split(), strict=True):
        if row[column] != "-":
            assert letter(attempt(stage, name, role, way)) == row[column], way


CROSSED = ("getJobAd", "removeJob", "newJob", "insertAd")
"""Operations by each way of proving an account, of which the table above has them by turns: what others are
refused, reading and writing; what only happens in a transaction; and what only an administrator may.
"""


@pytest.mark.parametrize("way_of_proving", range(len(PROOFS)), ids=PROOFS)
@pytest.mark.parametrize("name", CROSSED)
def test_each_role_in_each_way_of_proving_it(stage: Stage, name: str, way_of_proving: int) -> None:
    one = stage.by(way_of_proving)
    for role in ROLES[1:]:
        for way, row in zip(WAYS, TABLE[name].split(), strict=True):
            if row[column := ROLES.index(role)] != "-":
                assert letter(attempt(one, name, role, way)) == row[column], (role, way)
