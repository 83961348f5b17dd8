"""A SOAP server without a pool: it gives the real WSDL, and answers as the test says."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from lxml import etree

from birdbath.soap import ServiceName, wsdl
from tests.ports import free_port

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:condor="urn:condor">'
    "<SOAP-ENV:Body>{}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
)
SUCCESS = "<code>SUCCESS</code><message>Success</message>"


def response(operation: str, inner: str, container: str = "response") -> str:
    return f"<condor:{operation}Response><{container}>{inner}</{container}></condor:{operation}Response>"


class Fake:
    """What to answer, and what was asked. `hang_up` makes the next so many calls end without an answer."""

    def __init__(self) -> None:
        self.url = ""
        self.replies: dict[str, tuple[int, str]] = {}
        self.asked: list[etree._Element] = []
        self.paths: list[str] = []
        self.hang_up = 0
        self.silent = threading.Event()  # while clear, calls get no answer
        self.silent.set()
        self.reached = threading.Event()  # a call has come

    def answer(self, operation: str, inner: str, container: str = "response") -> None:
        self.replies[operation] = 200, _ENVELOPE.format(response(operation, inner, container))

    def answer_raw(self, operation: str, status: int, body: str) -> None:
        self.replies[operation] = status, body

    def answer_fault(self, operation: str, text: str) -> None:
        fault = f"<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>{text}</faultstring>"
        self.replies[operation] = 500, _ENVELOPE.format(fault + "</SOAP-ENV:Fault>")

    def operations(self) -> list[str]:
        return [etree.QName(asked).localname for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def fake(self) -> Fake:
        return cast("_Server", self.server).fake

    def do_GET(self) -> None:
        found = re.fullmatch(r"/(condorSchedd|condorCollector)\.wsdl", self.path)
        self.fake.paths.append(self.path)
        if found:
            self._send(200, wsdl(cast("ServiceName", found[1]), "http://localhost:80"))
        else:
            self._send(404, b"not here")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.fake.hang_up:
            self.fake.hang_up -= 1
            self.close_connection = True
            return
        self.fake.reached.set()
        self.fake.silent.wait(120)
        operation = etree.fromstring(body)[0][0]
        self.fake.asked.append(operation)
        status, text = self.fake.replies.get(
            etree.QName(operation).localname, (404, "no answer was prepared")
        )
        self._send(status, text.encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with suppress(ConnectionError):  # some tests hang up in the middle of an answer
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: Fake


@contextmanager
def running_fake() -> Iterator[Fake]:
    # A port that no other has in this process: clients keep the WSDL of a URL that they know.
    with _Server(("127.0.0.1", free_port()), _Handler) as server:
        server.fake = Fake()
        server.fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.fake
        finally:
            server.fake.silent.set()
            server.shutdown()
            thread.join()
