"""The document around a request: references, encodings, entities, headers, versions (reference 1.3)."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from lxml import etree

from birdbath.schedd import Transaction
from birdbath.soap.bounds import MAX_DEPTH, Bounds
from birdbath.soap.envelope import LARGE_BYTES, MAX_NAME, parse
from birdbath.soap.faults import ClientFault
from tests.soap.wire import (
    SERVER,
    SOAP_12,
    Daemons,
    arguments,
    ask,
    body,
    call,
    client_fault,
    data,
    envelope,
    operation,
    schedd,
    version,
)

# ---------------------------------------------------------------- multi-reference encoding


def referring(children: str, *independent: str) -> Any:
    daemons = Daemons()
    reply = ask(daemons, envelope(operation("submit", children) + "".join(independent)))
    assert reply.status == 200, data(reply)
    return daemons.arguments


def test_references_are_resolved_at_every_level() -> None:
    result = referring(
        '<transaction href="#t"/><clusterId href="#c"/><jobId>0</jobId><jobAd href="#ad"/>',
        '<multiRef id="t"><id href="#i"/><duration>60</duration></multiRef>',
        '<multiRef id="i">1234</multiRef><multiRef id="c">7</multiRef>',
        '<multiRef id="ad"><item href="#one"/><item href="#one"/><item><name href="#n"/>'
        '<type href="#k"/><value href="#n"/></item><item href="#none"/></multiRef>',
        '<multiRef id="one"><name>A</name><type>STRING-ATTR</type><value>x</value></multiRef>',
        '<multiRef id="n">Name</multiRef><multiRef id="k">INTEGER-ATTR</multiRef>',
        '<multiRef id="none" xsi:nil="true"/>',
    )
    ad = [("A", "s", "x"), ("A", "s", "x"), ("Name", "n", "Name")]
    assert result == (Transaction(1234, 60), 7, 0, ad)
    assert result[3][0] is result[3][1]


def test_a_reference_to_a_reference() -> None:
    assert referring('<clusterId href="#a"/>', '<x id="a" href="#b"/>', '<x id="b">3</x>')[1] == 3


@pytest.mark.parametrize(
    ("reference", "independent"),
    [
        ("#nowhere", ""),
        ("cid:attachment", '<x id="attachment">1</x>'),
        ("#a", '<x id="a" href="#a"/>'),
        ("#a", '<x id="a" href="#b"/><x id="b" href="#a"/>'),
    ],
)
def test_references_that_lead_nowhere_are_faults(reference: str, independent: str) -> None:
    children = f'<clusterId href="{reference}"/>'
    assert "leads nowhere" in client_fault(envelope(operation("submit", children) + independent))


def test_a_shared_long_text_is_kept_once() -> None:
    refers = '<item><value href="#v"/></item>' * 2000
    result = referring(f"<jobAd>{refers}</jobAd>", f'<x id="v">{"y" * 100_000}</x>')[3]
    assert len(result) == 2000
    assert {id(value) for _, _, value in result} == {id(result[0][2])}


# ---------------------------------------------------------------- the document


@pytest.mark.parametrize(
    ("request_bytes", "value"),
    [
        ('<?xml version="1.0" encoding="ISO-8859-1"?>', "é".encode("latin-1")),
        ('<?xml version="1.0" encoding="UTF-8"?>', "é".encode()),
        ("", "é".encode()),
        ("\ufeff", "é".encode()),
    ],
)
def test_the_encoding_of_the_document_is_honoured(request_bytes: str, value: bytes) -> None:
    request = call("getJobAds", "<constraint>@</constraint>").replace(b"@", value)
    daemons = schedd()
    assert ask(daemons, request_bytes.encode() + request, "text/xml; charset=bogus").status == 200
    assert daemons.arguments == (None, "é")


@pytest.mark.parametrize(
    ("content_type", "raw"),
    [
        ("text/xml; charset=ISO-8859-1", "é".encode("latin-1")),
        ('text/xml; charset="latin1"', "é".encode("latin-1")),
        ("text/xml; charset=utf-8", "é".encode()),
        ("text/xml; charset=bogus", "é".encode()),
        ("text/xml; charset=", "é".encode()),
        ("text/xml; charset=\x00", "é".encode()),
        ("application/soap+xml", "é".encode()),
        ("application/octet-stream; a", "é".encode()),
        ("", "é".encode()),
    ],
)
def test_the_content_type_counts_where_the_document_says_nothing(content_type: str, raw: bytes) -> None:
    request = call("getJobAds", "<constraint>@</constraint>").replace(b"@", raw)
    daemons = schedd()
    assert ask(daemons, request, content_type).status == 200
    assert daemons.arguments == (None, "é")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_and_utf_32_are_faults(encoding: str) -> None:
    assert "UTF-8" in client_fault(call("getVersionString").decode().encode(encoding))


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE e:Envelope>",
        '<!DOCTYPE e:Envelope SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE e:Envelope [<!ENTITY x "y">]>',
        '<!DOCTYPE e:Envelope [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]>',
        "<!-- a comment --><?pi x?>",
    ],
)
def test_what_comes_before_the_envelope_is_skipped(prolog: str) -> None:
    assert version(envelope(operation("getVersionString"), prolog=prolog)).status == 200


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE e:Envelope [<!ENTITY x "secret">]>',
        '<!DOCTYPE e:Envelope [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE e:Envelope SYSTEM "file:///etc/passwd">',
        "",
    ],
)
def test_no_entity_is_ever_expanded(prolog: str) -> None:
    request = envelope(operation("getJobAds", "<constraint>a&x;b</constraint>"), prolog=prolog)
    message = client_fault(request)
    assert "secret" not in message
    assert "root:" not in message


def test_a_laughing_attribute_does_not_explode() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    prolog = f'<!DOCTYPE e:Envelope [<!ENTITY e0 "lol">{entities}]>'
    request = envelope(operation("getJobAds", '<constraint a="&e11;">x</constraint>'), prolog=prolog)
    assert "well-formed" in client_fault(request)


@pytest.mark.parametrize(
    "attributes",
    [' e:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"', ' encodingStyle="x"', ' id="body"'],
)
def test_attributes_of_the_body_are_tolerated(attributes: str) -> None:
    assert version(envelope(operation("getVersionString"), attributes=attributes)).status == 200


def test_an_entity_in_an_attribute_is_refused() -> None:
    prolog = '<!DOCTYPE e:Envelope [<!ENTITY x "1">]>'
    request = envelope(operation("getJobAds", '<constraint a="&x;">x</constraint>'), prolog=prolog)
    assert "entity" in client_fault(request)


@pytest.mark.parametrize("data", ["A" * 20_000_000, "A\n" * 10_000_000, f"<![CDATA[{'A' * 20_000_000}]]>"])
def test_a_text_may_be_as_long_as_the_request(data: str) -> None:
    length = data.count("A") - 2 * ("CDATA" in data)
    assert len(arguments("sendFile", f"<data>{data}</data>")[-1]) == length * 3 // 4


def test_a_large_request_expands_no_entity() -> None:
    """Without libxml2's limits, old versions of it would expand all of them."""
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    prolog = f'<!DOCTYPE e:Envelope [<!ENTITY e0 "lol">{entities}]>'
    children = f'<constraint a="&e11;">{"x" * LARGE_BYTES}</constraint>'
    assert "document type" in client_fault(envelope(operation("getJobAds", children), prolog=prolog))


