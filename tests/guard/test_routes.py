"""What guards the calls guards every other route, too: events, figures, pools and the clock."""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from birdbath.http.audit import Audit, Refusals
from birdbath.http.idempotency import MAX_KEPT_OF_ONE, Keys, Once
from tests.guard.test_trail import trail
from tests.guard.world import NOBODY, World, world
from tests.server_process import ServerProcess, running_server

JSON = {"Content-Type": "application/json"}
RATE = 5
SETTINGS = {
    "BIRDBATH_MAX_REQUESTS_PER_SECOND": f"{RATE}",
    "BIRDBATH_BODY_SECONDS": "4",
    "BIRDBATH_EVENT_MAX_FOLLOWERS_PER_CLIENT": "1",
    "BIRDBATH_EVENT_MAX_SUBSCRIPTIONS_PER_OWNER": "2",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routes")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[ServerProcess]:
    with running_server(home) as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("strict"), environment=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("guarded")) as made:
        yield made


def ask(
    server: ServerProcess, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage]:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with closing(connection):
        sent = (JSON if body is not None else {}) | {n.replace("_", "-"): v for n, v in headers.items()}
        connection.request(method, path, body, sent)
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.headers


@pytest.mark.parametrize("path", ["/events?wait=0", "/metrics", "/pools", "/", "/pool/clock"])
def test_requests_of_a_second_are_counted(strict: ServerProcess, path: str) -> None:
    for _ in range(1000):
        status, headers = ask(strict, "GET", path)
        if status == 429:
            break
    assert (status, headers["retry-after"]) == (429, "1")
    assert len(headers["birdbath-reference"]) == 8
    for _ in range(4 * RATE):
        assert ask(strict, "GET", "/health/live")[0] == 200


def test_a_body_that_drips_is_cut(strict: ServerProcess) -> None:
    head = b"POST /pool/clock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    address = urlsplit(strict.url)
    while True:
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as slow:
            slow.sendall(head + b"Content-Length: 1000\r\n\r\n")
            while not select.select([slow], [], [], 0.05)[0]:
                slow.sendall(b" ")
            status = slow.recv(4096).split()[1]
        if status != b"429":  # the test before had all of this second
            break
    assert status == b"408"


def test_followers_of_one_client(strict: ServerProcess) -> None:
    address = urlsplit(strict.url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)) as first:
        while True:
            first.request("GET", "/events", headers={"Accept": "text/event-stream"})
            stream = first.getresponse()
            if stream.status != 429:
                break
            stream.read()
        assert stream.readline().startswith(b"retry:")
        while (status := ask(strict, "GET", "/events?wait=30")[0]) == 429:
            pass
        assert status == 503


def test_subscriptions_of_one_account(strict: ServerProcess) -> None:
    seen: list[int] = []
    while len(seen) < 3:
        status = ask(strict, "POST", "/events/subscriptions", b"{}")[0]
        if status != 429:
            seen.append(status)
    assert seen == [201, 201, 403]


def test_a_change_leaves_a_line(home: Path, server: ServerProcess) -> None:
    before = len(trail(home))
    status, headers = ask(server, "POST", "/events/subscriptions", b"{}")
    assert status == 201
    assert ask(server, "DELETE", headers["location"])[0] == 204
    assert ask(server, "POST", "/pool/clock", b'{"speed": -1}')[0] == 400
    assert ask(server, "GET", "/pool/clock")[0] == 200
    lines = trail(home)[before:]
    assert [(line["operation"], line["outcome"]) for line in lines] == [
        ("POST /events/subscriptions", "201"),
        (f"DELETE {headers['location']}", "204"),
        ("POST /pool/clock", "400"),
    ]
    assert {line["address"] for line in lines} == {"127.0.0.1"}


def test_an_idempotency_key_is_refused_rather_than_ignored(home: Path, server: ServerProcess) -> None:
    status, headers = ask(server, "POST", "/events/subscriptions", b"{}", Idempotency_Key="one")
    assert status == 400
    assert trail(home)[-1] | {"time": ""} == {
        "time": "",
        "reference": headers["birdbath-reference"],
        "address": "127.0.0.1",
        "outcome": "400",
    }


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
@pytest.mark.parametrize("path", ["/events?wait=0", "/pools", "/pool/clock"])
def test_pages_of_other_sites_get_nothing(server: ServerProcess, path: str, headers: dict[str, str]) -> None:
    assert ask(server, "GET", path, None, **headers)[0] == 403


@pytest.mark.parametrize("path", ["/pools", "/pools/nobody"])
def test_the_names_of_pools_are_for_who_may_read_them_by_a_name_of_the_server(
    guarded: World, path: str
) -> None:
    assert guarded.request("GET", path, NOBODY).http == 401
    assert guarded.request("GET", path, guarded.basic("owner"), Host="evil.example.com").http == 421


def test_a_kept_reply_is_for_those_who_may_still_ask(guarded: World) -> None:
    everything = guarded.id_token("owner")
    little = guarded.id_token("owner", "ADVERTISE_STARTD")
    assert guarded.call(everything, "getJobAds", Idempotency_Key="ads").verdict == "SUCCESS"
    again = guarded.call(everything, "getJobAds", Idempotency_Key="ads")
    assert again.headers["idempotent-replayed"] == "true"
    refused = guarded.call(little, "getJobAds", Idempotency_Key="ads")
    assert (refused.verdict, "idempotent-replayed" in refused.headers) == ("FAIL", False)


def test_nobody_in_particular_keeps_no_reply(guarded: World) -> None:
    for _ in range(2):
        answer = guarded.call(NOBODY, "getVersionString", Idempotency_Key="version")
        assert (answer.http, "idempotent-replayed" in answer.headers) == (200, False)


def test_refusals_of_a_second_share_a_line(tmp_path: Path) -> None:
    now = 100.0
    audit = Audit(tmp_path / "audit.log")
    refusals = Refusals(audit, lambda: now)
    first = refusals.reference("192.0.2.1", 429)
    assert {refusals.reference("192.0.2.1", 429) for _ in range(1000)} == {first}
    other = refusals.reference("192.0.2.1", 401), refusals.reference("192.0.2.2", 429)
    now += 1.0
    last = refusals.reference("192.0.2.1", 429)
    audit.close()
    lines = trail(tmp_path)
    assert [line["reference"] for line in lines] == [first, *other, last]
    assert [line.get("repeated") for line in lines] == [None, None, None, 1000]


def test_replies_to_reading_calls_are_kept_as_far_as_there_is_room() -> None:
    now = 100.0
    keys, half = Keys(lambda: now), MAX_KEPT_OF_ONE // 2
    ann, bob = Once("ann", "one", b""), Once("bob", "one", b"")
    assert [keys.may_keep(ann, half) for _ in range(3)] == [True, True, False]
    assert keys.may_keep(bob, half)
    now += 86400.0
    assert keys.may_keep(ann, half)
