"""The types of the service `urn:birdbath:queries`, in the original style; how they are read and written."""

from __future__ import annotations

from typing import Any, Final

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import ComplexModel, Unicode

from birdbath.classads.elements import escape
from birdbath.soap import types
from birdbath.soap.paging import AdPage
from birdbath.soap.reading import Reader, read_texts
from birdbath.soap.replies import Outcome, Writer, status_text
from birdbath.soap.types import many, optional, required
from birdbath.soap.writing import ad_chunks

NAMESPACE: Final = "urn:birdbath:queries"

assert spyne_compat.SIX_MOVES

_COMMON: Final = types.common_types(NAMESPACE)
_, _, Status, _, ClassAdStruct = _COMMON


class ClassAdStructArray(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(ClassAdStruct)),)


class AttributeNames(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (("item", many(Unicode)),)


class AdPageAndStatus(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = (
        ("status", required(Status)),
        ("classAdArray", optional(ClassAdStructArray)),
        ("next", optional(Unicode)),
    )


TYPES: Final[tuple[types.SpyneType, ...]] = (
    *_COMMON,
    ClassAdStructArray,
    AttributeNames,
    AdPageAndStatus,
)
Names: Final = optional(AttributeNames)


def ad_page_and_status(outcome: Outcome) -> list[bytes]:
    """AdPageAndStatus: `next` is omitted after the last page; after a failure there is only the status."""
    page: AdPage | None = outcome.value
    status = f"<status>{status_text(outcome)}</status>"
    if page is None:
        return [status.encode()]
    following = "" if page.next is None else f"<next>{escape(page.next)}</next>"
    opening, closing = f"{status}<classAdArray>", f"</classAdArray>{following}"
    return [opening.encode(), *ad_chunks(page.ads), closing.encode()]


WRITERS: Final[dict[str, Writer]] = {"AdPageAndStatus": ad_page_and_status}
READERS: Final[dict[str, tuple[Reader, Any]]] = {"AttributeNames": (read_texts, [])}
