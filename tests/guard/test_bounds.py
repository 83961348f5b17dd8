"""Bounds of connections and requests, over real sockets; slow senders and slow readers."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from birdbath.http.bounds import Traffic, TrafficLimits
from birdbath.http.browsers import Refused
from tests.server_process import ServerProcess, running_server
from tests.soap.wire import call

VERSION = call("getVersionString")
SETTINGS = {
    "BIRDBATH_MAX_CONNECTIONS": "20",
    "BIRDBATH_MAX_REQUESTS": "4",
    "BIRDBATH_MAX_TRANSACTIONS_PER_OWNER": "3",
    "BIRDBATH_MAX_STAGED_BYTES": "100000",
}
SHORT = {
    "BIRDBATH_HEADER_SECONDS": "0.5",
    "BIRDBATH_BODY_SECONDS": "0.5",
    "BIRDBATH_STALL_SECONDS": "0.5",
}
LESS_THAN_BY_ITSELF = 18.0
"""Seconds within which a server of short patience cuts what one without settings would wait for still."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("bounds"), environment=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Another one, for those only who have no time to lose before they are cut."""
    with running_server(tmp_path_factory.mktemp("impatient"), environment=SHORT) as running:
        yield running


def connected(server: ServerProcess) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=60)


def received(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


def ask(server: ServerProcess, body: bytes) -> str:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with closing(connection):
        connection.request("POST", "/", body, {"Content-Type": "text/xml"})
        return connection.getresponse().read().decode()


@pytest.mark.parametrize(
    "begin", [b"", b"P", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Long: "]
)
def test_a_request_that_never_begins_in_earnest_is_cut(impatient: ServerProcess, begin: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(begin)
        started = time.monotonic()
        assert received(connection) == b""
        assert time.monotonic() - started < LESS_THAN_BY_ITSELF


def is_cut(connection: socket.socket, piece: bytes, seconds: float) -> bool:
    """Whether the server ends a connection on which `piece` is sent again and again, and nothing read."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            connection.sendall(piece)
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_headers_that_trickle_are_cut(impatient: ServerProcess) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.monotonic()
        while time.monotonic() - started < LESS_THAN_BY_ITSELF:
            connection.settimeout(0.3)  # seldom enough not to become too many headers
            try:
                connection.sendall(b"X: y\r\n")
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
        pytest.fail("the connection was not cut")


@pytest.mark.parametrize("trickle", [b"", b"x"])
def test_a_body_that_does_not_come_is_answered_408(impatient: ServerProcess, trickle: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n<")
        connection.settimeout(0.1)
        data, started = b"", time.monotonic()
        while b"</SOAP-ENV:Envelope>" not in data and time.monotonic() - started < 50:
            try:
                data += connection.recv(65536)
            except TimeoutError:
                connection.sendall(trickle)
        assert data.startswith(b"HTTP/1.1 408 ")
        assert b"<faultcode>SOAP-ENV:Client</faultcode>" in data


def test_too_many_headers_are_answered_431(server: ServerProcess) -> None:
    for headers in (b"".join(b"X-%d: y\r\n" % n for n in range(200)), b"X: " + b"y" * 70_000 + b"\r\n"):
        with connected(server) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
            assert received(connection).startswith(b"HTTP/1.1 431 ")


def test_a_long_url_is_answered_414(server: ServerProcess) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 414 ")


def test_connections_above_the_limit_are_closed_and_room_comes_back(server: ServerProcess) -> None:
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(connected(server))
        with connected(server) as one_more:
            assert received(one_more) == b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            assert "CondorVersion" in ask(server, VERSION)
            return
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.05)
    pytest.fail("no room came back")


def test_requests_above_the_limit_are_refused_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A connection whose request is there as a whole serves the next; one that would have to be read does
    not.
    """
    begun = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    home = tmp_path_factory.mktemp("requests")
    settings = {"BIRDBATH_MAX_REQUESTS": "4", "BIRDBATH_HEADER_SECONDS": "8"}
    with running_server(home, environment=settings) as server, ExitStack() as held:
        for _ in range(4):
            held.enter_context(connected(server)).sendall(begun + b"<")
        address = urlsplit(server.url)
        with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)) as kept:

            def refused() -> bool:
                kept.request("POST", "/", VERSION, {"Content-Type": "text/xml"})
                reply = kept.getresponse()
                assert b"</SOAP-ENV:Envelope>" in reply.read()
                assert (reply.getheader("Retry-After"), reply.getheader("Connection")) == (
                    ("1", None) if reply.status == 503 else (None, None)
                )
                assert (reply.getheader("Birdbath-Reference") is None) == (reply.status == 200)
                return reply.status == 503

            deadline = time.monotonic() + 60
            while not refused():  # until the four are counted
                assert time.monotonic() < deadline
            assert refused()
        for sent in (b"", b"<", b"x" * 999):
            with connected(server) as slow:
                slow.sendall(begun + sent)
                data = slow.recv(4096)
                assert data.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nconnection: close\r\n" in data.lower()
        with connected(server) as waiting:
            waiting.sendall(begun.replace(b"Host", b"Expect: 100-continue\r\nHost"))
            assert received(waiting).startswith(b"HTTP/1.1 503 ")  # and is not waited for any longer


def test_a_full_server_refuses_unread_and_says_it_once_a_second(tmp_path: Path) -> None:
    begun = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    whole = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(VERSION), VERSION)
    with (
        running_server(tmp_path, environment={"BIRDBATH_MAX_REQUESTS": "1"}) as server,
        connected(server) as held,
    ):
        held.sendall(begun + b"<")
        while "come again soon" not in ask(server, VERSION):  # until it is counted
            pass
        with connected(server) as last:
            last.sendall(whole * 20 + whole.replace(b"HTTP/1.1", b"HTTP/1.0") + whole)
            answers = received(last)
        assert answers.count(b"HTTP/1.1 503 ") == answers.count(b"come again soon (reference ") == 21
        assert answers.count(b"connection: close\r\n") == 1
        references = set(re.findall(rb"birdbath-reference: ([0-9a-f]{8})\r\n", answers))
        assert references == set(re.findall(rb"\(reference ([0-9a-f]{8})\)", answers))
        with connected(server) as slow:
            slow.sendall(begun + b"<")
            assert b"\r\nconnection: close\r\n" in slow.recv(4096)
            slow.sendall(b"x" * 999 + whole)
            assert slow.recv(4096) == b""  # not reset: who sends first and then reads has his answer
        address = urlsplit(server.url)
        with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)) as other:
            other.request("POST", "/pool/clock", b'{"speed": 2}', {"Content-Type": "application/json"})
            assert other.getresponse().read()
            other.request("GET", "/metrics")
            figures = other.getresponse().read().decode()
        held.sendall(b"x" * 999)
        assert held.recv(4096).startswith(b"HTTP/1.1 500 ")  # no XML
        assert "CondorVersion" in ask(server, VERSION)
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    told = [line for line in lines if "refused_before" in line]
    assert {mark.decode() for mark in references} <= {line["reference"] for line in told}
    (count,) = re.findall(r'birdbath_requests_total\{operation="",outcome="503"\} ([0-9.]+)', figures)
    assert 23 <= float(count) > len(told)


