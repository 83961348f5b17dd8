"""Multi-reference encoding: ids, hrefs, cycles, blow-up by sharing."""

from __future__ import annotations

from tests.attack.corpus.cases import MILLION, case
from tests.soap.wire import envelope, operation

ITEM = "<item><name>A</name><type>STRING-ATTR</type><value href='#v'/></item>"


def referring(ad: str, *independent: str) -> bytes:
    return envelope(operation("discoverJobRequirements", f"<jobAd>{ad}</jobAd>") + "".join(independent))


case("duplicate ids", referring(ITEM, "<v id='v'>1</v>", "<v id='v'>2</v>"), "SUCCESS")
case("a million duplicate ids", lambda _: referring(ITEM, "<v id='v'>1</v>" * (MILLION // 4)))
case("an href to itself", referring("<item id='i' href='#i'/>"))
case("a cycle of two hrefs", referring("<item href='#a'/>", "<a id='a' href='#b'/>", "<b id='b' href='#a'/>"))
case(
    "an href to what is around it",
    envelope(operation("discoverJobRequirements", "<jobAd href='#r'/>").replace("xmlns", "id='r' xmlns")),
    "SUCCESS",
)
case(
    "an ad that is in itself",
    referring("<item href='#w'/>", "<w id='w'><name href='#w'/><item href='#w'/></w>"),
    "SUCCESS",
)
case(
    "a chain of 10,000 hrefs",
    referring("<item href='#c0'/>", *(f"<c id='c{n}' href='#c{n + 1}'/>" for n in range(10_000))),
)
case("an href that leads out", lambda at: referring(f"<item href='http://127.0.0.1:{at.port}/item'/>"))
case("an href to a file", lambda at: referring(f"<item href='file://{at.file}'/>"))
case("a href that is huge", referring(f"<item href='#{'x' * 8 * MILLION}'/>"))
case(
    "blow-up by references: 10,000 attributes that share a text of 100 KB",
    referring(ITEM * 10_000, f"<v id='v'>{'v' * 100_000}</v>"),
)
case(
    "blow-up by references: 5,000 times an item with 5,000 children",
    referring("<item href='#w'/>" * 5_000, f"<w id='w'>{'<x/>' * 5_000}<name>A</name></w>"),
    "SUCCESS",
)
case(
    "blow-up by references in an ad that is kept",
    lambda _: envelope(
        operation(
            "insertAd",
            "<type>5</type><ad>" + "".join(ITEM.replace("A", f"A{n}", 1) for n in range(5_000)) + "</ad>",
        )
        + f"<v id='v'>{'v' * 1_000_000}</v>"
    ),
)
