"""Faults: reference section 1.5, SOAP 1.2 requests, and the one handler of unexpected errors."""

from __future__ import annotations

import asyncio
import gzip
import logging
from base64 import b64encode

import pytest
from lxml import etree

from birdbath.access import Caller
from birdbath.errors import PermissionDenied, RequestFault
from birdbath.soap import Reply, refusal
from birdbath.soap.server import THREAD_BYTES
from tests.soap.wire import SERVER, SOAP_12, Daemons, ask, body, call, data, envelope, operation, schedd


def answer(daemons: Daemons, request: bytes) -> Reply:
    caller = Caller("127.0.0.1")
    return asyncio.run(
        SERVER.answer(request, "text/xml", lambda call: daemons.run(call.operation, caller, call.execute))
    )


def parts(reply: Reply) -> tuple[str, str]:
    """Code and text of a SOAP 1.1 fault, checked for its whole form."""
    (fault,) = etree.fromstring(data(reply))[-1]
    assert [child.tag for child in fault] == ["faultcode", "faultstring"]
    assert fault.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Fault"
    return fault[0].text or "", fault[1].text or ""


@pytest.mark.parametrize(
    ("request_bytes", "text"),
    [
        (b"", "no content"),
        (b"hello", "not well-formed"),
        (b"   ", "not well-formed"),
        (b"<", "not well-formed"),
        (b"\x00\x01\x02\x03", "UTF-16"),
        (gzip.compress(b"<Envelope/>", mtime=0), "compressed with gzip"),
        (b"\xff\xfe\xfd", "UTF-16"),
        (b"\x80abc", "not well-formed"),
        (call("getVersionString")[:-10], "not well-formed"),
        (call("getVersionString").replace(b"</e:Body>", b"</e:Bdy>"), "not well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "not understood"),
        (b"<a/>", "no SOAP envelope"),
        (b"<html><body/></html>", "no SOAP envelope"),
        (b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"/>', "no Body"),
        (envelope(""), "Body is empty"),
        (envelope("  text  "), "Body is empty"),
        (envelope(operation("nonsense")), "'nonsense' in namespace 'urn:condor'"),
    ],
)
def test_client_faults(request_bytes: bytes, text: str) -> None:
    reply = ask(Daemons(), request_bytes)
    code, message = parts(reply)
    assert (reply.status, reply.content_type) == (500, "text/xml; charset=utf-8")
    assert code == "SOAP-ENV:Client"
    assert text in message


@pytest.mark.parametrize("namespace", ["urn:other", "http://www.w3.org/2001/12/soap-envelope"])
def test_another_envelope_namespace_is_a_version_mismatch(namespace: str) -> None:
    reply = ask(Daemons(), envelope(operation("getVersionString"), soap=namespace))
    assert reply.status == 500
    assert parts(reply)[0] == "SOAP-ENV:VersionMismatch"


@pytest.mark.parametrize("value", ["1", "true", " 1 "])
def test_a_mandatory_header_entry_is_a_must_understand_fault(value: str) -> None:
    header = f'<e:Header><x/><s:Security xmlns:s="urn:s" e:mustUnderstand="{value}"/></e:Header>'
    reply = ask(Daemons(), envelope(operation("getVersionString"), header=header))
    code, text = parts(reply)
    assert (reply.status, code) == (500, "SOAP-ENV:MustUnderstand")
    assert "{urn:s}Security" in text
    assert b"<SOAP-ENV:Header></SOAP-ENV:Header>" in data(reply)


@pytest.mark.parametrize(
    ("name", "header", "code"),
    [
        ("nonsense", "", "Sender"),
        ("getVersionString", '<e:Header><x e:mustUnderstand="true"/></e:Header>', "MustUnderstand"),
    ],
)
def test_a_fault_for_soap_12_is_soap_12(name: str, header: str, code: str) -> None:
    reply = ask(Daemons(), envelope(operation(name), soap=SOAP_12, header=header))
    assert (reply.status, reply.content_type) == (400, "application/soap+xml; charset=utf-8")
    root = etree.fromstring(data(reply))
    ns = {"s": SOAP_12}
    assert root.tag == f"{{{SOAP_12}}}Envelope"
    assert root.findtext("s:Body/s:Fault/s:Code/s:Value", namespaces=ns) == f"SOAP-ENV:{code}"
    assert root.findtext("s:Body/s:Fault/s:Reason/s:Text", namespaces=ns)


def test_an_unexpected_error_for_soap_12_is_a_receiver_fault() -> None:
    reply = answer(schedd(new_cluster=ZeroDivisionError()), envelope(operation("newCluster"), soap=SOAP_12))
    assert reply.status == 500
    assert b"SOAP-ENV:Receiver" in data(reply)


def test_long_texts_of_the_request_are_cut() -> None:
    reply = ask(Daemons(), envelope(operation("n" * 10_000)))
    assert len(parts(reply)[1]) < 600


def test_special_characters_in_a_fault_are_escaped() -> None:
    reply = ask(Daemons(), b'<a xmlns="urn:&lt;&amp;&#10;"/>')
    assert "urn:<&" in parts(reply)[1]


def test_a_request_fault_is_a_client_fault() -> None:
    reply = answer(schedd(get_job_ads=RequestFault("bad constraint")), call("getJobAds"))
    assert reply.status == 500
    assert parts(reply) == ("SOAP-ENV:Client", "bad constraint")


class Refusing(Daemons):
    """A backend that does not even begin a unit of work."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def run(self, *_: object) -> Reply:  # type: ignore[override]
        raise self.error


def test_a_refusal_before_the_work_has_the_shape_of_the_operation() -> None:
    reply = answer(Refusing(PermissionDenied()), call("newCluster"))
    assert reply.status == 200
    assert body(reply) == (
        "<condor:newClusterResponse><response><status><code>FAIL</code><message>Permission denied</message>"
        "</status><integer>0</integer></response></condor:newClusterResponse>"
    )


def test_a_request_fault_before_the_work_is_a_client_fault() -> None:
    reply = answer(Refusing(RequestFault("no")), call("newCluster"))
    assert parts(reply) == ("SOAP-ENV:Client", "no")


def test_an_unexpected_error_is_logged_once_and_answered_with_its_reference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "the-secret-of-the-request"
    request = call("getJobAds", f"<constraint>{secret}</constraint>")
    reply = answer(schedd(get_job_ads=ZeroDivisionError("inside")), request)
    code, text = parts(reply)
    assert (reply.status, code) == (500, "SOAP-ENV:Server")
    assert "inside" not in text
    (entry,) = [entry for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert text.rpartition(" ")[2] in entry.getMessage()
    assert entry.exc_info is not None
    assert entry.exc_info[0] is ZeroDivisionError
    assert secret not in caplog.text


def test_a_request_that_breaks_the_reader_is_answered_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SERVER.app.in_protocol, "deserialize", broken)
    code, text = parts(answer(Daemons(), call("getVersionString")))
    assert code == "SOAP-ENV:Server"
    assert text.rpartition(" ")[2] in caplog.text


def test_a_refused_request_starts_no_unit_of_work() -> None:
    daemons = Daemons()
    assert parts(answer(daemons, call("nonsense")))[0] == "SOAP-ENV:Client"
    assert daemons.runs == []


def test_an_error_after_the_work_replaces_its_reply() -> None:
    """The unit of work could not be made durable: what the operation wanted to say is void."""

    class Failing(Daemons):
        async def run(self, operation, caller, work):  # type: ignore[no-untyped-def]
            work(self.operations)
            raise RuntimeError("nobody expected this")

    reply = answer(Failing(), call("commitTransaction"))
    assert parts(reply)[0] == "SOAP-ENV:Server"
    assert b"SUCCESS" not in data(reply)


def test_nothing_of_a_bad_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ask(Daemons(), call("beginTransaction", "<duration>private-words</duration>"))
    ask(Daemons(), b"<private-words")
    assert "private-words" not in caplog.text


def test_long_requests_are_read_in_a_thread_with_the_same_result() -> None:
    daemons = schedd()
    request = call("getJobAds", f"<constraint>{'x' * THREAD_BYTES}</constraint>")
    assert (answer(daemons, request)).status == 200
    assert daemons.arguments == (None, "x" * THREAD_BYTES)


def test_a_chunk_with_much_around_it_is_read_in_a_thread_too() -> None:
    daemons, chunk = schedd(), bytes(3000)
    children = f"<name>f</name><data>{b64encode(chunk).decode()}</data>{' ' * THREAD_BYTES}"
    assert answer(daemons, call("sendFile", children)).status == 200
    assert daemons.arguments[-1] == chunk


def test_a_refusal_without_a_request() -> None:
    reply = refusal("too much", 413)
    assert reply.status == 413
    assert parts(reply) == ("SOAP-ENV:Client", "too much")
