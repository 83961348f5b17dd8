"""What a document may hold is found out before it is parsed."""

from __future__ import annotations

import pytest

from birdbath.soap.bounds import SMALL_BYTES, Bounds
from birdbath.soap.faults import ClientFault
from tests.soap.wire import arguments, call, client_fault, version

TIGHT = Bounds(document_bytes=100_000, tags=100, attributes=100)
PADDING = "y" * SMALL_BYTES


@pytest.mark.parametrize(
    ("children", "text"),
    [
        ("x" * 100_000, "longer than 100000 bytes"),
        (f"<data>{'A' * 9}</data>" + "x" * 100_000, "longer than 100000 bytes"),
        (f"<mydata>{'x' * 100_000}</mydata>", "longer than 100000 bytes"),
        (f"<data/>{'x' * 100_000}", "longer than 100000 bytes"),
        ("<data a='>'" + " b=''" * 20_000 + "></data>", "longer than 100000 bytes"),
        (PADDING + "<x/>" * 100, "more than 100 tags"),
        (PADDING + "<x" + " a=''" * 101 + "/>", "more than 100 attributes"),
    ],
)
def test_what_exceeds_a_bound(children: str, text: str) -> None:
    with pytest.raises(ClientFault, match=text):
        TIGHT.check(call("sendFile", children))


@pytest.mark.parametrize(
    "children",
    [
        f"<data>{'A' * 400_000}</data>",
        f"<c:data xsi:type='xsd:base64Binary'>{'A&#10;' * 40_000}</c:data>",
        f"<data>\n<![CDATA[{'A' * 400_000}]]></data>".replace("\n", ""),
        "<x/>" * 100,
        PADDING + "<x/>" * 80,
    ],
)
def test_what_is_within_them(children: str) -> None:
    TIGHT.check(call("sendFile", children))


@pytest.mark.parametrize(
    "encoding", ["utf-7", "utf-16", "hz", "iso-2022-jp", "IBM037", "x", "utf-8" + "x" * 999]
)
@pytest.mark.parametrize("padding", ["", " " * 1000])
def test_encodings_whose_bytes_mean_something_else(encoding: str, padding: str) -> None:
    declaration = f'<?xml version="1.0"{padding} encoding="{encoding}"?>'
    assert "encoding" in client_fault(declaration.encode() + call("getVersionString"))


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "us-ascii", "ISO-8859-1", "windows-1252"])
def test_encodings_that_are_understood(encoding: str) -> None:
    declaration = f"<?xml version='1.0' encoding='{encoding}'?>"
    assert version(declaration.encode() + call("getVersionString")).status == 200


def test_data_that_is_an_element_is_no_data() -> None:
    include = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:part"/>'
    assert "'data' is not base64" in client_fault(call("sendFile", f"<data>{include}</data>"))
    assert arguments("sendFile", "<data></data>")[-1] == b""
