"""What the server sends: the bytes of reference sections 1.4 and 1.6, operation by operation."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from lxml import etree

from birdbath.access import OPERATIONS
from birdbath.classads import Ad, AdList, AdRecord, Attribute, canonical_value
from birdbath.errors import (
    AlreadyExists,
    BirdbathError,
    Incomplete,
    InvalidArguments,
    InvalidOffset,
    InvalidTransaction,
    NotJobOwner,
    PermissionDenied,
    StatusCode,
    UnknownCluster,
    UnknownFile,
    UnknownJob,
)
from birdbath.schedd import FileInfo, Transaction
from birdbath.soap import writing, wsdl
from tests.soap import contract
from tests.soap.wire import END, START, Daemons, ad_list, ask, body, call, collector, data, record, schedd

SUCCESS = "<code>SUCCESS</code><message>Success</message>"
STATUS = f"<status>{SUCCESS}</status>"

METHODS: dict[str, str] = {
    "getVersionString": "version_string",
    "getPlatformString": "platform_string",
    **{
        name: "query_ads"
        if name.startswith("query")
        else "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        for name in OPERATIONS
        if name not in ("getVersionString", "getPlatformString")
    },
}


def both(method: str, result: object) -> Daemons:
    daemons = Daemons()
    daemons.schedd.results[method] = daemons.collector.results[method] = result
    return daemons


def response(name: str, result: object, children: str = "") -> str:
    """What is in the response's container, whose name is checked."""
    reply = ask(both(METHODS[name], result), call(name, children))
    assert (reply.status, reply.content_type) == (200, "text/xml; charset=utf-8")
    assert reply.length == len(data(reply))
    container = contract.container(name)
    opening, closing = f"<condor:{name}Response><{container}>", f"</{container}></condor:{name}Response>"
    text = body(reply)
    assert text.startswith(opening)
    assert text.endswith(closing)
    return text[len(opening) : -len(closing)]


# ---------------------------------------------------------------- byte totals


def test_start_and_end_have_their_lengths() -> None:
    assert writing.START == START
    assert (len(writing.START), len(writing.END)) == (301, 20)
    assert writing.END == END


@pytest.mark.parametrize(
    ("name", "daemons", "length"),
    [
        ("commitTransaction", schedd(), 488),
        ("newCluster", schedd(new_cluster=InvalidTransaction()), 534),
        ("getJobAds", schedd(get_job_ads=AdList([], 1)), 518),
        ("queryStartdAds", collector(query_ads=AdList([], 1)), 432),
        ("insertAd", collector(insert_ad="New ad inserted"), 474),
        ("beginTransaction", schedd(begin_transaction=Transaction(1234, 60)), 566),
    ],
)
def test_the_totals_of_the_original(name: str, daemons: Daemons, length: int) -> None:
    reply = ask(daemons, call(name))
    assert reply.length == len(data(reply)) == length


def test_the_begin_reply_byte_for_byte() -> None:
    reply = ask(schedd(begin_transaction=Transaction(1234, 60)), call("beginTransaction"))
    assert data(reply) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" '
        b'xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/" '
        b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        b'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:condor="urn:condor"><SOAP-ENV:Body>'
        b"<condor:beginTransactionResponse><response><status><code>SUCCESS</code><message>Success</message>"
        b"</status><transaction><id>1234</id><duration>60</duration></transaction></response>"
        b"</condor:beginTransactionResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    )


# ---------------------------------------------------------------- operations: success and failure

