"""WS-I Basic Profile 1.1: rules about messages and WSDL, by number, each with a document that breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lxml import etree

from birdbath.soap import wsdl
from tests.http.driver import application, get, post
from tests.soap import contract
from tests.soap.wire import SOAP_11, Daemons, Recorder, ask, call, data, envelope, operation, schedd

Element = etree._Element
SOAP = f"{{{SOAP_11}}}"
ENCODING_STYLE = f"{SOAP}encodingStyle"
W = "{http://schemas.xmlsoap.org/wsdl/}"
S = "{http://schemas.xmlsoap.org/wsdl/soap/}"
X = "{http://www.w3.org/2001/XMLSchema}"
HTTP = "http://schemas.xmlsoap.org/soap/http"


@dataclass(frozen=True)
class Rule:
    """A rule: whether a document keeps it, and how one that keeps it is made to break it."""

    number: str
    text: str
    is_kept: Callable[[bytes], bool]
    harm: Callable[[bytes], bytes]


def root_of(document: bytes) -> Element:
    return etree.fromstring(document, etree.XMLParser(resolve_entities=False))


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The document with the first `old` replaced; it has to be there."""

    def harm(document: bytes) -> bytes:
        assert old in document, old
        return document.replace(old, new, 1)

    return harm


def of_root(judge: Callable[[Element], bool]) -> Callable[[bytes], bool]:
    return lambda document: judge(root_of(document))


def body_of(root: Element) -> Element:
    body = root.find(f"{SOAP}Body")
    assert body is not None
    return body


def namespace(element: Element) -> str:
    return etree.QName(element).namespace or ""


def fault_of(root: Element) -> Element:
    fault = body_of(root)[0]
    assert fault.tag == f"{SOAP}Fault"
    return fault


ANY_MESSAGE = [
    Rule(
        "R9980",
        "an envelope has the structure of SOAP 1.1, section 4",
        of_root(lambda r: r.tag == f"{SOAP}Envelope" and [c.tag for c in r][-1] == f"{SOAP}Body"),
        swapped(b"SOAP-ENV:Body", b"SOAP-ENV:Head"),
    ),
    Rule(
        "R9981",
        "the Body has at most one child",
        of_root(lambda r: len(body_of(r)) <= 1),
        swapped(b"</SOAP-ENV:Body>", b"<x xmlns='urn:x'/></SOAP-ENV:Body>"),
    ),
    Rule(
        "R1014",
        "the children of Body are in a namespace",
        of_root(lambda r: all(map(namespace, body_of(r)))),
        swapped(b"</SOAP-ENV:Body>", b"<x/></SOAP-ENV:Body>"),
    ),
    Rule(
        "R1011",
        "nothing follows the Body",
        of_root(lambda r: r[-1].tag == f"{SOAP}Body"),
        swapped(b"</SOAP-ENV:Envelope>", b"<x xmlns='urn:x'/></SOAP-ENV:Envelope>"),
    ),
    Rule(
        "R1005",
        "elements of the envelope's namespace have no encodingStyle",
        of_root(lambda r: not any(e.get(ENCODING_STYLE) for e in r.iter(f"{SOAP}*"))),
        swapped(b"<SOAP-ENV:Body", b"<SOAP-ENV:Body SOAP-ENV:encodingStyle='urn:x'"),
    ),
    Rule(
        "R1006",
        "the children of Body have no encodingStyle",
        of_root(lambda r: not any(e.get(ENCODING_STYLE) for e in body_of(r))),
        lambda d: re.sub(rb"(<SOAP-ENV:Body><[\w:-]+)", rb"\1 SOAP-ENV:encodingStyle='urn:x'", d, count=1),
    ),
    Rule(
        "R1008",
        "there is no document type declaration",
        lambda d: b"<!DOCTYPE" not in d,
        lambda d: d.replace(b"?>\n", b"?>\n<!DOCTYPE x>", 1),
    ),
    Rule(
        "R1009",
        "there is no processing instruction",
        lambda d: not list(root_of(d).iter(etree.ProcessingInstruction)),
        swapped(b"</SOAP-ENV:Body>", b"</SOAP-ENV:Body><?x?>"),
    ),
    Rule(
        "R1012",
        "the encoding is UTF-8 or UTF-16",
        lambda d: (root_of(d).getroottree().docinfo.encoding or "UTF-8").upper() in ("UTF-8", "UTF-16"),
        swapped(b'encoding="UTF-8"', b'encoding="ISO-8859-1"'),
    ),
    Rule(
        "R1013",
        "mustUnderstand is 0 or 1",
        of_root(
            lambda r: all(e.get(f"{SOAP}mustUnderstand") in (None, "0", "1") for e in r.iter(etree.Element))
        ),
        swapped(b"<SOAP-ENV:Body", b"<SOAP-ENV:Body SOAP-ENV:mustUnderstand='true'"),
    ),
    Rule(
        "R1032",
        "Envelope, Header and Body have no attributes of the envelope's namespace",
        of_root(lambda r: not any(name.startswith(SOAP) for e in [r, *r] for name in map(str, e.attrib))),
        swapped(b"<SOAP-ENV:Body", b"<SOAP-ENV:Body SOAP-ENV:actor='urn:x'"),
    ),
]

