"""WS-I Basic Profile 1.1 by rule number: what is published and answered keeps it, and what breaks it is seen.

No tool of WS-I is to be had any more; the rules are checked here, one function each. Left out are those
about what does not occur: one-way operations, rpc style, headers and faults in the description, cookies,
redirects, UDDI.
"""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from birdbath.client import Schedd
from birdbath.soap import ServiceName, wsdl
from tests.server_process import running_server
from tests.soap.wire import SOAP_11, call, envelope, operation
from tests.wsi import descriptions, messages, receivers
from tests.wsi.descriptions import DescriptionRule
from tests.wsi.exchange import Receiver, Reply, Request
from tests.wsi.messages import MessageRule
from tests.wsi.receivers import ReceiverRule

SERVICES: list[ServiceName] = [
    "condorSchedd",
    "condorCollector",
    "birdbathEvents",
    "birdbathQueries",
    "birdbathFederation",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with running_server(tmp_path_factory.mktemp("wsi")) as process:
        address = process.url.removeprefix("http://")

        def receive(request: Request) -> Reply:
            connection = http.client.HTTPConnection(address, timeout=60)
            try:
                connection.request(request.method, "/", request.body, dict(request.headers))
                reply = connection.getresponse()
                headers = {name.lower(): value for name, value in reply.getheaders()}
                return Reply(reply.status, headers, reply.read())
            finally:
                connection.close()

        yield receive


def by_number(rule: MessageRule | ReceiverRule | DescriptionRule) -> str:
    return rule.number


# ---------------------------------------------------------------- messages

REQUESTS = {
    "a status": call("requestReschedule"),
    "a string": call("getVersionString"),
    "a transaction": call("beginTransaction", "<duration>60</duration>"),
    "a refusal": call("newCluster"),
    "a template": call("createJobTemplate", "<clusterId>1</clusterId><jobId>0</jobId><owner>a&#233;</owner>"),
    "ads": call("queryStartdAds"),
    "no ads": call("getJobAds"),
    "with a header": envelope(operation("getVersionString"), header="<e:Header/>"),
    "a fault": call("noSuchOperation"),
    "a fault of types": call("beginTransaction", "<duration>x</duration>"),
    "a fault of versions": envelope(operation("getVersionString"), soap="urn:x"),
    "a fault of headers": envelope("", header="<e:Header><x e:mustUnderstand='1'/></e:Header>"),
}


@pytest.mark.parametrize("rule", messages.RULES, ids=by_number)
def test_replies_keep_the_rule(rule: MessageRule, server: Receiver) -> None:
    for name, body in REQUESTS.items():
        assert list(rule.check(server(Request(body)))) == [], name


@pytest.mark.parametrize("rule", messages.RULES, ids=by_number)
def test_a_reply_that_breaks_the_rule_is_seen(rule: MessageRule, server: Receiver) -> None:
    good = server(Request(REQUESTS["a fault" if rule.of_faults else "a string"]))
    assert list(rule.check(good)) == []
    assert list(rule.check(rule.spoil(good))) != []


@pytest.mark.parametrize("rule", receivers.RULES, ids=by_number)
def test_the_server_keeps_the_rule(rule: ReceiverRule, server: Receiver) -> None:
    """Or breaks it, where the table says why it has to."""
    assert bool(list(rule.check(server))) == (rule.broken is not None)


@pytest.mark.parametrize("rule", receivers.RULES, ids=by_number)
def test_a_receiver_that_breaks_the_rule_is_seen(rule: ReceiverRule) -> None:
    assert list(rule.check(rule.bad)) != []


# ---------------------------------------------------------------- descriptions


@pytest.mark.parametrize("rule", descriptions.RULES, ids=by_number)
@pytest.mark.parametrize("service", SERVICES)
def test_the_wsdl_keeps_the_rule(service: ServiceName, rule: DescriptionRule) -> None:
    assert list(rule.check(etree.fromstring(wsdl(service)))) == []


@pytest.mark.parametrize("rule", descriptions.RULES, ids=by_number)
def test_a_wsdl_that_breaks_the_rule_is_seen(rule: DescriptionRule) -> None:
    root = etree.fromstring(wsdl("condorSchedd"))
    rule.spoil(root)
    assert list(rule.check(root)) != []


# ---------------------------------------------------------------- requests


@pytest.fixture
def sent() -> Iterator[http.server.HTTPServer]:
    """A server that has the WSDL, and notes what it is sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            address = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            self.wfile.write(wsdl("condorSchedd", address))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            noted.append((self.request_version, dict(self.headers), body))
            self.send_response(500)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Quietly."""

    noted: list[tuple[str, dict[str, str], bytes]] = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.noted = noted  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_of_our_own_client(sent: http.server.HTTPServer, tmp_path: Path) -> None:
    """R1132 and R1141 (POST by HTTP/1.1), R1109 and R2745 (SOAPAction as the WSDL has it, quoted), R2712
    (the child of Body is the element of the message), R1012 and R1018 (UTF-8, and said so).
    """
    with pytest.raises(Exception, match="500"):
        Schedd(f"http://127.0.0.1:{sent.server_port}").version()
    ((version, headers, body),) = sent.noted  # type: ignore[attr-defined]
    named = {name.lower(): value for name, value in headers.items()}
    assert version == "HTTP/1.1"
    assert named["soapaction"] == '""'
    assert named["content-type"].replace('"', "").lower() == "text/xml; charset=utf-8"
    root = etree.fromstring(body)
    found = root.find(f"{{{SOAP_11}}}Body")
    assert found is not None
    assert [child.tag for child in found] == ["{urn:condor}getVersionString"]
