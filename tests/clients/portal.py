"""A client made by hand: calls in one shape, answers read as strictly as the strictest toolkit reads them."""

from __future__ import annotations

import time
from collections.abc import Callable

from lxml import etree

from tests.clients.shapes import Children, Reply, Shape, Value, Wire

CONDOR = "{urn:condor}"
Element = etree._Element


class Portal:
    """Calls in one shape; each answer is checked to be what the strictest reader, .NET, accepts."""

    def __init__(self, server: str, shape: Shape) -> None:
        self.wire = Wire(server, shape)

    def call(self, operation: str, **children: Value) -> Element:
        """The one child of the reply's wrapper: `response`, `result` or `status`."""
        named = [(name.replace("_", "-"), value) for name, value in children.items()]
        reply = self.wire.post(operation, named)
        assert reply.status == 200, reply.body
        return answer_in(reply, operation)

    def code(self, operation: str, **children: Value) -> str:
        answer = self.call(operation, **children)
        return answer.findtext("status/code") or answer.findtext("code") or ""


def answer_in(reply: Reply, operation: str) -> Element:
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    body = etree.fromstring(reply.body).find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    assert body is not None
    (wrapper,) = body
    assert wrapper.tag == f"{CONDOR}{operation}Response"
    assert all("{" not in inner.tag and not inner.attrib for inner in wrapper.iterdescendants())
    (answer,) = wrapper
    return answer


def text(answer: Element, path: str) -> str:
    found = answer.findtext(path)
    assert found is not None, etree.tostring(answer)
    return found


def attributes(ad: Element) -> dict[str, str]:
    return {text(item, "name"): item.findtext("value") or "" for item in ad.findall("item")}


def item(name: str, kind: str, value: str) -> tuple[str, Value]:
    return ("item", [("name", name), ("type", kind), ("value", value)])


def edited(ad: Element, **changes: str) -> Children:
    """The template as items again, with its own types and the changed strings."""
    kept = [
        item(text(found, "name"), text(found, "type"), found.findtext("value") or "")
        for found in ad.findall("item")
        if found.findtext("name") not in changes
    ]
    return kept + [item(name, "STRING-ATTR", value) for name, value in changes.items()]


def transaction(answer: Element) -> Children:
    return [(name, text(answer, f"transaction/{name}")) for name in ("id", "duration")]


def until(seen: Callable[[], bool]) -> None:
    """Ask the server again, for some minutes at most: only it knows when a job is done."""
    for _ in range(1500):
        if seen():
            return
        time.sleep(0.1)
    raise TimeoutError("the server did not get there")
