"""What holds for any text and any request, searched by Hypothesis."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from birdbath.classads import Attribute
from birdbath.classads.elements import escape
from birdbath.soap.envelope import parse
from birdbath.soap.reading import read_items
from birdbath.soap.writing import render, specials
from tests.soap.test_output import AD_TEXT, METHODS
from tests.soap.wire import SERVER, Daemons, ad_list, data, envelope, operation, record

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

texts = st.text(st.characters(), max_size=60)
kinds = st.sampled_from("snfbxue")
attributes = st.lists(st.tuples(texts.filter(bool), kinds, texts), min_size=1, max_size=12)


def carried(text: str) -> str:
    """What XML carries of a text."""
    return FORBIDDEN.sub("\ufffd", text)


@given(texts)
@example("\0\x1f]]>&amp;<!--\r\n\t\x85\u2028")
def test_escaped_text_comes_back(text: str) -> None:
    assert (etree.fromstring(f"<a>{escape(text)}</a>".encode()).text or "") == carried(text)


@given(attributes)
@example([("A", "s", "\x1f"), ("B", "s", "")])
@example([("A", "s", "\x1f"), ("B", "x", "<\x1f>"), ("C", "n", "\0")])
def test_a_rendered_ad_comes_back_as_its_items(ad: list[Attribute]) -> None:
    ad = [*ad, ("Last", "n", "1")]
    rendering = render(record(ad))
    rendered = specials(rendering, 5) + rendering
    document = parse(b"<ad>" + rendered + b"</ad>")
    read = read_items(document.root, document)
    assert read[:3] == [("MyType", "s", "Job"), ("TargetType", "s", "Machine"), ("ServerTime", "n", "5")]
    assert read[3:] == [(carried(name), kind, carried(text)) for name, kind, text in ad if kind in "snfbx"]


SEEDS = [
    envelope(operation("getVersionString"), header="<e:Header/>"),
    envelope(
        operation(
            "removeJob",
            "<transaction><id>1</id><duration>60</duration></transaction><clusterId>7</clusterId><jobId>0</jobId>"
            '<reason xsi:nil="true"/><force-removal>false</force-removal>',
        )
    ),
    envelope(
        operation("submit", f'<transaction href="#t"/><clusterId>7</clusterId><jobAd>{AD_TEXT}</jobAd>')
        + '<multiRef id="t"><id>1</id><duration>60</duration></multiRef>'
    ),
    envelope(operation("sendFile", "<name>a</name><offset>0</offset><data>aGVsbG8=</data>")),
    envelope(
        operation(
            "createJobTemplate", "<type>VANILLA</type><cmd>/bin/cat</cmd><args>&lt;x&gt; &#233;</args>"
        ),
        prolog='<?xml version="1.0" encoding="ISO-8859-1"?>',
    ),
    envelope(
        operation("insertAd", f"<type>1</type><ad>{AD_TEXT}</ad>"),
        prolog="<!DOCTYPE e:Envelope [<!ENTITY x 'y'>]>",
    ),
]
PIECES = [
    *(b"<", b">", b"/", b'"', b"&", b"&x;", b"&#0;", b"\0", b"\xff", b"\xe9", b"<!--", b"]]>", b"<![CDATA["),
    *(
        b"<a>",
        b"</a>",
        b"<item>",
        b"<!DOCTYPE x>",
        b"<?x?>",
        b' href="#t"',
        b' id="t"',
        b' xsi:nil="1"',
        b"-1",
        b"9999999999",
    ),
]

mutations = st.lists(
    st.tuples(
        st.sampled_from(["cut", "insert", "replace", "double", "swap"]),
        st.integers(0, 3000),
        st.integers(0, 60),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)),
    ),
    max_size=5,
)


def mutate(request: bytes, changes: list[tuple[str, int, int, bytes]]) -> bytes:
    for kind, where, length, piece in changes:
        at = where % (len(request) + 1)
        before, middle, after = request[:at], request[at : at + length], request[at + length :]
        request = {
            "cut": before + after,
            "insert": before + piece + middle + after,
            "replace": before + piece + after,
            "double": before + middle + middle + after,
            "swap": before + after[:length] + middle + after[length:],
        }[kind]
    return request


def results() -> Daemons:
    daemons = Daemons()
    answers = dict.fromkeys(METHODS.values())
    daemons.schedd.results = daemons.collector.results = {
        **answers,
        "insert_ad": "New ad inserted",
        "version_string": "v",
        "create_job_template": ad_list([("A", "s", "x")]),
        "get_job_ad": ad_list([("A", "s", "x")]),
        "get_file": b"x",
    }
    return daemons


@given(st.sampled_from(SEEDS), mutations)
def test_a_mutated_request_is_answered_or_refused_never_worse(
    seed: bytes, changes: list[tuple[str, int, int, bytes]]
) -> None:
    received = SERVER.receive(mutate(seed, changes))
    reply = received.reply() if received.is_refused else received.execute(results().operations)
    content = etree.fromstring(data(reply))[-1][0]
    if reply.status == 200:
        assert str(content.tag).endswith("Response")
    else:
        assert reply.status in (400, 500)
        assert str(content.tag).endswith("Fault")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_fault(request: bytes) -> None:
    received = SERVER.receive(request)
    assert received.is_refused
    assert str(etree.fromstring(data(received.reply()))[-1][0].tag).endswith("Fault")