FAULTS = [
    Rule(
        "R1000",
        "a Fault has no children but faultcode, faultstring, faultactor and detail",
        of_root(
            lambda r: (
                {etree.QName(e).localname for e in fault_of(r)}
                <= {"faultcode", "faultstring", "faultactor", "detail"}
            )
        ),
        swapped(b"</faultstring>", b"</faultstring><hint/>"),
    ),
    Rule(
        "R1001",
        "the children of a Fault are unqualified",
        of_root(lambda r: not any(map(namespace, fault_of(r)))),
        lambda d: d.replace(b"<faultstring>", b"<faultstring xmlns='urn:x'>", 1),
    ),
    Rule(
        "R1004",
        "faultcode is one of SOAP 1.1's, or in a namespace of its own",
        of_root(
            lambda r: (
                fault_of(r).findtext("faultcode", "").rpartition(":")[2]
                in ("VersionMismatch", "MustUnderstand", "Client", "Server")
            )
        ),
        swapped(b"SOAP-ENV:Client", b"SOAP-ENV:Clients"),
    ),
    Rule(
        "R1031",
        "faultcode has no dots",
        of_root(lambda r: "." not in fault_of(r).findtext("faultcode", ".")),
        swapped(b"SOAP-ENV:Client", b"SOAP-ENV:Client.Sender"),
    ),
    Rule(
        "R1016",
        "xml:lang may be on faultstring: readers take it, and a faultstring is there",
        of_root(lambda r: bool(fault_of(r).findtext("faultstring"))),
        lambda d: re.sub(rb"<faultstring>.*</faultstring>", b"<faultstring></faultstring>", d),
    ),
]


def parts_by(root: Element) -> dict[str, list[Element]]:
    return {message.get("name", ""): list(message.iter(f"{W}part")) for message in root.iter(f"{W}message")}


def operations(root: Element, place: str) -> list[str]:
    return [op.get("name", "") for op in root.findall(f"{W}{place}/{W}operation")]