@pytest.mark.parametrize("padding", [0, LARGE_BYTES])
@pytest.mark.parametrize("depth", [300, 1000, 5000, 15_000])
def test_a_very_deep_document_is_a_client_fault(depth: int, padding: int) -> None:
    request = call("getJobAds", "x" * padding + "<x>" * depth + "</x>" * depth)
    assert "deeper than 256" in client_fault(request)


@pytest.mark.parametrize("padding", [0, LARGE_BYTES])
def test_the_greatest_depth(padding: int) -> None:
    """Envelope, Body and the operation are three of them."""

    def request(depth: int) -> bytes:
        return call("getVersionString", "x" * padding + "<x>" * (depth - 3) + "</x>" * (depth - 3))

    assert version(request(MAX_DEPTH)).status == 200
    assert "deeper than 256" in client_fault(request(MAX_DEPTH + 1))


@pytest.mark.parametrize("padding", [0, LARGE_BYTES])
def test_a_smaller_depth(padding: int) -> None:
    bounds = Bounds(depth=20)
    request = call("getVersionString", "x" * padding + "<x>" * 17 + "</x>" * 17)
    assert parse(request, bounds=bounds).open() is not None
    with pytest.raises(ClientFault, match="deeper than 20"):
        parse(request.replace(b"</x>", b"<x/></x>", 1), bounds=bounds)


