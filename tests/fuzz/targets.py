"""What is fuzzed: the reading of requests, and the conversion of ads. Each takes any bytes and fails when
something is not as it has to be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Literal

from lxml import etree

from birdbath.classads import AdList, AdRecord, Constraint, Item, ad_from_items
from birdbath.errors import BirdbathError
from birdbath.soap.writing import ad_chunks
from tests.soap.test_properties import SEEDS, results
from tests.soap.wire import SERVER, data

KINDS: Final = ("s", "n", "f", "b", "x", "u", "e", "")
DOINGS: Final[tuple[Literal["drop", "undefined"], ...]] = ("drop", "undefined")
NOW: Final = 1_300_000_000


def request(given: bytes) -> None:
    """A request is answered or refused; either way the reply is an envelope of one response or fault."""
    received = SERVER.receive(given)
    reply = received.reply() if received.is_refused else received.execute(results().operations)
    (content,) = etree.fromstring(data(reply))[-1]
    assert str(content.tag).endswith("Fault" if reply.status != 200 else "Response")


def ad(given: bytes) -> None:
    """Items become an ad that comes back from its stored form, matches, and is well-formed XML; or they are
    refused.
    """
    items, constraint = items_of(given)
    with contextlib.suppress(BirdbathError):
        for unparsable in DOINGS:
            made = ad_from_items(items, unparsable)
            record = AdRecord.of(made)
            assert record.ad().to_json() == made.to_json()
            answer = b"".join(ad_chunks(AdList([record], NOW)))
            etree.fromstring(b"<ads>" + answer + b"</ads>")
            assert Constraint(constraint).select([record], NOW) in ([], [record])


def items_of(given: bytes) -> tuple[list[Item], str]:
    """Lines are items, the first a constraint: a byte for the kind, then name, tab, text."""
    first, *lines = given.decode("utf-8", "surrogateescape").split("\n")
    items: list[Item] = []
    for line in lines:
        kind = KINDS[ord(line[0]) % len(KINDS)] if line else ""
        name, tab, text = line[1:].partition("\t")
        items.append((name, kind, text if tab else None))
    return items, first


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {"request": request, "ad": ad}

CORPUS: Final[dict[str, list[bytes]]] = {
    "request": SEEDS,
    "ad": [
        b'Owner == "alice" && JobPrio > 1\nsOwner\talice\nnJobPrio\t5\nxRequirements\tTARGET.Memory >= 1024',
        b'member("a", split(Names))\nsNames\ta, b\nfLoad\t0.5e-3\nbFlag\tTRUE\nuNone\t\neBad\tERROR',
        b'regexp("^a+$", Name) || isUndefined(X)\nsName\t\xc3\xa9 \\"q\\"\nxL\t{1, 2.0, [a=1].a, now}',
        b"(CurrentTime - QDate) > 10\nnQDate\t1300000000\nxQ\tifThenElse(MY.A =?= undefined, 1, time())",
    ],
}