EXAMPLES: dict[str, tuple[object, str, str]] = {
    # operation: (result, what success says, what a failure says besides its status)
    "getVersionString": (
        "$CondorVersion: 8.4.12 $",
        "<status><code>SUCCESS</code></status><message>$CondorVersion: 8.4.12 $</message>",
        "",
    ),
    "getPlatformString": (
        "$CondorPlatform: x $",
        "<status><code>SUCCESS</code></status><message>$CondorPlatform: x $</message>",
        "",
    ),
    "beginTransaction": (
        Transaction(-7, 60),
        f"{STATUS}<transaction><id>-7</id><duration>60</duration></transaction>",
        "<transaction><id>0</id><duration>0</duration></transaction>",
    ),
    "extendTransaction": (
        Transaction(7, 90),
        f"{STATUS}<transaction><id>7</id><duration>90</duration></transaction>",
        "<transaction><id>0</id><duration>0</duration></transaction>",
    ),
    "newCluster": (3, f"{STATUS}<integer>3</integer>", "<integer>0</integer>"),
    "newJob": (0, f"{STATUS}<integer>0</integer>", "<integer>0</integer>"),
    "submit": (None, STATUS, ""),
    "discoverJobRequirements": (
        ["a.txt", "b & c"],
        f"{STATUS}<requirements><item>a.txt</item><item>b &amp; c</item></requirements>",
        "",
    ),
    "getFile": (b"hello", f"{STATUS}<data>aGVsbG8=</data>", ""),
    "listSpool": (
        [FileInfo("out <1>", 3 << 31), FileInfo("é", 0)],
        f"{STATUS}<info><item><name>out &lt;1&gt;</name><size>6442450944</size></item>"
        "<item><name>é</name><size>0</size></item></info>",
        "",
    ),
    "getJobAds": (AdList([], 1), f"{STATUS}<classAdArray></classAdArray>", ""),
    **{name: (None, SUCCESS, "") for name, (_, returns) in contract.SCHEDD.items() if returns == "Status"},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_success(name: str) -> None:
    result, text, _ = EXAMPLES[name]
    assert response(name, result) == text


@pytest.mark.parametrize("name", [*EXAMPLES, "getJobAd", "createJobTemplate"])
def test_failure(name: str) -> None:
    rest = EXAMPLES[name][2] if name in EXAMPLES else ""
    status = "<code>FAIL</code><message>1 &lt; 2</message>"
    bare = contract.SCHEDD[name][1] == "Status"
    wanted = status if bare else f"<status>{status}</status>{rest}"
    assert response(name, BirdbathError("1 < 2")) == wanted


def test_empty_results() -> None:
    assert response("listSpool", []) == STATUS
    assert response("discoverJobRequirements", []) == f"{STATUS}<requirements></requirements>"
    assert response("getFile", b"") == f"{STATUS}<data></data>"
    assert response("queryAnyAds", AdList([], 1)) == ""


def test_a_failed_query_is_an_empty_list() -> None:
    """The collector's queries have no status to fail with."""
    assert response("queryStartdAds", BirdbathError("no")) == ""


def test_insert_ad_tells_what_happened() -> None:
    assert response("insertAd", "Updated ad") == "<code>SUCCESS</code><message>Updated ad</message>"
    assert (
        response("insertAd", BirdbathError("Unknown type"))
        == "<code>FAIL</code><message>Unknown type</message>"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BirdbathError("x"), "FAIL"),
        (PermissionDenied("x"), "FAIL"),
        (NotJobOwner("x"), "FAIL"),
        (InvalidTransaction("x"), "INVALIDTRANSACTION"),
        (UnknownCluster("x"), "UNKNOWNCLUSTER"),
        (UnknownJob("x"), "UNKNOWNJOB"),
        (UnknownFile("x"), "UNKNOWNFILE"),
        (InvalidOffset("x"), "INVALIDOFFSET"),
        (AlreadyExists("x"), "ALREADYEXISTS"),
    ],
)
def test_every_error_has_its_code(error: BirdbathError, code: str) -> None:
    assert response("closeSpool", error) == f"<code>{code}</code><message>x</message>"


def test_every_code_is_in_the_contract() -> None:
    assert {code.name: code.value for code in StatusCode} == contract.ENUMERATIONS["StatusCode"]


def test_incomplete_names_what_is_missing() -> None:
    text = response("submit", Incomplete(["in.dat", "a&b"]))
    assert text == (
        "<status><code>INCOMPLETE</code>"
        "<message>Files are missing, short or damaged: in.dat, a&amp;b</message></status>"
        "<requirements><item>in.dat</item><item>a&amp;b</item></requirements>"
    )


def test_a_template_with_bad_arguments_is_answered_all_the_same() -> None:
    text = response("createJobTemplate", InvalidArguments("unbalanced", ad_list([("Cmd", "s", "x")])))
    assert text.startswith("<status><code>FAIL</code><message>unbalanced</message></status><classAd><item>")
    assert "<name>Cmd</name>" in text


