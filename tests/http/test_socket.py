"""The application on a real uvicorn with uvloop and httptools, over sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from birdbath.http import HttpApplication, HttpSettings
from birdbath.schedd import Transaction
from tests.soap.wire import Daemons, Recorder, ad_list, call

LIMIT = 4 * 1024 * 1024
DAEMONS = Daemons(
    Recorder(
        begin_transaction=Transaction(1234, 60),
        version_string="$CondorVersion: 8.4.12 $",
        get_job_ads=ad_list(*[[("A", "s", "x" * 1000)]] * 5000),
    )
)
BEGIN = call("beginTransaction", "<duration>60</duration>")


class Server(uvicorn.Server):
    """Tells when it listens, so that nobody has to wait and see."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = HttpApplication(DAEMONS, HttpSettings(max_request_bytes=LIMIT))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", server_header=False)
    server = Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert server.listening.wait(60)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


class Connection:
    """A socket that speaks HTTP only as far as a test needs it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, text: bytes) -> None:
        self.socket.sendall(text)

    def head(self) -> tuple[bytes, dict[str, str]]:
        status = self.file.readline().rstrip()
        headers = {}
        while line := self.file.readline().rstrip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers

    def response(self) -> tuple[bytes, dict[str, str], bytes]:
        status, headers = self.head()
        return status, headers, self.file.read(int(headers["content-length"]))


def request(body: bytes, *headers: bytes, version: bytes = b"HTTP/1.1", length: bool = True) -> bytes:
    lines = [b"POST / " + version, b"Host: h.example.org", *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_two_requests_on_one_connection(port: int) -> None:
    with Connection(port) as connection:
        for _ in range(2):
            connection.send(request(BEGIN))
            status, headers, body = connection.response()
            assert status == b"HTTP/1.1 200 OK"
            assert headers["content-type"] == "text/xml; charset=utf-8"
            assert len(body) == 566


def test_http_1_0(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request(BEGIN, version=b"HTTP/1.0"))
        status, _, body = connection.response()
        assert status == b"HTTP/1.1 200 OK"
        assert len(body) == 566
        assert connection.file.read() == b""


def test_few_headers_as_by_hand(port: int) -> None:
    with Connection(port) as connection:
        connection.send(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(BEGIN), BEGIN))
        assert len(connection.response()[2]) == 566


def test_connection_close_is_kept(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request(BEGIN, b"Connection: close"))
        assert len(connection.response()[2]) == 566
        assert connection.file.read() == b""


def test_chunked_body(port: int) -> None:
    chunks = (
        b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (BEGIN[:7], BEGIN[7:100], BEGIN[100:])) + b"0\r\n\r\n"
    )
    with Connection(port) as connection:
        connection.send(request(b"", b"Transfer-Encoding: chunked", length=False) + chunks)
        assert len(connection.response()[2]) == 566


def test_expect_100_continue(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request(BEGIN, b"Expect: 100-continue")[: -len(BEGIN)])
        assert connection.head()[0] == b"HTTP/1.1 100 Continue"
        connection.send(BEGIN)
        assert len(connection.response()[2]) == 566


@pytest.mark.parametrize("headers", [(), (b"Content-Type: text/xml",)])
def test_a_post_without_content_is_answered_at_once(port: int, headers: tuple[bytes, ...]) -> None:
    with Connection(port) as connection:
        connection.send(request(b"", *headers))
        status, _, body = connection.response()
        assert status == b"HTTP/1.1 500 Internal Server Error"
        assert b"no content" in body
        connection.send(request(BEGIN))
        assert len(connection.response()[2]) == 566


def test_too_large_a_request_is_told_so_after_it_was_sent(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request(b"x" * (LIMIT + 1_000_000)))
        status, headers, body = connection.response()
        assert status.startswith(b"HTTP/1.1 413")
        assert headers["connection"] == "close"
        assert b"<faultstring>" in body


def test_a_long_answer_arrives_whole(port: int) -> None:
    with Connection(port) as connection:
        connection.send(request(call("getJobAds")))
        _, _, body = connection.response()
        assert body.count(b"<name>A</name>") == 5000
        assert body.endswith(b"</SOAP-ENV:Envelope>")


def test_a_client_that_leaves_half_way_harms_nobody(port: int) -> None:
    for sent in (request(BEGIN)[:-20], request(call("getJobAds"))):
        with Connection(port) as connection:
            connection.send(sent)
    with Connection(port) as connection:
        connection.send(request(BEGIN))
        assert len(connection.response()[2]) == 566


def test_the_wsdl_names_the_host_that_the_client_used(port: int) -> None:
    with Connection(port) as connection:
        connection.send(b"GET /condorSchedd.wsdl HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % port)
        status, _, body = connection.response()
        assert status == b"HTTP/1.1 200 OK"
        assert b'location="http://localhost:%d/schedd"' % port in body
        connection.send(b"GET /condorCollector.wsdl HTTP/1.0\r\n\r\n")
        assert b'location="http://127.0.0.1:%d/collector"' % port in connection.response()[2]


def test_head(port: int) -> None:
    with Connection(port) as connection:
        connection.send(b"HEAD /condorSchedd.wsdl HTTP/1.1\r\nHost: h\r\n\r\n" + request(BEGIN))
        assert int(connection.head()[1]["content-length"]) > 10_000
        assert len(connection.response()[2]) == 566