WSDL = [
    Rule(
        "R2028",
        "the WSDL has the structure of its schema: known children in order",
        of_root(lambda r: in_order(r, ("import", "types", "message", "portType", "binding", "service"))),
        lambda d: d.replace(b"<types>", b"<message name='x'/><types>", 1),
    ),
    Rule(
        "R2005",
        "definitions has the target namespace of the schema's home",
        of_root(lambda r: r.get("targetNamespace") == "urn:condor"),
        swapped(b'targetNamespace="urn:condor"', b'targetNamespace=""'),
    ),
    Rule(
        "R2105",
        "each schema has a target namespace",
        of_root(lambda r: all(s.get("targetNamespace") for s in r.iter(f"{X}schema"))),
        swapped(b'<schema targetNamespace="urn:condor"', b"<schema"),
    ),
    Rule(
        "R2102",
        "types are of the schema itself, of what it imports, or XML Schema's",
        of_root(lambda r: all(known_type(e) for e in r.iter(f"{X}element"))),
        swapped(b'type="condor:', b'type="WSDL:'),
    ),
    Rule(
        "R2110",
        "no array of SOAP's encoding is extended or restricted",
        lambda d: b"SOAP-ENC:Array" not in d and b"soapenc:Array" not in d,
        swapped(b'type="condor:', b'type="SOAP-ENC:Array" x="'),
    ),
    Rule(
        "R2111",
        "wsdl:arrayType is not used",
        lambda d: b"arrayType" not in d,
        swapped(b"<part name=", b"<part WSDL:arrayType='x' name="),
    ),
    Rule(
        "R2112",
        "no type is called ArrayOf something",
        lambda d: b'"ArrayOf' not in d,
        swapped(b'<complexType name="', b'<complexType name="ArrayOf'),
    ),
    Rule(
        "R2201",
        "a message of a document-literal binding has at most one part in the body",
        of_root(lambda r: all(len(parts) <= 1 for parts in parts_by(r).values())),
        swapped(b"  </message>", b'    <part name="more" element="condor:submit"/></message>'),
    ),
    Rule(
        "R2204",
        "parts refer to elements",
        of_root(lambda r: all(p.get("element") for parts in parts_by(r).values() for p in parts)),
        lambda d: re.sub(rb'(<part name="parameters") element=', rb"\1 type=", d, count=1),
    ),
    Rule(
        "R2206",
        "the elements that parts refer to are global ones of the schema",
        of_root(
            lambda r: (
                {p.get("element", "").partition(":")[2] for ps in parts_by(r).values() for p in ps}
                <= {e.get("name") for e in r.findall(f"{W}types/{X}schema/{X}element")}
            )
        ),
        lambda d: re.sub(rb'element="condor:\w+"', b'element="condor:nothing"', d, count=1),
    ),
    Rule(
        "R2303",
        "operations are one-way or request-response",
        of_root(lambda r: all(shape(op) in (["input"], ["input", "output"]) for op in port_operations(r))),
        lambda d: re.sub(rb"(<input message=[^>]*>)\s*(<output message=[^>]*>)", rb"\2\1", d, count=1),
    ),
    Rule(
        "R2304",
        "names of operations are unique",
        of_root(lambda r: len(set(operations(r, "portType"))) == len(operations(r, "portType"))),
        lambda d: d.replace(b'<operation name="getPlatformString">', b'<operation name="getVersionString">'),
    ),
    Rule(
        "R2401",
        "the binding is one of SOAP",
        of_root(lambda r: all(b.find(f"{S}binding") is not None for b in r.iter(f"{W}binding"))),
        lambda d: re.sub(rb"<SOAP:binding[^>]*/>", b"", d),
    ),
    Rule(
        "R2701",
        "the binding names its transport",
        of_root(lambda r: all(b.get("transport") for b in r.iter(f"{S}binding"))),
        swapped(b'transport="http://schemas.xmlsoap.org/soap/http"', b""),
    ),
    Rule(
        "R2702",
        "the transport is HTTP",
        of_root(lambda r: all(b.get("transport") == HTTP for b in r.iter(f"{S}binding"))),
        swapped(b'transport="http://schemas.xmlsoap.org/soap/http"', b'transport="urn:smtp"'),
    ),
    Rule(
        "R2705",
        "all operations are of one style, document or rpc",
        of_root(
            lambda r: (
                {e.get("style") for e in r.iter(f"{S}binding", f"{S}operation")} - {None} == {"document"}
            )
        ),
        swapped(b'<SOAP:operation soapAction=""', b'<SOAP:operation soapAction="" style="rpc"'),
    ),
    Rule(
        "R2706",
        "the use is literal",
        of_root(lambda r: {b.get("use") for b in r.iter(f"{S}body")} == {"literal"}),
        swapped(b'use="literal"', b'use="encoded"'),
    ),
    Rule(
        "R2716",
        "soap:body has no namespace in a document-literal binding",
        of_root(lambda r: not any(b.get("namespace") for b in r.iter(f"{S}body"))),
        swapped(b'use="literal"', b'use="literal" namespace="urn:x"'),
    ),
    Rule(
        "R2710",
        "the operations of a binding are told apart by the element in the Body",
        of_root(lambda r: len(set(signatures(r))) == len(signatures(r))),
        lambda d: d.replace(b'element="condor:getPlatformString"', b'element="condor:getVersionString"'),
    ),
    Rule(
        "R2718",
        "binding and portType have the same operations",
        of_root(lambda r: operations(r, "binding") == operations(r, "portType")),
        lambda d: d[::-1].replace(b'<operation name="getVersionString">'[::-1], b"<operation>"[::-1], 1)[
            ::-1
        ],
    ),
    Rule(
        "R2742",
        "operations have no SOAP headers that a message would have to carry, nor faults undescribed",
        of_root(lambda r: not list(r.iter(f"{S}header", f"{S}headerfault"))),
        swapped(b"<SOAP:body ", b"<SOAP:header message='x' part='y' use='literal'/><SOAP:body "),
    ),
    Rule(
        "R2744",
        "soapAction of the WSDL is what the SOAPAction header is to be, quoted",
        of_root(lambda r: all(o.get("soapAction") == "" for o in r.iter(f"{S}operation"))),
        swapped(b'soapAction=""', b'soapAction="urn:x"'),
    ),
    Rule(
        "R4004",
        "the WSDL is in UTF-8 or UTF-16",
        lambda d: (root_of(d).getroottree().docinfo.encoding or "").upper() in ("UTF-8", "UTF-16"),
        swapped(b'encoding="UTF-8"', b'encoding="ISO-8859-1"'),
    ),
]


def in_order(root: Element, names: tuple[str, ...]) -> bool:
    found = [etree.QName(child).localname for child in root]
    return set(found) <= set(names) and found == sorted(found, key=names.index)


def known_type(element: Element) -> bool:
    kind = element.get("type")
    if kind is None:
        return True
    prefix = kind.partition(":")[0]
    return element.nsmap.get(prefix) in ("urn:condor", "http://www.w3.org/2001/XMLSchema")


def port_operations(root: Element) -> list[Element]:
    return root.findall(f"{W}portType/{W}operation")