def test_base64_has_no_line_breaks() -> None:
    payload = bytes(range(256)) * 5000
    text = response("getFile", payload)
    assert text == f"{STATUS}<data>{base64.b64encode(payload).decode()}</data>"


def test_the_header_is_echoed_before_the_body() -> None:
    request = call("commitTransaction").replace(b"<e:Body>", b"<e:Header/><e:Body>")
    assert ask(schedd(), request).length == 488 + len("<SOAP-ENV:Header></SOAP-ENV:Header>")


# ---------------------------------------------------------------- ads

SPECIALS = (
    "<item><name>MyType</name><type>STRING-ATTR</type><value>Job</value></item>"
    "<item><name>TargetType</name><type>STRING-ATTR</type><value>Machine</value></item>"
    "<item><name>ServerTime</name><type>INTEGER-ATTR</type><value>1300000000</value></item>"
)
AD: list[Attribute] = [
    ("ClusterId", "n", "7"),
    ("OnExitRemove", "b", "TRUE"),
    ("Cmd", "s", 'C:\\bin\\"x" <&>\n\r\tend '),
    ("Rank", "f", "0.5"),
    ("Requirements", "x", "( Memory > 512 ) && ( Arch =?= undefined )"),
    ("Empty", "s", ""),
]
AD_TEXT = (
    "<item><name>ClusterId</name><type>INTEGER-ATTR</type><value>7</value></item>"
    "<item><name>OnExitRemove</name><type>BOOLEAN-ATTR</type><value>TRUE</value></item>"
    "<item><name>Cmd</name><type>STRING-ATTR</type>"
    '<value>C:\\bin\\"x" &lt;&amp;&gt;&#xA;&#xD;\tend </value></item>'
    "<item><name>Rank</name><type>FLOAT-ATTR</type><value>0.5</value></item>"
    "<item><name>Requirements</name><type>EXPRESSION-ATTR</type>"
    "<value>( Memory &gt; 512 ) &amp;&amp; ( Arch =?= undefined )</value></item>"
    "<item><name>Empty</name><type>STRING-ATTR</type><value></value></item>"
)


def test_a_list_of_ads() -> None:
    text = response("getJobAds", ad_list(AD, AD[:1]))
    second = AD_TEXT.partition("</item>")[0] + "</item>"
    assert text == (
        f"{STATUS}<classAdArray><item>{SPECIALS}{AD_TEXT}</item><item>{SPECIALS}{second}</item></classAdArray>"
    )


def test_a_query_of_ads_has_the_same_form() -> None:
    assert response("queryScheddAds", ad_list(AD)) == f"<item>{SPECIALS}{AD_TEXT}</item>"


@pytest.mark.parametrize("name", ["getJobAd", "createJobTemplate"])
def test_one_ad(name: str) -> None:
    assert response(name, ad_list(AD)) == f"{STATUS}<classAd>{SPECIALS}{AD_TEXT}</classAd>"


def test_an_ad_without_attributes_is_no_ad() -> None:
    assert response("getJobAds", ad_list([], AD, [])) == (
        f"{STATUS}<classAdArray><item>{SPECIALS}{AD_TEXT}</item></classAdArray>"
    )
    assert response("getJobAds", ad_list([])) == f"{STATUS}<classAdArray></classAdArray>"
    assert response("getJobAd", ad_list([])) == STATUS


def test_types_differ_within_one_list() -> None:
    ads = AdList([record(AD[:1]), record(AD[:1], "Machine", "Job"), record(AD[:1], "<a>", "")], 5)
    text = response("queryAnyAds", ads)
    values = text.replace("<value>", "</value>").split("</value>")[1::2]
    assert values == ["Job", "Machine", "5", "7", "Machine", "Job", "5", "7", "&lt;a&gt;", "", "5", "7"]


def test_a_rendering_is_made_once_and_fits_every_form_and_time() -> None:
    fake: Any = record(AD)
    first = response("getJobAds", AdList([fake], 1300000000))
    assert response("getJobAds", AdList([fake], 1300000000)) == first
    assert (
        response("getJobAd", AdList([fake], 1300000000)) == f"{STATUS}<classAd>{SPECIALS}{AD_TEXT}</classAd>"
    )
    later = response("getJobAds", AdList([fake], 1400000000))
    assert later == first.replace("1300000000", "1400000000")
    assert fake.reads == 1


