"""The rules of WS-I Basic Profile 1.1 about whoever receives a message.

Each sends requests to a receiver and returns what breaks the rule; `bad` is a receiver that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.soap.wire import SOAP_12, call, envelope, operation
from tests.wsi.exchange import Receiver, Reply, Request

Check = Callable[[Receiver], Iterator[str]]

SUCCESS = Reply(
    200,
    {"content-type": "text/xml; charset=utf-8"},
    envelope("<c:getVersionStringResponse xmlns:c='urn:condor'/>"),
)
FAULT = Reply(
    500,
    {"content-type": "text/xml; charset=utf-8"},
    envelope("<e:Fault><faultcode>e:Client</faultcode><faultstring>no</faultstring></e:Fault>"),
)
VERSION = call("getVersionString")


@dataclass(frozen=True)
class ReceiverRule:
    """A rule by its number; `broken` says why the contract cannot keep it, where it cannot."""

    number: str
    text: str
    check: Check
    bad: Receiver
    broken: str | None = None


RULES: list[ReceiverRule] = []


def rule(number: str, text: str, bad: Reply, broken: str | None = None) -> Callable[[Check], Check]:
    def add(check: Check) -> Check:
        RULES.append(ReceiverRule(number, text, check, lambda _: bad, broken))
        return check

    return add


def code_of(reply: Reply) -> str:
    fault = reply.fault
    return "" if fault is None else (fault.findtext("faultcode") or "").rpartition(":")[2]


@rule("R1010", "an XML declaration is accepted", FAULT)
def _(receive: Receiver) -> Iterator[str]:
    for declaration in (b"", b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="utf-8"?>'):
        if receive(Request(declaration + VERSION)).fault is not None:
            yield declaration.decode()


@rule("R1015", "a document element that is no Envelope is a fault", SUCCESS)
def _(receive: Receiver) -> Iterator[str]:
    for document in (operation("getVersionString"), "<Envelope/>", "<soap:Envelope xmlns:soap='urn:soap'/>"):
        if receive(Request(document.encode())).fault is None:
            yield document


@rule(
    "R1015 (SOAP 1.2)",
    "an Envelope of another version is a fault",
    SUCCESS,
    broken="SOAP 1.2 envelopes were always accepted and answered in SOAP 1.1 (reference section 1.2)",
)
def _(receive: Receiver) -> Iterator[str]:
    if receive(Request(envelope(operation("getVersionString"), soap=SOAP_12))).fault is None:
        yield "SOAP 1.2"


@rule("R1017", "xsi:type is not demanded", FAULT)
def _(receive: Receiver) -> Iterator[str]:
    if receive(Request(call("getJobAds", "<constraint>FALSE</constraint>"))).fault is not None:
        yield "an untyped child"


def mandatory(body: str) -> bytes:
    return envelope(body, header="<e:Header><x:y xmlns:x='urn:x' e:mustUnderstand='1'/></e:Header>")


@rule("R1027", "a mandatory header that is not understood is a MustUnderstand fault", SUCCESS)
def _(receive: Receiver) -> Iterator[str]:
    code = code_of(receive(Request(mandatory(operation("getVersionString")))))
    if code != "MustUnderstand":
        yield code


@rule("R1025", "mandatory headers are looked at before anything is processed", FAULT)
def _(receive: Receiver) -> Iterator[str]:
    """Of two mistakes in a request, the header's is told."""
    code = code_of(receive(Request(mandatory(operation("noSuchOperation")))))
    if code != "MustUnderstand":
        yield code


@rule(
    "R1028", "a request that is a fault has no effect", replace(FAULT, body=FAULT.body.replace(b"urn", b""))
)
def _(receive: Receiver) -> Iterator[str]:
    """An ad of a name of its own, sent with a mandatory header, is not there afterwards."""
    item = "<item><name>{}</name><type>STRING-ATTR</type><value>{}</value></item>"
    ad = f"<type>5</type><ad>{item.format('Name', 'r1028')}{item.format('Seen', 'r1028')}</ad>"
    receive(Request(mandatory(operation("insertAd", ad))))
    found = receive(Request(call("queryLicenseAds", '<constraint>Seen == "r1028"</constraint>')))
    if b"r1028" in found.body or found.fault is not None:
        yield "the ad is there"


@rule("R1029", "a request that is processed gets the normal reply", FAULT)
def _(receive: Receiver) -> Iterator[str]:
    if [str(child.tag) for child in receive(Request(VERSION)).content] != [
        "{urn:condor}getVersionStringResponse"
    ]:
        yield "another reply"


@rule("R1030", "a request that is not processed gets a fault", SUCCESS)
def _(receive: Receiver) -> Iterator[str]:
    if receive(Request(call("noSuchOperation"))).fault is None:
        yield "no fault"


@rule("R1113", "what is malformed as HTTP gets 400", replace(SUCCESS, status=200))
def _(receive: Receiver) -> Iterator[str]:
    status = receive(Request(VERSION, headers={"Content-Type": "text/xml", "Bad Name": "x"})).status
    if status != 400:
        yield str(status)


@rule("R1114", "other methods than POST get 405", replace(SUCCESS, status=200))
def _(receive: Receiver) -> Iterator[str]:
    for method in ("PUT", "DELETE", "PATCH"):
        status = receive(Request(VERSION, method=method)).status
        if status != 405:
            yield f"{method}: {status}"


@rule(
    "R1115",
    "other content types than text/xml get 415",
    replace(SUCCESS, status=200),
    broken="the Content-Type of requests that change nothing was never looked at (reference section 1.2)",
)
def _(receive: Receiver) -> Iterator[str]:
    status = receive(
        Request(VERSION, headers={"Content-Type": "application/json", "SOAPAction": '""'})
    ).status
    if status != 415:
        yield str(status)


@rule(
    "R1119", "a SOAPAction without quotation marks, or none, is at most a fault", replace(SUCCESS, status=404)
)
def _(receive: Receiver) -> Iterator[str]:
    for headers in ({"SOAPAction": "x"}, {}):
        reply = receive(Request(VERSION, headers={"Content-Type": "text/xml; charset=utf-8", **headers}))
        if reply.status not in (200, 500):
            yield str(reply.status)
