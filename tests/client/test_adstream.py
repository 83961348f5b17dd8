"""Ad lists, read while they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.client import Ad, AdStream, BadReply, Expression, OperationFailed
from birdbath.client.errors import InvalidTransaction

STATUS = "<status><code>SUCCESS</code><message>Success</message></status>"


def item(name: str, kind: str, value: str) -> str:
    return f"<item><name>{name}</name><type>{kind}</type><value>{value}</value></item>"


def jobs(*ads: str, status: str = STATUS) -> bytes:
    array = f"<classAdArray>{''.join(f'<item>{ad}</item>' for ad in ads)}</classAdArray>"
    return document(f"<c:getJobAdsResponse><response>{status}{array}</response></c:getJobAdsResponse>")


def document(inner: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<E xmlns:c="urn:condor"><B>'
    return f"{head}{inner}</B></E>".encode()


def blocks(data: bytes, *cuts: int) -> Iterator[bytes]:
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        yield data[start:end]


def read(data: bytes, *cuts: int) -> list[Ad]:
    return list(AdStream(blocks(data, *cuts), "http://pool"))


THREE = jobs(
    item("ClusterId", "INTEGER-ATTR", "1")
    + item("Args", "STRING-ATTR", "")
    + item("X", "EXPRESSION-ATTR", "a &lt; 2"),
    item("ClusterId", "INTEGER-ATTR", "2") + item("Owner", "STRING-ATTR", "zoë €"),
    item("ClusterId", "INTEGER-ATTR", "3"),
)


@given(st.lists(st.integers(0, len(THREE)), max_size=8))
def test_where_the_answer_is_cut_into_blocks_does_not_matter(cuts: list[int]) -> None:
    assert read(THREE, *cuts) == [
        {"ClusterId": 1, "Args": "", "X": Expression("a < 2")},
        {"ClusterId": 2, "Owner": "zoë €"},
        {"ClusterId": 3},
    ]


def test_an_ad_is_there_before_the_answer_ends() -> None:
    end_reached = False

    def arriving() -> Iterator[bytes]:
        nonlocal end_reached
        middle = THREE.index(b"zo")
        yield THREE[:middle]
        yield THREE[middle : middle + 1]
        end_reached = True
        yield THREE[middle + 1 :]

    ads = AdStream(arriving(), "http://pool")

    assert next(ads)["ClusterId"] == 1
    assert not end_reached
    assert [ad["ClusterId"] for ad in ads] == [2, 3]


@pytest.mark.parametrize(
    "answer",
    [
        jobs(),
        document(f"<c:r><response>{STATUS}</response></c:r>"),
        document("<c:r><result></result></c:r>"),
        document("<c:r><result><item/><item></item></result></c:r>"),
    ],
)
def test_no_ads_are_an_empty_list(answer: bytes) -> None:
    assert read(answer) == []


def test_items_may_have_any_order_and_lack_parts() -> None:
    odd = "<item><value>5</value><type>INTEGER-ATTR</type><name>A</name></item><item><name>B</name></item>"

    assert read(jobs(odd)) == [{"A": 5, "B": Expression("")}]


def test_a_refusal_is_raised_before_the_first_ad() -> None:
    status = "<status><code>INVALIDTRANSACTION</code><message>Invalid transaction</message></status>"

    with pytest.raises(InvalidTransaction, match="Invalid transaction"):
        AdStream(blocks(jobs(status=status)), "http://pool")


def test_a_status_that_nobody_knows_is_a_failure() -> None:
    with pytest.raises(OperationFailed, match="what is this"):
        AdStream(
            blocks(jobs(status="<status><code>ODD</code><message>what is this</message></status>")),
            "http://pool",
        )


@pytest.mark.parametrize("length", [0, 40, THREE.index(b"zo"), len(THREE) - 3])
def test_an_answer_that_is_cut_off_is_an_error(length: int) -> None:
    with pytest.raises(BadReply, match="http://pool"):
        read(THREE[:length])


def test_closing_gives_up_the_rest() -> None:
    hung_up = False

    def arriving() -> Iterator[bytes]:
        nonlocal hung_up
        try:
            yield THREE[: THREE.index(b"zo")]
            yield from blocks(THREE[THREE.index(b"zo") :], 1, 2, 3)
        finally:
            hung_up = True

    with AdStream(arriving(), "http://pool") as ads:
        next(ads)

    assert hung_up
    assert list(ads) == []


def test_a_list_leaves_nothing_behind_in_the_tree() -> None:
    """Memory is that of the ads themselves: the parser's tree holds one ad at a time."""
    stream = AdStream(
        (
            jobs(*[item("A", "INTEGER-ATTR", str(n)) * 3 for n in range(500)])[i : i + 512]
            for i in range(0, 10**6, 512)
        ),
        "",
    )
    widest = 0
    for _ in stream:
        assert stream._array is not None
        widest = max(widest, len(stream._array))

    assert widest < 10
