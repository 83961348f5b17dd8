"""Every operation of urn:birdbath:events and urn:birdbath:queries, and every HTTP route, by every role, over
real TLS.

The columns are those of `test_role_table`: A nobody, O the owner of job and subscription, S another user, R a
super-user, B an administrator who is no super-user. These operations carry no transaction: what is named is a
subscription.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from birdbath.access import FEDERATION_OPERATIONS, QUERY_OPERATIONS, ROUTES
from tests.guard.stage import ROLES, Stage, letter
from tests.guard.world import NOBODY, Answer, Credential, world
from tests.soap.wire import envelope

NAMESPACE = "urn:birdbath:events"
QUERIES = "urn:birdbath:queries"
FEDERATION = "urn:birdbath:federation"
WAYS = ("without", "own", "owner's")

# D: 401; 1: FAIL, for there is one pool only; U: FAIL, no such subscription, which is also said of those of
# others; .: it is done. Without a subscription, with one of the caller's own, with the owner's.
TABLE = {
    "getEvents": "D.... -.... D.U.U",
    "subscribe": "D.... ----- -----",
    "renew": "DUUUU -.... D.U.U",
    "updateFilter": "DUUUU -.... D.U.U",
    "unsubscribe": "DUUUU -.... D.U.U",
    "queryJobs": "D.... ----- -----",
    "queryHistory": "D.... ----- -----",
    "queryAds": "D.... ----- -----",
    "recommend": "D1111 ----- -----",
}

# By route as the policy names it: the requests that it stands for, and the status of each by role.
JSON = {"Content-Type": "application/json"}
SUBSCRIPTION = "/events/subscriptions/{subscription}"
ROUTE_TABLE: dict[str, list[tuple[str, str, str, str]]] = {
    "GET /": [("GET", "/", "", "200 200 200 200 200")],
    "GET *.wsdl": [
        ("GET", "/condorSchedd.wsdl", "", "200 200 200 200 200"),
        ("GET", "/birdbathEvents.wsdl", "", "200 200 200 200 200"),
    ],
    "GET /health/live": [("GET", "/health/live", "", "200 200 200 200 200")],
    "GET /health/ready": [("GET", "/health/ready", "", "200 200 200 200 200")],
    "GET /metrics": [("GET", "/metrics", "", "401 200 200 200 200")],
    "GET /events*": [
        ("GET", "/events?wait=0", "", "401 200 200 200 200"),
        ("GET", "/events?wait=0&subscription={subscription}", "", "401 200 404 200 404"),
        ("GET", "/events/subscriptions", "", "401 200 200 200 200"),
        ("GET", SUBSCRIPTION, "", "401 200 404 200 404"),
        ("GET", SUBSCRIPTION + "/dead-letters", "", "401 200 404 200 404"),
    ],
    "POST /events/*": [
        ("POST", "/events/subscriptions", "{}", "401 201 201 201 201"),
        ("POST", SUBSCRIPTION + "/acknowledge", '{"through": 0}', "401 200 404 200 404"),
        ("POST", SUBSCRIPTION + "/dead-letters/1", "{}", "401 404 404 404 404"),  # there is none
    ],
    "PATCH /events/*": [("PATCH", SUBSCRIPTION, '{"lease": 60}', "401 200 404 200 404")],
    "DELETE /events/*": [("DELETE", SUBSCRIPTION, "", "401 204 404 204 404")],
    "GET /pool/clock": [("GET", "/pool/clock", "", "401 200 200 200 200")],
    "POST /pool/clock": [("POST", "/pool/clock", "{}", "401 403 403 403 200")],
    "GET /pools": [
        ("GET", "/pools", "", "401 200 200 200 200"),
        ("POST", "/pools/nobody", "{}", "401 404 404 404 404"),
    ],
    "POST *": [("POST", "/anything", "<no/>", "500 500 500 500 500")],  # a fault: this is no envelope
}


@dataclass
class Following:
    """The accounts of the stage, and the subscriptions that they make."""

    stage: Stage

    def ask(self, role: str, name: str, children: str = "") -> Answer:
        credential = self.stage.credential(role)
        header = f"<e:Header>{credential.soap_header()}</e:Header>" if credential.soap_header else ""
        namespace = QUERIES if name in QUERY_OPERATIONS else NAMESPACE
        if name in FEDERATION_OPERATIONS:
            namespace = FEDERATION
        body = f'<b:{name} xmlns:b="{namespace}">{children}</b:{name}>'
        return self.stage.world.post(credential, envelope(body, header=header))

    def subscription(self, role: str) -> str:
        made = self.ask(role, "subscribe", "<filter/><after>-1</after><lease>600</lease>")
        assert made.verdict == "SUCCESS", made.text
        return made.text.partition("<subscription><id>")[2].partition("<")[0]

    def request(self, credential: Credential, method: str, path: str, body: str) -> Answer:
        kind = JSON if path != "/anything" else {}
        return self.stage.world.request(method, path, credential, body.encode() or None, **kind)


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Following]:
    with world(tmp_path_factory.mktemp("following")) as made:
        yield Following(Stage(made))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", TABLE)
def test_operation(following: Following, name: str, role: str) -> None:
    for way, row in zip(WAYS, TABLE[name].split(), strict=True):
        if (expected := row[ROLES.index(role)]) == "-":
            continue
        key = "" if way == "without" else following.subscription("owner" if way == "owner's" else role)
        children = {
            "getEvents": f"<after>-1</after><max>1</max><wait>0</wait><subscription>{key}</subscription>",
            "subscribe": "<filter/><after>-1</after><lease>600</lease>",
            "updateFilter": f"<id>{key}</id><filter><topics><item>job.held.#</item></topics></filter>",
        }.get(name, f"<id>{key}</id><lease>60</lease>")
        answer = following.ask(role, name, children)
        unknown = answer.message == f"There is no subscription '{key}'"
        seen = "U" if unknown else "1" if answer.message.startswith("This is one pool") else letter(answer)
        assert seen == expected, way


def test_events_of_others_jobs_are_not_shown(following: Following) -> None:
    cluster = following.stage.committed(held=True)
    topics = f"<filter><topics><item>job.*.*.{cluster}.*</item></topics></filter>"
    for role in ROLES[1:]:
        page = following.ask(role, "getEvents", f"<after>0</after><max>10</max><wait>0</wait>{topics}")
        assert page.verdict == "SUCCESS"
        assert ("<name>held</name>" in page.text) == (role in ("owner", "root")), role
        path = f"/events?after=0&wait=0&topic=job.*.*.{cluster}.*"
        answer = following.request(following.stage.http_credential(role), "GET", path, "")
        assert ("job.held" in answer.text) == (role in ("owner", "root")), (role, answer.text)


def test_the_table_has_every_route() -> None:
    assert set(ROUTE_TABLE) == set(ROUTES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("method", "path", "body", "row"), [row for rows in ROUTE_TABLE.values() for row in rows]
)
def test_route(following: Following, method: str, path: str, body: str, row: str, role: str) -> None:
    expected = int(row.split()[ROLES.index(role)])
    wanted = path.format(subscription=following.subscription("owner") if "{" in path else "")
    for credential in following.stage.http_credentials(role):
        answer = following.request(credential, method, wanted, body)
        assert answer.http == expected, answer.text
        if expected == 401:
            assert "www-authenticate" in answer.headers
        if method == "GET":
            head = following.request(credential, "HEAD", wanted, body)
            assert head.http == expected, "nobody learns by HEAD what GET does not tell"
        if method == "DELETE":
            break  # it is gone


def test_a_listing_of_subscriptions_has_ones_own_only(following: Following) -> None:
    mine, key = following.subscription("other"), following.subscription("owner")
    answer = following.request(following.stage.http_credential("other"), "GET", "/events/subscriptions", "")
    listed = {entry["id"] for entry in json.loads(answer.text)["subscriptions"]}
    assert mine in listed
    assert key not in listed
    assert following.request(NOBODY, "GET", f"/events/subscriptions/{key}", "").http == 401
