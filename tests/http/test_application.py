"""The HTTP side in process: routes, bodies, limits (reference sections 1.2 and 1.7)."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import Any

import pytest
from lxml import etree

from birdbath.access import Caller
from birdbath.classads import AdList
from birdbath.http import HttpApplication, HttpSettings
from birdbath.http.asgi import BLOCK_BYTES, Message, blocks
from birdbath.schedd import Transaction
from birdbath.soap import Call, SoapServer, UsernameToken, wsdl
from birdbath.soap.cutting import CutOut
from birdbath.soap.server import THREAD_BYTES
from tests.http.driver import application, exchange, get, post, scope
from tests.soap.wire import Daemons, Recorder, ad_list, call, envelope, schedd

VERSION = "$CondorVersion: 8.4.12 $"


def piece(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


# ---------------------------------------------------------------- POST


@pytest.mark.parametrize(
    "path", ["/", "", "/schedd", "/collector", "/condorSchedd.wsdl", "/a/b%20c/../d", "/x?wsdl"]
)
def test_soap_on_any_path_for_both_services(path: str) -> None:
    daemons = Daemons(Recorder(version_string=VERSION), Recorder(query_ads=AdList([], 1)))
    app = application(daemons)
    assert VERSION in post(app, call("getVersionString"), path).text
    assert "<result></result>" in post(app, call("queryStartdAds"), path).text


@pytest.mark.parametrize("default", ["schedd", "collector"])
def test_the_version_is_the_same_whatever_the_port(default: Any) -> None:
    app = HttpApplication(schedd(version_string=VERSION), HttpSettings(), default)
    assert VERSION in post(app, call("getVersionString")).text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"soapaction": '""'},
        {"soapaction": "urn:condor#getVersionString"},
        {"content_type": "text/xml"},
        {"content_type": "application/soap+xml; charset=utf-8"},
        {"content_type": "text/xml; charset=bogus"},
        {"content_type": "nonsense"},
    ],
)
def test_soap_action_and_content_type_do_not_matter(headers: dict[str, str]) -> None:
    response = post(application(schedd(version_string=VERSION)), call("getVersionString"), **headers)
    assert response.status == 200
    assert VERSION in response.text


def test_headers_of_a_reply() -> None:
    response = post(application(schedd(begin_transaction=Transaction(1234, 60))), call("beginTransaction"))
    assert response.headers == {"content-type": "text/xml; charset=utf-8", "content-length": "566"}
    assert len(response.pieces) == 1


def test_headers_of_a_fault() -> None:
    response = post(application(), b"")
    assert response.status == 500
    assert response.headers["content-type"] == "text/xml; charset=utf-8"
    assert int(response.headers["content-length"]) == len(response.body)
    assert "no content" in response.text


def test_a_body_in_pieces() -> None:
    request = call("getVersionString")
    messages = [
        piece(request[:40]),
        piece(b""),
        piece(request[40:41]),
        piece(request[41:]),
        piece(b"", False),
    ]
    response = asyncio.run(exchange(application(schedd(version_string=VERSION)), scope(), messages))
    assert VERSION in response.text


def test_a_file_of_twenty_megabytes_in_one_call() -> None:
    daemons = schedd()
    content = bytes(range(256)) * (20_000_000 // 256)
    data = base64.b64encode(content).decode()
    response = post(application(daemons), call("sendFile", f"<offset>0</offset><data>{data}</data>"))
    assert response.status == 200
    assert daemons.arguments[-1] == content


def test_what_has_read_a_large_request_does_not_stay() -> None:
    """lxml keeps every name that it has seen for as long as the thread lives."""
    threads: list[threading.Thread] = []
    server = SoapServer()
    received = server._received

    def recording(document: bytes, cut_out: CutOut, token: UsernameToken | None, content_type: str) -> Any:
        threads.append(threading.current_thread())
        return received(document, cut_out, token, content_type)

    server._received = recording  # type: ignore[method-assign]
    backend = schedd(version_string=VERSION)
    request = call("getVersionString", "x" * THREAD_BYTES)

    async def run(call: Call) -> Any:
        return await backend.run(call.operation, Caller("192.0.2.7"), call.execute)

    assert asyncio.run(server.answer(request, "", run)).status == 200
    assert threads[0] is not threading.current_thread()
    assert not threads[0].is_alive()


def test_a_client_that_leaves_gets_no_answer() -> None:
    daemons = Daemons()
    messages: list[Message] = [piece(call("requestReschedule")[:40]), {"type": "http.disconnect"}]
    response = asyncio.run(exchange(application(daemons), scope(), messages))
    assert response.status == 0
    assert daemons.runs == []


def fault_text(body: bytes) -> str:
    return etree.fromstring(body).findtext(".//faultstring") or ""


@pytest.mark.parametrize(
    ("declared", "messages"),
    [
        ("2000", [piece(b"x" * 1000), piece(b"x" * 1000, False)]),
        ("", [piece(b"x" * 1000), piece(b"x" * 1000, False)]),
        ("", [piece(b"x" * 1001, False)]),
        ("99999999999", [piece(b"x" * 1500), piece(b"x" * 1500)]),  # not waited for to the end
        ("99999999999", [piece(b"x" * 10), {"type": "http.disconnect"}]),
    ],
)
def test_too_large_a_body(declared: str, messages: list[Message]) -> None:
    daemons = Daemons()
    request = scope(content_length=declared) if declared else scope()
    response = asyncio.run(exchange(application(daemons, max_request_bytes=1000), request, messages))
    assert daemons.runs == []
    if messages[-1]["type"] == "http.disconnect":
        assert response.status == 0
        return
    assert response.status == 413
    assert response.headers["connection"] == "close"
    assert "longer than 1000 bytes" in fault_text(response.body)


def test_a_client_that_asks_first_is_told_at_once() -> None:
    request = scope(content_length="2000", expect="100-continue")
    response = asyncio.run(exchange(application(max_request_bytes=1000), request, []))
    assert response.status == 413


def test_a_body_of_exactly_the_limit() -> None:
    request = call("getVersionString")
    app = application(schedd(version_string=VERSION), max_request_bytes=len(request))
    assert post(app, request, content_length=str(len(request))).status == 200


def test_a_body_that_does_not_arrive() -> None:
    daemons = Daemons()
    app = application(daemons, body_seconds=0.01)
    response = asyncio.run(exchange(app, scope(), [piece(b"<")]))
    assert response.status == 408
    assert response.headers["connection"] == "close"
    assert "0.01 seconds" in fault_text(response.body)
    assert daemons.runs == []


def test_the_backend_is_told_the_operation_and_the_caller() -> None:
    daemons = schedd(new_cluster=1)
    post(application(daemons), call("newCluster"))
    assert daemons.runs == [("newCluster", Caller("192.0.2.7"))]


def test_an_unexpected_error_is_a_fault() -> None:
    response = post(application(schedd(new_cluster=KeyError("inside"))), call("newCluster"))
    assert response.status == 500
    assert "reference" in fault_text(response.body)
    assert "inside" not in response.text


def test_a_long_reply_goes_out_in_blocks() -> None:
    ads = ad_list(*[[("A", "s", "x" * 1000)]] * 1000)
    response = post(application(schedd(get_job_ads=ads)), call("getJobAds"))
    assert int(response.headers["content-length"]) == len(response.body) > 1_000_000
    assert response.pieces[-1] == b""
    assert all(BLOCK_BYTES <= len(block) < 2 * BLOCK_BYTES for block in response.pieces[:-2])
    assert len(etree.fromstring(response.body).findall(".//classAdArray/item")) == 1000


@pytest.mark.parametrize(
    "sizes", [[], [0], [1], [9], [10], [11], [3, 4, 5, 6], [3, 35, 4], [20], [25, 25], [10, 10], [1] * 100]
)
def test_blocks_keep_every_byte(sizes: list[int]) -> None:
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    result = list(blocks(chunks, 10))
    assert b"".join(result) == b"".join(chunks)
    assert all(len(block) <= 20 for block in result)
    assert len(result) <= sum(sizes) / 5 + 1


def test_soap_12_fault() -> None:
    request = envelope("<x/>", soap="http://www.w3.org/2003/05/soap-envelope")
    response = post(application(), request, content_type="application/soap+xml")
    assert (response.status, response.headers["content-type"]) == (400, "application/soap+xml; charset=utf-8")


# ---------------------------------------------------------------- GET


@pytest.mark.parametrize(
    ("path", "query", "service"),
    [
        ("/condorSchedd.wsdl", "", "condorSchedd"),
        ("/condorCollector.wsdl", "", "condorCollector"),
        ("/condorcollector.WSDL", "", "condorCollector"),
        ("/deep/condorSchedd.wsdl", "", "condorSchedd"),
        ("/schedd", "wsdl", "condorSchedd"),
        ("/collector", "wsdl", "condorCollector"),
        ("/collector/", "WSDL", "condorCollector"),
        ("/collector", "wsdl=", "condorCollector"),
        ("/soap/condorCollector", "wsdl", "condorCollector"),
        ("/", "wsdl", "condorSchedd"),
        ("/anything", "Wsdl", "condorSchedd"),
    ],
)
def test_wsdl(path: str, query: str, service: Any) -> None:
    response = get(application(), path, query, host="h.example.org:81")
    address = f"http://h.example.org:81/{service.removeprefix('condor').lower()}"
    assert response.status == 200
    assert response.headers["content-type"] == "text/xml; charset=utf-8"
    assert response.body == wsdl(service, address)


def test_the_default_service_decides_what_wsdl_of_the_root_is() -> None:
    app = HttpApplication(Daemons(), default_service="collector")
    assert b'name="condorCollector"' in get(app, "/", "wsdl").body
    assert b'name="condorSchedd"' in get(app, "/schedd", "wsdl").body


def test_the_wsdl_is_never_that_of_another_request() -> None:
    app = application()
    one = get(app, "/condorSchedd.wsdl", host="one.example.org").text
    two = get(app, "/condorSchedd.wsdl", host="two.example.org").text
    assert "one.example.org" in one
    assert "one.example.org" not in two
    assert "two.example.org" in two


def test_the_page_at_the_root() -> None:
    response = get(application(), "/", host="h.example.org")
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = etree.fromstring(response.body, etree.HTMLParser())
    files = ["condorSchedd.wsdl", "condorCollector.wsdl", "birdbathEvents.wsdl"]
    assert page.xpath("//a/@href") == [
        *files,
        "birdbathQueries.wsdl",
        "birdbathFederation.wsdl",
        "health/ready",
        "metrics",
    ]
    assert page.xpath("//script | //img | //link") == []
    assert "http://h.example.org/schedd" in response.text


@pytest.mark.parametrize(("path", "query"), [("/", ""), ("/condorSchedd.wsdl", ""), ("/nothing", "")])
def test_head_is_get_without_the_body(path: str, query: str) -> None:
    full, head = get(application(), path, query), get(application(), path, query, "HEAD")
    assert (head.status, head.headers, head.body) == (full.status, full.headers, b"")


@pytest.mark.parametrize(
    ("path", "query"), [("/nothing", ""), ("/other.wsdl", ""), ("/schedd", ""), ("/schedd", "x=wsdl")]
)
def test_not_found(path: str, query: str) -> None:
    response = get(application(), path, query)
    assert response.status == 404
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert "SOAP comes by POST" in response.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(method: str) -> None:
    response = get(application(), "/", method=method)
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST")
    assert method in response.text


# ---------------------------------------------------------------- what is not HTTP


def test_lifespan() -> None:
    sent: list[str] = []

    async def run() -> None:
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Message:
            return next(messages)

        async def send(message: Message) -> None:
            sent.append(message["type"])

        await application()({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_websocket_is_refused() -> None:
    sent: list[str] = []

    async def run() -> None:
        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message["type"])

        await application()({"type": "websocket"}, receive, send)

    asyncio.run(run())
    assert sent == ["websocket.close"]


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        application(trusted_proxies=("nonsense",))
