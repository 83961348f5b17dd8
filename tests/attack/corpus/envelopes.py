"""Envelopes, headers, operations and attachments that are not what they say."""

from __future__ import annotations

from tests.attack.corpus.cases import MILLION, SEND, VERSION, Place, case
from tests.soap.wire import SOAP_11, SOAP_12, call, envelope, operation

for value in ("1", "true"):
    header = f"<e:Header><x:y xmlns:x='urn:x' e:mustUnderstand='{value}'/></e:Header>"
    case(f"mustUnderstand={value}", envelope(operation("getVersionString"), header=header), "MustUnderstand")
    case(
        f"mustUnderstand={value} of SOAP 1.2",
        envelope(operation("getVersionString"), header=header, soap=SOAP_12),
        "MustUnderstand",
    )
case(
    "mustUnderstand=0",
    envelope(operation("getVersionString"), header="<e:Header><x e:mustUnderstand='0'/></e:Header>"),
    "SUCCESS",
)
case(
    "mustUnderstand by a huge name",
    envelope(
        operation("getVersionString"), header=f"<e:Header><{'x' * MILLION} e:mustUnderstand='1'/></e:Header>"
    ),
    "MustUnderstand",
)
for namespace in (
    "http://www.w3.org/2001/12/soap-envelope",
    "http://www.w3.org/2003/05/soap-envelope/",
    "urn:x",
    SOAP_11.upper(),
):
    case(
        f"the envelope of {namespace}",
        envelope(operation("getVersionString"), soap=namespace),
        "VersionMismatch",
    )
case("no envelope", operation("getVersionString").encode())
case("an envelope of nothing", f"<Envelope xmlns='{SOAP_11}'/>".encode())
case("a body of nothing", envelope(""))
case("a fault as a request", envelope("<e:Fault><faultcode>e:Client</faultcode></e:Fault>"))
case("a body within a body", envelope(f"<e:Body>{operation('getVersionString')}</e:Body>"))
case(
    "an envelope of SOAP 1.1 around a body of 1.2",
    VERSION.replace(b"e:Body", b"f:Body").replace(b"<f:Body", f"<f:Body xmlns:f='{SOAP_12}'".encode(), 1),
)
case("an operation that is none", envelope(operation("__init__")))
case("an operation of Python's", envelope(operation("__class__.__mro__")))
case("nothing", b"")
case("one byte", b"<")
case("no XML but JSON", b'{"jsonrpc": "2.0", "method": "getVersionString"}')
case(
    "a SOAPAction that contradicts the body",
    VERSION,
    "SUCCESS",
    headers=(b'SOAPAction: "urn:condor#removeCluster"',),
)
case("a SOAPAction of control characters", VERSION, "HTTP 400", headers=(b"SOAPAction: \x01\x02%00",))
case(
    "a content type of SOAP 1.2 that contradicts the envelope",
    VERSION,
    "SUCCESS",
    content_type=b'application/soap+xml; action="urn:condor#removeJob"',
)

XOP = "<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='{}'/>"
for name, target in {
    "a web server": "http://127.0.0.1:{at.port}/part",
    "a file": "file://{at.file}",
    "another message": "mid:other@example.org",
    "no part": "cid:nothing",
}.items():

    def body(at: Place, target: str = target) -> bytes:
        return call("sendFile", SEND.format(XOP.format(target.format(at=at))))

    case(f"an MTOM part in {name}", body)
case(
    "an MTOM message whose parts are elsewhere",
    lambda at: (
        b"--b\r\nContent-Type: application/xop+xml\r\n\r\n"
        + call("sendFile", SEND.format(XOP.format("cid:p")))
        + b"\r\n--b\r\nContent-ID: <p>\r\nContent-Location: http://127.0.0.1:%d/\r\n\r\n\r\n--b--" % at.port
    ),
    content_type=b'multipart/related; type="application/xop+xml"; boundary=b',
)