def test_deep_elements_without_an_end() -> None:
    message = client_fault(call("getJobAds", "<x>" * 30_000))
    assert "deeper than 256" in message or "well-formed" in message


@pytest.mark.parametrize("declaration", ['xmlns="{}"', "xmlns = '{}'", 'xmlns:p\n="{}"'])
def test_a_long_namespace_is_a_client_fault(declaration: str) -> None:
    def request(length: int) -> bytes:
        return call("getVersionString", f"<x {declaration.format('n' * length)}/>")

    assert version(request(MAX_NAME)).status == 200
    assert "namespace" in client_fault(request(MAX_NAME + 1))


@pytest.mark.parametrize("length", [1000, 300_000, 11_000_000])
def test_long_names_are_no_hole(length: int) -> None:
    """Either skipped as unknown, or a short fault."""
    name = "n" * length
    for children in (f"<{name}/>", f'<x {name}="1"/>', f"<p:{name} xmlns:p='u'/>"):
        reply = version(call("getVersionString", children))
        assert reply.status in (200, 500)
        assert reply.length < 2000
    assert len(client_fault(envelope(f"<{name}/>"))) < 1000


def test_a_long_attribute_is_skipped() -> None:
    assert version(call("getVersionString", f'<x a="{"n" * 2_000_000}"/>')).status == 200


def test_a_large_request_has_a_parser_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """lxml locks a parser while it parses: a small request must not wait for a large one's."""
    used: list[object] = []
    plain = etree.fromstring

    def recording(data: bytes, parser: etree.XMLParser) -> Any:
        used.append(parser)
        return plain(data, parser)

    monkeypatch.setattr(etree, "fromstring", recording)
    small, large = call("getVersionString"), call("getVersionString", "x" * LARGE_BYTES)
    for request in (small, large, small, large):
        parse(request)
    assert used[0] is used[2]
    assert len(set(used)) == 3


# ---------------------------------------------------------------- headers and SOAP versions


@pytest.mark.parametrize(
    "header", ["<e:Header/>", "<e:Header></e:Header>", '<e:Header><x e:mustUnderstand="0"/></e:Header>']
)
def test_a_header_is_ignored_and_echoed_empty(header: str) -> None:
    reply = version(envelope(operation("getVersionString"), header=header))
    assert reply.status == 200
    assert b'"urn:condor"><SOAP-ENV:Header></SOAP-ENV:Header><SOAP-ENV:Body>' in data(reply)


def test_no_header_no_echo() -> None:
    assert b"Header" not in data(version(call("getVersionString")))


def test_soap_12_is_answered_as_soap_11() -> None:
    reply = version(envelope(operation("getVersionString"), soap=SOAP_12), "application/soap+xml")
    assert reply.status == 200
    assert reply.content_type == "text/xml; charset=utf-8"
    assert "getVersionStringResponse" in body(reply)


def test_a_call_can_be_executed_again() -> None:
    """A unit of work that lost a race runs its work again; the reply is that of the last run."""
    daemons = schedd(new_cluster=1)
    received = SERVER.receive(call("newCluster"))
    received.execute(daemons.operations)
    daemons.schedd.results["new_cluster"] = 2
    assert "<integer>2</integer>" in body(received.execute(daemons.operations))


@pytest.mark.parametrize("request_", [call("newCluster"), call("getVersionString"), call("noSuch")])
def test_a_call_is_gone_as_soon_as_it_is_answered(request_: bytes) -> None:
    """With the bytes of its request and reply: for garbage the collector would come much later."""
    gc.collect()
    gc.disable()
    try:
        received = SERVER.receive(request_)
        reply = (
            received.reply() if received.is_refused else received.execute(schedd(new_cluster=1).operations)
        )
        gone = weakref.ref(received._ctx)
        del received
        assert gone() is None
        assert reply.chunks
    finally:
        gc.enable()
