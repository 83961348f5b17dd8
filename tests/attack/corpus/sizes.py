"""Depth, number and length of everything that a document has."""

from __future__ import annotations

from tests.attack.corpus.cases import MILLION, VERSION, Place, case
from tests.soap.wire import call, envelope, operation


def numbered(count: int, form: str) -> str:
    return "".join(form.format(format(n, "x")) for n in range(count))


case("depth 100,000", call("getVersionString", "<x>" * 100_000 + "</x>" * 100_000))
case("depth 100,000 that never comes back", call("getVersionString", "<x>" * 100_000))
case(
    "depth 100,000 in the header",
    envelope(
        operation("getVersionString"), header=f"<e:Header>{'<x>' * 100_000}{'</x>' * 100_000}</e:Header>"
    ),
)
case("depth 300 of long names", call("getVersionString", "".join(f"<{'x' * 900}{n}>" for n in range(300))))
case("a million attributes", lambda _: call("getVersionString", "<x" + numbered(MILLION, " a{}=''") + "/>"))
case(
    "a million attributes, all the same", lambda _: call("getVersionString", "<x" + " a=''" * MILLION + "/>")
)
case("a million attributes of a million elements", lambda _: call("getVersionString", "<x a=''/>" * MILLION))
case(
    "a million attributes of the envelope",
    lambda _: envelope(operation("getVersionString"), attributes=numbered(MILLION, " a{}=''")),
)
case(
    "half a million namespaces",
    lambda _: call("getVersionString", "<x" + numbered(MILLION // 2, " xmlns:a{}='u'") + "/>"),
)
case("a million elements", lambda _: call("getVersionString", "<x/>" * MILLION))
case("a million different elements", lambda _: call("getVersionString", numbered(MILLION, "<x{}/>")))
case(
    "a million items of an ad",
    lambda _: call("discoverJobRequirements", f"<jobAd>{'<item/>' * MILLION}</jobAd>"),
)
case("a million comments", lambda _: call("getVersionString", "<!---->" * MILLION))
case("a million processing instructions", lambda _: call("getVersionString", "<?a?>" * MILLION))
case(
    "a million character references",
    lambda _: call("getJobAds", f"<constraint>{'&#32;' * MILLION}</constraint>"),
)
case(
    "a million sections of text",
    lambda _: call("getJobAds", f"<constraint>{'<![CDATA[]]>' * MILLION}</constraint>"),
)
case("a million siblings of the operation", lambda _: envelope(operation("getVersionString") * 100_000))
case(
    "a million entries of the header",
    lambda _: envelope(operation("getVersionString"), header=f"<e:Header>{'<x/>' * MILLION}</e:Header>"),
)

LONG = "x" * (8 * MILLION)
for kind, text in {
    "element": "<@/>",
    "attribute": "<x @=''/>",
    "prefix": "<@:x xmlns:@='u'/>",
    "processing instruction": "<?@?>",
    "entity": "&@;",
    "namespace": "<x xmlns='@'/>",
    "id": "<x id='@'/>",
}.items():

    def named(_: Place, text: str = text) -> bytes:
        return call("getVersionString", text.replace("@", LONG))

    case(f"huge name: {kind}", named)
case("huge name: operation", lambda _: envelope(operation(LONG)))
case("huge name: root", lambda _: f"<{LONG}/>".encode())
case("huge text: constraint", lambda _: call("getJobAds", f"<constraint>{LONG}</constraint>"))
case("huge text: of nobody", lambda _: call("getVersionString", f"<x>{LONG}</x>"))
case("huge text: blanks", lambda _: call("beginTransaction", f"<duration>{' ' * 8 * MILLION}</duration>"))
case("huge text: digits", lambda _: call("beginTransaction", f"<duration>{'9' * 8 * MILLION}</duration>"))
case("huge text: attribute", lambda _: call("getVersionString", f"<x a='{LONG}'/>"))
case("huge text: comment", lambda _: call("getVersionString", f"<!-- {LONG} -->"))
case(
    "huge text: never ends",
    lambda _: call("getVersionString", f"<x>{LONG}")[: -len("</c:getVersionString></e:Body></e:Envelope>")],
)
case("huge text: before the envelope", lambda _: b" " * 8 * MILLION + VERSION)
case("huge text: after the envelope", lambda _: VERSION + b" " * 8 * MILLION)
case("huge text: no XML at all", lambda _: b"\xff" * 8 * MILLION)
case("huge text: enumeration", lambda _: call("insertAd", f"<type>{LONG}</type>"))

# Just within the bounds of a document: what is worst of what is let through.

case("31,000 tags", call("getVersionString", "<x/>" * 31_000), "SUCCESS")
case("31,000 tags with attributes", call("getVersionString", "<x a=''/>" * 31_000), "SUCCESS")
case("31,000 attributes", call("getVersionString", "<x" + numbered(31_000, " a{}=''") + "/>"), "SUCCESS")
case(
    "31,000 namespaces", call("getVersionString", "<x" + numbered(31_000, " xmlns:a{}='u'") + "/>"), "SUCCESS"
)
case(
    "10,000 namespaces, each of them used",
    call(
        "getVersionString",
        "<x" + numbered(10_000, " xmlns:a{}='u'") + ">" + numbered(10_000, "<a{}:x/>") + "</x>",
    ),
    "SUCCESS",
)
case(
    "3,900 attributes of an ad",
    call(
        "discoverJobRequirements",
        f"<jobAd>{numbered(3_900, '<item><name>A{}</name><type>STRING-ATTR</type><value/></item>')}</jobAd>",
    ),
    "SUCCESS",
)
case("2 MB of text", lambda _: call("getVersionString", f"<x>{'x' * 2 * MILLION}</x>"), "SUCCESS")
case("2 MB of a name", lambda _: call("getVersionString", f"<{'x' * 2 * MILLION}/>"), "SUCCESS")
case(
    "2 MB of character references",
    lambda _: call("getVersionString", f"<x>{'&#32;' * 400_000}</x>"),
    "SUCCESS",
)
