"""Tracing as its users have it: spans that an OTLP collector gets from a server, below the caller's own."""

from __future__ import annotations

import gzip
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from birdbath.access import Caller
from birdbath.http import tracing
from birdbath.http.tracing import Tracing, TracingNotInstalled
from tests.server_process import running_server
from tests.soap.wire import call

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@contextmanager
def collector() -> Iterator[tuple[str, queue.Queue[ExportTraceServiceRequest]]]:
    """An OTLP endpoint, and what it gets."""
    got: queue.Queue[ExportTraceServiceRequest] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got.put(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", got
        finally:
            server.shutdown()
            thread.join()


def test_a_server_sends_the_spans_of_its_calls(tmp_path: Path) -> None:
    with collector() as (endpoint, got):
        with running_server(tmp_path, environment={"BIRDBATH_OTLP_ENDPOINT": endpoint}) as server:
            headers = {"Content-Type": "text/xml", "traceparent": TRACEPARENT}
            assert requests.post(server.url, call("getVersionString"), headers=headers, timeout=60).ok
            requests.post(server.url, call("beginTransaction", "<duration>60</duration>"), timeout=60)
            assert server.stop() == 0  # what is still to be sent is sent at the end
        spans: dict[str, Span] = {}
        service = ""
        while not got.empty():
            for resource in got.get().resource_spans:
                named = {a.key: a.value.string_value for a in resource.resource.attributes}
                service = named["service.name"]
                spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert service == "birdbath"
    assert set(spans) == {"getVersionString", "beginTransaction"}
    version = spans["getVersionString"]
    assert (version.trace_id.hex(), version.parent_span_id.hex()) == (TRACE, PARENT)
    assert version.kind == Span.SPAN_KIND_SERVER
    attributes = {a.key: a.value.string_value for a in version.attributes}
    assert attributes["rpc.system"] == "soap"
    assert attributes["rpc.method"] == "getVersionString"
    assert attributes["client.address"] == "127.0.0.1"
    assert spans["beginTransaction"].parent_span_id == b""


def test_a_collector_that_is_away_hurts_no_call(tmp_path: Path) -> None:
    environment = {"BIRDBATH_OTLP_ENDPOINT": "http://127.0.0.1:9/v1/traces", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running_server(tmp_path, environment=environment) as server:
        for _ in range(20):
            assert requests.post(server.url, call("getVersionString"), timeout=60).ok
        assert server.stop() == 0


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def traced(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


def scope(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"type": "http", "headers": list(headers)}


def test_a_call_that_breaks_is_an_error_in_its_span(exporter: InMemorySpanExporter) -> None:
    caller = Caller("192.0.2.7", "ann")
    with pytest.raises(ValueError, match="odd"), traced(exporter).span("submit", scope(), caller):
        raise ValueError("odd")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code.value == Status.STATUS_CODE_ERROR
    assert span.attributes is not None
    assert span.attributes["enduser.id"] == "ann"


@pytest.mark.parametrize("parent", [b"nonsense", b"00-0-0-00", b"\xff" * 100, b"00-" + b"0" * 32 + b"-x-01"])
def test_a_parent_that_is_none_begins_a_trace(exporter: InMemorySpanExporter, parent: bytes) -> None:
    with traced(exporter).span("getJobAds", scope((b"traceparent", parent)), Caller("192.0.2.7")):
        pass
    (span,) = exporter.get_finished_spans()
    assert span.parent is None


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    with pytest.raises(TracingNotInstalled, match="opentelemetry"):
        tracing.Tracing.to("http://127.0.0.1:9")
