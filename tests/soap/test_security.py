"""A UsernameToken that is cut out of a request is the one that parsing finds; where they could differ, it is
parsed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from birdbath.soap import Reply, SoapServer, UsernameToken
from birdbath.soap.envelope import parse
from birdbath.soap.faults import SoapFault
from birdbath.soap.security import cut_token, username_token
from tests.soap.wire import envelope, operation

WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
W, U = f'xmlns:w="{WSS}wssecurity-secext-1.0.xsd"', f'xmlns:u="{WSS}wssecurity-utility-1.0.xsd"'
NAME, TEXT = "<w:Username>ann</w:Username>", "<w:Password>a good one</w:Password>"
DIGEST = f'<w:Password Type="{WSS}username-token-profile-1.0#PasswordDigest">p/bzQGPYV=</w:Password>'
ONCE = "<w:Nonce>bm9uY2U=</w:Nonce><u:Created>2026-11-29T12:00:00Z</u:Created>"
SERVER = SoapServer(understands_security=True)


@dataclass(frozen=True)
class Read:
    """What comes of a request: a token, none, or a fault, of whose text the place does not count."""

    token: UsernameToken | None
    fault: str = ""


def by_parsing(request: bytes) -> Read:
    try:
        found = parse(request)
        found.open(understands_security=True)
        return Read(None if found.security is None else username_token(found.security))
    except SoapFault as fault:
        return Read(None, without_place(fault.faultstring))


def without_place(text: str) -> str:
    return text.partition(", line ")[0]


def text_of(reply: Reply) -> str:
    text = etree.fromstring(b"".join(reply.chunks)).findtext(".//faultstring")
    assert text is not None
    return text


def by_the_server(request: bytes) -> Read:
    call = SERVER.receive(request)
    if call.is_refused:
        return Read(None, without_place(text_of(call.reply())))
    try:
        return Read(call.security)
    except SoapFault as fault:
        return Read(None, fault.faultstring)


def with_header(content: str, prolog: str = "", body: str = operation("getVersionString")) -> bytes:
    return envelope(body, header=f"<e:Header>{content}</e:Header>", prolog=prolog)


def security(token: str, attributes: str = f"{W} {U}") -> str:
    return f"<w:Security {attributes}><w:UsernameToken>{token}</w:UsernameToken></w:Security>"


USUAL = security(NAME + DIGEST + ONCE)


@pytest.mark.parametrize(
    "request_",
    [
        with_header(USUAL),
        with_header(security(NAME + TEXT)),
        with_header(security(NAME)),
        with_header(security(NAME + TEXT, f'{W} {U} e:mustUnderstand="1"')),
        with_header(f"<x:Action xmlns:x='urn:x'>anything</x:Action>\n{USUAL}\n<y/>"),
        with_header(USUAL).replace(b"<w:UsernameToken>", b'<w:UsernameToken u:Id="token-17">'),
        with_header(USUAL.replace("><", ">\n  <")),
        with_header(USUAL, "<?xml version='1.0' encoding='UTF-8'?>\n"),
        with_header(security(NAME + DIGEST + ONCE, "")).replace(
            b"<e:Envelope", f"<e:Envelope {W} {U}".encode()
        ),
        with_header(USUAL, body=operation("getJobAds", f"<constraint>{'ä' * 9000}</constraint>")),
    ],
)
def test_the_usual_headers_are_not_parsed_again(request_: bytes) -> None:
    rest, token = cut_token(request_)
    assert token is not None
    assert Read(token) == by_parsing(request_) == by_the_server(request_)
    assert b"Security" not in rest
    assert by_parsing(rest) == Read(None)


def test_texts_and_identities_may_differ_from_call_to_call() -> None:
    seen = set()
    for number in range(3):
        header = security(f"<w:Username> u{number} </w:Username><w:Password>p {number} </w:Password>")
        header = header.replace("<w:UsernameToken", f'<w:UsernameToken u:Id="t{number}"')
        token = cut_token(with_header(header))[1]
        assert token == (f"u{number}", f"p {number} ", False, "", "")
        seen.add(token)
    assert len(seen) == 3


OTHERWISE = {
    "another namespace": with_header(USUAL.replace(W, 'xmlns:w="urn:other"')),
    "in the body": envelope(operation("getVersionString", USUAL)),
    "in a header of the body": envelope(operation("getVersionString", f"<e:Header>{USUAL}</e:Header>")),
    "a header that is none": with_header(USUAL).replace(b"<e:Header>", b'<e:Header xmlns:e="urn:other">'),
    "a comment": with_header(f"<!-- {USUAL} -->"),
    "behind a comment": with_header(f"<!-- -->{USUAL}"),
    "character data": with_header(f"<x><![CDATA[{USUAL}]]></x>"),
    "an instruction": with_header(f"<?x {USUAL}?>"),
    "an attribute": with_header(f"<x y='{USUAL}'/>"),
    "two headers": with_header(USUAL * 2),
    "two headers of which the second insists": with_header(
        USUAL + security(NAME + TEXT, f'{W} {U} e:mustUnderstand="1"')
    ),
    "an empty one first": with_header(f"<w:Security {W}/>{USUAL}"),
    "one in the other": with_header(f"<w:Security {W}>{USUAL}</w:Security>"),
    "two tokens": with_header(
        USUAL.replace("</w:Security>", f"<w:UsernameToken>{NAME}</w:UsernameToken></w:Security>")
    ),
    "two names": with_header(security(NAME * 2 + TEXT)),
    "a name with an element": with_header(security("<w:Username>ann<x/>bob</w:Username>" + TEXT)),
    "references to characters": with_header(security("<w:Username>&#183;0</w:Username>" + TEXT)),
    "an entity": with_header(security("<w:Username>&amp;</w:Username>" + TEXT)),
    "an entity of its own": with_header(
        security("<w:Username>&x;</w:Username>" + TEXT), "<!DOCTYPE e [<!ENTITY x 'ann'>]>"
    ),
    "letters beyond ASCII": with_header(security("<w:Username>änn</w:Username>" + TEXT)),
    "the mark itself": with_header(security("<w:Username>·7</w:Username>" + TEXT)),
    "a name that is too long": with_header(security(f"<w:Username>{'a' * 1025}</w:Username>")),
    "the end of a section": with_header(security("<w:Username>]]></w:Username>")),
    "NUL": with_header(security("<w:Username>\0</w:Username>")),
    "another entry that insists": with_header(f'<x e:mustUnderstand="1">y</x>{USUAL}'),
    "not well-formed before": with_header(f"<x>{USUAL}"),
    "not well-formed within": with_header(USUAL.replace("</w:Username>", "</w:Name>")),
    "an attribute twice": with_header(USUAL.replace(W, f"{W} {W}")),
    "no prefix": with_header(USUAL.replace("<w:", "<").replace("</w:", "</").replace("xmlns:w", "xmlns")),
    "no envelope": USUAL.encode(),
    "an envelope that is none": with_header(USUAL).replace(b"schemas.xmlsoap.org", b"example.org"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_every_other_form_is_parsed(name: str) -> None:
    request = OTHERWISE[name]
    assert by_the_server(request) == by_parsing(request)


PIECES = [
    NAME,
    TEXT,
    DIGEST,
    ONCE,
    W,
    U,
    USUAL,
    "</w:Security>",
    "<w:Security>",
    f"<w:Security {W}>",
    "<w:Security",
]
PIECES += [
    "<w:UsernameToken>",
    "</w:UsernameToken>",
    "<e:Header>",
    "</e:Header>",
    "<e:Body>",
    ">",
    "<",
    "/",
    " ",
]
PIECES += [
    "<x>",
    "</x>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&#48;",
    "\0",
    "·0",
    "ann",
    '"',
    "=",
    ":Id=",
    "\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.integers(0, len(USUAL)), st.integers(0, 40))
def test_whatever_the_header_is_made_of(pieces: list[str], where: int, gone: int) -> None:
    request = with_header(USUAL[:where] + "".join(pieces) + USUAL[where + gone :])
    assert by_the_server(request) == by_parsing(request)