def test_cached_ads_are_not_copied() -> None:
    records: list[Any] = [record(AD) for _ in range(3)]
    ads = AdList(records, 1)
    ask(schedd(get_job_ads=ads), call("getJobAds"))
    chunks = ask(schedd(get_job_ads=ads), call("getJobAds")).chunks
    assert all(any(chunk is fake.rendering for chunk in chunks) for fake in records)


@pytest.mark.parametrize("bad", ["\0", "\x1f", "\x0b", "\ufffe", "\uffff", "\ud800"])
def test_what_xml_cannot_carry_is_replaced(bad: str) -> None:
    ad: list[Attribute] = [("A", "s", f"x{bad}<y"), ("B", "s", "z"), (f"N{bad}", "s", "")]
    text = response("getJobAd", ad_list(ad))
    assert "<value>x\ufffd&lt;y</value>" in text
    assert "<name>B</name><type>STRING-ATTR</type><value>z</value>" in text
    assert "<name>N\ufffd</name>" in text
    assert response("newCluster", BirdbathError(f"<{bad}>")).startswith(
        "<status><code>FAIL</code><message>&lt;\ufffd&gt;</message>"
    )


def test_forms_of_ads_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_FORMS_LIMIT", 10)
    for i in range(100):
        text = response("getJobAd", ad_list([(f"Name{i}", "n", str(i))]))
        assert f"<name>Name{i}</name><type>INTEGER-ATTR</type><value>{i}</value>" in text
        assert len(writing._FORMS) <= 10


def test_a_real_record() -> None:
    ad = Ad([("targetType", "s", "Machine"), ("Owner", "s", "alice & bob"), ("MYTYPE", "s", "Job")])
    secrets = ("claimid", "PairedClaimId", "Capability", "ClaimIds", "TransferKey")
    ad.update(dict.fromkeys(secrets, "secret") | {"ServerTime": 5})
    for name, text in (
        ("ChildClaimIds", '{"secret"}'),
        ("Gone", "undefined"),
        ("Broken", "error"),
        ("Born", 'absTime("2020-01-01T00:00:00Z")'),
    ):
        ad.put(name, *canonical_value(text))
    text = response("getJobAd", AdList([AdRecord.of(ad)], 1300000000))
    assert text == (
        f"{STATUS}<classAd>{SPECIALS}<item><name>Owner</name><type>STRING-ATTR</type>"
        "<value>alice &amp; bob</value></item></classAd>"
    )


def test_an_ad_without_types_and_one_without_anything_to_show() -> None:
    ads = AdList(
        [AdRecord.of(Ad([("A", "n", "1")])), AdRecord.of(Ad([("ClaimId", "s", "secret")]))], 1300000000
    )
    specials = SPECIALS.replace("Job", "").replace("Machine", "")
    assert response("getJobAds", ads) == (
        f"{STATUS}<classAdArray><item>{specials}<item><name>A</name><type>INTEGER-ATTR</type><value>1</value></item>"
        "</item></classAdArray>"
    )


# ---------------------------------------------------------------- replies against the schema


def schema(service: Any) -> etree.XMLSchema:
    node = etree.fromstring(wsdl(service)).find(".//{http://www.w3.org/2001/XMLSchema}schema")
    assert node is not None
    return etree.XMLSchema(node)


SCHEMAS = {"condorSchedd": schema("condorSchedd"), "condorCollector": schema("condorCollector")}
RESULTS: dict[str, object] = {
    **{name: example[0] for name, example in EXAMPLES.items()},
    "getJobAds": ad_list(AD, AD),
    "getJobAd": ad_list(AD),
    "createJobTemplate": ad_list(AD),
    "insertAd": "New ad inserted",
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("failing", [False, True])
def test_every_reply_is_valid_by_the_published_schema(name: str, failing: bool) -> None:
    result = BirdbathError("no") if failing else RESULTS.get(name, ad_list(AD))
    response_element = etree.fromstring(data(ask(both(METHODS[name], result), call(name))))[0][0]
    for service in OPERATIONS[name].services:
        SCHEMAS[service].assertValid(etree.fromstring(etree.tostring(response_element)))