def shape(op: Element) -> list[str]:
    return [name for child in op if (name := etree.QName(child).localname) != "documentation"]


def signatures(root: Element) -> list[str]:
    parts = parts_by(root)
    inputs = (op.find(f"{W}input") for op in port_operations(root))
    names = [(i.get("message", "") if i is not None else "").partition(":")[2] for i in inputs]
    return [parts[name][0].get("element", "") for name in names]


def named(rule: Rule) -> str:
    return rule.number


MESSAGES = {
    name: data(ask(Daemons(Recorder(), Recorder()), call(name)))
    for name in ("beginTransaction", "holdJob", "getVersionString")
}
FAULT = data(ask(Daemons(), envelope(operation("nothing"))))
ALL_FAULTS = {
    "unknown operation": FAULT,
    "no XML": data(ask(Daemons(), b"x")),
    "mustUnderstand": data(
        ask(
            Daemons(),
            envelope(
                operation("getVersionString"),
                header='<e:Header><h xmlns="urn:h" e:mustUnderstand="1"/></e:Header>',
            ),
        )
    ),
    "version": data(ask(Daemons(), envelope(operation("getVersionString"), soap="urn:other"))),
}


@pytest.mark.parametrize("rule", ANY_MESSAGE, ids=named)
def test_messages(rule: Rule) -> None:
    for name, message in {**MESSAGES, **ALL_FAULTS}.items():
        assert rule.is_kept(message), name
    harmed = rule.harm(MESSAGES["beginTransaction"])
    assert harmed != MESSAGES["beginTransaction"]
    assert not breaks_quietly(rule, harmed)


@pytest.mark.parametrize("rule", FAULTS, ids=named)
def test_faults(rule: Rule) -> None:
    for name, message in ALL_FAULTS.items():
        assert rule.is_kept(message), name
    assert not breaks_quietly(rule, rule.harm(FAULT))


@pytest.mark.parametrize("rule", WSDL, ids=named)
@pytest.mark.parametrize("service", ["condorSchedd", "condorCollector"])
def test_wsdl(rule: Rule, service: str) -> None:
    document = wsdl(service, "http://h.example.org/x")  # type: ignore[arg-type]
    assert rule.is_kept(document)
    harmed = rule.harm(document)
    assert harmed != document
    assert not breaks_quietly(rule, harmed)


def breaks_quietly(rule: Rule, harmed: bytes) -> bool:
    """Whether the rule's check does not notice; a document that is no XML any more is noticed by all."""
    try:
        return rule.is_kept(harmed)
    except (AssertionError, etree.XMLSyntaxError, IndexError):
        return False


# ---------------------------------------------------------------- what a receiver has to do

VERSION = schedd(version_string="8.4.12")
ASK = call("getVersionString")


@pytest.mark.parametrize(
    ("number", "body", "headers", "status", "code"),
    [
        ("R1111: a response that is no fault is 200", ASK, {}, 200, None),
        ("R1109: SOAPAction may be any quoted string", ASK, {"soapaction": '"x"'}, 200, None),
        ("R2745: an empty SOAPAction is the quoted empty string", ASK, {"soapaction": '""'}, 200, None),
        ("R1126: a fault is 500", b"x", {}, 500, "Client"),
        (
            "R1015: a document that is no envelope is a fault",
            b"<Envelope xmlns='urn:x'/>",
            {},
            500,
            "VersionMismatch",
        ),
        (
            "R1027: a header that must be understood and is not is a fault",
            envelope(operation("x"), header='<e:Header><h xmlns="urn:h" e:mustUnderstand="1"/></e:Header>'),
            {},
            500,
            "MustUnderstand",
        ),
        (
            "R1025: a header that need not be understood is let pass",
            envelope(
                operation("getVersionString"),
                header='<e:Header><h xmlns="urn:h" e:mustUnderstand="0"/></e:Header>',
            ),
            {},
            200,
            None,
        ),
        (
            "R1115: what changes something and is not text/xml is 415",
            call("beginTransaction"),
            {"content_type": "text/plain"},
            415,
            "Client",
        ),
    ],
)
def test_receiving(number: str, body: bytes, headers: dict[str, str], status: int, code: str | None) -> None:
    reply = post(application(VERSION), body, **headers)
    assert reply.status == status, number
    if code is None:
        assert "<SOAP-ENV:Fault>" not in reply.text
    else:
        assert f"<faultcode>SOAP-ENV:{code}</faultcode>" in reply.text


def test_r1114_what_is_not_post_is_405() -> None:
    assert get(application(VERSION), "/", method="PUT").status == 405


def test_r1140_replies_are_text_xml() -> None:
    assert post(application(VERSION), ASK).headers["content-type"] == "text/xml; charset=utf-8"


def test_the_rules_are_about_all_operations() -> None:
    assert len(contract.SCHEDD) == 23