def test_a_client_that_takes_no_answer_is_cut(impatient: ServerProcess) -> None:
    """Until then its answers wait in memory."""
    with connected(impatient) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.05)
        request = b"GET /condorSchedd.wsdl HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert is_cut(connection, request * 100, 200)


def test_transactions_of_an_account_and_staged_bytes_have_bounds(server: ServerProcess) -> None:
    begin = call("beginTransaction", "<duration>60</duration>")
    begun = [ask(server, begin) for _ in range(4)]
    assert ["SUCCESS" in reply for reply in begun] == [True, True, True, False]
    assert "at most 3 may be open" in begun[3]
    number = begun[0].partition("<id>")[2].partition("<")[0]
    txn = f"<transaction><id>{number}</id><duration>60</duration></transaction>"
    cluster = ask(server, call("newCluster", txn)).partition("<integer>")[2].partition("<")[0]
    ask(server, call("newJob", f"{txn}<clusterId>{cluster}</clusterId>"))
    job = f"{txn}<clusterId>{cluster}</clusterId><jobId>0</jobId><name>f</name>"
    ask(server, call("declareFile", f"{job}<size>1</size>"))

    def send(offset: int) -> str:
        return ask(server, call("sendFile", f"{job}<offset>{offset}</offset><data>{'QUJD' * 1000}</data>"))

    assert "SUCCESS" in send(0)
    assert "SUCCESS" in send(0)  # the same bytes again count once
    assert "SUCCESS" in send(97_000)
    assert "At most 100000 bytes" in send(97_001)
    for reply in begun[:3]:
        number = reply.partition("<id>")[2].partition("<")[0]
        ask(server, call("abortTransaction", txn.replace(txn.partition("<id>")[2].partition("<")[0], number)))
    assert "SUCCESS" in ask(server, begin)


