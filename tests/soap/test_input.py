"""What the server accepts inside the envelope: every row of reference section 1.3."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from birdbath.schedd import Transaction
from birdbath.soap.cutting import cut
from tests.soap.wire import (
    arguments,
    ask,
    call,
    client_fault,
    envelope,
    operation,
    schedd,
    version,
)

TXN = "<transaction><id>1234</id><duration>60</duration></transaction>"
REMOVE = (
    f"{TXN}<clusterId>7</clusterId><jobId>3</jobId><reason>why</reason><force-removal>true</force-removal>"
)
REMOVED = (Transaction(1234, 60), 7, 3, "why", True)


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
    text = client_fault(envelope(element))
    assert "not implemented: method name or namespace not recognized" in text
    assert element.partition(" ")[0].strip("<>/").rpartition(":")[2] in text


def test_an_undeclared_prefix_is_a_client_fault() -> None:
    assert "well-formed" in client_fault(envelope("<c:getVersionString/>"))


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


def test_other_parts_of_the_envelope_and_a_second_body_are_ignored() -> None:
    request = call("getVersionString").replace(b"<e:Body>", b"<x/><e:Body>")
    second = b"</e:Body><e:Body><x/></e:Body><y/>"
    assert version(request.replace(b"</e:Body>", second)).status == 200


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
    message = client_fault(call("beginTransaction", f"<duration>{text}</duration>"))
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
    assert "'force-removal'" in client_fault(call("removeJob", f"<force-removal>{text}</force-removal>"))


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
    assert "'type'" in client_fault(call("createJobTemplate", f"<type>{text}</type>"))


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


CHUNK = bytes(range(256)) * 400
LONG = base64.b64encode(CHUNK).decode()
LINES = "\r\n".join(LONG[i : i + 76] for i in range(0, len(LONG), 76))
WHERE = "<name>a</name><offset>5</offset>"


@pytest.mark.parametrize(
    "children",
    [
        f"{WHERE}<data>{LONG}</data>",
        f"<data>{LINES}</data>{WHERE}",
        f'{WHERE}<data xsi:type="xsd:base64Binary">{LONG}</data>',
        f"{WHERE}<c:data>{LONG}</c:data><data>aGVsbG8=</data>",
        f"{WHERE}<data>{LONG}<x/></data>",
        f"<x><data>{LONG}</data></x>{WHERE}<data>{LONG}</data>",
    ],
)
def test_a_long_chunk_is_not_parsed(children: str) -> None:
    document, cut_out = cut(call("sendFile", children))
    assert len(document) < 1000 + (len(LONG) if "<x><data>" in children else 0)
    assert cut_out == CHUNK
    assert arguments("sendFile", children)[-3:] == ("a", 5, CHUNK)


@pytest.mark.parametrize(
    "data",
    [
        f"<data><!-- x -->{LONG}</data>",
        f"<data>{LONG}<!-- x --></data>",
        f"<data><![CDATA[{LONG}]]></data>",
        f"<data>{LINES.replace(chr(13), '&#13;')}</data>",
        f"<data>{LONG}</data><?x y?>",
    ],
)
def test_a_long_chunk_in_any_other_form_is_parsed(data: str) -> None:
    request = call("sendFile", WHERE + data)
    assert cut(request) == (request, None)
    assert arguments("sendFile", WHERE + data)[-1] == CHUNK


def test_what_looks_like_a_chunk_stays_text() -> None:
    text = f"<![CDATA[<data>{LONG}</data>]]>"
    assert arguments("getJobAds", f"<constraint>{text}</constraint>")[-1] == text[9:-3]


@pytest.mark.parametrize("bad", ["*", "!", "=A", "ä"])
def test_a_long_text_that_is_no_base64_is_refused(bad: str) -> None:
    assert "'data'" in client_fault(call("sendFile", f"{WHERE}<data>{LONG}{bad}</data>"))


def test_the_mark_of_a_chunk_is_no_base64_itself() -> None:
    assert "'data'" in client_fault(call("sendFile", f"{WHERE}<data>*</data>"))


def test_nothing_comes_of_a_chunk_that_is_nil() -> None:
    assert arguments("sendFile", f'{WHERE}<data xsi:nil="1">{LONG}</data>')[-1] is None


@pytest.mark.parametrize("text", ["!!!", "aGVsbG8", "aGVs=bG8=", "aGVsbG8=x", "a", "ä", "a-_="])
def test_other_texts_are_no_base64(text: str) -> None:
    assert "'data'" in client_fault(call("sendFile", f"<data>{text}</data>"))


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
    assert "'type'" in client_fault(call("submit", f"<jobAd><item>{item}</item></jobAd>"))


def test_the_word_nil_in_a_value_costs_nothing() -> None:
    assert items("<item><name>U</name><type>STRING-ATTR</type><value>vanilla nil</value></item>") == [
        ("U", "s", "vanilla nil")
    ]


def item(name: str = "A", kind: str = "STRING-ATTR", value: str = "b") -> str:
    return f"<item><name>{name}</name><type>{kind}</type><value>{value}</value></item>"


ITEMS = "".join(item(f"Attribute{number}", "EXPRESSION-ATTR", f"{number} + X") for number in range(60))
READ = [(f"Attribute{number}", "x", f"{number} + X") for number in range(60)]
JOB = f"{TXN}<clusterId>7</clusterId><jobId>0</jobId>"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (item(), ("A", "s", "b")),
        (item(value=""), ("A", "s", "")),
        (item(value=" a  b "), ("A", "s", " a  b ")),
        (item(value="&lt;a&gt; &amp;&amp; &quot;b&apos;"), ("A", "s", "<a> && \"b'")),
        (item(value="&amp;lt;"), ("A", "s", "&lt;")),
        (item(value="a>b"), ("A", "s", "a>b")),
        (item(name="a b"), ("a b", "s", "b")),
        (item(name=""), ("", "s", "b")),
    ],
)
def test_a_long_ad_is_not_parsed(items: str, expected: tuple[str, str, str]) -> None:
    children = f"{JOB}<jobAd>{ITEMS}{items}</jobAd>"
    document, cut_out = cut(call("submit", children))
    assert len(document) < 1000
    assert cut_out == [*READ, expected]
    assert arguments("submit", children)[-1] == [*READ, expected]
    assert arguments("submit", f"{JOB}<jobAd> {ITEMS}{items}</jobAd>")[-1] == [*READ, expected]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (item(value="\u00fc"), ("A", "s", "\u00fc")),
        (item(value="a\nb\tc"), ("A", "s", "a\nb\tc")),
        (item(value="a\r\nb"), ("A", "s", "a\nb")),
        (item(value="a&#65;&#x42;"), ("A", "s", "aAB")),
        (item(value="a<!-- x -->b"), ("A", "s", "ab")),
        (item(value="<![CDATA[<&]]>"), ("A", "s", "<&")),
        (item(kind="115"), ("A", "s", "b")),
        (item(kind=""), ("A", "", "b")),
        ("<item><type>STRING-ATTR</type><name>A</name><value>b</value></item>", ("A", "s", "b")),
        ("<item><name>A</name><type>STRING-ATTR</type></item>", ("A", "s", None)),
        ("<item><name>A</name><type>STRING-ATTR</type><value/></item>", ("A", "s", "")),
        ('<item><name>A</name><type>STRING-ATTR</type><value xsi:nil="true"/></item>', ("A", "s", None)),
        ('<item id="x"><name>A</name><type>STRING-ATTR</type><value>b</value></item>', ("A", "s", "b")),
    ],
)
def test_a_long_ad_in_any_other_form_is_parsed(items: str, expected: tuple[str, str, str | None]) -> None:
    children = f"{JOB}<jobAd>{ITEMS}{items}</jobAd>"
    request = call("submit", children)
    assert cut(request) == (request, None)
    assert arguments("submit", children)[-1] == [*READ, expected]


@pytest.mark.parametrize("value", ["a & b", "&unknown;", "a ]]&gt; ]]> b", "\x01", "<b>", "&lt"])
def test_a_long_ad_that_is_no_xml_is_refused(value: str) -> None:
    request = call("submit", f"{JOB}<jobAd>{ITEMS}{item(value=value)}</jobAd>")
    assert cut(request) == (request, None)
    assert "not well-formed" in client_fault(request) or "entity" in client_fault(request)


def test_an_ad_is_not_taken_from_elsewhere() -> None:
    """What was cut out is the ad's only where the mark stands for it."""
    hidden = f"<x><jobAd>{ITEMS}</jobAd></x>"
    assert arguments("submit", f"{hidden}{JOB}<jobAd>{item()}</jobAd>")[-1] == [("A", "s", "b")]
    assert arguments("submit", f"{JOB}{hidden}")[-1] is None
    text = f"<![CDATA[<jobAd>{ITEMS}</jobAd>]]>"
    assert arguments("getJobAds", f"<constraint>{text}</constraint>")[-1] == text[9:-3]
