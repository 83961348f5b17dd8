"""Received byte ranges, against the set of the bytes they stand for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.schedd.ranges import Ranges, add, covers

CHUNKS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30)


@pytest.mark.parametrize(
    ("chunks", "ranges"),
    [
        ([], []),
        ([(0, 0)], []),
        ([(0, 5)], [(0, 5)]),
        ([(0, 5), (5, 9)], [(0, 9)]),
        ([(5, 9), (0, 5)], [(0, 9)]),
        ([(0, 2), (4, 6)], [(0, 2), (4, 6)]),
        ([(4, 6), (0, 2), (8, 9), (1, 8)], [(0, 9)]),
        ([(0, 9), (3, 4)], [(0, 9)]),
        ([(3, 4), (0, 9)], [(0, 9)]),
        ([(0, 1), (2, 3), (4, 5), (2, 3)], [(0, 1), (2, 3), (4, 5)]),
    ],
)
def test_adding(chunks: Ranges, ranges: Ranges) -> None:
    received: Ranges = []
    for start, end in chunks:
        received = add(received, start, end)
    assert received == ranges


@given(CHUNKS)
def test_ranges_are_the_bytes_that_arrived(chunks: list[tuple[int, int]]) -> None:
    received: Ranges = []
    arrived: set[int] = set()
    for start, length in chunks:
        received = add(received, start, start + length)
        arrived |= set(range(start, start + length))
    assert {byte for start, end in received for byte in range(start, end)} == arrived
    assert all(start < end for start, end in received)
    # Sorted and with gaps between them: nothing that touches is left apart.
    assert all(before[1] < after[0] for before, after in pairwise(received))


@given(CHUNKS, st.integers(-2, 70))
def test_covering(chunks: list[tuple[int, int]], size: int) -> None:
    received: Ranges = []
    arrived: set[int] = set()
    for start, length in chunks:
        received = add(received, start, start + length)
        arrived |= set(range(start, start + length))
    assert covers(received, size) == (set(range(size)) <= arrived)