def test_requests_per_second() -> None:
    now = [0.0]
    traffic = Traffic(TrafficLimits(requests_per_second=2), clock=lambda: now[0])
    for _ in range(4):
        traffic.enter("a")
    with pytest.raises(Refused) as refused:
        traffic.enter("a")
    assert refused.value.status == 429
    traffic.enter("b")
    now[0] += 0.5
    traffic.enter("a")
    with pytest.raises(Refused):
        traffic.enter("a")


def test_requests_per_client_and_bodies() -> None:
    traffic = Traffic(TrafficLimits(requests_per_client=1, body_bytes=10))
    traffic.enter("a")
    with pytest.raises(Refused):
        traffic.enter("a")
    traffic.enter("b")
    traffic.leave("a")
    traffic.enter("a")
    with traffic.body("a", 6), pytest.raises(Refused), traffic.body("a", 5):
        pass
    with traffic.body("a", 10):
        pass


def test_bodies_of_one_client() -> None:
    traffic = Traffic(TrafficLimits(body_bytes=100, body_bytes_per_client=10))
    with traffic.body("a", 0), traffic.body("a", 6), traffic.body("b", 10):
        with pytest.raises(Refused, match="one client"), traffic.body("a", 5):
            pass
        with traffic.body("a", 4):
            assert traffic.body_bytes == 20
    with traffic.body("a", 10):
        pass
    assert traffic.body_bytes == 0


def test_the_length_and_cost_of_expressions_are_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    def reply(constraint: str, **settings: str) -> str:
        home = tmp_path_factory.mktemp("expressions")
        environment = {"BIRDBATH_STRICT": "true"} | settings
        with running_server(home, environment=environment) as server:
            return ask(server, call("getJobAds", f"<constraint>{constraint}</constraint>"))

    long = "A" * 2000 + " == 1"
    assert "<faultstring>" not in reply(long)
    assert "longer than 1024 characters" in reply(long, BIRDBATH_MAX_EXPRESSION_LENGTH="1024")
    costly = f"sum({{{', '.join(['a'] * 600)}}}) &gt; 0"
    assert "<faultstring>" not in reply(costly)
    assert "may take too long" in reply(costly, BIRDBATH_MAX_EXPRESSION_COST="1000")


def test_a_query_that_takes_too_long_is_a_fault_and_the_next_is_answered(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The limit is one that no query meets, so that nothing has to be slow."""
    home = tmp_path_factory.mktemp("queries")
    with running_server(home, environment={"BIRDBATH_MAX_QUERY_SECONDS": "1e-9"}) as server:
        for name in ("queryStartdAds", "queryAnyAds"):
            reply = ask(server, call(name, "<constraint>SlotID &gt;= 0</constraint>"))
            assert "<faultstring>The constraint takes longer than 1e-09 seconds" in reply
        for request in (call("queryStartdAds"), VERSION):  # nothing is evaluated for these
            assert "<faultstring>" not in ask(server, request)
