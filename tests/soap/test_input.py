"""What the server accepts inside the envelope: every row of reference section 1.3."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from birdbath.schedd import Transaction
from birdbath.soap import Reply
from tests.soap.wire import (
    SERVER,
    SOAP_12,
    Daemons,
    arguments,
    ask,
    body,
    call,
    data,
    envelope,
    operation,
    schedd,
)

TXN = "<transaction><id>1234</id><duration>60</duration></transaction>"
REMOVE = (
    f"{TXN}<clusterId>7</clusterId><jobId>3</jobId><reason>why</reason><force-removal>true</force-removal>"
)
REMOVED = (Transaction(1234, 60), 7, 3, "why", True)


def fault(request: bytes) -> str:
    """The text of the Client fault that a request is answered with."""
    reply = ask(Daemons(), request)
    text = body(reply)
    assert reply.status == 500
    assert text.startswith("<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>"), text
    return text.partition("<faultstring>")[2].partition("</faultstring>")[0]


def version(request: bytes, content_type: str = "text/xml") -> Reply:
    return ask(schedd(version_string="$CondorVersion: 8.4.12 $"), request, content_type)


# ---------------------------------------------------------------- the operation element


@pytest.mark.parametrize(
    "element",
    [
        '<getVersionString xmlns="urn:other"/>',
        "<getVersionString/>",
        '<c:getversionstring xmlns:c="urn:condor"/>',
        '<e:Fault xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><faultcode>x</faultcode></e:Fault>',
    ],
)
def test_an_operation_that_is_none_is_a_fault_that_names_it(element: str) -> None:
    text = fault(envelope(element))
    assert "not implemented: method name or namespace not recognized" in text
    assert element.partition(" ")[0].strip("<>/").rpartition(":")[2] in text


def test_an_undeclared_prefix_is_a_fault() -> None:
    assert "well-formed" in fault(envelope("<c:getVersionString/>"))


@pytest.mark.parametrize(
    "element",
    [
        '<ns0:getVersionString xmlns:ns0="urn:condor"/>',
        '<tns:getVersionString xmlns:tns="urn:condor"/>',
        '<getVersionString xmlns="urn:condor"/>',
        '<condor:getVersionString xmlns:condor="urn:condor"></condor:getVersionString>',
        '<getVersionString xmlns="urn:condor" xsi:nil="true"/>',  # SOAP::Lite
    ],
)
def test_the_prefix_of_the_operation_does_not_matter(element: str) -> None:
    assert version(envelope(element)).status == 200


def test_further_siblings_of_the_operation_are_ignored() -> None:
    assert version(envelope(operation("getVersionString") + operation("nonsense") + "<x/>")).status == 200


# ---------------------------------------------------------------- children


@pytest.mark.parametrize(
    "children",
    [
        REMOVE,
        REMOVE.replace("<", "<c:").replace("<c:/", "</c:"),
        f'<w:x xmlns:w="urn:w">1</w:x>{REMOVE}',
        "<force-removal>true</force-removal><reason>why</reason><jobId>3</jobId><clusterId>7</clusterId>"
        "<transaction><duration>60</duration><id>1234</id></transaction>",
        REMOVE.replace("<id>", "<unknown><deep>1</deep></unknown><id>") + "<more>5</more>",
        f"{REMOVE}<jobId>99</jobId><reason>later</reason><transaction><id>5</id></transaction>",
        REMOVE.replace("</id>", "</id><id>9</id>"),
        REMOVE.replace("<clusterId>", '<clusterId xmlns:s="urn:s" s:type="xsd:int" arrayType="x[3]">'),
        REMOVE.replace("<jobId>3", "<jobId><!-- a comment -->3<?pi?>"),
    ],
)
def test_children_are_found_whatever_their_form(children: str) -> None:
    assert arguments("removeJob", children) == REMOVED


def test_children_of_a_foreign_namespace_count() -> None:
    qualified = REMOVE.replace("<clusterId>", '<clusterId xmlns="urn:elsewhere">')
    assert arguments("removeJob", qualified) == REMOVED


def test_dotnet_children_in_no_namespace_below_a_default_one() -> None:
    request = envelope(
        '<getJobAds xmlns="urn:condor"><constraint xmlns="">Owner == "a"</constraint></getJobAds>'
    )
    daemons = schedd(get_job_ads=None)
    ask(daemons, request)
    assert daemons.arguments == (None, 'Owner == "a"')


def test_mangled_names_are_unknown_children() -> None:
    """Hand-made requests send forceRemoval; the original skipped it."""
    assert arguments("removeJob", REMOVE.replace("force-removal", "forceRemoval"))[-1] is False


def test_missing_children_have_their_defaults() -> None:
    assert arguments("removeJob", "") == (None, 0, 0, None, False)
    assert arguments("submit", "") == (None, 0, 0, None)
    assert arguments("sendFile", "") == (None, 0, 0, None, 0, None)
    assert arguments("createJobTemplate", "") == (0, 0, None, 0, None, None, None)
    assert arguments("insertAd", "") == (0, [])
    assert arguments("queryAnyAds", "") == ("any", None)


@pytest.mark.parametrize("nil", ['"true"', '"1"', '" true "'])
def test_nil_is_the_same_as_missing(nil: str) -> None:
    names = ("transaction", "clusterId", "jobId", "reason", "force-removal")
    children = "".join(f"<{name} xsi:nil={nil}/>" for name in names)
    assert arguments("removeJob", children) == (None, 0, 0, None, False)
    assert arguments("submit", f"<jobAd xsi:nil={nil}/>")[-1] is None
    assert arguments("sendFile", f"<data xsi:nil={nil}/>")[-1] is None
    assert arguments("insertAd", f"<ad xsi:nil={nil}/><type>1</type>") == (1, [])


@pytest.mark.parametrize("nil", ['"false"', '"0"', '""'])
def test_nil_that_is_not_true_says_nothing(nil: str) -> None:
    assert arguments("removeJob", f"<reason xsi:nil={nil}>why</reason>")[3] == "why"


@pytest.mark.parametrize(
    "transaction",
    [
        "",
        "<transaction/>",
        '<transaction xsi:nil="true"/>',
        "<transaction><id>0</id><duration>60</duration></transaction>",
    ],
)
def test_four_ways_to_have_no_transaction(transaction: str) -> None:
    assert arguments("getJobAds", transaction) == (None, None)


def test_an_empty_string_is_not_null() -> None:
    assert arguments("getJobAds", "<constraint/>") == (None, "")
    assert arguments("getJobAds", "<constraint></constraint>") == (None, "")


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60),
        (" \t\r\n60 ", 60),
        ("+60", 60),
        ("-60", -60),
        ("010", 10),
        ("", 0),
        ("  ", 0),
        ("2147483647", 2147483647),
        ("-2147483648", -2147483648),
    ],
)
def test_integers(text: str, value: int) -> None:
    assert arguments("beginTransaction", f"<duration>{text}</duration>") == (value,)


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "5.0",
        "1_0",
        "0x10",
        "1 0",
        "- 1",
        "٣",
        "2147483648",
        "-2147483649",
        "9" * 40,
        "9" * 6000,
        "\u00a05",
    ],
)
def test_other_texts_are_no_integers(text: str) -> None:
    message = fault(call("beginTransaction", f"<duration>{text}</duration>"))
    assert "'duration'" in message
    assert text not in message


def test_negative_transaction_ids_are_kept() -> None:
    assert arguments("commitTransaction", "<transaction><id>-5</id></transaction>") == (Transaction(-5, 0),)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("false", False), ("0", False), ("", False), (" true ", True)],
)
def test_booleans(text: str, value: bool) -> None:
    assert arguments("removeJob", f"<force-removal>{text}</force-removal>")[-1] is value


@pytest.mark.parametrize("text", ["TRUE", "True", "yes", "maybe", "2"])
def test_other_texts_are_no_booleans(text: str) -> None:
    assert "'force-removal'" in fault(call("removeJob", f"<force-removal>{text}</force-removal>"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("VANILLA", 5),
        ("5", 5),
        (" 5 ", 5),
        ("STANDARD", 1),
        ("VM", 13),
        ("99", 99),
        ("", 0),
        ("LOCAL", 12),
        ("LOCALUNIVESE", 12),
        ("LOCALUNIVERSE", 12),
        ("GLOBUS", 9),
        ("PVMUNIVERSE", 4),
    ],
)
def test_universes_by_name_and_number(text: str, value: int) -> None:
    assert arguments("createJobTemplate", f"<type>{text}</type>")[3] == value


@pytest.mark.parametrize("text", ["vanilla", "condor:VANILLA", "5.0", "VANILLA JAVA"])
def test_other_texts_are_no_universes(text: str) -> None:
    assert "'type'" in fault(call("createJobTemplate", f"<type>{text}</type>"))


@pytest.mark.parametrize(("text", "value"), [("NOHASH", 0), ("MD5HASH", 1), ("MD5", 1), ("1", 1), ("", 0)])
def test_hash_types(text: str, value: int) -> None:
    assert arguments("declareFile", f"<hashType>{text}</hashType>")[5] == value


@pytest.mark.parametrize(("text", "value"), [("SUBMITTOR-AD-TYPE", 3), ("11", 11), ("77", 77)])
def test_ad_types(text: str, value: int) -> None:
    assert arguments("insertAd", f"<type>{text}</type>")[0] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("aGVsbG8=", b"hello"),
        (" aGVs\r\n\tbG8= \n", b"hello"),
        ("", b""),
        ("  ", b""),
        (base64.b64encode(bytes(range(256)) * 400).decode(), bytes(range(256)) * 400),
    ],
)
def test_base64(text: str, value: bytes) -> None:
    assert arguments("sendFile", f"<data>{text}</data>")[-1] == value


@pytest.mark.parametrize("text", ["!!!", "aGVsbG8", "aGVs=bG8=", "aGVsbG8=x", "a", "ä", "a-_="])
def test_other_texts_are_no_base64(text: str) -> None:
    assert "'data'" in fault(call("sendFile", f"<data>{text}</data>"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("  a b\t", "  a b\t"),
        ("<![CDATA[a<b>&amp;]]>", "a<b>&amp;"),
        ("&lt;&gt;&amp;&quot;&apos;&#65;&#x42;", "<>&\"'AB"),
        ("a<!-- x -->b<?y?>c", "abc"),
        ("é € \U0001f426", "é € \U0001f426"),
        ("a\r\nb", "a\nb"),
        ("&#13;&#10;", "\r\n"),
    ],
)
def test_strings(text: str, value: str) -> None:
    assert arguments("getJobAds", f"<constraint>{text}</constraint>") == (None, value)


# ---------------------------------------------------------------- ads


def items(*texts: str) -> Any:
    return arguments("submit", f"<jobAd>{''.join(texts)}</jobAd>")[-1]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("<name>A</name><type>STRING-ATTR</type><value>x</value>", ("A", "s", "x")),
        ("<value>x</value><type>STRING-ATTR</type><name>A</name>", ("A", "s", "x")),
        ("<c:name>A</c:name><c:type>STRING-ATTR</c:type><c:value>x</c:value>", ("A", "s", "x")),
        ("<name>A</name><type>115</type><value>x</value>", ("A", "s", "x")),
        ("<name>A</name><type> INTEGER-ATTR </type><value>1</value>", ("A", "n", "1")),
        ("<name>A</name><type>99</type><value>x</value>", ("A", "", "x")),
        ("<name>A</name><type></type><value>x</value>", ("A", "", "x")),
        ("<name>A</name><value>x</value>", ("A", "", "x")),
        ("<name>A</name><type>UNDEFINED-ATTR</type>", ("A", "u", None)),
        ("<name>A</name><type>EXPRESSION-ATTR</type><value/>", ("A", "x", "")),
        ('<name>A</name><type>EXPRESSION-ATTR</type><value xsi:nil="1"/>', ("A", "x", None)),
        ('<name xsi:nil="true"/><type>ERROR-ATTR</type><value> y </value>', (None, "e", " y ")),
        ("<name>A</name><x/><type>FLOAT-ATTR</type><name>B</name><value>1</value>", ("A", "f", "1")),
        ("<name>A</name><type>BOOLEAN-ATTR</type><value>TRUE</value><value>x</value>", ("A", "b", "TRUE")),
        ("", (None, "", None)),
    ],
)
def test_items_of_an_ad(item: str, expected: tuple[str | None, str, str | None]) -> None:
    first = ("First", "n", "1")
    plain = "<item><name>First</name><type>INTEGER-ATTR</type><value>1</value></item>"
    assert items(plain, f"<item>{item}</item>", plain) == [first, expected, first]


def test_what_is_no_item_is_skipped() -> None:
    assert items("<x>1</x>", '<item xsi:nil="true"/>', '<item xsi:nil="true"><name>A</name></item>') == []
    assert items("<name>A</name><type>STRING-ATTR</type>") == []
    assert items() == []


@pytest.mark.parametrize("kind", ["s", "string-attr", "condor:STRING-ATTR", "STRING"])
@pytest.mark.parametrize("order", ["<name>A</name>{}<value>x</value>", "<value>x</value>{}<name>A</name>"])
def test_other_texts_are_no_attribute_types(kind: str, order: str) -> None:
    item = order.format(f"<type>{kind}</type>")
    assert "'type'" in fault(call("submit", f"<jobAd><item>{item}</item></jobAd>"))


def test_the_word_nil_in_a_value_costs_nothing() -> None:
    assert items("<item><name>U</name><type>STRING-ATTR</type><value>vanilla nil</value></item>") == [
        ("U", "s", "vanilla nil")
    ]


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
    assert "leads nowhere" in fault(envelope(operation("submit", children) + independent))


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
    assert "UTF-8" in fault(call("getVersionString").decode().encode(encoding))


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
    message = fault(request)
    assert "secret" not in message
    assert "root:" not in message


def test_a_laughing_attribute_does_not_explode() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    prolog = f'<!DOCTYPE e:Envelope [<!ENTITY e0 "lol">{entities}]>'
    request = envelope(operation("getJobAds", '<constraint a="&e11;">x</constraint>'), prolog=prolog)
    assert "well-formed" in fault(request)


@pytest.mark.parametrize(
    "attributes",
    [' e:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"', ' encodingStyle="x"', ' id="body"'],
)
def test_attributes_of_the_body_are_tolerated(attributes: str) -> None:
    assert version(envelope(operation("getVersionString"), attributes=attributes)).status == 200


@pytest.mark.parametrize("data", ["A" * 10_000_100, "A\n" * 5_000_100, f"<![CDATA[{'A' * 10_000_100}]]>"])
def test_a_text_above_ten_million_bytes_is_a_fault_that_tells_the_limit(data: str) -> None:
    message = fault(call("sendFile", f"<data>{data}</data>"))
    assert "10000000" in message
    assert "7 MiB" in message


def test_seven_mebibytes_fit_into_one_chunk() -> None:
    chunk = b"x" * (7 * 1024 * 1024)
    assert arguments("sendFile", f"<data>{base64.b64encode(chunk).decode()}</data>")[-1] == chunk


def test_a_very_deep_document_is_a_fault() -> None:
    assert "Excessive depth" in fault(call("getJobAds", "<x>" * 5000 + "</x>" * 5000))


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
